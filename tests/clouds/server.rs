//! A small server of HTTP/1.1, one request per connection, that a function answers.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long it waits for a request, so that no test hangs.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query as they came.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Whether the connection's end is the body's.
    pub until_close: bool,
}

impl Answer {
    pub fn json(status: u16, body: &serde_json::Value) -> Answer {
        let headers = vec![("content-type", "application/json".to_owned())];
        Answer { status, headers, body: body.to_string().into_bytes(), until_close: false }
    }
}

/// The server. It answers several requests at once.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Server {
        Server::over(None, answer)
    }

    /// Over TLS, if that is given.
    pub fn over(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (seen, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stop, answer) = (Arc::clone(&seen), Arc::clone(&stopped), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (kept, answer, tls) = (Arc::clone(&kept), Arc::clone(&answer), tls.clone());
                std::thread::spawn(move || converse(stream, tls, &kept, &*answer));
            }
        });
        Server { address, scheme, seen, stopped }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The requests so far whose path has this in it.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.contains(path)).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread.
        let _ = TcpStream::connect_timeout(&self.address, TIMEOUT);
    }
}

fn converse(
    mut stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    kept: &Mutex<Vec<Seen>>,
    answer: &impl Fn(&Seen) -> Answer,
) {
    let _ = stream.set_read_timeout(Some(TIMEOUT));
    let mut raw = stream.try_clone().expect("a second handle");
    match tls {
        None => serve(&mut stream, kept, answer),
        Some(tls) => {
            let mut stream = StreamOwned::new(ServerConnection::new(tls).expect("a session"), stream);
            serve(&mut stream, kept, answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
    let _ = raw.shutdown(Shutdown::Write);
    let mut rest = [0; 4096];
    while raw.read(&mut rest).is_ok_and(|read| read > 0) {}
}

fn serve(stream: &mut (impl Read + Write), kept: &Mutex<Vec<Seen>>, answer: &impl Fn(&Seen) -> Answer) {
    let Some(seen) = read(stream) else { return };
    kept.lock().unwrap().push(seen.clone());
    let answer = answer(&seen);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !answer.until_close {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    // A client that has gone needs no answer.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&answer.body);
    let _ = stream.flush();
}

/// Reads a request with a length.
fn read(stream: &mut impl Read) -> Option<Seen> {
    let mut bytes = Vec::new();
    let (mut seen, start, length) = loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(start)) = head.parse(&bytes) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<_> =
                head.headers.iter().map(|header| (header.name.to_lowercase(), text(header.value))).collect();
            let (method, path) = (head.method?.to_owned(), head.path?.to_owned());
            let seen = Seen { method, path, headers, body: Vec::new() };
            let length = seen.header("content-length").map_or(0, |it| it.parse().expect("a length"));
            break (seen, start, length);
        }
        read_more(stream, &mut bytes)?;
    };
    while bytes.len() < start + length {
        read_more(stream, &mut bytes)?;
    }
    seen.body = bytes[start..start + length].to_vec();
    Some(seen)
}

fn read_more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 << 10];
    let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&buffer[..read]);
    Some(())
}
