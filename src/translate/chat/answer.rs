//! A whole answer: a provider's into the hub, and the hub's for a client.

use super::super::canonical::{Answer, Call, Finish, Part, Thought};
use super::super::sides::Asked;
use super::super::usage::reported;
use super::finish::{self, Said};
use super::message::{self, Message, ToolCall};
use super::parse::arguments;
use super::render::{WireCall, joined, refusal, texts};
use super::usage::Usage;
use super::wire::Maybe;
use crate::domain::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Maybe<'a>,
    #[serde(borrow, default)]
    model: Maybe<'a>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow, default)]
    finish_reason: Maybe<'a>,
}

/// Reads a provider's whole answer; `None` if it isn't one, if it broke, or if its calls' arguments are no JSON. A call
/// that the limit cut short is left out, as nobody can make it.
///
/// Source: OpenAI's API reference, "The chat completion object".
pub fn read_answer(body: &[u8]) -> Option<Answer<'_>> {
    let body: Body<'_> = serde_json::from_str(std::str::from_utf8(body).ok()?).ok()?;
    let Choice { mut message, finish_reason } = body.choices.into_iter().next()?;
    let id = body.id.or_empty();
    let mut parts = Vec::new();
    parts.extend(message.take_thought().map(|text| Part::Thought(Thought { text, ..Thought::default() })));
    parts.extend(message.take_text().map(Part::text));
    let refusal = message.refusal.0;
    let calls = message.tool_calls.unwrap_or_default();
    let said = Said { calls: !calls.is_empty(), refuses: refusal.is_some() };
    let finish = finish::read(finish_reason.0.as_deref().unwrap_or("stop"), said)?;
    parts.extend(refusal.map(Part::Refusal));
    for (nth, call) in calls.into_iter().enumerate() {
        match read_call(call, &id, nth) {
            Some(call) => parts.push(Part::Call(call)),
            None if finish == Finish::Length => {}
            None => return None,
        }
    }
    let usage = body.usage.and_then(|usage| reported(Dialect::OpenAi, usage.get().as_bytes()));
    Some(Answer { id, model: body.model.or_empty(), parts, finish, usage: usage.unwrap_or_default() })
}

fn read_call<'a>(call: ToolCall<'a>, answer_id: &str, nth: usize) -> Option<Call<'a>> {
    let function = call.function?;
    let arguments = arguments(function.arguments())?;
    let id = call.id.0.unwrap_or_else(|| Cow::Owned(message::made_up_id(answer_id, nth)));
    Some(Call { id, name: function.name.0?, arguments, signature: None, ends_cache: false })
}

#[derive(Serialize)]
struct Completion<'r> {
    id: Cow<'r, str>,
    object: &'static str,
    created: u64,
    model: &'r str,
    choices: [Finished<'r>; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Finished<'r> {
    index: u64,
    message: Assistant<'r>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Assistant<'r> {
    role: &'static str,
    content: Option<Cow<'r, str>>,
    refusal: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'r>>,
}

/// Writes an answer for a client. Signatures have no place in it, and are left out.
///
/// Source: OpenAI's API reference, "The chat completion object"; `reasoning_content` is DeepSeek's, and understood by
/// the clients of all imitators.
pub fn write_answer(answer: &Answer<'_>, asked: &Asked<'_>) -> Vec<u8> {
    let parts = &answer.parts;
    let refusal = joined(parts.iter().filter_map(refusal), "");
    let finish_reason = finish::name(&answer.finish, refusal.is_some());
    let calls = parts.iter().filter_map(|part| match part {
        Part::Call(call) => Some(WireCall::new(call, Cow::Borrowed(&call.name))),
        Part::Text(_) | Part::Media(_) | Part::Result(_) | Part::Thought(_) | Part::Refusal(_) => None,
    });
    let message = Assistant {
        role: "assistant",
        content: joined(texts(parts), ""),
        refusal,
        reasoning_content: joined(parts.iter().filter_map(shown), ""),
        tool_calls: calls.collect(),
    };
    let completion = Completion {
        id: client_id(&answer.id, asked.request_id),
        object: "chat.completion",
        created: asked.created,
        model: &answer.model,
        choices: [Finished { index: 0, message, logprobs: None, finish_reason }],
        usage: answer.usage.into(),
    };
    let mut body = Vec::new();
    push(&mut body, &completion);
    body
}

/// The words of a thought, whoever signed it.
fn shown<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    match part {
        Part::Thought(thought) if !thought.text.is_empty() => Some(&thought.text),
        _ => None,
    }
}

/// The id of an answer as a client of this dialect knows such ids; made of the request's where the provider has none.
pub(super) fn client_id<'r>(id: &'r str, request_id: &str) -> Cow<'r, str> {
    const PREFIX: &str = "chatcmpl-";
    match id {
        id if id.starts_with(PREFIX) => Cow::Borrowed(id),
        "" => Cow::Owned(format!("{PREFIX}{request_id}")),
        id => Cow::Owned(format!("{PREFIX}{id}")),
    }
}

/// Appends JSON. What is written here are texts and numbers, which always can be, and a vector takes them all.
pub(super) fn push(out: &mut Vec<u8>, json: &impl Serialize) {
    let written = serde_json::to_writer(out, json);
    debug_assert!(written.is_ok(), "{written:?}");
}
