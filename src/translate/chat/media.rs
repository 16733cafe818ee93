//! Pictures, sound and documents as Chat Completions carries them: data URLs, addresses and bare base64.

use super::parse::is_base64;
use crate::translate::canonical::{Media, MediaKind, Source};
use crate::translate::features::{Feature, Features};
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use std::borrow::Cow;
use std::fmt::Display;

/// The sounds that the reference knows: `input_audio.format` and its media types, the first of which is written.
const SOUNDS: [(&str, &[&str]); 2] =
    [("wav", &["audio/wav", "audio/x-wav", "audio/wave"]), ("mp3", &["audio/mpeg", "audio/mp3"])];

/// How a PDF begins, in base64: `%PDF`, as far as whole characters go.
const PDF_IN_BASE64: &str = "JVBER";

/// A picture by its address, which may be a data URL.
pub(super) fn image<'a>(url: Cow<'a, str>, field: impl Display) -> Result<Media<'a>, BadBody> {
    let source = source(url, field)?;
    Ok(Media { kind: MediaKind::Image, source, name: None, ends_cache: false })
}

/// Sound, by its bytes and the short name of their format.
pub(super) fn audio<'a>(data: Cow<'a, str>, format: &str, field: impl Display) -> Result<Media<'a>, BadBody> {
    let Some((_, media_types)) = SOUNDS.iter().find(|(name, _)| *name == format) else {
        return Err(bad(format_args!("{field}.format"), "must be wav or mp3"));
    };
    let source = inline(media_types[0].into(), data, format_args!("{field}.data"))?;
    Ok(Media { kind: MediaKind::Audio, source, name: None, ends_cache: false })
}

/// A file: a data URL, or bare base64 if it can be seen to be a PDF.
pub(super) fn file<'a>(
    data: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    field: impl Display,
) -> Result<Media<'a>, BadBody> {
    let source = if data.starts_with(PDF_IN_BASE64) {
        inline("application/pdf".into(), data, field)?
    } else {
        source(data, field)?
    };
    let media_type = match &source {
        Source::Inline { media_type, .. } => media_type.as_ref(),
        Source::Url { .. } | Source::Text(_) => "",
    };
    let kind = match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    };
    Ok(Media { kind, source, name, ends_cache: false })
}

/// Notes what not every dialect can take of a medium.
pub(super) fn note(media: &Media<'_>, features: &mut Features) {
    features.insert_if(media.kind == MediaKind::Audio, Feature::AudioInput);
    features.insert_if(media.kind == MediaKind::Video, Feature::VideoInput);
    let is_fetched = matches!(media.source, Source::Url { .. });
    features.insert_if(media.kind == MediaKind::Document && is_fetched, Feature::DocumentUrl);
}

/// The format by which sound of that media type goes out.
pub(super) fn audio_format(media_type: &str) -> Option<&'static str> {
    SOUNDS.iter().find(|(_, media_types)| media_types.contains(&media_type)).map(|(name, _)| *name)
}

/// A data URL (RFC 2397) or another address.
fn source<'a>(url: Cow<'a, str>, field: impl Display) -> Result<Source<'a>, BadBody> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("data") => {}
        Some("http" | "https") => return Ok(Source::Url { url, media_type: None }),
        _ => return Err(bad(field, "must be a data URL with base64, or an http or https URL")),
    }
    let (media_type, data) = match url {
        Cow::Borrowed(url) => {
            let (head, data) = url.split_once(',').unwrap_or((url, ""));
            (media_type(head).map(Cow::Borrowed), Cow::Borrowed(data))
        }
        Cow::Owned(mut url) => {
            let comma = url.find(',').unwrap_or(url.len());
            let media_type = media_type(&url[..comma]).map(|it| Cow::Owned(it.to_owned()));
            url.drain(..(comma + 1).min(url.len()));
            (media_type, Cow::Owned(url))
        }
    };
    match media_type {
        Some(media_type) => inline(media_type, data, field),
        None => Err(bad(field, "must be a data URL with a media type and `;base64`")),
    }
}

/// The media type of the head of a data URL, `data:image/png;base64`.
fn media_type(head: &str) -> Option<&str> {
    let (_, head) = head.split_once(':')?;
    let (head, coding) = head.rsplit_once(';')?;
    let media_type = head.split(';').next()?;
    (coding.eq_ignore_ascii_case("base64") && media_type.contains('/')).then_some(media_type)
}

fn inline<'a>(
    media_type: Cow<'a, str>,
    data: Cow<'a, str>,
    field: impl Display,
) -> Result<Source<'a>, BadBody> {
    if !is_base64(&data) {
        return Err(bad(field, "is not valid base64"));
    }
    Ok(Source::Inline { media_type, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_has_its_media_type_and_its_bytes_whether_escaped_or_not() {
        for url in ["data:image/png;base64,QUJD", "DATA:image/png;a=b;BASE64,QUJD"] {
            for url in [Cow::Borrowed(url), Cow::Owned(url.to_owned())] {
                assert_eq!(
                    image(url, "x").map(|media| media.source),
                    Ok(Source::Inline { media_type: "image/png".into(), data: "QUJD".into() })
                );
            }
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for url in [
            "",
            "QUJD",
            "data:",
            "data:image/png;base64",
            "data:image/png,QUJD",
            "data:;base64,QUJD",
            "data:image/png;base64,QUJ",
            "ftp://x/y",
            "file:///etc/passwd",
        ] {
            for url in [Cow::Borrowed(url), Cow::Owned(url.to_owned())] {
                assert!(
                    image(url.clone(), "a.b").is_err_and(|BadBody(why)| why.starts_with("`a.b` ")),
                    "{url}"
                );
            }
        }
    }

    #[test]
    fn a_file_is_what_its_media_type_says_and_bare_base64_is_a_pdf() {
        for (data, kind) in [
            ("data:application/pdf;base64,QUJD", Ok(MediaKind::Document)),
            ("data:image/png;base64,QUJD", Ok(MediaKind::Image)),
            ("JVBERi0x", Ok(MediaKind::Document)),
            ("QUJD", Err(())),
        ] {
            let read = file(data.into(), None, "f").map(|media| media.kind).map_err(|_| ());
            assert_eq!(read, kind, "{data}");
        }
    }

    #[test]
    fn sound_has_one_of_two_formats() {
        for (format, media_types) in SOUNDS {
            let media = audio("QUJD".into(), format, "a").expect("known");
            assert_eq!(
                media.source,
                Source::Inline { media_type: media_types[0].into(), data: "QUJD".into() }
            );
            assert!(media_types.iter().all(|media_type| audio_format(media_type) == Some(format)));
        }
        assert!(audio("QUJD".into(), "ogg", "a").is_err());
        assert_eq!(audio_format("audio/ogg"), None);
    }
}
