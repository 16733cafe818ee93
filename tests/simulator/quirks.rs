//! Scenarios in which the answer is good and the HTTP around it is not: byte by byte as it is on the wire.

use crate::support::{Client, Question, Raw};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Ending, Options, Simulator};
use std::io::{ErrorKind, Read};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

fn simulator() -> Simulator {
    Simulator::start(Options::default()).expect("a free port")
}

/// Asks on a connection that stays open, if it is for us.
fn ask(simulator: &Simulator, question: &Question) -> Raw {
    Client::new(simulator.address()).raw(rendered(question, ""))
}

fn rendered(question: &Question, header: &str) -> String {
    let (path, body) = (question.path(), question.body().to_string());
    let version = "anthropic-version: 2023-06-01";
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: h\r\n{version}\r\n{header}content-length: {length}\r\n\r\n{body}")
}

/// All that comes until the connection closes.
fn rest(raw: &mut Raw) -> String {
    let mut bytes = Vec::new();
    raw.stream.read_to_end(&mut bytes).expect("an orderly close");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The whole exchange, the client having asked for the connection to be closed.
fn exchange(simulator: &Simulator, question: &Question) -> String {
    rest(&mut Client::new(simulator.address()).raw(rendered(question, "connection: close\r\n")))
}

/// The length that a header states.
fn stated(header: &str) -> usize {
    let line = header.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.and_then(|length| length.parse().ok()).expect("a length")
}

#[test]
fn each_quirk_is_on_the_wire() {
    let simulator = simulator();
    for dialect in Dialect::ALL {
        let both =
            |model: &str| Question::both_ways(dialect, model).map(|asked| exchange(&simulator, &asked));
        for text in both("fault-1xx") {
            assert_eq!(text.matches("HTTP/1.1 103 Early Hints\r\n").count(), 2, "{dialect}");
            assert!(text.contains("\r\n\r\nHTTP/1.1 200 OK\r\n"), "{dialect}");
        }
        for text in both("fault-trailers") {
            assert!(text.contains("\r\ntrailer: x-words, x-end\r\n"), "{dialect}");
            assert!(text.ends_with("\r\n0\r\nx-words: 60\r\nx-end: yes\r\n\r\n"), "{dialect}");
        }
        for text in both("fault-close") {
            let (header, _) = text.split_once("\r\n\r\n").expect("a header");
            assert!(!header.contains("content-length") && !header.contains("chunked"), "{dialect}");
        }
        for (model, off_by) in [("fault-short-length", -64), ("fault-long-length", 40)] {
            for text in both(model) {
                let (header, body) = text.split_once("\r\n\r\n").expect("a header");
                assert_eq!(body.len() as i64 - stated(header) as i64, off_by, "{model} in {dialect}");
                assert!(body.contains("walnut"), "{model} in {dialect}");
            }
        }
        for text in both("fault-split-1") {
            let (_, body) = text.split_once("\r\n\r\n").expect("a header");
            let chunks: Vec<_> = body.split("\r\n").step_by(2).collect();
            assert!(chunks.len() > 300 && body.starts_with("1\r\n"), "{dialect}");
        }
    }
}

#[test]
fn a_lingering_answer_is_whole_and_never_ends() {
    let simulator = simulator();
    for dialect in Dialect::ALL {
        for question in Question::both_ways(dialect, "fault-linger") {
            let mut raw = ask(&simulator, &question);
            let (mut text, mut buffer) = (String::new(), [0; 4_096]);
            // The announced rest of the chunk is there with the first read or the next ones.
            while !text.contains("walnut") {
                let read = raw.stream.read(&mut buffer).expect("more");
                text += &String::from_utf8_lossy(&buffer[..read]);
            }
            raw.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            let end = loop {
                match raw.stream.read(&mut buffer) {
                    Ok(0) => panic!("it was closed"),
                    Ok(read) => text += &String::from_utf8_lossy(&buffer[..read]),
                    Err(error) => break error.kind(),
                }
            };
            assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&end), "{dialect}");
            assert!(!text.ends_with("0\r\n\r\n"), "{dialect}");
        }
    }
}

#[test]
fn a_dead_pooled_connection_dies_with_its_second_request() {
    let simulator = simulator();
    for dialect in Dialect::ALL {
        for question in Question::both_ways(dialect, "fault-dead-pool") {
            let mut raw = ask(&simulator, &question);
            let answer = raw.answer().expect(200);
            assert_eq!((question.words(&answer).as_str(), answer.header("connection")), (ANSWER, None));
            raw.write(rendered(&question, ""));
            let mut left = Vec::new();
            let end = raw.stream.read_to_end(&mut left).map_err(|error| error.kind());
            assert!(end == Ok(0) || end == Err(ErrorKind::ConnectionReset), "{dialect}: {end:?}");
        }
    }
    assert_eq!((simulator.accepted_connections(), simulator.requests()), (6, 6));
}

#[test]
fn an_early_refusal_comes_before_the_body_is_whole() {
    let simulator = simulator();
    for (model, status) in [("fault-early-400", 400), ("fault-early-close", 503)] {
        for dialect in Dialect::ALL {
            let path = Question::new(dialect, model).path();
            let begin = format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "Hel"#);
            let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n{begin}");
            let mut raw = Client::new(simulator.address()).raw(head);
            let text = rest(&mut raw);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{model} in {dialect}: {text}");
            assert!(text.contains("\r\nconnection: close\r\n"), "{model} in {dialect}");
        }
    }
    let answered = |ending| matches!(ending, Ending::Answered(..));
    assert!(simulator.wait_until(|all| all.len() == 6 && all.iter().all(|one| answered(one.ending)), LIMIT));
}
