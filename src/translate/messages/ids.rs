//! Ids of calls, as Anthropic takes them. An id is made to fit alike wherever it stands, and nobody needs it back.
//!
//! Source: Anthropic's reference of `tool_use.id` (`^[a-zA-Z0-9_-]+$`).

use std::borrow::Cow;
use std::fmt::Write as _;

/// The id of a call as Anthropic takes it: other characters as the numbers of their bytes.
pub(super) fn sent(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(is_plain) {
        return Cow::Borrowed(id);
    }
    let mut sent = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        if is_plain(byte) {
            sent.push(byte.into());
        } else {
            // Writing to a string doesn't fail.
            let _ = write!(sent, "_{byte:02x}");
        }
    }
    if sent.is_empty() {
        sent.push('_');
    }
    Cow::Owned(sent)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_to_fit_alike_wherever_it_stands() {
        assert_eq!(sent("toolu_01-A"), "toolu_01-A");
        assert_eq!(sent("call:1"), "call_3a1");
        assert_ne!(sent("call.1"), sent("call:1"));
        assert_eq!(sent(""), "_");
    }
}
