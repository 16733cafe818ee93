//! Pictures, sound, moderations, ranks and older completions: what only providers of OpenAI's format have, forms and
//! binary answers included.

use crate::support::{
    BodyEnd, Canned, Client, Event, Gateway, Metrics, Provider, Request, Response, expect_error, logged,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MIB: usize = 1 << 20;
const BOUNDARY: &str = "----a-boundary-of-forty-characters-------";

/// Endpoints that take JSON, with a question and a word of the simulated answer.
fn questions() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/v1/images/generations", json!({"model": "m", "prompt": "a cat", "n": 2}), "b64_json"),
        ("/v1/moderations", json!({"model": "m", "input": ["one", "two"]}), "flagged"),
        ("/v1/rerank", json!({"model": "m", "query": "q", "documents": ["one", "two"]}), "relevance_score"),
        ("/v1/completions", json!({"model": "m", "prompt": "Hello"}), ANSWER),
        ("/v1/completions", json!({"model": "m", "prompt": "Hello", "stream": true}), "[DONE]"),
        ("/v1/audio/speech", json!({"model": "m", "input": "Hello", "voice": "alloy"}), "\u{1}\u{2}\u{3}"),
    ]
}

/// Endpoints that take forms.
const FORMS: [&str; 4] =
    ["/v1/images/edits", "/v1/images/variations", "/v1/audio/transcriptions", "/v1/audio/translations"];

/// A form with a file of so many bytes, all values among them, and fields around the model's.
fn form(model: &str, bytes: usize, more: &[(&str, &str)]) -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut body = field("prompt", "name=\"model\"").into_bytes();
    body.extend_from_slice(
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend((0..=u8::MAX).cycle().take(bytes));
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(field("model", model).as_bytes());
    for (name, value) in more {
        body.extend_from_slice(field(name, value).as_bytes());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn upload<'c>(client: &'c Client, path: &str, body: Vec<u8>) -> Request<'c> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    client.post(path).header("content-type", &kind).body(body)
}

/// A provider that answers whatever it is asked, and keeps the bodies.
struct Recorder {
    canned: Canned,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn answering(answer: impl Fn(&mut TcpStream) + Send + 'static) -> Recorder {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        let canned = Canned::serving(move |stream, head| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let Some(length) = length.and_then(|length| length.trim().parse().ok()) else { return };
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_ok() {
                kept.lock().unwrap().push(body);
                answer(stream);
            }
        });
        Recorder { canned, bodies }
    }

    fn saying(kind: &str, body: &[u8]) -> Recorder {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), body].concat();
        Recorder::answering(move |stream| {
            // Who has gone needs no answer.
            let _ = stream.write_all(&answer);
        })
    }

    fn yaml(&self, name: &str, lines: &[&str]) -> String {
        self.canned.yaml(name, Dialect::OpenAi, &[&["api_key: k"], lines].concat())
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.bodies.lock().unwrap())
    }
}

/// A gateway whose `m` is `m-first` of the first and `m-second` of the second.
fn pair(first: &str, second: &str) -> Gateway {
    Gateway::start(&format!("providers:\n{first}{second}"))
}

const FIRST: [&str; 2] = ["models: [{name: m-first, alias: m}]", "priority: 1"];
const SECOND: [&str; 2] = ["models: [{name: m-second, alias: m}]", "priority: 2"];

#[track_caller]
fn assert_same(got: &[u8], sent: &[u8]) {
    let same = got.iter().zip(sent).take_while(|(got, sent)| got == sent).count();
    assert!(got == sent, "{} bytes came of {}, the first {same} are alike", got.len(), sent.len());
}

#[test]
fn each_endpoint_is_served_by_another_provider_where_the_first_fails_under_that_ones_model() {
    let (first, second) = (Provider::openai().failing_with(503), Provider::openai());
    let gateway = pair(&first.yaml_with("first", &FIRST), &second.yaml_with("second", &SECOND));
    for (path, body, word) in questions() {
        let answer = gateway.client().post(path).json(&body).send().expect(200);
        assert_eq!(answer.end, BodyEnd::Clean);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{path}");
        assert!(String::from_utf8_lossy(&answer.body).contains(word), "{path}: {}", answer.text());
        let mut expected = body.clone();
        for (provider, model) in [(&first, "m-first"), (&second, "m-second")] {
            expected["model"] = model.into();
            let asked = provider.asked().pop().expect("it was asked");
            let mut said: Value = serde_json::from_slice(&asked.body).expect("JSON");
            said.as_object_mut().expect("an object").remove("stream_options");
            assert_eq!((&*asked.path, said), (path, expected.clone()));
        }
    }
}

#[test]
fn a_form_of_several_megabytes_arrives_whole_at_whoever_answers_under_that_ones_model() {
    let first = Provider::openai().failing_with(503);
    let second = Recorder::saying("application/json", br#"{"text":"heard"}"#);
    let gateway = pair(&first.yaml_with("first", &FIRST), &second.yaml("second", &SECOND));
    for (path, size) in FORMS.into_iter().zip([1, 64 << 10, MIB, 6 * MIB]) {
        for chunk in [None, Some(7_919)] {
            let client = gateway.client();
            let request = upload(&client, path, form("m", size, &[]));
            let request = if let Some(size) = chunk { request.chunked(size) } else { request };
            let answer = request.send().expect(200);
            assert_eq!(answer.json(), json!({"text": "heard"}), "{path}");
            let asked = first.asked().pop().expect("it was asked");
            assert_same(&asked.body, &form("m-first", size, &[]));
            assert_same(&second.bodies().remove(0), &form("m-second", size, &[]));
        }
    }
}

#[test]
fn a_form_is_sent_again_whole_over_a_provider_that_hangs_up_in_the_middle() {
    let first = Canned::serving(|stream, _| {
        let _ = stream.read_exact(&mut [0; 100_000]);
    });
    let second = Recorder::saying("application/json", br#"{"text":"heard"}"#);
    let first = first.yaml("first", Dialect::OpenAi, &[&["api_key: k"], &FIRST[..]].concat());
    let gateway = pair(&first, &second.yaml("second", &SECOND));
    let client = gateway.client();
    upload(&client, FORMS[2], form("m", 3 * MIB, &[])).send().expect(200);
    assert_same(&second.bodies().remove(0), &form("m-second", 3 * MIB, &[]));
}

#[test]
fn binary_answers_come_byte_by_byte_small_or_large() {
    let question = json!({"model": "m", "input": "Hello", "voice": "alloy"});
    for size in [0, 1, 100_000, 6 * MIB] {
        let sound: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let provider = Recorder::saying("audio/mpeg", &sound);
        let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("only", &["models: [m]"])));
        let answer = gateway.client().post("/v1/audio/speech").json(&question).send().expect(200);
        assert_eq!((answer.header("content-type"), answer.end), (Some("audio/mpeg"), BodyEnd::Clean));
        assert_same(&answer.body, &sound);
    }
}

#[test]
fn tokens_are_counted_where_they_are_reported() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [m]");
    let client = gateway.client();
    let picture = json!({"model": "m", "prompt": "a cat", "n": 2});
    client.post("/v1/images/generations").json(&picture).send().expect(200);
    upload(&client, FORMS[2], form("m", 40, &[])).send().expect(200);
    client.post("/v1/rerank").json(&questions()[2].1).send().expect(200);
    client.post("/v1/moderations").json(&questions()[1].1).send().expect(200);
    Metrics::after(&gateway, 4);
    let tokens: Vec<Value> =
        logged(&gateway, "request_success", 4).into_iter().map(|line| line["tokens"].clone()).collect();
    assert_eq!(tokens[0], json!({"input": 2, "output": 2}));
    assert_eq!(tokens[1], json!({"input": 10, "output": 60}));
    assert_eq!(tokens[2]["input"], 2);
    assert!(tokens[3].is_null() || tokens[3]["input"] == 0, "nothing was said: {}", tokens[3]);
}

/// Writes a stream of these events, and waits before each but the first.
fn stream_of(events: Vec<String>, is_whole: bool) -> impl Fn(&mut TcpStream) + Send + 'static {
    move |stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for (number, event) in events.iter().enumerate() {
            if number > 0 {
                std::thread::sleep(Duration::from_millis(300));
            }
            let event = format!("data: {event}\n\n");
            let _ = write!(stream, "{:x}\r\n{event}\r\n", event.len());
        }
        if is_whole {
            let _ = stream.write_all(b"0\r\n\r\n");
        }
    }
}

/// What OpenAI streams of a picture, and of a transcript, the last with its usage.
fn streamed() -> [(&'static str, [String; 2]); 2] {
    let usage = json!({"input_tokens": 7, "output_tokens": 9, "total_tokens": 16});
    let event = |kind: &str, name: &str, usage: Option<&Value>| {
        let mut event = json!({"type": kind, name: "abc"});
        if let Some(usage) = usage {
            event["usage"] = usage.clone();
        }
        event.to_string()
    };
    [
        (
            "/v1/images/generations",
            [
                event("image_generation.partial_image", "b64_json", None),
                event("image_generation.completed", "b64_json", Some(&usage)),
            ],
        ),
        (
            "/v1/audio/transcriptions",
            [
                event("transcript.text.delta", "delta", None),
                event("transcript.text.done", "text", Some(&usage)),
            ],
        ),
    ]
}

fn ask_streamed<'c>(client: &'c Client, path: &str) -> Request<'c> {
    if path.contains("audio") {
        return upload(client, path, form("m", 1_000, &[("stream", "true")]));
    }
    client.post(path).json(&json!({"model": "m", "prompt": "a cat", "stream": true, "partial_images": 1}))
}

#[test]
fn pictures_and_transcripts_stream_event_by_event_and_their_tokens_are_counted() {
    for (path, events) in streamed() {
        let provider = Recorder::answering(stream_of(events.to_vec(), true));
        let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("only", &["models: [m]"])));
        let client = gateway.client();
        let mut answer = ask_streamed(&client, path).open();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
        let begun = std::time::Instant::now();
        assert_eq!(answer.next_event().map(|event| event.data).as_ref(), Some(&events[0]), "{path}");
        assert!(begun.elapsed() < Duration::from_millis(250), "the first didn't wait for the second");
        assert_eq!(answer.next_event().map(|event| event.data).as_ref(), Some(&events[1]), "{path}");
        assert!(answer.next_event().is_none());
        assert_eq!(answer.end(), Some(BodyEnd::Clean));
        Metrics::after(&gateway, 1);
        let line = logged(&gateway, "request_success", 1).remove(0);
        assert_eq!(line["tokens"], json!({"input": 7, "output": 9}), "{line}");
    }
}

#[test]
fn a_stream_that_fails_before_its_first_event_is_another_providers_to_give() {
    let error = r#"{"type":"error","error":{"type":"server_error","message":"no"}}"#;
    for (path, events) in streamed() {
        let first = Recorder::answering(stream_of(vec![error.to_owned()], true));
        let second = Recorder::answering(stream_of(events.to_vec(), true));
        let gateway = pair(&first.yaml("first", &FIRST), &second.yaml("second", &SECOND));
        let client = gateway.client();
        let answer = ask_streamed(&client, path).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{path}");
        let told: Vec<String> = Event::all(&answer.body).into_iter().map(|event| event.data).collect();
        assert_eq!(told, events);
    }
}

#[test]
fn a_stream_that_breaks_off_ends_in_an_error_and_not_cleanly() {
    for (path, events) in streamed() {
        let provider = Recorder::answering(stream_of(events[..1].to_vec(), false));
        let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("only", &["models: [m]"])));
        let client = gateway.client();
        let answer = ask_streamed(&client, path).send();
        let told = Event::all(&answer.body);
        assert_eq!((told.len(), told.first().map(|event| &event.data)), (2, Some(&events[0])), "{path}");
        assert!(told[1].json()["error"]["message"].is_string());
        assert_ne!(answer.end, BodyEnd::Clean);
    }
}

#[test]
fn where_no_model_is_named_the_endpoints_default_is_routed_and_renamed_like_any_other() {
    let provider = Recorder::saying("application/json", b"{}");
    let lists = "models: [omni-moderation-latest, {name: sd-xl, alias: dall-e-2}]";
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("only", &[lists])));
    let client = gateway.client();
    let moderated = r#"{"input": "one"}"#;
    let answer = client.post("/v1/moderations").body(moderated).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-model"), Some("omni-moderation-latest"));
    assert_same(&provider.bodies().remove(0), moderated.as_bytes());
    client.post("/v1/images/generations").json(&json!({"prompt": "a cat"})).send().expect(200);
    let asked: Value = serde_json::from_slice(&provider.bodies().remove(0)).expect("JSON");
    assert_eq!(asked, json!({"model": "sd-xl", "prompt": "a cat"}));
    let nameless = |path| {
        let body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--{BOUNDARY}--\r\n"
        );
        upload(&client, path, body.into_bytes()).send()
    };
    for path in &FORMS[..2] {
        nameless(path).expect(200);
        let asked = String::from_utf8(provider.bodies().remove(0)).expect("text");
        assert!(
            asked.starts_with(&format!("--{BOUNDARY}\r\n")) && asked.contains("\r\n\r\nsd-xl\r\n"),
            "{asked}"
        );
    }
    expect_error(&nameless(FORMS[2]), Dialect::OpenAi, 400, "invalid_request", "`model` is missing");
}

/// What everybody who isn't of OpenAI's format is asked for in vain.
fn in_vain(client: &Client) -> Vec<(&'static str, Response)> {
    let json = questions().into_iter().map(|(path, body, _)| (path, client.post(path).json(&body).send()));
    let forms = FORMS.map(|path| (path, upload(client, path, form("m", 100, &[])).send()));
    json.chain(forms).collect()
}

#[test]
fn providers_of_other_dialects_are_no_candidates() {
    let (anthropics, geminis, openais) = (Provider::anthropic(), Provider::gemini(), Provider::openai());
    let others = format!(
        "{}{}",
        anthropics.yaml_with("first", &["models: [m]", "priority: 1"]),
        geminis.yaml_with("second", &["models: [m]", "priority: 1"]),
    );
    let gateway = Gateway::start(&format!("providers:\n{others}"));
    for (path, answer) in in_vain(&gateway.client()) {
        let told = format!(
            "no provider of model `m` has the endpoint `{}`, or another that does the same; use a model whose provider \
             has it",
            path.trim_start_matches("/v1/")
        );
        expect_error(&answer, Dialect::OpenAi, 400, "unsupported_feature", &told);
    }
    let third = openais.yaml_with("third", &["models: [m]", "priority: 2"]);
    let gateway = Gateway::start(&format!("providers:\n{others}{third}"));
    for (path, body, _) in questions() {
        let answer = gateway.client().post(path).json(&body).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"), "{path}");
    }
    assert!(anthropics.asked().is_empty() && geminis.asked().is_empty());
}
