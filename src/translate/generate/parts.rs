//! What a model said, part by part: the same in the history of a request and in an answer.

use super::wire::{self, Blob};
use crate::translate::canonical::{Media, MediaKind, Part, Signature, Source, Thought};
use crate::translate::media::{self, base64, types};
use crate::translate::pieces::Str;
use crate::translate::signature;
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use std::borrow::Cow;

/// Words, or thoughts, and the signature beside them.
///
/// A stream's pieces are joined again, as a client sends them back one by one: a signed block has to be whole. A
/// signature that stands beside words, or beside nothing, is a thought of which nothing else is known.
pub(super) fn push_words<'a>(
    parts: &mut Vec<Part<'a>>,
    text: Option<Verbatim<'a>>,
    is_thought: bool,
    signature: Option<Cow<'a, str>>,
) {
    let signature = signature.filter(|signature| !signature.is_empty()).map(given);
    let text = text.filter(|text| !text.is_empty());
    if is_thought {
        match parts.last_mut() {
            Some(Part::Thought(open)) if open.signature.is_none() => {
                let mut words = Verbatim::Plain(std::mem::take(&mut open.text));
                join(&mut words, text);
                open.text = words.into_plain();
                open.signature = signature;
            }
            _ if text.is_none() && signature.is_none() => {}
            _ => {
                let text = text.map(Verbatim::into_plain).unwrap_or_default();
                parts.push(Part::Thought(Thought { text, signature, is_redacted: false }));
            }
        }
        return;
    }
    match (parts.last_mut(), text) {
        (Some(Part::Text(open)), Some(text)) => join(&mut open.text, Some(text)),
        (_, Some(text)) => parts.push(Part::text(text)),
        (_, None) => {}
    }
    if signature.is_some() {
        parts.push(Part::Thought(Thought { text: Cow::Borrowed(""), signature, is_redacted: true }));
    }
}

fn join<'a>(before: &mut Verbatim<'a>, more: Option<Verbatim<'a>>) {
    match more {
        Some(more) if before.is_empty() => *before = more,
        Some(more) => {
            let mut all = std::mem::take(before).into_plain().into_owned();
            all.push_str(&more.plain());
            *before = all.into();
        }
        None => {}
    }
}

/// The media type of a blob that has none, which Gemini refuses, but others make a guess.
const UNTYPED: &str = "application/octet-stream";

/// Bytes that are in the body; `None` if they are no base64, or none at all.
pub(super) fn inline(blob: Blob<'_>) -> Option<Media<'_>> {
    let media_type = blob.mime_type.map(|Str(text)| text).filter(|text| types::is_well_formed(text));
    let media_type = media_type.unwrap_or(Cow::Borrowed(UNTYPED));
    let data = base64::standard(blob.data.0).filter(|data| !data.is_empty())?;
    let kind = types::kind_of(&media_type);
    let source = media::read(Source::Inline { media_type, data });
    Some(Media { kind, source, name: blob.display_name.map(|Str(name)| name), ends_cache: false })
}

/// A signature that was given to us: Gemini's own, or another maker's in its wrapper.
pub(super) fn given(text: Cow<'_, str>) -> Signature<'_> {
    signature::unwrap(text, Api::Generate).0
}

/// Where Gemini keeps the files that were given to it.
const OWN_FILES: &str = "https://generativelanguage.googleapis.com/";

/// A file by its address; `None` for one that only Google can fetch.
pub(super) fn by_address(file: wire::File<'_>) -> Option<Media<'_>> {
    let (url, media_type) = (file.file_uri.0, file.mime_type.map(|Str(text)| text));
    let is_public = media::is_of_the_web(&url) && !url.starts_with(OWN_FILES);
    let kind: MediaKind = media_type.as_deref().map_or_else(|| types::kind_of_url(&url), types::kind_of);
    let name = file.display_name.map(|Str(name)| name);
    is_public.then_some(Media { kind, source: Source::Url { url, media_type }, name, ends_cache: false })
}
