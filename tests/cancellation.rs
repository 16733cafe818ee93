//! A client that goes away: its request ends at the provider, and nobody is blamed.

use crate::support::{Canned, Gateway, Metrics, Provider, Question, eventually, logged, status};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Ending, Options};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;
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

/// How long after its client had gone nothing was in flight any more.
#[track_caller]
fn over_after(gateway: &Gateway, vanished: Instant) -> Duration {
    eventually("nothing is in flight", || {
        (Metrics::read(gateway).of("cliproxy_in_flight_requests") == 0.0).then(|| vanished.elapsed())
    })
}

/// The head of a question whose body is still to come.
fn head_of(question: &Question, length: usize) -> String {
    format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nanthropic-version: 1\r\ncontent-length: {length}\r\n\r\n",
        question.path()
    )
}

#[test]
fn a_client_that_vanishes_during_a_pause_between_attempts_ends_it_within_100_ms() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        // Limits its rate, and wants to be asked again in two seconds.
        let gateway = Gateway::before(&provider, "models: [fault-s01]");
        let mut asked = 0;
        let took = quickest(|| {
            asked += 1;
            let question =
                Question::new(dialect, "fault-s01").saying(&format!("Hello for the {asked}th time"));
            let body = question.body().to_string();
            let asking = gateway.client().raw(head_of(&question, body.len()) + &body);
            let failed = r#"cliproxy_attempts_total{provider="only",outcome="error"}"#;
            eventually("the attempt has failed", || {
                (Metrics::read(&gateway).of(failed) == f64::from(asked)).then_some(())
            });
            let vanished = Instant::now();
            drop(asking);
            over_after(&gateway, vanished)
        });
        assert!(took <= CANCEL_LIMIT, "{dialect}: {took:?}");
        assert_eq!(provider.asked().len(), asked as usize, "{dialect}: it is not asked again");
        logged(&gateway, "request_cancelled", 1);
    }
}

#[test]
fn a_client_that_vanishes_while_its_first_event_is_held_cancels_the_stream_within_100_ms() {
    let (closed, close) = mpsc::channel();
    let silent = Canned::serving(move |stream, _| {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let header = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let _ = stream.write_all((header.to_owned() + role).as_bytes());
        // The body, and then the end: nothing else is ever read.
        let _ = std::io::copy(stream, &mut std::io::sink());
        let _ = closed.send(Instant::now());
    });
    let gateway =
        Gateway::start(&format!("providers:\n{}", silent.yaml("only", Dialect::OpenAi, &["models: [m]"])));
    let question = Question::new(Dialect::OpenAi, "m").streamed();
    let took = quickest(|| {
        let body = question.body().to_string();
        let asked = silent.heads().len();
        let asking = gateway.client().raw(head_of(&question, body.len()) + &body);
        eventually("the provider is asked", || (silent.heads().len() > asked).then_some(()));
        let vanished = Instant::now();
        drop(asking);
        close.recv_timeout(NEVER).expect("the provider sees the close").saturating_duration_since(vanished)
    });
    assert!(took <= CANCEL_LIMIT, "{took:?}");
}

#[test]
fn a_client_that_vanishes_while_its_body_goes_up_cancels_the_request_within_100_ms() {
    let (vanish, vanished) = mpsc::channel();
    let vanished = Mutex::new(vanished);
    let (closed, close) = mpsc::channel();
    let stuck = Canned::serving(move |stream, _| {
        let _ = vanished.lock().unwrap().recv_timeout(NEVER);
        // What was on its way, and then the end.
        let read = std::io::copy(stream, &mut std::io::sink()).unwrap_or(0);
        let _ = closed.send(read);
    });
    let gateway =
        Gateway::start(&format!("providers:\n{}", stuck.yaml("only", Dialect::OpenAi, &["models: [m]"])));
    let question = Question::new(Dialect::OpenAi, "m").of_size(LARGE);
    let body = question.body().to_string();
    let took = quickest(|| {
        let asked = stuck.heads().len();
        let asking = gateway.client().raw(head_of(&question, body.len()) + &body);
        eventually("the provider is asked", || (stuck.heads().len() > asked).then_some(()));
        let gone = Instant::now();
        drop(asking);
        let took = over_after(&gateway, gone);
        vanish.send(()).expect("a provider that waits");
        let read = close.recv_timeout(NEVER).expect("the provider sees the close");
        assert!(read < LARGE as u64, "it was not sent to its end");
        took
    });
    assert!(took <= CANCEL_LIMIT, "{took:?}");
    logged(&gateway, "request_cancelled", 1);
}

/// More than what sockets hold for somebody who doesn't read.
const LARGE: usize = 16 << 20;

#[test]
fn a_client_that_vanishes_during_the_connect_ends_it_within_100_ms() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    // Nobody accepts, and the queue for that is full: further connections hang.
    let full = socket.listen(1).expect("a listener");
    let address = full.local_addr().expect("an address");
    let waiting: Vec<_> =
        (0..8).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect();
    assert!(waiting.len() < 8, "the queue has an end");
    let gateway = Gateway::start(&format!(
        "providers:\n  only: {{format: openai, base_url: \"http://{address}\", models: [m], timeouts: {{connect: 60s}}}}\n"
    ));
    let question = Question::new(Dialect::OpenAi, "m");
    let body = question.body().to_string();
    let took = quickest(|| {
        let asking = gateway.client().raw(head_of(&question, body.len()) + &body);
        eventually("it is in flight", || {
            (Metrics::read(&gateway).of("cliproxy_in_flight_requests") == 1.0).then_some(())
        });
        let vanished = Instant::now();
        drop(asking);
        over_after(&gateway, vanished)
    });
    assert!(took <= CANCEL_LIMIT, "{took:?}");
    logged(&gateway, "request_cancelled", 1);
}
