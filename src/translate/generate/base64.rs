//! Base64 of either alphabet, brought to the one that all others write.
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

/// What each byte is.
const KINDS: [u8; 256] = {
    let mut kinds = [NEITHER; 256];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => BOTH,
            b'+' | b'/' => STANDARD,
            b'-' | b'_' => URL,
            _ => NEITHER,
        };
        byte += 1;
    }
    kinds
};

/// The same bytes in the standard alphabet, with padding; `None` if it is no base64.
pub(super) fn standard(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let plain = text.trim_end_matches('=');
    let padding = text.len() - plain.len();
    let kinds = plain.bytes().fold(0, |kinds, byte| kinds | KINDS[byte as usize]);
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
pub(super) fn encode(words: &str) -> String {
    general_purpose::STANDARD.encode(words)
}

/// The words that these bytes are; `None` if they are none.
pub(super) fn words(standard: &str) -> Option<String> {
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

    proptest! {
        #[test]
        fn the_bytes_stay(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let expected = general_purpose::STANDARD.encode(&bytes);
            for engine in [&general_purpose::URL_SAFE, &general_purpose::URL_SAFE_NO_PAD, &general_purpose::STANDARD] {
                prop_assert_eq!(standard(engine.encode(&bytes).into()).expect("base64"), expected.clone());
            }
        }
    }
}
