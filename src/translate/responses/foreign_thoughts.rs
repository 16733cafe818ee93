//! What others have thought in a client's own request to OpenAI.
//!
//! A provider that has this API is asked in the client's own bytes. But it knows reasoning by ids that it gave, or by what
//! it has encrypted, and refuses the whole request for any other: what we gave to a client in another provider's name
//! has to stay behind.

use super::items::OURS;
use crate::translate::cuts;
use crate::translate::edit::Edit;
use crate::translate::json;
use crate::translate::reader;
use crate::translate::signature::WRAPPED;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The edits that take such reasoning out of a request; none where there is none.
///
/// Costs two searches where there is none.
pub fn without_foreign(body: &[u8]) -> Vec<Edit> {
    let is_in_it = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    if !is_in_it(OURS) && !is_in_it(WRAPPED) {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let Ok(Request { input }) = reader::read::<Request<'_>>(text) else { return Vec::new() };
    let goes: Vec<bool> = input.iter().map(|item| is_foreign(item.get())).collect();
    cuts::elements(text, &input, &goes)
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    input: Vec<&'a RawValue>,
}

fn is_foreign(item: &str) -> bool {
    let Ok([kind, id, sealed]) = json::members(item.as_bytes(), ["type", "id", "encrypted_content"]) else {
        return false;
    };
    let text = |at: Option<std::ops::Range<usize>>| json::text(item.as_bytes().get(at?)?);
    let begins = |at, prefix| text(at).is_some_and(|text| text.starts_with(prefix));
    text(kind).is_some_and(|kind| kind == "reasoning") && (begins(id, OURS) || begins(sealed, WRAPPED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;

    #[track_caller]
    fn expect(body: &str, expected: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        assert_eq!(edit::apply(&body, without_foreign(&body)), expected.as_bytes());
    }

    #[test]
    fn only_reasoning_of_others_is_taken_out() {
        let own = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}"#;
        let named = r#"{"id":"rs_cliproxy_1_0","type":"reasoning","summary":[]}"#;
        let sealed = r#"{"type":"reasoning","summary":[],"encrypted_content":"cliproxy:messages:x"}"#;
        let says = r#"{"role":"user","content":"\"rs_cliproxy_1_0\" is no reasoning"}"#;
        expect(
            &format!(r#"{{"model":"m", "input": [{own}, {named},{sealed} ,{says}], "store":false}}"#),
            &format!(r#"{{"model":"m", "input": [{own} ,{says}], "store":false}}"#),
        );
        expect(&format!(r#"{{"input":[{sealed}]}}"#), r#"{"input":[]}"#);
        for untouched in [
            format!(r#"{{"input":[ {own} , {says} ]}}"#),
            r#"{"input":"cliproxy: or rs_cliproxy_?"}"#.to_owned(),
            r#"{"metadata":{"cliproxy:":"rs_cliproxy_"}}"#.to_owned(),
            r#"{"input":[1,"rs_cliproxy_",null]}"#.to_owned(),
            "rs_cliproxy_".to_owned(),
        ] {
            expect(&untouched, &untouched);
        }
    }
}
