//! A stream of events, each of which says which item and which part of it goes on.
//!
//! A client that asks for `reasoning.summary` is told thoughts as summaries (`response.reasoning_summary_text.…`), any
//! other as what they are (`response.reasoning_text.…`). Either is read back. What a provider shows is told: whether it
//! was to show any is the request's matter.
//!
//! This API alone wants all text a second time: the events that end a part and an item repeat it, and the last one has
//! the whole answer. So an encoder keeps what was said, up to [`MAX_KEPT`].

use super::fault::Fault;
use super::items::{ARGUMENTS, Form, Item, Kind, REFUSAL, TEXT, extend, number, string};
use super::response::{Head, State, TOO_LONG};
use super::seal::{Bearer, sealed};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish, Signature};
use crate::translate::sides::Asked;

/// The most text that is kept of an answer, in bytes of JSON: four times what the longest answers of today take.
///
/// Text beyond it is told in its deltas all the same. What ends its part, its item and the answer has the text up to
/// the last delta that still fitted; the item is `incomplete`, and so is the answer, by `max_output_tokens`.
pub const MAX_KEPT: usize = 4 << 20;

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
            frames: Frames { next: 0, is_silent: false },
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
        let frames = Frames { next: 0, is_silent: true };
        Encoder { frames, room: usize::MAX, ..Encoder::new(asked) }
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
            return self.seal(signature, Bearer::Thought, out);
        }
        let kind = self.reasoning(self.signature(signature, Bearer::Thought));
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
        let text = sealed(signature, bearer).filter(|_| self.head.gives_signatures)?;
        let mut quoted = Vec::with_capacity(text.len() + 2);
        string(&mut quoted, &text);
        Some(quoted)
    }

    fn call(&mut self, id: &str, name: &str, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        if let Some(signature) = signature {
            self.seal(signature, Bearer::Call, out);
        }
        let quoted = |text| {
            let mut out = Vec::new();
            string(&mut out, text);
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
        string(&mut self.piece, text);
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

/// Writes frames, and counts them.
#[derive(Debug)]
struct Frames {
    /// The next one's number.
    next: u64,
    is_silent: bool,
}

impl Frames {
    /// A frame of that event, with more members.
    fn put(&mut self, out: &mut Vec<u8>, event: &str, members: impl FnOnce(&mut Vec<u8>)) {
        if self.is_silent {
            return;
        }
        let name = event.as_bytes();
        extend(out, &[b"event: ", name, b"\ndata: {\"type\":\"", name, br#"","sequence_number":"#]);
        number(out, self.next);
        self.next += 1;
        members(out);
        out.extend_from_slice(b"}\n\n");
    }

    /// A frame of the part that an item is at.
    fn of_part(
        &mut self,
        item: &Item,
        form: &Form,
        event: &str,
        key: &[u8],
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut Vec<u8>),
    ) {
        self.put(out, event, |out| {
            out.extend_from_slice(br#","item_id":"#);
            item.id(out, key);
            out.extend_from_slice(br#","output_index":"#);
            number(out, item.index as u64);
            if !form.index.is_empty() {
                extend(out, &[b",\"", form.index.as_bytes(), b"\":"]);
                number(out, item.count as u64);
            }
            members(out);
        });
    }

    fn begin_part(&mut self, item: &Item, form: &Form, key: &[u8], out: &mut Vec<u8>) {
        if form.index.is_empty() {
            return;
        }
        self.of_part(item, form, form.events[0], key, out, |out| {
            out.extend_from_slice(br#","part":"#);
            form.part(out, b"");
        });
    }

    /// Ends the part under way, if there is one.
    fn end_part(&mut self, item: &mut Item, key: &[u8], out: &mut Vec<u8>) {
        let Some(form) = item.form.take() else { return };
        self.of_part(item, form, form.events[2], key, out, |out| {
            out.push(b',');
            form.whole(out, &item.text);
            out.extend_from_slice(form.beside.as_bytes());
        });
        self.of_part(item, form, form.events[3], key, out, |out| {
            out.extend_from_slice(br#","part":"#);
            form.part(out, &item.text);
        });
        item.keep_part(form);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::frames::{self, Framing};
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    const ASKS_FOR_ALL: &[u8] =
        br#"{"include":["reasoning.encrypted_content"],"reasoning":{"summary":"auto"}}"#;

    fn asked(body: &[u8]) -> Asked<'_> {
        Asked { request_id: "req", created: 7, body, framing: Framing::Events, include_usage: false }
    }

    /// The frames of these events, each as JSON, its name checked against its type.
    fn told(body: &[u8], events: &[Event<'_>]) -> Vec<Value> {
        let (mut encoder, mut out) = (Encoder::new(&asked(body)), Vec::new());
        for event in events {
            encoder.put(event, &mut out);
        }
        read_back(&out)
    }

    fn read_back(out: &[u8]) -> Vec<Value> {
        let text = std::str::from_utf8(out).expect("text");
        let frames: Vec<_> = text.split_terminator("\n\n").collect();
        let read = |frame: &&str| {
            let value: Value = serde_json::from_slice(&frames::data(frame.as_bytes())).expect("JSON");
            let name = frame.lines().next().and_then(|line| line.strip_prefix("event: "));
            assert_eq!(value["type"].as_str(), name);
            assert_eq!(frame.lines().count(), 2, "{frame}");
            value
        };
        let values: Vec<_> = frames.iter().map(read).collect();
        for (number, value) in values.iter().enumerate() {
            assert_eq!(value["sequence_number"], json!(number));
        }
        values
    }

    fn start() -> Event<'static> {
        Event::Start { id: "chatcmpl-1".into(), model: "m".into() }
    }

    fn call(id: &'static str) -> Event<'static> {
        Event::Call { id: id.into(), name: "f".into(), signature: None }
    }

    fn signature(maker: Api) -> Signature<'static> {
        Signature { maker, text: "s".into() }
    }

    fn names(values: &[Value]) -> Vec<&str> {
        values.iter().filter_map(|value| value["type"].as_str()?.strip_prefix("response.")).collect()
    }

    #[test]
    fn a_text_is_told_in_openais_order() {
        let values = told(
            b"{}",
            &[
                start(),
                Event::Text("Hel".into()),
                Event::Text("lo\n".into()),
                Event::Finish(Finish::Stop),
                Event::Usage(TokenUsage { input: 1, cache_read: 2, cache_write: 3, output: 5, reasoning: 4 }),
                Event::End,
            ],
        );
        assert_eq!(
            names(&values),
            [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed"
            ]
        );
        let part =
            |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
        let item = |status: &str, content: Value| json!({"id": "msg_1_0", "type": "message", "role": "assistant", "status": status, "content": content});
        assert_eq!(values[2]["item"], item("in_progress", json!([])));
        assert_eq!(values[3]["part"], part(""));
        assert_eq!((&values[4]["delta"], &values[5]["delta"]), (&json!("Hel"), &json!("lo\n")));
        assert_eq!(values[6]["text"], "Hello\n");
        assert_eq!(values[7]["part"], part("Hello\n"));
        assert_eq!(values[8]["item"], item("completed", json!([part("Hello\n")])));
        for value in &values[3..8] {
            assert_eq!(
                (&value["item_id"], &value["output_index"], &value["content_index"]),
                (&json!("msg_1_0"), &json!(0), &json!(0))
            );
        }
        let response = &values[9]["response"];
        assert_eq!(response["output"], json!([item("completed", json!([part("Hello\n")]))]));
        assert_eq!(
            (&response["id"], &response["model"], &response["status"]),
            (&json!("resp_1"), &json!("m"), &json!("completed"))
        );
        assert_eq!(
            response["usage"],
            json!({"input_tokens": 6, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
                "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 11})
        );
        assert_eq!(values[0]["response"]["usage"], Value::Null);
        assert_eq!(values[0]["response"]["status"], "in_progress");
    }

    #[test]
    fn each_item_has_an_index_and_an_id_of_its_own_and_each_part_an_index_in_it() {
        let values = told(
            ASKS_FOR_ALL,
            &[
                start(),
                Event::Thought("hm".into()),
                Event::ThoughtSignature(signature(Api::Messages)),
                Event::Text("a".into()),
                Event::Refusal("no".into()),
                call("c1"),
                Event::Arguments("{\"a\":".into()),
                Event::Arguments("1}".into()),
                call("c2"),
                Event::Finish(Finish::ToolCalls),
                Event::End,
            ],
        );
        assert_eq!(
            names(&values)[2..],
            [
                "output_item.added",
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "content_part.added",
                "refusal.delta",
                "refusal.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
                "completed"
            ]
        );
        let refused =
            values.iter().find(|value| value["type"] == "response.refusal.done").expect("a refusal");
        assert_eq!((&refused["content_index"], &refused["refusal"]), (&json!(1), &json!("no")));
        let output = &values.last().expect("an end")["response"]["output"];
        assert_eq!(
            output[0],
            json!({"id": "rs_cliproxy_1_0", "type": "reasoning", "status": "completed",
                "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "cliproxy:messages:s"})
        );
        assert_eq!(
            output[2],
            json!({"id": "fc_1_2", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f",
                "arguments": "{\"a\":1}"})
        );
        assert_eq!((&output[3]["id"], &output[3]["arguments"]), (&json!("fc_1_3"), &json!("{}")));
        let done = values.iter().filter(|value| value["type"] == "response.output_item.done");
        assert!(done.map(|value| &value["item"]).eq(output.as_array().expect("a list")));
    }

    #[test]
    fn thoughts_are_no_summary_where_none_was_asked_for() {
        let values = told(
            br#"{"reasoning":{"effort":"low","summary":null}}"#,
            &[start(), Event::Thought("h".into()), Event::Thought("m".into()), Event::End],
        );
        assert_eq!(
            names(&values)[2..],
            [
                "output_item.added",
                "content_part.added",
                "reasoning_text.delta",
                "reasoning_text.delta",
                "reasoning_text.done",
                "content_part.done",
                "output_item.done",
                "completed"
            ]
        );
        let text = json!([{"type": "reasoning_text", "text": "hm"}]);
        assert_eq!(
            values.last().expect("an end")["response"]["output"],
            json!([{"id": "rs_cliproxy_1_0", "type": "reasoning", "status": "completed", "summary": [], "content": text}])
        );
    }

    #[test]
    fn a_refusal_with_words_is_a_whole_answer() {
        let filtered = [Event::Finish(Finish::ContentFilter), Event::End];
        for (said, status) in
            [(Event::Refusal("no".into()), "completed"), (Event::Text("n".into()), "incomplete")]
        {
            let mut events = vec![start(), said];
            events.extend(filtered.clone());
            let response = &told(b"{}", &events).pop().expect("an end")["response"];
            assert_eq!(
                (&response["status"], &response["output"][0]["status"]),
                (&json!(status), &json!(status))
            );
        }
    }

    #[test]
    fn a_stream_that_broke_off_says_why_and_has_what_was_said() {
        let (mut encoder, mut out) = (Encoder::new(&asked(b"{}")), Vec::new());
        for event in [start(), Event::Text("a".into()), call("c"), Event::Arguments("{".into())] {
            encoder.put(&event, &mut out);
        }
        let error =
            br#"{"error":{"message":"gone","type":"rate_limit_error","param":null,"code":"rate_limited"}}"#;
        encoder.fail(error, &mut out);
        encoder.fail(error, &mut out);
        encoder.put(&Event::End, &mut out);
        let values = read_back(&out);
        let [.., said, last] = values.as_slice() else { panic!("{values:?}") };
        assert_eq!(
            (&said["type"], &said["code"], &said["message"]),
            (&json!("error"), &json!("rate_limited"), &json!("gone"))
        );
        assert_eq!(
            said["error"],
            json!({"type": "rate_limit_error", "code": "rate_limited", "message": "gone", "param": null})
        );
        let response = &last["response"];
        assert_eq!((&last["type"], &response["status"]), (&json!("response.failed"), &json!("failed")));
        assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "gone"}));
        assert_eq!(response["output"][0]["content"][0]["text"], "a");
        assert_eq!(
            (&response["output"][1]["arguments"], &response["output"][1]["status"]),
            (&json!("{"), &json!("incomplete"))
        );
    }

    #[test]
    fn signatures_are_given_to_those_who_ask() {
        let events = [
            start(),
            Event::Thought("a".into()),
            Event::ThoughtSignature(signature(Api::Messages)),
            Event::Redacted(signature(Api::Messages)),
            Event::ThoughtSignature(signature(Api::Generate)),
            Event::Call { id: "c".into(), name: "f".into(), signature: Some(signature(Api::Generate)) },
            Event::End,
        ];
        let sealed = |body: &[u8]| -> Vec<Value> {
            let last = told(body, &events).pop().expect("an end");
            let output = last["response"]["output"].as_array().expect("a list").clone();
            output.into_iter().map(|item| item["encrypted_content"].clone()).collect()
        };
        assert_eq!(
            sealed(ASKS_FOR_ALL),
            [
                json!("cliproxy:messages:s"),
                json!("cliproxy:messages-redacted:s"),
                json!("cliproxy:generate:s"),
                json!("cliproxy:generate-call:s"),
                Value::Null
            ]
        );
        assert_eq!(sealed(b"{}"), [Value::Null, Value::Null]);
    }

    #[test]
    fn an_answer_that_was_stopped_says_why_and_which_item_it_was() {
        for (finish, reason) in
            [(Finish::Length, "max_output_tokens"), (Finish::ContentFilter, "content_filter")]
        {
            let values = told(
                b"{}",
                &[
                    start(),
                    Event::Thought("a".into()),
                    call("c"),
                    Event::Arguments("{\"a".into()),
                    Event::Finish(finish),
                    Event::End,
                    Event::Text("after the end".into()),
                ],
            );
            let last = values.last().expect("an end");
            assert_eq!(
                (&last["type"], &last["response"]["status"]),
                (&json!("response.incomplete"), &json!("incomplete"))
            );
            assert_eq!(last["response"]["incomplete_details"], json!({"reason": reason}));
            let output = &last["response"]["output"];
            assert_eq!(
                (&output[0]["status"], &output[1]["status"]),
                (&json!("completed"), &json!("incomplete"))
            );
            assert_eq!(output[1]["arguments"], "{\"a");
        }
    }

    #[test]
    fn a_stream_without_beginning_or_words_is_whole() {
        let values = told(
            b"{\"model\":\"asked\"}",
            &[Event::Text("".into()), Event::Thought("".into()), Event::Arguments("{}".into()), Event::End],
        );
        assert_eq!(names(&values), ["created", "in_progress", "completed"]);
        let response = &values[2]["response"];
        assert_eq!(
            (&response["id"], &response["model"], &response["usage"]),
            (&json!("resp_req"), &json!("asked"), &Value::Null)
        );
    }

    #[test]
    fn what_the_request_said_is_repeated_and_holds_no_line_break() {
        let body = b"{\n\"instructions\": \"a\\nb\",\r\n\"tools\": [\n{\"type\":\"function\", \"name\": \"f\"}\n], \"metadata\": null, \"top_p\":0.50}";
        let values = told(body, &[start(), Event::End]);
        for value in &values {
            let response = &value["response"];
            assert_eq!(response["instructions"], "a\nb");
            assert_eq!(response["tools"], json!([{"type": "function", "name": "f"}]));
            assert_eq!(response["metadata"], json!({}));
            assert_eq!(
                (&response["tool_choice"], &response["parallel_tool_calls"]),
                (&json!("auto"), &json!(true))
            );
            assert_eq!((&response["top_p"], &response["temperature"]), (&json!(0.5), &Value::Null));
            assert_eq!(
                (&response["store"], &response["previous_response_id"]),
                (&json!(false), &Value::Null)
            );
            assert_eq!(response["created_at"], json!(7));
        }
    }

    #[test]
    fn text_up_to_the_bound_is_repeated_and_one_byte_more_only_told() {
        for (past, status) in [(0, "completed"), (1, "incomplete")] {
            let piece = "x".repeat(MAX_KEPT - 1);
            let values = told(
                b"{}",
                &[
                    start(),
                    Event::Text(piece.as_str().into()),
                    Event::Text("y".repeat(1 + past).into()),
                    call("c"),
                    Event::Finish(Finish::Stop),
                    Event::End,
                ],
            );
            let deltas = values.iter().filter(|value| value["type"] == "response.output_text.delta");
            let told: usize = deltas.filter_map(|value| value["delta"].as_str()).map(str::len).sum();
            assert_eq!(told, MAX_KEPT + past);
            let response = &values.last().expect("an end")["response"];
            let kept = response["output"][0]["content"][0]["text"].as_str().expect("a text").len();
            assert_eq!(kept, if past == 0 { MAX_KEPT } else { MAX_KEPT - 1 });
            assert_eq!(
                (&response["status"], &response["output"][0]["status"]),
                (&json!(status), &json!(status))
            );
            assert_eq!(response["output"][1]["status"], "completed");
        }
    }
}
