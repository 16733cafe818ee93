//! Parts of a message, or of what a tool gave: words, pictures, documents, sounds.

use super::data_url;
use super::wire::{Audio, Piece};
use crate::translate::canonical::{Media, MediaKind, Part, Source, Text};
use crate::translate::features::{Feature, Features};
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Listed, Str};
use std::borrow::Cow;
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

impl Place {
    fn bad(self, piece: usize, member: &str, why: &str) -> BadBody {
        bad(format_args!("{self}[{piece}].{member}"), why)
    }
}

/// Media types of files whose data doesn't say: the ends of their names.
const FILE_TYPES: [(&str, &str); 7] = [
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
    (".html", "text/html"),
    (".xml", "text/xml"),
    (".json", "application/json"),
];

/// Media types of sounds by the names of their formats.
const SOUNDS: [(&str, &str); 2] = [("wav", "audio/wav"), ("mp3", "audio/mpeg")];

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
        parts.extend(part(piece, voice, (place, index), features)?);
    }
    Ok(parts)
}

/// One part; `None` for one that is a feature which no translation can serve.
fn part<'a>(
    piece: Piece<'a>,
    voice: Voice,
    (place, index): (Place, usize),
    features: &mut Features,
) -> Result<Option<Part<'a>>, BadBody> {
    let no = |member: &str, why: &str| Err(place.bad(index, member, why));
    let ends_cache = piece.prompt_cache_breakpoint.is_some();
    features.insert_if(ends_cache, Feature::CacheMarks);
    features.insert_if(piece.detail.is_some_and(|detail| detail.0 != "auto"), Feature::Other);
    let kind = piece.kind.as_ref().map_or("", |kind| &kind.0);
    let medium = match kind {
        "input_text" | "output_text" | "text" => {
            let Some(Str(text)) = piece.text else { return no("text", "is missing") };
            return Ok(Some(Part::Text(Text { text, ends_cache })));
        }
        "refusal" if voice == Voice::Model => {
            let Some(Str(refusal)) = piece.refusal else { return no("refusal", "is missing") };
            return Ok(Some(Part::Refusal(refusal)));
        }
        "input_image" | "input_file" | "input_audio" if matches!(voice, Voice::System | Voice::Model) => {
            return no("type", "must be one of text: only users and tools have media");
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
        "input_file" => {
            features.insert_if(piece.file_url.is_some(), Feature::DocumentUrl);
            file(piece.file_data, piece.file_url, piece.filename)
        }
        "input_audio" => {
            features.insert(Feature::AudioInput);
            sound(piece.input_audio)
        }
        _ => return no("type", "is no type of a part that can stand here"),
    };
    match medium {
        Ok(medium) => Ok(Some(Part::Media(Media { ends_cache, ..medium }))),
        Err((member, why)) => no(member, why),
    }
}

/// A medium, or which member of it is wrong, and why.
type Found<'a> = Result<Media<'a>, (&'static str, &'static str)>;

const NO_DATA_URL: &str = "is no data URL of a media type and base64";

fn medium<'a>(kind: MediaKind, source: Source<'a>) -> Media<'a> {
    Media { kind, source, name: None, ends_cache: false }
}

fn image(url: Option<Str<'_>>) -> Found<'_> {
    let Str(url) = url.ok_or(("image_url", "is missing"))?;
    let source = if data_url::is_inline(&url) {
        let (media_type, data) = data_url::split(url).ok_or(("image_url", NO_DATA_URL))?;
        Source::Inline { media_type, data }
    } else if url.is_empty() {
        return Err(("image_url", "is empty"));
    } else {
        Source::Url { url, media_type: None }
    };
    Ok(medium(MediaKind::Image, source))
}

fn file<'a>(data: Option<Str<'a>>, url: Option<Str<'a>>, name: Option<Str<'a>>) -> Found<'a> {
    let name = name.map(|name| name.0);
    let source = match (data, url) {
        (Some(Str(data)), _) => inline_file(data, name.as_deref())?,
        (None, Some(Str(url))) => Source::Url { url, media_type: None },
        (None, None) => return Err(("file_data", "is missing, and so are `file_url` and `file_id`")),
    };
    Ok(Media { name, ..medium(MediaKind::Document, source) })
}

/// A file's own bytes. Those of a text are given as words: not everybody reads it in base64.
fn inline_file<'a>(
    data: Cow<'a, str>,
    name: Option<&str>,
) -> Result<Source<'a>, (&'static str, &'static str)> {
    let (media_type, data) = if data_url::is_inline(&data) {
        data_url::split(data).ok_or(("file_data", NO_DATA_URL))?
    } else if data_url::is_base64(&data) {
        (by_name(name.unwrap_or_default()).ok_or(NO_FILE_TYPE)?.into(), data)
    } else {
        return Err(("file_data", "is neither a data URL nor base64"));
    };
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    match is_text.then(|| data_url::words(&data)).flatten() {
        Some(words) => Ok(Source::Text(words.into())),
        None => Ok(Source::Inline { media_type, data }),
    }
}

const NO_FILE_TYPE: (&str, &str) =
    ("filename", "doesn't say what the file is; name it with its usual ending, or send a data URL");

fn by_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    FILE_TYPES.iter().find(|(end, _)| name.ends_with(end)).map(|(_, media_type)| *media_type)
}

fn sound(audio: Option<Audio<'_>>) -> Found<'_> {
    let Audio { data, format } = audio.ok_or(("input_audio", "is missing"))?;
    let known = SOUNDS.iter().find(|(name, _)| *name == format);
    let (_, media_type) = known.ok_or(("input_audio.format", "must be wav or mp3"))?;
    if !data_url::is_base64(&data) {
        return Err(("input_audio.data", "is no base64"));
    }
    Ok(medium(MediaKind::Audio, Source::Inline { media_type: (*media_type).into(), data }))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::translate::canonical::Request;

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
            ("user", r#"{"type":"input_image","image_url":""}"#, ".image_url` is empty"),
            (
                "user",
                r#"{"type":"input_image","image_url":"data:image/png;base64,AA"}"#,
                ".image_url` is no data URL of a media type and base64",
            ),
            (
                "user",
                r#"{"type":"input_file"}"#,
                ".file_data` is missing, and so are `file_url` and `file_id`",
            ),
            (
                "user",
                r#"{"type":"input_file","filename":"a.pdf","file_data":"A"}"#,
                ".file_data` is neither a data URL nor base64",
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
                ".input_audio.data` is no base64",
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
