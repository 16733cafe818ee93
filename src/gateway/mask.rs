//! Keeps a provider from telling a client our keys: some repeat the key they refuse.
//!
//! Only error bodies are looked into; good answers stay byte for byte.

use super::context::Context;
use crate::domain::Secret;
use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// What stands in a key's place.
const MASK: &[u8] = b"***";
/// Shorter texts are no keys, and masking them would garble the words of an error.
const MIN_KEY_BYTES: usize = 8;

/// The body with every configured secret masked; the same bytes where there is none, the usual case.
pub fn secrets(context: &Context, body: Bytes) -> Bytes {
    let mut body = configured(context).fold(body, replace);
    if let Some(attempt) = &context.attempt {
        attempt.credential.each_secret(&mut |secret| body = replace(std::mem::take(&mut body), secret));
    }
    body
}

/// What any provider could repeat: keys, and the values of configured headers.
fn configured(context: &Context) -> impl Iterator<Item = &[u8]> {
    let providers = context.snapshot.registry.providers().iter();
    providers.flat_map(|provider| {
        let keys = provider.definition.keys.iter().map(|key| key.expose().as_bytes());
        keys.chain(provider.definition.headers.iter().map(|(_, value)| value.as_bytes()))
    })
}

/// Masks a body that comes in pieces. Holds back no more than what could be the beginning of a secret.
pub struct Pieces {
    secrets: Vec<Secret>,
    longest: usize,
    held: BytesMut,
}

impl Pieces {
    /// For an answer to this request.
    pub fn new(context: &Context) -> Pieces {
        let text = |secret: &[u8]| std::str::from_utf8(secret).ok().map(Secret::new);
        let mut secrets: Vec<Secret> = configured(context).filter_map(text).collect();
        if let Some(attempt) = &context.attempt {
            attempt.credential.each_secret(&mut |secret| secrets.extend(text(secret)));
        }
        let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0);
        Pieces { secrets, longest, held: BytesMut::new() }
    }

    /// What may go on of the body, now that this piece is here.
    pub fn pass(&mut self, piece: Option<&Bytes>, is_last: bool) -> Option<Bytes> {
        self.held.extend_from_slice(piece.map_or(&[], |piece| &piece[..]));
        let texts = self.secrets.iter().map(|secret| secret.expose().as_bytes());
        let mut masked = texts.fold(self.held.split().freeze(), replace);
        if !is_last {
            let rest = masked.split_off(masked.len() - masked.len().min(self.longest.saturating_sub(1)));
            self.held.extend_from_slice(&rest);
        }
        (!masked.is_empty()).then_some(masked)
    }
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
    fn a_secret_is_masked_however_it_is_torn() {
        let body = Bytes::from_static(b"key sk-12345678 (sk-12345678) is wrong");
        for size in 1..body.len() {
            let held = BytesMut::new();
            let mut pieces = Pieces { secrets: vec![Secret::new("sk-12345678")], longest: 11, held };
            let mut out = Vec::new();
            for piece in body.chunks(size).map(Bytes::copy_from_slice) {
                out.extend(pieces.pass(Some(&piece), false).into_iter().flatten());
                assert!(pieces.held.len() < 11, "no more is held than could begin a secret");
            }
            out.extend(pieces.pass(None, true).into_iter().flatten());
            assert_eq!(String::from_utf8_lossy(&out), "key *** (***) is wrong", "pieces of {size}");
        }
    }

    #[test]
    fn every_occurrence_is_masked_and_the_rest_stays() {
        let body = Bytes::from_static(b"key sk-12345678 (sk-12345678) is wrong");
        assert_eq!(replace(body.clone(), b"sk-12345678"), "key *** (***) is wrong");
        assert_eq!(replace(body.clone(), b"another-key").as_ptr(), body.as_ptr());
        assert_eq!(replace(body.clone(), b"is").as_ptr(), body.as_ptr(), "too short to be a key");
    }
}
