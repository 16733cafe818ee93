//! A provider's stream, into the hub. Copes with what imitators do to calls: no index or always the same, no id or one
//! that is said again with each piece, all of a call in one chunk.
//!
//! Budget: 2 µs for a chunk. Holds nothing of the answer but the id and the name of the call that is open.

use super::super::canonical::{Event, Finish};
use super::super::usage::reported;
use super::finish::{self, Said};
use super::message::{self, Message, ToolCall};
use super::wire::Maybe;
use crate::domain::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What ends a stream. It is no JSON.
const DONE: &[u8] = b"[DONE]";

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Maybe<'a>,
    #[serde(borrow, default)]
    model: Maybe<'a>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Maybe<'a>,
}

/// The call whose arguments are coming.
#[derive(Debug, Default)]
struct Open {
    /// The provider's index of it, if it has any.
    index: Option<u64>,
    /// The provider's id of it; empty if it has none.
    id: String,
    /// Empty until it was said: the call hasn't begun then.
    name: String,
}

/// Reads the chunks of one stream.
///
/// Source: OpenAI's API reference, "The chat completion chunk object".
#[derive(Debug, Default)]
pub struct Decoder {
    has_started: bool,
    answer_id: String,
    open: Option<Open>,
    /// The calls that have begun.
    calls: usize,
    refuses: bool,
    has_finished: bool,
    /// Whether a piece came for a call that had ended: what the client got of it isn't whole, and must not look so.
    is_broken: bool,
    has_ended: bool,
}

impl Decoder {
    /// Takes the data of one event. `false`: it wasn't understood, and nothing came of it.
    pub fn see(&mut self, data: &[u8], out: &mut dyn FnMut(Event<'_>)) -> bool {
        let data = data.trim_ascii();
        if data == DONE {
            self.finish(out);
            return true;
        }
        let chunk = std::str::from_utf8(data).ok().and_then(|text| serde_json::from_str::<Chunk<'_>>(text).ok());
        let Some(Chunk { id, model, choices: Some(choices), usage }) = chunk else { return false };
        if self.has_ended {
            return true;
        }
        let usage = usage.and_then(|usage| reported(Dialect::OpenAi, usage.get().as_bytes()));
        // Azure opens with a chunk of its own that has no choice, nor an id.
        if !self.has_started && (!choices.is_empty() || usage.is_some()) {
            self.has_started = true;
            let id = id.or_empty();
            self.answer_id.push_str(&id);
            out(Event::Start { id, model: model.or_empty() });
        }
        for choice in choices.into_iter().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.take(choice, out);
        }
        if let Some(usage) = usage {
            out(Event::Usage(usage));
        }
        true
    }

    /// The provider's stream is over, with its mark or without. One that is not finished has no end.
    pub fn finish(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        if self.has_finished && !self.has_ended {
            self.has_ended = true;
            out(Event::End);
        }
    }

    fn take(&mut self, choice: Choice<'_>, out: &mut dyn FnMut(Event<'_>)) {
        // Some say their finish again in the chunk of usage.
        if self.has_finished || self.is_broken {
            return;
        }
        let mut delta = choice.delta.unwrap_or_default();
        if let Some(thought) = delta.take_thought() {
            out(Event::Thought(thought));
        }
        if let Some(text) = delta.take_text() {
            out(Event::Text(text));
        }
        if let Some(refusal) = delta.refusal.0 {
            self.refuses = true;
            out(Event::Refusal(refusal));
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.take_call(call, out);
        }
        let reason = choice.finish_reason.0.filter(|reason| reason != "null");
        if let Some(finish) = reason.and_then(|reason| self.finish_of(&reason)) {
            self.has_finished = true;
            out(Event::Finish(finish));
        }
    }

    fn finish_of(&self, reason: &str) -> Option<Finish<'static>> {
        let has_nameless = self.open.as_ref().is_some_and(|open| open.name.is_empty());
        if self.is_broken || has_nameless {
            return None;
        }
        finish::read(reason, Said { calls: self.calls > 0, refuses: self.refuses })
    }

    fn take_call(&mut self, call: ToolCall<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let ToolCall { index, id, function } = call;
        let (name, arguments) = match function {
            Some(function) => {
                let arguments = function.arguments();
                (function.name.0, arguments)
            }
            None => (None, Cow::Borrowed("")),
        };
        let (id, name) = (id.0.as_deref().unwrap_or(""), name.as_deref().unwrap_or(""));
        match self.open.as_ref().map(|open| open.next(index, id, name)) {
            Some(Next::Piece) => {}
            Some(Next::Call) | None => {
                self.open = Some(Open { index, id: id.to_owned(), name: String::new() });
            }
            // Some close each call with an empty piece.
            Some(Next::Earlier) => {
                self.is_broken |= !arguments.is_empty();
                return;
            }
        }
        self.begin(id, name, out);
        if !arguments.is_empty() {
            let has_begun = self.open.as_ref().is_some_and(|open| !open.name.is_empty());
            if has_begun {
                out(Event::Arguments(arguments));
            } else {
                self.is_broken = true;
            }
        }
    }

    /// Begins the open call once its name is known.
    fn begin(&mut self, id: &str, name: &str, out: &mut dyn FnMut(Event<'_>)) {
        let Some(open) = self.open.as_mut().filter(|open| open.name.is_empty() && !name.is_empty()) else { return };
        open.name.push_str(name);
        if open.id.is_empty() {
            open.id.push_str(id);
        }
        let id = match open.id.as_str() {
            "" => Cow::Owned(message::made_up_id(&self.answer_id, self.calls)),
            id => Cow::Borrowed(id),
        };
        self.calls += 1;
        out(Event::Call { id, name: Cow::Borrowed(name), signature: None });
    }
}

/// What a piece of a call is, after those before.
enum Next {
    /// More of the open one.
    Piece,
    /// The first of another.
    Call,
    /// More of one that has ended.
    Earlier,
}

impl Open {
    fn next(&self, index: Option<u64>, id: &str, name: &str) -> Next {
        let is_other = |now: &str, open: &str| !now.is_empty() && !open.is_empty() && now != open;
        match (self.index, index) {
            (Some(open), Some(now)) if now < open => Next::Earlier,
            (Some(open), Some(now)) if now > open => Next::Call,
            // Some give every call the index 0, or none at all. Of a call's own pieces none but the first has a name,
            // unless it is said again.
            _ if is_other(name, &self.name) => Next::Call,
            _ if is_other(id, &self.id) && (!name.is_empty() || index.is_none()) => Next::Call,
            _ => Next::Piece,
        }
    }
}
