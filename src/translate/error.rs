//! Our own errors, in the words of the dialect that the client speaks.

use super::responses;
use super::signs::Api;
use crate::domain::{Dialect, Failure};
use bytes::Bytes;
use serde_json::{Value, json};

/// How each vendor names an error of that status: (status, OpenAI's type, Anthropic's type, Gemini's status).
///
/// Sources: the vendors' error references; Gemini's names are those of google.rpc.Code.
const KINDS: [(u16, &str, &str, &str); 15] = [
    (400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    (401, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
    (403, "permission_error", "permission_error", "PERMISSION_DENIED"),
    (404, "invalid_request_error", "not_found_error", "NOT_FOUND"),
    (405, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    (408, "invalid_request_error", "invalid_request_error", "DEADLINE_EXCEEDED"),
    (413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    (415, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    (429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    (431, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    (500, "server_error", "api_error", "INTERNAL"),
    (501, "server_error", "api_error", "UNIMPLEMENTED"),
    (502, "server_error", "api_error", "UNAVAILABLE"),
    (503, "server_error", "overloaded_error", "UNAVAILABLE"),
    (504, "server_error", "timeout_error", "DEADLINE_EXCEEDED"),
];

/// "Overloaded", in Anthropic's API only; no status of HTTP's registry.
const ANTHROPIC_OVERLOADED: u16 = 529;

/// The body of an error answer.
pub fn body(dialect: Dialect, failure: &Failure) -> Bytes {
    shaped(dialect, failure.status, &failure.public, Some(failure.code.name()))
}

/// A provider's error in the words of another dialect: its message and its code as they are, its kind by the table;
/// `known` is the code of one that has none.
/// `None` if it is in no vendor's shape.
pub fn between(dialect: Dialect, status: u16, known: Option<&str>, body: &[u8]) -> Option<Bytes> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // Gemini's streams have their error in a list.
    let error = body.get(0).unwrap_or(&body).get("error")?;
    let message = error.get("message").unwrap_or(error).as_str()?;
    let code = error.get("code").and_then(Value::as_str).or(known);
    let status = if status < 400 { told_status(error) } else { status };
    Some(shaped(dialect, status, message, code))
}

/// The status of an error that came inside an answer of 200, by the vendors' names.
fn told_status(error: &Value) -> u16 {
    let names = ["type", "status"].map(|name| error.get(name).and_then(Value::as_str).unwrap_or_default());
    let is_called = |row: &&(u16, &str, &str, &str)| {
        names.contains(&row.2) || names.contains(&row.3) || names.contains(&row.1)
    };
    let numbered = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    numbered.or(KINDS.iter().find(is_called).map(|row| row.0)).unwrap_or(500)
}

fn shaped(dialect: Dialect, status: u16, message: &str, code: Option<&str>) -> Bytes {
    let fallback = if status < 500 { &KINDS[0] } else { &KINDS[10] };
    let (_, openai, anthropic, gemini) = KINDS.iter().find(|row| row.0 == status).unwrap_or(fallback);
    let value = match dialect {
        Dialect::OpenAi => json!({
            "error": {"message": message, "type": openai, "param": null, "code": code}
        }),
        Dialect::Anthropic => json!({"type": "error", "error": {"type": anthropic, "message": message}}),
        Dialect::Gemini => json!({"error": {"code": status, "message": message, "status": gemini}}),
    };
    value.to_string().into()
}

/// The status under which a dialect knows what a provider answered with that status: 529 is Anthropic's own.
pub fn status(dialect: Dialect, upstream: u16) -> u16 {
    if upstream == ANTHROPIC_OVERLOADED && dialect != Dialect::Anthropic { 503 } else { upstream }
}

/// An error's body as the event that ends a broken stream of server-sent events; `number` is what an event of an API that
/// counts them would have.
pub fn event_of(api: Api, body: &[u8], number: u64) -> Bytes {
    let name: &[u8] = match api {
        Api::Responses => return responses::error_event(body, number),
        Api::Messages => b"event: error\n",
        Api::Completions | Api::Generate | Api::Other => b"",
    };
    [name, b"data: ", body, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorCode;
    use serde_json::Value;

    fn parsed(dialect: Dialect, failure: &Failure) -> Value {
        serde_json::from_slice(&body(dialect, failure)).expect("JSON")
    }

    #[test]
    fn each_dialect_has_its_own_shape() {
        let failure = Failure::new(ErrorCode::ModelNotFound, "no \"x\"");
        assert_eq!(
            parsed(Dialect::OpenAi, &failure),
            json!({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
        );
        assert_eq!(
            parsed(Dialect::Anthropic, &failure),
            json!({"type": "error", "error": {"type": "not_found_error", "message": "no \"x\""}})
        );
        assert_eq!(
            parsed(Dialect::Gemini, &failure),
            json!({"error": {"code": 404, "message": "no \"x\"", "status": "NOT_FOUND"}})
        );
    }

    #[test]
    fn a_providers_error_keeps_its_words_in_another_dialect() {
        let anthropics = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
        let said = |dialect, status, body| -> Value {
            serde_json::from_slice(&between(dialect, status, None, body).expect("an error")).expect("JSON")
        };
        assert_eq!(
            said(Dialect::OpenAi, 200, anthropics),
            json!({"error": {"message": "busy", "type": "server_error", "param": null, "code": null}})
        );
        assert_eq!(
            said(Dialect::Gemini, 429, anthropics),
            json!({"error": {"code": 429, "message": "busy", "status": "RESOURCE_EXHAUSTED"}})
        );
        let openais = br#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
        assert_eq!(said(Dialect::OpenAi, 400, openais)["error"]["code"], "context_length_exceeded");
        assert_eq!(said(Dialect::Anthropic, 200, openais)["error"]["type"], "invalid_request_error");
        let geminis = br#"[{"error":{"code":404,"message":"gone","status":"NOT_FOUND"}}]"#;
        assert_eq!(said(Dialect::Anthropic, 200, geminis)["error"]["type"], "not_found_error");
        assert_eq!(between(Dialect::OpenAi, 500, None, b"<html>"), None);
        assert_eq!(between(Dialect::OpenAi, 500, None, b"{}"), None);
    }

    #[test]
    fn only_anthropics_clients_know_529() {
        assert_eq!(Dialect::ALL.map(|dialect| status(dialect, 529)), [503, 529, 503]);
        assert_eq!(Dialect::ALL.map(|dialect| status(dialect, 500)), [500; 3]);
    }

    #[test]
    fn each_api_has_its_own_event() {
        let error = body(Dialect::OpenAi, &Failure::new(ErrorCode::UpstreamUnavailable, "gone"));
        let event = |api| String::from_utf8(event_of(api, &error, 7).to_vec()).expect("text");
        assert!(event(Api::Completions).starts_with("data: {\"error\":"));
        assert!(event(Api::Messages).starts_with("event: error\ndata: {"));
        let numbered = event(Api::Responses);
        let data = numbered.strip_prefix("event: error\ndata: ").expect("a name");
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(
            (&data["type"], &data["sequence_number"], &data["message"], &data["error"]["message"]),
            (&json!("error"), &json!(7), &json!("gone"), &json!("gone"))
        );
    }

    #[test]
    fn what_only_the_log_may_say_is_never_in_a_body() {
        let failure =
            Failure::new(ErrorCode::UpstreamUnavailable, "try later").because("10.0.0.7:443 refused");
        for dialect in Dialect::ALL {
            assert!(!String::from_utf8_lossy(&body(dialect, &failure)).contains("10.0.0.7"));
        }
    }
}
