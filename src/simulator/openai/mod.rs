//! OpenAI's API, and what others added to it, as a simulated provider speaks it.
//!
//! Shapes: the vendor's API reference.

mod chat;
mod embeddings;
mod families;
mod items;
mod media;
mod messages;
mod prompt;
mod responses;
mod strict;
mod tasks;

use super::rate_limit::Allowance;
use super::reply::{Refusal, Reply};
use super::route::{Body, Call, Route};
use serde_json::{Value, json};

pub(super) use embeddings::vector;

/// The endpoints.
pub(super) static ROUTES: [Route; 12] = [
    Route { method: "POST", path: "/v1/chat/completions", body: Body::Json, answer: chat::chat },
    Route { method: "POST", path: "/v1/completions", body: Body::Json, answer: chat::completion },
    Route { method: "POST", path: "/v1/responses", body: Body::Json, answer: responses::respond },
    Route { method: "POST", path: "/v1/responses/input_tokens", body: Body::Json, answer: responses::count },
    Route { method: "POST", path: "/v1/embeddings", body: Body::Json, answer: embeddings::embed },
    Route { method: "POST", path: "/v1/moderations", body: Body::Json, answer: tasks::moderate },
    Route { method: "POST", path: "/v1/rerank", body: Body::Json, answer: tasks::rerank },
    Route { method: "POST", path: "/v1/images/generations", body: Body::Json, answer: media::draw },
    Route { method: "POST", path: "/v1/audio/transcriptions", body: Body::Form, answer: media::transcribe },
    Route { method: "POST", path: "/v1/audio/speech", body: Body::Json, answer: media::speak },
    Route { method: "GET", path: "/v1/models", body: Body::Nothing, answer: list_models },
    Route { method: "GET", path: "/v1/models/{}", body: Body::Nothing, answer: show_model },
];

/// The name of the header that carries the request's id.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// An error as the vendor writes it.
pub(super) fn error(refusal: &Refusal) -> Value {
    let (kind, code) = match refusal.status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("permission_error", None),
        404 => ("invalid_request_error", None),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    let code = refusal.code.or(code);
    json!({"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": code}})
}

/// The headers that tell where the rate limit stands.
pub(super) fn limit_headers(allowance: &Allowance) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-requests", allowance.limit.to_string()),
        ("x-ratelimit-remaining-requests", allowance.remaining.to_string()),
        ("x-ratelimit-reset-requests", format!("{}s", allowance.resets_in_seconds())),
    ]
}

/// Tokens as Chat Completions counts them: those of a thought are part of the output.
fn usage(input: usize, output: usize, reasoning: usize) -> Value {
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn model(call: &Call<'_>, name: &str) -> Value {
    json!({"id": name, "object": "model", "created": call.created, "owned_by": "simulator"})
}

fn list_models(call: &Call<'_>) -> Result<Reply, Refusal> {
    let models: Vec<Value> = call.models.iter().map(|name| model(call, name)).collect();
    Ok(Reply::json(200, &json!({"object": "list", "data": models})))
}

fn show_model(call: &Call<'_>) -> Result<Reply, Refusal> {
    let name = call.parameter;
    if call.models.iter().any(|known| known == name) {
        return Ok(Reply::json(200, &model(call, name)));
    }
    let refusal = Refusal::new(404, format!("The model '{name}' does not exist"));
    Err(Refusal { code: Some("model_not_found"), ..refusal })
}
