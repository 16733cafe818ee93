//! A stream for a client, from the hub: the role first, then pieces, the finish, usage if it was asked for, and the mark
//! of the end.
//!
//! Budget: 2 µs for an event. Holds nothing of the answer.

use super::answer::ID_PREFIX;
use super::finish;
use super::usage::Usage;
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish};
use crate::translate::pieces::push;
use crate::translate::sides::{Asked, answer_id};
use serde::Serialize;

#[derive(Serialize)]
struct Chunk<'e> {
    id: &'e str,
    object: &'static str,
    created: u64,
    model: &'e str,
    choices: &'e [Choice<'e>],
    /// In each chunk, and `null` but in the last, where the client asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct Choice<'e> {
    index: u64,
    delta: Delta<'e>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'e> {
    Role { role: &'static str, content: &'static str, refusal: Option<()> },
    Content { content: &'e str },
    Thought { reasoning_content: &'e str },
    Refusal { refusal: &'e str },
    ToolCalls { tool_calls: [ToolCall<'e>; 1] },
    Nothing {},
}

#[derive(Serialize)]
struct ToolCall<'e> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'e str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'e>,
}

#[derive(Serialize)]
struct Function<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    arguments: &'e str,
}

/// The call that began last.
#[derive(Clone, Copy, Debug)]
struct Open {
    index: u64,
    has_arguments: bool,
}

/// Writes the chunks of one stream, as server-sent events: the dialect has no other framing.
///
/// Source: OpenAI's API reference, "The chat completion chunk object" and `stream_options`.
#[derive(Debug)]
pub struct Encoder {
    /// The request's until the stream has started, then the answer's.
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    has_started: bool,
    calls: u64,
    open: Option<Open>,
    refuses: bool,
    usage: Option<TokenUsage>,
}

impl Encoder {
    /// An encoder that has said nothing.
    pub fn new(asked: &Asked<'_>) -> Encoder {
        Encoder {
            id: asked.request_id.to_owned(),
            model: String::new(),
            created: asked.created,
            include_usage: asked.include_usage,
            has_started: false,
            calls: 0,
            open: None,
            refuses: false,
            usage: None,
        }
    }

    /// Appends the frames of an event, if it has any.
    pub fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model } => self.start(id, model, out),
            Event::Text(text) => self.say(Delta::Content { content: text }, out),
            Event::Thought(text) => self.say(Delta::Thought { reasoning_content: text }, out),
            Event::Refusal(words) => {
                self.refuses = true;
                self.say(Delta::Refusal { refusal: words }, out);
            }
            Event::Call { id, name, .. } => self.begin_call(id, name, out),
            Event::Arguments(arguments) => self.argue(arguments, out),
            Event::Usage(usage) => self.usage = Some(self.usage.unwrap_or_default().larger(*usage)),
            Event::Finish(finish) => self.finish(finish, out),
            Event::End => self.end(out),
            // Nobody else's signature has a place here.
            Event::ThoughtSignature(_) | Event::Redacted(_) => {}
        }
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        self.has_started = true;
        self.id = answer_id(ID_PREFIX, id, &self.id).into_owned();
        model.clone_into(&mut self.model);
        self.chunk(Delta::Role { role: "assistant", content: "", refusal: None }, None, out);
    }

    fn begin_call(&mut self, id: &str, name: &str, out: &mut Vec<u8>) {
        self.close_call(out);
        let index = self.calls;
        self.calls += 1;
        self.open = Some(Open { index, has_arguments: false });
        let function = Function { name: Some(name), arguments: "" };
        let call = ToolCall { index, id: Some(id), kind: Some("function"), function };
        self.say(Delta::ToolCalls { tool_calls: [call] }, out);
    }

    fn argue(&mut self, arguments: &str, out: &mut Vec<u8>) {
        let Some(open) = self.open.as_mut().filter(|_| !arguments.is_empty()) else { return };
        open.has_arguments = true;
        let function = Function { name: None, arguments };
        let call = ToolCall { index: open.index, id: None, kind: None, function };
        self.say(Delta::ToolCalls { tool_calls: [call] }, out);
    }

    /// Ends the open call. Where a provider says nothing for no arguments, clients of this dialect expect an object.
    fn close_call(&mut self, out: &mut Vec<u8>) {
        if self.open.is_some_and(|open| !open.has_arguments) {
            self.argue("{}", out);
        }
        self.open = None;
    }

    fn finish(&mut self, finish: &Finish<'_>, out: &mut Vec<u8>) {
        // A call that the limit cut short has no arguments that anybody could trust.
        if *finish != Finish::Length {
            self.close_call(out);
        }
        self.open = None;
        self.ensure_started(out);
        self.chunk(Delta::Nothing {}, Some(finish::name(finish, self.refuses)), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            self.frame(&[], Some(Some(usage.into())), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn say(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.ensure_started(out);
        self.chunk(delta, None, out);
    }

    /// A stream that doesn't say its beginning has one all the same.
    fn ensure_started(&mut self, out: &mut Vec<u8>) {
        if !self.has_started {
            self.start("", "", out);
        }
    }

    fn chunk(&self, delta: Delta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<u8>) {
        let choice = Choice { index: 0, delta, logprobs: None, finish_reason };
        self.frame(&[choice], self.include_usage.then_some(None), out);
    }

    fn frame(&self, choices: &[Choice<'_>], usage: Option<Option<Usage>>, out: &mut Vec<u8>) {
        let Encoder { id, model, created, .. } = self;
        out.extend_from_slice(b"data: ");
        push(out, &Chunk { id, object: "chat.completion.chunk", created: *created, model, choices, usage });
        out.extend_from_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Signature;
    use crate::translate::frames::Framing;
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    /// The JSON of each frame that a client gets of these events; the end mark is a text.
    fn chunks(events: &[Event<'_>], include_usage: bool) -> Vec<Value> {
        let framing = Framing::Events;
        let asked =
            Asked { request_id: "r1", created: 7, body: b"{}", longest: &(0..0), framing, include_usage };
        let (mut encoder, mut out) = (Encoder::new(&asked), Vec::new());
        for event in events {
            encoder.put(event, &mut out);
        }
        let text = String::from_utf8(out).expect("UTF-8");
        let data = |frame: &str| {
            let data = frame.strip_prefix("data: ").expect("data only").to_owned();
            serde_json::from_str(&data).unwrap_or(Value::String(data))
        };
        text.split_terminator("\n\n").map(data).collect()
    }

    fn deltas(events: &[Event<'_>]) -> Vec<Value> {
        chunks(events, false).into_iter().map(|frame| frame["choices"][0]["delta"].clone()).collect()
    }

    fn start() -> Event<'static> {
        Event::Start { id: "msg_1".into(), model: "m".into() }
    }

    fn call(id: &'static str) -> Event<'static> {
        Event::Call { id: id.into(), name: "f".into(), signature: None }
    }

    fn usage(input: u64, output: u64) -> Event<'static> {
        Event::Usage(TokenUsage { input, output, ..TokenUsage::default() })
    }

    fn end(finish: Finish<'static>) -> [Event<'static>; 2] {
        [Event::Finish(finish), Event::End]
    }

    #[test]
    fn a_stream_is_role_pieces_finish_and_mark() {
        let chunk = |delta: Value, finish_reason: Value| {
            let choice =
                json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
            json!({"id": "chatcmpl-msg_1", "object": "chat.completion.chunk", "created": 7, "model": "m",
                "choices": [choice]})
        };
        let [finish, end] = end(Finish::StopSequence(None));
        let events = [start(), Event::Text("a\n\n".into()), usage(1, 2), finish, end];
        assert_eq!(
            chunks(&events, false),
            [
                chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null),
                chunk(json!({"content": "a\n\n"}), Value::Null),
                chunk(json!({}), json!("stop")),
                json!("[DONE]"),
            ]
        );
    }

    #[test]
    fn usage_has_a_chunk_of_its_own_if_it_was_asked_for_and_reported() {
        let [finish, end] = end(Finish::Length);
        let events = [start(), usage(9, 1), finish.clone(), usage(0, 4), end.clone()];
        let frames = chunks(&events, true);
        let (usage, others): (Vec<_>, Vec<_>) =
            frames.iter().filter(|frame| frame.is_object()).partition(|frame| frame["choices"] == json!([]));
        assert!(others.iter().all(|frame| frame.get("usage") == Some(&Value::Null)));
        assert_eq!(usage.len(), 1);
        assert_eq!(
            (&usage[0]["usage"]["prompt_tokens"], &usage[0]["usage"]["total_tokens"]),
            (&json!(9), &json!(13))
        );
        assert_eq!(frames[frames.len() - 2], *usage[0], "last before the mark");
        let unreported = chunks(&[start(), finish, end], true);
        assert!(unreported.iter().all(|frame| frame["choices"] != json!([])));
    }

    #[test]
    fn calls_are_counted_from_nought_whatever_came_before() {
        let events = [
            start(),
            Event::Thought("hm".into()),
            Event::Text("so".into()),
            call("a"),
            Event::Arguments("{\"x\"".into()),
            Event::Arguments("".into()),
            Event::Arguments(":1}".into()),
            call("b"),
            Event::Arguments("{}".into()),
        ];
        let begun = |index: u64, id: &str| {
            json!({"tool_calls": [{"index": index, "id": id, "type": "function",
                "function": {"name": "f", "arguments": ""}}]})
        };
        let more = |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
        assert_eq!(
            deltas(&events)[1..],
            [
                json!({"reasoning_content": "hm"}),
                json!({"content": "so"}),
                begun(0, "a"),
                more(0, "{\"x\""),
                more(0, ":1}"),
                begun(1, "b"),
                more(1, "{}"),
            ]
        );
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object_unless_the_limit_cut_it_short() {
        let empty = |index: u64| json!({"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]});
        let [finish, _] = end(Finish::ToolCalls);
        let whole = deltas(&[start(), call("a"), call("b"), finish]);
        assert_eq!((&whole[2], &whole[4]), (&empty(0), &empty(1)));
        let [finish, _] = end(Finish::Length);
        assert_eq!(deltas(&[start(), call("a"), finish]).len(), 3);
    }

    #[test]
    fn a_refusal_finishes_as_openai_finishes_it() {
        for (said, reason) in
            [(Event::Refusal("no".into()), "stop"), (Event::Text("no".into()), "content_filter")]
        {
            let [finish, _] = end(Finish::ContentFilter);
            let frames = chunks(&[start(), said, finish], false);
            assert_eq!(frames[2]["choices"][0]["finish_reason"], reason);
        }
    }

    #[test]
    fn signatures_are_nobody_elses_business() {
        let signature = || Signature { maker: Api::Messages, text: "s".into() };
        let events = [start(), Event::ThoughtSignature(signature()), Event::Redacted(signature())];
        assert_eq!(chunks(&events, false).len(), 1);
    }

    #[test]
    fn a_stream_that_doesnt_say_its_beginning_has_the_requests_id() {
        let frames = chunks(&[Event::Text("a".into())], false);
        assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(frames[1]["id"], "chatcmpl-r1");
    }
}
