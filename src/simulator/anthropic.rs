//! Anthropic's Messages API as a simulated provider speaks it.
//!
//! Shapes: the vendor's API reference, version 2023-06-01.

use super::answer::{Speech, input_tokens, text_bytes};
use super::prefill::prefill;
use super::rate_limit::Allowance;
use super::reply::{Events, Refusal, Reply, Template};
use super::route::{Body, Call, Route, missing, word_limit};
use crate::domain::{Dialect, wall_clock};
use serde_json::{Value, json};

/// The endpoints.
pub(super) static ROUTES: [Route; 4] = [
    Route { method: "POST", path: "/v1/messages", body: Body::Json, answer: message },
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

fn message(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (model, input) = question(call)?;
    let limit = &call.json["max_tokens"];
    if limit.is_null() {
        return Err(missing("max_tokens"));
    }
    if prefill(Dialect::Anthropic, &call.json).is_some_and(|said| said.ends_with(char::is_whitespace)) {
        return Err(Refusal::invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    let speech = call.speech(Dialect::Anthropic, word_limit(limit)?);
    let id = format!("msg_{}", call.id);
    Ok(if call.wants_stream() { stream(&id, model, input, speech) } else { whole(&id, model, input, speech) })
}

/// What an answer and a count of tokens have in common: the model, and the tokens that went in.
fn question<'a>(call: &'a Call<'_>) -> Result<(&'a str, usize), Refusal> {
    if call.request.header("anthropic-version").is_none() {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    }
    let model = call.required_text("model")?;
    let messages = call.required_list("messages")?;
    let bytes = messages.iter().map(text_bytes).sum::<usize>() + text_bytes(&call.json["system"]);
    Ok((model, input_tokens(bytes)))
}

fn stop_reason(speech: Speech) -> &'static str {
    if speech.is_cut { "max_tokens" } else { "end_turn" }
}

fn usage(input: usize, output: usize) -> Value {
    json!({
        "input_tokens": input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn whole(id: &str, model: &str, input: usize, speech: Speech) -> Reply {
    let message = json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": speech.text}],
        "stop_reason": stop_reason(speech),
        "stop_sequence": null,
        "usage": usage(input, speech.words),
    });
    Reply::json(200, &message).saying(speech.text)
}

fn stream(id: &str, model: &str, input: usize, speech: Speech) -> Reply {
    let mut events = Events::new();
    let mut event = |data: Value| events.event(data["type"].as_str(), &data);
    let message = json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(input, 1),
    });
    event(json!({"type": "message_start", "message": message}));
    event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    event(json!({"type": "ping"}));
    let delta = json!({"type": "text_delta", "text": Template::GAP});
    let delta = Template::new(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    for word in speech.pieces() {
        events.word(&delta, Some("content_block_delta"), word);
    }
    let mut event = |data: Value| events.event(data["type"].as_str(), &data);
    event(json!({"type": "content_block_stop", "index": 0}));
    event(json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(speech), "stop_sequence": null},
        "usage": {"output_tokens": speech.words},
    }));
    event(json!({"type": "message_stop"}));
    Reply::events(events)
}

fn count_tokens(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (_, input) = question(call)?;
    Ok(Reply::json(200, &json!({"input_tokens": input})))
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
