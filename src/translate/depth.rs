//! How deeply a JSON text nests, without building it.

use memchr::memchr2;

/// The deepest nesting that is passed on. Far beyond any tool schema, far below what breaks a parser's stack.
pub const MAX_DEPTH: usize = 256;

/// Whether the text nests deeper than [`MAX_DEPTH`]. Strings, nearly all of a prompt, are skipped at memory speed.
pub fn is_too_deep(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = skip_string(text, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
        at += 1;
    }
    false
}

/// The index of the quote that closes the string whose first byte is at `at`, or the end of the text.
fn skip_string(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn the_bound_is_allowed_and_one_past_it_is_not() {
        assert!(!is_too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(is_too_deep(nested(MAX_DEPTH + 1).as_bytes()));
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        let text = format!(r#"{{"a\\\"{}": "\\", "b": "{}"}}"#, "[".repeat(300), "{".repeat(300));
        assert!(!is_too_deep(text.as_bytes()));
    }

    #[test]
    fn text_that_breaks_off_in_a_string_ends_the_scan() {
        assert!(!is_too_deep(br#"{"a": "unterminated \"#));
        assert!(!is_too_deep(b"\""));
    }
}
