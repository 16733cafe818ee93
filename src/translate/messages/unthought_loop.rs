//! A client's own request that Claude would refuse because it is to think on where it hasn't thought before.
//!
//! Where a call is answered, a budget to think by wants that the model's turn began with a thought of its own: a client has
//! none where another provider called, or it has left it out. Such a turn goes on without. Only the model's last turn and
//! what answers it matter; they stand last in a list that can only be read from its beginning. Source: Anthropic,
//! "Extended thinking", on tools; adaptive thinking doesn't ask for it.

use super::foreign_thoughts::Block;
use super::thinking::Thinking;
use crate::translate::edit::{Edit, span};
use crate::translate::pieces::{Str, TextOr};
use crate::translate::reader;
use memchr::memmem;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What is in every request that is to be thought about by a budget, and where a tool's result is.
const BUDGET: &str = r#""budget_tokens""#;
const RESULT: &str = r#""tool_result""#;

/// The edit that keeps the model from thinking where it can't; `None` where it can.
///
/// Costs a search without a budget, two without results of tools, and a pass over the body with both.
pub fn without_budget(body: &[u8]) -> Option<Edit> {
    if ![BUDGET, RESULT].iter().all(|sign| memmem::find(body, sign.as_bytes()).is_some()) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    // A body that can't be read is its provider's to judge.
    let request: Request<'_> = reader::read(text).ok()?;
    let thinking = request.thinking.filter(|_| is_unthought(&request.messages))?;
    if reader::unread::<Block<'_>>(thinking)?.kind != "enabled" {
        return None;
    }
    let with = serde_json::to_string(&Thinking::Disabled {}).ok()?;
    Some(Edit { at: span(text, thinking.get())?, with: with.into() })
}

/// Whether results of tools stand last, and the turn that they answer begins with no thought. Messages of one role in a
/// row are one turn, and one that has nothing but thoughts of others is none.
fn is_unthought(messages: &[Message<'_>]) -> bool {
    let mut backwards =
        messages.iter().rev().filter_map(|message| Some((message, message.first()?))).peekable();
    let mut has_results = false;
    while let Some((_, first)) = backwards.next_if(|(message, _)| !message.is_models()) {
        has_results |= first == "tool_result";
    }
    let begin = backwards.take_while(|(message, _)| message.is_models()).last();
    has_results && !begin.is_some_and(|(_, first)| first.ends_with("thinking"))
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Str<'a>,
    #[serde(borrow)]
    content: TextOr<'a, First<'a>>,
}

impl Message<'_> {
    fn is_models(&self) -> bool {
        self.role.0 == "assistant"
    }

    /// The kind of its first block, thoughts of others aside.
    fn first(&self) -> Option<&str> {
        match &self.content {
            TextOr::Text(_) => Some("text"),
            TextOr::Other(First(first)) => first.as_deref(),
        }
    }
}

/// Of a list of blocks the kind of the first that stays.
#[derive(Debug)]
struct First<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<First<'a>, D::Error> {
        struct Blocks;
        impl<'de> Visitor<'de> for Blocks {
            type Value = First<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of blocks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut blocks: A) -> Result<First<'de>, A::Error> {
                while let Some(block) = blocks.next_element::<Block<'de>>()? {
                    if !block.is_foreign(true) {
                        while blocks.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(First(Some(block.kind)));
                    }
                }
                Ok(First(None))
            }
        }
        deserializer.deserialize_seq(Blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;

    const OWN: &str = r#"{"type":"thinking","thinking":"Hm","signature":"EqQB"}"#;
    const FOREIGN: &str = r#"{"type":"thinking","thinking":"Hm","signature":"cliproxy:generate:c2ln"}"#;
    const CALL: &str = r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"a" : 1.0}}"#;
    const RESULT: &str = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}"#;
    const ASKED: &str = r#"{"role":"user","content":"a"}"#;
    const BUDGET: &str = r#"{"type":"enabled","budget_tokens":1024 }"#;
    const OFF: &str = r#"{"type":"disabled"}"#;

    #[track_caller]
    fn expect(messages: &str, thinking: &str, expected: &str) {
        for is_first in [true, false] {
            let body = |thinking: &str| match is_first {
                true => format!(r#"{{"thinking":{thinking},"messages":[{messages}]}}"#),
                false => format!(r#"{{"messages":[{messages}],"thinking": {thinking} , "new":[1.0 ]}}"#),
            };
            let asked = Bytes::from(body(thinking));
            let written = edit::apply(&asked, without_budget(&asked).into_iter().collect());
            assert_eq!(String::from_utf8_lossy(&written), body(expected));
        }
    }

    fn said(blocks: &str) -> String {
        format!(r#"{{"content":[{blocks}], "role":"assistant"}}"#)
    }

    #[test]
    fn a_call_that_no_thought_came_before_goes_on_without_where_thinking_has_a_budget() {
        let adaptive = r#"{"type":"adaptive","was":"budget_tokens"}"#;
        let (own, none) = (said(&format!("{OWN},{CALL}")), said(CALL));
        let foreign = said(&format!("{FOREIGN},{CALL}"));
        for (course, thinking, expected) in [
            (none.clone(), BUDGET, OFF),
            (foreign.clone(), BUDGET, OFF),
            (format!(r#"{{"role":"assistant","content":"Well:"}},{own}"#), BUDGET, OFF),
            (format!("{},{none}", said(FOREIGN)), BUDGET, OFF),
            (none.clone(), adaptive, adaptive),
            (own.clone(), BUDGET, BUDGET),
            (said(&format!("{FOREIGN},{OWN},{CALL}")), BUDGET, BUDGET),
            (format!("{},{none}", said(OWN)), BUDGET, BUDGET),
            (format!("{},{own}", said(FOREIGN)), BUDGET, BUDGET),
            (format!("{none},{RESULT},{}", said(FOREIGN)), BUDGET, OFF),
        ] {
            expect(&format!("{ASKED},{course},{RESULT}"), thinking, expected);
            expect(&format!("{ASKED},{course},{RESULT},{ASKED}"), thinking, expected);
        }
    }

    #[test]
    fn turns_that_are_over_are_nobodys_business() {
        let (own, none) = (said(&format!("{OWN},{CALL}")), said(CALL));
        let over = format!("{none},{RESULT},{}", said(r#"{"type":"text","text":"b"}"#));
        for course in [format!("{over},{ASKED}"), format!("{over},{ASKED},{own},{RESULT}"), over] {
            expect(&course, BUDGET, BUDGET);
        }
        expect(&format!("{own},{RESULT},{none},{RESULT}"), BUDGET, OFF);
    }

    #[test]
    fn what_cannot_be_read_is_its_providers_to_judge() {
        for messages in
            [format!("{},1,{RESULT}", said(CALL)), format!("{},{RESULT}", said("1")), "\"".to_owned()]
        {
            expect(&messages, BUDGET, BUDGET);
        }
        expect(&format!("{},{RESULT}", said(CALL)), "1", "1");
    }
}
