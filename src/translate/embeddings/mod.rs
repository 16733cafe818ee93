//! Embeddings, texts to vectors, between OpenAI's API and Gemini's; nobody else has them.
//!
//! Decides what a request asks for that the other API lacks, and puts request and answer into its words. A vector goes
//! on as the text that it came as, digit by digit: only for a client that wants base64 its numbers are read. Must not
//! know who is asked.
//!
//! Sources: OpenAI's API reference, "Create embeddings"; Gemini API reference, "Embeddings".

mod gemini;
mod openai;

use super::features::{Feature, Features};
use super::field::bad;
use super::peek::BadBody;
use super::pieces::Str;
use super::sides::Target;
use super::signs::Api;
use super::usage::BYTES_PER_TOKEN;
use crate::domain::TokenUsage;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

pub use gemini::rename_models;

/// The most texts that Gemini takes in one request. Source: its own refusal of more.
const MAX_BATCH: usize = 100;

/// How a client asks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenAI's `embeddings`: one text, or a list.
    OpenAi,
    /// Gemini's `embedContent`: one text.
    One,
    /// Gemini's `batchEmbedContents`: a list.
    Batch,
}

/// What a client asks.
#[derive(Debug, Default, PartialEq)]
struct Request<'a> {
    /// None where the texts are numbers of tokens.
    texts: Vec<Cow<'a, str>>,
    /// Whether the client gave a list, if of one text.
    is_list: bool,
    /// The length of a vector; `None` leaves it to the model.
    dimensions: Option<u64>,
    in_base64: bool,
    features: Features,
}

/// What a provider answers: the vectors in the order of the texts, as JSON lists.
struct Answer<'a> {
    vectors: Vec<&'a RawValue>,
    model: Option<Cow<'a, str>>,
    usage: Option<TokenUsage>,
}

/// A request as a provider gets it, with the way back.
#[derive(Debug)]
pub struct Written {
    /// JSON.
    pub body: Vec<u8>,
    /// What of the provider's API is called: the path below the version, or Gemini's verb.
    pub endpoint: &'static str,
    /// What the provider doesn't hear of the request.
    pub dropped: Vec<&'static str>,
    /// The way back.
    pub back: Back,
}

/// What the client's answer depends on beside the provider's.
#[derive(Debug)]
pub struct Back {
    form: Form,
    provider: Api,
    model: String,
    in_base64: bool,
    texts: usize,
    estimate: TokenUsage,
}

fn read(form: Form, body: &[u8]) -> Result<Request<'_>, BadBody> {
    let mut request = match form {
        Form::OpenAi => openai::read(body),
        Form::One => gemini::read_one(body),
        Form::Batch => gemini::read_batch(body),
    }?;
    request.features.insert(Feature::Embedding);
    request.features.insert_if(request.texts.len() > MAX_BATCH, Feature::ManyInputs);
    Ok(request)
}

/// What is asked for that not every dialect has.
///
/// # Errors
/// When the request isn't understood; names the field.
pub fn features(form: Form, body: &[u8]) -> Result<Features, BadBody> {
    read(form, body).map(|request| request.features)
}

/// Puts a request into a provider's words.
///
/// # Errors
/// When it can't be understood, or the provider has no embeddings.
pub fn write(form: Form, body: &[u8], provider: Api, target: &Target<'_>) -> Result<Written, BadBody> {
    let request = read(form, body)?;
    let (body, endpoint) = match provider {
        Api::Generate => gemini::write(&request, target.model)?,
        Api::Completions => openai::write(&request, target.model)?,
        Api::Messages | Api::Responses | Api::Other => {
            return Err(BadBody("this provider has no embeddings".to_owned()));
        }
    };
    let tokens_of = |text: &Cow<'_, str>| (text.len() as u64).div_ceil(BYTES_PER_TOKEN);
    let input = request.texts.iter().map(tokens_of).sum();
    let back = Back {
        form,
        provider,
        model: target.model.to_owned(),
        in_base64: request.in_base64,
        texts: request.texts.len(),
        estimate: TokenUsage { input, ..TokenUsage::default() },
    };
    let dropped = request.features.dropped_by(provider).collect();
    Ok(Written { body, endpoint, dropped, back })
}

impl Back {
    /// What the request took, by the length of its texts: for answers that don't say.
    pub fn estimate(&self) -> TokenUsage {
        self.estimate
    }

    /// A provider's answer in the client's words, and what it took, if that was said; `None` if it can't be understood,
    /// or has not one vector for each text.
    pub fn answer(&self, body: &[u8]) -> Option<(Vec<u8>, Option<TokenUsage>)> {
        let answer = match self.provider {
            Api::Generate => gemini::read_answer(body),
            _ => openai::read_answer(body),
        }?;
        if answer.vectors.len() != self.texts {
            return None;
        }
        let tokens = answer.usage.unwrap_or(self.estimate).input_total();
        let written = match self.form {
            Form::OpenAi => openai::write_answer(&answer, &self.model, tokens, self.in_base64)?,
            Form::One => gemini::write_one(&answer, tokens)?,
            Form::Batch => gemini::write_batch(&answer, tokens)?,
        };
        Some((written, answer.usage))
    }
}

/// The length of a vector. ProtoJSON has numbers as strings too.
fn dimensions(raw: Option<&RawValue>, field: impl Display) -> Result<Option<u64>, BadBody> {
    let Some(raw) = raw else { return Ok(None) };
    let number = raw.get().trim_matches('"').parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| bad(field, "must be a whole number above 0"))
}

/// A text with something in it.
fn text<'a>(raw: &'a RawValue, field: impl Display) -> Result<Cow<'a, str>, BadBody> {
    match serde_json::from_str(raw.get()) {
        Ok(Str(text)) if text.is_empty() => Err(bad(field, "must not be empty")),
        Ok(Str(text)) => Ok(text),
        Err(_) => Err(bad(field, "must be a string, all of it characters")),
    }
}

/// A vector's list of numbers, if it looks like one.
fn vector(raw: &RawValue) -> Option<&RawValue> {
    raw.get().starts_with('[').then_some(raw)
}

#[cfg(test)]
mod tests;
