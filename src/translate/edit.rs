//! Small replacements in a body that otherwise goes on byte for byte.

use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::ops::Range;

/// One replacement: the bytes of `at` become `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty range inserts.
    pub at: Range<usize>,
    /// What stands there afterwards.
    pub with: Cow<'static, str>,
}

/// The body with the edits made. Without edits it is the same `Bytes`, not a copy.
///
/// Edits must not overlap; one that lies outside the body is left out.
pub fn apply(body: &Bytes, mut edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|edit| edit.at.start);
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + added);
    let mut done = 0;
    for edit in edits {
        let Some(before) = body.get(done..edit.at.start) else { continue };
        out.extend_from_slice(before);
        out.extend_from_slice(edit.with.as_bytes());
        done = edit.at.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    out.freeze()
}

/// Where `part`, a slice of `text`, lies in it.
pub(super) fn span(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(start..start + part.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_in_any_order_and_leave_the_rest() {
        let body = Bytes::from_static(b"{\"model\":\"a\",\"x\":1}");
        let edits =
            vec![Edit { at: 9..12, with: "\"long\"".into() }, Edit { at: 1..1, with: "\"y\":2,".into() }];
        assert_eq!(apply(&body, edits), "{\"y\":2,\"model\":\"long\",\"x\":1}");
    }

    #[test]
    fn no_edit_is_no_copy() {
        let body = Bytes::from(vec![1_u8; 1024]);
        assert_eq!(apply(&body, Vec::new()).as_ptr(), body.as_ptr());
    }
}
