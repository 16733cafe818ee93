//! Providers with manners of their own: early answers, torn streams, many keys that are all refused.

use crate::support::{
    BodyEnd, Canned, Event, Gateway, Metrics, Provider, Question, error_message, eventually,
};
use cliproxy::domain::Dialect;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Larger than what sockets hold for somebody who doesn't read.
const LARGE: usize = 16 << 20;

/// Before a provider that says what it is told, of model `m`.
fn before(canned: &Canned) -> Gateway {
    Gateway::start(&format!("providers:\n{}", canned.yaml("odd", Dialect::OpenAi, &["models: [m]"])))
}

/// Reads the body whose length the head gives.
fn read_body(stream: &mut TcpStream, head: &str) -> usize {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let length: u64 = length.parse().expect("a number");
    std::io::copy(&mut stream.take(length), &mut std::io::sink()).expect("a body") as usize
}

#[test]
fn a_refusal_before_the_body_is_sent_is_given_at_once() {
    let refusal = "{\"error\":{\"message\":\"too much\",\"type\":\"invalid_request_error\"}}";
    let length = refusal.len();
    let odd = Canned::answering(format!(
        "HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{refusal}"
    ));
    let gateway = before(&odd);
    let asked = Instant::now();
    let answer = Question::new(Dialect::OpenAi, "m").of_size(LARGE).to(&gateway.client()).send().expect(413);
    assert_eq!(answer.text(), refusal);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn a_good_answer_that_begins_early_still_gets_the_whole_body() {
    let odd = Canned::serving(|stream, head| {
        let header =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(header.as_bytes()).expect("a header");
        let length = format!("{{\"read\":{}}}", read_body(stream, head));
        let chunk = format!("{:x}\r\n{length}\r\n0\r\n\r\n", length.len());
        stream.write_all(chunk.as_bytes()).expect("a body");
    });
    let gateway = before(&odd);
    let answer = Question::new(Dialect::OpenAi, "m").of_size(LARGE).to(&gateway.client()).send().expect(200);
    assert_eq!(answer.json()["read"], LARGE);
}

#[test]
fn a_request_that_was_answered_with_a_hint_is_not_sent_twice() {
    let odd = Canned::serving(|stream, head| {
        read_body(stream, head);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).expect("an answer");
        // The second request comes on the same connection, gets a hint, and then nothing.
        let _ = stream.read(&mut [0; 64 << 10]);
        let _ = stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    });
    let entry = odd.yaml("odd", Dialect::OpenAi, &["models: [m]"]);
    let one_attempt = "server: {host: 127.0.0.1, port: {port}, operations: {retry: {max_attempts: 1}}}";
    let gateway = Gateway::start(&format!("{one_attempt}\nproviders:\n{entry}"));
    let question = Question::new(Dialect::OpenAi, "m");
    question.to(&gateway.client()).send().expect(200);
    // Once it is counted, its connection is back in the pool.
    Metrics::after(&gateway, 1);
    question.to(&gateway.client()).send().expect(503);
    assert_eq!(odd.heads().len(), 1, "no request came on another connection");
}

#[test]
fn a_stream_that_ends_within_an_event_is_broken_off() {
    let odd = Canned::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"cho",
    );
    let gateway = before(&odd);
    let mut answer = Question::new(Dialect::OpenAi, "m").streamed().to(&gateway.client()).open();
    let events: Vec<Event> = std::iter::from_fn(|| answer.next_event()).collect();
    assert!(events.last().is_some_and(|event| event.data.contains("\"error\"")), "{events:?}");
    assert_eq!(answer.end(), Some(BodyEnd::Aborted));
}

#[test]
fn the_keys_of_one_provider_leave_attempts_for_the_others() {
    let (first, second) = (Provider::openai(), Provider::openai());
    let revoked = "api_keys: [r1, r2, r3, r4, r5, r6]";
    let refused = first.yaml_with("first", &["models: [m]", "priority: 1"]);
    let refused = refused.replace(&format!("api_key: \"{}\"", first.key()), revoked);
    let fallback = second.yaml_with("second", &["models: [m]", "priority: 2"]);
    let gateway = Gateway::start(&format!("providers:\n{refused}{fallback}"));
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("4"));
}

/// A chunk of a chat stream that says so much, and why it ends, if it does.
fn chunk(text: &str, finish: Option<&str>) -> String {
    let choice = serde_json::json!({"index": 0, "delta": {"content": text}, "finish_reason": finish});
    format!("data: {}\n\n", serde_json::json!({"choices": [choice]}))
}

fn stream(body: &str) -> Canned {
    Canned::answering(format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}"))
}

#[test]
fn a_stream_that_lacks_its_last_empty_line_is_whole() {
    for end in ["data: [DONE]\n", "data: [DONE]", "data: {\"usa"] {
        let odd = stream(&format!("{}{end}", chunk("all of it", Some("stop"))));
        let gateway = before(&odd);
        let answer = Question::new(Dialect::OpenAi, "m").streamed().to(&gateway.client()).send().expect(200);
        assert_eq!(answer.end, BodyEnd::Clean, "{end}");
        let is_kept = answer.text().ends_with(end);
        assert_eq!(is_kept, end.contains("DONE"), "what is torn is nobody's: {}", answer.text());
    }
}

#[test]
fn a_successor_that_says_something_else_ends_the_stream_with_an_error() {
    let first = stream(&chunk("one two three", None));
    let endings = [
        format!("{}data: [DONE]\n\n", chunk("one", Some("stop"))),
        format!("{}data: [DONE]\n\n", chunk("one", None)),
        chunk("one too", None),
    ];
    for ending in endings {
        let second = stream(&ending);
        let recovery =
            "server: {host: 127.0.0.1, port: {port}, operations: {retry: {stream_recovery: match}}}";
        let gateway = Gateway::start(&format!(
            "{recovery}\nproviders:\n{}{}",
            first.yaml("first", Dialect::OpenAi, &["models: [m]", "priority: 1"]),
            second.yaml("second", Dialect::OpenAi, &["models: [m]", "priority: 2"])
        ));
        let mut answer = Question::new(Dialect::OpenAi, "m").streamed().to(&gateway.client()).open();
        let events = answer.events();
        assert!(events.first().is_some_and(|event| event.data.contains("one two three")), "{events:?}");
        assert!(events.last().is_some_and(|event| event.data.contains("\"error\"")), "{events:?}");
        assert_eq!((events.len(), answer.end()), (2, Some(BodyEnd::Aborted)), "{events:?}");
    }
}

#[test]
fn what_an_edge_says_in_its_own_way_is_told_in_the_clients() {
    let page = "<html><body>upstream api-7.internal.example timed out</body></html>";
    let plain = r#"{"object":"error","message":"`n` is too large","code":400}"#;
    for (status, body, told) in [(503, page, "503"), (400, page, "400"), (400, plain, "`n` is too large")] {
        let odd = Canned::answering(format!(
            "HTTP/1.1 {status} Whatever\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let entry = odd.yaml("odd", Dialect::OpenAi, &["models: [m]"]);
        let one_attempt = "server: {host: 127.0.0.1, port: {port}, operations: {retry: {max_attempts: 1}}}";
        let gateway = Gateway::start(&format!("{one_attempt}\nproviders:\n{entry}"));
        let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(status);
        let message = error_message(Dialect::OpenAi, &answer.json());
        assert!(message.contains(told) && !message.contains("internal"), "{message}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

/// Two providers of model `m`, the first of which says this to everybody.
fn beside_a_good_one(said: &str, dialect: Dialect) -> (Canned, Provider, Gateway) {
    let (odd, good) = (Canned::answering(said.to_owned()), Provider::of(dialect));
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        odd.yaml("odd", dialect, &["api_key: k", "models: [m]", "priority: 1"]),
        good.yaml_with("good", &["models: [m]", "priority: 2"]),
    ));
    (odd, good, gateway)
}

#[test]
fn a_page_that_is_called_a_success_is_none_and_another_is_asked() {
    for body in ["<html>please log in</html>", "", "welcome"] {
        for kind in ["text/html", "application/json"] {
            let page = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            for dialect in Dialect::ALL {
                let (_odd, _good, gateway) = beside_a_good_one(&page, dialect);
                for question in [Question::new(dialect, "m"), Question::new(dialect, "m").streamed()] {
                    let answer = question.ask(&gateway);
                    assert_eq!(answer.status, 200, "{dialect} {kind} {body:?}");
                    assert_eq!(
                        answer.header("x-cliproxy-provider"),
                        Some("good"),
                        "{dialect} {kind} {body:?}"
                    );
                    assert!(answer.text().contains("walnut") && answer.end == BodyEnd::Clean, "{dialect}");
                }
            }
        }
    }
}

#[test]
fn a_provider_that_lacks_the_path_is_no_fault_of_the_clients_and_another_is_asked() {
    for dialect in Dialect::ALL {
        let page =
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
        let (_odd, _good, gateway) = beside_a_good_one(page, dialect);
        let answer = Question::new(dialect, "m").ask(&gateway);
        assert_eq!((answer.status, answer.header("x-cliproxy-attempts")), (200, Some("2")), "{dialect}");
        eventually("a warning", || gateway.output().contains("check its `base_url`").then_some(()));
    }
}
