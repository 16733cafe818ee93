//! What the two sides of a translation are told beside the words: the provider's that a request is written for, the
//! client's that an answer is written for.

use super::features::Feature;
use super::frames::Framing;
use std::borrow::Cow;
use std::ops::Range;

/// Whom a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// The provider's name of the model.
    pub model: &'t str,
    /// What the model can say at most, where the operator has said so.
    pub max_output_tokens: Option<u64>,
}

impl Target<'_> {
    /// The limit of an answer, as far as the client asks for one: no more than the model can say, which would be refused.
    /// What is lowered is noted.
    pub(super) fn limit(&self, asked: Option<u64>, written: &mut Written) -> Option<u64> {
        let kept = asked?.min(self.max_output_tokens.unwrap_or(u64::MAX));
        if Some(kept) != asked {
            written.lose(Feature::Limit);
        }
        Some(kept)
    }
}

/// A request as a provider gets it.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// JSON.
    pub body: Vec<u8>,
    /// What had to be left out or changed beside what [`super::features`] says, as the client is told.
    pub lost: Vec<&'static str>,
    /// Tools whose names the dialect can't have: as sent, and as the client calls them.
    pub renamed: Vec<(String, String)>,
    /// A tool of ours, which the model calls to answer: its arguments are the answer's text.
    pub answers_by: Option<String>,
}

impl Written {
    /// Notes a loss, once.
    pub fn lose(&mut self, feature: Feature) {
        let name = feature.name();
        if !self.lost.contains(&name) {
            self.lost.push(name);
        }
    }
}

/// The id of an answer as a dialect's clients know such ids: the provider's, or else the request's, so that neither is
/// lost.
pub(super) fn answer_id<'i>(prefix: &str, provider: &'i str, request: &'i str) -> Cow<'i, str> {
    let id = if provider.is_empty() { request } else { provider };
    if id.starts_with(prefix) { id.into() } else { format!("{prefix}{id}").into() }
}

/// What an answer's form depends on beside what the provider said.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request's id, for answers whose provider has none of its own.
    pub request_id: &'a str,
    /// When the answer was begun, in seconds since 1970.
    pub created: u64,
    /// The client's request, of which some dialects repeat parts.
    pub body: &'a [u8],
    /// Where its longest member has its value; `0..0` where nobody knows.
    pub longest: &'a Range<usize>,
    /// How the client's stream is framed.
    pub framing: Framing,
    /// Whether the client wants OpenAI's chunk of usage at the end of a stream.
    pub include_usage: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_what_the_model_can_say_stays_and_one_past_it_is_lowered_and_named() {
        for (most, asked, kept, lost) in [
            (Some(100), Some(100), Some(100), None),
            (Some(100), Some(101), Some(100), Some("max_tokens")),
            (Some(100), None, None, None),
            (None, Some(u64::MAX), Some(u64::MAX), None),
        ] {
            let mut written = Written::default();
            let target = Target { model: "m", max_output_tokens: most };
            assert_eq!(target.limit(asked, &mut written), kept, "{asked:?} of {most:?}");
            assert_eq!(written.lost.first().copied(), lost, "{asked:?} of {most:?}");
        }
    }
}
