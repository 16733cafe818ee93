//! A client's stream: each event a whole response with what is new.
//!
//! Gemini has no pieces of arguments, so that a call is held until they are complete: the one thing that is held, and
//! at most [`MAX_ARGUMENTS`] of it.

use super::answer::malformed;
use super::finish::{self, Usage};
use super::said::{self, FunctionCall, Part};
use super::signature::wrapped;
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Signature};
use crate::translate::frames::Framing;
use crate::translate::sides::Asked;
use serde::Serialize;
use std::borrow::Cow;

/// The most of a call's arguments that is held. A call with more is left out, and the end says so.
pub const MAX_ARGUMENTS: usize = 16 << 20;

/// A call whose arguments are still coming.
struct Call {
    id: String,
    name: String,
    signature: Option<String>,
    arguments: String,
    is_too_long: bool,
}

/// Writes the events of one stream. Budget: 2 µs an event.
pub struct Encoder {
    framing: Framing,
    request_id: String,
    /// What each response ends with: model and id.
    tail: Vec<u8>,
    has_begun: bool,
    call: Option<Call>,
    has_lost_call: bool,
    usage: TokenUsage,
    finish_reason: Option<&'static str>,
}

impl Encoder {
    /// For a client that asked so.
    pub fn new(asked: &Asked<'_>) -> Encoder {
        let request_id = asked.request_id.to_owned();
        let tail = tail("", &request_id);
        Encoder {
            framing: asked.framing,
            request_id,
            tail,
            has_begun: false,
            call: None,
            has_lost_call: false,
            usage: TokenUsage::default(),
            finish_reason: None,
        }
    }

    /// Appends the frames that an event comes to; none for some. Source: Gemini API reference,
    /// `models.streamGenerateContent`, which answers in server-sent events with `alt=sse`, else in one array.
    pub fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if !matches!(event, Event::Arguments(_) | Event::Usage(_)) {
            self.put_call(out);
        }
        match event {
            Event::Start { id, model } => {
                self.tail = tail(model, if id.is_empty() { &self.request_id } else { id });
            }
            Event::Text(text) | Event::Refusal(text) => self.put_part(&Part::text(text), out),
            Event::Thought(text) => self.put_part(&Part { thought: true, ..Part::text(text) }, out),
            Event::ThoughtSignature(signature) => self.put_signature(signature, true, out),
            Event::Redacted(signature) => self.put_signature(signature, false, out),
            Event::Call { id, name, signature } => {
                self.call = Some(Call {
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    signature: signature.as_ref().and_then(wrapped).map(Cow::into_owned),
                    arguments: String::new(),
                    is_too_long: false,
                });
            }
            Event::Arguments(piece) => self.hold(piece),
            Event::Usage(usage) => self.usage = larger(self.usage, *usage),
            Event::Finish(finish) => self.finish_reason = Some(finish::name(finish)),
            Event::End => self.put_end(out),
        }
    }

    fn hold(&mut self, piece: &str) {
        let Some(call) = &mut self.call else { return };
        if call.arguments.len() + piece.len() > MAX_ARGUMENTS {
            call.is_too_long = true;
            call.arguments = String::new();
        }
        if !call.is_too_long {
            call.arguments.push_str(piece);
        }
    }

    /// The call that was held, if its arguments came to a JSON object.
    fn put_call(&mut self, out: &mut Vec<u8>) {
        let Some(call) = self.call.take() else { return };
        let Some(args) = said::arguments(&call.arguments).filter(|_| !call.is_too_long) else {
            self.has_lost_call = true;
            return;
        };
        let function_call = Some(FunctionCall { id: &call.id, name: &call.name, args });
        let thought_signature = call.signature.as_deref().map(Cow::Borrowed);
        self.put_part(&Part { function_call, thought_signature, ..Part::default() }, out);
    }

    fn put_signature(&mut self, signature: &Signature<'_>, thought: bool, out: &mut Vec<u8>) {
        if let Some(signature) = wrapped(signature) {
            self.put_part(&Part { thought, thought_signature: Some(signature), ..Part::text("") }, out);
        }
    }

    fn put_part(&mut self, part: &Part<'_>, out: &mut Vec<u8>) {
        self.open(out);
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":["#);
        push(part, out);
        out.extend_from_slice(br#"],"role":"model"},"index":0}]"#);
        self.close(out);
    }

    /// The last response: why it ends, and what it took. Its empty text is Gemini's own habit; its clients look into
    /// the first part of each.
    fn put_end(&mut self, out: &mut Vec<u8>) {
        self.open(out);
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}"#);
        if let Some(reason) = self.finish_reason {
            out.extend_from_slice(br#","finishReason":"#);
            push(if self.has_lost_call { malformed(reason) } else { reason }, out);
        }
        out.extend_from_slice(br#","index":0}],"usageMetadata":"#);
        push(&Usage::from(self.usage), out);
        self.close(out);
        if self.framing == Framing::Elements {
            out.push(b']');
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let before: &[u8] = match (self.framing, std::mem::replace(&mut self.has_begun, true)) {
            (Framing::Events, _) => b"data: ",
            (Framing::Elements, false) => b"[",
            (Framing::Elements, true) => b",\r\n",
        };
        out.extend_from_slice(before);
    }

    fn close(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tail);
        if self.framing == Framing::Events {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}

fn tail(model: &str, id: &str) -> Vec<u8> {
    let mut tail = br#","modelVersion":"#.to_vec();
    push(model, &mut tail);
    tail.extend_from_slice(br#","responseId":"#);
    push(id, &mut tail);
    tail.push(b'}');
    tail
}

fn push<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Memory takes all, and texts, numbers and checked JSON can always be written.
    let _ = serde_json::to_writer(out, value);
}

/// Each report is the whole so far of what it tells.
fn larger(before: TokenUsage, now: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: before.input.max(now.input),
        cache_read: before.cache_read.max(now.cache_read),
        cache_write: before.cache_write.max(now.cache_write),
        output: before.output.max(now.output),
        reasoning: before.reasoning.max(now.reasoning),
    }
}
