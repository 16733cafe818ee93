//! The log: what becomes of it, and of requests, when nobody reads it.

use crate::support::{Gateway, Launch, Metrics, Provider, Question};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};
use std::io::{self, PipeReader};
use std::thread::JoinHandle;
use std::time::Duration;

/// More than fit into a pipe: that is after some 200 lines.
const REQUESTS: usize = 500;

/// Long lines, more than there is room for.
const ENOUGH: usize = 5000;

/// For the end of a process with nothing open.
const SOON: Duration = Duration::from_secs(5);

/// A gateway whose log goes to a pipe that is not read until the test does.
fn unread(provider: &Provider) -> (Gateway, PipeReader) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let yaml = format!("providers:\n{}", provider.yaml_with("p", &["models: [m]"]));
    (Launch::new(&yaml).stderr(writer).start(), reader)
}

/// Reads it from now on, until the gateway is gone.
fn read(log: PipeReader) -> JoinHandle<Vec<Value>> {
    std::thread::spawn(move || {
        let text = io::read_to_string(log).expect("a log in UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a whole line of JSON")).collect()
    })
}

fn messages(log: &[Value]) -> Vec<&str> {
    log.iter().filter_map(|line| line["msg"].as_str()).collect()
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_is_whole_once_it_is_read() {
    let provider = Provider::openai();
    let (mut gateway, log) = unread(&provider);
    let client = gateway.client();
    for _ in 0..REQUESTS {
        Question::new(Dialect::OpenAi, "m").to(&client).send().expect(200);
    }
    let log = read(log);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(SOON), 0);
    let log = log.join().expect("a log");
    let messages = messages(&log);
    let settled = messages.iter().filter(|message| **message == "request_success").count();
    assert_eq!(settled, REQUESTS);
    assert_eq!(messages.last(), Some(&"stopped: nothing is open"), "the last line is written before the end");
}

#[test]
fn lines_that_find_no_room_are_dropped_counted_and_told() {
    let provider = Provider::openai();
    let (mut gateway, log) = unread(&provider);
    let client = gateway.client();
    // The longest name of a model, escaped, makes the longest lines that a client can have us write.
    let long = json!({"model": "\u{1}".repeat(512), "messages": []});
    let dropped = (0..ENOUGH).step_by(100).find_map(|_| {
        (0..100).for_each(|_| drop(client.post("/v1/chat/completions").json(&long).send()));
        Some(Metrics::read(&gateway).of("cliproxy_log_dropped_total")).filter(|dropped| *dropped > 0.0)
    });
    let dropped = dropped.expect("lines without room");
    let log = read(log);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(SOON), 0);
    let log = log.join().expect("a log");
    let notices: Vec<_> = log.iter().filter(|line| line["msg"].as_str().is_some_and(told)).collect();
    assert_eq!(notices.len(), 1, "{:?}", messages(&log));
    assert_eq!(notices[0]["level"], "warn");
    // Lines that came after the metrics were read, and before there was room, are lost as well.
    let message = notices[0]["msg"].as_str().expect("a message");
    let told: f64 = message.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
    assert!(told >= dropped && told < dropped + 10.0, "{dropped} were counted: {message}");
}

fn told(message: &str) -> bool {
    message.contains(" log lines were dropped")
}
