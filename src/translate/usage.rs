//! Tokens as the vendors report them, brought to one form.
//!
//! Vendors' own habits: OpenAI's and Gemini's input includes cached tokens, Anthropic's doesn't; Gemini's
//! output excludes thoughts. Sources: the vendors' API references for `usage` and `usageMetadata`.

use super::frames::{self, Framing, Keep};
use super::json;
use crate::domain::{Dialect, TokenUsage};
use memchr::memchr;
use memchr::memmem::{Finder, FinderRev};
use std::ops::Range;
use std::sync::LazyLock;

/// Text bytes that make about one token, for estimates.
pub const BYTES_PER_TOKEN: u64 = 4;

/// Finds usage, if there is any; nearly every frame has none.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage"));

/// Finds the member itself, from the end, where it stands.
static MEMBER: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(NAME));
const NAME: &[u8] = b"\"usage\"";

/// What an answer, or a frame of a stream, says of usage.
struct Report {
    usage: TokenUsage,
    /// Whether it says nothing else: the list of choices is empty.
    is_alone: bool,
}

impl Report {
    /// Reads the usage of a whole answer from its end, where it nearly always is, `at` being where one is named.
    fn at_end(dialect: Dialect, json: &[u8], at: usize) -> Option<Report> {
        let [usage, metadata] = json::last_members(json, at, ["usage", "usageMetadata"])?;
        let usage = reported(dialect, &json[usage.or(metadata)?])?;
        Some(Report { usage, is_alone: false })
    }

    /// Reads the usage where it may stand: at the root, in Anthropic's `message`, in the Responses API's
    /// `response`.
    fn read(dialect: Dialect, json: &[u8]) -> Option<Report> {
        let [usage, metadata, message, response, choices] =
            json::members(json, ["usage", "usageMetadata", "message", "response", "choices"]).ok()?;
        if let Some(usage) = usage.or(metadata).and_then(|at| reported(dialect, &json[at])) {
            let is_alone = choices.is_some_and(|at| is_empty_list(&json[at]));
            return Some(Report { usage, is_alone });
        }
        let inner = &json[message.or(response)?];
        let [usage] = json::members(inner, ["usage"]).ok()?;
        Some(Report { usage: reported(dialect, &inner[usage?])?, is_alone: false })
    }
}

/// Usage that isn't `null` and has numbers where numbers belong, in one form.
pub(super) fn reported(dialect: Dialect, usage: &[u8]) -> Option<TokenUsage> {
    match dialect {
        Dialect::OpenAi => openai(usage),
        Dialect::Anthropic => anthropic(usage),
        Dialect::Gemini => gemini(usage),
    }
    .ok()
    // Some count thoughts beside the output: it is at least these.
    .map(|usage| TokenUsage { output: usage.output.max(usage.reasoning), ..usage })
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Part of the answer.
    Content,
    /// The same, and these bytes say that usage is still to come: the `"usage":null` that OpenAI puts into every chunk for
    /// `include_usage`, with its comma.
    Pending(Range<usize>),
    /// Nothing but usage: the extra chunk that OpenAI sends for `include_usage`.
    UsageOnly,
}

impl Frame {
    /// What of it a client gets who has not asked for usage.
    pub fn unasked(self) -> Keep {
        match self {
            Frame::Content => Keep::All,
            Frame::Pending(member) => Keep::Without(member),
            Frame::UsageOnly => Keep::Nothing,
        }
    }
}

/// Where an event of OpenAI's says that usage is still to come, with the comma that goes with it. Looks at the end of the
/// event alone, where OpenAI has it.
fn pending(event: &[u8]) -> Option<Range<usize>> {
    let at = MEMBER.rfind(event)?;
    let value = event[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = value.strip_prefix(b"null")?;
    let end = event.len() - rest.len();
    let line = memchr(b'\n', rest).map_or(event, |line_end| &event[..end + line_end]);
    json::last_members(line, at, ["usage"])?;
    let before = event[..at].trim_ascii_end();
    if before.ends_with(b",") {
        return Some(before.len() - 1..end);
    }
    let rest = rest.trim_ascii_start();
    Some(at..event.len() - rest.strip_prefix(b",").map_or(rest.len(), <[u8]>::len))
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
        let Some(at) = USAGE.find(frame) else { return Frame::Content };
        if (self.dialect, self.framing) == (Dialect::OpenAi, Some(Framing::Events))
            && let Some(member) = pending(frame)
        {
            return Frame::Pending(member);
        }
        let report = match self.framing {
            Some(Framing::Events) => Report::read(self.dialect, &frames::event_data(frame)),
            // An element after the first carries the comma that parts it from the one before.
            Some(Framing::Elements) => {
                let start = frame.iter().position(|byte| *byte == b'{').unwrap_or_default();
                Report::read(self.dialect, &frame[start..])
            }
            None => Report::at_end(self.dialect, frame, at).or_else(|| Report::read(self.dialect, frame)),
        };
        let Some(report) = report else { return Frame::Content };
        self.usage = Some(self.usage.unwrap_or_default().larger(report.usage));
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

/// Chat Completions and Embeddings tell prompt and completion, Responses input and output. What was read from the cache
/// and written to it is part of the input. Thoughts are part of the output, but for those (xAI) whose total says that
/// they are counted beside it. Source: `CompletionUsage` and `ResponseUsage` of OpenAI's SDK 3.54.
fn openai(usage: &[u8]) -> Result<TokenUsage, Unreadable> {
    let [prompt, input, completion, output, total, prompt_parts, input_parts, completion_parts, output_parts] =
        json::members(
            usage,
            [
                "prompt_tokens",
                "input_tokens",
                "completion_tokens",
                "output_tokens",
                "total_tokens",
                "prompt_tokens_details",
                "input_tokens_details",
                "completion_tokens_details",
                "output_tokens_details",
            ],
        )?;
    let input = count(usage, prompt)?.or(count(usage, input)?).unwrap_or_default();
    let output = count(usage, completion)?.or(count(usage, output)?).unwrap_or_default();
    let parts_of = |prompt, input| filled(usage, prompt).or(filled(usage, input));
    let [cache_read, cache_write] =
        parts(parts_of(prompt_parts, input_parts), ["cached_tokens", "cache_write_tokens"])?;
    let [reasoning] = parts(parts_of(completion_parts, output_parts), ["reasoning_tokens"])?;
    let whole = count(usage, total)?.unwrap_or_default();
    let beside = output.checked_add(reasoning);
    let is_beside = |beside: &u64| input.checked_add(*beside) == Some(whole);
    let output = beside.filter(is_beside).unwrap_or(output);
    let input = input.saturating_sub(cache_read).saturating_sub(cache_write);
    Ok(TokenUsage { input, cache_read, cache_write, output, reasoning })
}

/// What was cached stands beside the input; thoughts are part of the output. Source: `Usage` of Anthropic's SDK 2.12.
fn anthropic(usage: &[u8]) -> Result<TokenUsage, Unreadable> {
    let [input, cache_read, cache_write, output, output_parts] = json::members(
        usage,
        [
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
            "output_tokens_details",
        ],
    )?;
    let count = |at| count(usage, at).map(Option::unwrap_or_default);
    let [reasoning] = parts(filled(usage, output_parts), ["thinking_tokens"])?;
    Ok(TokenUsage {
        input: count(input)?,
        cache_read: count(cache_read)?,
        cache_write: count(cache_write)?,
        output: count(output)?,
        reasoning,
    })
}

fn gemini(usage: &[u8]) -> Result<TokenUsage, Unreadable> {
    let [prompt, tools, cache_read, answers, reasoning] = counts(
        usage,
        [
            "promptTokenCount",
            "toolUsePromptTokenCount",
            "cachedContentTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
        ],
    )?;
    Ok(TokenUsage {
        input: prompt.saturating_add(tools).saturating_sub(cache_read),
        cache_read,
        cache_write: 0,
        output: answers.saturating_add(reasoning),
        reasoning,
    })
}

/// Usage that is no object, or has something else where a number of tokens belongs: nothing of it is believed.
struct Unreadable;

impl From<json::Fault> for Unreadable {
    fn from(_: json::Fault) -> Unreadable {
        Unreadable
    }
}

/// The members of these names, each a number of tokens; 0 for those that aren't there.
fn counts<const N: usize>(object: &[u8], names: [&'static str; N]) -> Result<[u64; N], Unreadable> {
    let mut counts = [0; N];
    for (number, at) in counts.iter_mut().zip(json::members(object, names)?) {
        *number = count(object, at)?.unwrap_or_default();
    }
    Ok(counts)
}

/// The numbers of these names that a number of tokens is made of; 0 for all where nothing is told of them.
fn parts<const N: usize>(parts: Option<&[u8]>, names: [&'static str; N]) -> Result<[u64; N], Unreadable> {
    parts.map_or(Ok([0; N]), |parts| counts(parts, names))
}

/// A member's value, unless it is missing or `null`.
fn filled(object: &[u8], at: Option<Range<usize>>) -> Option<&[u8]> {
    at.map(|at| &object[at]).filter(|value| *value != b"null")
}

/// A number of tokens, unless it is missing or `null`.
fn count(object: &[u8], at: Option<Range<usize>>) -> Result<Option<u64>, Unreadable> {
    let Some(number) = filled(object, at) else { return Ok(None) };
    let add = |sum: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(digit.into())
    };
    number.iter().try_fold(0, add).map(Some).ok_or(Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64, reasoning: u64) -> TokenUsage {
        TokenUsage { input, cache_read, cache_write, output, reasoning }
    }

    #[test]
    fn thoughts_are_a_share_of_the_output_whoever_counts() {
        for (output, expected) in [(2, 3), (3, 3), (4, 4)] {
            let told = format!(
                r#"{{"usage":{{"completion_tokens":{output},"completion_tokens_details":{{"reasoning_tokens":3}}}}}}"#
            );
            let mut meter = Meter::plain(Dialect::OpenAi);
            meter.see(told.as_bytes());
            assert_eq!(meter.reported(), Some(usage(0, 0, 0, expected, 3)));
        }
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
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":7,"input_tokens_details":null,
                "prompt_tokens_details":{"cached_tokens":null,"cache_write_tokens":9}}}"#,
                usage(1, 0, 9, 7, 0),
            ),
            (
                Dialect::OpenAi,
                r#"{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":2},
                "output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}"#,
                usage(7, 1, 2, 5, 2),
            ),
            (
                Dialect::Anthropic,
                r#"{"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,
                "output_tokens":5,"output_tokens_details":{"thinking_tokens":4}}}"#,
                usage(10, 100, 20, 5, 4),
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
    fn thoughts_that_are_counted_beside_the_output_are_added_to_it() {
        for (total, output) in [(14_428, 4_308), (11_619, 2_809)] {
            let answer = format!(
                r#"{{"usage":{{"prompt_tokens":10120,"completion_tokens":1499,"total_tokens":{total},
                "completion_tokens_details":{{"reasoning_tokens":2809}}}}}}"#
            );
            let mut meter = Meter::plain(Dialect::OpenAi);
            meter.see(answer.as_bytes());
            assert_eq!(meter.reported(), Some(usage(10_120, 0, 0, output, 2_809)));
        }
    }

    #[test]
    fn a_total_as_large_as_can_be_says_nothing_of_where_thoughts_are_counted() {
        let most = u64::MAX;
        let answer = format!(
            r#"{{"usage":{{"prompt_tokens":{most},"completion_tokens":50,"total_tokens":{most},
            "completion_tokens_details":{{"reasoning_tokens":20}}}}}}"#
        );
        let mut meter = Meter::plain(Dialect::OpenAi);
        meter.see(answer.as_bytes());
        assert_eq!(meter.reported(), Some(usage(most, 0, 0, 50, 20)));
    }

    #[test]
    fn usage_that_is_still_to_come_is_cut_out_with_its_comma() {
        for (event, expected) in [
            (r#"{"choices":[1],"usage":null}"#, r#"{"choices":[1]}"#),
            (
                r#"{"choices":["\"usage\":null"],"usage":null,"x":"y"}"#,
                r#"{"choices":["\"usage\":null"],"x":"y"}"#,
            ),
            (r#"{"choices":[1] , "usage" : null }"#, r#"{"choices":[1]  }"#),
            (r#"{"usage":null,"choices":[1]}"#, r#"{"choices":[1]}"#),
            (r#"{"usage":null}"#, "{}"),
            (r#"{ "usage":null , "choices":[1]}"#, r#"{  "choices":[1]}"#),
        ] {
            for (begin, end) in [("data: ", "\n\n"), ("event: x\r\ndata:", "\r\n\r\n"), ("data: ", "")] {
                let (event, expected) = (format!("{begin}{event}{end}"), format!("{begin}{expected}{end}"));
                let mut out = BytesMut::new();
                let seen = Meter::stream(Dialect::OpenAi, Framing::Events).see(event.as_bytes());
                seen.unasked().write(event.as_bytes(), &mut out);
                assert_eq!(out, expected.as_bytes(), "{event}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_usage_to_come_stays() {
        for event in [
            r#"data: {"choices":[{"usage":null}]}"#,
            r#"data: {"choices":[{"usage":null}],"x":1}"#,
            r#"data: {"choices":["\"usage\":null"]}"#,
            r#"data: {"choices":["usage",null]}"#,
            r#"data: {"choices":[1],"usage":nullify}"#,
            "data: {\"choices\":[1],\"usage\":null,\ndata: \"x\":1}",
        ] {
            let seen = Meter::stream(Dialect::OpenAi, Framing::Events).see(event.as_bytes());
            assert_eq!(seen, Frame::Content, "{event}");
        }
        let nothing = br#"data: {"type":"x","usage":null}"#;
        assert_eq!(Meter::stream(Dialect::Anthropic, Framing::Events).see(nothing), Frame::Content);
    }

    #[test]
    fn openais_extra_chunk_is_told_apart() {
        let mut meter = Meter::stream(Dialect::OpenAi, Framing::Events);
        let content = br#"data: {"choices":[{"delta":{"content":"\"usage\""}}]}"#;
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
            // At the end, as the usage would be.
            (Dialect::OpenAi, r#"{"choices":[{"usage":{"prompt_tokens":9}}]}"#),
            (Dialect::Anthropic, r#"{"content":{"usage":{"input_tokens":9}}}"#),
            (Dialect::OpenAi, r#"{"text":",\"usage\":{\"prompt_tokens\":9}"}"#),
        ] {
            let mut meter = Meter::plain(dialect);
            meter.see(body.as_bytes());
            assert_eq!(meter.reported(), None, "{body}");
        }
    }

    #[test]
    fn the_answers_own_usage_is_found_behind_what_a_model_calls_so() {
        let own = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
        for body in [
            format!(r#"{{{own}}}"#),
            format!(r#"{{{own},"service_tier":"default","usage_notes":{{"usage":9}}}}"#),
            format!(r#"{{"choices":[{{"usage":{{"prompt_tokens":9}}}}],{own}}}"#),
            format!(r#"{{"choices":[{{"text":"about \"usage\""}}], {own} }}"#),
            format!(r#"{{"usage_notes":"usage",{own}}}"#),
            format!(r#"{{"note":"usage",{own}}}"#),
        ] {
            let mut meter = Meter::plain(Dialect::OpenAi);
            meter.see(body.as_bytes());
            assert_eq!(meter.reported(), Some(usage(3, 0, 0, 4, 0)), "{body}");
        }
    }

    #[test]
    fn a_number_of_tokens_is_a_whole_one_and_usage_with_another_is_not_believed() {
        for (number, tokens) in [
            ("0", Some(0)),
            ("null", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("\"7\"", None),
            ("{}", None),
        ] {
            for body in [
                format!(r#"{{"usage":{{"input_tokens":{number},"output_tokens":0}}}}"#),
                format!(r#"{{"usage":{{"output_tokens":0,"input_tokens":{number}}},"id":1}}"#),
            ] {
                let mut meter = Meter::plain(Dialect::Anthropic);
                meter.see(body.as_bytes());
                assert_eq!(meter.reported().map(|usage| usage.input), tokens, "{body}");
            }
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
