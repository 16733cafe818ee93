//! A provider's stream, into the hub's events.
//!
//! Blocks come one after another, each with a start, its pieces and a stop; input is counted at the stream's beginning,
//! output at its end. Budget: one parse per event, nothing copied but texts with escapes. Source: Anthropic, "Streaming
//! messages".

use super::answer::own;
use super::incoming::Block;
use super::words::{self, StopDetails};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish};
use crate::translate::pieces::{Str, filled};
use crate::translate::reader;
use crate::translate::spoilt::Spoilt;
use crate::translate::verbatim::Verbatim;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads the events of one stream, in their order.
#[derive(Debug, Default)]
pub struct Decoder {
    block: Open,
    usage: TokenUsage,
    has_started: bool,
    has_finished: bool,
    /// What is wrong where a call, or a piece of one, was lost: what the client got isn't whole, and must not look so.
    spoilt: Option<Spoilt>,
    has_ended: bool,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    /// None that was heard of.
    #[default]
    Nothing,
    /// One of words, whose pieces speak for themselves.
    Words,
    /// A call, of whose arguments nothing has come yet.
    Call,
    /// A call with arguments.
    CallWithArguments,
    /// One that only the vendor understands, such as of a tool that it ran: its pieces are nobody's.
    Skipped,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Opening<'a>>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Opening<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// A piece of a block, or what a message ends with.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Str<'a>>,
    #[serde(borrow)]
    thinking: Option<Str<'a>>,
    #[serde(borrow)]
    signature: Option<Str<'a>>,
    #[serde(borrow)]
    partial_json: Option<Str<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Str<'a>>,
    #[serde(borrow)]
    stop_sequence: Option<Str<'a>>,
    #[serde(borrow)]
    stop_details: Option<StopDetails<'a>>,
}

impl Decoder {
    /// Reads the JSON of one event. `false` if it isn't understood, and skipped. What can't be read while a call is open
    /// may be a piece of it.
    ///
    /// New types of events may come at any time (Anthropic, "Versioning"), and say nothing here; nor do errors, which
    /// [`crate::translate::signs`] tells apart.
    pub fn see(&mut self, data: &[u8], out: &mut dyn FnMut(Event<'_>)) -> bool {
        let Ok(frame) = reader::read_bytes::<Frame<'_>>(data) else { return self.lose() };
        let Frame { kind, message, content_block, delta, usage } = frame;
        if self.has_ended {
            return true;
        }
        if !self.has_started
            && matches!(kind.as_ref(), "content_block_start" | "content_block_delta" | "message_delta")
        {
            // Some who speak the dialect don't say their beginning.
            self.start(Opening::default(), out);
        }
        match (kind.as_ref(), message, content_block, delta) {
            ("message_start", Some(message), ..) => self.start(message, out),
            // What comes behind the end has no place any more.
            ("content_block_start" | "content_block_delta" | "content_block_stop", ..)
                if self.has_finished || self.spoilt.is_some() => {}
            ("content_block_start", _, Some(block), _) => return self.open(block, out),
            ("content_block_delta", .., Some(delta)) => self.piece(delta, out),
            ("content_block_stop", ..) => self.stop(),
            ("message_delta", .., delta) => self.finish_by(delta, usage, out),
            ("message_stop", ..) => self.finish(out),
            ("message_start" | "content_block_start" | "content_block_delta", ..) => return self.lose(),
            _ => {}
        }
        true
    }

    /// What is wrong where what was said isn't whole: nothing more is heard of it, nor a finish.
    pub fn spoilt(&self) -> Option<Spoilt> {
        self.spoilt
    }

    /// Passes over an event, which may have been a piece of the call that is open.
    fn lose(&mut self) -> bool {
        if !self.has_finished && matches!(self.block, Open::Call | Open::CallWithArguments) {
            self.spoilt = self.spoilt.or(Some(Spoilt::TORN));
        }
        false
    }

    /// The provider's stream is over, with its marker or without. One that had no reason to stop has no end.
    pub fn finish(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        if self.has_finished && !std::mem::replace(&mut self.has_ended, true) {
            out(Event::End);
        }
    }

    fn start(&mut self, message: Opening<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let text = |words: Option<Str<'_>>| words.map(|it| it.0.into_owned()).unwrap_or_default();
        if !std::mem::replace(&mut self.has_started, true) {
            out(Event::Start { id: text(message.id).into(), model: text(message.model).into() });
        }
        self.count(message.usage, out);
    }

    /// Each report is of all so far, but not every one has all figures.
    fn count(&mut self, usage: Option<&RawValue>, out: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = words::tokens(usage) {
            self.usage = self.usage.larger(usage);
            out(Event::Usage(self.usage));
        }
    }

    fn open(&mut self, block: Block<'_>, out: &mut dyn FnMut(Event<'_>)) -> bool {
        self.close(out);
        self.block = Open::Words;
        match block.kind.as_ref() {
            "text" => say(block.text.map(Verbatim::into_plain).map(Str), Event::Text, out),
            "thinking" => {
                say(block.thinking, Event::Thought, out);
                say(block.signature, |text| Event::ThoughtSignature(own(text)), out);
            }
            "redacted_thinking" => say(block.data, |text| Event::Redacted(own(text)), out),
            "tool_use" => {
                let (Some(id), Some(name)) = (filled(block.id), filled(block.name)) else {
                    // Nobody could answer it, and without it the rest isn't what the model said.
                    self.spoilt = Some(Spoilt::BAD_CALL);
                    return false;
                };
                out(Event::Call { id, name, signature: None });
                self.block = Open::Call;
                // The vendor begins with none; some who speak its dialect have them all at once.
                let input = block.input.map(RawValue::get).filter(|it| !is_empty_object(it));
                if let Some(input) = input {
                    self.block = Open::CallWithArguments;
                    out(Event::Arguments(input.into()));
                }
            }
            _ => self.block = Open::Skipped,
        }
        true
    }

    fn piece(&mut self, delta: Delta<'_>, out: &mut dyn FnMut(Event<'_>)) {
        match self.block {
            Open::Skipped => {}
            // Of a call whose beginning was lost.
            Open::Nothing if delta.partial_json.is_some() => self.spoilt = Some(Spoilt::TORN),
            Open::Nothing | Open::Words => {
                say(delta.text, Event::Text, out);
                say(delta.thinking, Event::Thought, out);
                say(delta.signature, |text| Event::ThoughtSignature(own(text)), out);
            }
            Open::Call | Open::CallWithArguments => {
                if let Some(arguments) = filled(delta.partial_json) {
                    self.block = Open::CallWithArguments;
                    out(Event::Arguments(arguments));
                }
            }
        }
    }

    /// The open block is over. A call without any arguments isn't known to be whole until something follows.
    fn stop(&mut self) {
        if self.block != Open::Call {
            self.block = Open::Nothing;
        }
    }

    /// A call without any arguments is one with an empty object.
    fn close(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        if std::mem::take(&mut self.block) == Open::Call {
            out(Event::Arguments("{}".into()));
        }
    }

    fn finish_by(
        &mut self,
        delta: Option<Delta<'_>>,
        usage: Option<&RawValue>,
        out: &mut dyn FnMut(Event<'_>),
    ) {
        let said =
            delta.and_then(|delta| Some((delta.stop_reason?, delta.stop_sequence, delta.stop_details)));
        let said = said.filter(|_| self.spoilt.is_none() && !std::mem::replace(&mut self.has_finished, true));
        let Some((reason, stop_sequence, details)) = said else { return self.count(usage, out) };
        let finish = words::finish(&reason.0, stop_sequence.map(|it| it.0));
        // A call that the limit cut short has no arguments that anybody could trust.
        if finish != Finish::Length {
            self.close(out);
        }
        self.count(usage, out);
        if let Some(why) = words::explanation(&finish, details) {
            out(Event::Refusal(why));
        }
        out(Event::Finish(finish));
    }
}

fn say<'e>(
    words: Option<Str<'e>>,
    event: impl FnOnce(Cow<'e, str>) -> Event<'e>,
    out: &mut dyn FnMut(Event<'_>),
) {
    if let Some(text) = filled(words) {
        out(event(text));
    }
}

fn is_empty_object(json: &str) -> bool {
    let inner = json.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
    inner.is_none_or(|it| it.trim().is_empty())
}
