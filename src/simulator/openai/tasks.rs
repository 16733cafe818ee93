//! Moderations, and reranking as other OpenAI-compatible providers added it.

use super::super::answer::{input_tokens, text_bytes};
use super::super::reply::{Refusal, Reply};
use super::super::route::{Call, missing};
use serde_json::{Map, Value, json};

const CATEGORIES: [&str; 6] = ["harassment", "hate", "illicit", "self-harm", "sexual", "violence"];

/// Flags nothing.
pub(super) fn moderate(call: &Call<'_>) -> Result<Reply, Refusal> {
    let input = &call.json["input"];
    let count = match input {
        Value::String(_) => 1,
        Value::Array(items) if !items.is_empty() => items.len(),
        _ => return Err(missing("input")),
    };
    let of_each = |value: Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|name| ((*name).to_owned(), value.clone())).collect()
    };
    let result = json!({
        "flagged": false,
        "categories": of_each(json!(false)),
        "category_scores": of_each(json!(0.001)),
        "category_applied_input_types": of_each(json!(["text"])),
    });
    let model = call.json["model"].as_str().unwrap_or("omni-moderation-latest");
    let id = format!("modr-{}", call.id);
    Ok(Reply::json(200, &json!({"id": id, "model": model, "results": vec![result; count]})))
}

/// Ranks the documents in the order in which they came.
pub(super) fn rerank(call: &Call<'_>) -> Result<Reply, Refusal> {
    let model = call.required_text("model")?;
    let query = call.required_text("query")?;
    let documents = call.required_list("documents")?;
    let top = call.json["top_n"].as_u64().and_then(|top| usize::try_from(top).ok());
    let results: Vec<Value> = (0..top.unwrap_or(documents.len()).min(documents.len()))
        .map(|index| json!({"index": index, "relevance_score": 1.0 / (index as f64 + 1.0)}))
        .collect();
    let bytes = query.len() + documents.iter().map(text_bytes).sum::<usize>();
    let tokens = input_tokens(bytes);
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let id = format!("rerank-{}", call.id);
    Ok(Reply::json(200, &json!({"id": id, "model": model, "results": results, "usage": usage})))
}
