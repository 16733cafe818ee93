//! Who gets a request's further attempts, what they cost, and what is waited for.

use crate::support::{Canned, Gateway, Launch, Provider, Question, Response, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::time::{Duration, Instant};

/// A gateway with these `retry` settings, before these providers.
fn with_retry(retry: &str, providers: &str) -> Gateway {
    let server =
        format!("server: {{host: 127.0.0.1, port: {{port}}, operations: {{retry: {{{retry}}}}}}}\n");
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
