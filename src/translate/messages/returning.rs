//! Thoughts of others that come back in a conversation, on its way to the API's own vendor.
//!
//! The vendor refuses a signature that it didn't make as forged, and a thought that has none. A client has both from us,
//! where another provider thought for it.

use crate::translate::signature::WRAPPED;
use memchr::memmem;

/// The member that a thought's signature stands in.
const SIGNATURE: &str = r#""signature""#;

/// Whether a request may hold such thoughts; it surely doesn't if not.
///
/// Costs two searches.
pub fn may_hold_foreign(body: &[u8]) -> bool {
    let begins_text = |at: usize| at.checked_sub(1).and_then(|before| body.get(before)) == Some(&b'"');
    let is_empty = |at: usize| {
        let rest = body.get(at + SIGNATURE.len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"\""))
    };
    memmem::find_iter(body, WRAPPED).any(begins_text) || memmem::find_iter(body, SIGNATURE).any(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_others_and_none_at_all_are_seen_and_no_words_about_them() {
        for (body, expected) in [
            (r#"{"signature":"cliproxy:generate:c2ln"}"#, true),
            (r#"{"data": "cliproxy:messages:x"}"#, true),
            (r#"{"signature":""}"#, true),
            (r#"{"signature" : ""}"#, true),
            (r#"[{"signature":"EqQB"},{"signature":""}]"#, true),
            (r#"{"signature":"EqQB","text":""}"#, false),
            (r#"{"text":"ask cliproxy: it knows"}"#, false),
            (r#"{"text":"{\"signature\":\"\"}"}"#, false),
            (r#"{"signature"#, false),
            (r#""signature""#, false),
            ("cliproxy:", false),
            ("", false),
        ] {
            assert_eq!(may_hold_foreign(body.as_bytes()), expected, "{body}");
        }
    }
}
