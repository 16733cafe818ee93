//! What a medium is, by its type or by its address.

use crate::translate::canonical::MediaKind;

/// Endings of addresses, what they stand for, and its type. Source: IANA's registry of media types.
const ENDINGS: [(&str, MediaKind, &str); 22] = [
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

/// What a type is. What is no picture, sound or film is read.
pub(super) fn kind_of_type(media_type: &str) -> MediaKind {
    let main = media_type.split('/').next().unwrap_or_default();
    match main.to_ascii_lowercase().as_str() {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// What an address without a type leads to, as far as it says; a picture if it doesn't, which is what nearly all are.
pub(super) fn kind_of_url(url: &str) -> MediaKind {
    if VIDEO_SITES.iter().any(|site| url.starts_with(site)) {
        return MediaKind::Video;
    }
    by_ending(url).map_or(MediaKind::Image, |(kind, _)| kind)
}

/// The type of what an address leads to: by its ending, else the usual one of its kind.
pub(super) fn type_of_url(url: &str, kind: MediaKind) -> &'static str {
    match by_ending(url).filter(|(found, _)| *found == kind) {
        Some((_, media_type)) => media_type,
        None => match kind {
            MediaKind::Image => "image/jpeg",
            MediaKind::Document => "application/pdf",
            MediaKind::Audio => "audio/mpeg",
            MediaKind::Video => "video/mp4",
        },
    }
}

fn by_ending(url: &str) -> Option<(MediaKind, &'static str)> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
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
            assert_eq!(type_of_url(url, kind), media_type, "{url}");
        }
        assert_eq!(kind_of_url("https://youtu.be/x"), MediaKind::Video);
        assert_eq!(kind_of_url("https://a.b/c.pdf"), MediaKind::Document);
        assert_eq!(kind_of_url("https://a.b/c"), MediaKind::Image);
        assert_eq!(kind_of_type("Audio/wav"), MediaKind::Audio);
        assert_eq!(kind_of_type("application/pdf"), MediaKind::Document);
    }
}
