//! Gemini's words: a content for each text, in a request of its own, and vectors in the order of these.
//!
//! Names come in camel or snake case, as ProtoJSON has them.

use super::{Answer, Request, dimensions, vector};
use crate::domain::Dialect;
use crate::translate::edit::{Edit, span};
use crate::translate::elements;
use crate::translate::features::{Feature, Features};
use crate::translate::field::{bad, parse};
use crate::translate::peek::BadBody;
use crate::translate::pieces::Str;
use crate::translate::reader;
use crate::translate::usage;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

const _: () = elements::fit::<One<'_>>();
const _: () = elements::fit::<Part<'_>>();

/// `EmbedContentRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(alias = "task_type")]
    task_type: Option<IgnoredAny>,
    title: Option<IgnoredAny>,
    #[serde(borrow, alias = "output_dimensionality")]
    output_dimensionality: Option<&'a RawValue>,
    /// The same four things in Google's cloud, and more.
    #[serde(borrow, alias = "embed_content_config")]
    embed_content_config: Option<Config<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(alias = "task_type")]
    task_type: Option<IgnoredAny>,
    title: Option<IgnoredAny>,
    #[serde(borrow, alias = "output_dimensionality")]
    output_dimensionality: Option<&'a RawValue>,
    #[serde(alias = "auto_truncate")]
    auto_truncate: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Str<'a>>,
}

/// `BatchEmbedContentsRequest`.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    requests: Option<Vec<One<'a>>>,
}

/// Reads the body of `embedContent`.
pub(super) fn read_one(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let mut request = Request::default();
    take(&mut request, parse(body)?, str::to_owned)?;
    Ok(request)
}

/// Reads the body of `batchEmbedContents`.
pub(super) fn read_batch(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let Batch { requests } = parse(body)?;
    let requests = requests.filter(|requests| !requests.is_empty());
    let requests = requests.ok_or_else(|| bad("requests", "must have at least one request"))?;
    let mut request = Request { is_list: true, ..Request::default() };
    for (index, one) in requests.into_iter().enumerate() {
        take(&mut request, one, |member| format!("requests[{index}].{member}"))?;
    }
    Ok(request)
}

/// Adds a text to a request, and what is asked of its vector. Who embeds a list at once makes all vectors alike.
fn take<'a>(request: &mut Request<'a>, one: One<'a>, field: impl Fn(&str) -> String) -> Result<(), BadBody> {
    let Some(Content { parts }) = one.content else { return Err(bad(field("content"), "is missing")) };
    if parts.is_empty() {
        return Err(bad(field("content.parts"), "must have at least one part"));
    }
    let config = one.embed_content_config.unwrap_or_default();
    let features = &mut request.features;
    features.insert_if(one.task_type.is_some() || config.task_type.is_some(), Feature::TaskType);
    features.insert_if(one.title.is_some() || config.title.is_some(), Feature::Title);
    features.insert_if(config.auto_truncate.is_some(), Feature::Other);
    let text = text_of(parts, features);
    let is_first = request.texts.is_empty();
    let (member, wanted) = match config.output_dimensionality {
        Some(wanted) => ("embedContentConfig.outputDimensionality", Some(wanted)),
        None => ("outputDimensionality", one.output_dimensionality),
    };
    let wanted = dimensions(wanted, field(member))?;
    if !is_first && wanted != request.dimensions {
        let why = "must be the same in all requests for a provider that embeds them at once";
        return Err(bad(field(member), why));
    }
    request.dimensions = wanted;
    if text.is_empty() && !request.features.contains(Feature::ForeignContent) {
        return Err(bad(field("content.parts"), "must have words in it"));
    }
    request.texts.push(text);
    Ok(())
}

/// The words of all parts, which have one vector. What is no text can't be embedded elsewhere.
fn text_of<'a>(parts: Vec<Part<'a>>, features: &mut Features) -> Cow<'a, str> {
    let mut text = Cow::Borrowed("");
    for part in parts {
        match part.text {
            None => features.insert(Feature::ForeignContent),
            Some(Str(more)) if text.is_empty() => text = more,
            Some(Str(more)) => text.to_mut().push_str(&more),
        }
    }
    text
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'w> {
    model: &'w str,
    content: AskedContent<'w>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct AskedContent<'w> {
    parts: [AskedPart<'w>; 1],
}

#[derive(Serialize)]
struct AskedPart<'w> {
    text: &'w str,
}

#[derive(Serialize)]
struct AskedBatch<'w> {
    requests: Vec<Asked<'w>>,
}

/// Writes a provider's request, and says which verb it is for.
pub(super) fn write(request: &Request<'_>, model: &str) -> Result<(Vec<u8>, &'static str), BadBody> {
    let model = format!("models/{model}");
    let ask = |text| Asked {
        model: &model,
        content: AskedContent { parts: [AskedPart { text }] },
        output_dimensionality: request.dimensions,
    };
    let (body, verb) = match &*request.texts {
        [text] if !request.is_list => (serde_json::to_vec(&ask(text)), "embedContent"),
        texts => {
            let requests = texts.iter().map(|text| ask(text)).collect();
            (serde_json::to_vec(&AskedBatch { requests }), "batchEmbedContents")
        }
    };
    Ok((body.map_err(|error| BadBody(format!("the request: {error}")))?, verb))
}

/// `EmbedContentResponse` or `BatchEmbedContentsResponse`.
#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow)]
    embedding: Option<Vector<'a>>,
    #[serde(borrow)]
    embeddings: Option<Vec<Vector<'a>>>,
    #[serde(borrow, rename = "usageMetadata")]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

/// Reads a provider's answer. It doesn't name the model.
pub(super) fn read_answer(body: &[u8]) -> Option<Answer<'_>> {
    let answer: Vectors<'_> = serde_json::from_slice(body).ok()?;
    let all = answer.embeddings.into_iter().flatten().chain(answer.embedding);
    let vectors = all.map(|it| vector(it.values)).collect::<Option<Vec<_>>>()?;
    let usage = answer.usage.and_then(|usage| usage::reported(Dialect::Gemini, usage.get().as_bytes()));
    Some(Answer { vectors, model: None, usage })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<GivenVector<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<GivenVector<'w>>>,
    usage_metadata: Usage,
}

#[derive(Serialize)]
struct GivenVector<'w> {
    values: &'w RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: u64,
    total_token_count: u64,
}

fn usage_of(tokens: u64) -> Usage {
    Usage { prompt_token_count: tokens, total_token_count: tokens }
}

/// Writes the answer of `embedContent`.
pub(super) fn write_one(answer: &Answer<'_>, tokens: u64) -> Option<Vec<u8>> {
    let values = *answer.vectors.first()?;
    let embedding = Some(GivenVector { values });
    serde_json::to_vec(&Given { embedding, embeddings: None, usage_metadata: usage_of(tokens) }).ok()
}

/// Writes the answer of `batchEmbedContents`.
pub(super) fn write_batch(answer: &Answer<'_>, tokens: u64) -> Option<Vec<u8>> {
    let embeddings = Some(answer.vectors.iter().map(|values| GivenVector { values }).collect());
    serde_json::to_vec(&Given { embedding: None, embeddings, usage_metadata: usage_of(tokens) }).ok()
}

/// Where a request that names its model in the path names it once more: at the root, or in each of its parts.
#[derive(Deserialize)]
struct Naming<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requests: Vec<Named<'a>>,
    #[serde(borrow, rename = "generateContentRequest", alias = "generate_content_request")]
    counted: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The edits that give the model its provider's name wherever the body of one of Gemini's requests repeats it, as those
/// of embeddings and token counts do: the vendor refuses one that differs from the path's.
pub fn rename_models(body: &[u8], model: &str) -> Vec<Edit> {
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that is none of these has nothing to be renamed, and is its provider's to judge.
    let Ok(naming) = reader::read::<Naming<'_>>(text) else { return Vec::new() };
    let inner = naming.requests.iter().chain(&naming.counted).filter_map(|named| named.model);
    let name = serde_json::Value::from(format!("models/{model}")).to_string();
    let spans = naming.model.into_iter().chain(inner).filter_map(|raw| span(text, raw.get()));
    spans.map(|at| Edit { at, with: name.clone().into() }).collect()
}
