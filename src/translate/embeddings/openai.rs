//! OpenAI's words: `input`, `dimensions`, `encoding_format`, and a list of vectors with their places.

use super::{Answer, Request, dimensions, text, vector};
use crate::domain::Dialect;
use crate::translate::features::{Feature, Features};
use crate::translate::field::{bad, parse, parse_at};
use crate::translate::peek::BadBody;
use crate::translate::pieces::Str;
use crate::translate::reader;
use crate::translate::unknown::Noted;
use crate::translate::usage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The path below the version.
const ENDPOINT: &str = "embeddings";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    dimensions: Option<&'a RawValue>,
    #[serde(borrow)]
    encoding_format: Option<Str<'a>>,
    user: Option<IgnoredAny>,
    /// Read by [`super::super::peek`].
    #[serde(rename = "model")]
    _model: Option<IgnoredAny>,
}

/// Reads a client's request.
pub(super) fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let Noted { known: body, has_unknown } = parse::<Noted<Body<'_>>>(body)?;
    let in_base64 = match body.encoding_format.as_ref().map(|Str(format)| &**format) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(bad("encoding_format", "must be float or base64")),
    };
    let mut features = Features::NONE;
    features.insert_if(body.user.is_some(), Feature::User);
    features.insert_if(has_unknown, Feature::Other);
    let input = body.input.ok_or_else(|| bad("input", "is missing"))?;
    let (texts, is_list) = match input.get().as_bytes() {
        [b'[', ..] => (texts(input)?, true),
        [b'"', ..] => (vec![text(input, "input")?], false),
        _ => return Err(bad("input", "must be a string or a list of strings")),
    };
    features.insert_if(texts.is_empty(), Feature::TokenInput);
    let dimensions = dimensions(body.dimensions, "dimensions")?;
    Ok(Request { texts, is_list, dimensions, in_base64, features })
}

/// The texts of a list; none if they are numbers of tokens, of one text or of several.
fn texts(input: &RawValue) -> Result<Vec<Cow<'_, str>>, BadBody> {
    let items: Vec<&RawValue> = parse_at("input", input.get())?;
    let Some(first) = items.first() else { return Err(bad("input", "must not be empty")) };
    let are_lists = first.get().starts_with('[');
    if first.get().starts_with('"') {
        let each = items.into_iter().enumerate();
        return each.map(|(index, item)| text(item, format_args!("input[{index}]"))).collect();
    }
    for (index, item) in items.into_iter().enumerate() {
        let is_one = if are_lists {
            reader::read::<Vec<u64>>(item.get()).is_ok_and(|tokens| !tokens.is_empty())
        } else {
            item.get().parse::<u64>().is_ok()
        };
        if !is_one {
            let why = "must be a string, or the number of a token, or a list of these, as all of `input`";
            return Err(bad(format_args!("input[{index}]"), why));
        }
    }
    Ok(Vec::new())
}

#[derive(Serialize)]
struct Asked<'w> {
    model: &'w str,
    input: Input<'w>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'w> {
    One(&'w str),
    List(&'w [Cow<'w, str>]),
}

/// Writes a provider's request. Numbers are what it answers with unless it is asked for base64.
pub(super) fn write(request: &Request<'_>, model: &str) -> Result<(Vec<u8>, &'static str), BadBody> {
    let input = match &*request.texts {
        [text] if !request.is_list => Input::One(text),
        texts => Input::List(texts),
    };
    let asked = Asked { model, input, dimensions: request.dimensions };
    let body = serde_json::to_vec(&asked).map_err(|error| BadBody(format!("the request: {error}")))?;
    Ok((body, ENDPOINT))
}

#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow)]
    data: Vec<Embedding<'a>>,
    #[serde(borrow)]
    model: Option<Str<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Reads a provider's answer, whose vectors come in any order, each with its place.
pub(super) fn read_answer(body: &[u8]) -> Option<Answer<'_>> {
    let answer: Vectors<'_> = serde_json::from_slice(body).ok()?;
    let mut vectors = vec![None; answer.data.len()];
    for (nth, Embedding { index, embedding }) in answer.data.into_iter().enumerate() {
        let place = vectors.get_mut(index.unwrap_or(nth))?;
        if place.replace(vector(embedding)?).is_some() {
            return None;
        }
    }
    let usage = answer.usage.and_then(|usage| usage::reported(Dialect::OpenAi, usage.get().as_bytes()));
    let vectors = vectors.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Answer { vectors, model: answer.model.map(|Str(model)| model), usage })
}

#[derive(Serialize)]
struct Given<'w> {
    object: &'static str,
    data: Vec<GivenVector<'w>>,
    model: &'w str,
    usage: Usage,
}

#[derive(Serialize)]
struct GivenVector<'w> {
    object: &'static str,
    index: usize,
    #[serde(serialize_with = "either")]
    embedding: Result<&'w RawValue, String>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn either<S: Serializer>(vector: &Result<&RawValue, String>, to: S) -> Result<S::Ok, S::Error> {
    match vector {
        Ok(numbers) => numbers.serialize(to),
        Err(base64) => base64.serialize(to),
    }
}

/// Writes the client's answer.
pub(super) fn write_answer(
    answer: &Answer<'_>,
    model: &str,
    tokens: u64,
    in_base64: bool,
) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(answer.vectors.len());
    for (index, numbers) in answer.vectors.iter().enumerate() {
        let embedding = if in_base64 { Err(base64_of(numbers)?) } else { Ok(*numbers) };
        data.push(GivenVector { object: "embedding", index, embedding });
    }
    let usage = Usage { prompt_tokens: tokens, total_tokens: tokens };
    let model = answer.model.as_deref().unwrap_or(model);
    serde_json::to_vec(&Given { object: "list", data, model, usage }).ok()
}

/// The numbers as 32-bit floats, little-endian, in base64; `None` if they are none. Each is read from its digits: by
/// way of a longer float it would be rounded twice.
fn base64_of(numbers: &RawValue) -> Option<String> {
    let numbers: Vec<&RawValue> = serde_json::from_str(numbers.get()).ok()?;
    let mut bytes = Vec::with_capacity(numbers.len() * size_of::<f32>());
    for number in numbers {
        let number: f32 = number.get().parse().ok()?;
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Some(STANDARD.encode(bytes))
}
