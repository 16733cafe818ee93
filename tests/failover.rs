//! What a provider's failure means: who answers instead, what the client sees, what is counted and told.

use crate::support::{
    BodyEnd, Event, Gateway, Metrics, Provider, Question, error_message, logged, nowhere, status,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Behaviour, Ending, Options, Received};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const FIRST: [&str; 2] = ["models: [m]", "priority: 1"];
const SECOND: [&str; 2] = ["models: [m]", "priority: 2"];

/// A configuration whose requests make one attempt only.
const ONE_ATTEMPT: &str = "server: {host: 127.0.0.1, port: {port}, operations: {retry: {max_attempts: 1}}}\n";

/// Two providers of one model, the first preferred.
fn pair(first: &Provider, second: &Provider) -> Gateway {
    Gateway::start(&format!(
        "providers:\n{}{}",
        first.yaml_with("first", &FIRST),
        second.yaml_with("second", &SECOND)
    ))
}

#[track_caller]
fn another_answers(dialect: Dialect) {
    let (first, second) = (Provider::of(dialect), Provider::of(dialect));
    let gateway = pair(&first, &second);
    let client = gateway.client();
    // A server's error is given one more try before its tier is left.
    let faults = [
        (Behaviour::Refuse, "2"),
        (Behaviour::Reset, "2"),
        (Behaviour::Status(408), "3"),
        (Behaviour::Status(429), "2"),
        (Behaviour::Status(500), "3"),
        (Behaviour::Status(501), "3"),
        (Behaviour::Status(503), "3"),
        (Behaviour::Status(529), "3"),
        (Behaviour::Status(401), "2"),
        (Behaviour::Status(403), "2"),
    ];
    for (fault, attempts) in faults {
        first.set_behaviour(fault);
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&client).send().expect(200);
            assert_eq!(question.words(&answer), ANSWER, "{fault:?}");
            assert_eq!(answer.end, BodyEnd::Clean, "{fault:?}");
            assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{fault:?}");
            assert_eq!(answer.header("x-cliproxy-model"), Some("m"), "{fault:?}");
            assert_eq!(answer.header("x-cliproxy-attempts"), Some(attempts), "{fault:?}");
        }
    }
    assert_eq!(second.asked().len(), 2 * faults.len(), "once for each question");
}

#[test]
fn another_openai_provider_answers_whatever_the_first_meets() {
    another_answers(Dialect::OpenAi);
}

#[test]
fn another_anthropic_provider_answers_whatever_the_first_meets() {
    another_answers(Dialect::Anthropic);
}

#[test]
fn another_gemini_provider_answers_whatever_the_first_meets() {
    another_answers(Dialect::Gemini);
}

#[test]
fn another_provider_answers_where_nothing_listens() {
    for dialect in Dialect::ALL {
        let second = Provider::of(dialect);
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            nowhere(dialect, "first", &FIRST),
            second.yaml_with("second", &SECOND)
        ));
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&gateway.client()).send().expect(200);
            assert_eq!(question.words(&answer), ANSWER);
            assert_eq!(answer.header("x-cliproxy-attempts"), Some("2"));
        }
    }
}

#[test]
fn everything_names_the_provider_that_answered_and_nothing_is_counted_twice() {
    for dialect in Dialect::ALL {
        let (first, second) = (Provider::of(dialect).failing_with(500), Provider::of(dialect));
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml_with("first", &["models: [{name: m-first, alias: m}]", "priority: 1"]),
            second.yaml_with("second", &["models: [{name: m-second, alias: m}]", "priority: 2"])
        ));
        assert!(Metrics::read(&gateway).counted().is_empty(), "nothing before the first request");
        for question in Question::both_ways(dialect, "m") {
            question.to(&gateway.client()).send().expect(200);
        }
        assert_eq!(
            Metrics::after(&gateway, 2).counted(),
            [
                r#"attempts_total{provider="first",outcome="error"} 4"#,
                r#"attempts_total{provider="second",outcome="success"} 2"#,
                r#"errors_total{provider="first",error_type="server_error"} 4"#,
                r#"requests_total{provider="second",model="m-second",status="success"} 2"#,
                r#"tokens_total{provider="second",model="m-second",type="input"} 4"#,
                r#"tokens_total{provider="second",model="m-second",type="output"} 120"#,
            ],
            "{dialect}"
        );
        for line in logged(&gateway, "request_success", 2) {
            assert_eq!((&line["provider"], &line["model"]), (&"second".into(), &"m-second".into()), "{line}");
            assert_eq!((&line["attempts"], &line["tokens"]["output"]), (&3.into(), &60.into()), "{line}");
        }
        for line in logged(&gateway, "attempt_failed", 4) {
            assert_eq!((&line["provider"], &line["error_type"]), (&"first".into(), &"server_error".into()));
        }
        let (first, second) = (status(&gateway, "first"), status(&gateway, "second"));
        assert_eq!((&first["requests_last_minute"], &first["errors_last_minute"]), (&0.into(), &4.into()));
        assert_eq!((&second["requests_last_minute"], &second["errors_last_minute"]), (&2.into(), &0.into()));
    }
}

/// The provider's error as it gives it to who asks directly. Fresh providers give their first request the
/// same ids, so that another fresh one must say exactly the same.
fn first_words(question: &Question) -> (u16, Vec<u8>) {
    let twin = Provider::of(question.dialect);
    let answer = twin.sign(question.to(&twin.client())).send();
    (answer.status, answer.body)
}

#[test]
fn a_clients_own_fault_is_returned_at_once_byte_for_byte() {
    for dialect in Dialect::ALL {
        for status in [400, 422] {
            let (first, second) = (Provider::of(dialect), Provider::of(dialect));
            let model = format!("models: [status-{status}]");
            let gateway = Gateway::start(&format!(
                "providers:\n{}{}",
                first.yaml_with("first", &[&model, "priority: 1"]),
                second.yaml_with("second", &[&model, "priority: 2"])
            ));
            let question = Question::new(dialect, &format!("status-{status}"));
            let answer = question.to(&gateway.client()).send();
            assert_eq!((answer.status, answer.body.clone()), first_words(&question), "{}", answer.text());
            assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
            assert_eq!((first.asked().len(), second.asked().len()), (1, 0));
            Metrics::after(&gateway, 1);
            assert_eq!(figures(&gateway, "first"), (1, 0), "a client's fault is no error of the provider");
        }
    }
}

/// Requests and errors of the last minute.
fn figures(gateway: &Gateway, provider: &str) -> (u64, u64) {
    let figures = status(gateway, provider);
    let figure = |name: &str| figures[name].as_u64().expect("a figure");
    (figure("requests_last_minute"), figure("errors_last_minute"))
}

#[test]
fn the_only_provider_speaks_for_itself() {
    for dialect in Dialect::ALL {
        for status in [404, 429, 500, 503] {
            let provider = Provider::of(dialect);
            let entry = provider.yaml_with("only", &[&format!("models: [status-{status}]")]);
            let gateway = Gateway::start(&format!("{ONE_ATTEMPT}providers:\n{entry}"));
            let question = Question::new(dialect, &format!("status-{status}"));
            let answer = question.to(&gateway.client()).send();
            assert_eq!((answer.status, answer.body.clone()), first_words(&question), "{}", answer.text());
            error_message(dialect, &answer.json());
        }
    }
}

#[test]
fn an_overload_is_told_in_a_status_that_the_dialect_has() {
    for (dialect, status) in [(Dialect::OpenAi, 503), (Dialect::Anthropic, 529), (Dialect::Gemini, 503)] {
        let provider = Provider::of(dialect).failing_with(529);
        let gateway = Gateway::before(&provider, "models: [m]");
        let answer = Question::new(dialect, "m").to(&gateway.client()).send().expect(status);
        error_message(dialect, &answer.json());
    }
}

#[test]
fn the_only_providers_word_on_when_to_come_back_reaches_the_client() {
    let provider = Provider::with(Dialect::OpenAi, Options { rate_limit: Some(1), ..Options::default() });
    let gateway = Gateway::before(&provider, "models: [m]");
    let question = Question::new(Dialect::OpenAi, "m");
    question.to(&gateway.client()).send().expect(200);
    let answer = question.to(&gateway.client()).send().expect(429);
    let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
    assert!(wait.is_some_and(|seconds| (1..=60).contains(&seconds)), "{:?}", answer.headers);
}

/// How long the transcript of a provider may lag behind.
const LIMIT: Duration = Duration::from_secs(5);

/// Soon enough for a test, late enough for a provider that answers.
const IMPATIENT: &str = "timeouts: {header: 300ms, total: 300ms}";

#[test]
fn a_silent_provider_is_left_for_another() {
    for dialect in Dialect::ALL {
        let (first, second) = (Provider::of(dialect), Provider::of(dialect));
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml_with("first", &["models: [{name: slow-60s, alias: m}]", "priority: 1", IMPATIENT]),
            second.yaml_with("second", &SECOND)
        ));
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&gateway.client()).send().expect(200);
            assert_eq!(question.words(&answer), ANSWER);
            assert_eq!(answer.header("x-cliproxy-attempts"), Some("2"));
        }
        let counted = Metrics::after(&gateway, 2);
        assert_eq!(counted.of(r#"cliproxy_errors_total{provider="first",error_type="timeout"}"#), 2.0);
        let are_closed = |asked: &[Received]| asked.iter().all(Received::client_closed);
        assert!(first.wait_until(are_closed, LIMIT), "nothing is left open there");
    }
}

#[test]
fn a_silent_provider_without_another_is_a_timeout_and_not_asked_again() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let entry = provider.yaml_with("only", &["models: [slow-60s]", IMPATIENT]);
        let gateway = Gateway::start(&format!("providers:\n{entry}"));
        for question in Question::both_ways(dialect, "slow-60s") {
            let answer = question.to(&gateway.client()).send().expect(504);
            assert_eq!(answer.header("x-cliproxy-error"), Some("timeout"));
            error_message(dialect, &answer.json());
        }
        assert_eq!(provider.asked().len(), 2, "once for each question");
    }
}

#[test]
fn a_refused_credential_is_the_operators_affair_and_its_text_stays_here() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let yaml = provider.yaml_with("only", &["models: [m, status-402, status-403]"]);
        let gateway = Gateway::start(&format!("providers:\n{}", yaml.replace(provider.key(), "a-wrong-key")));
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&gateway.client()).send().expect(502);
            assert_eq!(answer.header("x-cliproxy-error"), Some("upstream_credentials_exhausted"));
            let message = error_message(dialect, &answer.json());
            for vendors in ["a-wrong-key", "Incorrect", "invalid", "not valid", "127.0.0.1"] {
                assert!(!message.contains(vendors), "{message}");
            }
            assert!(message.contains("only"), "{message}");
        }
    }
}

#[test]
fn when_all_fail_the_client_learns_who_and_why_and_nothing_more() {
    for dialect in Dialect::ALL {
        let (sick, resetting) = (Provider::of(dialect).failing_with(500), Provider::of(dialect).resetting());
        let limited = Provider::of(dialect).failing_with(429);
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}{}{}",
            sick.yaml_with("sick", &["models: [m]"]),
            resetting.yaml_with("resetting", &["models: [m]"]),
            limited.yaml_with("limited", &["models: [m]"]),
            nowhere(dialect, "absent", &["models: [m]"])
        ));
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&gateway.client()).send().expect(503);
            assert_eq!(answer.header("x-cliproxy-error"), Some("upstream_unavailable"));
            let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
            assert!(wait.is_some_and(|seconds| seconds >= 1), "{:?}", answer.headers);
            let message = error_message(dialect, &answer.json());
            for told in
                ["sick: server_error", "resetting: transport", "limited: rate_limit", "absent: transport"]
            {
                assert!(message.contains(told), "{told}: {message}");
            }
            for secret in ["127.0.0.1", "http", "key", "simulated"] {
                assert!(!message.contains(secret), "{secret}: {message}");
            }
        }
    }
}

#[test]
fn when_all_limit_their_rate_so_does_the_gateway() {
    for dialect in Dialect::ALL {
        let (first, second) =
            (Provider::of(dialect).failing_with(429), Provider::of(dialect).failing_with(429));
        let gateway = pair(&first, &second);
        for question in Question::both_ways(dialect, "m") {
            let answer = question.to(&gateway.client()).send().expect(429);
            assert_eq!(answer.header("x-cliproxy-error"), Some("rate_limited"));
            assert!(answer.header("retry-after").is_some());
            error_message(dialect, &answer.json());
        }
    }
}

#[test]
fn a_provider_without_a_credential_is_not_asked() {
    let (keyless, second) = (Provider::openai(), Provider::openai());
    let entry = keyless.yaml_with("first", &FIRST).replace(keyless.key(), "${NO_SUCH_KEY}");
    let gateway = Gateway::start(&format!("providers:\n{entry}{}", second.yaml_with("second", &SECOND)));
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
    assert!(keyless.asked().is_empty());
}

/// A provider that keeps its first connection after an answer, and closes it as soon as it is used again.
struct Fickle {
    listener: TcpListener,
}

impl Fickle {
    fn yaml(&self) -> String {
        let address = self.listener.local_addr().expect("an address");
        format!("  fickle: {{format: openai, base_url: \"http://{address}\", api_key: k, models: [m]}}\n")
    }

    /// Answers two requests, each on a connection of its own; the first connection sees the second request
    /// begin, and closes.
    fn serve(&self) {
        let mut first = self.accept();
        Fickle::answer(&mut first);
        let _ = first.read(&mut [0]);
        drop(first);
        Fickle::answer(&mut self.accept());
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("a connection").0
    }

    fn answer(stream: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(br#""model":"m"}"#) {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).expect("a request");
            assert!(read > 0, "a whole request");
            request.extend_from_slice(&bytes[..read]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
            .expect("to be read");
    }
}

#[test]
fn a_pooled_connection_that_closes_as_it_is_used_costs_nothing() {
    let fickle = Fickle { listener: TcpListener::bind("127.0.0.1:0").expect("a port") };
    let gateway = Gateway::start(&format!("providers:\n{}", fickle.yaml()));
    let serving = std::thread::spawn(move || fickle.serve());
    for requests in 1..=2 {
        let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
        // Once it is counted, its connection is back in the pool.
        Metrics::after(&gateway, requests);
    }
    serving.join().expect("both requests came as they should");
    let counted = Metrics::after(&gateway, 2);
    assert_eq!(counted.of(r#"cliproxy_attempts_total{provider="fickle",outcome="success"}"#), 2.0);
    assert_eq!(counted.of(r#"cliproxy_attempts_total{provider="fickle",outcome="error"}"#), 0.0);
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_and_an_abort() {
    for dialect in Dialect::ALL {
        let (first, second) = (Provider::of(dialect), Provider::of(dialect));
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml_with("first", &["models: [cut-20]", "priority: 1"]),
            second.yaml_with("second", &["models: [cut-20]", "priority: 2"])
        ));
        let question = Question::new(dialect, "cut-20").streamed();
        let answer = question.to(&gateway.client()).send().expect(200);
        let words = question.words(&answer);
        assert_eq!(words.split(' ').count(), 20, "{dialect}: {words}");
        assert!(ANSWER.starts_with(&words), "{words}");
        assert_eq!(answer.end, BodyEnd::Aborted, "no last chunk");
        let last = Event::all(&answer.body).pop().expect("an event");
        error_message(dialect, &last.json());
        assert_eq!(last.name, if dialect == Dialect::Anthropic { "error" } else { "" });
        for mark in ["[DONE]", "message_stop", "finishReason"] {
            assert!(!answer.text().contains(mark), "{dialect}: no finish: {mark}");
        }
        assert!(second.asked().is_empty(), "nothing is tried again after the first words");

        let counted = Metrics::after(&gateway, 1);
        for series in [
            r#"cliproxy_errors_total{provider="first",error_type="truncated"}"#,
            r#"cliproxy_requests_total{provider="first",model="cut-20",status="error"}"#,
            r#"cliproxy_attempts_total{provider="first",outcome="error"}"#,
        ] {
            assert_eq!(counted.of(series), 1.0, "{series}: {:?}", counted.counted());
        }
        let lines = logged(&gateway, "request_error", 1);
        assert_eq!(lines[0]["error_type"], "truncated", "{}", lines[0]);
        assert!(lines[0]["tokens"]["output"].as_u64() >= Some(20), "what came is metered: {}", lines[0]);
    }
}

/// Two providers for `m`: the preferred one calls it by the name of a fault, the other serves it.
fn torn_then_whole(first: &Provider, second: &Provider, fault: &str) -> Gateway {
    Gateway::start(&format!(
        "providers:\n{}{}",
        first.yaml_with("first", &[&format!("models: [{{name: {fault}, alias: m}}]"), "priority: 1"]),
        second.yaml_with("second", &SECOND)
    ))
}

#[test]
fn a_torn_plain_answer_moves_on() {
    for dialect in Dialect::ALL {
        let (first, second) = (Provider::of(dialect), Provider::of(dialect));
        let gateway = torn_then_whole(&first, &second, "cut-20");
        let question = Question::new(dialect, "m");
        let answer = question.to(&gateway.client()).send().expect(200);
        assert_eq!(question.words(&answer), ANSWER);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("2"));
        assert!(matches!(first.asked()[0].ending, Ending::Broken(_)));
    }
}
