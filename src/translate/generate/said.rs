//! Parts as they are written: a request's for a provider, an answer's for a client.

use crate::translate::canonical::{Media, Source};
use crate::translate::media::{base64, types};
use crate::translate::verbatim::Verbatim;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// `Content`.
#[derive(Serialize)]
pub(super) struct Content<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) parts: Vec<Part<'w>>,
}

/// `Part`. Source: Gemini API reference, "Caching", `Part`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Verbatim<'w>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<FunctionResponse<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<Blob<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<File<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<Cow<'w, str>>,
}

impl<'w> Part<'w> {
    /// Words.
    pub(super) fn text(text: impl Into<Verbatim<'w>>) -> Part<'w> {
        Part { text: Some(text.into()), ..Part::default() }
    }
}

/// `FunctionCall`.
#[derive(Serialize)]
pub(super) struct FunctionCall<'w> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'w str,
    pub(super) name: Cow<'w, str>,
    pub(super) args: &'w RawValue,
}

/// `FunctionResponse`.
#[derive(Serialize)]
pub(super) struct FunctionResponse<'w> {
    pub(super) id: &'w str,
    pub(super) name: Cow<'w, str>,
    pub(super) response: Given<'w>,
}

/// What a tool gave: always an object.
pub(super) enum Given<'w> {
    /// It was one.
    Object(Cow<'w, RawValue>),
    /// It was words, which go under this name.
    Words(&'static str, Verbatim<'w>),
}

impl Serialize for Given<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Given::Object(object) => object.serialize(serializer),
            Given::Words(name, words) => serializer.collect_map([(name, words)]),
        }
    }
}

/// `Blob`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'w> {
    pub(super) mime_type: &'w str,
    pub(super) data: Cow<'w, str>,
}

/// `FileData`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File<'w> {
    pub(super) mime_type: &'w str,
    pub(super) file_uri: &'w str,
}

/// A medium whose bytes, or whose address, the hub has.
pub(super) fn medium<'w>(media: &'w Media<'_>) -> Part<'w> {
    match &media.source {
        Source::Inline { media_type, data } => {
            let blob = Blob { mime_type: media_type, data: Cow::Borrowed(data) };
            Part { inline_data: Some(blob), ..Part::default() }
        }
        Source::Text(text) => {
            let blob = Blob { mime_type: "text/plain", data: base64::encode(text).into() };
            Part { inline_data: Some(blob), ..Part::default() }
        }
        Source::Url { url, media_type } => {
            let guess = || types::of_url(url, media.kind);
            let mime_type = media_type.as_deref().unwrap_or_else(guess);
            Part { file_data: Some(File { mime_type, file_uri: url }), ..Part::default() }
        }
    }
}
