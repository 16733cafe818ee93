//! What a provider's error means: one classification, from the body's words first, then the status.
//!
//! Vendors hide billing errors under 429, key errors under 400 and overload under 200; their own words are
//! clearer than their status codes, where they are more than "a server error". The words of all vendors are one table for all dialects, since
//! aggregators pass on each other's. This module is pure; it must not know what follows from a class.

use crate::domain::ErrorClass::{self, *};
use crate::translate::signs;
use serde_json::Value;

/// The longest error body that is read; of a longer one the status speaks alone.
pub const MAX_ERROR_BODY: usize = 256 << 10;

/// Where a word of the table is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// It is the error's `code`, `type` or `status`, or the `reason` of one of its details.
    Code,
    /// As `Code`, but only where there is no status: "a server error" says no more than 5xx does, less than 503
    /// does, and under 4xx what it says is wrong: a key that is refused, or a request, is no better elsewhere.
    Vague,
    /// The message contains it, under a status of 4xx (or in an answer of 200): messages of 5xx say
    /// little that the status doesn't, and may quote anything.
    Message,
}

/// What each word means. The first row that applies decides. All in lower case.
const WORDS: &[(At, &str, ErrorClass)] = &[
    // Keys and bills.
    (At::Code, "insufficient_quota", Auth),
    (At::Code, "billing_hard_limit_reached", Auth),
    (At::Code, "billing_not_active", Auth),
    (At::Code, "account_deactivated", Auth),
    (At::Code, "billing_error", Auth),
    (At::Code, "invalid_api_key", Auth),
    (At::Code, "api_key_invalid", Auth),
    (At::Code, "billing_disabled", Auth),
    (At::Code, "service_disabled", Auth),
    (At::Message, "credit balance is too low", Auth),
    (At::Message, "insufficient balance", Auth),
    (At::Message, "api key not valid", Auth),
    (At::Message, "user location is not supported", Auth),
    // The prompt and the model's context.
    (At::Code, "context_length_exceeded", ContextLength),
    (At::Code, "exceed_context_size_error", ContextLength),
    (At::Code, "request_too_large", ContextLength),
    (At::Message, "prompt is too long", ContextLength),
    (At::Message, "exceed context limit", ContextLength),
    (At::Message, "maximum context length", ContextLength),
    (At::Message, "exceeds the context window", ContextLength),
    (At::Message, "input is too long for requested model", ContextLength),
    (At::Message, "exceeds the maximum number of tokens", ContextLength),
    // Policy.
    (At::Code, "content_filter", ContentFilter),
    (At::Code, "content_policy_violation", ContentFilter),
    (At::Code, "moderation_blocked", ContentFilter),
    (At::Code, "invalid_prompt", ContentFilter),
    (At::Message, "blocked by content filtering policy", ContentFilter),
    (At::Message, "violates usage guidelines", ContentFilter),
    // The model.
    (At::Code, "model_not_found", ModelNotFound),
    (At::Code, "model_decommissioned", ModelNotFound),
    (At::Code, "deploymentnotfound", ModelNotFound),
    (At::Message, "model not exist", ModelNotFound),
    (At::Message, "is not a valid model id", ModelNotFound),
    (At::Message, "provided model identifier is invalid", ModelNotFound),
    (At::Message, "on-demand throughput isn", ModelNotFound),
    (At::Message, "no endpoints found", ModelNotFound),
    // What it said.
    (At::Code, "tool_use_failed", ModelFailed),
    (At::Code, "json_validate_failed", ModelFailed),
    // Room.
    (At::Code, "overloaded_error", Overloaded),
    (At::Code, "slow_down", Overloaded),
    (At::Code, "unavailable", Overloaded),
    (At::Code, "rate_limit_error", RateLimit),
    (At::Code, "rate_limit_exceeded", RateLimit),
    (At::Code, "resource_exhausted", RateLimit),
    // The rest of the vendors' own lists.
    (At::Code, "authentication_error", Auth),
    (At::Code, "permission_error", Auth),
    (At::Code, "unauthenticated", Auth),
    (At::Code, "permission_denied", Auth),
    (At::Code, "timeout_error", ServerError),
    (At::Code, "deadline_exceeded", ServerError),
    (At::Vague, "server_error", ServerError),
    (At::Vague, "api_error", ServerError),
    (At::Vague, "internal", ServerError),
];

/// The class of an answer that is an error by its status.
pub fn classify(status: u16, body: Option<&[u8]>) -> ErrorClass {
    let clues = body.and_then(read).map(|body| Clues::of(&body)).unwrap_or_default();
    // A timeout of the server's own says no more than a status of 5xx, and less than 503 does.
    let says_more = |class: &ErrorClass| *class != ServerError || status < 500;
    clues.class(Some(status)).filter(says_more).unwrap_or_else(|| by_status(status, &clues.message))
}

/// Whether a refusal says that the provider has no such path, and nothing of what the client asks for: its `base_url`
/// leads elsewhere, or it lacks the endpoint. Another provider may have it.
pub fn lacks_path(status: u16, body: &[u8]) -> bool {
    if status != 404 {
        return status == 405;
    }
    let Clues { codes, message, .. } = read(body).map(|body| Clues::of(&body)).unwrap_or_default();
    let is_silent = message.is_empty() && codes.is_empty();
    is_silent || NO_SUCH_PATH.contains(&&*message) || message.starts_with(INVALID_URL)
}

/// What the frameworks that many providers are built with say of a path that isn't there, and Anthropic, in lower case.
const NO_SUCH_PATH: [&str; 2] = ["not found", "404 page not found"];
/// How OpenAI's message begins, in lower case.
const INVALID_URL: &str = "invalid url";

/// What an answer of 200, or a frame of one, has inside instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// An error, as if its status had been one.
    Error(ErrorClass),
    /// Gemini's `promptFeedback.blockReason`: the prompt was refused by policy, in an answer that Gemini's clients
    /// know how to read. It is passed on as it is.
    Blocked,
}

/// What the JSON of an answer of 200, or of one frame of a stream (see [`crate::translate::frames::data`]), has
/// inside; `None` if it is an answer. Parses all of it: [`signs::is_error`] says whether that is worth while.
pub fn classify_inside(json: &[u8]) -> Option<Inside> {
    let body = read(json)?;
    if body.pointer("/promptFeedback/blockReason").is_some_and(Value::is_string) {
        return Some(Inside::Blocked);
    }
    let is_event = body.get("type").is_some_and(|kind| kind == "error" || kind == "response.failed");
    if error_of(&body).is_none() && !is_event {
        return None;
    }
    let clues = Clues::of(&body);
    let status = clues.status.unwrap_or_else(|| clues.likely_status());
    let class = clues.class(clues.status).unwrap_or_else(|| by_status(status, &clues.message));
    Some(Inside::Error(class))
}

/// The class of a whole answer of 200 that is an error. Costs one substring search where nothing in it is called
/// an error, and doesn't parse `"error": null`. Of an error that is too long to be read, nothing more is known.
pub fn error_inside(body: &[u8]) -> Option<ErrorClass> {
    if !signs::is_error(body) {
        return None;
    }
    match classify_inside(body) {
        Some(Inside::Error(class)) => Some(class),
        Some(Inside::Blocked) => None,
        None => Some(ServerError),
    }
}

fn by_status(status: u16, message: &str) -> ErrorClass {
    match status {
        429 => RateLimit,
        503 | 529 => Overloaded,
        401..=403 => Auth,
        404 if message.contains("model") => ModelNotFound,
        413 => ContextLength,
        408 => ServerError,
        400..=499 => InvalidRequest,
        // 5xx, redirects, and whatever is no status of an answer.
        _ => ServerError,
    }
}

fn read(body: &[u8]) -> Option<Value> {
    if body.len() > MAX_ERROR_BODY { None } else { serde_json::from_slice(body).ok() }
}

/// The error of a body: `{"error": …}`, the same in a list of one as Gemini's streams have it, or in the
/// `response` of the Responses API's events.
fn error_of(body: &Value) -> Option<&Value> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let says_something = |error: &&Value| match error {
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    [body.get("error"), body.pointer("/response/error")].into_iter().flatten().find(says_something)
}

/// What an error says of itself, in lower case.
#[derive(Default)]
struct Clues {
    codes: Vec<String>,
    message: String,
    /// The status that the error itself names.
    status: Option<u16>,
}

impl Clues {
    fn of(body: &Value) -> Clues {
        // Without an `error`, some compatible services put its fields at the top.
        let error = error_of(body).unwrap_or(body);
        let text = |value: &Value| value.as_str().map(str::to_ascii_lowercase);
        let field = |name| error.get(name).and_then(text);
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let reasons = details.filter_map(|detail| detail.get("reason").and_then(text));
        let status = error.get("code").or_else(|| error.get("status")).and_then(Value::as_u64);
        Clues {
            codes: ["code", "type", "status"].into_iter().filter_map(field).chain(reasons).collect(),
            message: ["message", "detail"].into_iter().find_map(field).or(text(error)).unwrap_or_default(),
            status: status.and_then(|status| u16::try_from(status).ok()).filter(|s| (400..600).contains(s)),
        }
    }

    /// The status that an error would have had, by the general words for errors of the request.
    fn likely_status(&self) -> u16 {
        let has = |accepts: fn(&str) -> bool| self.codes.iter().any(|code| accepts(code));
        if has(|code| code.starts_with("not_found")) {
            404
        } else if has(|code| code.starts_with("invalid_")) {
            400
        } else {
            500
        }
    }

    /// The class by its words, under a status if there is one.
    fn class(&self, status: Option<u16>) -> Option<ErrorClass> {
        let speaks = status.is_none_or(|status| status < 500);
        let is_code = |word: &str| self.codes.iter().any(|code| code == word);
        let applies = |(at, word, _): &&(At, &str, ErrorClass)| match at {
            At::Code => is_code(word),
            At::Vague => status.is_none() && is_code(word),
            At::Message => speaks && self.message.contains(word),
        };
        WORDS.iter().find(applies).map(|(_, _, class)| *class)
    }
}

#[cfg(test)]
mod tests;
