//! Whole answers: a provider's into the hub's, and the hub's for a client.
//!
//! Source: Anthropic's reference of `Message`.

use super::blocks::{Block, Input};
use super::incoming;
use super::words::{self, StopDetails, Usage};
use crate::translate::canonical::{Answer, Call, Finish, Part, Signature, Thought};
use crate::translate::pieces::{self, Str, filled};
use crate::translate::reader;
use crate::translate::room;
use crate::translate::sides::{Asked, answer_id};
use crate::translate::signature;
use crate::translate::signs::Api;
use crate::translate::spoilt::Spoilt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What every id of a message begins with.
pub(super) const ID_PREFIX: &str = "msg_";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    content: Vec<incoming::Block<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow)]
    stop_sequence: Option<Str<'a>>,
    #[serde(borrow)]
    stop_details: Option<StopDetails<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Reads a provider's whole answer.
///
/// # Errors
/// If it isn't one, or calls a tool without a name.
pub fn read_answer(body: &[u8]) -> Result<Answer<'_>, Spoilt> {
    let message: Message<'_> = reader::read_bytes(body).map_err(|_| Spoilt::FOREIGN)?;
    let mut parts = Vec::with_capacity(message.content.len());
    for block in message.content {
        parts.extend(part(block)?);
    }
    let finish = match message.stop_reason {
        Some(reason) => words::finish(&reason.0, message.stop_sequence.map(|it| it.0)),
        // Not the vendor's own, who always gives a reason.
        None if parts.iter().any(|part| matches!(part, Part::Call(_))) => Finish::ToolCalls,
        None => Finish::Stop,
    };
    parts.extend(words::explanation(&finish, message.stop_details).map(Part::Refusal));
    Ok(Answer {
        id: message.id.map(|it| it.0).unwrap_or_default(),
        model: message.model.map(|it| it.0).unwrap_or_default(),
        parts,
        finish,
        usage: words::tokens(message.usage).unwrap_or_default(),
    })
}

/// Leaves out a call that the limit cut short, as nobody can make it. What the limit left of an answer by a tool of ours is
/// text by then.
pub fn drop_cut_call(answer: &mut Answer<'_>) {
    if answer.finish == Finish::Length {
        answer.parts.pop_if(|part| matches!(part, Part::Call(_)));
    }
}

/// The part of a block; none of a block that is only the vendor's, such as of a tool that it ran.
///
/// # Errors
/// If a block lacks what it is about.
fn part(block: incoming::Block<'_>) -> Result<Option<Part<'_>>, Spoilt> {
    const LACKS: Spoilt = Spoilt::FOREIGN;
    Ok(Some(match block.kind.as_ref() {
        "text" => Part::text(block.text.ok_or(LACKS)?),
        "thinking" => {
            let signature = filled(block.signature).map(own);
            Part::Thought(Thought { text: block.thinking.ok_or(LACKS)?.0, signature, is_redacted: false })
        }
        "redacted_thinking" => {
            let signature = Some(own(block.data.ok_or(LACKS)?.0));
            Part::Thought(Thought { text: "".into(), signature, is_redacted: true })
        }
        "tool_use" => Part::Call(Call {
            id: filled(block.id).ok_or(LACKS)?,
            name: filled(block.name).ok_or(Spoilt::BAD_CALL)?,
            arguments: block.input.ok_or(LACKS)?.get().into(),
            signature: None,
            ends_cache: false,
        }),
        _ => return Ok(None),
    }))
}

/// What the provider signed, which may be a gateway like us.
pub(super) fn own(text: Cow<'_, str>) -> Signature<'_> {
    signature::unwrap(text, Api::Messages).0
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "message")]
pub(super) struct MessageOut<'w> {
    pub(super) id: Cow<'w, str>,
    pub(super) role: &'static str,
    pub(super) model: &'w str,
    pub(super) content: Vec<Block<'w>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'w str>,
    pub(super) usage: Usage,
}

/// Writes an answer for a client.
pub fn write_answer(answer: &Answer<'_>, asked: &Asked<'_>) -> Vec<u8> {
    let mut content = Vec::with_capacity(answer.parts.len());
    for part in &answer.parts {
        write_part(part, &mut content);
    }
    let message = MessageOut {
        id: answer_id(ID_PREFIX, &answer.id, asked.request_id),
        role: "assistant",
        model: &answer.model,
        content,
        stop_reason: Some(words::stop_reason(&answer.finish)),
        stop_sequence: words::stop_sequence(&answer.finish),
        usage: answer.usage.into(),
    };
    // Texts, numbers and JSON that was checked: nothing that could fail.
    pieces::written(&message, room::of_answer(answer)).unwrap_or_default()
}

/// Blocks of a part. Media and results are nothing that a model says.
fn write_part<'w>(part: &'w Part<'_>, content: &mut Vec<Block<'w>>) {
    match part {
        Part::Text(text) => {
            content.extend((!text.text.is_empty()).then(|| Block::text(text.text.borrowed())));
        }
        Part::Refusal(text) => content.push(Block::text(text.as_ref())),
        Part::Call(call) => {
            // See the request's reader, which takes it from there.
            let signature = call.signature.as_ref().filter(|it| it.maker != Api::Messages);
            content.extend(signature.map(|it| Block::thought("", Some(it))));
            content.push(Block::ToolUse {
                id: call.id.as_ref().into(),
                name: call.name.as_ref().into(),
                input: Input::of(&call.arguments),
                cache_control: None,
            });
        }
        Part::Thought(Thought { signature: Some(signature), is_redacted: true, .. }) => {
            content.push(Block::RedactedThinking { data: signature::wrap(signature, Api::Messages) });
        }
        Part::Thought(thought) => content.push(Block::thought(&thought.text, thought.signature.as_ref())),
        Part::Media(_) | Part::Result(_) => {}
    }
}
