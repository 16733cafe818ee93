//! What the frames of a stream say about its course: that the answer has begun, is finished, has ended, failed.
//!
//! Streams open with frames that say nothing yet (OpenAI's role chunk, `response.created`, Anthropic's
//! `message_start`, pings), and a model may think long before the next. Reads bytes only; must not know what
//! follows from a sign.
//!
//! How a word is told from the same word in a text: a text's own quotes are escaped, so that `"name":` is a key
//! wherever it stands. A value that is looked for, such as a frame's `type`, may be all of a text, and a tool's
//! arguments may have any key; so when a word is found that would end something, the frame is parsed. Content is
//! believed without: arguments with keys like it are content themselves.
//!
//! Budget: 150 ns for a frame of 200 bytes, which is three or four substring searches, and a few more before content.
//! `cargo bench --bench parts signs` measures it.

use super::answers::Answers;
use super::frames;
use crate::domain::Dialect;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// The APIs by the shape of their streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's Chat Completions, and the older Completions.
    Completions,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini's `streamGenerateContent`.
    Generate,
    /// What else a provider may stream, such as transcripts: only errors are known, and all else is content.
    Other,
}

impl Api {
    /// The API of a dialect's endpoint, `path` being what follows the version.
    pub fn of(dialect: Dialect, path: &str) -> Api {
        match dialect {
            Dialect::Anthropic => Api::Messages,
            Dialect::Gemini => Api::Generate,
            Dialect::OpenAi if path.ends_with("completions") => Api::Completions,
            Dialect::OpenAi if path.trim_start_matches('/').starts_with("responses") => Api::Responses,
            Dialect::OpenAi => Api::Other,
        }
    }

    /// Whether a stream may hold several answers, side by side.
    const fn may_hold_several(self) -> bool {
        matches!(self, Api::Completions | Api::Generate)
    }

    /// Whether a whole stream says that it is whole, so that one that doesn't is torn.
    pub const fn marks_its_end(self) -> bool {
        !matches!(self, Api::Other)
    }

    /// The words of this API.
    fn words(self) -> &'static Words {
        &WORDS[self as usize]
    }
}

/// Reads the frames of one stream, in their order.
#[derive(Clone, Debug)]
pub struct Signs {
    api: Api,
    has_content: bool,
    answers: Answers,
    has_end_marker: bool,
    is_error: bool,
}

impl Signs {
    /// A reader that has seen nothing.
    pub fn new(api: Api) -> Signs {
        let answers = Answers::new();
        Signs { api, has_content: false, answers, has_end_marker: false, is_error: false }
    }

    /// Takes the next frame, of either framing.
    pub fn see(&mut self, frame: &[u8]) {
        let words = self.api.words();
        let may_finish = words.finish.iter().any(|word| word.is_in(frame));
        self.is_error = is_error(frame) || may_finish && words.failure.iter().any(|word| word.is_in(frame));
        match self.api {
            // By the frame's type, which was parsed.
            Api::Responses if may_finish => self.answers.finish_first(),
            api if may_finish || api.may_hold_several() && self.answers.may_begin_another(frame) => {
                self.answers.count(frame);
            }
            Api::Generate if self.answers.has_finished() => {
                let is_content = |content: &[u8]| words.content.iter().any(|word| word.is_in(content));
                self.answers.resume(frame, is_content);
            }
            _ => {}
        }
        self.has_end_marker = self.has_end_marker
            || match self.api {
                Api::Completions => is_done(frame),
                Api::Messages => words.end.iter().any(|word| word.is_in(frame)),
                Api::Responses | Api::Generate | Api::Other => false,
            };
        self.has_content = self.has_content
            || !self.is_error
                && (self.answers.has_finished()
                    || words.content.iter().any(|word| word.is_in(frame))
                    || self.api == Api::Other && !frames::data(frame).is_empty());
    }

    /// Whether some of the answer has come, text, thought or tool call alike, or the finish of an empty one.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether every answer that has appeared so far is finished: the provider gave the reason why it stopped.
    /// Where several come one after the other, the next to begin takes it back.
    pub fn is_finished(&self) -> bool {
        self.answers.are_finished()
    }

    /// Whether the stream's own end marker was seen; where there is none, the finish is it.
    pub fn is_ended(&self) -> bool {
        match self.api {
            Api::Responses | Api::Generate => self.is_finished(),
            Api::Completions | Api::Messages | Api::Other => self.has_end_marker,
        }
    }

    /// Whether more may follow of an answer that is finished. Gemini gives a reason before the last event, too: with the
    /// result of code that it ran, or, in its older versions and behind other gateways, with each.
    pub fn may_resume(&self) -> bool {
        self.api == Api::Generate
    }

    /// Whether the frame seen last is an error event. Some errors finish the answer too: ask this first.
    pub fn is_error(&self) -> bool {
        self.is_error
    }
}

/// Whether a frame, or a whole answer of 200, is an error: its root has an `error` that is an object or a text, or
/// its `type` is one of an error. One substring search where nothing is called so.
pub fn is_error(frame: &[u8]) -> bool {
    ERROR.is_in(frame) && Root::of(&frames::data(frame)).is_some_and(|root| root.is_error())
}

/// The end marker of OpenAI's completions. It is no JSON, and short.
fn is_done(frame: &[u8]) -> bool {
    const MARKER: &[u8] = b"[DONE]";
    const LONGEST: usize = 64;
    frame.len() <= LONGEST && frames::data(frame).trim_ascii() == MARKER
}

/// How a word stands in a frame.
#[derive(Clone, Copy)]
enum As {
    /// A key, at any depth, whose value isn't empty.
    Key,
    /// In the value of the root's `type`.
    Type,
    /// A key whose value isn't empty, or any other value.
    KeyOrValue,
}

/// A word that is looked for.
struct Word {
    stands: As,
    /// With the quotes that it has in a frame.
    text: &'static str,
    /// How it may go on.
    ends: &'static [&'static str],
    finder: Finder<'static>,
}

impl Word {
    fn new(stands: As, text: &'static str, ends: &'static [&'static str]) -> Word {
        Word { stands, text, ends, finder: Finder::new(text) }
    }

    fn is_in(&self, frame: &[u8]) -> bool {
        let mut from = 0;
        while let Some(found) = self.finder.find(&frame[from..]) {
            let at = from + found;
            from = at + self.text.len();
            if self.may_be(&frame[..at], &frame[from..]) {
                return !matches!(self.stands, As::Type) || self.is_type_of(frame);
            }
        }
        false
    }

    /// Whether a find, by what is around it, is worth a closer look.
    fn may_be(&self, before: &[u8], after: &[u8]) -> bool {
        let value = after.trim_ascii_start().strip_prefix(b":");
        match (self.stands, value) {
            (As::Key | As::KeyOrValue, Some(value)) => !is_empty(value.trim_ascii_start()),
            (As::Key, None) => false,
            (As::KeyOrValue, None) => !before.ends_with(b"\\"),
            (As::Type, _) => self.ends.iter().any(|end| after.starts_with(end.as_bytes())),
        }
    }

    fn is_type_of(&self, frame: &[u8]) -> bool {
        let data = frames::data(frame);
        let kind = Root::of(&data).and_then(|root| root.kind).map_or("", RawValue::get);
        kind.match_indices(self.text).any(|(at, text)| self.ends.contains(&&kind[at + text.len()..]))
    }
}

/// Whether a JSON value says nothing.
pub(super) fn is_empty(value: &[u8]) -> bool {
    [&b"null"[..], b"\"\"", b"[]", b"{}"].iter().any(|nothing| value.starts_with(nothing))
}

/// The words of an API.
#[derive(Default)]
struct Words {
    content: Vec<Word>,
    finish: Vec<Word>,
    end: Vec<Word>,
    /// Which finishes are errors that need not have an `error`.
    failure: Vec<Word>,
}

fn keys<const N: usize>(texts: [&'static str; N]) -> Vec<Word> {
    texts.map(|text| Word::new(As::Key, text, &[])).into()
}

fn types<const N: usize>(text: &'static str, ends: &'static [&'static str; N]) -> Vec<Word> {
    vec![Word::new(As::Type, text, ends)]
}

/// Each API's words, in the order of [`Api`]. Sources: the vendors' references of their streams; `reasoning` and
/// its kin are what those say who imitate OpenAI.
static WORDS: LazyLock<[Words; 5]> = LazyLock::new(|| {
    [
        Words {
            content: keys([
                "\"content\"",
                "\"reasoning_content\"",
                "\"reasoning\"",
                "\"reasoning_details\"",
                "\"tool_calls\"",
                "\"function_call\"",
                "\"refusal\"",
                "\"audio\"",
                "\"text\"",
            ]),
            finish: keys(["\"finish_reason\""]),
            ..Words::default()
        },
        Words {
            // Everything but what announces an item or a part, or says that one is under way.
            content: types(".", &["delta\"", "done\"", "partial_image\""]),
            finish: types("\"response.", &["completed\"", "incomplete\"", "failed\""]),
            failure: types("\"response.", &["failed\""]),
            ..Words::default()
        },
        Words {
            content: types("\"content_block_delta", &["\""]),
            finish: keys(["\"stop_reason\""]),
            end: types("\"message_stop", &["\""]),
            ..Words::default()
        },
        Words {
            content: keys([
                "\"text\"",
                "\"functionCall\"",
                "\"inlineData\"",
                "\"fileData\"",
                "\"executableCode\"",
                "\"codeExecutionResult\"",
            ]),
            finish: keys(["\"finishReason\"", "\"blockReason\""]),
            ..Words::default()
        },
        Words::default(),
    ]
});

/// What nearly every error has: the key, or that value of `type`.
static ERROR: LazyLock<Word> = LazyLock::new(|| Word::new(As::KeyOrValue, "\"error\"", &[]));

/// What of a frame's root tells errors, and events by their type.
#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl<'a> Root<'a> {
    /// Of the first value in a text: an element of a list has more behind it.
    fn of(json: &'a [u8]) -> Option<Root<'a>> {
        Root::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
    }

    fn is_error(&self) -> bool {
        let error = self.error.map_or("", RawValue::get);
        (error.starts_with(['{', '"']) && !is_empty(error.as_bytes()))
            || matches!(self.kind.map(RawValue::get), Some("\"error\"" | "\"response.failed\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What one frame alone says: content, finish, end, error.
    fn signs(api: Api, frame: &str) -> [bool; 4] {
        let mut signs = Signs::new(api);
        signs.see(frame.as_bytes());
        [signs.has_content(), signs.is_finished(), signs.is_ended(), signs.is_error()]
    }

    const NOTHING: [bool; 4] = [false; 4];
    const CONTENT: [bool; 4] = [true, false, false, false];
    const FINISH: [bool; 4] = [true, true, false, false];
    const END: [bool; 4] = [true, true, true, false];
    const MARKER: [bool; 4] = [false, false, true, false];
    const ERROR: [bool; 4] = [false, false, false, true];

    #[test]
    fn an_answer_of_gemini_goes_on_behind_its_finish_if_there_is_more_of_it() {
        let frame = |index: u8, part: &str, more: &str| {
            format!(r#"data: {{"candidates":[{{"content":{{"parts":[{part}]}},"index":{index}{more}}}]}}"#)
        };
        let (text, stop) = (r#"{"text":"a"}"#, r#","finishReason":"STOP""#);
        let mut signs = Signs::new(Api::Generate);
        for (frame, is_finished) in [
            (frame(0, text, stop), true),
            (frame(0, r#"{"text":""}"#, ""), true),
            (frame(0, text, ""), false),
            (frame(1, text, stop), false),
            (frame(0, text, stop), true),
            (frame(1, text, ""), false),
            (r#"data: {"usageMetadata":{"totalTokenCount":3}}"#.to_owned(), false),
            (frame(1, "", stop), true),
            (r#"data: {"usageMetadata":{"totalTokenCount":3}}"#.to_owned(), true),
        ] {
            signs.see(frame.as_bytes());
            assert_eq!(signs.is_finished(), is_finished, "{frame}");
        }
    }

    /// What single frames say.
    const ALONE: &[(Api, &str, [bool; 4])] = &[
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}"#,
            NOTHING,
        ),
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"content": null},"finish_reason":null}]}"#,
            NOTHING,
        ),
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"content":"","reasoning_content":null}}]}"#,
            NOTHING,
        ),
        (
            Api::Completions,
            r#"data: {"choices":[],"prompt_filter_results":[{"content_filter_results":{}}]}"#,
            NOTHING,
        ),
        (Api::Completions, ": keep-alive", NOTHING),
        (Api::Completions, r#"data: {"choices":[{"delta":{"content":"a"}}]}"#, CONTENT),
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#,
            CONTENT,
        ),
        (Api::Completions, r#"data: {"choices":[{"delta":{"content":"[DONE]"}}]}"#, CONTENT),
        (Api::Completions, r#"data: {"choices":[{"delta":{"reasoning_content":"a"}}]}"#, CONTENT),
        (Api::Completions, r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, CONTENT),
        (Api::Completions, r#"data: {"choices":[{"text":"a","finish_reason":""}]}"#, CONTENT),
        (Api::Completions, r#"data: {"choices":[{"delta":{},"finish_reason": "stop"}]}"#, FINISH),
        (Api::Completions, "data: [DONE]\n\n", MARKER),
        (Api::Completions, "data:[DONE]\r\n\r\n", MARKER),
        (Api::Completions, r#"data: {"error":{"message":"no"}}"#, ERROR),
        (Api::Completions, r#"data: {"error":"no","choices":[{"delta":{"content":"a"}}]}"#, ERROR),
        (Api::Completions, r#"{"error":{"message":"without a data field"}}"#, ERROR),
        (Api::Completions, r#"data: {"error":null,"choices":[{"delta":{"content":"a"}}]}"#, CONTENT),
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"content":"an \"error\":{} of theirs"}}]}"#,
            CONTENT,
        ),
        (
            Api::Completions,
            r#"data: {"choices":[{"delta":{"content":"error"},"tool":{"error":"x"}}]}"#,
            CONTENT,
        ),
        (
            Api::Responses,
            r#"data: {"type":"response.created","response":{"output":[],"error":null}}"#,
            NOTHING,
        ),
        (
            Api::Responses,
            r#"data: {"type":"response.created","response":{"instructions":"x.done"}}"#,
            NOTHING,
        ),
        (Api::Responses, r#"data: {"type":"response.output_text.delta","delta":"a"}"#, CONTENT),
        (
            Api::Responses,
            r#"data: {"delta":"response.completed","type":"response.output_text.delta"}"#,
            CONTENT,
        ),
        (Api::Responses, r#"data: {"type":"response.completed","response":{"error":null}}"#, END),
        (Api::Responses, r#"data: {"type":"response.incomplete","response":{}}"#, END),
        (Api::Responses, r#"data: {"type":"error","code":"server_error","message":"no"}"#, ERROR),
        (
            Api::Messages,
            r#"data: {"type":"message_start","message":{"content":[],"stop_reason":null}}"#,
            NOTHING,
        ),
        (
            Api::Messages,
            r#"data: {"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
            NOTHING,
        ),
        (Api::Messages, r#"data: {"type": "ping"}"#, NOTHING),
        (Api::Messages, r#"data: {"type":"content_block_delta","delta":{"type":"thinking_delta"}}"#, CONTENT),
        (Api::Messages, r#"data: {"type":"content_block_delta","delta":{"text":"message_stop"}}"#, CONTENT),
        (Api::Messages, r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#, FINISH),
        (Api::Messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", MARKER),
        (Api::Messages, r#"data: {"type":"error","error":{"type":"overloaded_error"}}"#, ERROR),
        (Api::Generate, r#"data: {"usageMetadata":{"promptTokenCount":1}}"#, NOTHING),
        (
            Api::Generate,
            r#"data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}}]}"#,
            NOTHING,
        ),
        (Api::Generate, r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#, CONTENT),
        (
            Api::Generate,
            r#", {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#,
            CONTENT,
        ),
        (Api::Generate, r#"data: {"candidates":[{"finishReason":"SAFETY"}]}"#, END),
        (Api::Generate, r#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#, END),
        (Api::Generate, r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}"#, ERROR),
        (Api::Generate, r#", {"error":{"code":503,"status":"UNAVAILABLE"}}"#, ERROR),
        (Api::Other, r#"data: {"type":"transcript.text.delta","delta":"a"}"#, CONTENT),
        (Api::Other, ": ping", NOTHING),
        (Api::Other, r#"data: {"type":"error","error":{"message":"no"}}"#, ERROR),
    ];

    #[test]
    fn what_each_frame_says_alone() {
        for (api, frame, expected) in ALONE {
            assert_eq!(signs(*api, frame), *expected, "{api:?} {frame}");
        }
    }

    #[test]
    fn an_answer_that_failed_in_the_responses_api_is_an_error_that_ends() {
        let failed =
            |error: &str| format!(r#"data: {{"type":"response.failed","response":{{"error":{error}}}}}"#);
        for error in [r#"{"code":"server_error","message":"no"}"#, "null"] {
            assert_eq!(signs(Api::Responses, &failed(error)), [false, true, true, true], "{error}");
        }
    }

    #[test]
    fn what_was_seen_stays_and_an_error_is_of_its_own_frame() {
        let mut signs = Signs::new(Api::Completions);
        signs.see(br#"data: {"choices":[{"delta":{"content":"a"}}]}"#);
        signs.see(br#"data: {"error":{"message":"no"}}"#);
        assert!(signs.has_content() && signs.is_error());
        signs.see(br#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#);
        assert!(signs.has_content() && signs.is_finished() && !signs.is_ended() && !signs.is_error());
        signs.see(b"data: [DONE]\n\n");
        assert!(signs.is_ended());
    }

    #[test]
    fn whole_answers_are_errors_by_the_same_rule() {
        for (body, expected) in [
            (r#"{"id":"resp_1","status":"completed","error":null,"output":[]}"#, false),
            (r#"{"error":null,"output":[{"type":"mcp_call","error":"of a tool"}]}"#, false),
            (r#"{"error": "something broke"}"#, true),
            (r#" [{"error":{"code":400}}]"#, true),
            (r#"{"error":{}}"#, false),
            ("\"error\": broken", false),
        ] {
            assert_eq!(is_error(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn each_endpoint_has_its_api() {
        for (dialect, path, api) in [
            (Dialect::OpenAi, "chat/completions", Api::Completions),
            (Dialect::OpenAi, "completions", Api::Completions),
            (Dialect::OpenAi, "responses", Api::Responses),
            (Dialect::OpenAi, "/responses", Api::Responses),
            (Dialect::OpenAi, "responses/input_tokens", Api::Responses),
            (Dialect::OpenAi, "audio/transcriptions", Api::Other),
            (Dialect::Anthropic, "messages", Api::Messages),
            (Dialect::Gemini, "streamGenerateContent", Api::Generate),
        ] {
            assert_eq!(Api::of(dialect, path), api, "{path}");
            assert_eq!(api.marks_its_end(), api != Api::Other);
        }
    }

    /// What a stream of these frames has said: content, finish, end.
    fn course(api: Api, frames: &[&str]) -> [bool; 3] {
        let mut signs = Signs::new(api);
        frames.iter().for_each(|frame| signs.see(frame.as_bytes()));
        [signs.has_content(), signs.is_finished(), signs.is_ended()]
    }

    #[test]
    fn an_argument_that_is_called_like_a_finish_is_none() {
        for name in ["finishReason", "blockReason", "finish_reason", "stop_reason"] {
            let args =
                format!(r#"{{"{name}":"STOP","delta":{{"{name}":"x"}},"choices":[{{"{name}":"x"}}]}}"#);
            for (api, frame) in [
                (
                    Api::Generate,
                    format!(
                        r#"data: {{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"args":{args}}}}}]}}}}]}}"#
                    ),
                ),
                (
                    Api::Messages,
                    format!(
                        r#"data: {{"type":"content_block_delta","delta":{{"type":"citations_delta","citation":{args}}}}}"#
                    ),
                ),
                (
                    Api::Completions,
                    format!(r#"data: {{"choices":[{{"delta":{{"tool_calls":[{{"arguments":{args}}}]}}}}]}}"#),
                ),
            ] {
                assert_eq!(signs(api, &frame), CONTENT, "{frame}");
            }
        }
    }

    #[test]
    fn a_finish_is_found_behind_an_argument_that_is_called_like_it() {
        let frame = r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"args":{"finishReason":""}}}]},"finishReason":"STOP"}]}"#;
        assert_eq!(signs(Api::Generate, frame), END);
    }

    #[test]
    fn several_answers_are_finished_when_each_of_them_is() {
        let text = |index| format!(r#"data: {{"choices":[{{"index":{index},"delta":{{"content":"a"}}}}]}}"#);
        let stop = |index| format!(r#"data: {{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#);
        let (first, second) = ([text(0), stop(0)], [text(1), stop(1)]);
        let both = [&*first[0], &second[0], &second[1], &first[1]];
        assert_eq!(course(Api::Completions, &both[..3]), [true, false, false]);
        assert_eq!(course(Api::Completions, &both), [true, true, false]);
        // In turn: a beginning unfinishes what was finished so far.
        assert_eq!(course(Api::Completions, &[&first[0], &first[1], &second[0]]), [true, false, false]);
        // The empty answer of one is content.
        assert_eq!(course(Api::Completions, &[&second[1]]), [true, false, false]);
    }

    #[test]
    fn geminis_stream_ends_with_its_last_candidate() {
        let text = r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"index": 1}]}"#;
        let first = r#",{"candidates":[{"finishReason":"STOP"},{"index":1}]}"#;
        let second = r#",{"candidates":[{"index":1,"finishReason":"MAX_TOKENS"}]}"#;
        assert_eq!(course(Api::Generate, &[text, first]), [true, false, false]);
        assert_eq!(course(Api::Generate, &[text, first, second]), [true, true, true]);
        assert_eq!(course(Api::Generate, &[text, second]), [true, false, false]);
    }

    #[test]
    fn a_tool_calls_index_is_no_answers() {
        let call = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{}}]},"index":0}]}"#;
        let stop = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
        assert_eq!(course(Api::Completions, &[call, stop]), [true, true, false]);
    }

    #[test]
    fn sixty_four_answers_are_counted_and_more_are_never_finished_by_count() {
        for (answers, is_finished) in [(64, true), (65, false)] {
            let stops: Vec<String> = (0..answers)
                .map(|index| format!(r#"data: {{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#))
                .collect();
            let frames: Vec<&str> = stops.iter().map(String::as_str).collect();
            assert_eq!(course(Api::Completions, &frames)[1], is_finished, "{answers} answers");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_finish_an_end_or_an_error(text in "(?s)(.|error|stop_reason|finish_reason|message_stop|response.failed|\\[DONE\\]|[\":{}\\\\]){0,12}") {
            let text = serde_json::Value::from(format!("a{text}")).to_string();
            for (api, frame) in [
                (Api::Completions, format!(r#"data: {{"choices":[{{"delta":{{"content":{text}}}}}]}}"#)),
                (Api::Responses, format!(r#"data: {{"delta":{text},"type":"response.output_text.delta"}}"#)),
                (Api::Messages, format!(r#"data: {{"delta":{{"text":{text}}},"type":"content_block_delta"}}"#)),
                (Api::Generate, format!(r#"[{{"candidates":[{{"content":{{"parts":[{{"text":{text}}}]}}}}]}}"#)),
            ] {
                prop_assert_eq!(signs(api, &frame), CONTENT, "{}", frame);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..100), at in 0_usize..100, word in 0_usize..4) {
            let mut frame = frame;
            let word = ["\"error\":", "\"finish_reason\"", "\"stop_reason\":", "\"error\""][word];
            let at = at.min(frame.len());
            frame.splice(at..at, word.bytes());
            for api in [Api::Completions, Api::Responses, Api::Messages, Api::Generate, Api::Other] {
                Signs::new(api).see(&frame);
            }
        }
    }
}
