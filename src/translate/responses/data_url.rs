//! Bytes that stand in the request itself: data URLs, and bare base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// What stands before the data of every data URL that we can pass on (RFC 2397).
const SCHEME: &str = "data:";
/// What ends the media type.
const BASE64: &str = ";base64,";

/// Whether a URL holds its bytes itself.
pub(super) fn is_inline(url: &str) -> bool {
    url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

/// Media type and data of a data URL; `None` unless it names a type and its data is base64.
pub(super) fn split(url: Cow<'_, str>) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    // Media types are short: what is a comma further on isn't the one that ends it.
    let comma = url.find(',')?;
    let start = url.get(..=comma)?.strip_suffix(BASE64)?.len();
    let media_type = url.get(SCHEME.len()..start)?.split(';').next()?;
    let type_end = SCHEME.len() + media_type.len();
    if media_type.is_empty() || !is_base64(url.get(comma + 1..)?) {
        return None;
    }
    Some(match url {
        Cow::Borrowed(url) => (url[SCHEME.len()..type_end].into(), url[comma + 1..].into()),
        Cow::Owned(mut url) => {
            let data = url.split_off(comma + 1);
            (url[SCHEME.len()..type_end].to_owned().into(), data.into())
        }
    })
}

/// Whether a text is base64 with its padding, and not empty (RFC 4648, section 4).
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let has_padding = text.len() - digits.len() <= 2 && text.len().is_multiple_of(4) && !digits.is_empty();
    // No early end: so the compiler looks at many bytes at once.
    has_padding && digits.bytes().fold(true, |all, byte| all & is_digit(byte))
}

const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'+') | (byte == b'/')
}

/// The words that base64 stands for, if it stands for words.
pub(super) fn words(data: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_split_at_its_comma_whoever_owns_it() {
        for url in ["data:image/png;base64,AAAA", "DATA:image/png;charset=utf-8;base64,AAAA"] {
            assert!(is_inline(url));
            for url in [Cow::Borrowed(url), Cow::Owned(url.to_owned())] {
                assert_eq!(split(url), Some(("image/png".into(), "AAAA".into())));
            }
        }
    }

    #[test]
    fn what_is_no_base64_of_a_named_type_is_refused() {
        for url in [
            "data:",
            "data:image/png;base64",
            "data:image/png,AAAA",
            "data:;base64,AAAA",
            "data:image/png;base64,",
            "data:image/png;base64,AAA",
            "data:image/png;base64,A===",
            "data:image/png;base64,====",
            "data:image/png;base64,AA-_",
            "data:image/png;base64,AA=A",
            "data:image/png;base64,AA\u{e9}",
            "data:é,;base64,AAAA",
        ] {
            assert_eq!(split(url.into()), None, "{url}");
        }
        assert!(is_base64("AA==") && is_base64("AAA=") && is_base64("+/aZ"));
    }

    #[test]
    fn words_are_words_only_in_utf_8() {
        assert_eq!(words("w6k="), Some("é".to_owned()));
        assert_eq!(words("/w=="), None);
    }
}
