//! HTTP that is badly framed, odd or unfinished: it is refused or read, and the next request works.

use crate::support::{BodyEnd, House, ask, expect_error, model_of, question};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::io::Read;
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// How a request that is bad HTTP may end.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// With our error, in OpenAI's dialect.
    Told(u16, &'static str),
    /// With an empty answer of Pingora's own and a close: what can't be parsed has no dialect.
    HungUp(u16),
    /// With the answer: it is good HTTP after all.
    Served,
}

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";

/// A good question in OpenAI's dialect.
fn good_body() -> String {
    question(Dialect::OpenAi, model_of(Dialect::OpenAi)).to_string()
}

/// A whole request with these headers.
fn framed(headers: &str, body: &str) -> String {
    format!("{HEAD}connection: close\r\n{headers}\r\n{body}")
}

/// Sends the bytes to a gateway that all cases share, and checks how that ends.
#[track_caller]
fn ends(house: &House, name: &str, bytes: impl AsRef<[u8]>, fate: Fate) {
    let before = house.asked();
    let client = house.gateway.client();
    let answer = client.raw(bytes).answer();
    let text = format!("{name}: {} {:?} {}", answer.status, answer.headers, answer.text());
    match fate {
        Fate::Told(status, code) => {
            assert_eq!(answer.header("x-cliproxy-error"), Some(code), "{text}");
            expect_error(&answer, Dialect::OpenAi, status, code, "");
        }
        Fate::HungUp(status) => {
            assert_eq!((answer.status, &answer.body[..]), (status, &b""[..]), "{text}");
            assert_eq!(answer.header("connection"), Some("close"), "{text}");
        }
        Fate::Served => {
            assert_eq!(answer.status, 200, "{text}");
            assert!(answer.text().contains(ANSWER), "{text}");
        }
    }
    let asked = usize::from(matches!(fate, Fate::Served));
    assert_eq!(house.asked(), before + asked, "{text}");
    ask(&client, Dialect::OpenAi, model_of(Dialect::OpenAi)).send().expect(200);
}

#[test]
fn bodies_with_bad_framing_are_refused_and_the_next_connection_works() {
    use Fate::{HungUp, Served, Told};
    let house = House::open();
    let body = good_body();
    let length = body.len();
    let chunks = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let told = Told(400, "invalid_request");
    for (name, headers, fate) in [
        ("length and coding", format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"), told),
        ("coding and length", format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"), told),
        ("two lengths", format!("content-length: {length}\r\ncontent-length: 5\r\n"), HungUp(400)),
        ("two lengths in one", format!("content-length: {length}, 5\r\n"), HungUp(400)),
        ("a length with a sign", format!("content-length: +{length}\r\n"), HungUp(400)),
        ("a negative length", "content-length: -1\r\n".to_owned(), HungUp(400)),
        ("a length in words", "content-length: long\r\n".to_owned(), HungUp(400)),
        ("a length past all numbers", format!("content-length: {}\r\n", "9".repeat(30)), HungUp(400)),
        ("an unknown coding", "transfer-encoding: zip\r\n".to_owned(), HungUp(400)),
        ("chunked, but not last", "transfer-encoding: chunked, identity\r\n".to_owned(), HungUp(400)),
        ("chunked twice", "transfer-encoding: chunked, chunked\r\n".to_owned(), told),
        ("chunked on two lines", "transfer-encoding: chunked\r\n".repeat(2), told),
        ("packed and chunked", "transfer-encoding: gzip, chunked\r\n".to_owned(), told),
        ("chunked", "transfer-encoding: Chunked\r\n".to_owned(), Served),
    ] {
        let body = if headers.to_lowercase().contains("transfer-encoding") { &chunks } else { &body };
        ends(&house, name, framed(&headers, body), fate);
    }
    let old = framed("transfer-encoding: chunked\r\n", &chunks).replacen("HTTP/1.1", "HTTP/1.0", 1);
    ends(&house, "chunked in HTTP/1.0", old, HungUp(400));
}

#[test]
fn broken_chunks_are_refused_and_odd_ones_are_read() {
    use Fate::{Served, Told};
    let house = House::open();
    let body = good_body();
    let length = body.len();
    let whole = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let told = Told(400, "invalid_request");
    for (name, chunks, fate) in [
        ("a size that is none", "zz\r\nhello\r\n0\r\n\r\n".to_owned(), told),
        ("a size past all numbers", "fffffffffffffffff\r\nhello\r\n".to_owned(), told),
        ("a chunk without its end", "5\r\nhelloXX0\r\n\r\n".to_owned(), told),
        ("an extension", whole.replacen("\r\n", ";a=b\r\n", 1), Served),
        ("zeros before the size", format!("000{whole}"), Served),
        ("a trailer", whole.replace("0\r\n\r\n", "0\r\nx-sum: 1\r\n\r\n"), Served),
        (
            "a byte a chunk",
            body.bytes().fold(String::new(), |out, byte| out + &format!("1\r\n{}\r\n", char::from(byte)))
                + "0\r\n\r\n",
            Served,
        ),
    ] {
        ends(&house, name, framed("transfer-encoding: chunked\r\n", &chunks), fate);
    }
}

#[test]
fn what_is_no_http_is_hung_up_on_and_the_next_connection_works() {
    use Fate::{HungUp, Served, Told};
    let house = House::open();
    let body = good_body();
    let with_length = framed(&format!("content-length: {}\r\n", body.len()), &body);
    let closing = |line: &str| format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    for (name, bytes, fate) in [
        ("a header without a colon", framed("nonsense\r\n", ""), HungUp(400)),
        ("a space before the colon", framed("content-length : 1\r\n", "x"), HungUp(400)),
        ("a name with a space", framed("x y: z\r\n", ""), HungUp(400)),
        ("a NUL in a value", framed("x-nul: a\0b\r\n", ""), HungUp(400)),
        ("a line of one word", closing("HELLO"), HungUp(400)),
        ("NULs", "\0\0\0\0\r\n\r\n".to_owned(), HungUp(400)),
        ("another version", closing("GET /v1/models HTTP/3.7"), HungUp(400)),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned(), HungUp(400)),
        (
            "CONNECT",
            "CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n\r\n".to_owned(),
            HungUp(405),
        ),
        ("an asterisk", closing("OPTIONS * HTTP/1.1"), Told(404, "not_found")),
        ("a space in the path", closing("GET /v1/ models HTTP/1.1"), Told(404, "not_found")),
        ("bare line feeds", with_length.replace("\r\n", "\n"), Served),
        ("an absolute target", with_length.replacen("/v1", "http://localhost/v1", 1), Served),
        ("HTTP/1.0", with_length.replacen("HTTP/1.1", "HTTP/1.0", 1), Served),
    ] {
        ends(&house, name, bytes, fate);
    }
}

#[test]
fn a_body_shorter_than_its_length_reaches_nobody() {
    let house = House::open();
    let client = house.gateway.client();
    let body = good_body();
    for bytes in [
        framed(&format!("content-length: {}\r\n", body.len() + 1), &body),
        framed("transfer-encoding: chunked\r\n", &format!("{:x}\r\n{body}\r\n", body.len())),
    ] {
        let mut raw = client.raw(bytes);
        raw.stream.shutdown(Shutdown::Write).expect("half a close");
        expect_error(&raw.answer(), Dialect::OpenAi, 400, "invalid_request", "broke off");
    }
    house.goes_on(&client);
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it_at_once() {
    let house = House::open();
    let client = house.gateway.client();
    let body = good_body();
    let header = format!("content-length: {}\r\nExpect: 100-Continue\r\n", body.len());
    let mut raw = client.raw(framed(&header, ""));
    let begun = Instant::now();
    assert_eq!(raw.answer().status, 100);
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
    raw.write(&body);
    raw.answer().expect(200);
    let received = house.provider(Dialect::OpenAi).transcript().pop().expect("it was asked");
    assert_eq!(received.header("expect"), None);
    let old = framed(&header, &body).replacen("HTTP/1.1", "HTTP/1.0", 1);
    client.raw(old).answer().expect(200);
}

#[test]
fn a_client_that_waits_for_leave_is_refused_before_it_sends() {
    let house = House::with("  auth: {api_keys: [client-key]}\n", "");
    let client = house.gateway.client();
    let header = "content-length: 1000000\r\nexpect: 100-continue\r\n";
    let answer = client.raw(framed(header, "")).answer();
    expect_error(&answer, Dialect::OpenAi, 401, "unauthorized", "Bearer");
    assert_eq!(house.asked(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let house = House::open();
    let client = house.gateway.client();
    let body = good_body();
    let length = body.len();
    let first = format!("{HEAD}content-length: {length}\r\nx-request-id: first\r\n\r\n{body}");
    let second = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-request-id: second\r\n\r\n";
    let third = format!("{HEAD}content-length: 2\r\nx-request-id: third\r\n\r\n{{}}");
    let fourth = framed(&format!("content-length: {length}\r\nx-request-id: fourth\r\n"), &body);
    let mut raw = client.raw([first.as_str(), second, &third, &fourth].concat());
    let mut text = String::new();
    raw.stream.read_to_string(&mut text).expect("answers until the close");
    let found = |prefix: &str| -> Vec<String> {
        text.match_indices(prefix)
            .filter_map(|(at, _)| text[at + prefix.len()..].split_whitespace().next())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(found("x-request-id: "), ["first", "second", "third", "fourth"], "{text}");
    assert_eq!(found("HTTP/1.1 "), ["200", "200", "400", "200"], "{text}");
    assert_eq!(house.asked(), 2);
}

#[test]
fn a_client_of_http_1_0_gets_answers_and_streams_that_end_with_the_connection() {
    let house = House::open();
    let client = house.gateway.client();
    let mut streamed = question(Dialect::OpenAi, model_of(Dialect::OpenAi));
    streamed["stream"] = true.into();
    let streamed = streamed.to_string();
    for body in [good_body(), streamed.clone()] {
        let request = framed(&format!("content-length: {}\r\n", body.len()), &body);
        let answer = client.raw(request.replacen("HTTP/1.1", "HTTP/1.0", 1)).answer().expect(200);
        assert_eq!((answer.header("transfer-encoding"), answer.end), (None, BodyEnd::Clean));
        let text = answer.text();
        assert_eq!(text.ends_with("data: [DONE]\n\n"), body == streamed, "{text}");
    }
}

#[test]
fn a_refusal_of_a_body_still_on_its_way_is_not_lost_to_a_reset() {
    let house = House::with("  auth: {api_keys: [client-key]}\n", "");
    let client = house.gateway.client();
    let half = vec![b'x'; 500_000];
    for headers in ["", "connection: close\r\n"] {
        let mut raw = client.raw(format!("{HEAD}{headers}content-length: 1000000\r\n\r\n"));
        raw.write(&half);
        let answer = raw.answer();
        expect_error(&answer, Dialect::OpenAi, 401, "unauthorized", "Bearer");
        assert_eq!(answer.header("connection"), Some("close"));
        raw.write(&half);
        assert_eq!(raw.stream.read(&mut [0]).expect("a close, no reset"), 0);
    }
    client.get("/v1/models").bearer("client-key").send().expect(200);
}
