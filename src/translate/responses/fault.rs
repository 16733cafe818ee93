//! Why an answer broke off, as its stream says it.

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What every event's number stands behind. A text's own quotes are escaped, so that it is a key.
static NUMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""sequence_number":"#));

/// The codes that a Response object knows, by the types of OpenAI's errors; the first for any other.
const CODES: [(&str, &str); 3] = [
    ("server_error", "server_error"),
    ("rate_limit_error", "rate_limit_exceeded"),
    ("invalid_request_error", "invalid_prompt"),
];

/// An error in OpenAI's words.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fault<'a> {
    #[serde(borrow)]
    pub(super) message: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    param: Option<Cow<'a, str>>,
}

impl Fault<'_> {
    /// Of an error's body; one that says nothing if it isn't OpenAI's.
    pub(super) fn of(body: &[u8]) -> Fault<'_> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: Fault<'a>,
        }

        serde_json::from_slice::<Body<'_>>(body).map(|body| body.error).unwrap_or_default()
    }

    /// What a Response object calls it.
    pub(super) fn response_code(&self) -> &'static str {
        let kind = self.kind.as_deref().unwrap_or_default();
        CODES.iter().find(|(name, _)| *name == kind).unwrap_or(&CODES[0]).1
    }

    /// The members of the event, but for its type and number. The reference has them flat, and the vendor's stream in an
    /// `error`, which is where its SDK looks.
    pub(super) fn members(&self) -> [(&'static str, Value); 4] {
        let Fault { message, kind, code, param } = self;
        let error = json!({"type": kind, "code": code, "message": message, "param": param});
        [("code", json!(code)), ("message", json!(message)), ("param", json!(param)), ("error", error)]
    }
}

/// The event that ends a stream of the API's own, for the reason in an error's body.
pub fn error_event(error: &[u8], number: u64) -> Bytes {
    let mut event = json!({"type": "error", "sequence_number": number});
    for (name, value) in Fault::of(error).members() {
        event[name] = value;
    }
    format!("event: error\ndata: {event}\n\n").into()
}

/// The number of an event of such a stream, as far as it can be seen at a glance.
pub fn number_of(frame: &[u8]) -> Option<u64> {
    let rest = frame.get(NUMBER.find(frame)? + NUMBER.needle().len()..)?.trim_ascii_start();
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_number_is_seen() {
        for (frame, number) in [
            (r#"data: {"type":"response.created","sequence_number":0,"response":{}}"#, Some(0)),
            (r#"data: {"sequence_number": 41}"#, Some(41)),
            (r#"data: {"delta":"\"sequence_number\":7"}"#, None),
            (r#"data: {"sequence_number":"7"}"#, None),
        ] {
            assert_eq!(number_of(frame.as_bytes()), number, "{frame}");
        }
    }

    #[test]
    fn an_error_that_is_not_openais_says_nothing() {
        for body in ["", "{}", r#"{"error":"x"}"#] {
            assert_eq!(Fault::of(body.as_bytes()).response_code(), "server_error", "{body}");
        }
    }
}
