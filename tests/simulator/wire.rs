//! HTTP itself: bodies of every framing, keep-alive, bounds, pass-through, WebSockets.

use crate::support::{BodyEnd, Client};
use cliproxy::simulator::{Ending, MAX_BODY, MAX_HEADER, Options, Simulator};
use serde_json::json;
use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

/// A body whose every part is different, so that a lost or doubled part shows.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn bodies_arrive_whole_with_a_length_and_in_chunks() {
    let (simulator, client) = simulator();
    for length in [1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 8 << 20] {
        for chunk in [None, Some(1_000), Some(64 << 10), Some(64 << 20)] {
            let sent = body(length);
            let request = client.post("/v1/files").body(sent.clone());
            let request = if let Some(size) = chunk { request.chunked(size) } else { request };
            assert_eq!(request.send().expect(200).json()["body_length"], length, "in chunks of {chunk:?}");
            let received = simulator.transcript();
            assert!(received[received.len() - 1].body == sent, "{length} in chunks of {chunk:?}");
        }
    }
    assert_eq!(simulator.accepted_connections(), 1, "one connection served them all");
}

#[test]
fn one_byte_at_a_time_is_a_request_too() {
    let (simulator, client) = simulator();
    let mut raw = client.raw("");
    let text = "POST /v1/files/f?x=1 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n\
        3;name=value\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: t\r\n\r\n";
    for byte in text.bytes() {
        raw.write([byte]);
    }
    assert_eq!(raw.answer().json()["body_length"], 5);
    let received = &simulator.transcript()[0];
    assert_eq!((received.path.as_str(), received.query.as_str()), ("/v1/files/f", "x=1"));
    assert_eq!(&received.body[..], b"abcde");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (simulator, client) = simulator();
    let one = "GET /v1/files/1 HTTP/1.1\r\nhost: h\r\n\r\n";
    let two = "POST /v1/files/2 HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let mut raw = client.raw([one, two].concat());
    let mut text = String::new();
    raw.stream.read_to_string(&mut text).expect("both answers");
    let places = ["/v1/files/1", "/v1/files/2"].map(|path| text.find(path).expect("both answers"));
    assert!(places[0] < places[1]);
    assert_eq!(simulator.requests(), 2);
}

#[test]
fn an_expected_continue_comes_before_the_body() {
    let (_simulator, client) = simulator();
    let mut raw =
        client.raw("POST /v1/files HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(raw.answer().status, 100);
    raw.write("ok");
    assert_eq!(raw.answer().expect(200).json()["body_length"], 2);
}

#[test]
fn older_clients_get_no_chunks_and_a_close() {
    let (_simulator, client) = simulator();
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]}).to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = client.raw(head + &body).answer().expect(200);
    assert_eq!((answer.header("transfer-encoding"), answer.header("connection")), (None, Some("close")));
    assert_eq!(answer.end, BodyEnd::Clean);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_head_has_the_headers_and_no_body() {
    let (_simulator, client) = simulator();
    for _ in 0..2 {
        let answer = client.request("HEAD", "/v1/models").send().expect(200);
        assert!(answer.header("content-length").is_some() && answer.body.is_empty());
    }
}

#[test]
fn headers_and_bodies_beyond_their_bounds_are_refused() {
    let (_simulator, client) = simulator();
    let padded = |length: usize| {
        let head = "GET /v1/models HTTP/1.1\r\nhost: h\r\nx-pad: ";
        format!("{head}{}\r\n\r\n", "x".repeat(length - head.len() - 4))
    };
    assert_eq!(client.raw(padded(MAX_HEADER)).answer().status, 200);
    assert_eq!(client.raw(padded(MAX_HEADER + 1)).answer().status, 431);

    let announced = |length: usize| {
        format!(
            "POST /v1/files HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    assert_eq!(client.raw(announced(MAX_BODY)).answer().status, 100);
    assert_eq!(client.raw(announced(MAX_BODY + 1)).answer().status, 413);
}

#[test]
fn what_is_no_http_is_refused() {
    let (_simulator, client) = simulator();
    let chunked = "POST /v1/files HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (bytes, status) in [
        ("\u{16}\u{3}\u{1} hello\r\n\r\n".to_owned(), 400),
        (format!("{chunked}zz\r\n"), 400),
        (format!("{chunked}2\r\nabc\r\n"), 400),
        (format!("{chunked}2;{}\r\nab\r\n", "x".repeat(1 << 10)), 400),
        (format!("{chunked}0\r\n{}\r\n", "a: b\r\n".repeat(129)), 431),
        ("POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 501),
    ] {
        assert_eq!(client.raw(&bytes).answer().status, status, "{bytes:?}");
    }
}

#[test]
fn a_body_that_breaks_off_is_in_the_transcript() {
    let (simulator, client) = simulator();
    let raw = client.raw("POST /v1/files HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
    raw.stream.shutdown(Shutdown::Write).expect("an open socket");
    assert!(simulator.wait_until(|received| received.len() == 1, LIMIT));
    let received = &simulator.transcript()[0];
    assert!(received.client_closed() && &received.body[..] == b"half");
}

#[test]
fn what_is_passed_through_is_echoed() {
    let (_simulator, client) = simulator();
    let request = client.request("PUT", "/v1/files/f-1?a=b").header("X-Own", "1").body("abc");
    let echo = request.send().expect(200).json();
    assert_eq!((&echo["method"], &echo["path"]), (&json!("PUT"), &json!("/v1/files/f-1")));
    assert_eq!((&echo["query"], &echo["body_length"]), (&json!("a=b"), &json!(3)));
    assert!(echo["headers"].as_array().is_some_and(|headers| headers.contains(&json!(["x-own", "1"]))));
}

#[test]
fn a_websocket_sends_messages_back() {
    let (simulator, client) = simulator();
    let mut raw = client.raw(
        "GET /v1/files/socket HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = raw.answer().expect(101);
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));

    // Text "Hi" under a mask of zeros, a ping, a close.
    raw.write(b"\x81\x82\0\0\0\0Hi\x89\x80\0\0\0\0\x88\x80\0\0\0\0");
    let mut frames = Vec::new();
    raw.stream.read_to_end(&mut frames).expect("a close");
    assert_eq!(frames, b"\x81\x02Hi\x8a\x00\x88\x00");
    let ended = |ending: &Ending| matches!(ending, Ending::Answered(101, _));
    assert!(simulator.wait_until(|received| ended(&received[0].ending), LIMIT));
}
