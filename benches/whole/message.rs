//! The messages of the bench: the requests that are sent, and how an answer is read to its end.

use cliproxy::domain::Dialect;
use std::net::SocketAddr;
use thiserror::Error;

/// The key that the load shows and the gateway asks for.
pub const CLIENT_KEY: &str = "sk-bench-client";

/// What the mock upstream does, by the model that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Answers in one piece.
    Plain,
    /// Streams many events, a pause between each.
    Stream,
    /// Streams a few events at once.
    Short,
    /// Streams one event, and then nothing until the client goes.
    Open,
}

impl Model {
    /// All of them.
    pub const ALL: [Model; 4] = [Model::Plain, Model::Stream, Model::Short, Model::Open];

    /// As requests have it.
    pub fn name(self) -> &'static str {
        match self {
            Model::Plain => "bench-plain",
            Model::Stream => "bench-stream",
            Model::Short => "bench-short",
            Model::Open => "bench-open",
        }
    }

    /// The same where a provider of that dialect is to answer.
    pub fn of(self, provider: Dialect) -> String {
        match provider {
            Dialect::OpenAi => self.name().to_owned(),
            other => format!("{}-{}", self.name(), other.name()),
        }
    }
}

/// In which API a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini's `generateContent`.
    Generate,
}

impl Client {
    fn path(self, model: &str, streams: bool) -> String {
        match self {
            Client::Chat => "/v1/chat/completions".to_owned(),
            Client::Responses => "/v1/responses".to_owned(),
            Client::Messages => "/v1/messages".to_owned(),
            Client::Generate if streams => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Client::Generate => format!("/v1beta/models/{model}:generateContent"),
        }
    }

    fn body(self, model: &str, streams: bool, text: &str) -> String {
        let message = format!(r#"[{{"role":"user","content":"{text}"}}]"#);
        let head = format!(r#""model":"{model}","stream":{streams}"#);
        match self {
            Client::Chat => format!(r#"{{{head},"messages":{message}}}"#),
            Client::Responses => format!(r#"{{{head},"input":{message}}}"#),
            Client::Messages => format!(r#"{{{head},"max_tokens":1024,"messages":{message}}}"#),
            Client::Generate => {
                format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]}}"#)
            }
        }
    }
}

/// A chat request of about that many bytes to that address, its header included.
pub fn request(to: SocketAddr, model: Model, body_bytes: usize) -> Vec<u8> {
    request_of(Client::Chat, Dialect::OpenAi, to, model, body_bytes)
}

/// The same of any client, before a provider of any dialect.
pub fn request_of(
    client: Client,
    provider: Dialect,
    to: SocketAddr,
    model: Model,
    body_bytes: usize,
) -> Vec<u8> {
    const SENTENCE: &str = r#"The \"quick\" brown fox jumps over the lazy dog.\n"#;
    let (name, streams) = (model.of(provider), model != Model::Plain);
    let text = SENTENCE.repeat(body_bytes.saturating_sub(100) / SENTENCE.len());
    let (path, body) = (client.path(&name, streams), client.body(&name, streams, &text));
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {CLIENT_KEY}\r\n\
         Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench/1\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Why an answer is none.
#[derive(Debug, Error)]
pub enum Bad {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
    /// It ended early.
    #[error("the connection was closed before the answer's end")]
    Closed,
    /// It isn't HTTP, or not of a kind that is expected here.
    #[error("not an answer that can be read: {0}")]
    Form(&'static str),
    /// It isn't 200.
    #[error("answered {0}")]
    Status(u16),
}

/// Where an answer's body ends.
enum End {
    /// After so many more bytes.
    Length(usize),
    /// With the last chunk, of which these are the last bytes that came.
    LastChunk([u8; 5]),
}

/// An answer on its way in. It is read as leanly as its being ours allows: no data of the mock's ends as the
/// last chunk does.
#[derive(Default)]
pub struct Answer {
    head: Vec<u8>,
    end: Option<End>,
    /// Server-sent events so far.
    pub events: u64,
    /// How much of a line's beginning that makes an event was read.
    begun: usize,
}

impl Answer {
    /// Takes in what was read, and says whether the answer is complete.
    ///
    /// # Errors
    /// When it isn't the answer that is expected: 200 with a length or chunked, and nothing behind it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, Bad> {
        if self.end.is_some() {
            return self.take_body(bytes);
        }
        self.head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let Ok(status) = parsed.parse(&self.head) else { return Err(Bad::Form("no HTTP")) };
        let httparse::Status::Complete(header_bytes) = status else { return Ok(false) };
        match parsed.code {
            Some(200) => {}
            other => return Err(Bad::Status(other.unwrap_or_default())),
        }
        self.end = Some(end(parsed.headers)?);
        let head = std::mem::take(&mut self.head);
        self.take_body(&head[header_bytes..])
    }

    /// Each event has one line of data, whatever its dialect ends lines with.
    fn count_events(&mut self, mut bytes: &[u8]) {
        const DATA: &[u8] = b"\ndata:";
        loop {
            if self.begun == 0 {
                let Some(line_end) = memchr::memchr(DATA[0], bytes) else { return };
                bytes = &bytes[line_end..];
            }
            let same = bytes.iter().zip(&DATA[self.begun..]).take_while(|(byte, data)| byte == data).count();
            self.begun += same;
            bytes = &bytes[same..];
            if self.begun == DATA.len() {
                self.events += 1;
            } else if bytes.is_empty() {
                return;
            }
            self.begun = 0;
        }
    }

    fn take_body(&mut self, bytes: &[u8]) -> Result<bool, Bad> {
        self.count_events(bytes);
        match &mut self.end {
            Some(End::Length(left)) => {
                *left = left.checked_sub(bytes.len()).ok_or(Bad::Form("more than its length"))?;
                Ok(*left == 0)
            }
            Some(End::LastChunk(tail)) => {
                let new = bytes.len().min(tail.len());
                tail.rotate_left(new);
                let old = tail.len() - new;
                tail[old..].copy_from_slice(&bytes[bytes.len() - new..]);
                Ok(tail == b"0\r\n\r\n")
            }
            None => Err(Bad::Form("no header")),
        }
    }
}

fn end(headers: &[httparse::Header<'_>]) -> Result<End, Bad> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(End::LastChunk([0; 5]));
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            return length.map(End::Length).ok_or(Bad::Form("a length that is none"));
        }
    }
    Err(Bad::Form("neither length nor chunks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds an answer in pieces of that many bytes; whether it was complete at its last, and its events.
    fn read(answer: &str, size: usize) -> (bool, u64) {
        let mut reading = Answer::default();
        let mut is_complete = false;
        for piece in answer.as_bytes().chunks(size) {
            assert!(!is_complete, "complete before its end");
            is_complete = reading.take(piece).unwrap();
        }
        (is_complete, reading.events)
    }

    #[test]
    fn answers_end_where_they_say_however_they_come() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                      9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";
        let crlf = stream.replace("1\n\n", "1\r\n\r\n").replace("\r\n9\r\ndata: 1", "\r\nb\r\ndata: 1");
        for size in 1..stream.len() {
            assert_eq!(read(plain, size), (true, 0));
            assert_eq!(read(stream, size), (true, 2));
            assert_eq!(read(&crlf, size), (true, 2));
        }
        assert!(!read(&stream[..stream.len() - 1], 7).0);
    }

    #[test]
    fn what_is_not_expected_is_refused() {
        let refused = |answer: &str| Answer::default().take(answer.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "answered 503");
        let long = refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab");
        assert_eq!(long, "not an answer that can be read: more than its length");
        assert!(refused("SSH-2.0\r\n").contains("no HTTP"));
    }

    #[test]
    fn requests_are_of_the_size_that_was_asked_for() {
        let to = SocketAddr::from(([127, 0, 0, 1], 1));
        for size in [2 << 10, 200 << 10] {
            let bytes = request(to, Model::Plain, size).len();
            assert!((size..size + 300).contains(&bytes), "{bytes}");
        }
    }
}
