//! What a request asks of the model, in no vendor's words. Each dialect reads its own requests into a [`Prompt`].

use super::answer::input_tokens;
use serde_json::Value;
use std::borrow::Cow;

/// Input tokens that an image counts as.
const IMAGE_TOKENS: usize = 85;

/// What a request asks of the model.
pub(super) struct Prompt<'a> {
    /// Bytes of text in it, for the count of tokens.
    pub(super) bytes: usize,
    pub(super) system: Cow<'a, str>,
    /// The text of the user's last turn.
    pub(super) said: Cow<'a, str>,
    /// What the client has put into the model's mouth.
    pub(super) prefill: Option<String>,
    pub(super) images: usize,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) tool_choice: ToolChoice<'a>,
    /// Whether no more than one tool may be called.
    pub(super) one_call: bool,
    /// The results of tools that came since the model's last turn, as texts.
    pub(super) results: Vec<String>,
    pub(super) format: Format<'a>,
    pub(super) thinks: bool,
    pub(super) stop_sequences: Vec<&'a str>,
    /// Words that the answer may have.
    pub(super) limit: usize,
}

/// A tool that the model may call.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
}

/// Whether tools are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolChoice<'a> {
    Auto,
    None,
    Any,
    /// The one of that name.
    One(&'a str),
}

/// What the answer is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format<'a> {
    Text,
    /// A JSON object of the model's choice.
    Json,
    /// JSON that follows a schema.
    Schema(&'a Value),
}

impl<'a> Prompt<'a> {
    /// A prompt of so many bytes of text, of which the user said these last.
    pub(super) fn new(bytes: usize, said: Cow<'a, str>, limit: usize) -> Prompt<'a> {
        Prompt {
            bytes,
            system: Cow::Borrowed(""),
            said,
            prefill: None,
            images: 0,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            one_call: false,
            results: Vec::new(),
            format: Format::Text,
            thinks: false,
            stop_sequences: Vec::new(),
            limit,
        }
    }

    /// The tokens that go in.
    pub(super) fn tokens(&self) -> usize {
        input_tokens(self.bytes) + self.images * IMAGE_TOKENS
    }
}

/// A text, or the texts of parts, one after the other.
pub(super) fn text_of(content: &Value) -> Cow<'_, str> {
    match content {
        Value::String(text) => text.as_str().into(),
        Value::Array(parts) => match parts.as_slice() {
            [only] => only["text"].as_str().unwrap_or_default().into(),
            parts => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        },
        _ => "".into(),
    }
}

/// The text of the last of these messages that is the user's.
pub(super) fn last_said<'a>(messages: &'a [Value], content: &str) -> Cow<'a, str> {
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    last.map_or("".into(), |message| text_of(&message[content]))
}

/// The messages after the last that is the model's: all of what a tool or the user said since.
pub(super) fn since(messages: &[Value], is_models: impl Fn(&Value) -> bool) -> &[Value] {
    let last = messages.iter().rposition(is_models);
    &messages[last.map_or(0, |at| at + 1)..]
}

/// The items under a name; none if it is no list.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The texts among the items under a name, or the one text that stands there alone.
pub(super) fn strings<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    match &value[name] {
        Value::String(text) => vec![text],
        _ => list(value, name).iter().filter_map(Value::as_str).collect(),
    }
}
