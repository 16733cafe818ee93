//! A call of a tool that can't be read as a whole, in answers that are put into other words: nobody may act on the rest.

use crate::support::{
    BodyEnd, Canned, Event, Gateway, Provider, Question, Response, assert_whole, eventually, is_error,
};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

/// What ends a good stream, in any dialect.
const END_MARKS: [&str; 6] = [
    "[DONE]",
    "message_stop",
    "stop_reason\":\"",
    "finishReason",
    "finish_reason\":\"",
    "response.completed",
];

fn events(data: &[&str]) -> String {
    let events: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{events}")
}

/// A stream of each dialect with words, and a call of which a piece is lost, that ends as if nothing were amiss.
fn torn(dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAi => events(&[
            r#"{"choices":[{"index":0,"delta":{"content":"Well"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ]),
        Dialect::Anthropic => events(&[
            r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Well"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ]),
        Dialect::Gemini => events(&[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Well"}]}}]}"#,
            r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#,
        ]),
    }
}

fn before(canned: &Canned, dialect: Dialect) -> Gateway {
    Gateway::start(&format!("providers:\n{}", canned.yaml("odd", dialect, &["models: [m]", "api_key: k"])))
}

#[test]
fn a_client_sees_that_its_stream_broke() {
    for theirs in Dialect::ALL {
        let odd = Canned::answering(torn(theirs));
        let gateway = before(&odd, theirs);
        for clients in Dialect::ALL.into_iter().filter(|clients| *clients != theirs) {
            let answer = Question::new(clients, "m").streamed().to(&gateway.client()).send().expect(200);
            assert_broken(theirs, clients, &answer);
        }
        let body = json!({"model": "m", "input": "a", "stream": true});
        let answer = gateway.client().post("/v1/responses").json(&body).send().expect(200);
        assert_broken(theirs, Dialect::OpenAi, &answer);
    }
}

#[track_caller]
fn assert_broken(theirs: Dialect, clients: Dialect, answer: &Response) {
    let text = answer.text();
    assert!(text.contains("Well"), "{theirs} to {clients}: {text}");
    assert_eq!(answer.end, BodyEnd::Aborted, "{theirs} to {clients}: {text}");
    let mark = END_MARKS.iter().find(|mark| text.contains(*mark));
    assert_eq!(mark, None, "{theirs} to {clients}: {text}");
    let last: Value = Event::all(&answer.body).pop().expect("an event").json();
    assert!(is_error(clients, &last) || last["type"] == "response.failed", "{theirs} to {clients}: {last}");
}

#[test]
fn before_anything_was_said_another_provider_answers() {
    let said = r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#;
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
        said.len()
    );
    for (odd, is_streamed) in [(events(&[said]), true), (whole, false)] {
        let (odd, good) = (Canned::answering(odd), Provider::of(Dialect::Gemini));
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            odd.yaml("odd", Dialect::Gemini, &["models: [m]", "api_key: k", "priority: 1"]),
            good.yaml_with("good", &["models: [m]", "priority: 2"]),
        ));
        let question = Question::new(Dialect::OpenAi, "m");
        let question = if is_streamed { question.streamed() } else { question };
        let answer = question.to(&gateway.client()).send().expect(200);
        assert_whole(&question, &answer);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("good"));
    }
}

#[test]
fn an_event_that_cannot_be_read_beside_a_call_is_left_out_and_told_once() {
    let odd = Canned::answering(events(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Well"}}]}"#,
        r#"{"choices":[{"#,
        "nonsense",
        r#"{"choices":[{"index":0,"delta":{"content":", yes"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]));
    let gateway = before(&odd, Dialect::OpenAi);
    let question = Question::new(Dialect::Anthropic, "m").streamed();
    let answer = question.to(&gateway.client()).send().expect(200);
    assert_eq!((question.words(&answer).as_str(), answer.end), ("Well, yes", BodyEnd::Clean));
    let told = |gateway: &Gateway| gateway.output().matches("can't be read, and were left out").count();
    eventually("a line", || (told(&gateway) > 0).then_some(()));
    assert_eq!(told(&gateway), 1);
    assert!(gateway.output().contains("odd: 2 events of a stream of `m`"), "{}", gateway.output());
}
