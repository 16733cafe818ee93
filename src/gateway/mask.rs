//! Keeps a provider from telling a client our keys: some repeat the key they refuse.
//!
//! Only error bodies are looked into; good answers stay byte for byte.

use super::context::Context;
use crate::domain::Secret;
use bytes::Bytes;
use memchr::memmem;

/// What stands in a key's place.
const MASK: &[u8] = b"***";
/// Shorter texts are no keys, and masking them would garble the words of an error.
const MIN_KEY_BYTES: usize = 8;

/// The body with every configured key masked; the same bytes where there is none, the usual case.
pub fn secrets(context: &Context, body: Bytes) -> Bytes {
    let configured =
        context.snapshot.registry.providers().iter().flat_map(|provider| &provider.definition.keys);
    let sent = context.attempt.as_ref().and_then(|attempt| attempt.credential.secret());
    let keys = configured.map(Secret::expose).map(str::as_bytes).chain(sent);
    keys.fold(body, replace)
}

fn replace(body: Bytes, key: &[u8]) -> Bytes {
    if key.len() < MIN_KEY_BYTES || memmem::find(&body, key).is_none() {
        return body;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    for at in memmem::find_iter(&body, key) {
        out.extend_from_slice(&body[done..at]);
        out.extend_from_slice(MASK);
        done = at + key.len();
    }
    out.extend_from_slice(&body[done..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_masked_and_the_rest_stays() {
        let body = Bytes::from_static(b"key sk-12345678 (sk-12345678) is wrong");
        assert_eq!(replace(body.clone(), b"sk-12345678"), "key *** (***) is wrong");
        assert_eq!(replace(body.clone(), b"another-key").as_ptr(), body.as_ptr());
        assert_eq!(replace(body.clone(), b"is").as_ptr(), body.as_ptr(), "too short to be a key");
    }
}
