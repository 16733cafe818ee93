//! Anthropic's Messages API as a simulated provider speaks it.
//!
//! Shapes: the vendor's API reference, version 2023-06-01.

mod message;
mod messages;
mod prompt;
mod strict;

use super::prompt::Prompt;
use super::rate_limit::Allowance;
use super::reply::{Refusal, Reply};
use super::route::{Body, Call, Route};
use crate::domain::wall_clock;
use serde_json::{Value, json};

/// The endpoints.
pub(super) static ROUTES: [Route; 4] = [
    Route { method: "POST", path: "/v1/messages", body: Body::Json, answer: message::message },
    Route { method: "POST", path: "/v1/messages/count_tokens", body: Body::Json, answer: count_tokens },
    Route { method: "GET", path: "/v1/models", body: Body::Nothing, answer: list_models },
    Route { method: "GET", path: "/v1/models/{}", body: Body::Nothing, answer: show_model },
];

/// The name of the header that carries the request's id.
pub(super) const REQUEST_ID: &str = "request-id";

/// An error as the vendor writes it.
pub(super) fn error(refusal: &Refusal, request_id: &str) -> Value {
    let kind = match refusal.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let error = json!({"type": kind, "message": refusal.message});
    json!({"type": "error", "error": error, "request_id": request_id})
}

/// The headers that tell where the rate limit stands.
pub(super) fn limit_headers(allowance: &Allowance) -> [(&'static str, String); 3] {
    [
        ("anthropic-ratelimit-requests-limit", allowance.limit.to_string()),
        ("anthropic-ratelimit-requests-remaining", allowance.remaining.to_string()),
        ("anthropic-ratelimit-requests-reset", wall_clock::rfc3339(wall_clock::now() + allowance.resets_in)),
    ]
}

/// What an answer and a count of tokens have in common: the model, and what goes in.
fn question<'a>(call: &'a Call<'_>) -> Result<(&'a str, Prompt<'a>), Refusal> {
    let Some(version) = call.request.header("anthropic-version") else {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    };
    let model = call.required_text("model")?;
    let messages = call.required_list("messages")?;
    strict::check(&call.json, messages, version)?;
    Ok((model, prompt::read(&call.json, messages)))
}

fn count_tokens(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (_, prompt) = question(call)?;
    Ok(Reply::json(200, &json!({"input_tokens": prompt.tokens()})))
}

fn model(name: &str) -> Value {
    json!({"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"})
}

fn list_models(call: &Call<'_>) -> Result<Reply, Refusal> {
    let models: Vec<Value> = call.models.iter().map(|name| model(name)).collect();
    let list = json!({
        "data": models,
        "has_more": false,
        "first_id": call.models.first(),
        "last_id": call.models.last(),
    });
    Ok(Reply::json(200, &list))
}

fn show_model(call: &Call<'_>) -> Result<Reply, Refusal> {
    if call.models.iter().any(|known| known == call.parameter) {
        return Ok(Reply::json(200, &model(call.parameter)));
    }
    Err(Refusal::new(404, format!("model: {}", call.parameter)))
}
