//! A client's request, into the hub: everything but its messages, which are [`super::conversation`]'s.
//!
//! Source: OpenAI's API reference, "Create chat completion", and what OpenAI's own SDKs can send.

use super::conversation::{self, Message};
use crate::translate::canonical::{Output, Reasoning, Request, Tool, ToolChoice};
use crate::translate::elements;
use crate::translate::features::{Feature, Features};
use crate::translate::field::{bad, parse};
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Str, TextOr};
use crate::translate::schemas::Room;
use crate::translate::unknown::Noted;
use crate::translate::{choice, openai};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow)]
    tools: Option<Vec<WireTool<'a>>>,
    #[serde(borrow)]
    tool_choice: Option<TextOr<'a, WireChoice<'a>>>,
    parallel_tool_calls: Option<bool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    /// Not OpenAI's, but many imitators', and other dialects have it.
    top_k: Option<i64>,
    seed: Option<i64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    #[serde(borrow)]
    stop: Option<TextOr<'a, Vec<Str<'a>>>>,
    #[serde(borrow)]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(borrow)]
    reasoning_effort: Option<Str<'a>>,
    stream: Option<bool>,
    #[serde(borrow)]
    user: Option<Str<'a>>,
    #[serde(borrow)]
    safety_identifier: Option<Str<'a>>,
    n: Option<u64>,
    logprobs: Option<bool>,
    top_logprobs: Option<u64>,
    #[serde(borrow)]
    logit_bias: Option<&'a RawValue>,
    #[serde(borrow)]
    modalities: Option<Vec<Str<'a>>>,
    audio: Option<IgnoredAny>,
    web_search_options: Option<IgnoredAny>,
    functions: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    service_tier: Option<Str<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    store: Option<bool>,
    prediction: Option<IgnoredAny>,
    verbosity: Option<IgnoredAny>,
    /// Read by [`crate::translate::peek`], as the next.
    #[serde(rename = "model")]
    _model: Option<IgnoredAny>,
    #[serde(rename = "stream_options")]
    _stream_options: Option<IgnoredAny>,
    /// Says nothing without `functions`.
    #[serde(rename = "function_call")]
    _function_call: Option<IgnoredAny>,
}

const _: () = elements::fit::<WireTool<'_>>();

#[derive(Deserialize)]
struct WireTool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
    cache_control: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    description: Option<Str<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    function: Option<Named<'a>>,
    #[serde(borrow)]
    allowed_tools: Option<AllowedTools<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

#[derive(Deserialize)]
struct AllowedTools<'a> {
    #[serde(borrow)]
    mode: Str<'a>,
    #[serde(borrow)]
    tools: Vec<AllowedTool<'a>>,
}

#[derive(Deserialize)]
struct AllowedTool<'a> {
    #[serde(borrow)]
    function: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct JsonSchema<'a> {
    #[serde(borrow)]
    name: Option<Str<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

/// Reads a client's request.
///
/// Source: OpenAI's API reference, "Create chat completion".
///
/// # Errors
/// When it isn't the JSON that the reference has, a call has no result that directly follows its turn, a result has no
/// call, arguments are no JSON object, or bytes no base64. The error names the field.
pub fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let Noted { known: mut body, has_unknown } = parse::<Noted<Body<'_>>>(body)?;
    let mut request = Request { features: features(&body), ..Request::default() };
    request.features.insert_if(has_unknown, Feature::Other);
    conversation::read(std::mem::take(&mut body.messages), &mut request)?;
    let mut schemas = Room::default();
    read_tools(body.tools.unwrap_or_default(), &mut schemas, &mut request)?;
    if let Some(choice) = body.tool_choice {
        choose(choice, &mut request)?;
    }
    request.parallel_tool_calls = body.parallel_tool_calls;
    request.max_output_tokens = body.max_completion_tokens.or(body.max_tokens);
    request.temperature = body.temperature;
    request.top_p = body.top_p;
    request.top_k = body.top_k.and_then(|top_k| u64::try_from(top_k).ok()).filter(|top_k| *top_k > 0);
    request.seed = body.seed;
    request.presence_penalty = body.presence_penalty;
    request.frequency_penalty = body.frequency_penalty;
    request.stop = match body.stop {
        None => Vec::new(),
        Some(TextOr::Text(text)) => vec![text.into_plain()],
        Some(TextOr::Other(list)) => list.into_iter().map(|Str(text)| text).collect(),
    };
    request.output = body.response_format.map_or(Ok(Output::Text), |format| output(format, &mut schemas))?;
    let effort = body.reasoning_effort.map(|Str(effort)| openai::reasoning(&effort)).transpose();
    request.reasoning = effort.map_err(|why| bad("reasoning_effort", why))?;
    request.shows_thoughts = request.reasoning.is_some_and(|reasoning| reasoning != Reasoning::Off);
    request.user = body.safety_identifier.or(body.user).map(|Str(user)| user);
    request.streams = body.stream.unwrap_or_default();
    request.note_settings();
    Ok(request)
}

/// What is asked for that the hub has no word for.
fn features(body: &Body<'_>) -> Features {
    let says = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get() != "{}");
    let is_other_than = |words: &Option<Str<'_>>, usual: &str| words.as_ref().is_some_and(|it| it.0 != usual);
    let speaks = |modalities: &Vec<Str<'_>>| modalities.iter().any(|Str(modality)| modality != "text");
    let asks = [
        (Feature::Logprobs, body.logprobs == Some(true) || body.top_logprobs.is_some_and(|top| top > 0)),
        (Feature::SeveralAnswers, body.n.is_some_and(|n| n != 1)),
        (Feature::LogitBias, says(body.logit_bias)),
        (Feature::MediaOutput, body.audio.is_some() || body.modalities.as_ref().is_some_and(speaks)),
        (Feature::ServerTools, body.web_search_options.is_some()),
        (Feature::CustomTools, body.functions.as_ref().is_some_and(|functions| !functions.is_empty())),
        (Feature::ServiceTier, is_other_than(&body.service_tier, "auto")),
        (Feature::Labels, body.store == Some(true) || says(body.metadata)),
        (Feature::Prediction, body.prediction.is_some()),
        (Feature::Verbosity, body.verbosity.is_some()),
    ];
    let mut features = Features::NONE;
    for (feature, is_asked) in asks {
        features.insert_if(is_asked, feature);
    }
    features
}

fn read_tools<'a>(
    tools: Vec<WireTool<'a>>,
    schemas: &mut Room,
    request: &mut Request<'a>,
) -> Result<(), BadBody> {
    request.tools.reserve(tools.len());
    for (at, tool) in tools.into_iter().enumerate() {
        let other = match tool.kind.as_ref().map_or("function", |kind| &kind.0) {
            "function" => None,
            "custom" => Some(Feature::CustomTools),
            _ => Some(Feature::ServerTools),
        };
        if let Some(feature) = other {
            request.features.insert(feature);
            continue;
        }
        let Some(function) = tool.function else {
            return Err(bad(format_args!("tools[{at}].function"), "is missing"));
        };
        if function.name.0.is_empty() {
            return Err(bad(format_args!("tools[{at}].function.name"), "must not be empty"));
        }
        let parameters = function.parameters.map(|schema| schemas.take(schema)).transpose();
        let parameters =
            parameters.map_err(|why| bad(format_args!("tools[{at}].function.parameters"), why))?;
        request.features.insert_if(tool.cache_control.is_some(), Feature::CacheMarks);
        request.tools.push(Tool {
            name: function.name.0,
            description: function.description.map(|Str(text)| text),
            parameters,
            strict: function.strict,
            ends_cache: tool.cache_control.is_some(),
        });
    }
    Ok(())
}

/// Reads `tool_choice`.
fn choose<'a>(choice: TextOr<'a, WireChoice<'a>>, request: &mut Request<'a>) -> Result<(), BadBody> {
    const FIELD: &str = "tool_choice";
    request.tool_choice = match choice {
        TextOr::Text(word) => openai::choice(&word.plain())
            .ok_or_else(|| bad(FIELD, "must be auto, none, required or an object"))?,
        TextOr::Other(WireChoice { kind, function, allowed_tools }) => {
            match (&*kind.0, function, allowed_tools) {
                ("function", Some(function), _) => ToolChoice::One(function.name.0),
                ("allowed_tools", _, Some(allowed)) => {
                    let names = allowed.tools.into_iter().map(|tool| tool.function.map(|it| it.name.0));
                    let names: Vec<_> =
                        names.enumerate().filter_map(|(at, name)| Some((at, name?))).collect();
                    let field = |at| format!("tool_choice.allowed_tools.tools[{at}].function.name");
                    choice::keep_listed(&mut request.tools, &names, request.features, field)?;
                    openai::choice(&allowed.mode.0)
                        .ok_or_else(|| bad("tool_choice.allowed_tools.mode", "must be auto or required"))?
                }
                ("custom", ..) => {
                    request.features.insert(Feature::CustomTools);
                    return Ok(());
                }
                _ => {
                    return Err(bad(
                        FIELD,
                        "must have the type function, allowed_tools or custom, and what belongs to it",
                    ));
                }
            }
        }
    };
    Ok(())
}

fn output<'a>(format: ResponseFormat<'a>, schemas: &mut Room) -> Result<Output<'a>, BadBody> {
    const SCHEMA: &str = "response_format.json_schema.schema";
    match (&*format.kind.0, format.json_schema) {
        ("text", _) => Ok(Output::Text),
        ("json_object", _) => Ok(Output::Json),
        ("json_schema", Some(JsonSchema { name, schema: Some(schema), strict })) => {
            let schema = schemas.take(schema).map_err(|why| bad(SCHEMA, why))?;
            Ok(Output::Schema { name: name.map(|Str(name)| name), schema, strict })
        }
        ("json_schema", _) => Err(bad(SCHEMA, "is missing")),
        _ => Err(bad("response_format.type", "must be text, json_object or json_schema")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Effort;
    use crate::translate::openai::EFFORTS;
    use serde_json::{Value, json};

    /// A request with these members beside its one message.
    fn body(members: &Value) -> Vec<u8> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in members.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body.to_string().into_bytes()
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
    }

    #[test]
    fn what_the_hub_has_a_word_for_is_read() {
        let members = json!({
            "max_tokens": 5, "max_completion_tokens": 7, "temperature": 1, "top_p": 0.5, "top_k": 40, "seed": -3,
            "presence_penalty": -1.5, "frequency_penalty": 2, "stop": "end", "parallel_tool_calls": false,
            "user": "old", "safety_identifier": "u1", "stream": true, "stream_options": {"include_usage": true},
            "reasoning_effort": "xhigh", "tools": [tool("f")], "tool_choice": "required",
        });
        let body = body(&members);
        let request = read(&body).expect("good");
        assert_eq!(request.max_output_tokens, Some(7));
        assert_eq!((request.temperature, request.top_p, request.top_k), (Some(1.0), Some(0.5), Some(40)));
        assert_eq!(request.seed, Some(-3));
        assert_eq!((request.presence_penalty, request.frequency_penalty), (Some(-1.5), Some(2.0)));
        assert_eq!(request.stop, ["end"]);
        assert_eq!(request.parallel_tool_calls, Some(false));
        assert_eq!(request.user.as_deref(), Some("u1"));
        assert!(request.streams && request.shows_thoughts);
        assert_eq!(request.reasoning, Some(Reasoning::Effort(Effort::Max)));
        assert_eq!(request.tool_choice, ToolChoice::Any);
        for feature in [Feature::TopK, Feature::Seed, Feature::Penalties, Feature::SerialCalls, Feature::User]
        {
            assert!(request.features.contains(feature), "{feature:?}");
        }
        assert!(!request.features.contains(Feature::Other));
    }

    #[test]
    fn a_tools_schema_is_kept_byte_for_byte() {
        let body = br#"{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":
            {"name":"f","description":"d","strict":true,"parameters":{ "b" : 1,"a":[ ] }}},
            {"type":"function","function":{"name":"g","parameters":null}}]}"#;
        let tools = read(body).expect("good").tools;
        assert_eq!(tools[0].parameters.as_deref().map(RawValue::get), Some(r#"{ "b" : 1,"a":[ ] }"#));
        assert_eq!((tools[0].strict, tools[0].description.as_deref()), (Some(true), Some("d")));
        assert!(tools[1].parameters.is_none());
    }

    #[test]
    fn each_effort_is_one_of_the_hubs() {
        for (name, expected) in EFFORTS {
            let body = body(&json!({"reasoning_effort": name}));
            let request = read(&body).expect(name);
            assert_eq!(request.reasoning, Some(expected), "{name}");
            assert_eq!(request.shows_thoughts, name != "none", "{name}");
        }
    }

    #[test]
    fn a_choice_of_tools_is_read_in_each_of_its_forms() {
        let one = |name: &'static str| ToolChoice::One(name.into());
        let allowed =
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}});
        for (choice, expected, tools) in [
            (json!("auto"), ToolChoice::Auto, vec!["f", "g"]),
            (json!("none"), ToolChoice::None, vec!["f", "g"]),
            (json!("required"), ToolChoice::Any, vec!["f", "g"]),
            (json!({"type": "function", "function": {"name": "g"}}), one("g"), vec!["f", "g"]),
            (allowed, ToolChoice::Any, vec!["g"]),
        ] {
            let body = body(&json!({"tools": [tool("f"), tool("g")], "tool_choice": choice}));
            let request = read(&body).expect("good");
            assert_eq!(request.tool_choice, expected);
            assert_eq!(request.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), tools);
        }
    }

    #[test]
    fn the_form_of_the_answer_is_read() {
        let read_output = |format: Value| {
            let body = body(&json!({"response_format": format}));
            format!("{:?}", read(&body).map(|request| request.output).expect("good"))
        };
        assert_eq!(read_output(json!({"type": "text"})), "Text");
        assert_eq!(read_output(json!({"type": "json_object"})), "Json");
        let schema = json!({"name": "n", "strict": true, "schema": {"type": "object"}});
        let schema = read_output(json!({"type": "json_schema", "json_schema": schema}));
        assert!(schema.contains(r#"name: Some("n")"#) && schema.contains("strict: Some(true)"), "{schema}");
    }

    #[test]
    fn what_others_lack_is_noted_and_what_says_nothing_is_not() {
        let stops = |count: usize| json!({"stop": vec!["x"; count]});
        for (members, feature) in [
            (json!({"n": 2}), Feature::SeveralAnswers),
            (json!({"logprobs": true}), Feature::Logprobs),
            (json!({"top_logprobs": 1}), Feature::Logprobs),
            (json!({"logit_bias": {"1": 5}}), Feature::LogitBias),
            (stops(5), Feature::FiveStops),
            (stops(6), Feature::SixStops),
            (json!({"modalities": ["text", "audio"]}), Feature::MediaOutput),
            (json!({"audio": {"voice": "x"}}), Feature::MediaOutput),
            (json!({"web_search_options": {}}), Feature::ServerTools),
            (json!({"tools": [{"type": "web_search"}]}), Feature::ServerTools),
            (json!({"tools": [{"type": "custom", "custom": {"name": "x"}}]}), Feature::CustomTools),
            (json!({"functions": [{"name": "f"}], "function_call": "auto"}), Feature::CustomTools),
            (json!({"service_tier": "flex"}), Feature::ServiceTier),
            (json!({"metadata": {"a": "b"}}), Feature::Labels),
            (json!({"store": true}), Feature::Labels),
            (json!({"prediction": {"type": "content", "content": "x"}}), Feature::Prediction),
            (json!({"verbosity": "low"}), Feature::Verbosity),
            (json!({"min_p": 0.1}), Feature::Other),
            (json!({"prompt_cache_key": "k"}), Feature::Other),
        ] {
            let body = body(&members);
            assert!(read(&body).expect("good").features.contains(feature), "{members}");
        }
        for members in [
            stops(4),
            json!({"n": 1, "logprobs": false, "top_logprobs": 0, "logit_bias": {}, "modalities": ["text"]}),
            json!({"audio": null, "functions": [], "service_tier": "auto", "metadata": {}, "store": false}),
            json!({"min_p": null, "presence_penalty": 0, "top_k": -1, "parallel_tool_calls": false}),
        ] {
            let body = body(&members);
            assert_eq!(read(&body).expect("good").features, Features::NONE, "{members}");
        }
        let body = body(&stops(5));
        assert!(!read(&body).expect("good").features.contains(Feature::SixStops));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (members, start) in [
            (json!({"messages": "hi"}), "`messages` "),
            (json!({"temperature": "hot"}), "`temperature` "),
            (json!({"max_tokens": -1}), "`max_tokens` "),
            (json!({"stop": [1]}), "`stop[0]` "),
            (json!({"tools": [{"type": "function"}]}), "`tools[0].function` is missing"),
            (json!({"tools": [{"type": "function", "function": {}}]}), "`tools[0].function.name` is missing"),
            (json!({"tools": [tool("f"), tool("")]}), "`tools[1].function.name` "),
            (
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
                "`tools[0].function.parameters` ",
            ),
            (json!({"tool_choice": "sometimes", "tools": [tool("f")]}), "`tool_choice` must be"),
            (json!({"tool_choice": {"type": "x"}, "tools": [tool("f")]}), "`tool_choice` must have"),
            (
                json!({"tools": [tool("f")], "tool_choice":
                    {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("f"), tool("g")]}}}),
                "`tool_choice.allowed_tools.tools[1].function.name` ",
            ),
            (json!({"reasoning_effort": "immense"}), "`reasoning_effort` must be one of none, minimal"),
            (json!({"response_format": {"type": "xml"}}), "`response_format.type` "),
            (json!({"response_format": {"type": "json_schema"}}), "`response_format.json_schema.schema` "),
        ] {
            let body = body(&members);
            let BadBody(why) = read(&body).map(|_| ()).expect_err("bad");
            assert!(why.starts_with(start), "{why} for {members}");
        }
    }

    #[test]
    fn what_is_no_request_at_all_is_said_to_be_none() {
        for body in ["", "[]", "{", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} x", "7"] {
            let BadBody(why) = read(body.as_bytes()).map(|_| ()).expect_err(body);
            assert!(why.starts_with("the body"), "{why} for {body}");
        }
        assert!(read(b"{\"messages\":\"\xff\"}").is_err_and(|BadBody(why)| why.contains("UTF-8")));
    }
}
