//! An answer as it comes in: header first, then the body by pieces or events, then how it ended.

use serde_json::Value;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// As its framing promised.
    Clean,
    /// The connection closed before that.
    Aborted,
}

/// How a body is delimited, with what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: BodyEnd,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} with no JSON ({error}): {}", self.status, self.text()))
    }

    /// The answer itself, if its status is the expected one; else the test fails and shows the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// A server-sent event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its `event:` field; empty if there was none.
    pub name: String,
    pub data: String,
    /// When its last byte was read.
    pub at: Instant,
}

impl Event {
    /// The events that are whole in these bytes.
    pub fn all(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((length, gap)) = event_end(bytes) {
            events.push(event(&String::from_utf8_lossy(&bytes[..length])));
            bytes = &bytes[length + gap..];
        }
        events
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

/// An answer whose header is read.
pub struct Incoming {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    stream: TcpStream,
    framing: Framing,
    unread: Vec<u8>,
    /// Decoded, but not yet taken as events.
    undelivered: Vec<u8>,
    end: Option<BodyEnd>,
}

impl Incoming {
    pub(super) fn read(stream: TcpStream, method: &str) -> io::Result<Incoming> {
        let mut incoming = Incoming {
            status: 0,
            headers: Vec::new(),
            stream,
            framing: Framing::UntilClose,
            unread: Vec::new(),
            undelivered: Vec::new(),
            end: None,
        };
        while !incoming.take_head()? {
            if incoming.fill()? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed before the header"));
            }
        }
        let has_body = method != "HEAD" && incoming.status >= 200 && ![204, 304].contains(&incoming.status);
        let length = incoming.header("content-length").and_then(|length| length.parse().ok());
        incoming.framing = match (has_body, incoming.header("transfer-encoding"), length) {
            (false, ..) => Framing::Length(0),
            (true, Some("chunked"), _) => Framing::Chunked,
            (true, _, Some(length)) => Framing::Length(length),
            (true, _, None) => Framing::UntilClose,
        };
        Ok(incoming)
    }

    fn take_head(&mut self) -> io::Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut head = httparse::Response::new(&mut headers);
        let parsed =
            head.parse(&self.unread).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(false) };
        self.status = head.code.unwrap_or_default();
        let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.headers =
            head.headers.iter().map(|header| (header.name.to_lowercase(), value(header.value))).collect();
        self.unread.drain(..length);
        Ok(true)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads until the next event is whole; none once the body is over.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some((length, gap)) = event_end(&self.undelivered) {
                let text = String::from_utf8_lossy(&self.undelivered[..length]).into_owned();
                self.undelivered.drain(..length + gap);
                return Some(event(&text));
            }
            let more = self.next_bytes()?;
            self.undelivered.extend_from_slice(&more);
        }
    }

    /// Reads all events that are still to come.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.next_event()).collect()
    }

    /// How the body ended; none as long as it hasn't.
    pub fn end(&self) -> Option<BodyEnd> {
        self.end
    }

    /// Closes the connection at once, as a client does that loses interest.
    pub fn vanish(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(super) fn rest(&mut self) -> Response {
        let mut body = std::mem::take(&mut self.undelivered);
        while let Some(bytes) = self.next_bytes() {
            body.extend_from_slice(&bytes);
        }
        let (headers, end) = (self.headers.clone(), self.end.unwrap_or(BodyEnd::Aborted));
        Response { status: self.status, headers, body, end }
    }

    /// The connection, if another request may follow on it.
    pub(super) fn into_idle(self) -> Option<TcpStream> {
        let closes = self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let ended = self.end == Some(BodyEnd::Clean) && self.framing != Framing::UntilClose;
        (ended && !closes && self.unread.is_empty()).then_some(self.stream)
    }

    /// The next bytes of the body, without framing; none once it is over.
    pub fn next_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.end.is_some() {
                return None;
            }
            let taken = match self.framing {
                Framing::Length(left) => self.take_of_length(left),
                Framing::Chunked => self.take_chunk(),
                Framing::UntilClose => Some(std::mem::take(&mut self.unread)),
            };
            match taken {
                Some(bytes) if !bytes.is_empty() => return Some(bytes),
                _ if self.end.is_some() => return None,
                _ => self.fill_or_end(),
            }
        }
    }

    fn take_of_length(&mut self, left: usize) -> Option<Vec<u8>> {
        let bytes: Vec<u8> = self.unread.drain(..left.min(self.unread.len())).collect();
        self.framing = Framing::Length(left - bytes.len());
        if left == 0 {
            self.end = Some(BodyEnd::Clean);
        }
        Some(bytes)
    }

    /// A whole chunk, if it is there. The last one ends the body.
    fn take_chunk(&mut self) -> Option<Vec<u8>> {
        let httparse::Status::Complete((start, size)) =
            httparse::parse_chunk_size(&self.unread).expect("a well-formed chunk size")
        else {
            return None;
        };
        let size = usize::try_from(size).expect("a chunk that fits in memory");
        let whole = start + size + 2;
        if self.unread.len() < whole {
            return None;
        }
        assert_eq!(&self.unread[start + size..whole], b"\r\n", "a chunk ends with an empty line");
        let chunk = self.unread[start..start + size].to_vec();
        self.unread.drain(..whole);
        if size == 0 {
            self.end = Some(BodyEnd::Clean);
        }
        Some(chunk)
    }

    /// Reads more. A close is clean only where it is the framing; a reset never is; a timeout fails the test.
    fn fill_or_end(&mut self) {
        match self.fill() {
            Ok(read) if read > 0 => {}
            Ok(_) if self.framing == Framing::UntilClose => self.end = Some(BodyEnd::Clean),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the body stalled after {} with {:?}", self.status, self.framing)
            }
            Ok(_) | Err(_) => self.end = Some(BodyEnd::Aborted),
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 << 10];
        let read = self.stream.read(&mut buffer)?;
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
}

/// Where the first event ends, and the length of the empty line after it.
fn event_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let ends = [&b"\n\n"[..], b"\r\n\r\n"];
    let found = ends.map(|end| memchr::memmem::find(bytes, end).map(|at| (at, end.len())));
    found.into_iter().flatten().min()
}

fn event(text: &str) -> Event {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
    };
    Event { name: field("event"), data: field("data"), at: Instant::now() }
}
