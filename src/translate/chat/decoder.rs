//! A provider's stream, into the hub. Copes with what imitators do to calls: no index or always the same, no id or one
//! that is said again with each piece, all of a call in one chunk.
//!
//! Budget: 2 µs for a chunk. Holds nothing of the answer but the id and the name of the call that is open.

use super::finish::{self, Said};
use super::message::{self, Message, ToolCall};
use super::wire::Maybe;
use crate::domain::Dialect;
use crate::translate::canonical::{Event, Finish};
use crate::translate::reader;
use crate::translate::spoilt::Spoilt;
use crate::translate::usage::reported;
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
    /// Whether something else was said since it began, which ends it.
    has_ended: bool,
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
    /// What is wrong where the provider gave up, or a piece of a call was lost, or came when it had ended: what the client
    /// got isn't whole, and must not look so.
    spoilt: Option<Spoilt>,
    has_ended: bool,
}

impl Decoder {
    /// Takes the data of one event. `false`: it wasn't understood, and nothing came of it. What can't be read while a call
    /// is open may be a piece of it.
    pub fn see(&mut self, data: &[u8], out: &mut dyn FnMut(Event<'_>)) -> bool {
        let data = data.trim_ascii();
        if data == DONE {
            self.finish(out);
            return true;
        }
        let Ok(chunk) = reader::read_bytes::<Chunk<'_>>(data) else {
            if self.is_calling() {
                self.spoil(Spoilt::TORN);
            }
            return false;
        };
        let Chunk { id, model, choices: Some(choices), usage } = chunk else { return false };
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

    /// What is wrong where what was said isn't whole: nothing more is heard of it, nor a finish.
    pub fn spoilt(&self) -> Option<Spoilt> {
        self.spoilt
    }

    fn spoil(&mut self, spoilt: Spoilt) {
        self.spoilt.get_or_insert(spoilt);
    }

    fn is_calling(&self) -> bool {
        !self.has_finished && self.open.as_ref().is_some_and(|open| !open.has_ended)
    }

    fn take(&mut self, choice: Choice<'_>, out: &mut dyn FnMut(Event<'_>)) {
        // Some say their finish again in the chunk of usage.
        if self.has_finished || self.spoilt.is_some() {
            return;
        }
        let mut delta = choice.delta.unwrap_or_default();
        let words = [delta.take_thought().map(Event::Thought), delta.take_text().map(Event::Text)];
        let refusal = delta.refusal.0.map(Event::Refusal);
        self.refuses |= refusal.is_some();
        for words in words.into_iter().chain([refusal]).flatten() {
            if let Some(open) = &mut self.open {
                open.has_ended = true;
            }
            out(words);
        }
        for (nth, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.take_call(call, nth, out);
        }
        let reason = choice.finish_reason.0.filter(|reason| reason != "null");
        match reason.map(|reason| self.finish_of(&reason)) {
            None => {}
            Some(Ok(finish)) => {
                self.has_finished = true;
                out(Event::Finish(finish));
            }
            Some(Err(spoilt)) => self.spoil(spoilt),
        }
    }

    fn finish_of(&self, reason: &str) -> Result<Finish<'static>, Spoilt> {
        if let Some(spoilt) = self.spoilt {
            return Err(spoilt);
        }
        if self.open.as_ref().is_some_and(|open| open.name.is_empty()) {
            return Err(Spoilt::BAD_CALL);
        }
        finish::read(reason, Said { calls: self.calls > 0, refuses: self.refuses })
    }

    /// Takes a piece of a call, the `nth` in its chunk.
    fn take_call(&mut self, call: ToolCall<'_>, nth: usize, out: &mut dyn FnMut(Event<'_>)) {
        let ToolCall { index, id, function } = call;
        let (name, arguments) = match function {
            Some(function) => {
                let arguments = function.arguments();
                (function.name.0, arguments)
            }
            None => (None, Cow::Borrowed("")),
        };
        let (id, name) = (id.0.as_deref().unwrap_or(""), name.as_deref().unwrap_or(""));
        let is_told_by_name = id.is_empty() && !name.is_empty() && (index.is_none() || nth > 0);
        let has_ended = self.open.as_ref().is_some_and(|open| open.has_ended && !open.name.is_empty());
        match self.open.as_ref().map(|open| open.next(index, id, name)) {
            // Without ids, or indexes that differ, a name is all that tells a call from a piece of the one before.
            Some(Next::Piece) if is_told_by_name => {
                self.open = Some(Open { index, ..Open::default() });
            }
            Some(Next::Piece) if !has_ended => {}
            Some(Next::Call) | None => {
                self.open = Some(Open { index, id: id.to_owned(), ..Open::default() });
            }
            // Some close each call with an empty piece.
            Some(Next::Piece | Next::Earlier) => {
                if !arguments.is_empty() {
                    self.spoil(Spoilt::TORN);
                }
                return;
            }
        }
        self.begin(id, name, out);
        if !arguments.is_empty() {
            let has_begun = self.open.as_ref().is_some_and(|open| !open.name.is_empty());
            if has_begun {
                out(Event::Arguments(arguments));
            } else {
                self.spoil(Spoilt::BAD_CALL);
            }
        }
    }

    /// Begins the open call once its name is known.
    fn begin(&mut self, id: &str, name: &str, out: &mut dyn FnMut(Event<'_>)) {
        let Some(open) = self.open.as_mut().filter(|open| open.name.is_empty() && !name.is_empty()) else {
            return;
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TokenUsage;
    use serde_json::{Value, json};

    /// What the hub hears of these chunks, in short, and whether each was understood.
    fn heard(chunks: &[Value]) -> (Vec<String>, Vec<bool>) {
        let (mut decoder, mut heard) = (Decoder::default(), Vec::new());
        let mut note = |event: Event<'_>| heard.push(short(&event));
        let understood = chunks
            .iter()
            .map(|chunk| match chunk {
                Value::String(text) => decoder.see(text.as_bytes(), &mut note),
                chunk => decoder.see(chunk.to_string().as_bytes(), &mut note),
            })
            .collect();
        decoder.finish(&mut note);
        (heard, understood)
    }

    fn short(event: &Event<'_>) -> String {
        match event {
            Event::Start { id, model } => format!("start {id} {model}"),
            Event::Text(text) => format!("text {text}"),
            Event::Thought(text) => format!("thought {text}"),
            Event::Refusal(text) => format!("refusal {text}"),
            Event::Call { id, name, .. } => format!("call {id} {name}"),
            Event::Arguments(text) => format!("arguments {text}"),
            Event::Usage(usage) => format!("usage {} {}", usage.input_total(), usage.output),
            Event::Finish(finish) => format!("finish {finish:?}"),
            Event::End => "end".to_owned(),
            other => format!("{other:?}"),
        }
    }

    fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
        json!({"id": "chatcmpl-9", "model": "m", "choices": [choice]})
    }

    fn calls(calls: &Value) -> Value {
        chunk(&json!({"tool_calls": calls}), None)
    }

    /// What is heard of calls that come in these pieces, each of a chunk of its own unless it is a list.
    #[track_caller]
    fn expect_calls(pieces: &[Value], expected: &[&str]) {
        let piece = |piece: &Value| if piece.is_array() { calls(piece) } else { calls(&json!([piece])) };
        let mut chunks: Vec<_> = pieces.iter().map(piece).collect();
        chunks.push(chunk(&json!({}), Some("stop")));
        chunks.push(json!("[DONE]"));
        let mut all = vec!["start chatcmpl-9 m"];
        all.extend(expected);
        all.extend(["finish ToolCalls", "end"]);
        assert_eq!(heard(&chunks).0, all);
    }

    #[test]
    fn a_stream_of_openais_is_heard_piece_by_piece() {
        let usage = json!({"prompt_tokens": 9, "completion_tokens": 3});
        let (heard, understood) = heard(&[
            chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None),
            chunk(&json!({"reasoning_content": "hm"}), None),
            chunk(&json!({"content": "a"}), None),
            chunk(&json!({"content": "\n\u{e4}"}), None),
            chunk(&json!({}), Some("stop")),
            json!({"id": "chatcmpl-9", "model": "m", "choices": [], "usage": usage}),
            json!("[DONE]"),
        ]);
        assert_eq!(
            heard,
            [
                "start chatcmpl-9 m",
                "thought hm",
                "text a",
                "text \n\u{e4}",
                "finish Stop",
                "usage 9 3",
                "end",
            ]
        );
        assert!(understood.into_iter().all(|understood| understood));
    }

    #[test]
    fn calls_come_one_after_the_other_with_their_arguments_in_pieces() {
        expect_calls(
            &[
                json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
                json!({"index": 0, "function": {"arguments": "{\"x\""}}),
                json!({"index": 0, "function": {"arguments": ":1}"}}),
                json!({"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": ""}}),
                json!({"index": 1, "function": {"arguments": "{}"}}),
            ],
            &["call a f", "arguments {\"x\"", "arguments :1}", "call b f", "arguments {}"],
        );
    }

    #[test]
    fn what_imitators_make_of_calls_is_understood() {
        let piece = |index: Value, id: Value, name: Value, arguments: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
        let null = || Value::Null;
        // The id and the name are said again with each piece.
        expect_calls(
            &[piece(json!(0), json!("a"), json!("f"), "{"), piece(json!(0), json!("a"), json!("f"), "}")],
            &["call a f", "arguments {", "arguments }"],
        );
        // They are empty in later pieces.
        expect_calls(
            &[piece(json!(0), json!("a"), json!("f"), "{"), piece(json!(0), json!(""), json!(""), "}")],
            &["call a f", "arguments {", "arguments }"],
        );
        // Each piece has an id of its own.
        expect_calls(
            &[piece(json!(0), json!("a"), json!("f"), "{"), piece(json!(0), json!("z"), null(), "}")],
            &["call a f", "arguments {", "arguments }"],
        );
        // No index at all.
        expect_calls(
            &[
                piece(null(), json!("a"), json!("f"), "{"),
                piece(null(), null(), null(), "}"),
                piece(null(), json!("b"), json!("f"), "{}"),
            ],
            &["call a f", "arguments {", "arguments }", "call b f", "arguments {}"],
        );
        // Whole calls in one chunk, all of the same index.
        expect_calls(
            &[json!([
                piece(json!(0), json!("a"), json!("f"), "{}"),
                piece(json!(0), json!("b"), json!("f"), "{}")
            ])],
            &["call a f", "arguments {}", "call b f", "arguments {}"],
        );
        // The same without ids, which are made up.
        for index in [null(), json!(0)] {
            let twin = || piece(index.clone(), json!(""), json!("f"), "{}");
            expect_calls(
                &[json!([twin(), twin()])],
                &["call call_chatcmpl9_0 f", "arguments {}", "call call_chatcmpl9_1 f", "arguments {}"],
            );
        }
        // The name comes after the id, and the arguments are an object.
        let object = json!({"index": 0, "function": {"name": "f", "arguments": {"x": 1}}});
        expect_calls(
            &[piece(json!(0), json!("a"), null(), ""), object],
            &["call a f", "arguments {\"x\":1}"],
        );
        // An empty piece for a call that has ended.
        expect_calls(
            &[
                piece(json!(0), json!("a"), json!("f"), "{}"),
                piece(json!(1), json!("b"), json!("g"), "{}"),
                piece(json!(0), json!("a"), null(), ""),
            ],
            &["call a f", "arguments {}", "call b g", "arguments {}"],
        );
    }

    #[test]
    fn a_stream_whose_calls_cant_be_told_apart_has_no_end() {
        let named = |index: u64, id: &str| json!([{"index": index, "id": id, "function": {"name": "f", "arguments": "{"}}]);
        let more = json!([{"index": 0, "function": {"arguments": "}"}}]);
        let nameless = json!([{"index": 0, "id": "a", "function": {"arguments": "{}"}}]);
        for chunks in
            [vec![calls(&named(0, "a")), calls(&named(1, "b")), calls(&more)], vec![calls(&nameless)]]
        {
            let end = [chunk(&json!({"content": "x"}), Some("tool_calls")), json!("[DONE]")];
            let (heard, _) = heard(&[chunks, end.to_vec()].concat());
            assert!(heard.iter().all(|event| !event.starts_with("finish") && event != "end"), "{heard:?}");
        }
    }

    #[test]
    fn the_finish_may_come_with_content_and_comes_once() {
        let usage = json!({"prompt_tokens": 9, "completion_tokens": 3});
        let mut last = chunk(&json!({"content": "a"}), Some("length"));
        last["usage"] = usage;
        let (heard, _) = heard(&[chunk(&json!({"content": "x"}), Some("")), last.clone(), last]);
        let expected =
            ["start chatcmpl-9 m", "text x", "text a", "finish Length", "usage 9 3", "usage 9 3", "end"];
        assert_eq!(heard, expected);
    }

    #[test]
    fn azures_opening_without_choices_is_no_beginning() {
        let opening = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []});
        let (heard, understood) = heard(&[opening, chunk(&json!({"content": "a"}), Some("stop"))]);
        assert_eq!(heard, ["start chatcmpl-9 m", "text a", "finish Stop", "end"]);
        assert_eq!(understood, [true, true]);
    }

    #[test]
    fn a_refusal_finishes_as_one() {
        let (heard, _) = heard(&[chunk(&json!({"refusal": "no"}), None), chunk(&json!({}), Some("stop"))]);
        assert_eq!(heard[1..], ["refusal no", "finish ContentFilter", "end"]);
    }

    #[test]
    fn a_torn_or_broken_stream_has_no_end() {
        for last in [chunk(&json!({"content": "b"}), None), chunk(&json!({}), Some("error")), json!("[DONE]")]
        {
            let (heard, _) = heard(&[chunk(&json!({"content": "a"}), None), last]);
            assert!(heard.iter().all(|event| !event.starts_with("finish") && event != "end"), "{heard:?}");
        }
    }

    #[test]
    fn a_call_that_goes_on_behind_words_is_broken() {
        let (begun, rest) =
            (json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]), "}");
        let goes_on = |arguments: &str| calls(&json!([{"index": 0, "function": {"arguments": arguments}}]));
        for (words, arguments, is_whole) in [
            (json!({"content": "x"}), rest, false),
            (json!({"reasoning": "x"}), rest, false),
            (json!({"content": "x"}), "", true),
            (json!({"content": "", "reasoning_content": null}), rest, true),
        ] {
            let pieces =
                [calls(&begun), chunk(&words, None), goes_on(arguments), chunk(&json!({}), Some("stop"))];
            let (heard, _) = heard(&pieces);
            assert_eq!(heard.contains(&"end".to_owned()), is_whole, "{heard:?}");
            assert_eq!(heard.contains(&"arguments }".to_owned()), is_whole && !arguments.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_read_of_a_call_breaks_the_stream() {
        let begun = calls(&json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]));
        let rest = calls(&json!([{"index": 0, "function": {"arguments": "}"}}]));
        let (words, end) = (chunk(&json!({"content": "x"}), None), chunk(&json!({}), Some("stop")));
        let lost = json!("{\"choices\":[{\"delta\":");
        for (chunks, is_broken) in [
            (vec![&begun, &lost, &rest, &end], true),
            (vec![&begun, &rest, &lost, &end], true),
            (vec![&begun, &json!({"type": "ping"}), &rest, &end], false),
            (vec![&lost, &words, &lost, &begun, &rest, &end, &lost], false),
            (vec![&begun, &rest, &words, &lost, &end], false),
        ] {
            let chunks: Vec<Value> = chunks.into_iter().cloned().collect();
            let (heard, _) = heard(&chunks);
            assert_eq!(heard.contains(&"end".to_owned()), !is_broken, "{heard:?}");
        }
    }

    #[test]
    fn what_isnt_understood_is_skipped() {
        let (heard, understood) = heard(&[
            json!({"error": {"message": "overloaded"}}),
            json!("ping"),
            json!({"choices": 7}),
            json!({"choices": [{"index": 1, "delta": {"content": "of another"}}]}),
            chunk(&json!({"content": "a", "unheard_of": {"x": []}}), None),
        ]);
        assert_eq!(understood, [false, false, false, true, true]);
        assert_eq!(heard, ["start  ", "text a"]);
    }

    #[test]
    fn usage_is_told_each_time_that_the_provider_tells_it() {
        let mut first = chunk(&json!({"content": "a"}), None);
        first["usage"] = json!({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}});
        let mut seen = Vec::new();
        Decoder::default().see(first.to_string().as_bytes(), &mut |event| {
            if let Event::Usage(usage) = event {
                seen.push(usage);
            }
        });
        assert_eq!(seen, [TokenUsage { input: 7, cache_read: 2, cache_write: 0, output: 1, reasoning: 0 }]);
    }
}
