//! Content codings that nobody asked for.

use super::super::script::Part;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// Brotli's quality and window, cheap and small.
const BROTLI: (u32, u32) = (1, 18);

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Coding {
    Gzip,
    /// zlib's format, as RFC 9110 has it.
    Deflate,
    Zstd,
    Brotli,
}

impl Coding {
    /// The name in `content-encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
        }
    }

    /// Compresses the parts as one body, so that what came of them can be read at once.
    pub(super) fn compress(self, parts: &mut Vec<Part>) -> io::Result<()> {
        let out = Shared::default();
        let mut encoder: Box<dyn Write> = match self {
            Coding::Gzip => Box::new(GzEncoder::new(out.clone(), Compression::fast())),
            Coding::Deflate => Box::new(ZlibEncoder::new(out.clone(), Compression::fast())),
            Coding::Zstd => Box::new(zstd::Encoder::new(out.clone(), 1)?.auto_finish()),
            Coding::Brotli => Box::new(brotli::CompressorWriter::new(out.clone(), 4_096, BROTLI.0, BROTLI.1)),
        };
        for part in parts.iter_mut() {
            encoder.write_all(&part.bytes)?;
            encoder.flush()?;
            part.bytes = out.0.take();
        }
        // Each of them writes its end when it is dropped.
        drop(encoder);
        parts.push(Part::of(out.0.take()));
        Ok(())
    }
}

/// Where an encoder writes, and we read.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
