//! What a medium is, by its type, by its address, or by the name of its file.

use crate::translate::canonical::MediaKind;

/// Endings of names, what they stand for, and its type. Source: IANA's registry of media types.
const ENDINGS: [(&str, MediaKind, &str); 24] = [
    ("jpg", MediaKind::Image, "image/jpeg"),
    ("jpeg", MediaKind::Image, "image/jpeg"),
    ("png", MediaKind::Image, "image/png"),
    ("webp", MediaKind::Image, "image/webp"),
    ("gif", MediaKind::Image, "image/gif"),
    ("heic", MediaKind::Image, "image/heic"),
    ("heif", MediaKind::Image, "image/heif"),
    ("bmp", MediaKind::Image, "image/bmp"),
    ("pdf", MediaKind::Document, "application/pdf"),
    ("txt", MediaKind::Document, "text/plain"),
    ("md", MediaKind::Document, "text/markdown"),
    ("csv", MediaKind::Document, "text/csv"),
    ("html", MediaKind::Document, "text/html"),
    ("xml", MediaKind::Document, "text/xml"),
    ("json", MediaKind::Document, "application/json"),
    ("mp3", MediaKind::Audio, "audio/mpeg"),
    ("wav", MediaKind::Audio, "audio/wav"),
    ("flac", MediaKind::Audio, "audio/flac"),
    ("ogg", MediaKind::Audio, "audio/ogg"),
    ("aac", MediaKind::Audio, "audio/aac"),
    ("mp4", MediaKind::Video, "video/mp4"),
    ("webm", MediaKind::Video, "video/webm"),
    ("mov", MediaKind::Video, "video/quicktime"),
    ("mpeg", MediaKind::Video, "video/mpeg"),
];

/// Where moving pictures are that Gemini fetches by the address of their page.
const VIDEO_SITES: [&str; 3] = ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"];

/// Whether it is a type and a subtype, with nothing about them that would end them in a URL. Source: RFC 6838, section 4.2.
pub(in crate::translate) fn is_well_formed(media_type: &str) -> bool {
    let (essence, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_parameter = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !b",\"".contains(&byte);
    essence.split_once('/').is_some_and(|(main, sub)| is_name(main) && is_name(sub.trim_end()))
        && parameters.bytes().all(is_parameter)
}

/// What a type is. What is no picture, sound or film is read.
pub(in crate::translate) fn kind_of(media_type: &str) -> MediaKind {
    let main = media_type.split('/').next().unwrap_or_default();
    match main.to_ascii_lowercase().as_str() {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// Whether it is a media type: of two names (RFC 9110, section 8.3.1).
pub(in crate::translate) fn is_type(text: &str) -> bool {
    text.split_once('/').is_some_and(|(main, other)| !main.is_empty() && !other.is_empty())
}

/// What an address without a type leads to, as far as it says; a picture if it doesn't, which is what nearly all are.
pub(in crate::translate) fn kind_of_url(url: &str) -> MediaKind {
    if VIDEO_SITES.iter().any(|site| url.starts_with(site)) {
        return MediaKind::Video;
    }
    by_path(url).map_or(MediaKind::Image, |(kind, _)| kind)
}

/// The type of what an address leads to: by its ending, else the usual one of its kind.
pub(in crate::translate) fn of_url(url: &str, kind: MediaKind) -> &'static str {
    match by_path(url).filter(|(found, _)| *found == kind) {
        Some((_, media_type)) => media_type,
        None => match kind {
            MediaKind::Image => "image/jpeg",
            MediaKind::Document => "application/pdf",
            MediaKind::Audio => "audio/mpeg",
            MediaKind::Video => "video/mp4",
        },
    }
}

/// The type of a document by the name of its file.
pub(in crate::translate) fn of_document(name: &str) -> Option<&'static str> {
    by_ending(name).filter(|(kind, _)| *kind == MediaKind::Document).map(|(_, media_type)| media_type)
}

/// Whether it is words, which need no base64.
pub(in crate::translate) fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

fn by_path(url: &str) -> Option<(MediaKind, &'static str)> {
    by_ending(url.split(['?', '#']).next()?.rsplit('/').next()?)
}

fn by_ending(name: &str) -> Option<(MediaKind, &'static str)> {
    let (_, ending) = name.rsplit_once('.')?;
    let row = ENDINGS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(ending))?;
    Some((row.1, row.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_its_type_by_its_ending_else_by_its_kind() {
        for (url, kind, media_type) in [
            ("https://a.b/c.PNG?size=1", MediaKind::Image, "image/png"),
            ("https://a.b/c.png/d", MediaKind::Image, "image/jpeg"),
            ("https://a.png", MediaKind::Image, "image/png"),
            ("https://a.b/c#x.gif", MediaKind::Image, "image/jpeg"),
            ("https://a.b/c.txt", MediaKind::Document, "text/plain"),
            ("https://a.b/c.png", MediaKind::Document, "application/pdf"),
            ("", MediaKind::Audio, "audio/mpeg"),
        ] {
            assert_eq!(of_url(url, kind), media_type, "{url}");
        }
        assert_eq!(kind_of_url("https://youtu.be/x"), MediaKind::Video);
        assert_eq!(kind_of_url("https://a.b/c.pdf"), MediaKind::Document);
        assert_eq!(kind_of_url("https://a.b/c"), MediaKind::Image);
        assert_eq!(kind_of("Audio/wav"), MediaKind::Audio);
        assert_eq!(kind_of("application/pdf"), MediaKind::Document);
    }

    #[test]
    fn a_document_tells_its_type_by_its_name() {
        for (name, media_type) in [
            ("a.pdf", Some("application/pdf")),
            ("C#.notes.TXT", Some("text/plain")),
            ("a.json", Some("application/json")),
            ("a.png", None),
            ("pdf", None),
            ("", None),
        ] {
            assert_eq!(of_document(name), media_type, "{name}");
        }
        assert!(is_text("text/csv") && is_text("application/json") && !is_text("application/pdf"));
    }
}
