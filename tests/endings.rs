//! How a stream in other words begins and ends when its provider fails in it.

use crate::support::{BodyEnd, Canned, Gateway, Provider, Question};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

const HEADER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A provider of OpenAI's dialect whose stream is these frames.
fn saying(frames: &[&str]) -> Canned {
    let frames: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    Canned::answering(format!("{HEADER}{frames}"))
}

/// What a client of another dialect gets of a provider that refuses in its stream with this error.
fn refused(question: &Question, error: &str) -> (String, BodyEnd) {
    let provider = saying(&[r#"{"choices":[{"index":0,"delta":{"content":"walnut"}}]}"#, error]);
    let gateway =
        Gateway::start(&format!("providers:\n{}", provider.yaml("p", Dialect::OpenAi, &["models: [m]"])));
    let answer = question.ask(&gateway);
    (answer.text(), answer.end)
}

#[test]
fn a_refusal_without_a_word_is_an_event_in_the_clients_dialect() {
    for dialect in [Dialect::Anthropic, Dialect::Gemini] {
        let question = Question::new(dialect, "m").streamed();
        let (answer, end) = refused(&question, r#"{"error":{"code":"context_length_exceeded"}}"#);
        let last = answer.trim_end().lines().last().unwrap_or_default();
        let event: Value =
            serde_json::from_str(last.strip_prefix("data: ").expect("an event")).expect("JSON");
        assert!(event["error"]["message"].is_string(), "{answer}");
        assert_eq!(end, BodyEnd::Aborted);
    }
}

#[test]
fn an_array_has_no_place_for_one() {
    let question = Question::new(Dialect::Gemini, "m").streamed().in_an_array();
    let (answer, end) = refused(&question, r#"{"error":{"message":"no","code":"content_filter"}}"#);
    assert!(answer.contains("walnut") && !answer.contains("data:"), "{answer}");
    assert_eq!(end, BodyEnd::Aborted);
}

#[test]
fn a_long_question_that_the_opening_repeats_leaves_another_provider_its_chance() {
    let first = saying(&[r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#]);
    let second = Provider::openai();
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        first.yaml("first", Dialect::OpenAi, &["models: [m]", "priority: 1"]),
        second.yaml_with("second", &["models: [m]", "priority: 2"]),
    ));
    let instructions = "Be brief. ".repeat(70_000);
    let body = json!({"model": "m", "stream": true, "input": "Hello", "instructions": instructions});
    let answer = gateway.client().post("/v1/responses").json(&body).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    assert!(answer.text().contains("response.completed") && answer.text().contains("walnut"));
}
