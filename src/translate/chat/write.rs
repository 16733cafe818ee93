//! A request, for a provider: everything but its messages, which are [`super::render`]'s.

use super::NAMES;
use super::families::Family;
use super::render::{self, Message};
use crate::translate::canonical::{Output, Reasoning, Request, Tool, ToolChoice};
use crate::translate::features::Feature;
use crate::translate::openai::{EFFORTS, UNNAMED_SCHEMA};
use crate::translate::peek::BadBody;
use crate::translate::pieces;
use crate::translate::room;
use crate::translate::sides::{Target, Written};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Message<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'r [Cow<'r, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

/// Usage is always asked for: it is metered, whether the client wants to see it or not.
#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", content = "function", rename = "function")]
enum WireTool<'r> {
    #[serde(rename = "function")]
    Function(Function<'r>),
}

#[derive(Serialize)]
struct Function<'r> {
    name: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    parameters: Parameters<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// A schema as it came. That of no arguments is spelt out, which OpenAI takes alike and some imitators ask for.
struct Parameters<'r>(Option<&'r RawValue>);

impl Serialize for Parameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Nothing {}

        if let Some(schema) = self.0 {
            return schema.serialize(serializer);
        }
        let mut schema = serializer.serialize_map(Some(2))?;
        schema.serialize_entry("type", "object")?;
        schema.serialize_entry("properties", &Nothing {})?;
        schema.end()
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'r> {
    Word(&'static str),
    One {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Named<'r>,
    },
}

#[derive(Serialize)]
struct Named<'r> {
    name: Cow<'r, str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'r> {
    JsonObject,
    JsonSchema { json_schema: JsonSchema<'r> },
}

#[derive(Serialize)]
struct JsonSchema<'r> {
    name: Cow<'r, str>,
    schema: &'r RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Writes a request for a provider.
///
/// Source: OpenAI's API reference, "Create chat completion". Beyond it: text alone is never sent as a list of parts,
/// which some imitators refuse; usage is always asked for.
///
/// # Errors
/// When a medium can't be sent in this dialect at all: sound of another format than the reference has, documents by
/// their address, video. When the model is to stop at texts and can't: what it says behind them would be taken for the
/// answer.
pub fn write(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let messages = render::messages(request, &mut written)?;
    let tools: Vec<WireTool<'_>> = request.tools.iter().map(|tool| function(tool, &mut written)).collect();
    let family = Family::of(target.model);
    if !request.stop.is_empty() && !family.stops {
        return Err(BadBody(
            "this provider's model can't be told where to stop; leave out the texts to stop at".to_owned(),
        ));
    }
    let limit = target.limit(request.max_output_tokens, &mut written);
    let reasoning = request.reasoning.and_then(|asked| family.nearest(asked));
    let samples = family.samples(reasoning);
    let sampled = |value: Option<f64>, feature: Feature, written: &mut Written| {
        let value = value.filter(|value| value.is_finite());
        if value.is_some() && !samples {
            written.lose(feature);
        }
        value.filter(|_| samples)
    };
    let body = Body {
        model: target.model,
        messages,
        tool_choice: if tools.is_empty() { None } else { choice(&request.tool_choice) },
        parallel_tool_calls: request.parallel_tool_calls.filter(|may| !may && !tools.is_empty()),
        tools,
        max_tokens: limit.filter(|_| !family.limits_completion),
        max_completion_tokens: limit.filter(|_| family.limits_completion),
        temperature: sampled(request.temperature, Feature::Temperature, &mut written),
        top_p: sampled(request.top_p, Feature::TopP, &mut written),
        seed: request.seed,
        presence_penalty: sampled(request.presence_penalty, Feature::Penalties, &mut written),
        frequency_penalty: sampled(request.frequency_penalty, Feature::Penalties, &mut written),
        stop: &request.stop,
        response_format: format(&request.output),
        reasoning_effort: effort(request.reasoning, reasoning, &mut written),
        user: request.user.as_deref(),
        stream: request.streams,
        stream_options: request.streams.then_some(StreamOptions { include_usage: true }),
    };
    written.body = pieces::written(&body, room::of_request(request))
        .map_err(|error| BadBody(format!("the request can't be written as a chat completion: {error}")))?;
    Ok(written)
}

fn function<'r>(tool: &'r Tool<'_>, written: &mut Written) -> WireTool<'r> {
    WireTool::Function(Function {
        name: NAMES.declared(&tool.name, written),
        description: tool.description.as_deref(),
        parameters: Parameters(tool.parameters.as_deref()),
        // What holds anyway isn't said: not every imitator knows the word.
        strict: tool.strict.filter(|is_strict| *is_strict),
    })
}

fn choice<'r>(choice: &'r ToolChoice<'_>) -> Option<Choice<'r>> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::Any => Some(Choice::Word("required")),
        ToolChoice::None => Some(Choice::Word("none")),
        ToolChoice::One(name) => {
            Some(Choice::One { kind: "function", function: Named { name: NAMES.sent(name) } })
        }
    }
}

fn format<'r>(output: &'r Output<'_>) -> Option<Format<'r>> {
    match output {
        Output::Text => None,
        Output::Json => Some(Format::JsonObject),
        Output::Schema { name, schema, strict } => Some(Format::JsonSchema {
            json_schema: JsonSchema {
                name: name.as_deref().map_or(Cow::Borrowed(UNNAMED_SCHEMA), |name| NAMES.sent(name)),
                schema,
                strict: *strict,
            },
        }),
    }
}

fn effort(
    asked: Option<Reasoning>,
    nearest: Option<Reasoning>,
    written: &mut Written,
) -> Option<&'static str> {
    let wanted = asked?.effort();
    if wanted.is_some() && nearest.and_then(Reasoning::effort) != wanted {
        written.lose(Feature::ForeignThoughts);
    }
    EFFORTS.iter().find(|(_, reasoning)| Some(*reasoning) == nearest).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Effort;
    use crate::translate::features::Features;
    use serde_json::{Value, json};

    fn target(model: &str) -> Target<'_> {
        Target { model, max_output_tokens: None }
    }

    fn written(request: &Request<'_>, target: &Target<'_>) -> (Value, Written) {
        let written = write(request, target).expect("can be written");
        (serde_json::from_slice(&written.body).expect("JSON"), written)
    }

    #[test]
    fn a_request_that_asks_for_nothing_more_has_nothing_more() {
        let (body, written) = written(&Request::default(), &target("m"));
        assert_eq!(body, json!({"model": "m", "messages": []}));
        assert!(written.lost.is_empty() && written.renamed.is_empty());
    }

    #[test]
    fn all_that_the_hub_has_a_word_for_is_written() {
        let schema: &RawValue = serde_json::from_str(r#"{ "b":1, "a":2 }"#).expect("JSON");
        let tool = |name: &'static str, parameters| Tool {
            name: name.into(),
            description: None,
            parameters,
            strict: Some(false),
            ends_cache: true,
        };
        let request = Request {
            tools: vec![tool("f", Some(Cow::Borrowed(schema))), tool("g", None)],
            tool_choice: ToolChoice::One("f".into()),
            parallel_tool_calls: Some(false),
            max_output_tokens: Some(9),
            temperature: Some(0.3),
            top_p: Some(1.0),
            top_k: Some(4),
            seed: Some(-1),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(-0.5),
            stop: vec!["a".into(), "b".into()],
            output: Output::Schema { name: None, schema: Cow::Borrowed(schema), strict: Some(true) },
            reasoning: Some(Reasoning::Budget(2_048)),
            user: Some("u".into()),
            streams: true,
            features: Features::NONE,
            ..Request::default()
        };
        let (body, written) = written(&request, &target("m"));
        let expected = json!({
            "model": "m", "messages": [],
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": 2}}},
                {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false, "max_tokens": 9, "temperature": 0.3, "top_p": 1.0, "seed": -1,
            "presence_penalty": 0.5, "frequency_penalty": -0.5, "stop": ["a", "b"],
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "answer", "schema": {"b": 1, "a": 2}, "strict": true}},
            "reasoning_effort": "low", "user": "u",
            "stream": true, "stream_options": {"include_usage": true},
        });
        assert_eq!(body, expected);
        let text = String::from_utf8(written.body).expect("UTF-8");
        assert!(text.contains(r#""parameters":{ "b":1, "a":2 }"#), "byte for byte: {text}");
    }

    #[test]
    fn each_choice_of_tools_is_written_if_there_are_any() {
        let tool =
            Tool { name: "f".into(), description: None, parameters: None, strict: None, ends_cache: false };
        for (tool_choice, expected) in [
            (ToolChoice::Auto, Value::Null),
            (ToolChoice::Any, json!("required")),
            (ToolChoice::None, json!("none")),
            (ToolChoice::One("f".into()), json!({"type": "function", "function": {"name": "f"}})),
        ] {
            let mut request = Request { tools: vec![tool.clone()], tool_choice, ..Request::default() };
            assert_eq!(written(&request, &target("m")).0["tool_choice"], expected);
            request.tools.clear();
            assert_eq!(written(&request, &target("m")).0["tool_choice"], Value::Null, "without tools");
        }
    }

    #[test]
    fn a_name_that_cant_be_sent_is_renamed_wherever_it_stands() {
        let tool = Tool {
            name: "a.b".into(),
            description: None,
            parameters: None,
            strict: Some(true),
            ends_cache: false,
        };
        let tool_choice = ToolChoice::One("a.b".into());
        let request = Request { tools: vec![tool], tool_choice, ..Request::default() };
        let (body, written) = written(&request, &target("m"));
        let sent = NAMES.sent("a.b").into_owned();
        assert_eq!(body["tools"][0]["function"]["name"], json!(sent));
        assert_eq!(body["tools"][0]["function"]["strict"], json!(true));
        assert_eq!(body["tool_choice"]["function"]["name"], json!(sent));
        assert_eq!(written.renamed, [(sent, "a.b".to_owned())]);
    }

    #[test]
    fn openais_reasoning_models_get_what_they_take_and_the_client_is_told() {
        let request = Request {
            max_output_tokens: Some(9),
            temperature: Some(0.3),
            top_p: Some(0.2),
            presence_penalty: Some(1.0),
            frequency_penalty: Some(1.0),
            reasoning: Some(Reasoning::Effort(Effort::Max)),
            ..Request::default()
        };
        let (body, written) = written(&request, &target("o3-mini"));
        let expected = json!({
            "model": "o3-mini", "messages": [], "max_completion_tokens": 9, "reasoning_effort": "high",
        });
        assert_eq!(body, expected);
        assert_eq!(written.lost, ["temperature", "top_p", "penalties", "thinking"]);
    }

    #[test]
    fn thinking_asked_of_a_model_that_cant_is_left_out_and_named() {
        for (reasoning, lost) in
            [(Reasoning::Off, None), (Reasoning::Dynamic, None), (Reasoning::Budget(5_000), Some("thinking"))]
        {
            let request = Request { reasoning: Some(reasoning), ..Request::default() };
            let (body, written) = written(&request, &target("gpt-4o"));
            assert_eq!(body["reasoning_effort"], Value::Null);
            assert_eq!(written.lost.first().copied(), lost, "{reasoning:?}");
        }
    }

    #[test]
    fn a_limit_of_what_the_model_can_say_stays_and_one_past_it_is_lowered_and_named() {
        for (asked, lost) in [(100, None), (101, Some("max_tokens"))] {
            let request = Request { max_output_tokens: Some(asked), ..Request::default() };
            let target = Target { model: "m", max_output_tokens: Some(100) };
            let (body, written) = written(&request, &target);
            assert_eq!(body["max_tokens"], json!(100));
            assert_eq!(written.lost.first().copied(), lost);
        }
    }
}
