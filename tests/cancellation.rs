//! A client that goes away: its request ends at the provider, and nobody is blamed.

use crate::support::{Gateway, Metrics, Provider, Question, eventually, logged, status};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Ending, Options};
use std::time::{Duration, Instant};

/// How soon a provider learns that the client is gone.
const CANCEL_LIMIT: Duration = Duration::from_millis(100);

/// Long enough that no test waits for it to end.
const NEVER: Duration = Duration::from_secs(60);

/// How long after `vanished` the provider's last request was closed.
#[track_caller]
fn noticed_after(provider: &Provider, vanished: Instant) -> Duration {
    eventually("the provider sees the close", || match provider.asked().last().map(|asked| asked.ending) {
        Some(Ending::ClientClosed(at)) => Some(at.saturating_duration_since(vanished)),
        _ => None,
    })
}

/// Nothing of a client's going away is counted against the provider, and nothing is left open.
#[track_caller]
fn assert_unharmed(gateway: &Gateway, requests: u32) {
    Metrics::after(gateway, requests);
    let figures = eventually("nothing is in flight", || {
        Some(status(gateway, "only")).filter(|figures| figures["in_flight"] == 0)
    });
    assert_eq!(figures["errors_last_minute"], 0, "{figures}");
    assert_eq!(figures["consecutive_failures"], 0, "{figures}");
    assert_eq!(figures["last_error"], serde_json::Value::Null, "{figures}");
    let in_flight = Metrics::read(gateway).of("cliproxy_in_flight_requests");
    assert_eq!(in_flight, 0.0);
}

/// The quickest of a few tries: a busy machine must not decide.
fn quickest(mut measure: impl FnMut() -> Duration) -> Duration {
    let tries = (0..5).map(|_| measure());
    let mut best = Duration::MAX;
    for took in tries {
        best = best.min(took);
        if best <= CANCEL_LIMIT {
            break;
        }
    }
    best
}

#[test]
fn a_client_that_vanishes_in_a_stream_cancels_it_within_100_ms() {
    for dialect in Dialect::ALL {
        let provider = Provider::with(dialect, Options { token_interval: NEVER, ..Options::default() });
        let gateway = Gateway::before(&provider, "models: [m]");
        let question = Question::new(dialect, "m").streamed();
        let mut requests = 0;
        let took = quickest(|| {
            let mut answer = question.to(&gateway.client()).open();
            let mut seen = Vec::new();
            while question.words_of(&seen).is_empty() {
                seen.push(answer.next_event().expect("the first word"));
            }
            requests += 1;
            let vanished = Instant::now();
            answer.vanish();
            noticed_after(&provider, vanished)
        });
        assert!(took <= CANCEL_LIMIT, "{dialect}: {took:?}");
        assert_unharmed(&gateway, requests);
        let line = logged(&gateway, "request_cancelled", 1).remove(0);
        assert!(line["tokens"]["output"].as_u64() >= Some(1), "the first word is metered: {line}");
        assert!(line["tokens"]["output"].as_u64() < Some(10), "and no more than came: {line}");
    }
}

#[test]
fn a_client_that_vanishes_before_the_header_cancels_the_request_within_100_ms() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::before(&provider, "models: [slow-60s]");
        let mut requests = 0;
        for question in Question::both_ways(dialect, "slow-60s") {
            let took = quickest(|| {
                let body = question.body().to_string();
                let head = format!(
                    "POST {} HTTP/1.1\r\nhost: localhost\r\nanthropic-version: 1\r\ncontent-length: {}\r\n\r\n",
                    question.path(),
                    body.len()
                );
                let asking = gateway.client().raw(head + &body);
                requests += 1;
                eventually("the provider is asked", || {
                    (provider.asked().len() == requests as usize).then_some(())
                });
                let vanished = Instant::now();
                drop(asking);
                noticed_after(&provider, vanished)
            });
            assert!(took <= CANCEL_LIMIT, "{dialect}: {took:?}");
        }
        assert_unharmed(&gateway, requests);
        logged(&gateway, "request_cancelled", 2);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_has_cancelled() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [m]");
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"model\"";
    drop(gateway.client().raw(head));
    let series = r#"cliproxy_requests_total{provider="none",model="_other",status="cancelled"}"#;
    eventually("it is counted as cancelled", || (Metrics::read(&gateway).of(series) == 1.0).then_some(()));
    assert!(provider.asked().is_empty());
}

#[test]
fn a_client_that_stops_reading_is_cut_off_and_holds_nothing() {
    let provider = Provider::openai();
    let server = "server:\n  port: {port}\n  limits: {write_timeout: 1s}\n";
    let mut gateway = Gateway::start(&format!("{server}providers:\n{}", provider.yaml("only")));
    let question = Question::new(Dialect::OpenAi, "only/large-32M");
    let unread = question.to(&gateway.client()).open();
    Metrics::after(&gateway, 1);
    eventually("nothing is in flight", || {
        (Metrics::read(&gateway).of("cliproxy_in_flight_requests") == 0.0).then_some(())
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(Duration::from_secs(2)), 0);
    drop(unread);
}
