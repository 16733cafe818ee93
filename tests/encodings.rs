//! Providers that encode their answers although nobody asked them to.

use crate::support::{Canned, Event, Gateway, Metrics, Question};
use cliproxy::domain::Dialect;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

const PLAIN: &str =
    r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

/// A whole stream; the usage before its end goes to whoever asked for it, the meter here.
const EVENTS: [&str; 4] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
    "data: [DONE]\n\n",
];

/// How long a provider waits to hear that its event has arrived.
const TIMEOUT: Duration = Duration::from_secs(10);

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("to memory");
    encoder.finish().expect("to memory")
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("to memory");
    encoder.finish().expect("to memory")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).expect("to memory")
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20);
    encoder.write_all(text).expect("to memory");
    encoder.into_inner()
}

fn header(content_type: &str, coding: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-encoding: {coding}\r\n\r\n")
}

/// Says this in that coding, then closes.
fn canned(content_type: &str, coding: &str, encoded: &[u8]) -> Canned {
    Canned::answering([header(content_type, coding).as_bytes(), encoded].concat())
}

/// A provider of model `m`.
fn before(canned: &Canned) -> Gateway {
    Gateway::start(&format!("providers:\n{}", canned.yaml("odd", Dialect::OpenAi, &["models: [m]"])))
}

#[test]
fn answers_in_any_coding_arrive_decoded_and_metered() {
    type Encode = fn(&[u8]) -> Vec<u8>;
    let codings: [(&str, Encode); 5] = [
        ("gzip", gzip),
        ("deflate", deflate),
        ("zstd", zstd),
        ("br", brotli),
        ("gzip, br", |text| brotli(&gzip(text))),
    ];
    let canned: Vec<(Canned, Canned)> = codings
        .iter()
        .map(|(coding, encode)| {
            let plain = canned("application/json", coding, &encode(PLAIN.as_bytes()));
            (plain, canned("text/event-stream", coding, &encode(EVENTS.concat().as_bytes())))
        })
        .collect();
    let mut yaml = "providers:\n".to_owned();
    for (number, (plain, streamed)) in canned.iter().enumerate() {
        yaml +=
            &plain.yaml(&format!("plain{number}"), Dialect::OpenAi, &[&format!("models: [plain{number}]")]);
        yaml +=
            &streamed.yaml(&format!("sse{number}"), Dialect::OpenAi, &[&format!("models: [sse{number}]")]);
    }
    let gateway = Gateway::start(&yaml);
    let client = gateway.client();
    for (number, (coding, _)) in codings.iter().enumerate() {
        let question = Question::new(Dialect::OpenAi, &format!("plain{number}"));
        let answer = question.to(&client).send().expect(200);
        assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (PLAIN, None), "{coding}");

        let question = Question::new(Dialect::OpenAi, &format!("sse{number}")).streamed();
        let answer = question.to(&client).send().expect(200);
        assert_eq!(answer.header("content-encoding"), None, "{coding}");
        assert_eq!(answer.text(), [EVENTS[0], EVENTS[1], EVENTS[3]].concat(), "{coding}");

        let metrics = Metrics::after(&gateway, 2 * u32::try_from(number + 1).expect("few"));
        for name in [format!("plain{number}"), format!("sse{number}")] {
            let tokens = |kind: &str| {
                let labels = format!(r#"provider="{name}",model="{name}",type="{kind}""#);
                metrics.of(&format!("cliproxy_tokens_total{{{labels}}}"))
            };
            assert_eq!((tokens("input"), tokens("output")), (3.0, 4.0), "{coding}: {name}");
        }
    }
}

#[test]
fn an_encoded_event_goes_on_as_soon_as_it_was_flushed() {
    let (arrived, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let odd = Canned::serving(move |stream, _| {
        stream.write_all(header("text/event-stream", "gzip").as_bytes()).expect("a header");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for event in EVENTS {
            encoder.write_all(event.as_bytes()).expect("to memory");
            encoder.flush().expect("to memory");
            stream.write_all(&std::mem::take(encoder.get_mut())).expect("an event");
            if event == EVENTS[0] {
                gate.lock().unwrap().recv_timeout(TIMEOUT).expect("the first event to arrive");
            }
        }
        stream.write_all(&encoder.finish().expect("to memory")).expect("an end");
    });
    let gateway = before(&odd);
    let mut answer = Question::new(Dialect::OpenAi, "m").streamed().to(&gateway.client()).open();
    let first = answer.next_event().expect("an event");
    assert!(first.data.contains("hi"), "{first:?}");
    arrived.send(()).expect("a provider that waits");
    let rest: Vec<Event> = std::iter::from_fn(|| answer.next_event()).collect();
    assert_eq!(rest.last().map(|event| event.data.as_str()), Some("[DONE]"), "{rest:?}");
}

#[test]
fn an_encoded_answer_that_is_cut_short_is_no_answer() {
    for (content_type, whole) in
        [("application/json", PLAIN.to_owned()), ("text/event-stream", EVENTS[0].to_owned())]
    {
        let encoded = gzip(whole.as_bytes());
        let odd = canned(content_type, "gzip", &encoded[..encoded.len() - 1]);
        let gateway = before(&odd);
        let mut question = Question::new(Dialect::OpenAi, "m");
        if content_type == "text/event-stream" {
            question = question.streamed();
            let mut answer = question.to(&gateway.client()).open();
            let events: Vec<Event> = std::iter::from_fn(|| answer.next_event()).collect();
            assert!(events.iter().any(|event| event.data.contains("hi")), "{events:?}");
            assert!(events.last().is_some_and(|event| event.data.contains("\"error\"")), "{events:?}");
        } else {
            question.to(&gateway.client()).send().expect(503);
        }
    }
}

#[test]
fn a_plain_answer_in_an_unknown_coding_is_passed_on_as_it_is() {
    let odd = canned("application/json", "gzip, x-secret", b"\x00\x01 whatever this is");
    let gateway = before(&odd);
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(200);
    assert_eq!(answer.header("content-encoding"), Some("gzip, x-secret"));
    assert_eq!(answer.body, b"\x00\x01 whatever this is");
}

#[test]
fn an_encoded_refusal_reaches_the_client_decoded_and_says_so() {
    let refusal = r#"{"error":{"message":"no such parameter","type":"invalid_request_error","param":null}}"#;
    let body = gzip(refusal.as_bytes());
    let mut answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    let odd = Canned::answering(answer);
    let gateway = before(&odd);
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(400);
    assert_eq!(answer.text(), refusal);
    assert_eq!(answer.header("content-encoding"), None);
}
