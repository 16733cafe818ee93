//! What others have thought in a client's own request to Anthropic.
//!
//! The vendor refuses a signature that it didn't make as forged, and a thought that has none. A client has both from us,
//! where another provider thought for it. Source: Anthropic, "Extended thinking".

use crate::translate::cuts;
use crate::translate::edit::Edit;
use crate::translate::members::elements;
use crate::translate::pieces::Str;
use crate::translate::reader;
use crate::translate::signature::{self, WRAPPED};
use crate::translate::signs::Api;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The member that a thought's signature stands in.
const SIGNATURE: &str = r#""signature""#;

/// Whether a model's thoughts have to be signed. Others who have the API may think without a signature, and take that
/// back.
pub fn wants_signatures(model: &str) -> bool {
    model.contains("claude")
}

/// The edits that take such thoughts out of a request, for a model whose own have to be signed or needn't be; none where
/// there are none, which costs two searches.
pub fn without_foreign(body: &[u8], has_to_be_signed: bool) -> Vec<Edit> {
    if !may_hold_foreign(body) {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let Ok(Request { messages }) = reader::read(text) else { return Vec::new() };
    let mut edits = Vec::new();
    let goes: Vec<bool> = messages
        .iter()
        .map(|message| {
            let blocks = blocks(message).unwrap_or_default();
            let goes: Vec<bool> = blocks.iter().map(|block| is_foreign(block, has_to_be_signed)).collect();
            if !goes.is_empty() && goes.iter().all(|goes| *goes) {
                return true;
            }
            edits.extend(cuts::elements(text, &blocks, &goes));
            false
        })
        .collect();
    edits.extend(cuts::elements(text, &messages, &goes));
    edits
}

/// Whether a request may hold thoughts of others; it surely doesn't if not.
fn may_hold_foreign(body: &[u8]) -> bool {
    let begins_text = |at: usize| at.checked_sub(1).and_then(|before| body.get(before)) == Some(&b'"');
    let is_empty = |at: usize| {
        let rest = body.get(at + SIGNATURE.len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"\""))
    };
    memmem::find_iter(body, WRAPPED).any(begins_text) || memmem::find_iter(body, SIGNATURE).any(is_empty)
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// The blocks of a message; one of words has none.
fn blocks(message: &RawValue) -> Option<Vec<&RawValue>> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    elements(reader::unread::<Message<'_>>(message)?.content)
}

fn is_foreign(block: &RawValue, has_to_be_signed: bool) -> bool {
    reader::unread::<Block<'_>>(block).is_some_and(|block| block.is_foreign(has_to_be_signed))
}

/// A block, as far as it says whether it is a thought, and whose.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    signature: Option<Str<'a>>,
    #[serde(borrow)]
    data: Option<Str<'a>>,
}

impl Block<'_> {
    /// Whether it is a thought that another than the vendor had, or nobody signed where everybody has to.
    pub(super) fn is_foreign(&self, has_to_be_signed: bool) -> bool {
        let is_others = |text: &Option<Str<'_>>| {
            text.as_ref().is_some_and(|Str(text)| {
                text.is_empty() && has_to_be_signed
                    || signature::unwrap(text.as_ref().into(), Api::Messages).0.maker != Api::Messages
            })
        };
        match self.kind.as_ref() {
            "thinking" => is_others(&self.signature),
            "redacted_thinking" => is_others(&self.data),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;

    const FOREIGN: &str = r#"{"type":"thinking","thinking":"Hm","signature":"cliproxy:generate:c2ln"}"#;
    const EMPTY: &str = r#"{"signature" : "","thinking":"Hm","type":"thinking"}"#;
    const SEALED: &str = r#"{"type":"redacted_thinking","data": "cliproxy:generate-redacted:c2ln"}"#;
    const OWN: &str = r#"{"type":"thinking","thinking":"Hm","signature":"EqQB"}"#;
    const CALL: &str = r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"a" : 1.0}}"#;
    const ASKED: &str = r#"{"role":"user","content":"a"}"#;

    #[track_caller]
    fn expect(body: &str, expected: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let written = edit::apply(&body, without_foreign(&body, true));
        assert_eq!(String::from_utf8_lossy(&written), expected);
        assert_eq!(without_foreign(&written, true), [], "what was made is as the vendor takes it");
    }

    #[test]
    fn others_who_have_the_api_need_no_signature() {
        let body = format!(r#"{{"messages":[{},{ASKED}]}}"#, said(EMPTY));
        assert_eq!(without_foreign(body.as_bytes(), wants_signatures("kimi-k2")), []);
        assert_ne!(without_foreign(body.as_bytes(), wants_signatures("claude-sonnet-4-5")), []);
    }

    fn said(blocks: &str) -> String {
        format!(r#"{{"content":[{blocks}], "role":"assistant"}}"#)
    }

    #[test]
    fn thoughts_of_others_go_and_all_else_stays_to_the_byte() {
        let rest = r#"{"type":"text","text":"a\u00e9","citations":[{"type":"char_location","new":1e0}],
            "cache_control":{"type":"ephemeral", "ttl":"1h"}}"#;
        let body = |blocks: &str| {
            format!(
                r#"{{"thinking":{{"type":"adaptive"}}, "new":[1.0 ],"messages":[{ASKED},{}, {ASKED} ]}}"#,
                said(blocks)
            )
        };
        expect(&body(&format!("{FOREIGN}, {rest}")), &body(rest));
        expect(&body(&format!(" {EMPTY} ,{SEALED},{OWN}, {rest}")), &body(&format!(" {OWN}, {rest}")));
        expect(&body(&format!("{rest}, {CALL}, {SEALED}\n")), &body(&format!("{rest}, {CALL}\n")));
        let alone = said(&format!("{FOREIGN}, {SEALED}"));
        expect(&format!(r#"{{"messages":[{ASKED}, {alone} ]}}"#), &format!(r#"{{"messages":[{ASKED} ]}}"#));
    }

    #[test]
    fn words_about_signatures_change_nothing() {
        for untouched in [
            r#"{"messages":[{"role":"user","content":"say \"cliproxy:messages:x"}]}"#.to_owned(),
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"cliproxy:generate:x"}]}]}"#
                .to_owned(),
            r#"{"messages":[{"role":"user","content":[{"type":"new","signature":""}]}]}"#.to_owned(),
            r#"{"messages":[],"metadata":{"signature":"","data":"cliproxy:generate:x"}}"#.to_owned(),
            format!(
                r#"{{"messages":[{}]}}"#,
                said(r#"{"type":"thinking","thinking":"","signature":"cliproxy:?"}"#)
            ),
            format!(r#"{{"messages":[{}]}}"#, said(r#"{"type":1,"signature":""}"#)),
            r#"{"messages":{"signature":""}}"#.to_owned(),
            r#""signature":"""#.to_owned(),
            "\"cliproxy:".to_owned(),
        ] {
            expect(&untouched, &untouched);
        }
    }
}
