//! A small HTTP/1.1 client that shows what is on the wire: blocking, one connection, no magic.
//!
//! No client library, because these hide what tests are about: framing, aborts, the moment an event came.

use super::incoming::{Incoming, Response};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

/// How long a read or write may take before the test fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one server. Requests reuse its connection as long as the server keeps it.
pub struct Client {
    address: SocketAddr,
    timeout: Duration,
    idle: Mutex<Option<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, timeout: TIMEOUT, idle: Mutex::new(None) }
    }

    /// The same, with another limit on each read and write.
    pub fn timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    pub fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str) -> Request<'_> {
        self.request("POST", path)
    }

    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let headers = vec![("host".to_owned(), self.address.to_string())];
        Request {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Vec::new(),
            chunk: None,
        }
    }

    /// Opens a connection of its own and writes bytes as they are.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Raw {
        let mut raw = Raw { stream: self.connect().expect("the server accepts connections") };
        raw.write(bytes);
        raw
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The idle connection, unless the server closed it meanwhile; else a new one.
    fn connection(&self) -> io::Result<TcpStream> {
        match self.idle.lock().unwrap().take() {
            Some(stream) if is_quiet(&stream) => Ok(stream),
            _ => self.connect(),
        }
    }
}

/// Whether a connection is open with nothing to read.
fn is_quiet(stream: &TcpStream) -> bool {
    let quiet = stream.set_nonblocking(true).is_ok()
        && stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    quiet && stream.set_nonblocking(false).is_ok()
}

/// A request in the making.
#[must_use]
pub struct Request<'a> {
    client: &'a Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunk: Option<usize>,
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body in chunks of that size instead of with a length.
    pub fn chunked(mut self, size: usize) -> Self {
        self.chunk = Some(size);
        self
    }

    /// Sends, and reads the whole answer.
    #[track_caller]
    pub fn send(self) -> Response {
        let what = format!("{} {}", self.method, self.path);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// As [`Request::send`], for tests where the connection may break before the header.
    pub fn try_send(self) -> io::Result<Response> {
        let client = self.client;
        let mut incoming = self.try_open()?;
        let response = incoming.rest();
        if let Some(stream) = incoming.into_idle() {
            *client.idle.lock().unwrap() = Some(stream);
        }
        Ok(response)
    }

    /// Sends, and reads the header only: the body is for the test to read as it comes.
    #[track_caller]
    pub fn open(self) -> Incoming {
        let what = format!("{} {}", self.method, self.path);
        self.try_open().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    fn try_open(self) -> io::Result<Incoming> {
        let mut stream = self.client.connection()?;
        let written = stream.write_all(&self.rendered());
        // A server may answer and close before it has read everything: its answer says more than our error.
        Incoming::read(stream, &self.method).map_err(|error| written.err().unwrap_or(error))
    }

    fn rendered(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let mut bytes = head.into_bytes();
        match self.chunk {
            Some(size) => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(size) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            None if self.body.is_empty() && self.method == "GET" => bytes.extend_from_slice(b"\r\n"),
            None => {
                let length = format!("content-length: {}\r\n\r\n", self.body.len());
                bytes.extend_from_slice(length.as_bytes());
                bytes.extend_from_slice(&self.body);
            }
        }
        bytes
    }
}

/// A connection on which the test writes what it likes.
pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Reads the next answer, which may be an interim one such as 100.
    #[track_caller]
    pub fn answer(&mut self) -> Response {
        let stream = self.stream.try_clone().expect("a second handle on the socket");
        Incoming::read(stream, "GET").expect("an answer").rest()
    }
}
