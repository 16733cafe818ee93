//! The hub's events, as a client's stream.
//!
//! One block is open at a time; a piece of another kind, or another beginning, closes it. Figures come at both ends: the
//! opening waits for the event behind the start, because what tells the input often is that one. Budget: one write per
//! event into the client's buffer; no text is kept. Source: Anthropic, "Streaming messages".

use super::answer::{ID_PREFIX, MessageOut};
use super::blocks::{Block, Input};
use super::words::{self, Usage};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish, Signature};
use crate::translate::pieces::push;
use crate::translate::sides::{Asked, answer_id};
use crate::translate::signature;
use crate::translate::signs::Api;
use serde::Serialize;
use std::borrow::Cow;

/// Writes the events of one stream.
#[derive(Debug)]
pub struct Encoder {
    request_id: String,
    /// The id and the model, until the opening is written.
    opening: Option<(String, String)>,
    open: Option<Kind>,
    /// The place of the open block, or of the next.
    index: u32,
    usage: TokenUsage,
    finish: Option<Finish<'static>>,
}

/// What a block is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Call,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'e> {
    MessageStart { message: MessageOut<'e> },
    ContentBlockStart { index: u32, content_block: Block<'e> },
    ContentBlockDelta { index: u32, delta: Delta<'e> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stop<'e>, usage: Usage },
    MessageStop {},
}

impl Frame<'_> {
    /// The name of the event, which is the type of its data.
    fn name(&self) -> &'static str {
        match self {
            Frame::MessageStart { .. } => "message_start",
            Frame::ContentBlockStart { .. } => "content_block_start",
            Frame::ContentBlockDelta { .. } => "content_block_delta",
            Frame::ContentBlockStop { .. } => "content_block_stop",
            Frame::MessageDelta { .. } => "message_delta",
            Frame::MessageStop {} => "message_stop",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'e> {
    #[serde(rename = "text_delta")]
    Text { text: &'e str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'e str },
    #[serde(rename = "signature_delta")]
    Signature { signature: Cow<'e, str> },
    #[serde(rename = "input_json_delta")]
    Arguments { partial_json: &'e str },
}

#[derive(Serialize)]
struct Stop<'e> {
    stop_reason: &'static str,
    stop_sequence: Option<&'e str>,
}

impl Encoder {
    /// For a client that asked this.
    pub fn new(asked: &Asked<'_>) -> Encoder {
        Encoder {
            request_id: asked.request_id.to_owned(),
            opening: None,
            open: None,
            index: 0,
            usage: TokenUsage::default(),
            finish: None,
        }
    }

    /// Appends what the client gets for an event: whole frames, or none.
    pub fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => {
                self.opening = Some((id.clone().into_owned(), model.clone().into_owned()));
                return;
            }
            Event::Usage(usage) => self.usage = self.usage.larger(*usage),
            _ => {}
        }
        self.write_opening(out);
        match event {
            Event::Start { .. } | Event::Usage(_) => {}
            Event::Text(text) | Event::Refusal(text) => {
                self.piece(Kind::Text, text, |text| Delta::Text { text }, out);
            }
            Event::Thought(text) => {
                self.piece(Kind::Thought, text, |thinking| Delta::Thinking { thinking }, out);
            }
            Event::Arguments(text) if self.open == Some(Kind::Call) => {
                self.piece(Kind::Call, text, |partial_json| Delta::Arguments { partial_json }, out);
            }
            // Behind something else than a call they would be nobody's.
            Event::Arguments(_) => {}
            Event::ThoughtSignature(signature) => self.sign(signature, out),
            Event::Redacted(signature) => {
                self.close(out);
                let data = signature::wrap(signature, Api::Messages);
                self.start(Block::RedactedThinking { data }, out);
                self.stop(out);
            }
            Event::Call { id, name, signature } => self.call(id, name, signature.as_ref(), out),
            Event::Finish(finish) => {
                self.close(out);
                self.finish = Some(owned(finish));
            }
            Event::End => self.end(out),
        }
    }

    fn write_opening(&mut self, out: &mut Vec<u8>) {
        let Some((provider, model)) = self.opening.take() else { return };
        let message = MessageOut {
            id: answer_id(ID_PREFIX, &provider, &self.request_id),
            role: "assistant",
            model: &model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage.into(),
        };
        write(&Frame::MessageStart { message }, out);
    }

    /// A piece of a block, which is opened if need be.
    fn piece<'e>(
        &mut self,
        kind: Kind,
        text: &'e str,
        delta: impl FnOnce(&'e str) -> Delta<'e>,
        out: &mut Vec<u8>,
    ) {
        if text.is_empty() {
            return;
        }
        self.open(kind, out);
        write(&Frame::ContentBlockDelta { index: self.index, delta: delta(text) }, out);
    }

    /// A signature ends its thought; without words in front of it, it is a thought of its own.
    fn sign(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        self.open(Kind::Thought, out);
        let signature = signature::wrap(signature, Api::Messages);
        write(&Frame::ContentBlockDelta { index: self.index, delta: Delta::Signature { signature } }, out);
        self.close(out);
    }

    fn call(&mut self, id: &str, name: &str, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        self.close(out);
        // A `tool_use` has no place for a signature: it goes in front, in a thought without words, from where the
        // reader of the client's next request takes it.
        if let Some(signature) = signature.filter(|it| it.maker != Api::Messages) {
            self.sign(signature, out);
        }
        let (id, name) = (id.into(), name.into());
        self.start(Block::ToolUse { id, name, input: Input::Empty {}, cache_control: None }, out);
        self.open = Some(Kind::Call);
    }

    /// Makes sure that a block of that kind is open.
    fn open(&mut self, kind: Kind, out: &mut Vec<u8>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        match kind {
            Kind::Text => self.start(Block::text(""), out),
            Kind::Thought => self.start(Block::thought("", None), out),
            Kind::Call => return,
        }
        self.open = Some(kind);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            self.stop(out);
        }
    }

    fn start(&self, content_block: Block<'_>, out: &mut Vec<u8>) {
        write(&Frame::ContentBlockStart { index: self.index, content_block }, out);
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        write(&Frame::ContentBlockStop { index: self.index }, out);
        self.index += 1;
    }

    /// Why the model stopped, with all figures, which may have come behind it. A stream whose model didn't stop ends
    /// without: nothing is invented.
    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(finish) = self.finish.take() else { return };
        let delta =
            Stop { stop_reason: words::stop_reason(&finish), stop_sequence: words::stop_sequence(&finish) };
        write(&Frame::MessageDelta { delta, usage: self.usage.into() }, out);
        write(&Frame::MessageStop {}, out);
    }
}

fn owned(finish: &Finish<'_>) -> Finish<'static> {
    match finish {
        Finish::Stop => Finish::Stop,
        Finish::StopSequence(text) => {
            Finish::StopSequence(text.as_ref().map(|it| it.clone().into_owned().into()))
        }
        Finish::Length => Finish::Length,
        Finish::ToolCalls => Finish::ToolCalls,
        Finish::ContentFilter => Finish::ContentFilter,
    }
}

fn write(frame: &Frame<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(frame.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    push(out, frame);
    out.extend_from_slice(b"\n\n");
}
