//! The hub's request, for a provider that speaks Messages.
//!
//! Decides every setting; [`super::outgoing`] writes what is said, [`super::thinking`] how the model thinks. Writes only
//! what the vendor takes, and notes what that costs. Source: Anthropic's reference of `POST /v1/messages`.

use super::NAMES;
use super::answer_tool::{AnswerTool, PURPOSE};
use super::blocks::{Block, CacheControl};
use super::models::Model;
use super::outgoing::{Message, Outgoing, Role, check_results, merged, open_with_user, trim_last};
use super::schema;
use super::thinking::{self, Course, Generation, Thinking};
use crate::translate::canonical::{Output, Request, Tool, ToolChoice};
use crate::translate::features::Feature;
use crate::translate::peek::BadBody;
use crate::translate::pieces;
use crate::translate::room;
use crate::translate::sides::{Target, Written};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The limit of an answer where neither the client nor the operator sets one: what every model of Claude 3.5 and later
/// can say.
const MAX_TOKENS: u64 = 8_192;

/// The least `top_p` that is taken together with thinking. Source: Anthropic, "Extended thinking".
const MIN_THINKING_TOP_P: f64 = 0.95;

/// The longest `metadata.user_id`. Source: Anthropic's reference of `metadata`.
const MAX_USER: usize = 256;

/// Writes a request for a provider.
///
/// # Errors
/// When it can't be said in this API: a call without its result, arguments that are not a JSON object, a medium of a
/// kind that isn't taken.
pub fn write(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    write_with(request, target, true)
}

/// Writes a request whose tokens are to be counted: the vendor refuses a limit there. Source: Anthropic's reference of
/// `POST /v1/messages/count_tokens`.
///
/// # Errors
/// As [`write()`].
pub fn write_count(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    write_with(request, target, false)
}

fn write_with(request: &Request<'_>, target: &Target<'_>, has_limit: bool) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let limit = target.limit(request.max_output_tokens, &mut written);
    let max_tokens = limit.or(target.max_output_tokens).unwrap_or(MAX_TOKENS);
    let model = Model::of(target.model);
    let answer_tool = AnswerTool::of(request, model)?;
    let tool_choice = tool_choice(request, answer_tool.as_ref());
    written.answers_by = answer_tool.as_ref().map(|tool| tool.name.to_string());
    let mut outgoing = Outgoing::new(request, &mut written);
    let mut tools = request.tools.iter().map(|tool| tool_of(tool, &mut outgoing)).collect::<Vec<_>>();
    tools.extend(answer_tool.map(ToolParam::from));
    let system = outgoing.blocks(&request.system)?;
    let messages = outgoing.messages(request)?;
    if system.is_empty() && messages.is_empty() {
        return Err(BadBody("nothing is said; send at least one message with words in it".to_owned()));
    }
    let course = course(&messages, tool_choice.as_ref());
    let thinking = thinking::choose(request, model.generation, max_tokens, course, &mut written);
    let messages = settled(messages, thinking.map(|(thinking, _)| thinking), &mut written);
    check_results(&messages)?;
    let sampling = Sampling::of(request, model, thinking.is_some_and(|(it, _)| it.is_on()), &mut written);
    let body = Body {
        model: target.model,
        max_tokens: has_limit.then_some(max_tokens),
        system,
        messages,
        tool_choice,
        tools,
        sampling,
        stop_sequences: stops(request, &mut written),
        thinking: thinking.map(|(thinking, _)| thinking),
        output_config: output_config(request, model, thinking.and_then(|(_, effort)| effort), &mut written),
        metadata: user(request, &mut written).map(|user_id| Metadata { user_id }),
        stream: request.streams,
    };
    written.body = pieces::written(&body, room::of_request(request))
        .map_err(|why| BadBody(format!("the request: {why}")))?;
    Ok(written)
}

#[derive(Serialize)]
struct Body<'w> {
    model: &'w str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'w>>,
    messages: Vec<Message<'w>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolParam<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'w>>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'w>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct ToolParam<'w> {
    name: Cow<'w, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'w str>,
    input_schema: Schema<'w>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

/// The schema of a tool's arguments; one that takes none still has to have one.
#[derive(Serialize)]
#[serde(untagged)]
enum Schema<'w> {
    Own(Cow<'w, RawValue>),
    Nothing {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: Properties,
    },
}

#[derive(Serialize)]
struct Properties {}

#[derive(Serialize)]
struct Choice<'w> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'w, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Serialize)]
struct OutputConfig<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'w>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "json_schema")]
struct Format<'w> {
    schema: Cow<'w, RawValue>,
}

#[derive(Serialize)]
struct Metadata<'w> {
    user_id: &'w str,
}

#[derive(Default, Serialize)]
struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
}

impl Sampling {
    /// What is left of the request's own. 1 is the temperature of every model that isn't told another, so that leaving
    /// it out is no loss.
    fn of(request: &Request<'_>, model: &Model, thinks: bool, written: &mut Written) -> Sampling {
        let takes_none = model.generation == Generation::EffortsOnly;
        let mut temperature = request.temperature;
        if temperature.is_some_and(|it| it > 1.0) {
            temperature = Some(1.0);
            written.lose(Feature::Temperature);
        }
        if thinks || takes_none {
            if temperature.is_some_and(|it| it < 1.0) {
                written.lose(Feature::Temperature);
            }
            temperature = None;
        }
        let least = if thinks { MIN_THINKING_TOP_P } else { 0.0 };
        let is_free = !takes_none && (temperature.is_none() || model.samples_by_both);
        let top_p = request.top_p.filter(|it| is_free && *it >= least);
        if top_p != request.top_p {
            written.lose(Feature::TopP);
        }
        let top_k = request.top_k.filter(|_| !takes_none && !thinks);
        if top_k != request.top_k {
            written.lose(Feature::TopK);
        }
        Sampling { temperature, top_p, top_k }
    }
}

fn tool_of<'w>(tool: &'w Tool<'_>, outgoing: &mut Outgoing<'_>) -> ToolParam<'w> {
    let is_strict = tool.strict == Some(true);
    let input_schema = match tool.parameters.as_deref() {
        None => Schema::Nothing { kind: "object", properties: Properties {} },
        Some(schema) if is_strict => Schema::Own(schema::held(schema, outgoing.written)),
        Some(schema) => Schema::Own(Cow::Borrowed(schema)),
    };
    ToolParam {
        name: NAMES.declared(&tool.name, outgoing.written),
        description: tool.description.as_deref().filter(|it| !it.is_empty()),
        input_schema,
        strict: is_strict.then_some(true),
        cache_control: outgoing.mark(tool.ends_cache),
    }
}

impl<'w> From<AnswerTool<'w>> for ToolParam<'w> {
    fn from(tool: AnswerTool<'w>) -> ToolParam<'w> {
        let AnswerTool { name, schema, .. } = tool;
        let input_schema = Schema::Own(schema);
        ToolParam { name, description: Some(PURPOSE), input_schema, strict: None, cache_control: None }
    }
}

fn tool_choice<'w>(request: &'w Request<'_>, answer_tool: Option<&AnswerTool<'w>>) -> Option<Choice<'w>> {
    if let Some(tool) = answer_tool.filter(|tool| tool.is_alone) {
        // Two calls would be two answers in one text.
        return Some(Choice { kind: "tool", name: Some(tool.name.clone()), disable_parallel_tool_use: true });
    }
    if request.tools.is_empty() {
        return None;
    }
    let is_serial = request.parallel_tool_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        ToolChoice::Auto if answer_tool.is_some() => ("any", None),
        ToolChoice::Auto if !is_serial => return None,
        ToolChoice::Auto => ("auto", None),
        ToolChoice::Any => ("any", None),
        ToolChoice::None => ("none", None),
        ToolChoice::One(name) => ("tool", Some(NAMES.sent(name))),
    };
    Some(Choice { kind, name, disable_parallel_tool_use: is_serial && kind != "none" })
}

/// What of the conversation matters to thinking.
fn course(messages: &[Message<'_>], choice: Option<&Choice<'_>>) -> Course {
    let (last, before) = match messages {
        [.., before, last] => (Some(last), Some(before)),
        [last] => (Some(last), None),
        [] => (None, None),
    };
    let ends_with_model = last.is_some_and(|last| last.role == Role::Assistant);
    let has_results = last.is_some_and(|last| matches!(last.content.first(), Some(Block::ToolResult { .. })));
    let is_thought = before.and_then(|it| it.content.first()).is_some_and(Block::is_thought);
    let is_forced = choice.is_some_and(|choice| matches!(choice.kind, "any" | "tool"));
    Course { is_forced, is_unthought_loop: has_results && !is_thought, ends_with_model }
}

/// The messages without the thoughts that can't stand where they stand, the user's first, the model's last words trimmed.
///
/// Without thinking they say nothing to anybody; where nobody says whether to think, they may not stand in an answer that
/// the model is to go on from; and no turn of the model's may end with one.
fn settled<'w>(
    mut messages: Vec<Message<'w>>,
    thinking: Option<Thinking>,
    written: &mut Written,
) -> Vec<Message<'w>> {
    let is_off = thinking.is_some_and(|thinking| !thinking.is_on());
    let last = messages.len().saturating_sub(1);
    for (index, message) in messages.iter_mut().enumerate().filter(|(_, it)| it.role == Role::Assistant) {
        if is_off || index == last {
            message.content.retain(|block| !block.is_thought());
        }
        while message.content.pop_if(|block| block.is_thought()).is_some() {
            written.lose(Feature::ForeignThoughts);
        }
    }
    let mut messages = merged(messages);
    open_with_user(&mut messages);
    if trim_last(&mut messages) {
        written.lose(Feature::TrailingSpace);
    }
    messages
}

/// The texts to stop at. One of white space only is refused.
fn stops<'w>(request: &'w Request<'_>, written: &mut Written) -> Vec<&'w str> {
    let stops: Vec<&str> =
        request.stop.iter().map(AsRef::as_ref).filter(|it: &&str| !it.trim().is_empty()).collect();
    if stops.len() < request.stop.len() {
        written.lose(Feature::Stops);
    }
    stops
}

/// The form of the answer, where the vendor has a place for it. Elsewhere it is [`AnswerTool`]'s.
fn output_config<'w>(
    request: &'w Request<'_>,
    model: &Model,
    effort: Option<&'static str>,
    written: &mut Written,
) -> Option<OutputConfig<'w>> {
    let format = match &request.output {
        Output::Schema { schema, .. } if model.has_output_format => {
            Some(Format { schema: schema::held(schema, written) })
        }
        _ => None,
    };
    (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format })
}

fn user<'w>(request: &'w Request<'_>, written: &mut Written) -> Option<&'w str> {
    let user = request.user.as_deref().filter(|it| !it.is_empty())?;
    if user.len() > MAX_USER {
        written.lose(Feature::User);
        return None;
    }
    Some(user)
}
