//! Any bytes as a message in a content coding, or in two of them.
//!
//! However it is cut, the same comes out, in pieces that are bounded, or the same is said to be wrong with it.

#![no_main]

use bytes::Bytes;
use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::mutation;
use cliproxy_fuzz::translate::decoding::{Broken, Decoder, PIECE};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const CODINGS: [&str; 8] =
    ["gzip", "deflate", "zstd", "br", "gzip, br", "br, zstd", "zstd, deflate", "deflate, gzip, identity"];

/// The most that is taken of one message: a few bytes may stand for very many.
const ENOUGH: usize = 256 << 10;

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        check(&input);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    let name = input.chosen(&CODINGS);
    let (whole, end) = decoded(name, &[input.text]);
    let (cut, end_of_cut) = decoded(name, &input.pieces());
    if whole.len() >= ENOUGH || cut.len() >= ENOUGH {
        return;
    }
    // Which of two codings is broken may depend on how far both have come.
    assert_eq!(end.is_ok(), end_of_cut.is_ok(), "{end:?} {end_of_cut:?}");
    match end {
        Ok(()) => assert_eq!(whole, cut),
        // How much comes out before a break depends on where it was noticed.
        Err(_) => assert!(whole.starts_with(&cut) || cut.starts_with(&whole)),
    }
}

fn decoded(name: &str, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Broken>) {
    let Ok(Some(mut decoder)) = Decoder::for_header(name) else { unreachable!("{name} is known") };
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.pull() {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => {
                    assert!(piece.len() <= PIECE);
                    out.extend_from_slice(&piece);
                }
                Err(why) => return (out, Err(why)),
            }
            if out.len() >= ENOUGH {
                return (out, Ok(()));
            }
        }
    }
    let end = decoder.finish();
    (out, end)
}
