//! Bad input: every client is told in its own dialect what was wrong, no provider hears of it, and the next
//! request is served as if nothing had been.

use crate::support::{
    BodyEnd, Client, House, Response, ask, expect_error, model_of, path_of, provider_of, question,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// Small, so that the bound is cheap to hit.
const LIMITS: &str = "  limits: {max_body_size: 128K}\n";
const LIMIT: usize = 128 << 10;

/// A gateway that takes small bodies, and a client of it.
fn house() -> (House, Client) {
    let house = House::with(LIMITS, "");
    let client = house.gateway.client();
    (house, client)
}

/// The next request is served, and is the first that a provider hears of.
#[track_caller]
fn goes_on(house: &House, client: &Client) {
    let before = house.asked();
    for dialect in Dialect::ALL {
        ask(client, dialect, model_of(dialect)).send().expect(200);
    }
    assert_eq!((before, house.asked()), (0, 3), "questions before and after");
}

fn post(client: &Client, dialect: Dialect, body: impl Into<Vec<u8>>) -> Response {
    let path = path_of(dialect, model_of(dialect));
    client.post(&path).header("content-type", "application/json").body(body).send()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).expect("to memory");
    encoder.finish().expect("to memory")
}

#[test]
fn bodies_that_are_no_question_are_refused_in_every_dialect() {
    let (house, client) = house();
    let deep = format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for dialect in Dialect::ALL {
        for (body, words) in [
            (&br#"{"model": "m", "#[..], "not valid JSON"),
            (b"hello", "not valid JSON"),
            (b"", "not valid JSON"),
            (b"null", "JSON"),
            (br#"["m", true]"#, "must be a JSON object"),
            (b"{\"model\":\"\xff\xfe\"}", "UTF-8"),
            (deep.as_bytes(), "levels"),
            (br#"{"model":"m","model":"m"}"#, "duplicate field `model`"),
            (br#"{"model":7}"#, "`model` must be"),
            (br#"{"model":""}"#, "`model` must be"),
            (br#"{"model":"m","stream":"yes"}"#, "`stream` must be"),
            (br#"{"model":"m","stream":true,"stream_options":"usage"}"#, "`stream_options` must be"),
        ] {
            let answer = post(&client, dialect, body);
            expect_error(&answer, dialect, 400, "invalid_request", words);
        }
    }
    goes_on(&house, &client);
}

#[test]
fn a_missing_model_is_named() {
    let (house, client) = house();
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = post(&client, dialect, r#"{"messages":[]}"#);
        expect_error(&answer, dialect, 400, "invalid_request", "`model` is missing");
    }
    goes_on(&house, &client);
}

#[test]
fn an_unknown_model_is_refused_and_near_names_are_told() {
    let (house, client) = house();
    for dialect in Dialect::ALL {
        let misspelt = format!("{}x", model_of(dialect));
        let answer = ask(&client, dialect, &misspelt).send();
        expect_error(&answer, dialect, 404, "model_not_found", model_of(dialect));
    }
    goes_on(&house, &client);
}

#[test]
fn a_model_that_cannot_stand_in_a_path_is_refused() {
    let (house, client) = house();
    for model in ["x%2F..%2F..%2Ffiles", "..%2Fx", "a%5Cb"] {
        let answer = ask(&client, Dialect::Gemini, model).send();
        expect_error(&answer, Dialect::Gemini, 400, "invalid_request", "model");
    }
    goes_on(&house, &client);
}

#[test]
fn a_body_at_the_limit_is_taken_and_one_byte_more_is_refused() {
    let (house, client) = house();
    let sized = |size: usize| {
        let body = question(Dialect::OpenAi, model_of(Dialect::OpenAi)).to_string();
        let padding = " ".repeat(size - body.len());
        body + &padding
    };
    for chunk in [None, Some(5_000)] {
        let send = |size: usize| {
            let request = client.post("/v1/chat/completions").body(sized(size));
            if let Some(chunk) = chunk { request.chunked(chunk).send() } else { request.send() }
        };
        expect_error(&send(LIMIT + 1), Dialect::OpenAi, 413, "request_too_large", "131072 bytes");
        send(LIMIT).expect(200);
    }
    assert_eq!(house.asked(), 2);
    for dialect in Dialect::ALL {
        let answer = post(&client, dialect, sized(8 * LIMIT));
        expect_error(&answer, dialect, 413, "request_too_large", "131072 bytes");
    }
    assert_eq!(house.asked(), 2);
    ask(&client, Dialect::OpenAi, model_of(Dialect::OpenAi)).send().expect(200);
}

#[test]
fn a_header_over_the_limit_is_refused_before_a_key_is_looked_at() {
    let house = House::with("  auth: {api_keys: [client-key]}\n", "");
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        let request = ask(&client, dialect, model_of(dialect)).header("x-large", &"x".repeat(64 << 10));
        expect_error(&request.send(), dialect, 431, "request_too_large", "65536 bytes");
        let fits = ask(&client, dialect, model_of(dialect)).header("x-large", &"x".repeat(60 << 10));
        fits.bearer("client-key").send().expect(200);
    }
}

#[test]
fn content_encodings_are_undone_or_refused() {
    let (house, client) = house();
    for dialect in Dialect::ALL {
        let (path, body) =
            (path_of(dialect, model_of(dialect)), question(dialect, model_of(dialect)).to_string());
        let send = |coding: &str, body: Vec<u8>| {
            client
                .post(&path)
                .header("anthropic-version", "2023-06-01")
                .header("content-encoding", coding)
                .body(body)
                .send()
        };
        for coding in ["br", "deflate", "gzip, gzip", "x"] {
            let answer = send(coding, body.clone().into());
            expect_error(&answer, dialect, 415, "unsupported_media_type", "gzip or zstd");
        }
        let packed = gzip(body.as_bytes());
        let broken = send("gzip", packed[..packed.len() / 2].to_vec());
        expect_error(&broken, dialect, 400, "invalid_request", "content-encoding");
        let not_gzip = send("gzip", body.clone().into());
        expect_error(&not_gzip, dialect, 400, "invalid_request", "content-encoding");
        let bomb = send("gzip", gzip(&vec![b' '; 64 * LIMIT]));
        expect_error(&bomb, dialect, 413, "request_too_large", "131072 bytes");
        assert_eq!(house.provider(dialect).requests(), 0);
        let zstd = zstd::encode_all(body.as_bytes(), 1).expect("to memory");
        for (coding, packed) in
            [("gzip", packed.clone()), ("GZIP", packed), ("zstd", zstd), ("identity", body.clone().into())]
        {
            send(coding, packed).expect(200);
        }
        for received in house.provider(dialect).transcript() {
            assert_eq!(received.header("content-encoding"), None);
            assert_eq!(received.body, body.as_bytes());
        }
    }
}

#[test]
fn a_wrong_method_is_told_the_right_one() {
    let (house, client) = house();
    for dialect in Dialect::ALL {
        let path = path_of(dialect, model_of(dialect));
        for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "BREW"] {
            let answer = client.request(method, &path).send();
            expect_error(&answer, dialect, 405, "method_not_allowed", "use POST");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let head = client.request("HEAD", &path).send().expect(405);
        assert_eq!((head.header("allow"), &head.body[..]), (Some("POST"), &b""[..]));
    }
    let list = client.request("DELETE", "/v1/models").send();
    expect_error(&list, Dialect::OpenAi, 405, "method_not_allowed", "use GET, HEAD");
    goes_on(&house, &client);
}

#[test]
fn an_unknown_path_is_refused_in_the_dialect_that_the_client_seems_to_speak() {
    let (house, client) = house();
    for (dialect, path, header) in [
        (Dialect::OpenAi, "/v1/chat/completion", "x-nothing"),
        (Dialect::OpenAi, "/", "x-nothing"),
        (Dialect::OpenAi, "/v1/messages/", "x-nothing"),
        (Dialect::OpenAi, "/V1/messages", "x-nothing"),
        (Dialect::Anthropic, "/v1/complete", "anthropic-version"),
        (Dialect::Gemini, "/v1beta/models/gemini-2.5-flash:dance", "x-nothing"),
        (Dialect::Gemini, "/v1beta/cachedContents", "x-nothing"),
        (Dialect::Gemini, "/v1/cachedContents", "x-goog-api-key"),
    ] {
        let answer = client.post(path).header(header, "2023-06-01").body("{}").send();
        expect_error(&answer, dialect, 404, "not_found", path);
    }
    goes_on(&house, &client);
}

/// A multipart form of that model field, if any, and a file of all byte values.
fn form(model: Option<&str>) -> Vec<u8> {
    let mut body =
        b"--XyZ\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n".to_vec();
    body.extend(0..=u8::MAX);
    if let Some(model) = model {
        let part = format!("\r\n--XyZ\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"\r\n--XyZ--\r\n");
    body
}

#[test]
fn a_form_without_a_model_is_refused() {
    let (house, client) = house();
    for (content_type, body, words) in [
        ("multipart/form-data; boundary=XyZ", form(None), "`model`"),
        ("multipart/form-data; boundary=XyZ", form(Some("")), "`model`"),
        ("multipart/form-data; boundary=XyZ", Vec::new(), "`model`"),
        ("multipart/form-data; boundary=other", form(Some("gpt-4o")), "`model`"),
        ("multipart/form-data", form(Some("gpt-4o")), "boundary"),
    ] {
        let request = client.post("/v1/audio/transcriptions").header("content-type", content_type);
        expect_error(&request.body(body).send(), Dialect::OpenAi, 400, "invalid_request", words);
    }
    goes_on(&house, &client);
}

#[test]
fn a_form_reaches_the_provider_under_its_own_name_for_the_model() {
    let alias = format!(
        "models: {{hear: {{targets: [{{provider: {}, model: gpt-4o}}]}}}}\n",
        provider_of(Dialect::OpenAi)
    );
    let house = House::with("", &alias);
    let client = house.gateway.client();
    for (content_type, model) in [
        ("multipart/form-data; boundary=XyZ", "gpt-4o"),
        ("multipart/form-data; boundary=\"XyZ\"", "hear"),
        ("Multipart/Form-Data; Boundary=XyZ", "hear"),
    ] {
        let request = client.post("/v1/audio/transcriptions").header("content-type", content_type);
        let answer = request.body(form(Some(model))).send();
        let received = house.provider(Dialect::OpenAi).transcript().pop().expect("it was asked");
        assert_eq!(received.header("content-type"), Some(content_type));
        assert_eq!(received.body, form(Some("gpt-4o")));
        // The simulator knows the type in lower case only.
        if content_type.starts_with('m') {
            assert_eq!(answer.expect(200).json()["text"], ANSWER);
        }
    }
}

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
        ("HTTP/2 unannounced", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), HungUp(400)),
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
    goes_on(&house, &client);
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
