//! How a maker's signature travels through a dialect that isn't its own: inside a wrapper that says whose it is.
//!
//! Clients hand back what they were given without a look into it, so that a signature finds its way home through their
//! conversation. Bare is only what a dialect's own vendor made; all else stands as `cliproxy:<origin>:<signature>`, which
//! no vendor's signature can be: those are base64, which has no colon. Gemini's SDKs decode the field and encode it
//! again, in another alphabet: there the wrapper is base64 all over, with slashes for the colons.
//!
//! An origin is the maker, and what the signature belongs to where its place can't say so: `messages`,
//! `generate-call`. `home` always is the API in whose words a client speaks. Must not know any dialect's words.

use super::canonical::Signature;
use super::media::base64;
use super::signs::Api;
use std::borrow::Cow;

/// What begins every wrapper. Of so many bytes that it and the mark behind it always are the same text in base64.
const OURS: &str = "cliproxy";
/// What begins every wrapper that stands as it is.
pub(super) const WRAPPED: &str = "cliproxy:";
/// [`OURS`] and [`SLASH`] in base64, of either alphabet.
pub(super) const OURS_ENCODED: &str = "Y2xpcHJveHkv";
/// What stands between the parts of a plain wrapper, and of one in base64.
const COLON: &str = ":";
const SLASH: &str = "/";

/// Makers by name. Clients keep these, so that none may change.
const MAKERS: [(&str, Api); 4] = [
    ("completions", Api::Completions),
    ("responses", Api::Responses),
    ("messages", Api::Messages),
    ("generate", Api::Generate),
];

/// What a signature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// What its place says; a thought if that says nothing.
    Place,
    /// A thought of which there is nothing else.
    Redacted,
    /// The next call of a tool.
    Call,
}

/// Bearers by what follows their maker's name.
const BEARERS: [(&str, Bearer); 3] =
    [("", Bearer::Place), ("-redacted", Bearer::Redacted), ("-call", Bearer::Call)];

/// The signature as a client of `home` gets it, in a place that says what it belongs to.
pub(super) fn wrap<'s>(signature: &'s Signature<'_>, home: Api) -> Cow<'s, str> {
    wrap_for(Bearer::Place, signature, home)
}

/// The signature as a client of `home` gets it: bare if it is the vendor's own, wrapped if not.
pub(super) fn wrap_for<'s>(bearer: Bearer, signature: &'s Signature<'_>, home: Api) -> Cow<'s, str> {
    let maker = MAKERS.iter().find(|(_, api)| *api == signature.maker && *api != home);
    let end = BEARERS.iter().find(|(_, it)| *it == bearer);
    let (Some((maker, _)), Some((end, _))) = (maker, end) else { return Cow::Borrowed(&signature.text) };
    let wrapper = |mark| [OURS, mark, maker, end, mark, &signature.text].concat();
    Cow::Owned(if is_encoded(home) { base64::encode(&wrapper(SLASH)) } else { wrapper(COLON) })
}

/// What a client of `home` gave back, with what it belongs to: `home`'s own unless it is a whole wrapper.
pub(super) fn unwrap(text: Cow<'_, str>, home: Api) -> (Signature<'_>, Bearer) {
    let inner = if is_encoded(home) { decoded(&text) } else { None };
    let origin = match &inner {
        Some(inner) => origin(inner, SLASH),
        None if is_encoded(home) => None,
        None => origin(&text, COLON),
    };
    match origin {
        Some((maker, bearer, start)) => {
            let wrapper = inner.map_or(text, Cow::Owned);
            (Signature { maker, text: behind(wrapper, start) }, bearer)
        }
        None => (Signature { maker: home, text }, Bearer::Place),
    }
}

/// Whether the API's clients send back other letters than they were given, for the same bytes.
fn is_encoded(home: Api) -> bool {
    home == Api::Generate
}

fn decoded(text: &str) -> Option<String> {
    if !text.starts_with(OURS_ENCODED) {
        return None;
    }
    base64::words(&base64::standard(text.into())?)
}

/// The maker and the bearer that a wrapper names, and where its signature begins; `None` for what is no wrapper.
fn origin(text: &str, mark: &str) -> Option<(Api, Bearer, usize)> {
    let (name, signature) = text.strip_prefix(OURS)?.strip_prefix(mark)?.split_once(mark)?;
    let (maker, bearer) = MAKERS.iter().find_map(|(maker, api)| {
        let end = name.strip_prefix(maker)?;
        let (_, bearer) = BEARERS.iter().find(|(it, _)| *it == end)?;
        Some((*api, *bearer))
    })?;
    Some((maker, bearer, text.len() - signature.len()))
}

fn behind(text: Cow<'_, str>, start: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    #[test]
    fn the_wrappers_are_those_that_clients_have_kept() {
        let signature = |maker, text: &'static str| Signature { maker, text: text.into() };
        for (home, bearer, maker, wrapper) in [
            (Api::Messages, Bearer::Place, Api::Generate, "cliproxy:generate:c2ln"),
            (Api::Responses, Bearer::Place, Api::Messages, "cliproxy:messages:c2ln"),
            (Api::Responses, Bearer::Redacted, Api::Messages, "cliproxy:messages-redacted:c2ln"),
            (Api::Responses, Bearer::Call, Api::Generate, "cliproxy:generate-call:c2ln"),
            (Api::Generate, Bearer::Place, Api::Messages, "Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg=="),
        ] {
            assert_eq!(wrap_for(bearer, &signature(maker, "c2ln"), home), wrapper);
            assert_eq!(unwrap(wrapper.into(), home), (signature(maker, "c2ln"), bearer));
        }
    }

    #[test]
    fn what_is_no_wrapper_of_ours_is_the_vendors_own() {
        let nearly = STANDARD.encode("cliproxy/nobody/x");
        assert!(nearly.starts_with(OURS_ENCODED));
        for text in [
            "",
            "EqQB",
            "CiQB-_",
            "cliproxy:",
            "cliproxy:messages",
            "cliproxy:somebody:x",
            "cliproxy:messages-x:y",
            "cliproxy/messages/x",
            OURS_ENCODED,
            &nearly,
        ] {
            for (_, home) in MAKERS {
                let own = Signature { maker: home, text: text.into() };
                assert_eq!(unwrap(text.into(), home), (own.clone(), Bearer::Place));
                assert_eq!(wrap(&own, home), text);
            }
        }
    }

    proptest! {
        #[test]
        fn a_signature_comes_home_to_its_maker_through_any_dialect(
            text in "\\PC{0,40}", maker in 0_usize..4, home in 0_usize..4, bearer in 0_usize..3,
        ) {
            let (maker, home, bearer) = (MAKERS[maker].1, MAKERS[home].1, BEARERS[bearer].1);
            prop_assume!(!text.starts_with(OURS) && !text.starts_with(OURS_ENCODED));
            let signature = Signature { maker, text: text.into() };
            let sent = wrap_for(bearer, &signature, home).into_owned();
            prop_assert_eq!(sent == signature.text, maker == home);
            let expected = (signature, if maker == home { Bearer::Place } else { bearer });
            prop_assert_eq!(&unwrap(Cow::Borrowed(&sent), home), &expected);
            prop_assert_eq!(&unwrap(Cow::Owned(sent.clone()), home), &expected);
            if home == Api::Generate && maker != home {
                let again = URL_SAFE_NO_PAD.encode(STANDARD.decode(sent).expect("base64"));
                prop_assert_eq!(unwrap(again.into(), home), expected);
            }
        }
    }
}
