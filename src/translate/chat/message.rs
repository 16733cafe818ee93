//! What a provider's message says, whole or in pieces, read as leniently as its meaning is plain: shared by whole answers
//! and streams.

use super::wire::Maybe;
use crate::translate::pieces::{Str, TextOr};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The `message` of a whole answer, or the `delta` of a chunk.
#[derive(Default, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    content: Option<TextOr<'a, Vec<ContentPart<'a>>>>,
    /// Not OpenAI's: DeepSeek's name, and that of OpenRouter and newer vLLM. Some say both.
    #[serde(borrow, default)]
    reasoning_content: Maybe<'a>,
    #[serde(borrow, default)]
    reasoning: Maybe<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Maybe<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<ToolCall<'a>>>,
}

/// Some imitators say content in parts.
#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, default)]
    text: Maybe<'a>,
}

/// A call, or a piece of one.
#[derive(Deserialize)]
pub(super) struct ToolCall<'a> {
    pub(super) index: Option<u64>,
    #[serde(borrow, default)]
    pub(super) id: Maybe<'a>,
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow, default)]
    pub(super) name: Maybe<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// What the model thinks.
    pub(super) fn take_thought(&mut self) -> Option<Cow<'a, str>> {
        self.reasoning_content.0.take().or(self.reasoning.0.take())
    }

    /// The words of the answer.
    pub(super) fn take_text(&mut self) -> Option<Cow<'a, str>> {
        match self.content.take()? {
            TextOr::Text(text) => Some(text.into_plain()),
            TextOr::Other(parts) => {
                parts.into_iter().filter_map(|part| part.text.0).reduce(|all, text| all + text)
            }
        }
        .filter(|text| !text.is_empty())
    }
}

impl<'a> Function<'a> {
    /// The text of the arguments, or a piece of it. Some imitators send the object itself.
    pub(super) fn arguments(&self) -> Cow<'a, str> {
        let Some(raw) = self.arguments.map(RawValue::get) else { return Cow::Borrowed("") };
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_or(Cow::Borrowed(""), |Str(text)| text),
            _ => Cow::Borrowed(raw),
        }
    }
}

/// The id of a call whose provider gives it none. It is the same whenever the same answer is read, and another in every
/// answer, since other dialects want ids that no earlier turn has.
pub(super) fn made_up_id(answer_id: &str, nth: usize) -> String {
    /// OpenAI takes ids of 40 characters back.
    const STEM: usize = 24;
    let letters: Vec<char> = answer_id.chars().filter(char::is_ascii_alphanumeric).collect();
    let stem: String = letters[letters.len().saturating_sub(STEM)..].iter().collect();
    format!("call_{stem}_{nth}")
}
