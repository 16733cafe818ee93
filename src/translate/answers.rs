//! Which answers a stream holds, and which of them are finished.
//!
//! Most streams hold one; OpenAI's `n`, a list of prompts and Gemini's `candidateCount` make several, which come
//! side by side, told apart by an index. The stream is their judge, not the request: what one of them says must
//! not be taken for the end of all.
//!
//! Budget: one substring search for a frame of an answer that is known; one that may finish an answer, or begin
//! another, is parsed.

use super::{frames, signs};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// How many answers are told apart. A stream with more is never finished by count, only by its end marker.
const COUNTED: u64 = u64::BITS as u64;

/// The key of an answer's place among several; of a tool call's too.
static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"index\""));

/// The answers that have appeared in one stream.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// One bit for each index. The first is always there: what has no index is it.
    seen: u64,
    finished: u64,
    has_uncounted: bool,
}

impl Answers {
    /// Before anything has come.
    pub(super) const fn new() -> Answers {
        Answers { seen: 1, finished: 0, has_uncounted: false }
    }

    /// Whether a frame may be of an answer that isn't known yet.
    pub(super) fn may_begin_another(&self, frame: &[u8]) -> bool {
        INDEX.find_iter(frame).any(|at| {
            let value = frame[at + INDEX.needle().len()..].trim_ascii_start().strip_prefix(b":");
            value.and_then(number).is_some_and(|index| !self.knows(index))
        })
    }

    /// Counts the answers in a frame, and those that it finishes.
    pub(super) fn count(&mut self, frame: &[u8]) {
        let data = frames::data(frame);
        let Some(course) = Course::of(&data) else { return };
        for answer in course.answers.iter().flatten() {
            self.see(answer.place(), says_something(answer.reason));
        }
        let whole = [course.feedback.and_then(|it| it.reason), course.delta.and_then(|it| it.reason)];
        if whole.into_iter().any(says_something) {
            self.finish_first();
        }
    }

    /// Takes it back that those answers are finished of which a frame has more, and no reason to stop.
    pub(super) fn resume(&mut self, frame: &[u8], is_content: impl Fn(&[u8]) -> bool) {
        let data = frames::data(frame);
        let Some(course) = Course::of(&data) else { return };
        for answer in course.answers.iter().flatten().filter(|answer| !says_something(answer.reason)) {
            let index = answer.place();
            if index < COUNTED && answer.content.is_some_and(|content| is_content(content.get().as_bytes())) {
                self.finished &= !(1 << index);
            }
        }
    }

    /// Takes it that the first answer, where there is but one, is finished.
    pub(super) fn finish_first(&mut self) {
        self.see(0, true);
    }

    /// Whether any of them is finished.
    pub(super) fn has_finished(&self) -> bool {
        self.finished != 0
    }

    /// Whether all that have appeared so far are finished.
    pub(super) fn are_finished(&self) -> bool {
        self.finished == self.seen && !self.has_uncounted
    }

    fn knows(&self, index: u64) -> bool {
        if index < COUNTED { self.seen & (1 << index) != 0 } else { self.has_uncounted }
    }

    fn see(&mut self, index: u64, is_finished: bool) {
        if index >= COUNTED {
            self.has_uncounted = true;
            return;
        }
        self.seen |= 1 << index;
        self.finished |= u64::from(is_finished) << index;
    }
}

/// The whole number at the beginning of a text; the largest there is for larger ones.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    (length > 0).then(|| text[..length].iter().fold(0, add))
}

fn says_something(reason: Option<&RawValue>) -> bool {
    reason.is_some_and(|reason| !signs::is_empty(reason.get().as_bytes()))
}

/// What a frame says of its answers' course. A word is only believed in its place: the arguments of a tool may
/// have any of these names.
#[derive(Deserialize)]
struct Course<'a> {
    /// OpenAI's `choices`, or Gemini's `candidates`.
    #[serde(borrow, rename = "choices", alias = "candidates")]
    answers: Option<Vec<Answer<'a>>>,
    /// Gemini's, where the prompt was refused.
    #[serde(borrow, rename = "promptFeedback")]
    feedback: Option<Feedback<'a>>,
    /// That of Anthropic's `message_delta`.
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    /// Gemini's.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow, rename = "finish_reason", alias = "finishReason")]
    reason: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// Its place among several: the first, where it doesn't say.
    fn place(&self) -> u64 {
        self.index.and_then(|index| number(index.get().as_bytes())).unwrap_or(0)
    }
}

#[derive(Deserialize)]
struct Feedback<'a> {
    #[serde(borrow, rename = "blockReason")]
    reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, rename = "stop_reason")]
    reason: Option<&'a RawValue>,
}

impl<'a> Course<'a> {
    /// Of the first value in a text: an element of a list has more behind it.
    fn of(json: &'a [u8]) -> Option<Course<'a>> {
        Course::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_index_that_is_not_known_is_worth_a_closer_look() {
        let mut answers = Answers::new();
        for (frame, expected) in [
            (r#"{"choices":[{"index":0}]}"#, false),
            (r#"{"choices":[{"index": 1}]}"#, true),
            (r#"{"choices":[{"index":0},{"index" : 10}]}"#, true),
            (r#"{"choices":[{"index":99999999999999999999999}]}"#, true),
            (r#"{"index":null}"#, false),
            (r#"{"text":"an \"index\":1 of theirs"}"#, false),
        ] {
            assert_eq!(answers.may_begin_another(frame.as_bytes()), expected, "{frame}");
        }
        let both = br#"{"choices":[{"index":1},{"index":64}]}"#;
        assert!(answers.may_begin_another(both));
        answers.count(both);
        assert!(!answers.may_begin_another(both));
    }

    #[test]
    fn the_bound_is_counted_and_one_past_it_is_not() {
        for (index, is_counted) in [(63, true), (64, false)] {
            let mut answers = Answers::new();
            answers.finish_first();
            assert!(answers.are_finished());
            answers
                .count(format!(r#"{{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#).as_bytes());
            assert_eq!(answers.are_finished(), is_counted, "{index}");
        }
    }

    #[test]
    fn what_is_oddly_typed_does_not_hide_a_finish() {
        for frame in [
            r#"{"choices":[{"index":null,"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":"0","finish_reason":7}]}"#,
            r#"{"candidates":null,"promptFeedback":{"blockReason":"OTHER"}}"#,
            r#"{"delta":{"stop_reason":"end_turn"},"promptFeedback":null}"#,
        ] {
            let mut answers = Answers::new();
            answers.count(frame.as_bytes());
            assert!(answers.are_finished() && answers.has_finished(), "{frame}");
        }
    }
}
