//! Why an answer broke off, as its stream says it.

use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

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
