//! Pictures, documents and sounds, as all dialects carry them: where their bytes are, and what is checked of them.
//!
//! Nothing is fetched and nothing decoded that doesn't have to be. Must not know any dialect.

pub(super) mod base64;
mod data_url;
pub(super) mod types;

use super::canonical::{Media, MediaKind, Source};
use super::features::{Feature, Features};
use std::borrow::Cow;

/// What is wrong with bytes that are none.
pub(super) const NO_BASE64: &str = "is not valid base64";

/// What is wrong with a media type that is none.
pub(super) const NO_TYPE: &str = "must be a media type, such as image/png";

/// What is wrong with the media type of something else.
pub(super) const NO_IMAGE: &str = "must have the media type of an image, such as image/png";

/// What is wrong with what is neither.
const NO_ADDRESS: &str = "must be a data URL with base64, or an http or https URL";

/// What is wrong with what can't be fetched.
const NOT_OF_THE_WEB: &str = "must be an http or https URL";

/// What is wrong with bytes of which nobody says what they are.
const UNTYPED: &str = "needs a media type such as `image/png` beside it";

/// Bytes that are in the body, in base64 with padding.
///
/// # Errors
/// When they are not, or have no media type.
pub(super) fn inline<'a>(media_type: Cow<'a, str>, data: Cow<'a, str>) -> Result<Source<'a>, &'static str> {
    if !types::is_well_formed(&media_type) {
        return Err(UNTYPED);
    }
    if base64::is_standard(&data) { Ok(Source::Inline { media_type, data }) } else { Err(NO_BASE64) }
}

/// Bytes by their address, which may be a data URL.
///
/// # Errors
/// When it is no address, or the data URL has no media type or other bytes than base64.
pub(super) fn at(url: Cow<'_, str>) -> Result<Source<'_>, &'static str> {
    if url.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(data_url::SCHEME)) {
        let (media_type, data) = data_url::split(url)?;
        return inline(media_type, data);
    }
    fetched(url).map_err(|_| NO_ADDRESS)
}

/// Bytes that the provider is to fetch.
///
/// # Errors
/// When nobody but who wrote the address could.
pub(super) fn fetched(url: Cow<'_, str>) -> Result<Source<'_>, &'static str> {
    if is_of_the_web(&url) { Ok(Source::Url { url, media_type: None }) } else { Err(NOT_OF_THE_WEB) }
}

/// Whether an address is one that anybody may fetch.
pub(super) fn is_of_the_web(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// A picture by its address.
///
/// # Errors
/// As [`at`], and when a data URL says that it is something else.
pub(super) fn image_at(url: Cow<'_, str>) -> Result<Source<'_>, &'static str> {
    match at(url)? {
        Source::Inline { media_type, .. } if types::kind_of(&media_type) != MediaKind::Image => Err(NO_IMAGE),
        source => Ok(source),
    }
}

/// A document of words by these, of any other kind as it is: not everybody reads words in base64.
pub(super) fn read(source: Source<'_>) -> Source<'_> {
    let words = match &source {
        Source::Inline { media_type, data } if types::is_text(media_type) => base64::words(data),
        Source::Inline { .. } | Source::Url { .. } | Source::Text(_) => None,
    };
    words.map_or(source, |words| Source::Text(words.into()))
}

/// Notes what not every dialect can take of a medium.
pub(super) fn note(media: &Media<'_>, features: &mut Features) {
    features.insert_if(media.kind == MediaKind::Audio, Feature::AudioInput);
    features.insert_if(media.kind == MediaKind::Video, Feature::VideoInput);
    let is_fetched = matches!(media.source, Source::Url { .. });
    features.insert_if(media.kind == MediaKind::Document && is_fetched, Feature::DocumentUrl);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_has_its_media_type_and_its_bytes_whether_escaped_or_not() {
        for url in ["data:image/png;base64,QUJD", "DATA:image/png;a=b;BASE64,QUJD"] {
            for url in [Cow::Borrowed(url), Cow::Owned(url.to_owned())] {
                let expected = Source::Inline { media_type: "image/png".into(), data: "QUJD".into() };
                assert_eq!(at(url), Ok(expected));
            }
        }
    }

    #[test]
    fn bytes_have_a_media_type_that_can_stand_in_a_url() {
        for media_type in ["image/png", "application/vnd.x+xml", "audio/L16;rate=24000"] {
            assert!(inline(media_type.into(), "QUJD".into()).is_ok(), "{media_type}");
        }
        for media_type in ["", "png", "/", "image/", "image/a/b", "image/png,x", "image/png; a=\"", "é/x"] {
            assert_eq!(inline(media_type.into(), "QUJD".into()), Err(UNTYPED), "{media_type}");
        }
    }

    #[test]
    fn another_address_is_of_the_web() {
        for url in ["http://x/y", "HTTPS://x/y,z"] {
            assert_eq!(at(url.into()), Ok(Source::Url { url: url.into(), media_type: None }));
        }
        for url in ["", "QUJD", "ftp://x/y", "file:///etc/passwd", "://x", "http:x"] {
            assert_eq!(at(url.into()), Err(NO_ADDRESS), "{url}");
            assert_eq!(fetched(url.into()), Err(NOT_OF_THE_WEB), "{url}");
        }
    }

    #[test]
    fn a_picture_is_said_to_be_one_or_is_somewhere_else() {
        for (url, is_one) in [
            ("data:image/png;base64,QUJD", true),
            ("data:IMAGE/x-new;base64,QUJD", true),
            ("https://x/y.pdf", true),
            ("data:application/pdf;base64,QUJD", false),
        ] {
            assert_eq!(image_at(url.into()).err(), (!is_one).then_some(NO_IMAGE), "{url}");
        }
        for (text, is_one) in [("a/b", true), ("png", false), ("/b", false), ("a/", false), ("", false)] {
            assert_eq!(types::is_type(text), is_one, "{text}");
        }
    }

    #[test]
    fn words_are_read_and_bytes_are_not() {
        let inline = |media_type: &'static str, data: &'static str| Source::Inline {
            media_type: media_type.into(),
            data: data.into(),
        };
        for (source, expected) in [
            (inline("text/csv", "w6k="), Source::Text("é".into())),
            (inline("application/json", "e30="), Source::Text("{}".into())),
            (inline("text/plain", "/w=="), inline("text/plain", "/w==")),
            (inline("application/pdf", "w6k="), inline("application/pdf", "w6k=")),
        ] {
            assert_eq!(read(source), expected);
        }
    }

    #[test]
    fn what_not_everybody_takes_is_noted() {
        let url = || Source::Url { url: "https://x".into(), media_type: None };
        for (kind, source, feature) in [
            (MediaKind::Image, url(), None),
            (MediaKind::Document, Source::Text("x".into()), None),
            (MediaKind::Document, url(), Some(Feature::DocumentUrl)),
            (MediaKind::Audio, url(), Some(Feature::AudioInput)),
            (MediaKind::Video, url(), Some(Feature::VideoInput)),
        ] {
            let (mut features, mut expected) = (Features::NONE, Features::NONE);
            note(&Media::new(kind, source), &mut features);
            feature.into_iter().for_each(|feature| expected.insert(feature));
            assert_eq!(features, expected, "{kind:?}");
        }
    }
}
