//! From bytes to typed JSON, and what is said when they aren't: the field, and what is wrong with it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The arguments of a call: a JSON object as it came; none at all is an empty one, as some SDKs send it. `None` for
/// what is no object.
pub(super) fn arguments(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if text.trim_ascii().is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    is_object(&text).then_some(text)
}

fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a text is base64 with padding (RFC 4648, section 4). Nothing of it is kept, so that a large one costs no
/// memory.
pub(super) fn is_base64(text: &str) -> bool {
    /// Characters that are looked at together: a multiple of four.
    const PIECE: usize = 4_096;
    let mut bytes = [0; PIECE];
    let mut pieces = text.as_bytes().chunks(PIECE).peekable();
    let mut is_whole = true;
    while let Some(piece) = pieces.next() {
        let read = if pieces.peek().is_some() {
            STANDARD_NO_PAD.decode_slice(piece, &mut bytes)
        } else {
            STANDARD.decode_slice(piece, &mut bytes)
        };
        is_whole &= read.is_ok();
    }
    is_whole && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_the_standard_says_also_at_the_bound_of_a_piece() {
        for (text, expected) in [
            ("QQ==", true),
            ("QUI=", true),
            ("QUJD", true),
            ("QQ", false),
            ("", false),
            ("QQ=A", false),
            ("Q-_D", false),
        ] {
            assert_eq!(is_base64(text), expected, "{text}");
        }
        let piece = "QUJD".repeat(1_024);
        for (text, expected) in [
            (piece.clone(), true),
            (format!("{piece}QQ=="), true),
            (format!("{piece}Q"), false),
            (format!("{}QQ=={piece}", &piece[4..]), false),
        ] {
            assert_eq!(is_base64(&text), expected, "{} characters", text.len());
        }
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        for (text, expected) in [
            ("", Some("{}")),
            (" ", Some("{}")),
            ("{\"a\": 1 }", Some("{\"a\": 1 }")),
            (" {}", Some(" {}")),
            ("[]", None),
            ("null", None),
            ("{\"a\":", None),
            ("{} {}", None),
        ] {
            assert_eq!(arguments(text.into()).as_deref(), expected, "{text:?}");
        }
    }
}
