//! Google's Gemini API as a simulated provider speaks it.
//!
//! Shapes: the vendor's API reference, versions v1 and v1beta, which are one here.

mod content;
mod families;
mod prompt;
mod schema;
mod spelling;
mod strict;

use super::openai::vector;
use super::reply::{Refusal, Reply};
use super::route::{Body, Call, Route, missing};
use serde_json::{Value, json};

pub(super) use content::blocked;
pub(super) use spelling::to_camel_case;

/// The endpoints.
pub(super) static ROUTES: [Route; 14] = [
    post("/v1beta/models/{}:generateContent", content::generate),
    post("/v1beta/models/{}:streamGenerateContent", content::stream),
    post("/v1beta/models/{}:countTokens", count_tokens),
    post("/v1beta/models/{}:embedContent", embed),
    post("/v1beta/models/{}:batchEmbedContents", embed_batch),
    get("/v1beta/models", list_models),
    get("/v1beta/models/{}", show_model),
    post("/v1/models/{}:generateContent", content::generate),
    post("/v1/models/{}:streamGenerateContent", content::stream),
    post("/v1/models/{}:countTokens", count_tokens),
    post("/v1/models/{}:embedContent", embed),
    post("/v1/models/{}:batchEmbedContents", embed_batch),
    get("/v1/models", list_models),
    get("/v1/models/{}", show_model),
];

type Answer = fn(&Call<'_>) -> Result<Reply, Refusal>;

const fn post(path: &'static str, answer: Answer) -> Route {
    Route { method: "POST", path, body: Body::Json, answer }
}

const fn get(path: &'static str, answer: Answer) -> Route {
    Route { method: "GET", path, body: Body::Nothing, answer }
}

/// An error as the vendor writes it: it tells when to come back in the body, not in a header of its own.
pub(super) fn error(refusal: &Refusal) -> Value {
    let status = match refusal.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    };
    let mut error = json!({"code": refusal.status, "message": refusal.message, "status": status});
    if let Some(seconds) = refusal.retry_after {
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        let exact = refusal.retry_after_ms.map(|ms| format!("{}.{:03}s", ms / 1_000, ms % 1_000));
        let delay = exact.unwrap_or_else(|| format!("{seconds}s"));
        error["details"] = json!([{"@type": kind, "retryDelay": delay}]);
    } else if refusal.code == Some(INVALID_KEY) {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        error["details"] = json!([{"@type": kind, "reason": INVALID_KEY, "domain": "googleapis.com"}]);
    }
    json!({"error": error})
}

/// The reason in the details of the error that an unknown key gets, with status 400.
pub(super) const INVALID_KEY: &str = "API_KEY_INVALID";

/// Counts the contents, or those of a whole request.
fn count_tokens(call: &Call<'_>) -> Result<Reply, Refusal> {
    let whole = &call.json["generateContentRequest"];
    let body = if whole.is_null() { &call.json } else { whole };
    let tokens = prompt::read(call.parameter, body)?.tokens();
    let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
    Ok(Reply::json(200, &json!({"totalTokens": tokens, "promptTokensDetails": details})))
}

/// The embedding of one request, which stands alone or in a batch.
fn embedding(request: &Value) -> Result<Value, Refusal> {
    let content = &request["content"];
    if content["parts"].as_array().is_none_or(Vec::is_empty) {
        return Err(missing("content"));
    }
    // Of the text alone, so that one text has one vector, alone or in a batch.
    let text: String = content["parts"]
        .as_array()
        .map_or_else(String::new, |parts| parts.iter().filter_map(|part| part["text"].as_str()).collect());
    Ok(json!({"values": vector(&text.into(), &request["outputDimensionality"])?}))
}

fn embed(call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Reply::json(200, &json!({"embedding": embedding(&call.json)?})))
}

fn embed_batch(call: &Call<'_>) -> Result<Reply, Refusal> {
    let requests = call.required_list("requests")?;
    let embeddings: Vec<Value> = requests.iter().map(embedding).collect::<Result<_, _>>()?;
    Ok(Reply::json(200, &json!({"embeddings": embeddings})))
}

fn model(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "description": "A simulated model",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    })
}

fn list_models(call: &Call<'_>) -> Result<Reply, Refusal> {
    let models: Vec<Value> = call.models.iter().map(|name| model(name)).collect();
    Ok(Reply::json(200, &json!({"models": models})))
}

fn show_model(call: &Call<'_>) -> Result<Reply, Refusal> {
    if call.models.iter().any(|known| known == call.parameter) {
        return Ok(Reply::json(200, &model(call.parameter)));
    }
    Err(Refusal::new(404, format!("models/{} is not found", call.parameter)))
}
