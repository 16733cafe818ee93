//! Signs of life: the client of a silent stream hears comments, and loses nothing by it.

use crate::support::{BodyEnd, Event, Gateway, Provider, Question, Response, assert_whole, logged, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::Options;

const COMMENT: &str = ": keep-alive\n\n";

/// A provider whose waits take a fiftieth of their time.
fn hurried(dialect: Dialect) -> Provider {
    Provider::with(dialect, Options { time_scale: 0.02, ..Options::default() })
}

/// Providers behind a gateway with these settings for streams.
fn gateway(streaming: &str, providers: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}, operations: {{streaming: {{{streaming}}}}}}}\nproviders:\n{providers}"
    ))
}

fn ask(gateway: &Gateway, dialect: Dialect, model: &str) -> (Question, Response) {
    let question = Question::new(dialect, model).streamed();
    let answer = question.to(&gateway.client()).send();
    (question, answer)
}

fn comments(answer: &Response) -> usize {
    answer.text().matches(COMMENT).count()
}

#[test]
fn a_stream_that_pauses_is_kept_alive() {
    for dialect in Dialect::ALL {
        // It pauses for 600 ms.
        let provider = hurried(dialect);
        let provider = &provider.yaml_with("p", &["models: [fault-s09]"]);
        let (question, answer) = ask(&gateway("keepalive: 100ms", provider), dialect, "fault-s09");
        assert!(comments(&answer) >= 2, "{}", answer.text());
        assert!(!answer.text().starts_with(COMMENT), "not before there is anything to keep alive");
        assert_whole(&question, &answer);
        let (question, answer) = ask(&gateway("keepalive: 0", provider), dialect, "fault-s09");
        assert_eq!(comments(&answer), 0);
        assert_whole(&question, &answer);
    }
}

#[test]
fn a_client_that_waits_for_the_first_word_hears_that_it_is_not_forgotten() {
    for dialect in Dialect::ALL {
        // The header, and the first word behind a header, come after 400 ms.
        for model in ["slow-400ms", "fault-s07"] {
            let provider = hurried(dialect);
            let provider = &provider.yaml_with("p", &[&format!("models: [{model}]")]);
            let patient = gateway("keepalive: 100ms, keepalive_before_commit: 0", provider);
            let (question, answer) = ask(&patient, dialect, model);
            assert_eq!(comments(&answer), 0);
            assert_whole(&question, &answer);
            let anxious = gateway("keepalive: 100ms, keepalive_before_commit: 100ms", provider);
            let (question, answer) = ask(&anxious, dialect, model);
            assert!(answer.text().starts_with(&COMMENT.repeat(2)), "{}", answer.text());
            assert!(answer.header("x-request-id").is_some());
            assert_whole(&question, &answer);
        }
    }
}

#[test]
fn another_provider_may_still_answer_behind_the_first_signs_of_life() {
    for dialect in Dialect::ALL {
        let silent = Provider::of(dialect);
        let well = Provider::of(dialect);
        let providers = [
            silent.yaml_with(
                "silent",
                &["models: [{name: fault-s06, alias: m}]", "priority: 1", "timeouts: {header: 500ms}"],
            ),
            well.yaml_with("well", &["models: [m]", "priority: 2"]),
        ];
        let gateway = gateway("keepalive_before_commit: 100ms", &providers.concat());
        let (question, answer) = ask(&gateway, dialect, "m");
        assert!(answer.text().starts_with(COMMENT), "{}", answer.text());
        assert_whole(&question, &answer);
    }
}

#[test]
fn what_fails_in_the_end_is_said_in_an_event_and_the_stream_is_cut_off() {
    for dialect in Dialect::ALL {
        let silent = Provider::of(dialect);
        let lines = ["models: [fault-s06]", "timeouts: {header: 300ms}"];
        let gateway = gateway("keepalive_before_commit: 100ms", &silent.yaml_with("silent", &lines));
        let mut answer = Question::new(dialect, "fault-s06").streamed().to(&gateway.client()).open();
        let events: Vec<Event> = answer.events();
        assert!(events.last().is_some_and(|event| event.data.contains("\"error\"")), "{events:?}");
        assert_eq!((answer.status, answer.end()), (200, Some(BodyEnd::Aborted)));
        let line = &logged(&gateway, "request_error", 1)[0];
        assert_eq!((&line["http_status"], &line["error_type"]), (&200.into(), &"timeout".into()));
    }
}

#[test]
fn a_failure_that_is_known_in_time_is_a_true_error() {
    let gateway = gateway("keepalive_before_commit: 1s", &nowhere(Dialect::OpenAi, "p", &["models: [m]"]));
    let (_, answer) = ask(&gateway, Dialect::OpenAi, "m");
    assert_eq!(answer.status, 503);
}
