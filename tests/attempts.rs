//! Who gets a request's further attempts, what they cost, and what is waited for.

use crate::support::{Canned, Gateway, Launch, Provider, Question, Response, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A gateway with these `retry` settings, before these providers.
fn with_retry(retry: &str, providers: &str) -> Gateway {
    let server = format!("server: {{host: 127.0.0.1, port: {{port}}, operations: {{retry: {{{retry}}}}}}}\n");
    Launch::new(&format!("{server}providers:\n{providers}")).start()
}

/// Nothing but the free failover is affordable.
const NO_BUDGET: &str = "budget: {per_second: 0, burst: 0, ratio: 0}";

fn ask(gateway: &Gateway) -> Response {
    Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send()
}

#[track_caller]
fn expect_answer(answer: &Response, provider: &str, attempts: &str) {
    assert_eq!((answer.status, &*Question::new(Dialect::OpenAi, "m").words(answer)), (200, ANSWER));
    let said = ["x-cliproxy-provider", "x-cliproxy-attempts"].map(|name| answer.header(name));
    assert_eq!(said, [Some(provider), Some(attempts)], "{}", answer.text());
}

#[test]
fn the_free_failover_is_kept_for_a_provider_that_is_well() {
    let (sick, sicker, well) =
        (Provider::openai().failing_with(500), Provider::openai().failing_with(500), Provider::openai());
    let line = |priority| format!("priority: {priority}");
    let gateway = with_retry(
        NO_BUDGET,
        &[
            sicker.yaml_with("sicker", &["models: [m, only-sicker]", &line(2)]),
            sick.yaml_with("sick", &["models: [m]", &line(1)]),
            well.yaml_with("well", &["models: [m]", &line(3)]),
        ]
        .concat(),
    );
    Question::new(Dialect::OpenAi, "only-sicker").to(&gateway.client()).send().expect(500);
    expect_answer(&ask(&gateway), "well", "2");
    assert_eq!((sick.asked().len(), sicker.asked().len()), (1, 1));
}

/// A provider whose name no resolver knows.
fn nameless(name: &str, lines: &[&str]) -> String {
    nowhere(Dialect::OpenAi, name, lines).replace("127.0.0.1", "nobody.invalid")
}

#[test]
fn a_name_that_never_resolved_is_no_attempt() {
    let well = Provider::openai();
    let mut entries: String =
        (1..6).map(|at| nameless(&format!("n{at}"), &["models: [m, lost]", "priority: 1"])).collect();
    entries += &well.yaml_with("well", &["models: [m]", "priority: 2"]);
    let gateway = with_retry("max_attempts: 1", &entries);
    expect_answer(&ask(&gateway), "well", "1");
    let answer = Question::new(Dialect::OpenAi, "lost").to(&gateway.client()).send().expect(503);
    assert_eq!(answer.header("x-cliproxy-attempts"), None);
    assert!(answer.text().contains("n3: unresolved"), "{}", answer.text());
}

#[test]
fn a_silent_provider_is_not_asked_for_another_model_of_the_route() {
    let (silent, well) = (Provider::openai(), Provider::openai());
    let route = "models:\n  m: {targets: [{provider: silent, model: slow-60s}, {provider: silent, model: slow-61s}, {provider: well}]}\n";
    let entries = [
        silent.yaml_with("silent", &["priority: 1", "timeouts: {header: 300ms, total: 300ms}"]),
        well.yaml_with("well", &["priority: 2"]),
        route.to_owned(),
    ];
    expect_answer(&ask(&with_retry("", &entries.concat())), "well", "2");
    assert_eq!(silent.asked().len(), 1);
}

/// An answer with that status and these further headers.
fn canned(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} Canned\r\nconnection: close\r\ncontent-length: 2\r\n{headers}\r\n{{}}")
}

/// Limits its rate by key: the first question with `Bearer short` is to come again in 300 ms, and all with
/// another key in a minute.
fn limiting() -> Canned {
    let has_asked = AtomicBool::new(false);
    Canned::serving(move |stream, head| {
        let is_short = head.contains("bearer short\r\n");
        let answer = match (is_short, is_short && has_asked.swap(true, Ordering::Relaxed)) {
            (true, true) => canned(200, "content-type: application/json\r\n"),
            (true, false) => canned(429, "retry-after-ms: 300\r\n"),
            (false, _) => canned(429, "retry-after: 60\r\n"),
        };
        // A client that has gone needs no answer.
        let _ = stream.write_all(answer.as_bytes());
    })
}

#[test]
fn a_limit_of_the_tier_is_waited_out_whatever_failed_last() {
    let (limiting, below) = (limiting(), Provider::openai());
    let resetting = Provider::openai().resetting();
    let entries = [
        limiting.yaml("limiting", Dialect::OpenAi, &["models: [m]", "priority: 1", "api_key: short"]),
        resetting.yaml_with("resetting", &["models: [m]", "priority: 2"]),
        below.yaml_with("below", &["models: [m]", "priority: 3"]),
    ];
    // Both in one tier; whoever comes first, the other fails, too.
    let gateway = with_retry("", &entries.concat().replace("priority: 2", "priority: 1"));
    let start = Instant::now();
    let answer = ask(&gateway).expect(200);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("limiting"));
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("3"));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn the_key_that_is_free_first_is_asked_again() {
    let limiting = limiting();
    let lines = ["models: [m]", "api_keys: [short, long]"];
    let gateway = with_retry("", &limiting.yaml("limiting", Dialect::OpenAi, &lines));
    let answer = ask(&gateway).expect(200);
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("3"));
    assert!(limiting.heads()[2].contains("bearer short"), "{:?}", limiting.heads());
}
