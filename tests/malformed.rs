//! Bad input: every client is told in its own dialect what was wrong, no provider hears of it, and the next
//! request is served as if nothing had been.

use crate::support::{Client, House, Response, ask, expect_error, model_of, path_of, provider_of, question};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::io::Write;

/// Small, so that the bound is cheap to hit.
const LIMITS: &str = "  limits: {max_body_size: 128K}\n";
const LIMIT: usize = 128 << 10;

/// A gateway that takes small bodies, and a client of it.
fn house() -> (House, Client) {
    let house = House::with(LIMITS, "");
    let client = house.gateway.client();
    (house, client)
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
    house.goes_on(&client);
}

#[test]
fn a_missing_model_is_named() {
    let (house, client) = house();
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = post(&client, dialect, r#"{"messages":[]}"#);
        expect_error(&answer, dialect, 400, "invalid_request", "`model` is missing");
    }
    house.goes_on(&client);
}

#[test]
fn an_unknown_model_is_refused_and_near_names_are_told() {
    let (house, client) = house();
    for dialect in Dialect::ALL {
        let misspelt = format!("{}x", model_of(dialect));
        let answer = ask(&client, dialect, &misspelt).send();
        expect_error(&answer, dialect, 404, "model_not_found", model_of(dialect));
    }
    house.goes_on(&client);
}

#[test]
fn a_model_that_cannot_stand_in_a_path_is_refused() {
    let (house, client) = house();
    for model in ["x%2F..%2F..%2Ffiles", "..%2Fx", "a%5Cb"] {
        let answer = ask(&client, Dialect::Gemini, model).send();
        expect_error(&answer, Dialect::Gemini, 400, "invalid_request", "model");
    }
    house.goes_on(&client);
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
        for coding in ["compress", "gzip, x", "x", "gzip, gzip, gzip, gzip"] {
            let answer = send(coding, body.clone().into());
            expect_error(&answer, dialect, 415, "unsupported_media_type", "gzip, deflate, br or zstd");
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
        for (coding, packed) in [
            ("gzip", packed.clone()),
            ("GZIP", packed.clone()),
            ("gzip, gzip", gzip(&packed)),
            ("zstd", zstd),
            ("identity", body.clone().into()),
        ] {
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
    house.goes_on(&client);
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
    house.goes_on(&client);
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
    house.goes_on(&client);
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
