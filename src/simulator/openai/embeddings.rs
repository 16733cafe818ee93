//! Embeddings: vectors that depend on the text alone, so that a mixed-up batch shows.

use super::super::answer::{input_tokens, text_bytes};
use super::super::reply::{Refusal, Reply};
use super::super::route::{Call, missing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers in a vector, unless the client asks for another count.
const DIMENSIONS: usize = 16;

/// Numbers in the longest vector that a client may ask for.
const MAX_DIMENSIONS: u64 = 4_096;

/// The vector of a text: the same text, the same vector.
pub(in crate::simulator) fn vector(text: &Value, dimensions: &Value) -> Result<Vec<f32>, Refusal> {
    let dimensions = match (dimensions, dimensions.as_u64()) {
        (Value::Null, _) => DIMENSIONS,
        (_, Some(count @ 1..=MAX_DIMENSIONS)) => usize::try_from(count).unwrap_or(DIMENSIONS),
        _ => return Err(Refusal::invalid(format!("dimensions: must be from 1 to {MAX_DIMENSIONS}"))),
    };
    let mut hasher = DefaultHasher::new();
    text.to_string().hash(&mut hasher);
    let mut random = fastrand::Rng::with_seed(hasher.finish());
    Ok((0..dimensions).map(|_| random.f32() * 2.0 - 1.0).collect())
}

pub(super) fn embed(call: &Call<'_>) -> Result<Reply, Refusal> {
    let model = call.required_text("model")?;
    let inputs = inputs(&call.json["input"])?;
    let is_base64 = match &call.json["encoding_format"] {
        Value::Null => false,
        Value::String(format) if format == "float" => false,
        Value::String(format) if format == "base64" => true,
        _ => return Err(Refusal::invalid("encoding_format: must be float or base64")),
    };
    let mut data = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        let vector = vector(input, &call.json["dimensions"])?;
        let embedding = if is_base64 { base64_of(&vector).into() } else { json!(vector) };
        data.push(json!({"object": "embedding", "index": index, "embedding": embedding}));
    }
    let tokens: usize = inputs.iter().map(|input| input_tokens(text_bytes(input))).sum();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Reply::json(200, &json!({"object": "list", "data": data, "model": model, "usage": usage})))
}

/// The texts to embed: one text, one text as token ids, or a list of either.
fn inputs(input: &Value) -> Result<&[Value], Refusal> {
    match input {
        Value::String(text) if !text.is_empty() => Ok(std::slice::from_ref(input)),
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => Ok(std::slice::from_ref(input)),
            Some(Value::String(_) | Value::Array(_)) => Ok(items),
            _ => Err(missing("input")),
        },
        _ => Err(missing("input")),
    }
}

/// The numbers as little-endian bytes in Base64, as the vendor's SDKs ask for them.
fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_depends_on_its_text() {
        let of = |text: &str| vector(&json!(text), &Value::Null).ok();
        assert_eq!(of("one"), of("one"));
        assert_ne!(of("one"), of("two"));
    }

    #[test]
    fn the_length_of_a_vector_is_bounded() {
        let length = |count: u64| vector(&json!("one"), &json!(count)).ok().map(|vector| vector.len());
        assert_eq!((length(3), length(MAX_DIMENSIONS)), (Some(3), Some(4_096)));
        assert_eq!((length(0), length(MAX_DIMENSIONS + 1)), (None, None));
    }

    #[test]
    fn token_ids_are_one_text_and_a_list_is_many() {
        let count = |input: Value| inputs(&input).ok().map(<[Value]>::len);
        assert_eq!(count(json!("text")), Some(1));
        assert_eq!(count(json!([1, 2, 3])), Some(1));
        assert_eq!(count(json!(["one", "two"])), Some(2));
        assert_eq!(count(json!([[1, 2], [3]])), Some(2));
        assert_eq!((count(json!([])), count(json!("")), count(json!(null))), (None, None, None));
    }
}
