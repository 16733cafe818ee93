//! A client's request, into the hub: everything but its messages, which are [`super::conversation`]'s.
//!
//! Source: OpenAI's API reference, "Create chat completion", and what OpenAI's own SDKs can send.

use super::super::canonical::{Effort, Output, Reasoning, Request, Tool, ToolChoice};
use super::super::features::{Feature, Features};
use super::super::peek::BadBody;
use super::conversation::{self, Message};
use super::parse::{bad, parse};
use super::wire::{TextOr, Unknown, Words};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How `reasoning_effort` says what the hub means; of two names for one thing the first is written.
pub(super) const EFFORTS: [(&str, Reasoning); 7] = [
    ("none", Reasoning::Off),
    ("minimal", Reasoning::Effort(Effort::Minimal)),
    ("low", Reasoning::Effort(Effort::Low)),
    ("medium", Reasoning::Effort(Effort::Medium)),
    ("high", Reasoning::Effort(Effort::High)),
    ("xhigh", Reasoning::Effort(Effort::Max)),
    ("max", Reasoning::Effort(Effort::Max)),
];

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
    stop: Option<TextOr<'a, Vec<Words<'a>>>>,
    #[serde(borrow)]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(borrow)]
    reasoning_effort: Option<Words<'a>>,
    stream: Option<bool>,
    #[serde(borrow)]
    user: Option<Words<'a>>,
    #[serde(borrow)]
    safety_identifier: Option<Words<'a>>,
    n: Option<u64>,
    logprobs: Option<bool>,
    top_logprobs: Option<u64>,
    #[serde(borrow)]
    logit_bias: Option<&'a RawValue>,
    #[serde(borrow)]
    modalities: Option<Vec<Words<'a>>>,
    audio: Option<IgnoredAny>,
    web_search_options: Option<IgnoredAny>,
    functions: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    service_tier: Option<Words<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    store: Option<bool>,
    prediction: Option<IgnoredAny>,
    verbosity: Option<IgnoredAny>,
    /// Read by [`super::super::peek`], as the next.
    #[serde(rename = "model")]
    _model: Option<IgnoredAny>,
    #[serde(rename = "stream_options")]
    _stream_options: Option<IgnoredAny>,
    /// Says nothing without `functions`.
    #[serde(rename = "function_call")]
    _function_call: Option<IgnoredAny>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Deserialize)]
struct WireTool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Words<'a>>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
    cache_control: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: Words<'a>,
    #[serde(borrow)]
    description: Option<Words<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Words<'a>,
    #[serde(borrow)]
    function: Option<Named<'a>>,
    #[serde(borrow)]
    allowed_tools: Option<AllowedTools<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Words<'a>,
}

#[derive(Deserialize)]
struct AllowedTools<'a> {
    #[serde(borrow)]
    mode: Words<'a>,
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
    kind: Words<'a>,
    #[serde(borrow)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct JsonSchema<'a> {
    #[serde(borrow)]
    name: Option<Words<'a>>,
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
    let mut body: Body<'_> = parse(body)?;
    let mut request = Request { features: features(&body), ..Request::default() };
    conversation::read(std::mem::take(&mut body.messages), &mut request)?;
    read_tools(body.tools.unwrap_or_default(), &mut request)?;
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
        Some(TextOr::Text(text)) => vec![text],
        Some(TextOr::Other(list)) => list.into_iter().map(|Words(text)| text).collect(),
    };
    request.output = body.response_format.map_or(Ok(Output::Text), output)?;
    request.reasoning = body.reasoning_effort.map(|effort| reasoning(&effort)).transpose()?;
    request.shows_thoughts = request.reasoning.is_some_and(|reasoning| reasoning != Reasoning::Off);
    request.user = body.safety_identifier.or(body.user).map(|Words(user)| user);
    request.streams = body.stream.unwrap_or_default();
    note_read(&mut request);
    Ok(request)
}

/// What is asked for that the hub has no word for.
fn features(body: &Body<'_>) -> Features {
    let says = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get() != "{}");
    let is_other_than = |words: &Option<Words<'_>>, usual: &str| words.as_ref().is_some_and(|it| it.0 != usual);
    let speaks = |modalities: &Vec<Words<'_>>| modalities.iter().any(|Words(modality)| modality != "text");
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
        (Feature::Other, body.unknown.0),
    ];
    let mut features = Features::NONE;
    for (feature, is_asked) in asks {
        features.insert_if(is_asked, feature);
    }
    features
}

/// Notes what the hub has a word for, but not every dialect.
fn note_read(request: &mut Request<'_>) {
    let says = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty != 0.0);
    let asks = [
        (Feature::TopK, request.top_k.is_some()),
        (Feature::Seed, request.seed.is_some()),
        (Feature::Penalties, says(request.presence_penalty) || says(request.frequency_penalty)),
        (Feature::SerialCalls, request.parallel_tool_calls == Some(false) && !request.tools.is_empty()),
        (Feature::FiveStops, request.stop.len() > 4),
        (Feature::SixStops, request.stop.len() > 5),
        (Feature::User, request.user.is_some()),
    ];
    for (feature, is_asked) in asks {
        request.features.insert_if(is_asked, feature);
    }
}

fn read_tools<'a>(tools: Vec<WireTool<'a>>, request: &mut Request<'a>) -> Result<(), BadBody> {
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
        if function.parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
            return Err(bad(format_args!("tools[{at}].function.parameters"), "must be a JSON schema, an object"));
        }
        request.features.insert_if(tool.cache_control.is_some(), Feature::CacheMarks);
        request.tools.push(Tool {
            name: function.name.0,
            description: function.description.map(|Words(text)| text),
            parameters: function.parameters,
            strict: function.strict,
            ends_cache: tool.cache_control.is_some(),
        });
    }
    Ok(())
}

/// Reads `tool_choice`. A list of allowed tools is the same as having only these: what OpenAI gains by telling them
/// apart is a cached prompt.
fn choose<'a>(choice: TextOr<'a, WireChoice<'a>>, request: &mut Request<'a>) -> Result<(), BadBody> {
    const FIELD: &str = "tool_choice";
    let choice = match choice {
        TextOr::Text(word) => mode(&word).ok_or_else(|| bad(FIELD, "must be auto, none, required or an object"))?,
        TextOr::Other(WireChoice { kind, function, allowed_tools }) => match (&*kind.0, function, allowed_tools) {
            ("function", Some(function), _) => ToolChoice::One(function.name.0),
            ("allowed_tools", _, Some(allowed)) => {
                let names = |tool: &AllowedTool<'a>, name: &str| tool.function.as_ref().is_some_and(|it| it.name.0 == name);
                request.tools.retain(|tool| allowed.tools.iter().any(|it| names(it, &tool.name)));
                mode(&allowed.mode.0)
                    .ok_or_else(|| bad("tool_choice.allowed_tools.mode", "must be auto or required"))?
            }
            ("custom", ..) => {
                request.features.insert(Feature::CustomTools);
                return Ok(());
            }
            _ => return Err(bad(FIELD, "must have the type function, allowed_tools or custom, and what belongs to it")),
        },
    };
    match &choice {
        // Without tools these two say what holds anyway.
        ToolChoice::Auto | ToolChoice::None if request.tools.is_empty() => return Ok(()),
        // Other kinds of tools were left out, and make that nobody gets the request.
        _ if request.features.contains(Feature::CustomTools) || request.features.contains(Feature::ServerTools) => {}
        ToolChoice::Any if request.tools.is_empty() => return Err(bad(FIELD, "asks for a tool, but there is none")),
        ToolChoice::One(name) if request.tools.iter().all(|tool| tool.name != *name) => {
            return Err(bad("tool_choice.function.name", "is none of `tools`"));
        }
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Any | ToolChoice::One(_) => {}
    }
    request.tool_choice = choice;
    Ok(())
}

fn mode<'a>(word: &str) -> Option<ToolChoice<'a>> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Any),
        _ => None,
    }
}

fn output(format: ResponseFormat<'_>) -> Result<Output<'_>, BadBody> {
    match (&*format.kind.0, format.json_schema) {
        ("text", _) => Ok(Output::Text),
        ("json_object", _) => Ok(Output::Json),
        ("json_schema", Some(JsonSchema { name, schema: Some(schema), strict })) if schema.get().starts_with('{') => {
            Ok(Output::Schema { name: name.map(|Words(name)| name), schema, strict })
        }
        ("json_schema", _) => Err(bad("response_format.json_schema.schema", "must be a JSON schema, an object")),
        _ => Err(bad("response_format.type", "must be text, json_object or json_schema")),
    }
}

fn reasoning(Words(effort): &Words<'_>) -> Result<Reasoning, BadBody> {
    let known = EFFORTS.iter().find(|(name, _)| name == effort);
    known.map(|(_, reasoning)| *reasoning).ok_or_else(|| {
        let names: Vec<Cow<'_, str>> = EFFORTS.iter().map(|(name, _)| Cow::Borrowed(*name)).collect();
        bad("reasoning_effort", &format!("must be one of {}", names.join(", ")))
    })
}
