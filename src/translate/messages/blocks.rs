//! Blocks of content as they are written: in a provider's request, in a client's answer, in its stream.
//!
//! Source: Anthropic's reference of the Messages API, `ContentBlockParam` and `ContentBlock`.

use crate::translate::arguments;
use crate::translate::canonical::Signature;
use crate::translate::signature;
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'w> {
    Text {
        text: Verbatim<'w>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source<'w>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Document {
        source: Source<'w>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'w str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: Cow<'w, str>,
        name: Cow<'w, str>,
        input: Input<'w>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolResult {
        tool_use_id: Cow<'w, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'w>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Thinking {
        thinking: &'w str,
        signature: Cow<'w, str>,
    },
    RedactedThinking {
        data: Cow<'w, str>,
    },
}

impl<'w> Block<'w> {
    /// Words and nothing else about them.
    pub(super) fn text(text: impl Into<Verbatim<'w>>) -> Block<'w> {
        Block::Text { text: text.into(), cache_control: None }
    }

    /// A thought as a client sees it. Its signature is empty where it has none: the member must be there.
    pub(super) fn thought(text: &'w str, signature: Option<&'w Signature<'_>>) -> Block<'w> {
        let signature = signature.map(|it| signature::wrap(it, Api::Messages)).unwrap_or_default();
        Block::Thinking { thinking: text, signature }
    }

    /// Whether it is something thought.
    pub(super) fn is_thought(&self) -> bool {
        matches!(self, Block::Thinking { .. } | Block::RedactedThinking { .. })
    }
}

/// Where a medium's bytes are.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'w> {
    Base64 { media_type: &'w str, data: &'w str },
    Url { url: &'w str },
    Text { media_type: &'static str, data: Cow<'w, str> },
}

/// Up to here the provider is to cache.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
pub(super) struct CacheControl {}

/// The arguments of a call: a JSON object, as its text came.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input<'w> {
    Object(&'w RawValue),
    /// A model wrote something else. Anthropic's own advice for handing this on is an object of one member, so that the
    /// client's parser lives and nobody takes it for arguments. Source: "Fine-grained tool streaming", invalid JSON.
    Invalid {
        #[serde(rename = "INVALID_JSON")]
        text: &'w str,
    },
    Empty {},
}

impl<'w> Input<'w> {
    /// What a model gave as arguments, checked. Nothing at all is a call without any.
    pub(super) fn of(text: &'w str) -> Input<'w> {
        match arguments::object(text) {
            Some(object) => Input::Object(object),
            None if text.trim().is_empty() => Input::Empty {},
            None => Input::Invalid { text },
        }
    }
}
