//! Undoes the content codings of a message, piece by piece: what can be read so far comes out at once.
//!
//! Bounded: a piece is at most [`PIECE`] bytes, however much a few bytes stand for, so that whoever takes the
//! pieces sets the limit; windows are bounded by what each coding's own standard allows in HTTP. Sources: RFC 9110,
//! section 8.4 (gzip, deflate), RFC 7932 (br), RFC 9659 (zstd).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, HuffmanCode, StandardAlloc};
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Operation};

/// The most that comes out at a time.
pub const PIECE: usize = 32 << 10;
/// The most codings that are undone, one in another.
pub const MAX_CODINGS: usize = 3;
/// The largest window of zstd in HTTP, as a power of two: 8 MB.
const ZSTD_WINDOW_LOG: u32 = 23;
/// The window of gzip, as a power of two.
const GZIP_WINDOW_LOG: u8 = 15;

/// A coding that isn't known here, or too many of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content-encoding `{0}` is not read here")]
pub struct Unknown(pub String);

/// Why a message can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is not what its header says.
    #[error("the body is not {0}, as its content-encoding says")]
    Corrupt(&'static str),
    /// It ends too early.
    #[error("the {0} body ends in the middle")]
    Truncated(&'static str),
}

/// An incremental decoder of one message.
pub struct Decoder {
    /// In the order in which they are undone: the one applied last comes first.
    stages: Vec<Stage>,
}

impl Decoder {
    /// The decoder for a `content-encoding`; `None` where there is nothing to undo.
    ///
    /// # Errors
    /// When a coding is unknown.
    pub fn for_header(value: &str) -> Result<Option<Decoder>, Unknown> {
        let unknown = || Unknown(value.to_owned());
        let mut stages = Vec::new();
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            // Names of codings have no case (RFC 9110, section 8.4.1).
            match name.to_ascii_lowercase().as_str() {
                "identity" => {}
                "gzip" | "x-gzip" => stages.push(Stage::new("gzip", Coding::Gzip(gzip()))),
                "deflate" => stages.push(Stage::new("deflate", Coding::Deflate(None))),
                "zstd" => stages.push(Stage::new("zstd", zstd().ok_or_else(unknown)?)),
                "br" => stages.push(Stage::new("br", brotli())),
                _ => return Err(unknown()),
            }
        }
        if stages.len() > MAX_CODINGS {
            return Err(unknown());
        }
        stages.reverse();
        Ok((!stages.is_empty()).then_some(Decoder { stages }))
    }

    /// Takes what was read. Only once [`Decoder::pull`] had nothing more to give.
    pub fn push(&mut self, input: Bytes) {
        if let Some(first) = self.stages.first_mut() {
            first.pending = input;
        }
    }

    /// The next piece of what can be read so far; empty if that was all of it.
    ///
    /// # Errors
    /// When the message is not what its header says.
    pub fn pull(&mut self) -> Result<Bytes, Broken> {
        pull(&mut self.stages)
    }

    /// Says that the message has ended, and nothing more was to be pulled.
    ///
    /// # Errors
    /// When it should have gone on.
    pub fn finish(&self) -> Result<(), Broken> {
        match self.stages.iter().find(|stage| !stage.has_ended) {
            Some(stage) => Err(Broken::Truncated(stage.name)),
            None => Ok(()),
        }
    }
}

/// The next piece of the last of these stages.
fn pull(stages: &mut [Stage]) -> Result<Bytes, Broken> {
    let Some((last, before)) = stages.split_last_mut() else { return Ok(Bytes::new()) };
    loop {
        let piece = last.next()?;
        if !piece.is_empty() {
            return Ok(piece);
        }
        last.pending = pull(before)?;
        if last.pending.is_empty() {
            return Ok(Bytes::new());
        }
    }
}

/// One coding being undone.
struct Stage {
    name: &'static str,
    coding: Coding,
    pending: Bytes,
    /// Whether the coding's own end was seen, and nothing after it.
    has_ended: bool,
    /// Whether the last piece was full, so that more may be held without any more input.
    was_full: bool,
    buffer: Box<[u8]>,
}

enum Coding {
    Gzip(Decompress),
    /// Which of the two formats that go by this name shows in its first byte.
    Deflate(Option<Decompress>),
    Zstd(zstd::stream::raw::Decoder<'static>),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
}

/// What a step did.
struct Step {
    read: usize,
    written: usize,
    has_ended: bool,
}

fn gzip() -> Decompress {
    Decompress::new_gzip(GZIP_WINDOW_LOG)
}

fn zstd() -> Option<Coding> {
    let mut decoder = zstd::stream::raw::Decoder::new().ok()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
    Some(Coding::Zstd(decoder))
}

fn brotli() -> Coding {
    let alloc = StandardAlloc::default;
    // Strict: without the windows beyond the standard's 16 MB.
    Coding::Brotli(Box::new(BrotliState::<_, _, StandardAlloc>::new_strict(alloc(), alloc(), alloc())))
}

impl Stage {
    fn new(name: &'static str, coding: Coding) -> Stage {
        let buffer = vec![0; PIECE].into_boxed_slice();
        Stage { name, coding, pending: Bytes::new(), has_ended: false, was_full: false, buffer }
    }

    /// The next piece; empty once all input is used up.
    fn next(&mut self) -> Result<Bytes, Broken> {
        while self.was_full || !self.pending.is_empty() {
            if self.has_ended && !self.pending.is_empty() {
                self.begin_again()?;
            }
            let step = self.coding.step(&self.pending, &mut self.buffer).ok_or(Broken::Corrupt(self.name))?;
            let made_progress = step.read > 0 || step.written > 0 || step.has_ended;
            if !made_progress && !self.was_full {
                return Err(Broken::Corrupt(self.name));
            }
            self.pending = self.pending.slice(step.read..);
            self.has_ended = step.has_ended || self.has_ended && !made_progress;
            self.was_full = step.written == self.buffer.len() && !step.has_ended;
            if step.written > 0 {
                return Ok(Bytes::copy_from_slice(&self.buffer[..step.written]));
            }
        }
        Ok(Bytes::new())
    }

    /// What comes behind an end is another member of gzip (RFC 1952, section 2.2), another frame of zstd, or an
    /// error.
    fn begin_again(&mut self) -> Result<(), Broken> {
        match &mut self.coding {
            Coding::Gzip(inflate) => *inflate = gzip(),
            Coding::Zstd(_) => {}
            Coding::Deflate(_) | Coding::Brotli(_) => return Err(Broken::Corrupt(self.name)),
        }
        self.has_ended = false;
        Ok(())
    }
}

impl Coding {
    /// Decodes some of the input; `None` if it is broken.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        match self {
            Coding::Gzip(inflate) => step_inflate(inflate, input, output),
            Coding::Deflate(inflate) => {
                let inflate = inflate.get_or_insert_with(|| Decompress::new(is_zlib(input)));
                step_inflate(inflate, input, output)
            }
            Coding::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).ok()?;
                let (read, written) = (status.bytes_read, status.bytes_written);
                Some(Step { read, written, has_ended: status.remaining == 0 })
            }
            Coding::Brotli(state) => step_brotli(state, input, output),
        }
    }
}

/// Whether `deflate` is the zlib format, as the standard says, or without its header, as some servers mean it. The
/// method that zlib names first would be a block that no encoder writes.
fn is_zlib(input: &[u8]) -> bool {
    input.first().is_some_and(|first| first & 0x0f == 8)
}

fn step_inflate(inflate: &mut Decompress, input: &[u8], output: &mut [u8]) -> Option<Step> {
    let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).ok()?;
    let read = usize::try_from(inflate.total_in() - before_in).ok()?;
    let written = usize::try_from(inflate.total_out() - before_out).ok()?;
    Some(Step { read, written, has_ended: status == Status::StreamEnd })
}

fn step_brotli<H>(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, H>,
    input: &[u8],
    output: &mut [u8],
) -> Option<Step>
where
    H: brotli_decompressor::Allocator<HuffmanCode>,
{
    let (mut input_left, mut output_left) = (input.len(), output.len());
    let (mut read, mut written, mut total) = (0, 0, 0);
    let result = BrotliDecompressStream(
        &mut input_left,
        &mut read,
        input,
        &mut output_left,
        &mut written,
        output,
        &mut total,
        state,
    );
    match result {
        BrotliResult::ResultFailure => None,
        BrotliResult::ResultSuccess => Some(Step { read, written, has_ended: true }),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
            Some(Step { read, written, has_ended: false })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    /// The texts in a coding, flushed after each, and its end.
    fn encoded(name: &str, texts: &[&[u8]]) -> Vec<Vec<u8>> {
        macro_rules! flushed {
            ($encoder:expr, $finish:expr) => {{
                let mut encoder = $encoder;
                let mut pieces = Vec::new();
                for text in texts {
                    encoder.write_all(text).expect("to memory");
                    encoder.flush().expect("to memory");
                    pieces.push(std::mem::take(encoder.get_mut()));
                }
                pieces.push($finish(encoder));
                pieces
            }};
        }
        match name {
            "gzip" => flushed!(GzEncoder::new(Vec::new(), Compression::fast()), |e: GzEncoder<_>| e
                .finish()
                .expect("to memory")),
            "deflate" => flushed!(ZlibEncoder::new(Vec::new(), Compression::fast()), |e: ZlibEncoder<_>| e
                .finish()
                .expect("to memory")),
            "raw" => {
                flushed!(DeflateEncoder::new(Vec::new(), Compression::fast()), |e: DeflateEncoder<_>| e
                    .finish()
                    .expect("to memory"))
            }
            "zstd" => flushed!(
                zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder"),
                |e: zstd::stream::write::Encoder<'_, Vec<u8>>| e.finish().expect("to memory")
            ),
            _ => flushed!(
                brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20),
                |e: brotli::CompressorWriter<Vec<u8>>| e.into_inner()
            ),
        }
    }

    const NAMES: [&str; 5] = ["gzip", "deflate", "raw", "zstd", "br"];

    fn decoder(name: &str) -> Decoder {
        let header = if name == "raw" { "deflate" } else { name };
        Decoder::for_header(header).expect("known").expect("a coding")
    }

    fn drain(decoder: &mut Decoder) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        loop {
            let piece = decoder.pull()?;
            assert!(piece.len() <= PIECE);
            if piece.is_empty() {
                return Ok(out);
            }
            out.extend_from_slice(&piece);
        }
    }

    fn decoded(decoder: &mut Decoder, raw: &[u8], piece: usize) -> Result<Vec<u8>, Broken> {
        let mut out = Vec::new();
        for chunk in raw.chunks(piece) {
            decoder.push(Bytes::copy_from_slice(chunk));
            out.extend(drain(decoder)?);
        }
        decoder.finish().map(|()| out)
    }

    #[test]
    fn each_flushed_event_comes_out_at_once() {
        let events: [&[u8]; 3] = [b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"];
        for name in NAMES {
            let mut decoder = decoder(name);
            for (raw, event) in encoded(name, &events).into_iter().zip(events) {
                decoder.push(raw.into());
                assert_eq!(drain(&mut decoder).expect("whole"), event, "{name}");
            }
        }
    }

    #[test]
    fn a_bomb_comes_out_in_pieces() {
        let zeros = vec![0; 8 << 20];
        for name in NAMES {
            let raw = encoded(name, &[&zeros]).concat();
            assert!(raw.len() < zeros.len() / 100, "{name}");
            assert_eq!(decoded(&mut decoder(name), &raw, raw.len()).as_deref(), Ok(&zeros[..]), "{name}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let text = "The quick brown fox. ".repeat(20);
        for name in NAMES {
            let raw = encoded(name, &[text.as_bytes()]).concat();
            for length in 0..raw.len() {
                let got = decoded(&mut decoder(name), &raw[..length], 7);
                assert!(got.is_err(), "{name}: {length} of {} bytes", raw.len());
            }
        }
    }

    #[test]
    fn what_follows_the_end_is_another_member_or_an_error() {
        for (name, expected) in
            [("gzip", true), ("zstd", true), ("deflate", false), ("raw", false), ("br", false)]
        {
            let twice = encoded(name, &[b"one"]).concat().repeat(2);
            for piece in [1, twice.len() / 2, twice.len()] {
                let got = decoded(&mut decoder(name), &twice, piece);
                assert_eq!(got.ok(), expected.then(|| b"oneone".to_vec()), "{name} in pieces of {piece}");
            }
            let garbage = [encoded(name, &[b"one"]).concat(), b"garbage".to_vec()].concat();
            assert!(decoded(&mut decoder(name), &garbage, garbage.len()).is_err(), "{name}");
        }
    }

    #[test]
    fn several_codings_are_undone_in_order() {
        let inner = encoded("gzip", &[b"text"]).concat();
        let both = encoded("br", &[&inner]).concat();
        let mut decoder = Decoder::for_header("GZIP, identity ,br").expect("known").expect("two");
        assert_eq!(decoded(&mut decoder, &both, 3).as_deref(), Ok(&b"text"[..]));
    }

    #[test]
    fn nothing_to_undo_and_what_is_unknown() {
        assert!(matches!(Decoder::for_header("identity"), Ok(None)));
        assert!(matches!(Decoder::for_header(" "), Ok(None)));
        for value in ["compress", "gzip, sdch", "gzip,gzip,gzip,gzip"] {
            assert_eq!(Decoder::for_header(value).err(), Some(Unknown(value.to_owned())));
        }
        assert!(matches!(Decoder::for_header("gzip,gzip,gzip"), Ok(Some(_))));
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(text in prop::collection::vec(any::<u8>(), 0..5_000), piece in 1_usize..200) {
            for name in NAMES {
                let raw = encoded(name, &[&text]).concat();
                let got = decoded(&mut decoder(name), &raw, piece);
                prop_assert_eq!(got.as_ref(), Ok(&text), "{}", name);
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_hang(raw in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            for name in NAMES {
                let _ = decoded(&mut decoder(name), &raw, piece);
            }
        }
    }
}
