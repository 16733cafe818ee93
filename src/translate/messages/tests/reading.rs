//! What a client's request means.

use super::{conversation, read, refusal};
use crate::translate::canonical::{
    Effort, MediaKind, Output, Part, Reasoning, Source, Speaker, Text, ToolChoice,
};
use crate::translate::features::{Feature, Features};
use crate::translate::peek::BadBody;
use crate::translate::signs::Api;
use serde_json::json;

/// A request with these members beside one message.
fn with(members: &str) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"hi"}}],{members}}}"#)
}

fn features(of: &[Feature]) -> Features {
    let mut features = Features::NONE;
    of.iter().for_each(|feature| features.insert(*feature));
    features
}

#[test]
fn a_system_prompt_is_a_string_or_blocks_and_keeps_its_cache_marks() {
    let body = with(
        r#""system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]"#,
    );
    let request = read(&body);
    let b = Part::Text(Text { text: "b".into(), ends_cache: true });
    assert_eq!(request.system, [Part::text("a"), b]);
    assert_eq!(request.features, features(&[Feature::CacheMarks]));
    assert_eq!(read(&with(r#""system":"a""#)).system, [Part::text("a")]);
}

#[test]
fn messages_of_the_system_are_lifted_behind_the_prompt() {
    let body = r#"{"system":"one","messages":[{"role":"user","content":"hi"},
        {"role":"system","content":[{"type":"text","text":"two"}]},{"role":"assistant","content":"ho"}]}"#;
    let request = read(body);
    assert_eq!(request.system, [Part::text("one"), Part::text("two")]);
    assert_eq!(request.turns.len(), 2);
}

#[test]
fn every_setting_has_its_place() {
    let body = with(
        r#""max_tokens":7,"temperature":0.25,"top_p":0.5,"top_k":4,"stop_sequences":["a","b"],"stream":true,
        "metadata":{"user_id":"u"},"service_tier":"standard_only""#,
    );
    let request = read(&body);
    assert_eq!(request.max_output_tokens, Some(7));
    assert_eq!((request.temperature, request.top_p, request.top_k), (Some(0.25), Some(0.5), Some(4)));
    assert_eq!(request.stop, ["a", "b"]);
    assert!(request.streams);
    assert_eq!(request.user.as_deref(), Some("u"));
    assert_eq!(request.features, features(&[Feature::TopK, Feature::User, Feature::ServiceTier]));
    assert_eq!(read(&with(r#""service_tier":"auto","stream":null"#)).features, Features::NONE);
}

#[test]
fn stops_are_counted_against_the_bounds_of_others() {
    for (stops, expected) in [
        (r#""1","2","3","4""#, Features::NONE),
        (r#""1","2","3","4","5""#, features(&[Feature::FiveStops])),
        (r#""1","2","3","4","5","6""#, features(&[Feature::FiveStops, Feature::SixStops])),
    ] {
        assert_eq!(read(&with(&format!(r#""stop_sequences":[{stops}]"#))).features, expected, "{stops}");
    }
}

#[test]
fn what_only_the_vendor_has_is_noted() {
    for (members, feature) in [
        (r#""container":"c""#, Feature::ProviderState),
        (r#""mcp_servers":[{"type":"url"}]"#, Feature::ServerTools),
        (r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, Feature::ServerTools),
        (r#""cache_control":{"type":"ephemeral"}"#, Feature::CacheMarks),
        (r#""inference_geo":"us""#, Feature::Other),
        (r#""tools":[{"name":"t","input_schema":{},"input_examples":[{}]}]"#, Feature::Other),
    ] {
        assert_eq!(read(&with(members)).features, features(&[feature]), "{members}");
    }
    assert_eq!(read(&with(r#""mcp_servers":[],"container":null,"betas":["x"]"#)).features, Features::NONE);
}

#[test]
fn blocks_that_only_the_vendor_has_are_noted() {
    for (block, feature) in [
        (r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#, Feature::ProviderState),
        (r#"{"type":"document","source":{"type":"url","url":"http://x/a.pdf"}}"#, Feature::DocumentUrl),
        (r#"{"type":"container_upload","file_id":"f"}"#, Feature::ProviderState),
        (r#"{"type":"server_tool_use","id":"i","name":"web_search","input":{}}"#, Feature::ServerTools),
        (
            r#"{"type":"web_search_tool_result","tool_use_id":"i","content":[{"type":"web_search_result","title":"t","url":"u","encrypted_content":"e"}]}"#,
            Feature::ServerTools,
        ),
        (
            r#"{"type":"code_execution_tool_result","tool_use_id":"i","content":{"type":"x","content":[]}}"#,
            Feature::ServerTools,
        ),
        (r#"{"type":"compaction","content":{"a":1}}"#, Feature::ForeignContent),
        (
            r#"{"type":"document","source":{"type":"text","data":"d"},"citations":{"enabled":true}}"#,
            Feature::Citations,
        ),
        (
            r#"{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]}"#,
            Feature::Citations,
        ),
        (r#"{"type":"text","text":"x","citations":[{"type":"char_location"}]}"#, Feature::Citations),
    ] {
        let body = conversation(&format!(r#"[{{"role":"user","content":[{block}]}}]"#));
        assert_eq!(read(&body).features, features(&[feature]), "{block}");
    }
    let body = conversation(r#"[{"role":"user","content":[{"type":"text","text":"x","citations":[]}]}]"#);
    assert_eq!(read(&body).features, Features::NONE);
}

#[test]
fn media_keep_where_their_bytes_are() {
    let body = conversation(
        r#"[{"role":"user","content":[
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},
        {"type":"image","source":{"type":"url","url":"https://x/y.png"},"cache_control":{"type":"ephemeral"}},
        {"type":"document","title":"T","context":"about","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"}},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}]"#,
    );
    let request = read(&body);
    let parts = &request.turns[0].parts;
    let media: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Media(media) => Some((media.kind, &media.source, media.name.as_deref(), media.ends_cache)),
            _ => None,
        })
        .collect();
    let inline =
        |media_type: &'static str| Source::Inline { media_type: media_type.into(), data: "aGk=".into() };
    let url = Source::Url { url: "https://x/y.png".into(), media_type: None };
    assert_eq!(
        media,
        [
            (MediaKind::Image, &inline("image/png"), None, false),
            (MediaKind::Image, &url, None, true),
            (MediaKind::Document, &inline("application/pdf"), Some("T"), false),
            (MediaKind::Document, &Source::Text("words".into()), None, false),
            (MediaKind::Document, &Source::Text("a\nb".into()), None, false),
        ]
    );
    assert!(parts.contains(&Part::text("about")), "what is said about a document is not lost");
}

#[test]
fn calls_keep_their_arguments_byte_for_byte_and_results_find_their_tool() {
    let body = conversation(
        r#"[{"role":"user","content":"go"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{ "b": 1.0e2, "a":"\u00e9" }}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[
            {"type":"text","text":"x"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]}]"#,
    );
    let request = read(&body);
    let Part::Call(call) = &request.turns[1].parts[0] else { panic!("a call") };
    assert_eq!(call.arguments, r#"{ "b": 1.0e2, "a":"\u00e9" }"#);
    let Part::Result(result) = &request.turns[2].parts[0] else { panic!("a result") };
    assert_eq!((result.id.as_ref(), result.name.as_ref(), result.is_error), ("t1", "look", true));
    assert_eq!(result.content.len(), 2);
}

#[test]
fn thoughts_know_who_signed_them() {
    let body = conversation(
        r#"[{"role":"user","content":"go"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"a","signature":"sig"},
        {"type":"thinking","thinking":"b","signature":"cliproxy:generate:g"},
        {"type":"thinking","thinking":"c","signature":""},
        {"type":"redacted_thinking","data":"secret"},{"type":"text","text":"so"}]}]"#,
    );
    let request = read(&body);
    let makers: Vec<_> = request.turns[1]
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Thought(it) => {
                Some((it.signature.as_ref().map(|it| (it.maker, it.text.as_ref())), it.is_redacted))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        makers,
        [
            (Some((Api::Messages, "sig")), false),
            (Some((Api::Generate, "g")), false),
            (None, false),
            (Some((Api::Messages, "secret")), true),
        ]
    );
    assert!(request.features.contains(Feature::ForeignThoughts));
}

#[test]
fn a_wrapped_signature_in_front_of_a_call_is_the_calls_own() {
    let body = conversation(
        r#"[{"role":"user","content":"go"},{"role":"assistant","content":[
        {"type":"thinking","thinking":"","signature":"cliproxy:generate:g"},
        {"type":"tool_use","id":"t","name":"n","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]"#,
    );
    let request = read(&body);
    let [Part::Call(call)] = request.turns[1].parts.as_slice() else { panic!("one call") };
    assert_eq!(call.signature.as_ref().map(|it| (it.maker, it.text.as_ref())), Some((Api::Generate, "g")));
    assert_eq!(request.features, Features::NONE);
}

#[test]
fn tools_of_the_clients_own_are_read_and_their_schemas_kept() {
    let body = with(
        r#""tools":[{"name":"a","description":"d","input_schema":{ "type":"object" },"strict":true},
        {"type":"custom","name":"b","input_schema":{},"cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
    );
    let request = read(&body);
    let [a, b] = request.tools.as_slice() else { panic!("two tools") };
    assert_eq!(a.parameters.as_deref().map(serde_json::value::RawValue::get), Some(r#"{ "type":"object" }"#));
    assert_eq!((a.description.as_deref(), a.strict), (Some("d"), Some(true)));
    assert!(b.ends_cache);
}

#[test]
fn a_choice_of_tool_says_whether_several_calls_may_come() {
    for (choice, expected, parallel) in [
        (r#"{"type":"auto"}"#, ToolChoice::Auto, None),
        (r#"{"type":"any","disable_parallel_tool_use":true}"#, ToolChoice::Any, Some(false)),
        (r#"{"type":"none"}"#, ToolChoice::None, None),
        (
            r#"{"type":"tool","name":"t","disable_parallel_tool_use":false}"#,
            ToolChoice::One("t".into()),
            Some(true),
        ),
    ] {
        let body = with(&format!(r#""tools":[{{"name":"t","input_schema":{{}}}}],"tool_choice":{choice}"#));
        let request = read(&body);
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (expected, parallel), "{choice}");
        assert_eq!(request.features.contains(Feature::SerialCalls), parallel == Some(false));
    }
}

#[test]
fn thinking_and_effort_say_how_much_to_think() {
    for (members, reasoning, shows) in [
        (r#""thinking":{"type":"enabled","budget_tokens":2000}"#, Some(Reasoning::Budget(2000)), true),
        (r#""thinking":{"type":"disabled"}"#, Some(Reasoning::Off), false),
        (r#""thinking":{"type":"adaptive"}"#, Some(Reasoning::Dynamic), true),
        (r#""thinking":{"type":"adaptive","display":"omitted"}"#, Some(Reasoning::Dynamic), false),
        (
            r#""thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}"#,
            Some(Reasoning::Effort(Effort::Max)),
            true,
        ),
        (r#""output_config":{"effort":"low"}"#, Some(Reasoning::Effort(Effort::Low)), false),
        (r#""thinking":null"#, None, false),
    ] {
        let body = with(members);
        let request = read(&body);
        assert_eq!((request.reasoning, request.shows_thoughts), (reasoning, shows), "{members}");
    }
}

#[test]
fn the_form_of_the_answer_is_found_in_either_place() {
    for members in [
        r#""output_config":{"format":{"type":"json_schema","schema":{ "a":1 }}}"#,
        r#""output_format":{"type":"json_schema","schema":{ "a":1 }}"#,
    ] {
        let body = with(members);
        let Output::Schema { schema, .. } = read(&body).output else { panic!("{members}") };
        assert_eq!(schema.get(), r#"{ "a":1 }"#);
    }
}

#[test]
fn speakers_keep_their_order() {
    let body = conversation(
        r#"[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]"#,
    );
    let speakers: Vec<_> = read(&body).turns.iter().map(|turn| turn.speaker).collect();
    assert_eq!(speakers, [Speaker::User, Speaker::User, Speaker::Model]);
}

/// Each of these bodies is refused with words that begin so.
fn assert_refused(cases: &[(String, &str)]) {
    for (body, field) in cases {
        let why = refusal(body);
        assert!(why.starts_with(field), "{body}\n{why}");
    }
}

#[test]
fn a_fault_in_a_message_names_its_field() {
    let call = r#"{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{}}]}"#;
    let result = r#"{"type":"tool_result","tool_use_id":"t"}"#;
    assert_refused(&[
        ("[]".to_owned(), "the body "),
        ("{".to_owned(), "the body "),
        (r#"{"model":"m"}"#.to_owned(), "`messages` is missing"),
        (conversation("[]"), "`messages` must"),
        (conversation(r#"[{"role":"tool","content":""}]"#), "`messages[0].role` must"),
        (conversation(r#"[{"role":"user","content":7}]"#), "`messages[0].content` must"),
        (conversation(r#"[{"role":"user"}]"#), "`messages[0].content` is missing"),
        (conversation(r#"[{"role":"user","content":{}}]"#), "`messages[0].content` must"),
        (
            conversation(r#"[{"role":"user","content":[{"text":"x"}]}]"#),
            "`messages[0].content[0].type` is missing",
        ),
        (
            conversation(r#"[{"role":"user","content":[{"type":"text"}]}]"#),
            "`messages[0].content[0].text` is",
        ),
        (
            conversation(r#"[{"role":"user","content":[{"type":"text","text":5}]}]"#),
            "`messages[0].content[0].text` must",
        ),
        (
            conversation(
                r#"[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"a-b="}}]}]"#,
            ),
            "`messages[0].content[0].source.data` is not valid base64",
        ),
        (
            conversation(
                r#"[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"a.png"}}]}]"#,
            ),
            "`messages[0].content[0].source.url` must be an http or https URL",
        ),
        (
            conversation(
                r#"[{"role":"user","content":[{"type":"tool_use","id":"t","name":"n","input":{}}]}]"#,
            ),
            "`messages[0].content[0].type` ",
        ),
        (
            conversation(r#"[{"role":"assistant","content":[{"type":"tool_use","name":"n","input":{}}]}]"#),
            "`messages[0].content[0].id` is missing",
        ),
        (
            conversation(
                r#"[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":"{}"}]}]"#,
            ),
            "`messages[0].content[0].input` must be a JSON object",
        ),
        (
            conversation(&format!(r#"[{{"role":"user","content":[{result}]}}]"#)),
            "`messages[0].content[0].tool_use_id` is that of no earlier tool_use",
        ),
        (
            conversation(&format!(r#"[{call},{{"role":"user","content":[{result},{result}]}}]"#)),
            "`messages[1].content[1].tool_use_id` has a result already",
        ),
        (
            conversation(&format!(r#"[{call},{{"role":"user","content":"well?"}}]"#)),
            "`messages[1].content` lacks the result of the tool_use `t`",
        ),
        (
            conversation(&format!(
                r#"[{call},{{"role":"user","content":"a"}},{{"role":"assistant","content":"b"}}]"#
            )),
            "`messages[1].content` lacks the result of the tool_use `t`",
        ),
    ]);
}

#[test]
fn a_clients_id_is_repeated_as_far_as_it_is_short() {
    let id = "x\n".repeat(100_000);
    let call =
        json!([{"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "n", "input": {}}]}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": call}).to_string();
    let read = crate::translate::messages::read(body.as_bytes()).expect("what may be counted");
    let BadBody(why) = *read.unanswered.expect("no answer to that");
    assert!(why.len() < 400 && !why.contains('\n') && why.contains('…'), "{why}");
}

#[test]
fn a_fault_in_a_setting_names_its_field() {
    assert_refused(&[
        (with(r#""system":[{"type":"image"}]"#), "`system[0].type` must be text"),
        (with(r#""max_tokens":-1"#), "`max_tokens` must"),
        (with(r#""tools":[{"name":"t"}]"#), "`tools[0].input_schema` is missing"),
        (with(r#""tools":[{"name":"t","input_schema":true}]"#), "`tools[0].input_schema` must"),
        (with(r#""tool_choice":{"type":"some"}"#), "`tool_choice.type` must"),
        (with(r#""tool_choice":{"type":"tool"}"#), "`tool_choice.name` is missing"),
        (with(r#""thinking":{"type":"enabled"}"#), "`thinking.budget_tokens` is missing"),
        (with(r#""output_config":{"effort":"huge"}"#), "`output_config.effort` must"),
        (with(r#""output_config":{"format":{"type":"xml"}}"#), "`output_config.format.type` must"),
    ]);
    assert!(super::super::read(b"{\"a\":\"\xff\"}").is_err_and(|why| why.0.contains("UTF-8")));
}
