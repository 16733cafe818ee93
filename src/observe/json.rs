//! Puts JSON into a line's buffer: strings with their escapes, and integers.
//!
//! What `serde_json` would write, byte for byte (its tests hold it), but for a buffer in memory, which refuses
//! nothing, and for texts that hardly ever need an escape: they are looked at eight bytes at a time and copied.

use std::fmt::{self, Display, Write};

/// A string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// The same, of what is displayed. What fails to be displayed ends where it failed.
pub(super) fn display(out: &mut Vec<u8>, text: &dyn Display) {
    out.push(b'"');
    let _ = write!(Escaped(out), "{text}");
    out.push(b'"');
}

/// A number without fraction.
pub(super) fn integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Escapes piece by piece.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

/// What stands between the quotes.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    if is_plain(text) {
        return out.extend_from_slice(text);
    }
    let mut copied = 0;
    for (at, byte) in text.iter().enumerate().filter(|(_, byte)| !is_plain_byte(**byte)) {
        out.extend_from_slice(&text[copied..at]);
        escape(out, *byte);
        copied = at + 1;
    }
    out.extend_from_slice(&text[copied..]);
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

const fn is_plain_byte(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// Whether nothing in it needs an escape.
pub(super) fn is_plain(text: &[u8]) -> bool {
    // What is left after the last whole word is looked at together with what is before it.
    if let Some(last) = text.last_chunk() {
        let (words, _) = text.as_chunks();
        return is_plain_word(*last) && words.iter().all(|word| is_plain_word(*word));
    }
    if let (Some([a, b, c, d]), Some([w, x, y, z])) = (text.first_chunk(), text.last_chunk()) {
        return is_plain_word([*a, *b, *c, *d, *w, *x, *y, *z]);
    }
    text.iter().all(|byte| is_plain_byte(*byte))
}

/// The same of eight bytes at once.
const fn is_plain_word(word: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(word);
    const ONES: u64 = u64::MAX / 255;
    // A byte below a limit of at most 128, and only such a one, borrows into its top bit, or has the one below
    // it do so: https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord
    const fn has_below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(ONES * limit) & !word & (ONES << 7)
    }
    let quote = has_below(word ^ (ONES * b'"' as u64), 1);
    let backslash = has_below(word ^ (ONES * b'\\' as u64), 1);
    has_below(word, b' ' as u64) | quote | backslash == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn as_string(text: &str) -> String {
        let mut out = Vec::new();
        string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_is_escaped_as_serde_json_does_wherever_it_stands() {
        for character in ('\0'..='\u{100}').chain(['\u{2028}', '\u{ffff}', '😀']) {
            for before in 0..9 {
                for after in 0..9 {
                    let text = format!("{}{character}{}", "a".repeat(before), "z".repeat(after));
                    assert_eq!(as_string(&text), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_as_serde_json_writes_it(text in any::<String>(), number in any::<i64>()) {
            let expected = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&as_string(&text), &expected);
            let mut out = Vec::new();
            display(&mut out, &format_args!("{text}{number}"));
            let both = format!("{text}{number}");
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&both).unwrap());
        }
    }

    #[test]
    fn integers_are_written_in_full() {
        let mut out = Vec::new();
        integer(&mut out, u64::MAX);
        integer(&mut out, i64::MIN);
        assert_eq!(out, format!("{}{}", u64::MAX, i64::MIN).into_bytes());
    }

    #[test]
    fn what_cannot_be_displayed_ends_where_it_failed() {
        struct Half;
        impl Display for Half {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let mut out = Vec::new();
        display(&mut out, &Half);
        assert_eq!(out, b"\"half\"");
    }
}
