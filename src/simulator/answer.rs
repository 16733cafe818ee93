//! What a simulated model says: one fixed text, so that a cut, doubled or mixed answer shows.
//!
//! Knows nothing of dialects or of the wire.

use std::borrow::Cow;

/// Words in [`ANSWER`]. One word counts as one token.
pub const ANSWER_WORDS: usize = 60;

/// The answer of every simulated model: sixty words, each once, in alphabetical order, so that a reader of
/// a failed test sees at a glance which words are missing, doubled or out of place.
pub const ANSWER: &str = "acorn amber anchor badge basil birch cabin candle cedar daisy denim \
    dune eagle ember engine fable fern flint garden ginger grove harbor hazel honey indigo island ivory \
    jasmine jersey jungle kayak kernel kettle lagoon lantern lemon maple marble meadow needle nest \
    nutmeg oasis olive orchid paper pebble pepper quarry quartz quill raven ribbon river saddle sage \
    silver tango timber walnut";

/// Bytes of text that count as one input token.
const BYTES_PER_TOKEN: usize = 4;

/// What a model says to one request: a text, without what a client said of it already, as far as its limit goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) text: Cow<'static, str>,
    pub(super) words: usize,
    /// Whether the limit ended it.
    pub(super) is_cut: bool,
}

impl Speech {
    /// The first words of the answer.
    pub(super) fn of(words: usize) -> Speech {
        Speech::limited(ANSWER.into(), words)
    }

    /// The words that follow what the client has put into the model's mouth, or the whole text where that
    /// isn't how it begins. The space between the two is the model's, unless the client sent one.
    pub(super) fn after(text: Cow<'static, str>, prefill: &str, words: usize) -> Speech {
        let said = prefill.trim_end();
        if said.is_empty() || !text.starts_with(said) {
            return Speech::limited(text, words);
        }
        let rest = from(text, said.len());
        let spaces = rest.len() - rest.trim_start().len();
        Speech::limited(if said.len() < prefill.len() { from(rest, spaces) } else { rest }, words)
    }

    /// The first words of a text.
    pub(super) fn limited(mut text: Cow<'static, str>, limit: usize) -> Speech {
        let (mut words, mut end) = (0, 0);
        for piece in pieces(&text).take(limit) {
            words += 1;
            end += piece.len();
        }
        let is_cut = end < text.len();
        match &mut text {
            Cow::Borrowed(text) => *text = &text[..end],
            Cow::Owned(text) => text.truncate(end),
        }
        Speech { text, words, is_cut }
    }

    /// It in the pieces that a stream sends: each word with the space before it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        pieces(&self.text)
    }
}

/// A text from some byte on.
fn from(text: Cow<'static, str>, start: usize) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => text[start..].into(),
        Cow::Owned(text) => text[start..].to_owned().into(),
    }
}

/// A text, cut before each space.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        let end = left.match_indices(' ').map(|(at, _)| at).find(|at| *at > 0).unwrap_or(left.len());
        let (piece, rest) = left.split_at(end);
        left = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The tokens that so many bytes of input count as: at least one.
pub(super) fn input_tokens(bytes: usize) -> usize {
    bytes.div_ceil(BYTES_PER_TOKEN).max(1)
}

/// The bytes of text in a part of a request, in any dialect: strings, and what messages and parts hold under
/// the names that the vendors use for text. A number is a token id, as embeddings take them.
pub(super) fn text_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => {
            ["content", "parts", "text"].iter().filter_map(|name| fields.get(*name)).map(text_bytes).sum()
        }
        Value::Number(_) => BYTES_PER_TOKEN,
        Value::Null | Value::Bool(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn the_answer_has_sixty_distinct_words() {
        let words: HashSet<&str> = ANSWER.split(' ').collect();
        assert_eq!((words.len(), ANSWER.split(' ').count()), (ANSWER_WORDS, ANSWER_WORDS));
    }

    #[test]
    fn the_pieces_are_the_answer() {
        assert_eq!(pieces(ANSWER).collect::<String>(), ANSWER);
        assert_eq!(pieces(ANSWER).count(), ANSWER_WORDS);
        assert_eq!(Speech::of(2).pieces().collect::<Vec<_>>(), ["acorn", " amber"]);
    }

    #[test]
    fn a_limit_cuts_between_words() {
        let one_less = Speech::of(ANSWER_WORDS - 1);
        assert_eq!((one_less.words, one_less.is_cut), (ANSWER_WORDS - 1, true));
        assert_eq!(one_less.text.len() + " walnut".len(), ANSWER.len());
        let whole = Speech { text: ANSWER.into(), words: ANSWER_WORDS, is_cut: false };
        assert_eq!((Speech::of(ANSWER_WORDS), Speech::of(ANSWER_WORDS + 1)), (whole.clone(), whole));
    }

    #[test]
    fn a_prefill_is_gone_on_from() {
        let speech = |prefill: &str, words| Speech::after(ANSWER.into(), prefill, words);
        let after = |prefill, words| speech(prefill, words).text;
        assert_eq!(after("acorn amber", 2), " anchor badge");
        assert_eq!(after("acorn amber ", 2), "anchor badge");
        assert_eq!(after("acorn am", 2), "ber anchor", "a word that was torn is finished");
        assert_eq!(after("birch", 1), "acorn", "another text is no beginning of the answer");
        assert_eq!(after("", ANSWER_WORDS), ANSWER);
        assert_eq!(speech(ANSWER, 1), Speech { text: "".into(), words: 0, is_cut: false });
        let forty = Speech::of(40);
        let rest = speech(&forty.text, ANSWER_WORDS);
        assert_eq!(([&*forty.text, &*rest.text].concat().as_str(), rest.words), (ANSWER, 20));
    }

    #[test]
    fn text_is_counted_alike_in_all_dialects() {
        let openai = json!([{"role": "user", "content": "four"}]);
        let anthropic = json!([{"role": "user", "content": [{"type": "text", "text": "four"}]}]);
        let gemini = json!([{"role": "user", "parts": [{"text": "four"}]}]);
        for messages in [openai, anthropic, gemini] {
            assert_eq!(text_bytes(&messages), 4);
        }
        assert_eq!((input_tokens(0), input_tokens(4), input_tokens(5)), (1, 1, 2));
    }
}
