//! A call of a tool that can't be read as a whole, in answers that are put into other words: nobody may act on the rest.
//! Where the model has failed at it, and not the provider, that costs the provider nothing.

use crate::support::{
    BodyEnd, Canned, Event, Gateway, Metrics, Provider, Question, Response, assert_whole, eventually,
    is_error, logged, status,
};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// What Gemini says where its model failed at a call.
const FAILED: &str = r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#;
/// An answer of Chat's whose call has arguments that are none.
const BAD_ARGUMENTS: &str = r#"{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]},"finish_reason":"tool_calls"}]}"#;
/// Groq's word for a call that its model failed at.
const TOOL_USE_FAILED: &str = r#"{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed"}}"#;

fn json_answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn plain(body: &str) -> String {
    json_answer("200 OK", body)
}

/// The provider's attempts that failed, by their class.
#[track_caller]
fn counted(gateway: &Gateway, provider: &str, class: &str) -> f64 {
    let series = format!("cliproxy_errors_total{{provider=\"{provider}\",error_type=\"{class}\"}}");
    Metrics::read(gateway).of(&series)
}

#[track_caller]
fn assert_well(gateway: &Gateway, provider: &str) {
    let status = status(gateway, provider);
    assert_eq!(status["errors_last_minute"], 0, "{status}");
    assert_eq!(status["consecutive_failures"], 0, "{status}");
    assert!(status["last_error"].is_null(), "{status}");
}

#[test]
fn a_model_that_fails_is_asked_once_more_and_costs_its_provider_nothing() {
    for (theirs, answer, is_streamed, how) in [
        (Dialect::Gemini, plain(FAILED), false, "MALFORMED_FUNCTION_CALL"),
        (Dialect::Gemini, events(&[FAILED]), true, "MALFORMED_FUNCTION_CALL"),
        (Dialect::OpenAi, plain(BAD_ARGUMENTS), false, "it called a tool as nobody can"),
    ] {
        let odd = Canned::answering(answer);
        let gateway = before(&odd, theirs);
        for clients in Dialect::ALL.into_iter().filter(|clients| *clients != theirs) {
            let asked = odd.heads().len();
            let question = Question::new(clients, "m");
            let question = if is_streamed { question.streamed() } else { question };
            let answer = question.to(&gateway.client()).send().expect(502);
            assert_eq!(answer.header("x-cliproxy-error"), Some("model_failed"));
            assert_eq!(answer.header("retry-after"), None, "nobody has to wait");
            let told = &answer.json()["error"]["message"];
            assert!(told.as_str().is_some_and(|it| it.contains(how)), "{told}");
            assert_eq!(odd.heads().len() - asked, 2, "{theirs} to {clients}");
        }
        let line = &logged(&gateway, "attempt_failed", 2)[0];
        assert_eq!(
            (line["error_type"].as_str(), line["internal"].as_str()),
            (Some("model_failed"), Some(how))
        );
        assert!(counted(&gateway, "odd", "model_failed") >= 2.0);
        assert_eq!(counted(&gateway, "odd", "server_error"), 0.0);
        assert_well(&gateway, "odd");
    }
}

#[test]
fn the_second_answer_is_given_where_it_is_a_good_one() {
    let good = r#"{"candidates":[{"content":{"parts":[{"text":"Well"}]},"finishReason":"STOP"}]}"#;
    let asked = AtomicUsize::new(0);
    let odd = Canned::serving(move |stream, _| {
        let said = if asked.fetch_add(1, Ordering::Relaxed) == 0 { FAILED } else { good };
        // A client that has gone needs no answer.
        let _ = stream.write_all(plain(said).as_bytes());
    });
    let gateway = before(&odd, Dialect::Gemini);
    let question = Question::new(Dialect::OpenAi, "m");
    let answer = question.to(&gateway.client()).send().expect(200);
    assert_eq!((question.words(&answer).as_str(), answer.header("x-cliproxy-attempts")), ("Well", Some("2")));
}

#[test]
fn of_several_models_that_fail_no_more_than_two_are_asked() {
    let odd = [(); 3].map(|()| Canned::answering(plain(FAILED)));
    let names = ["a", "b", "c"];
    let entries = odd.iter().zip(names);
    let entries = entries.map(|(odd, name)| odd.yaml(name, Dialect::Gemini, &["models: [m]", "api_key: k"]));
    let gateway = Gateway::start(&format!("providers:\n{}", entries.collect::<String>()));
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(502);
    assert_eq!(answer.json()["error"]["code"], "model_failed");
    let asked = odd.iter().map(|odd| odd.heads().len());
    assert_eq!(asked.sum::<usize>(), 2, "{}", answer.text());
    assert!(odd.iter().all(|odd| odd.heads().len() < 2), "another model comes first");
}

#[test]
fn what_is_no_answer_at_all_is_the_providers_fault() {
    for body in ["<html>Welcome</html>", "{}", r#"{"choices":[{"message":{"content":"We"#] {
        let odd = Canned::answering(plain(body));
        let gateway = before(&odd, Dialect::OpenAi);
        let answer = Question::new(Dialect::Anthropic, "m").to(&gateway.client()).send().expect(503);
        assert_eq!(answer.header("x-cliproxy-error"), Some("upstream_unavailable"));
        assert_eq!(odd.heads().len(), 4, "as often as attempts allow");
        assert_eq!(counted(&gateway, "odd", "server_error"), 4.0, "{body}");
        assert_eq!(status(&gateway, "odd")["consecutive_failures"], 4);
    }
}

#[test]
fn a_model_that_fails_behind_its_first_words_costs_its_provider_nothing_either() {
    let odd = Canned::answering(torn(Dialect::Gemini));
    let gateway = before(&odd, Dialect::Gemini);
    let answer = Question::new(Dialect::OpenAi, "m").streamed().to(&gateway.client()).send().expect(200);
    assert_eq!(answer.end, BodyEnd::Aborted);
    let last: Value = Event::all(&answer.body).pop().expect("an event").json();
    let told = last["error"]["message"].as_str().expect("a message");
    assert!(told.contains("MALFORMED_FUNCTION_CALL"), "{told}");
    assert_eq!(last["error"]["code"], "model_failed");
    assert_eq!(logged(&gateway, "request_error", 1)[0]["error_type"], "model_failed");
    assert_well(&gateway, "odd");
    // A piece that is lost on the way is the provider's.
    let odd = Canned::answering(torn(Dialect::OpenAi));
    let gateway = before(&odd, Dialect::OpenAi);
    Question::new(Dialect::Anthropic, "m").streamed().to(&gateway.client()).send().expect(200);
    assert_eq!(logged(&gateway, "request_error", 1)[0]["error_type"], "truncated");
    assert_eq!(status(&gateway, "odd")["consecutive_failures"], 1);
}

#[test]
fn a_provider_that_says_itself_that_its_model_failed_is_believed() {
    let odd = Canned::answering(json_answer("400 Bad Request", TOOL_USE_FAILED));
    let gateway = before(&odd, Dialect::OpenAi);
    let answer = Question::new(Dialect::OpenAi, "m").to(&gateway.client()).send().expect(400);
    assert_eq!(answer.json()["error"]["code"], "tool_use_failed", "in its own words");
    assert_eq!(odd.heads().len(), 2);
    assert_well(&gateway, "odd");
}
