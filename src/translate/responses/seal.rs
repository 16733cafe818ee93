//! Signatures of other makers, as this dialect carries them: in a reasoning item's `encrypted_content`.
//!
//! The text `cliproxy:messages:…` says who made what follows, and so to whom alone it goes back. What has no such
//! beginning is OpenAI's own, which nobody else can read. A bearer is said after the maker where it isn't a thought
//! in words: `cliproxy:generate-call:…` belongs to the function call that follows, for which this dialect has no place
//! of its own (Gemini wants it back there); `cliproxy:messages-redacted:…` is all there is of a thought.

use crate::translate::canonical::Signature;
use crate::translate::signs::Api;
use std::borrow::Cow;

/// What begins a signature that passed through here.
pub(super) const OURS: &str = "cliproxy:";

/// Makers by name. Others don't sign what we translate.
const MAKERS: [(&str, Api); 3] =
    [("completions", Api::Completions), ("messages", Api::Messages), ("generate", Api::Generate)];

/// What a signature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// The thought whose words stand beside it, if there are any.
    Thought,
    /// A thought that is nothing else.
    Redacted,
    /// The next call of a function.
    Call,
}

/// Bearers by the end of their maker's name.
const BEARERS: [(&str, Bearer); 3] =
    [("", Bearer::Thought), ("-redacted", Bearer::Redacted), ("-call", Bearer::Call)];

/// The text that a client carries; `None` for a maker that has none.
pub(super) fn sealed(signature: &Signature<'_>, bearer: Bearer) -> Option<String> {
    let (maker, _) = MAKERS.iter().find(|(_, maker)| *maker == signature.maker)?;
    let (end, _) = BEARERS.iter().find(|(_, it)| *it == bearer)?;
    Some([OURS, maker, end, ":", &signature.text].concat())
}

/// What a client carried; `None` if it isn't ours.
pub(super) fn opened(text: Cow<'_, str>) -> Option<(Signature<'_>, Bearer)> {
    let (name, rest) = text.strip_prefix(OURS)?.split_once(':')?;
    let found = MAKERS.iter().find_map(|(maker, api)| {
        let end = name.strip_prefix(maker)?;
        let (_, bearer) = BEARERS.iter().find(|(it, _)| *it == end)?;
        Some((*api, *bearer))
    });
    let (maker, bearer) = found?;
    let start = text.len() - rest.len();
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    };
    Some((Signature { maker, text }, bearer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_makers_signature_comes_back_byte_for_byte() {
        for (_, maker) in MAKERS {
            for (_, bearer) in BEARERS {
                let signature = Signature { maker, text: "a:b\n\"é==".into() };
                let text = sealed(&signature, bearer).expect("a maker");
                assert_eq!(opened(text.as_str().into()), Some((signature.clone(), bearer)));
                assert_eq!(opened(text.into()), Some((signature, bearer)));
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_nobodys() {
        for text in
            ["", "gAAAAAB", "cliproxy:", "cliproxy:messages", "cliproxy:responses:x", "cliproxy:messages-x:y"]
        {
            assert_eq!(opened(text.into()), None, "{text}");
        }
        let unknown = Signature { maker: Api::Responses, text: "x".into() };
        assert_eq!(sealed(&unknown, Bearer::Thought), None);
    }
}
