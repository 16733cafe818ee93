//! Answers onto the wire: whole with a length, or in pieces as chunks.

use super::reading::Request;
use super::{Connection, Gone};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How an answer's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Framing {
    /// By a stated length, right or wrong.
    Length(usize),
    Chunked,
    UntilClose,
}

impl Connection {
    /// Writes an answer whose body is known. Says whether the connection can be used again.
    pub(in crate::simulator) async fn write_whole(
        &mut self,
        request: &Request,
        head: &Head<'_>,
        body: &[u8],
    ) -> Result<bool, Gone> {
        let keep = request.keeps_alive();
        self.begin_with_length(head, keep, body.len());
        if request.method != "HEAD" {
            self.out.extend_from_slice(body);
        }
        self.flush().await?;
        Ok(keep)
    }

    /// Begins an answer that comes in pieces.
    pub(in crate::simulator) fn begin_pieces(&mut self, request: &Request, head: &Head<'_>) -> Pieces<'_> {
        let framing = if request.is_http11 { Framing::Chunked } else { Framing::UntilClose };
        self.begin_framed(head, framing, request.keeps_alive())
    }

    /// The same, with a framing of the caller's choice.
    pub(in crate::simulator) fn begin_framed(
        &mut self,
        head: &Head<'_>,
        framing: Framing,
        keep: bool,
    ) -> Pieces<'_> {
        match framing {
            Framing::Length(length) => self.begin_with_length(head, keep, length),
            Framing::Chunked => {
                self.begin(head, keep);
                self.out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            }
            Framing::UntilClose => {
                self.begin(head, keep);
                self.out.extend_from_slice(b"\r\n");
            }
        }
        Pieces { connection: self, framing, keep }
    }

    /// Writes the header of an answer that has no body in HTTP's sense.
    pub(in crate::simulator) async fn write_head(&mut self, head: &Head<'_>) -> Result<(), Gone> {
        self.begin(head, true);
        self.out.extend_from_slice(b"\r\n");
        self.flush().await
    }

    /// The whole header of an answer of known length.
    fn begin_with_length(&mut self, head: &Head<'_>, keep: bool, length: usize) {
        self.begin(head, keep);
        let mut digits = [0; 20];
        self.out.extend_from_slice(b"content-length: ");
        self.out.extend_from_slice(decimal(length, &mut digits));
        self.out.extend_from_slice(b"\r\n\r\n");
    }

    fn begin(&mut self, head: &Head<'_>, keep: bool) {
        let mut digits = [0; 20];
        self.out.clear();
        self.out.extend_from_slice(b"HTTP/1.1 ");
        self.out.extend_from_slice(decimal(usize::from(head.status), &mut digits));
        self.out.extend_from_slice(b" ");
        let status = http::StatusCode::from_u16(head.status).ok();
        let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("Unknown");
        self.out.extend_from_slice(reason.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        for (name, value) in head.headers {
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(value.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
        if !keep {
            self.out.extend_from_slice(b"connection: close\r\n");
        }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let written = self.stream.write_all(&self.out).await;
        self.out.clear();
        Ok(written?)
    }
}

/// An answer's status and headers, but for those that frame its body.
pub(in crate::simulator) struct Head<'a> {
    pub(in crate::simulator) status: u16,
    pub(in crate::simulator) headers: &'a [(&'static str, String)],
}

/// An answer that is being written in pieces. Nothing is sent before the first [`Pieces::flush`].
pub(in crate::simulator) struct Pieces<'a> {
    connection: &'a mut Connection,
    framing: Framing,
    keep: bool,
}

impl Pieces<'_> {
    /// Adds a piece, which is one chunk.
    pub(in crate::simulator) fn add(&mut self, bytes: &[u8]) {
        let out = &mut self.connection.out;
        match self.framing {
            Framing::Chunked => {
                let mut digits = [0; 16];
                out.extend_from_slice(hexadecimal(bytes.len(), &mut digits));
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Length(_) | Framing::UntilClose => out.extend_from_slice(bytes),
        }
    }

    /// Bytes that were added and not sent.
    pub(in crate::simulator) fn pending(&self) -> usize {
        self.connection.out.len()
    }

    /// Sends what was added.
    pub(in crate::simulator) async fn flush(&mut self) -> Result<(), Gone> {
        self.connection.flush().await
    }

    /// Sends what was added, each byte in a write of its own.
    pub(in crate::simulator) async fn flush_by_byte(&mut self) -> Result<(), Gone> {
        let bytes = std::mem::take(&mut self.connection.out);
        for byte in bytes {
            self.connection.write_raw(&[byte]).await?;
        }
        Ok(())
    }

    /// Sends what was added, waits, and watches the client meanwhile.
    pub(in crate::simulator) async fn pause(&mut self, wait: Duration) -> Result<(), Gone> {
        self.connection.flush().await?;
        self.connection.pause(wait).await
    }

    /// Ends the answer. Says whether the connection can be used again.
    pub(in crate::simulator) async fn end(self) -> Result<bool, Gone> {
        self.end_with("").await
    }

    /// Ends the answer with these trailers, each with its line end; only chunked answers can have any.
    pub(in crate::simulator) async fn end_with(self, trailers: &str) -> Result<bool, Gone> {
        if self.framing == Framing::Chunked {
            for part in ["0\r\n", trailers, "\r\n"] {
                self.connection.out.extend_from_slice(part.as_bytes());
            }
        }
        self.connection.flush().await?;
        Ok(self.keep && self.framing != Framing::UntilClose)
    }
}

/// Digits without an allocation; `digits` must have room for them.
fn decimal(number: usize, digits: &mut [u8; 20]) -> &[u8] {
    written(number, 10, digits)
}

fn hexadecimal(number: usize, digits: &mut [u8; 16]) -> &[u8] {
    written(number, 16, digits)
}

fn written(mut number: usize, base: usize, digits: &mut [u8]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[number % base];
        number /= base;
        if number == 0 {
            return &digits[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_both_bases() {
        assert_eq!(decimal(0, &mut [0; 20]), b"0");
        assert_eq!(decimal(usize::MAX, &mut [0; 20]), usize::MAX.to_string().as_bytes());
        assert_eq!(hexadecimal(65_535, &mut [0; 16]), b"ffff");
        assert_eq!(hexadecimal(usize::MAX, &mut [0; 16]), format!("{:x}", usize::MAX).as_bytes());
    }
}
