//! The text that one frame of a stream brings, and where it stands in the frame.
//!
//! For streams that are taken up again after a break: only plain text can be compared and cut. Whatever is more
//! than that, or isn't understood, is [`Said::Other`], which ends the comparison. Must not know what is compared.

use super::edit::span;
use super::frames;
use super::signs::Api;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Nothing that a reader sees: openings, pings, comments, usage, ends.
    Nothing,
    /// One piece of text, of the first and only answer.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// Where its JSON string stands in the frame, quotes included.
        at: Range<usize>,
    },
    /// A tool call, a thought, another of several answers, two texts at once, an error, or what isn't understood.
    Other,
}

/// What a frame of that API says.
pub fn text_of(api: Api, frame: &[u8]) -> Said<'_> {
    let Ok(frame) = std::str::from_utf8(frame) else { return Said::Other };
    // Data of several lines was joined, and has no place in the frame.
    let Cow::Borrowed(json) = frames::data(frame.as_bytes()) else { return Said::Other };
    if json.is_empty() || json.trim_ascii() == b"[DONE]" {
        return Said::Nothing;
    }
    let found = match api {
        Api::Completions => completions(json),
        Api::Messages => messages(json),
        Api::Generate => generate(json),
        Api::Responses | Api::Other => None,
    };
    match found.as_deref() {
        Some([]) => Said::Nothing,
        Some([raw]) => located(frame, raw).unwrap_or(Said::Other),
        Some(_) | None => Said::Other,
    }
}

/// The frame with another text in that place.
pub fn replace(frame: &[u8], at: Range<usize>, text: &str) -> Bytes {
    let (before, after) = (frame.get(..at.start), frame.get(at.end..));
    let text = serde_json::Value::from(text).to_string();
    [before.unwrap_or_default(), text.as_bytes(), after.unwrap_or_default()].concat().into()
}

fn located<'a>(frame: &'a str, raw: &'a RawValue) -> Option<Said<'a>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(Said::Text { text, at: span(frame, raw.get())? })
}

/// The JSON strings of the texts; `None` if there is anything else.
type Texts<'a> = Option<Vec<&'a RawValue>>;
/// Members whose names matter.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Whether a value says nothing.
fn is_empty(raw: &RawValue) -> bool {
    matches!(raw.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

fn says_something(raw: &Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !is_empty(raw))
}

/// The member of that name, if no other one but those in `harmless` says anything.
fn only<'a>(members: &Members<'a>, name: &str, harmless: &[&str]) -> Texts<'a> {
    let is_harmless = |key: &str| key == name || harmless.contains(&key);
    if members.iter().any(|(key, value)| !is_harmless(key) && !is_empty(value)) {
        return None;
    }
    Some(members.get(name).copied().filter(|text| !is_empty(text)).into_iter().collect())
}

fn completions(json: &[u8]) -> Texts<'_> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Vec<Choice<'a>>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(default)]
        index: u64,
        #[serde(borrow, default)]
        delta: Option<Members<'a>>,
        #[serde(borrow)]
        text: Option<&'a RawValue>,
        #[serde(borrow)]
        logprobs: Option<&'a RawValue>,
    }

    let chunk: Chunk<'_> = serde_json::from_slice(json).ok()?;
    let Some(choice) = chunk.choices.first() else { return Some(Vec::new()) };
    if chunk.choices.len() > 1
        || choice.index > 0
        || [chunk.error, choice.logprobs].iter().any(says_something)
    {
        return None;
    }
    let mut texts =
        choice.delta.as_ref().map_or(Some(Vec::new()), |delta| only(delta, "content", &["role"]))?;
    texts.extend(choice.text.filter(|text| !is_empty(text)));
    Some(texts)
}

fn messages(json: &[u8]) -> Texts<'_> {
    #[derive(Deserialize)]
    struct Event<'a> {
        r#type: Cow<'a, str>,
        #[serde(default)]
        index: u64,
        #[serde(borrow, default)]
        delta: Option<Members<'a>>,
        #[serde(borrow, default)]
        content_block: Option<Members<'a>>,
        #[serde(borrow, default)]
        message: Option<Message<'a>>,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }

    let event: Event<'_> = serde_json::from_slice(json).ok()?;
    let is = |members: &Members<'_>, kind: &str| members.get("type").is_some_and(|raw| raw.get() == kind);
    match event.r#type.as_ref() {
        "ping" | "content_block_stop" | "message_delta" | "message_stop" => Some(Vec::new()),
        "message_start" => {
            let begins_empty = event.message.is_none_or(|message| !says_something(&message.content));
            begins_empty.then(Vec::new)
        }
        "content_block_start" => {
            let block = event.content_block.filter(|block| event.index == 0 && is(block, "\"text\""))?;
            only(&block, "text", &["type"]).filter(Vec::is_empty)
        }
        "content_block_delta" => {
            let delta = event.delta.filter(|delta| event.index == 0 && is(delta, "\"text_delta\""))?;
            only(&delta, "text", &["type"])
        }
        _ => None,
    }
}

fn generate(json: &[u8]) -> Texts<'_> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Chunk<'a> {
        #[serde(borrow, default)]
        candidates: Vec<Candidate<'a>>,
        #[serde(borrow, default)]
        prompt_feedback: Option<Members<'a>>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Candidate<'a> {
        #[serde(default)]
        index: u64,
        #[serde(borrow, default)]
        content: Option<Content<'a>>,
    }
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow, default)]
        parts: Vec<Members<'a>>,
    }

    let chunk: Chunk<'_> = serde_json::from_slice(json).ok()?;
    let is_blocked = chunk.prompt_feedback.is_some_and(|feedback| feedback.contains_key("blockReason"));
    if is_blocked || chunk.candidates.len() > 1 || says_something(&chunk.error) {
        return None;
    }
    let Some(candidate) = chunk.candidates.into_iter().next() else { return Some(Vec::new()) };
    if candidate.index > 0 {
        return None;
    }
    let parts = candidate.content.map(|content| content.parts).unwrap_or_default();
    let texts: Option<Vec<_>> = parts.iter().map(|part| only(part, "text", &[])).collect();
    texts.map(|texts| texts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Api::{Completions, Generate, Messages, Responses};
    use proptest::prelude::*;

    #[test]
    fn frames_without_text_say_nothing() {
        for (api, frame) in [
            (Completions, ": keep-alive\n\n"),
            (Completions, "data: [DONE]\n\n"),
            (
                Completions,
                r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null}}]}"#,
            ),
            (Completions, r#"data: {"choices":[],"usage":{"prompt_tokens":1}}"#),
            (Completions, r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#),
            (Messages, r#"data: {"type":"message_start","message":{"content":[]}}"#),
            (Messages, r#"data: {"type":"ping"}"#),
            (
                Messages,
                r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ),
            (Messages, r#"data: {"type":"content_block_stop","index":0}"#),
            (Messages, r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#),
            (Messages, r#"data: {"type":"message_stop"}"#),
            (Generate, r#"data: {"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}]}"#),
            (Generate, r#", {"usageMetadata":{"promptTokenCount":1}}"#),
        ] {
            assert_eq!(text_of(api, frame.as_bytes()), Said::Nothing, "{frame}");
        }
    }

    #[test]
    fn what_is_more_than_text_is_told_apart() {
        for (api, frame) in [
            (Completions, r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":"a","reasoning_content":"b"}}]}"#),
            (Completions, r#"data: {"choices":[{"index":1,"delta":{"content":"a"}}]}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":"a"}},{"index":1,"delta":{}}]}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":[{"type":"text"}]}}]}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":"a"},"logprobs":{"content":[1]}}]}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":"\ud800"}}]}"#),
            (Completions, "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}}]}\n\n"),
            (Completions, r#"data: {"error":{"message":"no"}}"#),
            (Completions, r#"data: {"choices":[{"delta":{"content":"a"}}],"error":{"message":"no"}}"#),
            (Completions, "data: {\"broken"),
            (
                Messages,
                r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}"#,
            ),
            (
                Messages,
                r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a"}}"#,
            ),
            (
                Messages,
                r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f"}}"#,
            ),
            (Messages, r#"data: {"type":"error","error":{"type":"overloaded_error"}}"#),
            (Generate, r#"data: {"candidates":[{"content":{"parts":[{"text":"a","thought":true}]}}]}"#),
            (Generate, r#"data: {"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}]}"#),
            (Generate, r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#),
            (
                Generate,
                r#"data: {"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"x"}]}}]}"#,
            ),
            (Generate, r#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#),
            (Responses, r#"data: {"type":"response.output_text.delta","delta":"a"}"#),
        ] {
            assert_eq!(text_of(api, frame.as_bytes()), Said::Other, "{frame}");
        }
    }

    #[test]
    fn a_text_is_found_where_it_stands() {
        for (api, frame) in [
            (
                Completions,
                r#"data: {"id":"a\u00e9","choices":[{"index":0,"delta":{"content":"a\u00e9"},"finish_reason":null}]}"#,
            ),
            (Completions, r#"data: {"choices":[{"index":0,"text":"a\u00e9","logprobs":null}]}"#),
            (
                Messages,
                "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\\u00e9\"}}\n\n",
            ),
            (
                Generate,
                r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"a\u00e9","thought":false}]},"finishReason":"STOP"}]}"#,
            ),
            (Generate, r#", {"candidates":[{"content":{"parts":[{"text":"a\u00e9"}]}}]}"#),
        ] {
            let Said::Text { text, at } = text_of(api, frame.as_bytes()) else { panic!("{frame}") };
            assert_eq!((text.as_ref(), &frame[at]), ("aé", r#""a\u00e9""#), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn a_replaced_text_is_what_is_read_and_nothing_else_changes(old in "\\PC{1,20}", new in "\\PC{1,20}") {
            let quoted = serde_json::Value::from(old.as_str()).to_string();
            for (api, before, after) in [
                (Completions, r#"data: {"choices":[{"delta":{"content":"#, "}}]}\n\n"),
                (Messages, r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"#, "}}\n\n"),
                (Generate, r#"[{"candidates":[{"content":{"parts":[{"text":"#, "}]}}]}"),
            ] {
                let frame = format!("{before}{quoted}{after}");
                let Said::Text { text, at } = text_of(api, frame.as_bytes()) else { panic!("{frame}") };
                prop_assert_eq!(text.as_ref(), &old);
                let replaced = replace(frame.as_bytes(), at, &new);
                prop_assert!(replaced.starts_with(before.as_bytes()) && replaced.ends_with(after.as_bytes()));
                let Said::Text { text, .. } = text_of(api, &replaced) else { panic!("{replaced:?}") };
                prop_assert_eq!(text.as_ref(), &new);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(frame in prop::collection::vec(any::<u8>(), 0..100)) {
            for api in [Completions, Messages, Generate, Responses] {
                let _ = text_of(api, &frame);
            }
        }
    }
}
