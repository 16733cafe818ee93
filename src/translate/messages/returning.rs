//! Thoughts of others that come back in a conversation, on its way to the API's own vendor.
//!
//! The vendor refuses a signature that it didn't make as forged, and a thought that has none. A client has both from us,
//! where another provider thought for it. And it refuses to think on by a budget where a call is answered that no thought
//! of its own came before: such a turn goes on without. Source: Anthropic, "Extended thinking", on tools.

use super::thinking::Thinking;
use crate::translate::cuts;
use crate::translate::edit::{Edit, span};
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
/// What is in every request that is to be thought about by a budget, and where a tool's result is.
const BUDGET: &str = r#""budget_tokens""#;
const RESULT: &str = r#""tool_result""#;

/// The edits that take such thoughts out of a request, and keep the model from thinking where it can't without them;
/// none where there are none.
///
/// Costs three searches, and one more with a budget; only a tool's result beside a budget is worth a closer look.
pub fn without_foreign(body: &[u8], model: &str) -> Vec<Edit> {
    // Others who have the API may think without a signature, and take that back.
    let is_vendors = model.contains("claude");
    let is_in_it = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    let may_need_off = || is_vendors && is_in_it(BUDGET) && is_in_it(RESULT);
    if !may_hold_foreign(body) && !may_need_off() {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let Ok(request) = reader::read::<Request<'_>>(text) else { return Vec::new() };
    let mut edits = Vec::new();
    let mut course = Course::default();
    let goes: Vec<bool> = request
        .messages
        .iter()
        .map(|message| {
            let Some(message) = Message::of(message) else { return false };
            let goes: Vec<bool> =
                message.blocks.iter().map(|(_, block)| block.is_foreign(is_vendors)).collect();
            course.see(&message.role, message.first_kind(&goes));
            if !goes.is_empty() && goes.iter().all(|goes| *goes) {
                return true;
            }
            let blocks: Vec<&RawValue> = message.blocks.iter().map(|(raw, _)| *raw).collect();
            edits.extend(cuts::elements(text, &blocks, &goes));
            false
        })
        .collect();
    edits.extend(cuts::elements(text, &request.messages, &goes));
    if is_vendors
        && course.is_unthought_loop()
        && let Some(thinking) = request.thinking.filter(|thinking| wants_thought_first(thinking))
        && let (Some(at), Ok(with)) =
            (span(text, thinking.get()), serde_json::to_string(&Thinking::Disabled {}))
    {
        edits.push(Edit { at, with: with.into() });
    }
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
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

/// Adaptive thinking doesn't ask for a thought before a call.
fn wants_thought_first(thinking: &RawValue) -> bool {
    Kind::of(thinking).is_some_and(|thinking| thinking.kind == "enabled")
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    signature: Option<Str<'a>>,
    #[serde(borrow)]
    data: Option<Str<'a>>,
}

impl<'a> Kind<'a> {
    fn of(value: &'a RawValue) -> Option<Kind<'a>> {
        serde_json::from_str(value.get()).ok()
    }

    /// Whether it is a thought that another than the vendor had, or nobody signed where everybody has to.
    fn is_foreign(&self, has_to_be_signed: bool) -> bool {
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

/// A message of blocks. One of words has none.
struct Message<'a> {
    role: Cow<'a, str>,
    blocks: Vec<(&'a RawValue, Kind<'a>)>,
}

impl<'a> Message<'a> {
    fn of(value: &'a RawValue) -> Option<Message<'a>> {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(borrow)]
            role: Cow<'a, str>,
            #[serde(borrow)]
            content: &'a RawValue,
        }
        let Members { role, content } = serde_json::from_str(value.get()).ok()?;
        let blocks = elements(content).unwrap_or_default();
        let blocks = blocks.into_iter().map(|raw| Some((raw, Kind::of(raw)?))).collect::<Option<_>>()?;
        Some(Message { role, blocks })
    }

    /// The kind of the first block that stays.
    fn first_kind(&self, goes: &[bool]) -> Option<&str> {
        if self.blocks.is_empty() {
            return Some("text");
        }
        let index = goes.iter().position(|goes| !goes)?;
        Some(self.blocks[index].1.kind.as_ref())
    }
}

/// What of the conversation, without the thoughts of others, matters to thinking.
#[derive(Default)]
struct Course {
    is_models: bool,
    /// Whether the model's last turn began with a thought, if it has begun.
    is_thought: Option<bool>,
    /// Whether results of tools came since.
    has_results: bool,
}

impl Course {
    /// Sees a message that begins with a block of that kind, if it has any left. Messages of one role in a row are one
    /// turn.
    fn see(&mut self, role: &str, first: Option<&str>) {
        let was_models = std::mem::replace(&mut self.is_models, role == "assistant");
        if !self.is_models {
            self.has_results |= first == Some("tool_result");
            return;
        }
        if !was_models {
            (self.is_thought, self.has_results) = (None, false);
        }
        self.is_thought = self.is_thought.or(first.map(|kind| kind.ends_with("thinking")));
    }

    fn is_unthought_loop(&self) -> bool {
        !self.is_models && self.has_results && self.is_thought != Some(true)
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
    const RESULT: &str = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}"#;
    const ASKED: &str = r#"{"role":"user","content":"a"}"#;
    const BUDGET: &str = r#"{"type":"enabled","budget_tokens":1024 }"#;

    const MODEL: &str = "claude-sonnet-4-5";

    #[track_caller]
    fn expect(body: &str, expected: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let written = edit::apply(&body, without_foreign(&body, MODEL));
        assert_eq!(String::from_utf8_lossy(&written), expected);
        assert_eq!(without_foreign(&written, MODEL), [], "what was made is as the vendor takes it");
    }

    #[test]
    fn others_who_have_the_api_need_no_signature() {
        let body = format!(r#"{{"messages":[{},{ASKED}]}}"#, said(EMPTY));
        assert_eq!(without_foreign(body.as_bytes(), "kimi-k2"), []);
        assert_ne!(without_foreign(body.as_bytes(), MODEL), []);
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

    #[test]
    fn a_call_that_no_thought_came_before_goes_on_without_where_thinking_has_a_budget() {
        let off = r#"{"type":"disabled"}"#;
        let adaptive = r#"{"type":"adaptive","was":"budget_tokens"}"#;
        let (own, none) = (said(&format!("{OWN},{CALL}")), said(CALL));
        let foreign = said(&format!("{FOREIGN},{CALL}"));
        let in_two = format!("{},{}", said(OWN), said(CALL));
        let begun = format!(r#"{{"role":"assistant","content":"Well:"}},{own}"#);
        for (course, thinking, expected) in [
            (&none, BUDGET, off),
            (&begun, BUDGET, off),
            (&none, adaptive, adaptive),
            (&own, BUDGET, BUDGET),
            (&in_two, BUDGET, BUDGET),
        ] {
            let body = |thinking: &str| {
                format!(r#"{{"messages":[{ASKED},{course},{RESULT},{ASKED}],"thinking": {thinking} }}"#)
            };
            expect(&body(thinking), &body(expected));
        }
        let body = |course: &str, thinking: &str| {
            format!(r#"{{"thinking":{thinking},"messages":[{ASKED},{course},{RESULT}]}}"#)
        };
        expect(&body(&foreign, BUDGET), &body(&none, off));
        let over = |course: &str| format!("{course},{RESULT},{}", said(r#"{"type":"text","text":"b"}"#));
        expect(
            &body(&format!("{},{ASKED},{own}", over(&foreign)), BUDGET),
            &body(&format!("{},{ASKED},{own}", over(&none)), BUDGET),
        );
    }
}
