//! Tokens as the vendors report them, brought to one form.
//!
//! Vendors' own habits: OpenAI's and Gemini's input includes cached tokens, Anthropic's doesn't; Gemini's
//! output excludes thoughts. Sources: the vendors' API references for `usage` and `usageMetadata`.

use super::frames::{self, Framing};
use super::json;
use crate::domain::{Dialect, TokenUsage};
use memchr::memmem::Finder;
use serde::Deserialize;
use std::sync::LazyLock;

/// Every vendor's usage fields in one struct; what a vendor doesn't send stays `None`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    // OpenAI: Chat Completions and Embeddings
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    // OpenAI Responses and Anthropic
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    // Gemini
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Option<u64>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(rename = "cachedContentTokenCount")]
    cached_content_token_count: Option<u64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates_token_count: Option<u64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_token_count: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// Finds usage, if there is any; nearly every frame has none.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage"));

/// What an answer, or a frame of a stream, says of usage.
struct Report {
    wire: Wire,
    /// Whether it says nothing else: the list of choices is empty.
    is_alone: bool,
}

impl Report {
    /// Reads the usage where it may stand: at the root, in Anthropic's `message`, in the Responses API's
    /// `response`.
    fn read(json: &[u8]) -> Option<Report> {
        let [usage, metadata, message, response, choices] =
            json::members(json, ["usage", "usageMetadata", "message", "response", "choices"]).ok()?;
        if let Some(wire) = usage.or(metadata).and_then(|at| wire(&json[at])) {
            let is_alone = choices.is_some_and(|at| is_empty_list(&json[at]));
            return Some(Report { wire, is_alone });
        }
        let inner = &json[message.or(response)?];
        let [usage] = json::members(inner, ["usage"]).ok()?;
        Some(Report { wire: wire(&inner[usage?])?, is_alone: false })
    }
}

/// Usage that isn't `null`.
fn wire(json: &[u8]) -> Option<Wire> {
    serde_json::from_slice::<Option<Wire>>(json).ok().flatten()
}

fn is_empty_list(json: &[u8]) -> bool {
    json.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start() == b"]")
}

/// Reads the usage out of whole answers and stream frames, and adds up what a stream says in pieces.
#[derive(Debug)]
pub struct Meter {
    dialect: Dialect,
    framing: Option<Framing>,
    usage: Option<TokenUsage>,
    frames: u64,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Part of the answer.
    Content,
    /// Nothing but usage: the extra chunk that OpenAI sends for `include_usage`.
    UsageOnly,
}

impl Meter {
    /// A meter for a plain answer.
    pub fn plain(dialect: Dialect) -> Meter {
        Meter { dialect, framing: None, usage: None, frames: 0 }
    }

    /// A meter for a stream of frames.
    pub fn stream(dialect: Dialect, framing: Framing) -> Meter {
        Meter { dialect, framing: Some(framing), usage: None, frames: 0 }
    }

    /// Looks at a frame, or at a whole plain answer.
    ///
    /// Costs one substring search where there is no usage, which is nearly every frame.
    pub fn see(&mut self, frame: &[u8]) -> Frame {
        self.frames += 1;
        if USAGE.find(frame).is_none() {
            return Frame::Content;
        }
        let data = match self.framing {
            Some(Framing::Events) => frames::event_data(frame),
            // An element after the first carries the comma that parts it from the one before.
            Some(Framing::Elements) => {
                frame[frame.iter().position(|byte| *byte == b'{').unwrap_or(0)..].into()
            }
            None => frame.into(),
        };
        let Some(report) = Report::read(&data) else { return Frame::Content };
        let reported = normalise(self.dialect, &report.wire);
        self.usage = Some(merge(self.usage.unwrap_or_default(), reported));
        if report.is_alone { Frame::UsageOnly } else { Frame::Content }
    }

    /// What the provider reported, if it did.
    pub fn reported(&self) -> Option<TokenUsage> {
        self.usage
    }

    /// How many frames were seen: about one token each in a stream, for an estimate where nothing was reported.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

/// Anthropic reports input first and output last, Gemini the whole so far each time: the larger of each is true.
fn merge(before: TokenUsage, now: TokenUsage) -> TokenUsage {
    TokenUsage {
        input: before.input.max(now.input),
        cache_read: before.cache_read.max(now.cache_read),
        cache_write: before.cache_write.max(now.cache_write),
        output: before.output.max(now.output),
        reasoning: before.reasoning.max(now.reasoning),
    }
}

fn normalise(dialect: Dialect, wire: &Wire) -> TokenUsage {
    let or_zero = Option::unwrap_or_default;
    match dialect {
        Dialect::OpenAi => {
            let cached =
                |details: &Option<Details>| details.as_ref().and_then(|details| details.cached_tokens);
            let thought =
                |details: &Option<Details>| details.as_ref().and_then(|details| details.reasoning_tokens);
            let input = or_zero(wire.prompt_tokens.or(wire.input_tokens));
            let read = or_zero(cached(&wire.prompt_tokens_details).or(cached(&wire.input_tokens_details)));
            TokenUsage {
                input: input.saturating_sub(read),
                cache_read: read,
                cache_write: 0,
                output: or_zero(wire.completion_tokens.or(wire.output_tokens)),
                reasoning: or_zero(
                    thought(&wire.completion_tokens_details).or(thought(&wire.output_tokens_details)),
                ),
            }
        }
        Dialect::Anthropic => TokenUsage {
            input: or_zero(wire.input_tokens),
            cache_read: or_zero(wire.cache_read_input_tokens),
            cache_write: or_zero(wire.cache_creation_input_tokens),
            output: or_zero(wire.output_tokens),
            reasoning: 0,
        },
        Dialect::Gemini => {
            let read = or_zero(wire.cached_content_token_count);
            let thoughts = or_zero(wire.thoughts_token_count);
            let prompt = or_zero(wire.prompt_token_count) + or_zero(wire.tool_use_prompt_token_count);
            TokenUsage {
                input: prompt.saturating_sub(read),
                cache_read: read,
                cache_write: 0,
                output: or_zero(wire.candidates_token_count) + thoughts,
                reasoning: thoughts,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64, reasoning: u64) -> TokenUsage {
        TokenUsage { input, cache_read, cache_write, output, reasoning }
    }

    #[test]
    fn each_vendors_plain_answer_is_brought_to_one_form() {
        for (dialect, body, expected) in [
            (
                Dialect::OpenAi,
                r#"{"choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,
                "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
                usage(6, 4, 0, 7, 3),
            ),
            (
                Dialect::OpenAi,
                r#"{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":1},"output_tokens":5,
                "output_tokens_details":{"reasoning_tokens":2}}}"#,
                usage(9, 1, 0, 5, 2),
            ),
            (
                Dialect::Anthropic,
                r#"{"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,
                "output_tokens":5}}"#,
                usage(10, 100, 20, 5, 0),
            ),
            (
                Dialect::Gemini,
                r#"{"usageMetadata":{"promptTokenCount":50,"cachedContentTokenCount":30,"candidatesTokenCount":5,
                "thoughtsTokenCount":8,"totalTokenCount":63}}"#,
                usage(20, 30, 0, 13, 8),
            ),
        ] {
            let mut meter = Meter::plain(dialect);
            meter.see(body.as_bytes());
            assert_eq!(meter.reported(), Some(expected), "{body}");
        }
    }

    #[test]
    fn anthropics_stream_reports_input_first_and_output_last() {
        let mut meter = Meter::stream(Dialect::Anthropic, Framing::Events);
        for event in [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n",
            "event: content_block_delta\ndata: {\"delta\":{\"text\":\"x\"}}\n\n",
            "event: message_delta\ndata: {\"usage\":{\"output_tokens\":60}}\n\n",
        ] {
            assert_eq!(meter.see(event.as_bytes()), Frame::Content);
        }
        assert_eq!(meter.reported(), Some(usage(9, 2, 0, 60, 0)));
    }

    #[test]
    fn openais_extra_chunk_is_told_apart() {
        let mut meter = Meter::stream(Dialect::OpenAi, Framing::Events);
        let content = br#"data: {"choices":[{"delta":{"content":"\"usage\""}}],"usage":null}"#;
        assert_eq!(meter.see(content), Frame::Content);
        let extra = br#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        assert_eq!(meter.see(extra), Frame::UsageOnly);
        assert_eq!(meter.reported(), Some(usage(3, 0, 0, 4, 0)));
    }

    #[test]
    fn geminis_array_elements_are_read_behind_their_comma() {
        let mut meter = Meter::stream(Dialect::Gemini, Framing::Elements);
        meter.see(br#"[{"usageMetadata":{"promptTokenCount":5}}"#);
        meter.see(br#", {"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":60}}"#);
        assert_eq!(meter.reported(), Some(usage(5, 0, 0, 60, 0)));
    }

    #[test]
    fn what_a_model_calls_usage_is_none() {
        for (dialect, body) in [
            (
                Dialect::Gemini,
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"usage":{"promptTokenCount":9}}}}]}}]}"#,
            ),
            (Dialect::Anthropic, r#"{"content":[{"input":{"usage":{"input_tokens":9}}}],"usage":null}"#),
            (Dialect::OpenAi, r#"{"choices":[{"message":{"content":"{\"usage\":{\"prompt_tokens\":9}}"}}]}"#),
            (Dialect::OpenAi, r#"{"message":"about \"usage\"","response":null}"#),
        ] {
            let mut meter = Meter::plain(dialect);
            meter.see(body.as_bytes());
            assert_eq!(meter.reported(), None, "{body}");
        }
    }

    #[test]
    fn an_answer_without_usage_reports_none() {
        let mut meter = Meter::plain(Dialect::OpenAi);
        meter.see(br#"{"data":[]}"#);
        meter.see(b"\"usage broken");
        assert_eq!(meter.reported(), None);
    }
}
