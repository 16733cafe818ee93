//! Whether a client may ask at all, and what each vendor tells it if not.

use super::gemini::INVALID_KEY;
use super::reply::Refusal;
use super::wire::Request;
use crate::domain::{Dialect, Secret};

/// Compares the key that the client sent, wherever its dialect has it.
pub(super) fn check(keys: &[Secret], request: &Request, dialect: Dialect) -> Result<(), Refusal> {
    let bearer = || request.header("authorization")?.strip_prefix("Bearer ");
    let sent = match dialect {
        Dialect::OpenAi => bearer(),
        Dialect::Anthropic => request.header("x-api-key").or_else(bearer),
        Dialect::Gemini => request.header("x-goog-api-key").or_else(|| request.parameter("key")),
    };
    if sent.is_some_and(|sent| keys.contains(&Secret::new(sent))) {
        return Ok(());
    }
    Err(match (dialect, sent) {
        (Dialect::OpenAi, None) => Refusal::new(401, "You didn't provide an API key."),
        (Dialect::OpenAi, Some(_)) => Refusal::new(401, "Incorrect API key provided."),
        (Dialect::Anthropic, None) => Refusal::new(401, "x-api-key header is required"),
        (Dialect::Anthropic, Some(_)) => Refusal::new(401, "invalid x-api-key"),
        (Dialect::Gemini, None) => {
            Refusal::new(403, "Method doesn't allow unregistered callers. Please use an API key.")
        }
        (Dialect::Gemini, Some(_)) => {
            let refusal = Refusal::invalid("API key not valid. Please pass a valid API key.");
            Refusal { code: Some(INVALID_KEY), ..refusal }
        }
    })
}
