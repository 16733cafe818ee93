//! How a maker's signature travels through a dialect that isn't its own: inside a wrapper that names its maker.
//!
//! Clients hand back what they were given without a look into it, so that a signature finds its way home through
//! their conversation. Bare is only what a dialect's own vendor made; all else stands as `cliproxy:<api>:<text>`, which
//! no vendor's signature can be: those are base64, which has no colon. Any dialect with a place for opaque text can
//! use this; `home` is its own API.

use crate::translate::canonical::Signature;
use crate::translate::signs::Api;
use std::borrow::Cow;

/// What no vendor's own signature begins with. Who passes a conversation on as it is can look for this.
pub const PREFIX: &str = "cliproxy:";

/// Every API that signs, with its name inside the wrapper. Names are kept by clients, so that none may change.
const NAMES: [(Api, &str); 4] = [
    (Api::Completions, "completions"),
    (Api::Responses, "responses"),
    (Api::Messages, "messages"),
    (Api::Generate, "generate"),
];

/// The signature as a client of `home` gets it: bare if it is the vendor's own, wrapped if not.
pub fn wrap<'s>(signature: &'s Signature<'_>, home: Api) -> Cow<'s, str> {
    let name = NAMES.iter().find(|(api, _)| *api == signature.maker && *api != home);
    match name {
        Some((_, name)) => Cow::Owned(format!("{PREFIX}{name}:{}", signature.text)),
        None => Cow::Borrowed(&signature.text),
    }
}

/// What a client of `home` gave back: `home`'s own unless a wrapper says otherwise.
pub fn unwrap(text: Cow<'_, str>, home: Api) -> Signature<'_> {
    let wrapped = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'));
    let maker = wrapped.and_then(|(name, _)| NAMES.iter().find(|(_, it)| *it == name));
    let Some((maker, name)) = maker else { return Signature { maker: home, text } };
    let start = PREFIX.len() + name.len() + ":".len();
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    };
    Signature { maker: *maker, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_home_to_its_maker_through_any_dialect() {
        for (maker, _) in NAMES {
            for (home, _) in NAMES {
                let signature = Signature { maker, text: "EqQB+/=:x".into() };
                let wrapped = wrap(&signature, home).into_owned();
                assert_eq!(wrapped.starts_with(PREFIX), maker != home, "{wrapped}");
                assert_eq!(unwrap(Cow::Borrowed(&wrapped), home), signature);
                assert_eq!(unwrap(Cow::Owned(wrapped.clone()), home), signature);
            }
        }
    }

    #[test]
    fn what_is_no_wrapper_of_ours_is_the_vendors_own() {
        for text in ["", "EqQB", "cliproxy:", "cliproxy:somebody:x", "cliproxy:generate"] {
            let signature = unwrap(text.into(), Api::Messages);
            assert_eq!((signature.maker, signature.text.as_ref()), (Api::Messages, text));
        }
    }
}
