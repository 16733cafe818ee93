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

/// The first `words` words of the answer; all of it where it has fewer.
pub(super) fn first(words: usize) -> &'static str {
    let end = ANSWER.match_indices(' ').nth(words.saturating_sub(1)).map_or(ANSWER.len(), |(at, _)| at);
    if words == 0 { "" } else { &ANSWER[..end] }
}

/// The answer in the pieces that a stream sends: each word with the space before it.
pub(super) fn pieces(words: usize) -> impl Iterator<Item = &'static str> {
    let starts = std::iter::once(0).chain(ANSWER.match_indices(' ').map(|(at, _)| at));
    let ends = ANSWER.match_indices(' ').map(|(at, _)| at).chain(std::iter::once(ANSWER.len()));
    starts.zip(ends).take(words).map(|(start, end)| &ANSWER[start..end])
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
        assert_eq!(pieces(ANSWER_WORDS).collect::<String>(), ANSWER);
        assert_eq!(pieces(ANSWER_WORDS).count(), ANSWER_WORDS);
        assert_eq!(pieces(2).collect::<Vec<_>>(), ["acorn", " amber"]);
    }

    #[test]
    fn a_limit_cuts_between_words() {
        assert_eq!((first(0), first(1), first(2)), ("", "acorn", "acorn amber"));
        assert_eq!((first(ANSWER_WORDS), first(ANSWER_WORDS + 1)), (ANSWER, ANSWER));
        assert_eq!(first(ANSWER_WORDS - 1).len() + " walnut".len(), ANSWER.len());
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
