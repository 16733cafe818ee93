//! What a simulated model says: one fixed text, so that a cut, doubled or mixed answer shows.
//!
//! Knows nothing of dialects or of the wire.

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

/// What a model says to one request: the answer, what a client left to say of it, and how far its limit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) text: &'static str,
    pub(super) words: usize,
    /// Whether the limit ended it.
    pub(super) is_cut: bool,
}

impl Speech {
    /// The first words of the answer.
    pub(super) fn of(words: usize) -> Speech {
        if words >= ANSWER_WORDS { Speech::WHOLE } else { Speech::limited(ANSWER, words) }
    }

    /// The words that follow what the client has put into the model's mouth, or the usual answer where that
    /// isn't how the answer begins. The space between the two is the model's, unless the client sent one.
    pub(super) fn after(prefill: &str, words: usize) -> Speech {
        let said = prefill.trim_end();
        match ANSWER.strip_prefix(said) {
            Some(rest) if said.len() < prefill.len() => Speech::limited(rest.trim_start(), words),
            Some(rest) => Speech::limited(rest, words),
            None => Speech::of(words),
        }
    }

    /// It in the pieces that a stream sends: each word with the space before it.
    pub(super) fn pieces(self) -> impl Iterator<Item = &'static str> {
        pieces(self.text)
    }

    const WHOLE: Speech = Speech { text: ANSWER, words: ANSWER_WORDS, is_cut: false };

    fn limited(text: &'static str, limit: usize) -> Speech {
        let end = pieces(text).take(limit).map(str::len).sum();
        let said = &text[..end];
        Speech { text: said, words: pieces(said).count(), is_cut: end < text.len() }
    }
}

/// A part of the answer, cut before each space.
pub(super) fn pieces(text: &'static str) -> impl Iterator<Item = &'static str> {
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
        assert_eq!(Speech::of(ANSWER_WORDS), Speech::limited(ANSWER, ANSWER_WORDS));
        assert_eq!(Speech::of(ANSWER_WORDS + 1), Speech::WHOLE);
    }

    #[test]
    fn a_prefill_is_gone_on_from() {
        let after = |prefill, words| Speech::after(prefill, words).text;
        assert_eq!(after("acorn amber", 2), " anchor badge");
        assert_eq!(after("acorn amber ", 2), "anchor badge");
        assert_eq!(after("acorn am", 2), "ber anchor", "a word that was torn is finished");
        assert_eq!(after("birch", 1), "acorn", "another text is no beginning of the answer");
        assert_eq!(after("", ANSWER_WORDS), ANSWER);
        assert_eq!(Speech::after(ANSWER, 1), Speech { text: "", words: 0, is_cut: false });
        let forty = Speech::of(40);
        let rest = Speech::after(forty.text, ANSWER_WORDS);
        assert_eq!(([forty.text, rest.text].concat().as_str(), rest.words), (ANSWER, 20));
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
