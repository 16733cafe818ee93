//! Who gets a request's further attempts, what they cost, and what is waited for.

use crate::support::{Canned, Gateway, Launch, Metrics, Provider, Question, Response, nowhere, status};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Behaviour};
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

#[test]
fn another_key_is_extra_load_unless_the_last_was_refused() {
    let provider = Provider::openai();
    let [own, keys] = [r#"api_key: "{}""#, r#"api_keys: [revoked, expired, "{}"]"#]
        .map(|line| line.replace("{}", provider.key()));
    let entry = provider.yaml_with("only", &["models: [m]"]).replace(&own, &keys);
    let gateway = with_retry(NO_BUDGET, &entry);
    expect_answer(&ask(&gateway), "only", "3");
    provider.set_behaviour(Behaviour::Status(429));
    let answer = ask(&gateway).expect(429);
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
    assert_eq!(provider.asked().len(), 3 + 1);
}

#[test]
fn the_gateways_own_deadline_is_no_fault_of_a_provider() {
    let (slow, well) = (Provider::openai(), Provider::openai());
    let entries = [
        slow.yaml_with("slow", &["models: [{name: slow-60s, alias: m}]", "priority: 1"]),
        well.yaml_with("well", &["models: [m]", "priority: 2"]),
    ];
    let gateway = with_retry("total_timeout: 300ms", &entries.concat());
    for question in Question::both_ways(Dialect::OpenAi, "m") {
        let answer = question.to(&gateway.client()).send().expect(504);
        assert_eq!(answer.header("x-cliproxy-error"), Some("timeout"));
    }
    let counted = Metrics::after(&gateway, 2);
    assert_eq!(counted.of(r#"cliproxy_attempts_total{provider="slow",outcome="cancelled"}"#), 2.0);
    assert_eq!(status(&gateway, "slow")["errors_last_minute"], 0);
    assert!(well.asked().is_empty());
}

#[test]
fn what_is_said_of_all_candidates_holds_for_all() {
    let limited = [(); 2].map(|()| Provider::openai().failing_with(429));
    let entries = [
        limited[0].yaml_with("first", &["models: [m]", "priority: 1"]),
        limited[1].yaml_with("second", &["models: [m]", "priority: 2"]),
    ];
    let gateway = with_retry(NO_BUDGET, &entries.concat());
    assert_eq!(ask(&gateway).expect(429).header("x-cliproxy-error"), Some("rate_limited"));
    // Now both seem sick, and another attempt is extra load.
    let answer = ask(&gateway).expect(503);
    assert!(answer.header("retry-after").is_some());
    assert!(answer.text().contains("first: rate_limit; second: retry_budget"), "{}", answer.text());
}

#[test]
fn a_model_that_nobody_has_any_more_stays_not_found() {
    let providers = [(); 2].map(|()| Provider::openai());
    let models = "models: [{name: fault-404-model, alias: m}]";
    let entries = [
        providers[0].yaml_with("first", &[models, "priority: 1"]),
        providers[1].yaml_with("second", &[models, "priority: 2"]),
    ];
    let gateway = with_retry("", &entries.concat());
    for attempts in ["2", "1"] {
        let answer = ask(&gateway).expect(404);
        assert_eq!(
            answer.header("x-cliproxy-attempts"),
            Some(attempts),
            "who is known to lack it is not asked"
        );
    }
    let once = with_retry("max_attempts: 1", &entries.concat());
    assert!(ask(&once).expect(503).text().contains("second: not tried"), "nobody knows of the second");
}
