//! Every pair of dialects, by example: what goes in and what comes out, as files in `tests/golden/translation`.
//!
//! A rich request, answer and stream of each dialect stands there as its vendor documents it, and beside each what the
//! others make of it. `UPDATE_GOLDEN=1 cargo test translation_golden` writes these anew, to be read before they are
//! committed.

use bytes::Bytes;
use cliproxy::domain::Dialect;
use cliproxy::translate::frames::Framing;
use cliproxy::translate::sides::Target;
use cliproxy::translate::signs::Api;
use cliproxy::translate::translation::{Client, Question, Stream, Translation, provider_api};
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

const CLIENTS: [(Api, &str); 4] = [
    (Api::Completions, "chat"),
    (Api::Responses, "responses"),
    (Api::Messages, "messages"),
    (Api::Generate, "generate"),
];

const PROVIDERS: [(Dialect, &str); 3] =
    [(Dialect::OpenAi, "chat"), (Dialect::Anthropic, "messages"), (Dialect::Gemini, "generate")];

/// Every client before every provider that it is translated for.
fn pairs() -> impl Iterator<Item = (Api, &'static str, Dialect, &'static str)> {
    let all = CLIENTS.into_iter().flat_map(|(api, client)| {
        PROVIDERS.into_iter().map(move |(dialect, provider)| (api, client, dialect, provider))
    });
    all.filter(|(api, _, dialect, _)| provider_api(*dialect) != *api)
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/translation").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares with what is in the file, or writes it.
#[track_caller]
fn golden(name: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path(name), text).expect("written");
    } else {
        assert_eq!(read(name), text, "{name}; read the difference, then run with UPDATE_GOLDEN=1");
    }
}

/// The request of a client for a provider, and the way back.
fn translated(api: Api, client: &str, provider: Dialect) -> (Bytes, Translation) {
    let client = Client {
        longest: 0..0,
        api,
        request_id: "req-1".to_owned(),
        created: 1_700_000_000,
        body: read(&format!("request.{client}.json")).into(),
        framing: Framing::Events,
        include_usage: true,
    };
    let target = Target { model: "provider-model", max_output_tokens: None };
    let question = Question::read(api, client.body.clone(), true).expect("a request");
    Translation::of_request(&question, client, provider, &target).unwrap_or_else(|bad| panic!("{bad:?}"))
}

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).expect("JSON");
    format!("{value:#}\n")
}

#[test]
fn requests_are_said_in_every_providers_words() {
    for (api, client, dialect, provider) in pairs() {
        let (body, translation) = translated(api, client, dialect);
        let text = format!("dropped: {}\n{}", translation.dropped().join(", "), pretty(&body));
        golden(&format!("request.{client}-to-{provider}.txt"), &text);
    }
}

#[test]
fn answers_are_said_in_every_clients_words() {
    for (api, client, dialect, provider) in pairs() {
        let (_, translation) = translated(api, client, dialect);
        let answer = read(&format!("answer.{provider}.json"));
        let (body, usage) = translation.whole(answer.as_bytes()).expect("understood");
        let usage = usage.expect("usage");
        assert_eq!((usage.input_total(), usage.cache_read, usage.output), (100, 40, 50), "{provider}");
        golden(&format!("answer.{provider}-to-{client}.json"), &pretty(&body));
    }
}

/// What the client gets of a stream that comes in these pieces.
fn relayed(mut stream: Stream, pieces: &[&[u8]]) -> String {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&stream.push(&Bytes::copy_from_slice(piece)).expect("short events"));
    }
    assert!(stream.is_finished() && stream.skipped() == 0);
    out.extend_from_slice(&stream.finish());
    String::from_utf8(out).expect("UTF-8")
}

fn stream(api: Api, client: &str, dialect: Dialect) -> Stream {
    translated(api, client, dialect).1.stream(1 << 20)
}

#[test]
fn streams_are_said_in_every_clients_words_however_they_are_cut() {
    for (api, client, dialect, provider) in pairs() {
        let text = read(&format!("stream.{provider}.txt"));
        let whole = relayed(stream(api, client, dialect), &[text.as_bytes()]);
        golden(&format!("stream.{provider}-to-{client}.txt"), &whole);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(relayed(stream(api, client, dialect), &bytes), whole, "byte by byte");
        for at in 0..text.len() {
            let (one, two) = text.as_bytes().split_at(at);
            assert_eq!(relayed(stream(api, client, dialect), &[one, two]), whole, "cut at {at}");
        }
    }
}

#[test]
fn an_array_of_answers_is_one_json_text() {
    for (dialect, provider) in PROVIDERS.into_iter().filter(|(dialect, _)| *dialect != Dialect::Gemini) {
        let client = Client {
            longest: 0..0,
            api: Api::Generate,
            request_id: "req-1".to_owned(),
            created: 0,
            body: read("request.generate.json").into(),
            framing: Framing::Elements,
            include_usage: true,
        };
        let target = Target { model: "provider-model", max_output_tokens: None };
        let question = Question::read(client.api, client.body.clone(), true).expect("a request");
        let (_, translation) =
            Translation::of_request(&question, client, dialect, &target).expect("translated");
        let text = read(&format!("stream.{provider}.txt"));
        let array = relayed(translation.stream(1 << 20), &[text.as_bytes()]);
        let parsed: Value = serde_json::from_str(&array).expect("one JSON text");
        let mut said = String::new();
        for part in
            parsed.as_array().into_iter().flatten().flat_map(|it| {
                it["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default()
            })
        {
            if part["thought"] != true {
                let _ = write!(said, "{}", part["text"].as_str().unwrap_or_default());
            }
        }
        assert_eq!(said, "Let me \"look\".\né😀");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_stream_makes_it_panic(noise in prop::collection::vec(any::<u8>(), 0..300), at in 0.0..1.0_f64) {
        for (api, client, dialect, provider) in pairs() {
            let text = read(&format!("stream.{provider}.txt"));
            let at = (text.len() as f64 * at) as usize;
            let mut stream = stream(api, client, dialect);
            let _ = stream.push(&Bytes::copy_from_slice(&text.as_bytes()[..at]));
            let _ = stream.push(&Bytes::copy_from_slice(&noise));
            let _ = stream.push(&Bytes::copy_from_slice(&text.as_bytes()[at..]));
            stream.finish();
        }
    }
}
