//! Google's Gemini API as a simulated provider speaks it.
//!
//! Shapes: the vendor's API reference, versions v1 and v1beta, which are one here.

use super::answer::{Speech, input_tokens, text_bytes};
use super::openai::vector;
use super::reply::{Events, Piece, Refusal, Reply, Template};
use super::route::{Body, Call, Route, missing, word_limit};
use crate::domain::Dialect;
use serde_json::{Value, json};

/// The endpoints.
pub(super) static ROUTES: [Route; 14] = [
    post("/v1beta/models/{}:generateContent", generate),
    post("/v1beta/models/{}:streamGenerateContent", stream),
    post("/v1beta/models/{}:countTokens", count_tokens),
    post("/v1beta/models/{}:embedContent", embed),
    post("/v1beta/models/{}:batchEmbedContents", embed_batch),
    get("/v1beta/models", list_models),
    get("/v1beta/models/{}", show_model),
    post("/v1/models/{}:generateContent", generate),
    post("/v1/models/{}:streamGenerateContent", stream),
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

/// A question, read: the tokens that went in, and what comes out.
struct Question<'a> {
    call: &'a Call<'a>,
    input: usize,
    speech: Speech,
}

impl<'a> Question<'a> {
    fn read(call: &'a Call<'a>) -> Result<Question<'a>, Refusal> {
        let limit = word_limit(&call.json["generationConfig"]["maxOutputTokens"])?;
        let input = prompt_tokens(&call.json)?;
        Ok(Question { call, input, speech: call.speech(Dialect::Gemini, limit) })
    }

    fn finish_reason(&self) -> &'static str {
        if self.speech.is_cut { "MAX_TOKENS" } else { "STOP" }
    }

    fn response(&self, text: &str, finish_reason: Option<&str>, output: Option<usize>) -> Value {
        let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
        if let Some(reason) = finish_reason {
            candidate["finishReason"] = reason.into();
        }
        let mut usage = json!({
            "promptTokenCount": self.input,
            "totalTokenCount": self.input + output.unwrap_or(0),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.input}],
        });
        if let Some(output) = output {
            usage["candidatesTokenCount"] = output.into();
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.call.parameter,
            "responseId": self.call.id,
        })
    }

    /// The responses of a stream in order, as JSON texts: a word each, the last with the finish reason.
    fn parts(&self) -> impl Iterator<Item = String> {
        let template = Template::new(&self.response(Template::GAP, None, None));
        // With nothing left to say, the finish reason still comes.
        let nothing = (self.speech.words == 0).then_some("");
        self.speech.pieces().chain(nothing).enumerate().map(move |(index, word)| {
            if index + 1 < self.speech.words {
                template.with(word)
            } else {
                self.response(word, Some(self.finish_reason()), Some(self.speech.words)).to_string()
            }
        })
    }
}

/// The tokens of a prompt: its contents and the system's instruction.
fn prompt_tokens(body: &Value) -> Result<usize, Refusal> {
    let contents = &body["contents"];
    if contents.as_array().is_none_or(Vec::is_empty) {
        return Err(Refusal::invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    Ok(input_tokens(text_bytes(contents) + text_bytes(&body["systemInstruction"])))
}

fn generate(call: &Call<'_>) -> Result<Reply, Refusal> {
    let question = Question::read(call)?;
    let Speech { text, words, .. } = question.speech;
    let response = question.response(text, Some(question.finish_reason()), Some(words));
    Ok(Reply::json(200, &response).saying(text))
}

/// What a prompt gets that the vendor's filter stops: an answer without candidates.
pub(super) fn blocked(call: &Call<'_>) -> Result<Reply, Refusal> {
    let input = prompt_tokens(&call.json)?;
    let response = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": input, "totalTokenCount": input},
        "modelVersion": call.parameter,
        "responseId": call.id,
    });
    if !call.request.path.ends_with(":streamGenerateContent") {
        return Ok(Reply::json(200, &response));
    }
    Ok(streamed(call, std::iter::once(response.to_string()), false))
}

fn stream(call: &Call<'_>) -> Result<Reply, Refusal> {
    let question = Question::read(call)?;
    Ok(streamed(call, question.parts(), true))
}

/// Responses one after the other: with `alt=sse` events, else one JSON array that grows.
fn streamed(call: &Call<'_>, parts: impl Iterator<Item = String>, are_tokens: bool) -> Reply {
    if call.request.parameter("alt") == Some("sse") {
        let mut events = Events::with_crlf();
        for part in parts {
            events.push(None, &part, are_tokens);
        }
        return Reply::events(events);
    }
    let mut array: Vec<Piece> = Vec::new();
    for part in parts {
        let before = if array.is_empty() { "[" } else { ",\r\n" };
        array.push(Piece { bytes: [before, &part].concat().into_bytes(), is_token: are_tokens });
    }
    array.push(Piece { bytes: b"]".to_vec(), is_token: false });
    Reply::pieces("application/json; charset=UTF-8", array)
}

/// Counts the contents, or those of a whole request.
fn count_tokens(call: &Call<'_>) -> Result<Reply, Refusal> {
    let whole = &call.json["generateContentRequest"];
    let tokens = prompt_tokens(if whole.is_null() { &call.json } else { whole })?;
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
