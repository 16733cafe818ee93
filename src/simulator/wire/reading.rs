//! Requests off the wire: the header, and a body of either framing, within bounds.

use super::Connection;
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::AsyncWriteExt;

/// Bytes of a request's first line and headers.
pub const MAX_HEADER: usize = 64 << 10;

/// Bytes of a request's body.
pub const MAX_BODY: usize = 64 << 20;

/// Headers, and trailers, of one request.
const MAX_HEADERS: usize = 128;

/// Bytes of one chunk's size line, or of one trailer line.
const MAX_CHUNK_LINE: usize = 1 << 10;

const BAD_CHUNK: ReadError = ReadError::Refused(400, "the chunked body is malformed");

/// A request, read whole.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Request {
    pub(in crate::simulator) method: String,
    pub(in crate::simulator) path: String,
    pub(in crate::simulator) query: String,
    /// Names in lower case, in the order of arrival.
    pub(in crate::simulator) headers: Vec<(String, String)>,
    pub(in crate::simulator) body: Bytes,
    /// Whether the client speaks HTTP/1.1 and so understands chunks.
    pub(in crate::simulator) is_http11: bool,
    /// What made the [`Watch`] end the reading, the rest of the body being still on its way.
    pub(in crate::simulator) stopped_by: Option<&'static str>,
}

/// Looks at a request whose body isn't whole yet, given its header and what has come of the body, and may
/// name a reason to read no further.
pub(in crate::simulator) type Watch = fn(&Request, &[u8]) -> Option<&'static str>;

/// Bytes of a body that a [`Watch`] looks at.
const MAX_WATCHED: usize = 64 << 10;

impl Request {
    /// The first header of that name, given in lower case.
    pub(in crate::simulator) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header's comma-separated list has that word.
    pub(in crate::simulator) fn header_has(&self, name: &str, word: &str) -> bool {
        let lists = self.headers.iter().filter(|(have, _)| have == name);
        lists.flat_map(|(_, list)| list.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    /// The value of a query parameter, as it is written.
    pub(in crate::simulator) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(in crate::simulator) fn keeps_alive(&self) -> bool {
        self.is_http11 && !self.header_has("connection", "close")
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub(in crate::simulator) enum ReadError {
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

enum BodyLength {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Reads the next request. Without one, the error is [`ReadError::Closed`].
    pub(in crate::simulator) async fn next_request(&mut self) -> Result<Request, ReadError> {
        let mut request = loop {
            if let Some(request) = self.take_head()? {
                break request;
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
            BodyLength::Known(length) => self.take_into(&mut body, length, &mut request).await,
            BodyLength::Chunked => self.take_chunks(&mut body, &mut request).await,
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
            Ok(httparse::Status::Complete(length)) if length <= MAX_HEADER => length,
            Ok(httparse::Status::Partial) if self.unread.len() < MAX_HEADER => return Ok(None),
            Ok(_) => return Err(ReadError::Refused(431, "the header is too large")),
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
            stopped_by: None,
        };
        let _ = self.unread.split_to(length);
        Ok(Some(request))
    }

    /// Moves exactly `length` bytes of body from the buffer, and then from the socket; fewer if the [`Watch`]
    /// has seen enough.
    async fn take_into(
        &mut self,
        body: &mut BytesMut,
        length: usize,
        request: &mut Request,
    ) -> Result<(), ReadError> {
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
            if body.len() <= MAX_WATCHED {
                request.stopped_by = (self.watch)(request, body);
                if request.stopped_by.is_some() {
                    return Ok(());
                }
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }

    async fn take_chunks(&mut self, body: &mut BytesMut, request: &mut Request) -> Result<(), ReadError> {
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
            self.take_into(body, size, request).await?;
            if request.stopped_by.is_some() {
                return Ok(());
            }
            if !matches!(&self.take_line().await?[..], b"\r\n") {
                return Err(BAD_CHUNK);
            }
        }
        for _ in 0..=MAX_HEADERS {
            if matches!(&self.take_line().await?[..], b"\r\n") {
                return Ok(());
            }
        }
        Err(ReadError::Refused(431, "there are too many trailers"))
    }

    /// Takes a line with its end.
    async fn take_line(&mut self) -> Result<BytesMut, ReadError> {
        loop {
            let seen = self.unread.len().min(MAX_CHUNK_LINE);
            if let Some(end) = memchr::memchr(b'\n', &self.unread[..seen]) {
                return Ok(self.unread.split_to(end + 1));
            }
            if seen == MAX_CHUNK_LINE {
                return Err(BAD_CHUNK);
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Closed);
            }
        }
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
    fn parameters_and_lists_are_found() {
        let mut request = request(&[("connection", "keep-alive, Upgrade")]);
        request.query = "alt=sse&key=k".to_owned();
        assert_eq!((request.parameter("key"), request.parameter("al")), (Some("k"), None));
        assert!(request.header_has("connection", "upgrade") && !request.header_has("connection", "up"));
    }
}
