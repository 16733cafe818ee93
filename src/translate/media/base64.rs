//! Base64: whether a text is some, and that of either alphabet brought to the one that all write but Gemini's clients.
//!
//! ProtoJSON takes both alphabets, with padding or without; Gemini's own SDK for Python sends the one for URLs. Budget:
//! one pass over the text, and a copy only where it has to change. Source: RFC 4648, sections 4 and 5.

use ::base64::Engine;
use ::base64::engine::general_purpose;
use std::borrow::Cow;

/// A character of both alphabets.
const BOTH: u8 = 1;
/// One of the standard alphabet.
const STANDARD: u8 = 2;
/// One of the alphabet for URLs.
const URL: u8 = 4;
/// None.
const NEITHER: u8 = 8;

/// What all of a text's characters are. No early end and no branches: so the compiler looks at many at once.
fn kinds(text: &str) -> u8 {
    let kind = |byte: u8| {
        let both = u8::from(byte.is_ascii_alphanumeric());
        let standard = u8::from((byte == b'+') | (byte == b'/'));
        let url = u8::from((byte == b'-') | (byte == b'_'));
        let neither = 1 - (both | standard | url);
        (both * BOTH) | (standard * STANDARD) | (url * URL) | (neither * NEITHER)
    };
    text.bytes().fold(0, |kinds, byte| kinds | kind(byte))
}

/// Whether it is base64 of the standard alphabet with its padding, and not empty. What bits the padding leaves over is
/// nobody's business.
pub(in crate::translate) fn is_standard(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let has_padding = text.len() - digits.len() <= 2 && text.len().is_multiple_of(4) && !digits.is_empty();
    has_padding && kinds(digits) & (URL | NEITHER) == 0
}

/// The same bytes in the standard alphabet, with padding; `None` if it is no base64.
pub(in crate::translate) fn standard(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let plain = text.trim_end_matches('=');
    let padding = text.len() - plain.len();
    let kinds = kinds(plain);
    let missing = match plain.len() % 4 {
        0 => 0,
        // Six bits are no byte.
        1 => return None,
        more => 4 - more,
    };
    if kinds & NEITHER != 0 || padding != 0 && padding != missing {
        return None;
    }
    if kinds & URL == 0 && padding == missing {
        return Some(text);
    }
    let mut bytes = text.into_owned().into_bytes();
    bytes.truncate(bytes.len() - padding);
    for byte in &mut bytes {
        *byte = match *byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
    bytes.resize(bytes.len() + missing, b'=');
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Words in base64.
pub(in crate::translate) fn encode(words: &str) -> String {
    general_purpose::STANDARD.encode(words)
}

/// The words that these bytes are; `None` if they are none.
pub(in crate::translate) fn words(standard: &str) -> Option<String> {
    String::from_utf8(general_purpose::STANDARD.decode(standard).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn either_alphabet_becomes_the_standard_one_with_padding() {
        for (given, expected) in [
            ("", Some("")),
            ("AAAA", Some("AAAA")),
            ("+/==", Some("+/==")),
            ("-_==", Some("+/==")),
            ("-_", Some("+/==")),
            ("AAA", Some("AAA=")),
            ("+_8=", Some("+/8=")),
            ("A", None),
            ("AA=", None),
            ("AAAA=", None),
            ("====", None),
            ("AA AA", None),
            ("A=AA", None),
            ("ÄÄ", None),
        ] {
            assert_eq!(standard(given.into()).as_deref(), expected, "{given}");
        }
        assert!(matches!(standard("AAAA".into()), Some(Cow::Borrowed(_))), "no copy where none is needed");
    }

    #[test]
    fn the_standard_one_has_its_padding_and_something_to_pad() {
        for text in ["QQ==", "QUI=", "QUJD", "+/aZ", "QR=="] {
            assert!(is_standard(text), "{text}");
        }
        for text in ["", "QQ", "QUJ", "QQ=A", "Q-_D", "A===", "====", "AA\u{e9}", "QUJD QUJD", "QQ==QUJD"] {
            assert!(!is_standard(text), "{text}");
        }
    }

    #[test]
    fn words_are_words_only_in_utf_8() {
        assert_eq!(words(&encode("é")), Some("é".to_owned()));
        assert_eq!(words("/w=="), None);
    }

    proptest! {
        #[test]
        fn the_bytes_stay(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let expected = general_purpose::STANDARD.encode(&bytes);
            for engine in [&general_purpose::URL_SAFE, &general_purpose::URL_SAFE_NO_PAD, &general_purpose::STANDARD] {
                prop_assert_eq!(standard(engine.encode(&bytes).into()).expect("base64"), expected.clone());
            }
            prop_assert_eq!(is_standard(&expected), !bytes.is_empty());
        }
    }
}
