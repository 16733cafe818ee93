//! A stream of events, each of which says which item and which part of it goes on.
//!
//! A client that asks for `reasoning.summary` is told thoughts as summaries (`response.reasoning_summary_text.…`), any
//! other as what they are (`response.reasoning_text.…`). Either is read back. What a provider shows is told: whether it
//! was to show any is the request's matter.
//!
//! This API alone wants all text a second time: the events that end a part and an item repeat it, and the last one has
//! the whole answer. So an encoder keeps what was said, up to [`MAX_KEPT`].

use super::fault::Fault;
use super::frames::Frames;
use super::items::{ARGUMENTS, Form, Item, Kind, REFUSAL, TEXT, extend, number};
use super::response::{Head, State, TOO_LONG};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish, Signature};
use crate::translate::pieces::push;
use crate::translate::sides::Asked;
use crate::translate::signature::{self, Bearer};
use crate::translate::signs::Api;

/// The most text that is kept of an answer, in bytes of JSON: four times what the longest answers of today take.
///
/// Text beyond it is told in its deltas all the same. What ends its part, its item and the answer has the text up to
/// the last delta that still fitted; the item is `incomplete`, and so is the answer, by `max_output_tokens`.
pub const MAX_KEPT: usize = 4 << 20;

/// About what an item has beside its texts: ids, names, brackets.
const ITEM: usize = 256;

/// Writes a stream for a client.
#[derive(Debug)]
pub struct Encoder {
    head: Head,
    frames: Frames,
    /// The item under way.
    open: Option<Item>,
    /// The items that are whole, with commas between them.
    output: Vec<u8>,
    /// How many there are, the one under way included.
    count: usize,
    /// What may still be kept.
    room: usize,
    /// A piece as a JSON string: room that is used again.
    piece: Vec<u8>,
    usage: Option<TokenUsage>,
    /// How it ends, as far as is known.
    state: State,
    /// Whether the model has said why it doesn't answer. That is an answer, and a whole one.
    refuses: bool,
    /// Whether some of it wasn't kept.
    is_cut: bool,
    has_begun: bool,
    has_ended: bool,
}

impl Encoder {
    /// For an answer to that request.
    pub fn new(asked: &Asked<'_>) -> Encoder {
        Encoder {
            head: Head::new(asked),
            frames: Frames::new(),
            open: None,
            output: Vec::new(),
            count: 0,
            room: MAX_KEPT,
            piece: Vec::new(),
            usage: None,
            state: State::Completed,
            refuses: false,
            is_cut: false,
            has_begun: false,
            has_ended: false,
        }
    }

    /// One that tells nothing, for what comes of it in the end. A whole answer is bounded where it is read.
    pub(super) fn silent(asked: &Asked<'_>) -> Encoder {
        Encoder { frames: Frames::silent(), room: usize::MAX, ..Encoder::new(asked) }
    }

    /// Appends the frames that an event makes, none for some.
    pub fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.has_ended {
            return;
        }
        match event {
            Event::Start { id, model } => return self.begin(id, model, out),
            _ => self.begin("", "", out),
        }
        match event {
            Event::Text(text) => self.say(&TEXT, text, out),
            Event::Refusal(text) => {
                self.refuses = true;
                self.say(&REFUSAL, text, out);
            }
            Event::Thought(text) => self.think(text, out),
            Event::ThoughtSignature(signature) => self.sign(signature, out),
            Event::Redacted(signature) => self.seal(signature, Bearer::Redacted, out),
            Event::Call { id, name, signature } => self.call(id, name, signature.as_ref(), out),
            Event::Arguments(piece) => self.argue(piece, out),
            Event::Usage(usage) => self.usage = Some(self.usage.unwrap_or_default().larger(*usage)),
            Event::Finish(finish) => {
                self.state = match finish {
                    Finish::ContentFilter if self.refuses => State::Completed,
                    finish => State::of(finish),
                };
                self.close(out);
            }
            Event::End => self.end(out),
            Event::Start { .. } => {}
        }
    }

    /// The whole answer, of all that was put.
    pub(super) fn into_response(mut self) -> Vec<u8> {
        self.close(&mut Vec::new());
        let mut out = Vec::with_capacity(self.output.len() + 1_024);
        self.head.write(&mut out, self.state, &self.output, self.usage.as_ref());
        out
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        self.head.name(id, model);
        for name in ["response.created", State::InProgress.event()] {
            self.frames.put(out, name, |out| {
                out.extend_from_slice(br#","response":"#);
                self.head.write(out, State::InProgress, b"", None);
            });
        }
    }

    /// Goes on with a text of a message.
    fn say(&mut self, form: &'static Form, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !self.open.as_ref().is_some_and(|item| matches!(item.kind, Kind::Message)) {
            self.open(Kind::Message, out);
        }
        self.go_on(form, text, out);
    }

    /// Goes on with a thought. A signed one is whole: what follows is another.
    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !self.is_thinking() {
            self.open(self.reasoning(None), out);
        }
        self.go_on(self.head.thoughts, text, out);
    }

    fn reasoning(&self, signature: Option<Vec<u8>>) -> Kind {
        Kind::Reasoning { form: self.head.thoughts, signature }
    }

    fn is_thinking(&self) -> bool {
        self.open.as_ref().is_some_and(|item| matches!(item.kind, Kind::Reasoning { signature: None, .. }))
    }

    /// Signs the thought under way, or one that has no words.
    fn sign(&mut self, signature: &Signature<'_>, out: &mut Vec<u8>) {
        if !self.is_thinking() {
            return self.seal(signature, Bearer::Place, out);
        }
        let kind = self.reasoning(self.signature(signature, Bearer::Place));
        if let Some(item) = &mut self.open {
            item.kind = kind;
        }
        self.close(out);
    }

    /// Gives a signature an item of its own.
    fn seal(&mut self, signature: &Signature<'_>, bearer: Bearer, out: &mut Vec<u8>) {
        if let Some(text) = self.signature(signature, bearer) {
            self.open(self.reasoning(Some(text)), out);
        }
    }

    /// A signature as a JSON string, if the client asked for it.
    fn signature(&self, signature: &Signature<'_>, bearer: Bearer) -> Option<Vec<u8>> {
        if !self.head.gives_signatures {
            return None;
        }
        let text = signature::wrap_for(bearer, signature, Api::Responses);
        let mut quoted = Vec::with_capacity(text.len() + 2);
        push(&mut quoted, &text);
        Some(quoted)
    }

    fn call(&mut self, id: &str, name: &str, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        if let Some(signature) = signature {
            self.seal(signature, Bearer::Call, out);
        }
        let quoted = |text| {
            let mut out = Vec::new();
            push(&mut out, text);
            out
        };
        self.open(Kind::Call { id: quoted(id), name: quoted(name) }, out);
    }

    fn argue(&mut self, piece: &str, out: &mut Vec<u8>) {
        let is_calling = self.open.as_ref().is_some_and(|item| matches!(item.kind, Kind::Call { .. }));
        if is_calling && !piece.is_empty() {
            self.go_on(&ARGUMENTS, piece, out);
        }
    }

    /// Begins an item.
    fn open(&mut self, kind: Kind, out: &mut Vec<u8>) {
        self.close(out);
        let item = Item::new(self.count, kind);
        self.count += 1;
        self.tell_item("response.output_item.added", &item, State::InProgress, out);
        self.open = Some(item);
    }

    /// Tells a piece of a text, after the beginning of its part.
    fn go_on(&mut self, form: &'static Form, text: &str, out: &mut Vec<u8>) {
        let Some(item) = &mut self.open else { return };
        let (frames, key) = (&mut self.frames, self.head.key.as_slice());
        let is_new = !item.form.is_some_and(|it| std::ptr::eq(it, form));
        if is_new {
            frames.end_part(item, key, out);
            frames.begin_part(item, form, key, out);
            item.form = Some(form);
        }
        self.piece.clear();
        self.piece.reserve(text.len() + 2);
        push(&mut self.piece, text);
        frames.of_part(item, form, form.events[1], key, out, |out| {
            extend(out, &[br#","delta":"#, &self.piece, form.beside.as_bytes()]);
        });
        let escaped = self.piece.get(1..self.piece.len() - 1).unwrap_or_default();
        item.is_cut |= escaped.len() > self.room;
        if item.is_cut {
            // What comes after a gap isn't kept either.
            self.room = 0;
        } else {
            self.room -= escaped.len();
            item.text.extend_from_slice(escaped);
        }
    }

    /// Ends the item under way.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut item) = self.open.take() else { return };
        let state = if item.is_cut { TOO_LONG } else { self.state };
        self.is_cut |= item.is_cut;
        if matches!(item.kind, Kind::Call { .. }) {
            self.end_arguments(&mut item, state, out);
        }
        self.frames.end_part(&mut item, &self.head.key, out);
        self.tell_item("response.output_item.done", &item, state, out);
        self.keep(&item, state);
    }

    /// Adds an item to what the response has in the end.
    fn keep(&mut self, item: &Item, state: State) {
        self.output.reserve(item.parts.len() + item.text.len() + ITEM);
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        item.write(&mut self.output, &self.head.key, state.word());
    }

    /// Ends a call's arguments. None at all are an empty object, which is what clients parse.
    fn end_arguments(&mut self, item: &mut Item, state: State, out: &mut Vec<u8>) {
        const NONE: &[u8] = b"{}";
        let key = self.head.key.as_slice();
        if item.text.is_empty() && state == State::Completed {
            item.text.extend_from_slice(NONE);
            self.frames.of_part(item, &ARGUMENTS, ARGUMENTS.events[1], key, out, |out| {
                extend(out, &[br#","delta":""#, NONE, b"\""]);
            });
        }
        self.frames.of_part(item, &ARGUMENTS, ARGUMENTS.events[2], key, out, |out| {
            out.push(b',');
            ARGUMENTS.whole(out, &item.text);
        });
        item.form = None;
    }

    /// Ends the stream of a provider that broke off, for a reason that stands in an error's body: with an event that says
    /// it, and the response with all that was said.
    pub fn fail(&mut self, error: &[u8], out: &mut Vec<u8>) {
        if self.has_ended {
            return;
        }
        self.begin("", "", out);
        self.has_ended = true;
        let fault = Fault::of(error);
        self.frames.put(out, "error", |out| {
            for (name, value) in fault.members() {
                extend(out, &[b",\"", name.as_bytes(), b"\":", value.to_string().as_bytes()]);
            }
        });
        self.head.fail(&fault);
        // What is under way has no end, and so no events of one.
        if let Some(mut item) = self.open.take() {
            if let Some(form) = item.form.take_if(|form| form.is_part()) {
                item.keep_part(form);
            }
            self.keep(&item, TOO_LONG);
        }
        self.frames.put(out, State::Failed.event(), |out| {
            out.extend_from_slice(br#","response":"#);
            self.head.write(out, State::Failed, &self.output, self.usage.as_ref());
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.has_ended = true;
        let state = if self.is_cut && self.state == State::Completed { TOO_LONG } else { self.state };
        self.frames.put(out, state.event(), |out| {
            out.extend_from_slice(br#","response":"#);
            self.head.write(out, state, &self.output, self.usage.as_ref());
        });
    }

    fn tell_item(&mut self, event: &str, item: &Item, state: State, out: &mut Vec<u8>) {
        self.frames.put(out, event, |out| {
            out.extend_from_slice(br#","output_index":"#);
            number(out, item.index as u64);
            out.extend_from_slice(br#","item":"#);
            item.write(out, &self.head.key, state.word());
        });
    }
}

#[cfg(test)]
mod tests;
