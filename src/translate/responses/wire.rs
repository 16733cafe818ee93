//! A request as it is on the wire, member by member. Decides what may stand where; must not know what it means.
//!
//! An item of the input has its members flat beside each other, whatever its type: telling types apart first would
//! cost a copy of every item. A member that some type has in another form is [`Listed::Other`].
//! Members that aren't here are of no consequence.

use crate::translate::elements;
use crate::translate::pieces::{Listed, Str};
use crate::translate::verbatim::Verbatim;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

const _: () = elements::fit::<Item<'_>>();
const _: () = elements::fit::<Piece<'_>>();
const _: () = elements::fit::<Tool<'_>>();

/// The request.
#[derive(Debug, Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) input: Option<Listed<'a, Item<'a>>>,
    #[serde(borrow)]
    pub(super) instructions: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) text: Option<TextConfig<'a>>,
    #[serde(borrow)]
    pub(super) reasoning: Option<Reasoning<'a>>,
    #[serde(borrow)]
    pub(super) include: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    pub(super) user: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) safety_identifier: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) truncation: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_logprobs: Option<u64>,
    pub(super) stream: Option<bool>,
    pub(super) store: Option<bool>,
    pub(super) background: Option<bool>,
    pub(super) previous_response_id: Option<IgnoredAny>,
    pub(super) conversation: Option<IgnoredAny>,
    pub(super) prompt: Option<IgnoredAny>,
    pub(super) moderation: Option<IgnoredAny>,
    pub(super) context_management: Option<IgnoredAny>,
    pub(super) prompt_cache_key: Option<IgnoredAny>,
    pub(super) prompt_cache_options: Option<IgnoredAny>,
    pub(super) prompt_cache_retention: Option<IgnoredAny>,
    pub(super) image: Option<IgnoredAny>,
    pub(super) access_programs: Option<IgnoredAny>,
}

/// A piece of the conversation, of any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    pub(super) id: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) role: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Listed<'a, Piece<'a>>>,
    #[serde(borrow)]
    pub(super) call_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Option<Listed<'a, IgnoredAny>>,
    #[serde(borrow)]
    pub(super) output: Option<Listed<'a, Piece<'a>>>,
    #[serde(borrow)]
    pub(super) summary: Option<Listed<'a, Piece<'a>>>,
    #[serde(borrow)]
    pub(super) encrypted_content: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
}

/// A part of a content, of any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Verbatim<'a>>,
    #[serde(borrow)]
    pub(super) refusal: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) image_url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) detail: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) file_data: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) file_url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) filename: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) input_audio: Option<Audio<'a>>,
    pub(super) file_id: Option<IgnoredAny>,
    pub(super) prompt_cache_breakpoint: Option<IgnoredAny>,
}

/// A sound.
#[derive(Debug, Deserialize)]
pub(super) struct Audio<'a> {
    #[serde(borrow)]
    pub(super) data: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
}

/// A tool of any type.
#[derive(Debug, Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
}

/// A choice that is no word: one tool, or several that are allowed.
#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) mode: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
}

/// What the words of the answer are to be like.
#[derive(Debug, Deserialize)]
pub(super) struct TextConfig<'a> {
    #[serde(borrow)]
    pub(super) format: Option<Format<'a>>,
    #[serde(borrow)]
    pub(super) verbosity: Option<Str<'a>>,
}

/// The form of the answer.
#[derive(Debug, Deserialize)]
pub(super) struct Format<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    pub(super) description: Option<IgnoredAny>,
}

/// How much to think, and how much of that to show.
#[derive(Debug, Deserialize)]
pub(super) struct Reasoning<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Str<'a>>,
    pub(super) summary: Option<IgnoredAny>,
    /// The older name of `summary`.
    pub(super) generate_summary: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) context: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) mode: Option<Str<'a>>,
}
