//! A client's stream: each event a whole response with what is new.
//!
//! Gemini has no pieces of arguments, so that a call is held until they are complete: the one thing that is held, and
//! at most [`MAX_ARGUMENTS`] of it.

use super::answer::{malformed, wrapped};
use super::finish::{self, Usage};
use super::said::{FunctionCall, Part};
use crate::domain::TokenUsage;
use crate::translate::arguments;
use crate::translate::canonical::{Event, Finish, Signature};
use crate::translate::frames::Framing;
use crate::translate::pieces::push;
use crate::translate::sides::Asked;
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

impl Call {
    /// Whether it has no arguments yet.
    fn is_bare(&self) -> bool {
        self.arguments.is_empty() && !self.is_too_long
    }
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
        match event {
            Event::Arguments(_) | Event::Usage(_) => {}
            // Before the limit cut it short there was nothing of it that anybody could trust.
            Event::Finish(Finish::Length) if self.call.as_ref().is_some_and(Call::is_bare) => {
                self.call = None;
            }
            _ => self.put_call(out),
        }
        match event {
            Event::Start { id, model } => {
                self.tail = tail(model, if id.is_empty() { &self.request_id } else { id });
            }
            Event::Text(text) | Event::Refusal(text) => self.put_part(&Part::text(text.as_ref()), out),
            Event::Thought(text) => self.put_part(&Part { thought: true, ..Part::text(text.as_ref()) }, out),
            Event::ThoughtSignature(signature) => self.put_signature(signature, true, out),
            Event::Redacted(signature) => self.put_signature(signature, false, out),
            Event::Call { id, name, signature } => {
                self.call = Some(Call {
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    signature: signature.as_ref().map(|signature| wrapped(signature).into_owned()),
                    arguments: String::new(),
                    is_too_long: false,
                });
            }
            Event::Arguments(piece) => self.hold(piece),
            Event::Usage(usage) => self.usage = self.usage.larger(*usage),
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
        let Some(args) = arguments::raw(&call.arguments).filter(|_| !call.is_too_long) else {
            self.has_lost_call = true;
            return;
        };
        let args = match self.framing {
            Framing::Events => arguments::in_one_line(args),
            Framing::Elements => Cow::Borrowed(args),
        };
        let function_call = Some(FunctionCall { id: &call.id, name: call.name.as_str().into(), args: &args });
        let thought_signature = call.signature.as_deref().map(Cow::Borrowed);
        self.put_part(&Part { function_call, thought_signature, ..Part::default() }, out);
    }

    fn put_signature(&mut self, signature: &Signature<'_>, thought: bool, out: &mut Vec<u8>) {
        let thought_signature = Some(wrapped(signature));
        self.put_part(&Part { thought, thought_signature, ..Part::text("") }, out);
    }

    fn put_part(&mut self, part: &Part<'_>, out: &mut Vec<u8>) {
        self.open(out);
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":["#);
        push(out, part);
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
            push(out, if self.has_lost_call { malformed(reason) } else { reason });
        }
        out.extend_from_slice(br#","index":0}],"usageMetadata":"#);
        push(out, &Usage::from(self.usage));
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
    push(&mut tail, model);
    tail.extend_from_slice(br#","responseId":"#);
    push(&mut tail, id);
    tail.push(b'}');
    tail
}

#[cfg(test)]
mod tests {
    use super::super::decoder::Decoder;
    use super::*;
    use crate::translate::frames::{self, Frames};
    use crate::translate::signs::Api;
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn asked(framing: Framing) -> Asked<'static> {
        Asked { request_id: "req-1", created: 0, body: b"", longest: &(0..0), framing, include_usage: false }
    }

    fn encoded(events: &[Event<'_>], framing: Framing) -> String {
        let (mut encoder, mut out) = (Encoder::new(&asked(framing)), Vec::new());
        for event in events {
            encoder.put(event, &mut out);
        }
        String::from_utf8(out).expect("text")
    }

    fn start() -> Event<'static> {
        Event::Start { id: "r-1".into(), model: "m".into() }
    }

    fn call(name: &'static str) -> Event<'static> {
        Event::Call { id: name.into(), name: name.into(), signature: None }
    }

    fn signature(maker: Api) -> Signature<'static> {
        Signature { maker, text: "c2ln".into() }
    }

    /// A stream with all that there is.
    fn rich() -> Vec<Event<'static>> {
        let usage = TokenUsage { input: 6, cache_read: 4, cache_write: 0, output: 8, reasoning: 3 };
        vec![
            start(),
            Event::Thought("Hm".into()),
            Event::ThoughtSignature(signature(Api::Generate)),
            Event::Text("Hi ".into()),
            Event::Text("\"you\"\n".into()),
            Event::Redacted(signature(Api::Messages)),
            call("f"),
            Event::Arguments("{\"a\"".into()),
            Event::Usage(TokenUsage { input: 6, ..TokenUsage::default() }),
            Event::Arguments(": 1}".into()),
            call("g"),
            Event::Arguments("{}".into()),
            Event::Finish(Finish::ToolCalls),
            Event::Usage(usage),
            Event::End,
        ]
    }

    /// The JSON of each event or element.
    fn responses(stream: &str, framing: Framing) -> Vec<Value> {
        match framing {
            Framing::Elements => serde_json::from_str(stream).expect("an array"),
            Framing::Events => {
                let events = stream.split_terminator("\r\n\r\n");
                events
                    .map(|event| serde_json::from_slice(&frames::data(event.as_bytes())).expect("JSON"))
                    .collect()
            }
        }
    }

    #[test]
    fn each_event_is_a_whole_response_in_either_framing() {
        for framing in [Framing::Events, Framing::Elements] {
            let responses = responses(&encoded(&rich(), framing), framing);
            let parts: Vec<_> = responses
                .iter()
                .map(|response| response["candidates"][0]["content"]["parts"][0].clone())
                .collect();
            assert_eq!(parts[0], json!({"text": "Hm", "thought": true}));
            assert_eq!(parts[1], json!({"text": "", "thought": true, "thoughtSignature": "c2ln"}));
            assert_eq!(parts[3], json!({"text": "\"you\"\n"}));
            assert_eq!(parts[5], json!({"functionCall": {"id": "f", "name": "f", "args": {"a": 1}}}));
            assert_eq!(responses.len(), 8, "one for each but start, usage, finish and the pieces of calls");
            assert!(responses.iter().all(|it| it["modelVersion"] == "m" && it["responseId"] == "r-1"));
            let last = responses.last().expect("an end");
            assert_eq!(last["candidates"][0]["finishReason"], "STOP");
            assert_eq!(
                last["usageMetadata"],
                json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 18,
                    "cachedContentTokenCount": 4, "thoughtsTokenCount": 3})
            );
        }
    }

    #[test]
    fn a_call_is_written_when_its_arguments_are_complete() {
        let (mut encoder, mut out) = (Encoder::new(&asked(Framing::Events)), Vec::new());
        for event in [start(), call("f"), Event::Arguments("{}".into())] {
            encoder.put(&event, &mut out);
        }
        assert!(out.is_empty());
        encoder.put(&Event::Finish(Finish::ToolCalls), &mut out);
        assert!(String::from_utf8_lossy(&out).contains("functionCall"));
    }

    #[test]
    fn arguments_on_several_lines_are_one_line_of_an_event() {
        let pretty = "{\n  \"a\": \"x\\n\",\r\n\t\"b\":\r[1,\n2]\n}";
        let events = [start(), call("f"), Event::Arguments(pretty.into()), Event::Finish(Finish::ToolCalls)];
        let stream = encoded(&events, Framing::Events);
        let data =
            stream.strip_prefix("data: ").and_then(|it| it.strip_suffix("\r\n\r\n")).expect("one event");
        assert!(!data.contains(['\n', '\r']), "{data}");
        let arguments = &responses(&stream, Framing::Events)[0]["candidates"][0]["content"]["parts"][0];
        assert_eq!(arguments["functionCall"]["args"], json!({"a": "x\n", "b": [1, 2]}));
        // An element may have as many as it likes.
        assert!(encoded(&events, Framing::Elements).contains(pretty));
    }

    #[test]
    fn arguments_up_to_the_bound_are_held_and_one_byte_more_loses_the_call() {
        for (length, reason) in [(MAX_ARGUMENTS, "STOP"), (MAX_ARGUMENTS + 1, finish::MALFORMED)] {
            let piece = format!("{{\"a\":\"{}", "x".repeat(length - 8));
            let arguments = [Event::Arguments(piece.into()), Event::Arguments("\"}".into())];
            let end = [Event::Finish(Finish::ToolCalls), Event::End];
            let events: Vec<_> = [start(), call("f")].into_iter().chain(arguments).chain(end).collect();
            let stream = encoded(&events, Framing::Events);
            assert!(stream.contains(&format!(r#""finishReason":"{reason}""#)), "{length}");
            assert_eq!(stream.contains("functionCall"), reason == "STOP", "{length}");
        }
    }

    #[test]
    fn a_call_that_was_cut_off_is_left_out() {
        for arguments in ["{\"a\":", ""] {
            let events = [
                start(),
                call("f"),
                Event::Arguments(arguments.into()),
                Event::Finish(Finish::Length),
                Event::End,
            ];
            let stream = encoded(&events, Framing::Elements);
            let responses: Vec<Value> = serde_json::from_str(&stream).expect("an array");
            assert_eq!(responses.len(), 1);
            assert_eq!(responses[0]["candidates"][0]["finishReason"], "MAX_TOKENS");
        }
    }

    /// What a stream says, pieces of one text joined, usage last.
    fn decoded(stream: &[u8], framing: Framing, piece: usize) -> Vec<String> {
        let (mut frames, mut decoder) = (Frames::new(framing, 1 << 20), Decoder::default());
        let mut said: Vec<String> = Vec::new();
        let mut out = |event: Event<'_>| match (event, said.last_mut()) {
            (Event::Text(text), Some(last)) if last.starts_with("text ") => last.push_str(&text),
            (Event::Text(text), _) => said.push(format!("text {text}")),
            (event, _) => said.push(format!("{event:?}")),
        };
        for chunk in stream.chunks(piece) {
            frames.push(&Bytes::copy_from_slice(chunk), |frame| decoder.see(&frames::data(frame), &mut out));
        }
        decoder.finish(&mut out);
        decoder.finish(&mut out);
        said
    }

    #[test]
    fn a_stream_says_the_same_in_every_split() {
        for framing in [Framing::Events, Framing::Elements] {
            let stream = encoded(&rich(), framing);
            let whole = decoded(stream.as_bytes(), framing, stream.len());
            assert_eq!(whole.len(), 12, "{whole:#?}");
            assert_eq!(whole[3], "text Hi \"you\"\n");
            assert!(whole[4].contains("Redacted") && whole[4].contains("Messages"), "the wrapper came off");
            assert_eq!(whole[6], r#"Arguments("{\"a\": 1}")"#);
            assert_eq!(whole[10..], ["Finish(ToolCalls)", "End"]);
            for piece in 1..stream.len() {
                assert_eq!(decoded(stream.as_bytes(), framing, piece), whole, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_stream_that_breaks_off_has_no_end() {
        let stream = encoded(&rich()[..5], Framing::Events);
        let said = decoded(stream.as_bytes(), Framing::Events, 7);
        assert!(said.iter().all(|event| event != "End"), "{said:?}");
    }

    #[test]
    fn what_is_no_response_is_passed_over() {
        let mut decoder = Decoder::default();
        for data in ["", "[DONE]", "{}", r#"{"error":{"code":503,"message":"overloaded"}}"#] {
            assert!(!decoder.see(data.as_bytes(), &mut |event| panic!("{event:?}")), "{data}");
        }
        assert!(decoder.see(br#"{"promptFeedback":{"blockReason":"OTHER"}}"#, &mut |_| {}));
    }

    #[test]
    fn the_last_reason_to_stop_counts_and_nothing_behind_an_earlier_one_is_lost() {
        let event = |part: &str, reason: &str| {
            format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"{reason}"}}]}}"#)
        };
        let (mut decoder, mut said) = (Decoder::default(), Vec::new());
        for data in [
            event("", "STOP"),
            event(r#"{"text":"acorn"}"#, "STOP"),
            event(r#"{"text":" walnut"}"#, ""),
            event(r#"{"functionCall":{"name":"f"}}"#, ""),
        ] {
            assert!(decoder.see(data.as_bytes(), &mut |event| said.push(format!("{event:?}"))));
            assert!(decoder.is_finished(), "{data}");
        }
        assert!(!said.iter().any(|event| event.starts_with("Finish")), "{said:?}");
        decoder.finish(&mut |event| said.push(format!("{event:?}")));
        decoder.finish(&mut |event| panic!("{event:?}"));
        let said = said.join(" ");
        let order = ["acorn", "walnut", "Call", "Finish(ToolCalls)", "End"].map(|word| said.find(word));
        assert!(order.is_sorted() && order[0].is_some(), "{said}");
    }

    proptest! {
        #[test]
        fn any_text_and_arguments_come_through(texts in prop::collection::vec("\\PC{1,20}", 1..5), value in "\\PC{0,20}") {
            let arguments = json!({"a": value}).to_string();
            let mut events = vec![start()];
            events.extend(texts.iter().map(|text| Event::Text(text.into())));
            events.extend([call("f"), Event::Arguments(arguments.as_str().into())]);
            events.extend([Event::Finish(Finish::ToolCalls), Event::End]);
            let stream = encoded(&events, Framing::Events);
            let said = decoded(stream.as_bytes(), Framing::Events, 5);
            prop_assert_eq!(&said[1], &format!("text {}", texts.concat()));
            let expected = format!("{:?}", Event::Arguments(arguments.as_str().into()));
            prop_assert_eq!(&said[3], &expected);
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.see(&bytes, &mut |_| {});
            decoder.finish(&mut |_| {});
        }
    }
}
