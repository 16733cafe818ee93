//! Errors in the vendors' own words, where the words matter to who reads them.

use super::super::options::Options;
use super::super::reply::Refusal;
use crate::domain::Dialect;
use std::borrow::Cow;
use std::time::Duration;

/// What a vendor complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Complaint {
    /// A status that says it all.
    Status(u16),
    /// Too many requests; to come back in so many seconds.
    Throttled(u64),
    /// Too many requests, and not a word on when to come back.
    RateLimited,
    /// No room for anyone's requests.
    Overloaded,
    /// The prompt exceeds the model's context.
    ContextLength,
    /// The prompt offends.
    ContentFilter,
    /// The client has put words into the model's mouth.
    Prefill,
    /// The key may not do this.
    Forbidden,
    /// There is no such model.
    UnknownModel,
}

impl Complaint {
    /// The refusal of a request for that model.
    pub(in crate::simulator) fn refusal(self, dialect: Dialect, model: &str, options: &Options) -> Refusal {
        let (status, code, message) = self.words(dialect, model);
        let refusal = Refusal { code, ..Refusal::new(status, message) };
        let Complaint::Throttled(seconds) = self else { return refusal };
        let stated = Duration::from_secs(seconds);
        let scaled = options.scaled(stated);
        let exact = u64::try_from(scaled.as_millis()).ok();
        let retry_after_ms = exact.filter(|_| scaled != stated);
        Refusal { retry_after: Some(seconds), retry_after_ms, ..refusal }
    }

    /// Status, OpenAI's code, and message. Sources: the vendors' lists of errors, and what their APIs answer.
    fn words(self, dialect: Dialect, model: &str) -> (u16, Option<&'static str>, Cow<'static, str>) {
        use Dialect::{Anthropic, Gemini, OpenAi};
        let (status, code, message) = match (self, dialect) {
            (Complaint::Status(status), _) => {
                return (status, None, format!("This is a simulated {status}").into());
            }
            (Complaint::Throttled(_) | Complaint::RateLimited, _) => {
                (429, None, "Rate limit reached for requests")
            }
            (Complaint::Overloaded, OpenAi) => {
                (503, Some("slow_down"), "The server is currently overloaded with other requests.")
            }
            (Complaint::Overloaded, Anthropic) => (529, None, "Overloaded"),
            (Complaint::Overloaded, Gemini) => {
                (503, None, "The model is overloaded. Please try again later.")
            }
            (Complaint::ContextLength, OpenAi) => (
                400,
                Some("context_length_exceeded"),
                "This model's maximum context length is 128000 tokens. However, your messages resulted in \
                 130000 tokens. Please reduce the length of the messages.",
            ),
            (Complaint::ContextLength, Anthropic) => {
                (400, None, "prompt is too long: 210000 tokens > 200000 maximum")
            }
            (Complaint::ContextLength, Gemini) => (
                400,
                None,
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ),
            (Complaint::ContentFilter, OpenAi) => (
                400,
                Some("content_filter"),
                "The response was filtered due to the prompt triggering a policy.",
            ),
            // Gemini stops a prompt inside an answer of 200; this is for endpoints that have no such answer.
            (Complaint::ContentFilter, Anthropic | Gemini) => {
                (400, None, "Output blocked by content filtering policy")
            }
            (Complaint::Prefill, OpenAi) => (400, None, "The last message must not be the assistant's."),
            (Complaint::Prefill, Anthropic) => (
                400,
                None,
                "This model does not support assistant message prefill. The conversation must end with a user \
                 message.",
            ),
            (Complaint::Prefill, Gemini) => {
                (400, None, "Please ensure that multiturn requests end with a user role.")
            }
            (Complaint::Forbidden, OpenAi) => (
                403,
                Some("unsupported_country_region_territory"),
                "Country, region, or territory not supported",
            ),
            (Complaint::Forbidden, Anthropic) => {
                (403, None, "Your API key does not have permission to use the specified resource.")
            }
            (Complaint::Forbidden, Gemini) => (403, None, "The caller does not have permission"),
            (Complaint::UnknownModel, _) => {
                return (404, unknown_code(dialect), unknown(dialect, model).into());
            }
        };
        (status, code, message.into())
    }
}

fn unknown_code(dialect: Dialect) -> Option<&'static str> {
    (dialect == Dialect::OpenAi).then_some("model_not_found")
}

fn unknown(dialect: Dialect, model: &str) -> String {
    match dialect {
        Dialect::OpenAi => format!("The model `{model}` does not exist or you do not have access to it."),
        Dialect::Anthropic => format!("model: {model}"),
        Dialect::Gemini => format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent."
        ),
    }
}
