//! What OpenAI's two APIs say in the same words: how hard to think, which tool to call, and media. Must not know which
//! of the two is spoken.

use super::canonical::{Effort, Media, MediaKind, Reasoning, Source, ToolChoice};
use super::field::Fault;
use super::media::{self, base64, types};
use super::names::Rule;
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// How an effort says what the hub means; of two names for one thing the first is written. Source: OpenAI's API
/// reference, `reasoning_effort` and `reasoning.effort`.
pub(super) const EFFORTS: [(&str, Reasoning); 7] = [
    ("none", Reasoning::Off),
    ("minimal", Reasoning::Effort(Effort::Minimal)),
    ("low", Reasoning::Effort(Effort::Low)),
    ("medium", Reasoning::Effort(Effort::Medium)),
    ("high", Reasoning::Effort(Effort::High)),
    ("xhigh", Reasoning::Effort(Effort::Max)),
    ("max", Reasoning::Effort(Effort::Max)),
];

/// The choices that are a word. Source: OpenAI's API reference, `tool_choice`.
const CHOICES: [(&str, ToolChoice<'static>); 3] =
    [("auto", ToolChoice::Auto), ("none", ToolChoice::None), ("required", ToolChoice::Any)];

/// The sounds that are known: `input_audio.format` and its media types, the first of which is read.
const SOUNDS: [(&str, &[&str]); 2] =
    [("wav", &["audio/wav", "audio/x-wav", "audio/wave"]), ("mp3", &["audio/mpeg", "audio/mp3"])];

/// How a PDF begins, in base64: `%PDF`, as far as whole characters go.
const PDF_IN_BASE64: &str = "JVBER";

/// What a schema is called whose client has no name for it: the reference asks for one.
pub(super) const UNNAMED_SCHEMA: &str = "answer";

/// What names of tools can be sent. Source: OpenAI's API reference, `tools[].function.name`.
pub(super) const NAMES: Rule = Rule { marks: b"", begins_with_letter: false };

/// What a document is called that has no name; both references ask for one.
pub(super) const UNNAMED_FILE: &str = "document";

/// An address, or a data URL, put together only while it is written.
pub(super) enum Address<'r> {
    Url(&'r str),
    Inline { media_type: &'r str, data: &'r str },
}

impl Serialize for Address<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Address::Url(url) => serializer.serialize_str(url),
            Address::Inline { media_type, data } => {
                serializer.collect_str(&format_args!("data:{media_type};base64,{data}"))
            }
        }
    }
}

/// What an effort means.
///
/// # Errors
/// When nobody knows it: what is wrong.
pub(super) fn reasoning(effort: &str) -> Result<Reasoning, String> {
    let known = EFFORTS.iter().find(|(name, _)| *name == effort).map(|(_, reasoning)| *reasoning);
    known.ok_or_else(|| format!("must be one of {}", EFFORTS.map(|(name, _)| name).join(", ")))
}

/// What a word for a choice means.
pub(super) fn choice<'a>(word: &str) -> Option<ToolChoice<'a>> {
    CHOICES.iter().find(|(name, _)| *name == word).map(|(_, choice)| choice.clone())
}

/// Sound, by its bytes and the short name of their format.
///
/// # Errors
/// When the format isn't known, or the bytes are no base64. Names the member.
pub(super) fn sound<'a>(data: Cow<'a, str>, format: &str) -> Result<Media<'a>, Fault> {
    let known = SOUNDS.iter().find(|(name, _)| *name == format);
    let (_, media_types) = known.ok_or_else(|| Fault::at("format", "must be wav or mp3"))?;
    let source = media::inline(media_types[0].into(), data).map_err(|why| Fault::at("data", why))?;
    Ok(Media::new(MediaKind::Audio, source))
}

/// The format by which sound of that media type goes out.
pub(super) fn sound_format(media_type: &str) -> Option<&'static str> {
    SOUNDS.iter().find(|(_, media_types)| media_types.contains(&media_type)).map(|(name, _)| *name)
}

/// A file: an address, which may be a data URL, or bare base64 if its name says what it is, or it can be seen to be a
/// PDF.
///
/// # Errors
/// When it is neither. Names the member.
pub(super) fn file<'a>(data: Cow<'a, str>, name: Option<Cow<'a, str>>) -> Result<Media<'a>, Fault> {
    const UNNAMED: &str = "doesn't say what the file is; name it with its usual ending, or send a data URL";
    let source = if base64::is_standard(&data) {
        let seen = data.starts_with(PDF_IN_BASE64).then_some("application/pdf");
        let media_type = seen.or_else(|| types::of_document(name.as_deref()?));
        let media_type = media_type.ok_or_else(|| Fault::at("filename", UNNAMED))?;
        Source::Inline { media_type: media_type.into(), data }
    } else {
        media::at(data).map_err(|why| Fault::at("file_data", why))?
    };
    let kind = match &source {
        Source::Inline { media_type, .. } => types::kind_of(media_type),
        Source::Url { .. } | Source::Text(_) => MediaKind::Document,
    };
    Ok(Media { name, ..Media::new(kind, source) })
}

#[cfg(test)]
mod tests {
    use super::super::field::bad;
    use super::super::peek::BadBody;
    use super::*;

    fn complaint(found: Result<Media<'_>, Fault>) -> BadBody {
        found.map(|media| format!("{media:?}")).expect_err("a fault").into()
    }

    #[test]
    fn a_file_is_what_its_media_type_or_its_name_says_or_a_pdf() {
        for (data, name, kind, media_type) in [
            ("data:application/pdf;base64,QUJD", None, MediaKind::Document, "application/pdf"),
            ("data:image/png;base64,QUJD", Some("a.pdf"), MediaKind::Image, "image/png"),
            ("JVBERi0x", Some("a.txt"), MediaKind::Document, "application/pdf"),
            ("QUJD", Some("A.PDF"), MediaKind::Document, "application/pdf"),
            ("QUJD", Some("a.md"), MediaKind::Document, "text/markdown"),
        ] {
            let media = file(data.into(), name.map(Into::into)).expect(data);
            let Source::Inline { media_type: found, .. } = &media.source else { panic!("{media:?}") };
            assert_eq!((media.kind, found.as_ref(), media.name.as_deref()), (kind, media_type, name));
        }
        let fetched = file("https://x/y".into(), None).expect("an address");
        assert_eq!((fetched.kind, matches!(fetched.source, Source::Url { .. })), (MediaKind::Document, true));
    }

    #[test]
    fn what_is_no_file_is_named() {
        for name in [None, Some("a"), Some("a.png")] {
            let BadBody(why) = complaint(file("QUJD".into(), name.map(Into::into)));
            assert!(why.starts_with("`filename` doesn't say"), "{why}");
        }
        assert_eq!(
            complaint(file("QUJ".into(), Some("a.pdf".into()))),
            bad("file_data", "must be a data URL with base64, or an http or https URL")
        );
    }

    #[test]
    fn sound_has_one_of_two_formats() {
        for (format, media_types) in SOUNDS {
            let media = sound("QUJD".into(), format).expect("known");
            let expected = Source::Inline { media_type: media_types[0].into(), data: "QUJD".into() };
            assert_eq!(media, Media::new(MediaKind::Audio, expected));
            assert!(media_types.iter().all(|media_type| sound_format(media_type) == Some(format)));
        }
        assert_eq!(complaint(sound("QUJD".into(), "ogg")), bad("format", "must be wav or mp3"));
        assert_eq!(complaint(sound("QUJ".into(), "wav")), bad("data", "is not valid base64"));
        assert_eq!(sound_format("audio/ogg"), None);
    }

    #[test]
    fn every_word_has_one_meaning() {
        for (name, meaning) in EFFORTS {
            assert_eq!(reasoning(name), Ok(meaning));
        }
        assert_eq!(
            reasoning("immense"),
            Err("must be one of none, minimal, low, medium, high, xhigh, max".to_owned())
        );
        for (word, meaning) in CHOICES {
            assert_eq!(choice(word), Some(meaning));
        }
        assert_eq!(choice("any"), None);
    }
}
