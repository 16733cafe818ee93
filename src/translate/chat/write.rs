//! A request, for a provider: everything but its messages, which are [`super::render`]'s.

use super::super::canonical::{Output, Request, Tool, ToolChoice};
use super::super::peek::BadBody;
use super::super::sides::{Target, Written};
use super::families::Family;
use super::names;
use super::read::EFFORTS;
use super::render::{self, Message};
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

/// What a schema is called whose client has no name for it: the reference asks for one.
const UNNAMED_SCHEMA: &str = "answer";

/// Writes a request for a provider.
///
/// Source: OpenAI's API reference, "Create chat completion". Beyond it: text alone is never sent as a list of parts,
/// which some imitators refuse; usage is always asked for.
///
/// # Errors
/// When a medium can't be sent in this dialect at all: sound of another format than the reference has, documents by
/// their address, video.
pub fn write(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let messages = render::messages(request, &mut written)?;
    let tools: Vec<WireTool<'_>> = request.tools.iter().map(|tool| function(tool, &mut written)).collect();
    let family = Family::of(target.model);
    let limit = limit(request, target, &mut written);
    let sampled = |value: Option<f64>, name: &'static str, written: &mut Written| {
        let value = value.filter(|value| value.is_finite());
        if value.is_some() && !family.samples {
            written.lose(name);
        }
        value.filter(|_| family.samples)
    };
    let body = Body {
        model: target.model,
        messages,
        tool_choice: if tools.is_empty() { None } else { choice(&request.tool_choice) },
        parallel_tool_calls: request.parallel_tool_calls.filter(|may| !may && !tools.is_empty()),
        tools,
        max_tokens: limit.filter(|_| !family.limits_completion),
        max_completion_tokens: limit.filter(|_| family.limits_completion),
        temperature: sampled(request.temperature, "temperature", &mut written),
        top_p: sampled(request.top_p, "top_p", &mut written),
        seed: request.seed,
        presence_penalty: sampled(request.presence_penalty, "penalties", &mut written),
        frequency_penalty: sampled(request.frequency_penalty, "penalties", &mut written),
        stop: &request.stop,
        response_format: format(&request.output),
        reasoning_effort: effort(request, family, &mut written),
        user: request.user.as_deref(),
        stream: request.streams,
        stream_options: request.streams.then_some(StreamOptions { include_usage: true }),
    };
    written.body = serde_json::to_vec(&body)
        .map_err(|error| BadBody(format!("the request can't be written as a chat completion: {error}")))?;
    Ok(written)
}

fn function<'r>(tool: &'r Tool<'_>, written: &mut Written) -> WireTool<'r> {
    let name = names::sent(&tool.name);
    if let Cow::Owned(sent) = &name {
        written.renamed.push((sent.clone(), tool.name.clone().into_owned()));
    }
    WireTool::Function(Function {
        name,
        description: tool.description.as_deref(),
        parameters: Parameters(tool.parameters),
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
            Some(Choice::One { kind: "function", function: Named { name: names::sent(name) } })
        }
    }
}

/// The limit of the answer, no more than the model is known to take: more would be refused.
fn limit(request: &Request<'_>, target: &Target<'_>, written: &mut Written) -> Option<u64> {
    let asked = request.max_output_tokens?;
    let most = target.max_output_tokens.unwrap_or(u64::MAX);
    if asked > most {
        written.lose("max_tokens");
    }
    Some(asked.min(most))
}

fn format<'r>(output: &'r Output<'_>) -> Option<Format<'r>> {
    match output {
        Output::Text => None,
        Output::Json => Some(Format::JsonObject),
        Output::Schema { name, schema, strict } => Some(Format::JsonSchema {
            json_schema: JsonSchema {
                name: name.as_deref().map_or(Cow::Borrowed(UNNAMED_SCHEMA), names::sent),
                schema,
                strict: *strict,
            },
        }),
    }
}

fn effort(request: &Request<'_>, family: &Family, written: &mut Written) -> Option<&'static str> {
    let asked = request.reasoning?;
    let nearest = family.nearest(asked);
    let wanted = asked.effort();
    if wanted.is_some() && nearest.and_then(|it| it.effort()) != wanted {
        written.lose("reasoning_effort");
    }
    EFFORTS.iter().find(|(_, reasoning)| Some(*reasoning) == nearest).map(|(name, _)| *name)
}
