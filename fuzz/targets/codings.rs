//! Any bytes as a message in a content coding, or in two of them.
//!
//! However it is cut, the same comes out, in pieces that are bounded, or the same is said to be wrong with it. Most
//! inputs are put into a coding first, or hardly any would come past a header: these come out as they were, unless a bit
//! of them is another.

#![no_main]

use bytes::Bytes;
use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::mutation;
use cliproxy_fuzz::translate::decoding::{Broken, Decoder, PIECE};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::io::{Error, Write};

const CODINGS: [&str; 8] =
    ["gzip", "deflate", "zstd", "br", "gzip, br", "br, zstd", "zstd, deflate", "deflate, gzip, identity"];

/// Those that are written here.
const WRITTEN: [&str; 6] =
    ["gzip", "deflate", "zstd", "gzip, zstd", "zstd, deflate", "deflate, gzip, identity"];

/// From which number on an input is put into a coding.
const IS_WRITTEN: u8 = 128;

/// Where no more is taken of a message, of which a few bytes may stand for very many: in its second piece.
const ENOUGH: usize = PIECE + 1;

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        check(&input);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = mutation::mutate(data, size, max_size, seed);
    if let Some(choice) = data.first_mut() {
        // What decoders in C have come to is not seen by the engine, which would forget about them.
        *choice = *choice % IS_WRITTEN + if seed.is_multiple_of(8) { 0 } else { IS_WRITTEN };
    }
    size
});

fn check(input: &Input<'_>) {
    if input.choice < usize::from(IS_WRITTEN) {
        return same(input.chosen(&CODINGS), input);
    }
    let name = input.chosen(&WRITTEN);
    let mut message = match written(name, input.text, input.option.is_multiple_of(2)) {
        Ok(message) => message,
        Err(why) => unreachable!("{name}: {why}"),
    };
    if input.option < 128 {
        assert_eq!(decoded(name, &[&message]), (input.text.to_vec(), Ok(())), "{name}");
    } else {
        let at = (input.option - 128) * message.len() / 128;
        message[at] ^= 1 << (input.choice % 8);
    }
    let mut input = *input;
    input.text = &message;
    same(name, &input);
}

/// A text in these codings.
fn written(names: &str, text: &[u8], is_raw: bool) -> Result<Vec<u8>, Error> {
    let fast = Compression::fast;
    let all = |mut encoder: Box<dyn Write + '_>, text: &[u8]| encoder.write_all(text);
    names.split(", ").try_fold(text.to_vec(), |text, name| {
        let mut out = Vec::new();
        match name {
            "gzip" => all(Box::new(GzEncoder::new(&mut out, fast())), &text)?,
            "deflate" if is_raw => all(Box::new(DeflateEncoder::new(&mut out, fast())), &text)?,
            "deflate" => all(Box::new(ZlibEncoder::new(&mut out, fast())), &text)?,
            "zstd" => out = zstd::bulk::compress(&text, 1)?,
            _ => return Ok(text),
        }
        Ok(out)
    })
}

fn same(name: &str, input: &Input<'_>) {
    let (whole, end) = decoded(name, &[input.text]);
    let (cut, end_of_cut) = decoded(name, &input.pieces());
    if whole.len() >= ENOUGH || cut.len() >= ENOUGH {
        assert!(whole.starts_with(&cut) || cut.starts_with(&whole));
        return;
    }
    // Which of two codings is broken may depend on how far both have come.
    let is_known = [&end, &end_of_cut].contains(&&Err(Broken::Corrupt("zstd")));
    assert!(end.is_ok() == end_of_cut.is_ok() || is_known, "{name}: {end:?} {end_of_cut:?}");
    match (end, end_of_cut) {
        (Ok(()), Ok(())) => assert_eq!(whole, cut),
        // How much comes out before a break depends on where it was noticed. And libzstd doesn't hold a frame to the
        // length in its header if it comes in pieces, the last of its blocks being empty.
        _ => assert!(whole.starts_with(&cut) || cut.starts_with(&whole)),
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
