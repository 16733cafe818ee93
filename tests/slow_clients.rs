//! Clients that take their time: a header has a deadline as a whole, an idle connection and a body do not.

use crate::support::{
    Authority, Gateway, H2Client, Launch, Provider, Question, Raw, eventually, tls_exchange,
};
use cliproxy::domain::Dialect;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

const HEADER_TIMEOUT: Duration = Duration::from_millis(300);
/// Long past the deadline, on a busy machine too.
const LATE: Duration = Duration::from_secs(5);

fn gateway(provider: &Provider) -> Gateway {
    let server = "server:\n  port: {port}\n  limits: {header_timeout: 300ms}\n";
    Gateway::start(&format!("{server}providers:\n{}", provider.yaml_with("only", &["models: [m, slow-1s]"])))
}

/// Sends byte after byte, one in a while, until the gateway closes; what it said, and when.
fn drip(raw: &mut Raw, bytes: &[u8], pause: Duration) -> (String, Duration) {
    let begun = Instant::now();
    raw.stream.set_read_timeout(Some(pause)).expect("a socket");
    let mut said = String::new();
    for byte in bytes {
        // The gateway may be gone.
        let _ = raw.stream.write_all(&[*byte]);
        match read(raw, &mut said) {
            Some(true) => {}
            Some(false) => return (said, begun.elapsed()),
            None => assert!(begun.elapsed() < LATE, "still open, with {said:?}"),
        }
    }
    panic!("all was sent");
}

/// Reads once: whether there is more to come, or nothing yet.
fn read(raw: &mut Raw, said: &mut String) -> Option<bool> {
    let mut buffer = [0; 1000];
    match raw.stream.read(&mut buffer) {
        Ok(0) => Some(false),
        Ok(read) => {
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
            Some(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(_) => Some(false),
    }
}

/// Says nothing for that long; the gateway says nothing either.
fn keep_silent(raw: &mut Raw, pause: Duration) {
    raw.stream.set_read_timeout(Some(pause)).expect("a socket");
    let mut said = String::new();
    assert_eq!(read(raw, &mut said), None, "{said}");
    raw.stream.set_read_timeout(Some(LATE)).expect("a socket");
}

const REQUEST: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn slow_header() -> String {
    format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: {}", "x".repeat(10_000))
}

#[test]
fn a_header_that_drips_in_is_cut_off_when_its_time_is_up() {
    let gateway = gateway(&Provider::openai());
    for pause in [Duration::from_millis(2), Duration::from_millis(100)] {
        let (said, after) = drip(&mut gateway.client().raw(""), slow_header().as_bytes(), pause);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(after >= HEADER_TIMEOUT, "{after:?}");
    }
}

#[test]
fn a_header_that_stops_halfway_is_answered_with_408() {
    let gateway = gateway(&Provider::openai());
    for begun in ["G", "GET /health HTTP/1.1\r\nhost: x", "\r\n", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let at = Instant::now();
        let mut raw = gateway.client().raw(begun);
        let answer = raw.answer();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")), "{begun}");
        assert!(at.elapsed() >= HEADER_TIMEOUT, "{begun}: {:?}", at.elapsed());
        assert_eq!(read(&mut raw, &mut String::new()), Some(false), "closed");
    }
}

#[test]
fn an_idle_connection_outlives_the_deadline_and_each_header_on_it_has_its_own() {
    let gateway = gateway(&Provider::openai());
    let mut raw = gateway.client().raw("");
    for _ in 0..2 {
        keep_silent(&mut raw, HEADER_TIMEOUT * 2);
        let (first, second) = REQUEST.split_at(10);
        raw.write(first);
        keep_silent(&mut raw, HEADER_TIMEOUT / 3);
        raw.write(second);
        raw.answer().expect(200);
    }
    // Two at once, of which one is whole.
    raw.write(format!("{REQUEST}{REQUEST}"));
    let mut said = String::new();
    while said.matches("HTTP/1.1 200").count() < 2 {
        read(&mut raw, &mut said);
    }
    let (said, after) = drip(&mut raw, slow_header().as_bytes(), Duration::from_millis(20));
    assert!(said.is_empty() || said.contains("HTTP/1.1 408 "), "{said}");
    assert!(after >= HEADER_TIMEOUT, "{after:?}");
}

#[test]
fn a_body_may_take_longer_than_a_header() {
    let provider = Provider::openai();
    let gateway = gateway(&provider);
    let body = Question::new(Dialect::OpenAi, "m").body().to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut raw = gateway.client().raw(head);
    for piece in body.as_bytes().chunks(body.len() / 2) {
        keep_silent(&mut raw, HEADER_TIMEOUT * 2);
        raw.write(piece);
    }
    raw.answer().expect(200);
}

#[test]
fn an_answer_may_take_longer_than_a_header() {
    let provider = Provider::openai();
    let gateway = gateway(&provider);
    let slow = Question::new(Dialect::OpenAi, "slow-1s");
    slow.to(&gateway.client()).send().expect(200);
}

#[tokio::test]
async fn http_2_is_watched_as_far_as_its_preface() {
    let gateway = gateway(&Provider::openai());
    let client = H2Client::connect(gateway.port()).await;
    tokio::time::sleep(HEADER_TIMEOUT * 2).await;
    let answer = client.send(http::Method::GET, "/health", &[], b"").await;
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn over_tls_the_same_holds() {
    let (authority, provider) = (Authority::new(), Provider::openai());
    let identity = authority.issue(&["127.0.0.1"]);
    let yaml = format!(
        "server:\n  port: {{port}}\n  limits: {{header_timeout: 300ms}}\n  tls: {{cert_file: {}, key_file: {}}}\nproviders:\n{}",
        identity.cert_file.display(),
        identity.key_file.display(),
        provider.yaml("only")
    );
    let gateway = Launch::new(&yaml).spawn();
    eventually("it listens", || std::net::TcpStream::connect(("127.0.0.1", gateway.port())).ok());
    let at = Instant::now();
    let said = tls_exchange(gateway.port(), &authority, &["http/1.1"], "GET /health HT").await;
    assert!(said.starts_with("HTTP/1.1 408 ") && at.elapsed() >= HEADER_TIMEOUT, "{said}");
    // Who agreed on HTTP/2 has to begin with it.
    for begun in ["", "PRI * HTTP"] {
        let at = Instant::now();
        let said = tls_exchange(gateway.port(), &authority, &["h2"], begun).await;
        assert!(!said.contains("408") && at.elapsed() >= HEADER_TIMEOUT, "{said:?}");
    }
}
