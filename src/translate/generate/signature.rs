//! Signatures on their way through `thoughtSignature`.
//!
//! Gemini's own are as they came. Those of other makers travel in a wrapper that names their maker, and come out of it
//! as they went in. SDKs decode the field and encode it again, in another alphabet: the wrapper is base64 all over.

use crate::translate::canonical::Signature;
use crate::translate::signs::Api;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// What a wrapper begins with. Of three times three bytes, so that its base64 is always the same text.
const MARK: &str = "cliproxy/";
/// [`MARK`] in base64, of either alphabet.
const MARK_ENCODED: &str = "Y2xpcHJveHkv";
/// The other makers, and what a wrapper calls them.
const MAKERS: [(Api, &str); 3] =
    [(Api::Completions, "chat/"), (Api::Responses, "responses/"), (Api::Messages, "messages/")];

/// A signature for a client of Gemini's API; `None` for one that no wrapper knows.
pub(super) fn wrapped<'a>(signature: &'a Signature<'_>) -> Option<Cow<'a, str>> {
    if signature.maker == Api::Generate {
        return Some(Cow::Borrowed(signature.text.as_ref()));
    }
    let (_, maker) = MAKERS.iter().find(|(api, _)| *api == signature.maker)?;
    Some(STANDARD.encode([MARK, maker, signature.text.as_ref()].concat()).into())
}

/// What a client of Gemini's API sends back; whatever is no whole wrapper is Gemini's own.
pub(super) fn unwrapped(text: Cow<'_, str>) -> Signature<'_> {
    match foreign(&text) {
        Some(signature) => signature,
        None => Signature { maker: Api::Generate, text },
    }
}

fn foreign(text: &str) -> Option<Signature<'static>> {
    if !text.starts_with(MARK_ENCODED) {
        return None;
    }
    let text = crate::translate::media::base64::standard(text.into())?;
    let inner = String::from_utf8(STANDARD.decode(text.as_bytes()).ok()?).ok()?;
    let inner = inner.strip_prefix(MARK)?;
    MAKERS.iter().find_map(|(maker, name)| {
        let text = inner.strip_prefix(name)?.to_owned().into();
        Some(Signature { maker: *maker, text })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    #[test]
    fn geminis_own_stay_as_they_are() {
        let own = Signature { maker: Api::Generate, text: "CiQB-_".into() };
        assert_eq!(wrapped(&own).as_deref(), Some("CiQB-_"));
        assert_eq!(unwrapped("CiQB-_".into()), own);
        let nearly = STANDARD.encode("cliproxy/nobody/x");
        assert!(nearly.starts_with(MARK_ENCODED));
        assert_eq!(unwrapped(nearly.as_str().into()).maker, Api::Generate);
        assert_eq!(unwrapped(MARK_ENCODED.into()).maker, Api::Generate);
    }

    proptest! {
        #[test]
        fn those_of_others_come_back_byte_for_byte_in_whatever_alphabet(text in "\\PC{0,40}", maker in 0_usize..3) {
            let signature = Signature { maker: MAKERS[maker].0, text: text.into() };
            let sent = wrapped(&signature).expect("known");
            prop_assert_eq!(&unwrapped(sent.as_ref().into()), &signature);
            let again = URL_SAFE_NO_PAD.encode(STANDARD.decode(sent.as_bytes()).expect("base64"));
            prop_assert_eq!(unwrapped(again.into()), signature);
        }
    }
}
