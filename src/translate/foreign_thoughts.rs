//! What others have thought in a client's conversation, on its way to the API's own vendor.
//!
//! Who has a client's own API is asked in the client's own bytes. But what another provider thought before, we gave to
//! the client in a wrapper of ours, and its maker's rival would refuse it: it stays behind. Where the vendor misses its own
//! thoughts then, as it does where others called tools, it is told to go on without; and nothing else changes.

use super::edit::Edit;
use super::features::Feature;
use super::signs::Api;
use super::{generate, messages, responses};

/// What changes in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the client's own bytes; they don't overlap.
    pub edits: Vec<Edit>,
    /// What the provider doesn't hear of it, by the names in `x-cliproxy-dropped`.
    pub dropped: Vec<&'static str>,
}

impl Changes {
    fn make(&mut self, edits: impl IntoIterator<Item = Edit>, feature: Feature) {
        let before = self.edits.len();
        self.edits.extend(edits);
        if self.edits.len() > before && !self.dropped.contains(&feature.name()) {
            self.dropped.push(feature.name());
        }
    }
}

/// Whether a model of that API refuses to go on where it misses its own signatures.
pub fn wants_signatures(api: Api, model: &str) -> bool {
    match api {
        Api::Messages => messages::wants_signatures(model),
        Api::Generate => generate::wants_signatures(model),
        // What a vendor keeps, or has encrypted, may be left out at will.
        Api::Responses | Api::Completions | Api::Other => false,
    }
}

/// The changes to a request for a model that has the client's API, and does or doesn't want signatures; none where all is
/// as it takes it.
///
/// Budget: a few searches; a pass over the body where such a model has called tools, which takes about as long as
/// [`Peek`](super::peek::Peek); more only where something changes.
pub fn changes(api: Api, body: &[u8], wants_signatures: bool) -> Changes {
    let mut changes = Changes::default();
    match api {
        Api::Responses => changes.make(responses::without_foreign(body), Feature::ForeignThoughts),
        Api::Messages => {
            changes.make(messages::without_foreign(body, wants_signatures), Feature::ForeignThoughts);
            if wants_signatures {
                changes.make(messages::without_budget(body), Feature::Effort);
            }
        }
        Api::Generate => {
            // Behind a call, where a signature of others may be cut out, too: what comes in there comes first.
            if wants_signatures {
                changes.make(generate::with_signatures(body), Feature::ForeignThoughts);
            }
            changes.make(generate::without_foreign(body), Feature::ForeignThoughts);
        }
        // Reasoning has no signature there, and goes to whoever is asked as it came.
        Api::Completions | Api::Other => {}
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    #[track_caller]
    fn expect(api: Api, model: &str, body: &str, expected: &str, dropped: &[&str]) {
        let asked = Bytes::copy_from_slice(body.as_bytes());
        let wants_signatures = wants_signatures(api, model);
        let changes = changes(api, &asked, wants_signatures);
        assert_eq!(changes.dropped, dropped);
        let written = edit::apply(&asked, changes.edits);
        assert_eq!(String::from_utf8_lossy(&written), expected);
        let again = super::changes(api, &written, wants_signatures);
        assert_eq!(again, Changes::default(), "what was made is as the model takes it");
    }

    #[test]
    fn a_call_that_another_signed_is_said_to_be_unsigned_where_gemini_wants_to_know() {
        const CALL: &str = r#""functionCall":{"name":"f","args":{"a" : 1.0}}"#;
        /// `cliproxy/messages/c2ln`
        const FOREIGN: &str = r#""thoughtSignature": "Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg==""#;
        let skip = r#""thoughtSignature":"skip_thought_signature_validator""#;
        let body = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{{{part}}}]}}]}}"#);
        for (part, old, new) in [
            (format!("{CALL} , {FOREIGN}"), CALL.to_owned(), format!("{CALL},{skip}")),
            (format!("{FOREIGN}, {CALL}"), format!(" {CALL}"), format!(" {CALL},{skip}")),
            (
                format!(r#"{CALL},"new":1, {FOREIGN}"#),
                format!(r#"{CALL},"new":1"#),
                format!(r#"{CALL},{skip},"new":1"#),
            ),
        ] {
            expect(Api::Generate, "gemini-2.5-pro", &body(&part), &body(&old), &["thinking"]);
            expect(Api::Generate, "gemini-3-pro-preview", &body(&part), &body(&new), &["thinking"]);
        }
        let thought =
            format!(r#"{{"contents":[{{"role":"model","parts":[{{"thought":true,{CALL},{FOREIGN}}}]}}]}}"#);
        expect(Api::Generate, "gemini-3-pro-preview", &thought, r#"{"contents":[]}"#, &["thinking"]);
    }

    #[test]
    fn claude_goes_on_without_a_budget_where_another_thought_before_its_call() {
        let body = |thinking: &str, thought: &str| {
            format!(
                r#"{{"thinking":{thinking},"messages":[{{"role":"assistant","content":[{thought}{{"type":"tool_use"}}]}},
                {{"role":"user","content":[{{"type":"tool_result"}}]}}]}}"#
            )
        };
        let budget = r#"{"type":"enabled","budget_tokens":1024}"#;
        let off = r#"{"type":"disabled"}"#;
        let foreign = r#"{"type":"thinking","signature":"cliproxy:generate:c2ln"},"#;
        let expect = |model: &str, body: &str, expected: &str, dropped: &[&str]| {
            expect(Api::Messages, model, body, expected, dropped);
        };
        let claude = "claude-sonnet-4-5";
        expect(claude, &body(budget, foreign), &body(off, ""), &["thinking", "reasoning_effort"]);
        expect(claude, &body(budget, ""), &body(off, ""), &["reasoning_effort"]);
        expect("kimi-k2", &body(budget, foreign), &body(budget, ""), &["thinking"]);
        expect("kimi-k2", &body(budget, ""), &body(budget, ""), &[]);
    }

    /// A list of some of these, in any order.
    fn any_of(what: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(what), 0..4).prop_map(|some| some.join(" , "))
    }

    proptest! {
        #[test]
        fn whatever_gemini_and_others_have_said_is_json_and_settled_after_one_look(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(prop::sample::subsequence(vec![
                r#""text":"a""#, r#""functionCall":{"name":"f"}"#, r#""thought":true"#,
                r#""thoughtSignature": "Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg==""#, r#""functionResponse":{}"#, r#""new":[1]"#,
            ], 0..6).prop_shuffle(), 0..4)), 0..6)
        ) {
            let content = |(is_models, parts): &(bool, Vec<Vec<&str>>)| {
                let parts: Vec<_> = parts.iter().map(|members| format!("{{{}}}", members.join(" , "))).collect();
                let role = if *is_models { "model" } else { "user" };
                format!(r#"{{"role":"{role}","parts":[{}]}}"#, parts.join(" , "))
            };
            let contents: Vec<_> = parts.iter().map(content).collect();
            let asked = Bytes::from(format!(r#"{{"contents":[{}]}}"#, contents.join(",")));
            let written = edit::apply(&asked, changes(Api::Generate, &asked, true).edits);
            prop_assert!(serde_json::from_slice::<IgnoredAny>(&written).is_ok(), "{written:?}");
            prop_assert_eq!(changes(Api::Generate, &written, true), Changes::default(), "{:?} of {:?}", written, asked);
        }

        #[test]
        fn whatever_claude_and_others_have_said_is_json_and_settled_after_one_look(
            blocks in prop::collection::vec((any::<bool>(), any_of(&[
                r#"{"type":"text","text":"a"}"#, r#"{"type":"tool_use","input":{}}"#, r#"{"type":"tool_result"}"#,
                r#"{"type":"thinking","signature":"EqQB"}"#, r#"{"type":"thinking","signature":""}"#,
                r#"{"type":"redacted_thinking","data":"cliproxy:generate-redacted:c2ln"}"#,
            ])), 0..6)
        ) {
            let message = |(is_models, blocks): &(bool, String)| {
                let role = if *is_models { "assistant" } else { "user" };
                format!(r#"{{"role":"{role}","content":[{blocks}]}}"#)
            };
            let messages: Vec<_> = blocks.iter().map(message).collect();
            let thinking = r#"{"type":"enabled","budget_tokens":1024}"#;
            let asked = Bytes::from(format!(r#"{{"messages":[{}],"thinking":{thinking}}}"#, messages.join(",")));
            let written = edit::apply(&asked, changes(Api::Messages, &asked, true).edits);
            prop_assert!(serde_json::from_slice::<IgnoredAny>(&written).is_ok(), "{written:?}");
            prop_assert_eq!(changes(Api::Messages, &written, true), Changes::default(), "{:?} of {:?}", written, asked);
        }
    }
}
