//! A request that asks for the rest of an answer: the same, with the part so far as the assistant's last message.
//!
//! Everything else of the body stays byte for byte. Not every model goes on from there: who does is declared in the
//! configuration, not known here. Sources: Anthropic, "Prefill Claude's response" (no trailing whitespace, no
//! extended thinking); Gemini's API reference of `contents`, whose turns may end with the model's; OpenAI documents
//! no such thing, but many of those who speak its dialect do, by the same form.

use super::edit::{self, Edit, span};
use super::reader;
use crate::domain::Dialect;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// What of the text so far is handed over: the answer goes on behind that.
pub fn handed_over(dialect: Dialect, said: &str) -> &str {
    match dialect {
        Dialect::Anthropic => said.trim_end(),
        Dialect::OpenAi | Dialect::Gemini => said,
    }
}

/// The body of a request, going on from `said`. `None` if it has no list of messages, if that ends with the
/// assistant's own already, if it asks for a thought first, or if there is nothing to go on from.
pub fn continued(dialect: Dialect, body: &Bytes, said: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let request: Request<'_> = reader::read(text).ok()?;
    let said = handed_over(dialect, said);
    if said.is_empty() || request.thinking.is_some_and(|thinking| thinking.kind != "disabled") {
        return None;
    }
    let (list, role, message) = match dialect {
        Dialect::OpenAi | Dialect::Anthropic => {
            (request.messages?, "assistant", json!({"role": "assistant", "content": said}))
        }
        Dialect::Gemini => (request.contents?, "model", json!({"role": "model", "parts": [{"text": said}]})),
    };
    let last = *list.last()?;
    let turn: Turn = serde_json::from_str(last.get()).ok()?;
    if turn.role.as_deref() == Some(role) {
        return None;
    }
    let end = span(text, last.get())?.end;
    Some(edit::apply(body, vec![Edit { at: end..end, with: format!(",{message}").into() }]))
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    messages: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    contents: Option<Vec<&'a RawValue>>,
    thinking: Option<Thinking>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Turn {
    role: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(dialect: Dialect, body: &str, said: &str) -> Option<String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        continued(dialect, &body, said).map(|body| String::from_utf8(body.to_vec()).expect("text"))
    }

    #[test]
    fn the_part_so_far_is_the_last_message_and_the_rest_stays() {
        for (dialect, body, expected) in [
            (
                Dialect::OpenAi,
                r#"{ "messages":[ {"role":"user","content":"a\u00e9"} ] ,"x": 1.0}"#,
                r#"{ "messages":[ {"role":"user","content":"a\u00e9"},{"content":"so \"far\" ","role":"assistant"} ] ,"x": 1.0}"#,
            ),
            (
                Dialect::Anthropic,
                r#"{"messages":[{"role":"user","content":[]}],"thinking":{"type":"disabled"}}"#,
                r#"{"messages":[{"role":"user","content":[]},{"content":"so \"far\"","role":"assistant"}],"thinking":{"type":"disabled"}}"#,
            ),
            (
                Dialect::Gemini,
                r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
                r#"{"contents":[{"parts":[{"text":"a"}]},{"parts":[{"text":"so \"far\" "}],"role":"model"}]}"#,
            ),
        ] {
            assert_eq!(after(dialect, body, "so \"far\" ").as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_cannot_go_on_is_left_alone() {
        for (dialect, body, said) in [
            (Dialect::OpenAi, r#"{"prompt":"a"}"#, "so far"),
            (Dialect::OpenAi, r#"{"messages":[]}"#, "so far"),
            (Dialect::OpenAi, r#"{"messages":"a"}"#, "so far"),
            (Dialect::OpenAi, r#"{"messages":[{"role":"assistant","content":"mine"}]}"#, "so far"),
            (Dialect::OpenAi, r#"{"messages":[{"role":"user"}]}"#, ""),
            (Dialect::Anthropic, r#"{"messages":[{"role":"user"}]}"#, " \n"),
            (Dialect::Anthropic, r#"{"messages":[{"role":"user"}],"thinking":{"type":"enabled"}}"#, "so far"),
            (Dialect::Gemini, r#"{"contents":[{"role":"model","parts":[]}]}"#, "so far"),
            (Dialect::Gemini, r#"{"messages":[{"role":"user"}]}"#, "so far"),
        ] {
            assert_eq!(after(dialect, body, said), None, "{dialect} {body}");
        }
    }
}
