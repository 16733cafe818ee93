//! The form of an answer, and the tool by which a model answers that has no place for it.

use super::writing::{hi, to, tool};
use super::{json, write};
use crate::translate::canonical::{Effort, Output, Reasoning, Request, ToolChoice};
use serde_json::{Value, json};
use std::borrow::Cow;

#[test]
fn a_schema_is_the_form_of_the_answer_where_there_is_a_place_for_it() {
    let schema: Box<serde_json::value::RawValue> =
        serde_json::from_str(r#"{ "type":"object" }"#).expect("JSON");
    let output = || Output::Schema { name: Some("n".into()), schema: Cow::Borrowed(&schema), strict: None };
    let (body, lost) = to("claude-sonnet-4-5", &Request { output: output(), ..hi() });
    let held = json!({"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}});
    assert_eq!((&body["output_config"]["format"], &body["tools"]), (&held, &Value::Null));
    assert_eq!(lost, Vec::<&str>::new());
    for model in ["claude-3-7-sonnet-20250219", "claude-opus-4-1", "somebody-elses"] {
        let (body, lost) = to(model, &Request { output: output(), ..hi() });
        assert_eq!((&body["output_config"], lost), (&Value::Null, vec![]), "{model}");
        assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object"}));
    }
}

#[test]
fn an_answer_in_json_is_the_call_of_a_tool_of_ours() {
    let forced = json!({"type": "tool", "name": "answer", "disable_parallel_tool_use": true});
    let any = json!({"type": "any"});
    for (tools, tool_choice, names, choice) in [
        (vec![], ToolChoice::Auto, json!(["answer"]), forced.clone()),
        (vec![tool("f")], ToolChoice::None, json!(["f", "answer"]), forced),
        (vec![tool("f")], ToolChoice::Auto, json!(["f", "answer"]), any.clone()),
        (vec![tool("answer")], ToolChoice::Auto, json!(["answer", "answer_"]), any.clone()),
        (vec![tool("f")], ToolChoice::Any, json!(["f"]), any),
        (vec![tool("f")], ToolChoice::One("f".into()), json!(["f"]), json!({"type": "tool", "name": "f"})),
    ] {
        let reasoning = Some(Reasoning::Effort(Effort::High));
        let output = Output::Json;
        let request = Request { output, tools, tool_choice, reasoning, ..hi() };
        let written = write(&request);
        let body = json(&written.body);
        let found: Vec<&Value> =
            body["tools"].as_array().expect("tools").iter().map(|tool| &tool["name"]).collect();
        assert_eq!((json!(found), &body["tool_choice"]), (names.clone(), &choice));
        // A forced call leaves no room for a thought.
        assert_eq!((&body["thinking"]["type"], written.lost), (&json!("disabled"), vec!["reasoning_effort"]));
        let ours = names[names.as_array().map_or(0, Vec::len) - 1].as_str().filter(|name| *name != "f");
        assert_eq!(written.answers_by.as_deref(), ours);
    }
}
