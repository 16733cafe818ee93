//! HTTP/1.1 as bytes on a socket: reads requests, writes answers, whole or in pieces.
//!
//! By hand rather than by a server library, so that every misbehaviour on the wire stays possible.
//! Knows nothing of dialects or of what an answer means.

use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes of a request's first line and headers.
pub const MAX_HEADER: usize = 64 << 10;

/// Bytes of a request's body.
pub const MAX_BODY: usize = 64 << 20;

/// Headers of one request.
const MAX_HEADERS: usize = 128;

/// Bytes that a client may send ahead while it is being answered; beyond that we stop reading.
const MAX_AHEAD: usize = 64 << 10;

/// Bytes of one chunk's size line, or of one trailer line.
const MAX_CHUNK_LINE: usize = 1 << 10;

/// How long, and how many times, a client that was turned down is still read from.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_READS: usize = 4_096;

const READ_SIZE: usize = 16 << 10;

/// A request, read whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// Names in lower case, in the order of arrival.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// Whether the client speaks HTTP/1.1 and so understands chunks.
    pub(super) is_http11: bool,
}

impl Request {
    /// The first header of that name, given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header's comma-separated list has that word.
    pub(super) fn header_has(&self, name: &str, word: &str) -> bool {
        let lists = self.headers.iter().filter(|(have, _)| have == name);
        lists.flat_map(|(_, list)| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    /// The value of a query parameter, as it is written.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    fn keeps_alive(&self) -> bool {
        self.is_http11 && !self.header_has("connection", "close")
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client broke HTTP's rules or our bounds: to be answered with this status, then closed.
    Refused(u16, &'static str),
    /// The client closed, or the connection broke, inside a request whose header had come.
    Torn(Box<Request>),
    /// The client closed, or the connection broke, before a header had come.
    Closed,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> ReadError {
        ReadError::Closed
    }
}

/// The client closed, or the connection broke.
#[derive(Debug)]
pub(super) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Gone {
        Gone
    }
}

/// How an answer's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Chunked,
    UntilClose,
}

enum BodyLength {
    Known(usize),
    Chunked,
}

/// One client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Read, but not yet part of a request.
    unread: BytesMut,
    /// Where answers are put together, so that a small one is one write.
    out: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection { stream, unread: BytesMut::new(), out: Vec::new() }
    }

    /// Reads the next request. Without one, the error is [`ReadError::Closed`].
    pub(super) async fn next_request(&mut self) -> Result<Request, ReadError> {
        let mut request = loop {
            if let Some(request) = self.take_head()? {
                break request;
            }
            if self.unread.len() >= MAX_HEADER {
                return Err(ReadError::Refused(431, "the header is too large"));
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Closed);
            }
        };
        let length = body_length(&request)?;
        if let BodyLength::Known(0) = length {
            return Ok(request);
        }
        if self.unread.is_empty() && request.header_has("expect", "100-continue") {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = BytesMut::new();
        let read = match length {
            BodyLength::Known(length) => self.take_into(&mut body, length).await,
            BodyLength::Chunked => self.take_chunks(&mut body).await,
        };
        request.body = body.freeze();
        match read {
            Ok(()) => Ok(request),
            Err(ReadError::Closed) => Err(ReadError::Torn(Box::new(request))),
            Err(refused) => Err(refused),
        }
    }

    /// Takes a request's first line and headers off the buffer, if they are all there.
    fn take_head(&mut self) -> Result<Option<Request>, ReadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(&self.unread) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ReadError::Refused(431, "there are too many headers"));
            }
            Err(_) => return Err(ReadError::Refused(400, "this is no HTTP/1.1 request")),
        };
        let target = head.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: head.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: head
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    (header.name.to_ascii_lowercase(), value)
                })
                .collect(),
            body: Bytes::new(),
            is_http11: head.version == Some(1),
        };
        let _ = self.unread.split_to(length);
        Ok(Some(request))
    }

    /// Moves exactly `length` bytes of body from the buffer, and then from the socket.
    async fn take_into(&mut self, body: &mut BytesMut, length: usize) -> Result<(), ReadError> {
        if body.is_empty() && self.unread.len() >= length {
            *body = self.unread.split_to(length);
            return Ok(());
        }
        let mut missing = length;
        loop {
            let part = self.unread.split_to(missing.min(self.unread.len()));
            missing -= part.len();
            body.extend_from_slice(&part);
            if missing == 0 {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }

    async fn take_chunks(&mut self, body: &mut BytesMut) -> Result<(), ReadError> {
        const BAD_CHUNK: ReadError = ReadError::Refused(400, "the chunked body is malformed");
        loop {
            let line = self.take_line().await?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
                return Err(BAD_CHUNK);
            };
            if size == 0 {
                break;
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > MAX_BODY - body.len() {
                return Err(ReadError::Refused(413, "the body is too large"));
            }
            self.take_into(body, size).await?;
            if !matches!(&self.take_line().await?[..], b"\r\n") {
                return Err(BAD_CHUNK);
            }
        }
        // Trailers, up to the empty line.
        while !matches!(&self.take_line().await?[..], b"\r\n") {}
        Ok(())
    }

    /// Takes a line with its end.
    async fn take_line(&mut self) -> Result<BytesMut, ReadError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                return Ok(self.unread.split_to(end + 1));
            }
            if self.unread.len() > MAX_CHUNK_LINE {
                return Err(ReadError::Refused(400, "the chunked body is malformed"));
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }

    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_SIZE);
        self.stream.read_buf(&mut self.unread).await
    }

    /// What has been read and belongs to no request yet.
    pub(super) fn unread(&mut self) -> &mut BytesMut {
        &mut self.unread
    }

    /// Waits, and watches the client meanwhile: one that closes (even its sending half only) is gone.
    pub(super) async fn pause(&mut self, wait: Duration) -> Result<(), Gone> {
        if wait.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + wait;
        while self.unread.len() < MAX_AHEAD {
            match tokio::time::timeout_at(until, self.fill()).await {
                Err(_) => return Ok(()),
                Ok(Ok(read)) if read > 0 => {}
                Ok(_) => return Err(Gone),
            }
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Breaks the connection with a TCP reset.
    pub(super) fn reset(self) {
        // Without it, the close below is an orderly one: all that can be done about it is nothing.
        let _ = self.stream.set_zero_linger();
    }

    /// Writes an answer whose body is known. Says whether the connection can be used again.
    pub(super) async fn write_whole(
        &mut self,
        request: &Request,
        head: &Head<'_>,
        body: &[u8],
    ) -> Result<bool, Gone> {
        let keep = request.keeps_alive();
        self.begin(head, keep);
        let mut digits = [0; 20];
        self.out.extend_from_slice(b"content-length: ");
        self.out.extend_from_slice(decimal(body.len(), &mut digits));
        self.out.extend_from_slice(b"\r\n\r\n");
        if request.method != "HEAD" {
            self.out.extend_from_slice(body);
        }
        self.flush().await?;
        Ok(keep)
    }

    /// Writes the header of an answer that comes in pieces.
    pub(super) async fn begin_pieces(
        &mut self,
        request: &Request,
        head: &Head<'_>,
    ) -> Result<Pieces<'_>, Gone> {
        let keep = request.keeps_alive();
        self.begin(head, keep);
        let framing = if request.is_http11 { Framing::Chunked } else { Framing::UntilClose };
        if framing == Framing::Chunked {
            self.out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
        Ok(Pieces { connection: self, framing, keep })
    }

    /// Writes the header of an answer that has no body in HTTP's sense.
    pub(super) async fn write_head(&mut self, head: &Head<'_>) -> Result<(), Gone> {
        self.begin(head, true);
        self.out.extend_from_slice(b"\r\n");
        self.flush().await
    }

    /// Reads what a client that was turned down still sends, for a while: closing with unread bytes would
    /// reset the connection, and the client might lose the answer.
    pub(super) async fn drain(&mut self) {
        let _ = self.stream.shutdown().await;
        let drained = async {
            for _ in 0..DRAIN_READS {
                self.unread.clear();
                if self.fill().await.is_ok_and(|read| read == 0) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
    }

    /// Writes bytes as they are.
    pub(super) async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        Ok(self.stream.write_all(bytes).await?)
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
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [(&'static str, String)],
}

/// An answer that is being written in pieces. Nothing is sent before the first [`Pieces::flush`].
pub(super) struct Pieces<'a> {
    connection: &'a mut Connection,
    framing: Framing,
    keep: bool,
}

impl Pieces<'_> {
    /// Adds a piece, which is one chunk.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let out = &mut self.connection.out;
        match self.framing {
            Framing::Chunked => {
                let mut digits = [0; 16];
                out.extend_from_slice(hexadecimal(bytes.len(), &mut digits));
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => out.extend_from_slice(bytes),
        }
    }

    /// Bytes that were added and not sent.
    pub(super) fn pending(&self) -> usize {
        self.connection.out.len()
    }

    /// Sends what was added.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        self.connection.flush().await
    }

    /// Sends what was added, waits, and watches the client meanwhile.
    pub(super) async fn pause(&mut self, wait: Duration) -> Result<(), Gone> {
        self.connection.flush().await?;
        self.connection.pause(wait).await
    }

    /// Ends the answer. Says whether the connection can be used again.
    pub(super) async fn end(self) -> Result<bool, Gone> {
        if self.framing == Framing::Chunked {
            self.connection.out.extend_from_slice(b"0\r\n\r\n");
        }
        self.connection.flush().await?;
        Ok(self.keep && self.framing == Framing::Chunked)
    }
}

fn body_length(request: &Request) -> Result<BodyLength, ReadError> {
    const CONFLICT: ReadError = ReadError::Refused(400, "the body's length is stated in conflicting ways");
    let mut lengths = request.headers.iter().filter(|(name, _)| name == "content-length");
    let length = lengths.next().map(|(_, value)| value.as_str());
    if lengths.any(|(_, other)| Some(other.as_str()) != length) {
        return Err(CONFLICT);
    }
    match (request.header("transfer-encoding"), length) {
        (Some(_), Some(_)) => Err(CONFLICT),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(BodyLength::Chunked),
        (Some(_), None) => Err(ReadError::Refused(501, "this transfer coding is not known")),
        (None, None) => Ok(BodyLength::Known(0)),
        (None, Some(length)) => match length.parse() {
            Ok(length) if length <= MAX_BODY => Ok(BodyLength::Known(length)),
            Ok(_) => Err(ReadError::Refused(413, "the body is too large")),
            Err(_) => Err(ReadError::Refused(400, "the content-length is no number")),
        },
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

    fn request(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { headers, is_http11: true, ..Request::default() }
    }

    fn refused(headers: &[(&str, &str)]) -> Option<u16> {
        match body_length(&request(headers)) {
            Err(ReadError::Refused(status, _)) => Some(status),
            _ => None,
        }
    }

    #[test]
    fn conflicting_lengths_are_refused() {
        assert_eq!(refused(&[("content-length", "1"), ("content-length", "2")]), Some(400));
        assert_eq!(refused(&[("content-length", "1"), ("transfer-encoding", "chunked")]), Some(400));
        assert_eq!(refused(&[("content-length", "-1")]), Some(400));
        assert_eq!(refused(&[("transfer-encoding", "gzip")]), Some(501));
        assert_eq!(refused(&[("content-length", "2"), ("content-length", "2")]), None);
    }

    #[test]
    fn a_body_is_bounded() {
        assert_eq!(refused(&[("content-length", &MAX_BODY.to_string())]), None);
        assert_eq!(refused(&[("content-length", &(MAX_BODY + 1).to_string())]), Some(413));
    }

    #[test]
    fn numbers_are_written_in_both_bases() {
        assert_eq!(decimal(0, &mut [0; 20]), b"0");
        assert_eq!(decimal(usize::MAX, &mut [0; 20]), usize::MAX.to_string().as_bytes());
        assert_eq!(hexadecimal(65_535, &mut [0; 16]), b"ffff");
        assert_eq!(hexadecimal(usize::MAX, &mut [0; 16]), format!("{:x}", usize::MAX).as_bytes());
    }

    #[test]
    fn parameters_and_lists_are_found() {
        let mut request = request(&[("connection", "keep-alive, Upgrade")]);
        request.query = "alt=sse&key=k".to_owned();
        assert_eq!((request.parameter("key"), request.parameter("al")), (Some("k"), None));
        assert!(request.header_has("connection", "upgrade") && !request.header_has("connection", "up"));
    }
}
