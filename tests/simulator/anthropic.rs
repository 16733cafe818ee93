//! Anthropic's endpoints, one by one.

use crate::support::{BodyEnd, Client, Event, Request};
use cliproxy::simulator::{ANSWER, Options, Simulator};
use serde_json::{Value, json};

fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

fn post<'a>(client: &'a Client, path: &str) -> Request<'a> {
    client.post(path).header("anthropic-version", "2023-06-01")
}

fn question(stream: bool, max_tokens: u64) -> Value {
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]);
    json!({"model": "claude", "max_tokens": max_tokens, "system": "You", "messages": messages, "stream": stream})
}

#[test]
fn a_message_gets_the_answer() {
    let (_simulator, client) = simulator();
    let answer = post(&client, "/v1/messages").json(&question(false, 100)).send().expect(200).json();
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(answer["content"], json!([{"type": "text", "text": ANSWER}]));
    assert_eq!(answer["stop_reason"], "end_turn");
    // "Hello" and the system's "You" have eight bytes.
    assert_eq!(
        (&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]),
        (&json!(2), &json!(60))
    );
}

#[test]
fn a_streamed_message_has_its_events_in_order() {
    let (_simulator, client) = simulator();
    let mut stream = post(&client, "/v1/messages").json(&question(true, 100)).open();
    let events = stream.events();
    assert_eq!(stream.end(), Some(BodyEnd::Clean));
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names.len(), 66);
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let events: Vec<Value> = events.iter().map(Event::json).collect();
    assert!(events.iter().all(|event| event["type"].is_string()));
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, ANSWER);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 2);
    assert_eq!(
        (&events[64]["delta"]["stop_reason"], &events[64]["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(60))
    );
}

#[test]
fn a_limit_cuts_the_answer_and_says_so() {
    let (_simulator, client) = simulator();
    for (tokens, reason) in [(1, "max_tokens"), (59, "max_tokens"), (60, "end_turn"), (61, "end_turn")] {
        let answer = post(&client, "/v1/messages").json(&question(false, tokens)).send().expect(200).json();
        assert_eq!(
            (&answer["stop_reason"], &answer["usage"]["output_tokens"]),
            (&json!(reason), &json!(tokens.min(60)))
        );
    }
}

#[test]
fn tokens_are_counted_as_messages_count_them() {
    let (_simulator, client) = simulator();
    let mut body = question(false, 1);
    body.as_object_mut().expect("an object").remove("max_tokens");
    let answer = post(&client, "/v1/messages/count_tokens").json(&body).send().expect(200).json();
    assert_eq!(answer, json!({"input_tokens": 2}));
}

#[test]
fn models_are_listed_and_shown_to_who_names_the_version() {
    let (_simulator, client) = simulator();
    let get = |path: &str| client.get(path).header("anthropic-version", "2023-06-01").send();
    let list = get("/v1/models").expect(200).json();
    assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)));
    assert_eq!(list["first_id"], list["data"][0]["id"]);
    assert_eq!(get("/v1/models/gpt-4o").expect(200).json()["id"], "gpt-4o");
    assert_eq!(get("/v1/models/none").expect(404).json()["error"]["type"], "not_found_error");
}

#[test]
fn what_is_missing_or_no_json_is_refused_in_anthropics_shape() {
    let (_simulator, client) = simulator();
    let without = |name: &str| {
        let mut body = question(false, 1);
        body.as_object_mut().expect("an object").remove(name);
        body.to_string()
    };
    for name in ["model", "max_tokens", "messages"] {
        let error = post(&client, "/v1/messages").body(without(name)).send().expect(400).json();
        assert_eq!(
            (&error["type"], &error["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error"))
        );
        assert_eq!(error["error"]["message"], format!("{name}: Field required"));
    }
    post(&client, "/v1/messages").body("{").send().expect(400);
    let error = client.post("/v1/messages").json(&question(false, 1)).send().expect(400).json();
    assert_eq!(error["error"]["message"], "anthropic-version: header is required");
}
