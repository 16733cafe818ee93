//! Parts of a message, or of what a tool gave: words, pictures, documents, sounds.

use super::wire::{Audio, Piece};
use crate::translate::canonical::{Media, MediaKind, Part, Text};
use crate::translate::features::{Feature, Features};
use crate::translate::field::{Fault, bad};
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Listed, Str};
use crate::translate::{media, openai};
use std::fmt;

/// Whose content it is, which says what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// The client, by whatever name; words only.
    System,
    /// The user.
    User,
    /// The model: what it said, and what it refused.
    Model,
    /// A tool that gives its result.
    Tool,
}

/// Where a content stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Which item of the input.
    pub(super) item: usize,
    /// Which member of that.
    pub(super) member: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "input[{}].{}", self.item, self.member)
    }
}

/// Reads a content, and notes what of it not everybody has.
pub(super) fn parts<'a>(
    content: Option<Listed<'a, Piece<'a>>>,
    voice: Voice,
    place: Place,
    features: &mut Features,
) -> Result<Vec<Part<'a>>, BadBody> {
    let pieces = match content {
        Some(Listed::Text(text)) => return Ok(vec![Part::text(text)]),
        Some(Listed::List(pieces)) => pieces,
        Some(Listed::Other) | None => return Err(bad(place, "must be a string or a list of parts")),
    };
    let mut parts = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        let part = part(piece, voice, features);
        parts.extend(part.map_err(|fault| fault.within(format!("{place}[{index}]")))?);
    }
    Ok(parts)
}

/// One part; `None` for one that is a feature which no translation can serve.
fn part<'a>(piece: Piece<'a>, voice: Voice, features: &mut Features) -> Result<Option<Part<'a>>, Fault> {
    let ends_cache = piece.prompt_cache_breakpoint.is_some();
    features.insert_if(ends_cache, Feature::CacheMarks);
    features.insert_if(piece.detail.is_some_and(|detail| detail.0 != "auto"), Feature::Other);
    let kind = piece.kind.as_ref().map_or("", |kind| &kind.0);
    let medium = match kind {
        "input_text" | "output_text" | "text" => {
            let text = piece.text.ok_or_else(|| Fault::missing("text"))?;
            return Ok(Some(Part::Text(Text { text, ends_cache })));
        }
        "refusal" if voice == Voice::Model => {
            let Str(refusal) = piece.refusal.ok_or_else(|| Fault::missing("refusal"))?;
            return Ok(Some(Part::Refusal(refusal)));
        }
        "input_image" | "input_file" | "input_audio" if matches!(voice, Voice::System | Voice::Model) => {
            return Err(Fault::at("type", "must be one of text: only users and tools have media"));
        }
        "input_image" | "input_file" if piece.file_id.is_some() => {
            features.insert(Feature::ProviderState);
            return Ok(None);
        }
        "computer_screenshot" => {
            features.insert(Feature::ServerTools);
            return Ok(None);
        }
        "input_image" => image(piece.image_url),
        "input_file" => file(piece.file_data, piece.file_url, piece.filename),
        "input_audio" => sound(piece.input_audio),
        _ => return Err(Fault::at("type", "is no type of a part that can stand here")),
    };
    let medium = Media { ends_cache, ..medium? };
    media::note(&medium, features);
    Ok(Some(Part::Media(medium)))
}

fn image(url: Option<Str<'_>>) -> Result<Media<'_>, Fault> {
    let Str(url) = url.ok_or_else(|| Fault::missing("image_url"))?;
    let source = media::image_at(url).map_err(|why| Fault::at("image_url", why))?;
    Ok(Media::new(MediaKind::Image, source))
}

fn file<'a>(data: Option<Str<'a>>, url: Option<Str<'a>>, name: Option<Str<'a>>) -> Result<Media<'a>, Fault> {
    let name = name.map(|name| name.0);
    let media = match (data, url) {
        (Some(Str(data)), _) => openai::file(data, name)?,
        (None, Some(Str(url))) => {
            let source = media::fetched(url).map_err(|why| Fault::at("file_url", why))?;
            Media { name, ..Media::new(MediaKind::Document, source) }
        }
        (None, None) => {
            return Err(Fault::at("file_data", "is missing, and so are `file_url` and `file_id`"));
        }
    };
    Ok(Media { source: media::read(media.source), ..media })
}

fn sound(audio: Option<Audio<'_>>) -> Result<Media<'_>, Fault> {
    let Audio { data, format } = audio.ok_or_else(|| Fault::missing("input_audio"))?;
    openai::sound(data, &format).map_err(|fault| fault.within("input_audio"))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::translate::canonical::{Request, Source};

    fn of(role: &str, part: &str) -> Result<Request<'static>, BadBody> {
        read(format!(r#"{{"input":[{{"role":"{role}","content":[{part}]}}]}}"#).leak().as_bytes())
    }

    fn part_of(part: &str) -> Part<'static> {
        let request = of("user", part).unwrap_or_else(|BadBody(why)| panic!("{part}: {why}"));
        request.turns.into_iter().next().expect("a turn").parts.remove(0)
    }

    fn inline(media_type: &'static str, data: &'static str) -> Source<'static> {
        Source::Inline { media_type: media_type.into(), data: data.into() }
    }

    #[test]
    fn each_medium_has_its_kind_and_its_source() {
        let url = |url: &'static str| Source::Url { url: url.into(), media_type: None };
        for (part, kind, source) in [
            (
                r#"{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,AAAA"}"#,
                MediaKind::Image,
                inline("image/png", "AAAA"),
            ),
            (
                r#"{"type":"input_image","image_url":"data:image\/png;base64,AA\/A"}"#,
                MediaKind::Image,
                inline("image/png", "AA/A"),
            ),
            (r#"{"type":"input_image","image_url":"https://a/b"}"#, MediaKind::Image, url("https://a/b")),
            (
                r#"{"type":"input_file","file_data":"data:application/pdf;base64,AAAA"}"#,
                MediaKind::Document,
                inline("application/pdf", "AAAA"),
            ),
            (
                r#"{"type":"input_file","filename":"A.PDF","file_data":"AAAA"}"#,
                MediaKind::Document,
                inline("application/pdf", "AAAA"),
            ),
            (
                r#"{"type":"input_file","filename":"a.txt","file_data":"w6k="}"#,
                MediaKind::Document,
                Source::Text("é".into()),
            ),
            (
                r#"{"type":"input_file","filename":"a.txt","file_data":"/w=="}"#,
                MediaKind::Document,
                inline("text/plain", "/w=="),
            ),
            (r#"{"type":"input_file","file_url":"https://a/b"}"#, MediaKind::Document, url("https://a/b")),
            (
                r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}"#,
                MediaKind::Audio,
                inline("audio/mpeg", "AAAA"),
            ),
        ] {
            let Part::Media(medium) = part_of(part) else { panic!("{part}") };
            assert_eq!((medium.kind, medium.source), (kind, source), "{part}");
        }
        let named = part_of(r#"{"type":"input_file","filename":"a.pdf","file_data":"AAAA"}"#);
        assert!(matches!(named, Part::Media(Media { name: Some(name), .. }) if name == "a.pdf"));
    }

    #[test]
    fn what_not_everybody_has_is_noted() {
        for (part, feature) in [
            (r#"{"type":"input_image","file_id":"f"}"#, Feature::ProviderState),
            (r#"{"type":"input_file","file_id":"f"}"#, Feature::ProviderState),
            (r#"{"type":"input_file","file_url":"https://a/b"}"#, Feature::DocumentUrl),
            (r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#, Feature::AudioInput),
            (r#"{"type":"input_image","detail":"low","image_url":"https://a/b"}"#, Feature::Other),
            (
                r#"{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}"#,
                Feature::CacheMarks,
            ),
        ] {
            let mut expected = Features::NONE;
            expected.insert(feature);
            assert_eq!(of("user", part).expect(part).features, expected, "{part}");
        }
        let marked =
            part_of(r#"{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}"#);
        assert_eq!(marked, Part::Text(Text { text: "a".into(), ends_cache: true }));
    }

    #[test]
    fn a_model_said_and_refused_things() {
        let parts = r#"{"type":"output_text","text":"a","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"b"}"#;
        let request = of("assistant", parts).expect("good");
        assert_eq!(request.turns[0].parts, [Part::text("a"), Part::Refusal("b".into())]);
    }

    #[test]
    fn a_tools_result_may_be_a_list_of_parts() {
        let body = br#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":""},
            {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"},
            {"type":"input_image","image_url":"https://a/b"}]}]}"#;
        let request = read(body).expect("good");
        let Part::Result(result) = &request.turns[1].parts[0] else { panic!("a result") };
        assert_eq!((&*result.id, &*result.name, result.content.len()), ("c", "f", 2));
    }

    #[test]
    fn what_is_wrong_with_a_part_is_named() {
        for (role, part, message) in [
            ("user", r#"{"text":"a"}"#, ".type` is no type of a part that can stand here"),
            (
                "user",
                r#"{"type":"refusal","refusal":"a"}"#,
                ".type` is no type of a part that can stand here",
            ),
            ("user", r#"{"type":"input_text"}"#, ".text` is missing"),
            ("assistant", r#"{"type":"refusal"}"#, ".refusal` is missing"),
            (
                "assistant",
                r#"{"type":"input_image","image_url":"https://a"}"#,
                ".type` must be one of text: only users and tools have media",
            ),
            (
                "system",
                r#"{"type":"input_image","image_url":"https://a"}"#,
                ".type` must be one of text: only users and tools have media",
            ),
            ("user", r#"{"type":"input_image"}"#, ".image_url` is missing"),
            (
                "user",
                r#"{"type":"input_image","image_url":""}"#,
                ".image_url` must be a data URL with base64, or an http or https URL",
            ),
            (
                "user",
                r#"{"type":"input_image","image_url":"data:image/png;base64,AA"}"#,
                ".image_url` is not valid base64",
            ),
            (
                "user",
                r#"{"type":"input_file"}"#,
                ".file_data` is missing, and so are `file_url` and `file_id`",
            ),
            (
                "user",
                r#"{"type":"input_file","file_url":"a.pdf"}"#,
                ".file_url` must be an http or https URL",
            ),
            (
                "user",
                r#"{"type":"input_file","filename":"a.pdf","file_data":"A"}"#,
                ".file_data` must be a data URL with base64, or an http or https URL",
            ),
            (
                "user",
                r#"{"type":"input_file","file_data":"AAAA"}"#,
                ".filename` doesn't say what the file is; name it with its usual ending, or send a data URL",
            ),
            ("user", r#"{"type":"input_audio"}"#, ".input_audio` is missing"),
            (
                "user",
                r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"x"}}"#,
                ".input_audio.format` must be wav or mp3",
            ),
            (
                "user",
                r#"{"type":"input_audio","input_audio":{"data":"?","format":"wav"}}"#,
                ".input_audio.data` is not valid base64",
            ),
            (
                "user",
                r#"{"type":"input_audio","input_audio":{"format":"wav"}}"#,
                ".input_audio.data` is missing",
            ),
        ] {
            let BadBody(why) = of(role, part).expect_err(part);
            assert_eq!(why, format!("`input[0].content[0]{message}"), "{part}");
        }
    }
}
