//! What a request asks for beyond words shows in the answer: what the SDKs' scripts (`tests/sdk`) don't look at.

use crate::support::{Client, Event};
use cliproxy::simulator::{ANSWER, Options, Simulator};
use serde_json::{Value, json};

const THOUGHT: &str = "The words are in order.";

/// The answer to a body, and the events of the same as a stream, by each endpoint's own way to ask for one.
fn both_ways(client: &Client, path: &str, body: &Value) -> (Value, Vec<Value>) {
    let post = |path: &str| client.post(path).header("anthropic-version", "2023-06-01");
    let whole = post(path).json(body).send().expect(200).json();
    let mut body = body.clone();
    let path = match path.split_once(":generate") {
        Some((model, _)) => format!("{model}:streamGenerateContent?alt=sse"),
        None => {
            body["stream"] = true.into();
            path.to_owned()
        }
    };
    let events = post(&path).json(&body).open().events();
    (whole, events.iter().filter(|event| event.data != "[DONE]").map(Event::json).collect())
}

fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

/// The texts at a place in each event, put together.
fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[test]
fn an_imitator_of_openai_shows_its_reasoning() {
    let (_simulator, client) = simulator();
    let ask = |model: &str| {
        let messages = json!([{"role": "user", "content": "Hello"}]);
        let body = json!({"model": model, "messages": messages, "reasoning_effort": "high"});
        both_ways(&client, "/v1/chat/completions", &body)
    };
    let (whole, events) = ask("deepseek-r1");
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], THOUGHT);
    assert_eq!(joined(&events, "/choices/0/delta/reasoning_content"), THOUGHT);
    assert_eq!(joined(&events, "/choices/0/delta/content"), ANSWER);

    let (whole, events) = ask("gpt-5");
    assert_eq!(whole["choices"][0]["message"].get("reasoning_content"), None);
    assert_eq!(joined(&events, "/choices/0/delta/reasoning_content"), "");
    let usage = &whole["usage"];
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 5);
    assert_eq!(usage["completion_tokens"], 65);
}

#[test]
fn a_thought_of_anthropic_is_signed_even_where_it_is_not_shown() {
    let (_simulator, client) = simulator();
    let hello = json!({"role": "user", "content": "Hello"});
    for (display, shown) in [("summarized", THOUGHT), ("omitted", "")] {
        let thinking = json!({"type": "adaptive", "display": display});
        let mut body = json!({"model": "m", "max_tokens": 100, "messages": [hello], "thinking": thinking});
        let (whole, events) = both_ways(&client, "/v1/messages", &body);
        let thought = &whole["content"][0];
        assert_eq!((&thought["type"], &thought["thinking"]), (&json!("thinking"), &json!(shown)));
        assert_eq!(joined(&events, "/delta/thinking"), shown);
        assert_eq!(joined(&events, "/delta/signature"), thought["signature"].as_str().expect("a signature"));

        // It is taken back as it was made, and in no other way.
        let mut back = json!({"role": "assistant", "content": whole["content"]});
        body["messages"] = json!([hello, back, hello]);
        both_ways(&client, "/v1/messages", &body);
        back["content"][0]["thinking"] = "Another thought.".into();
        body["messages"] = json!([hello, back, hello]);
        let posted = client.post("/v1/messages").header("anthropic-version", "2023-06-01");
        posted.json(&body).send().expect(400);
    }
}

#[test]
fn gemini_signs_the_first_call_of_a_thought() {
    let (_simulator, client) = simulator();
    let functions = json!([{"name": "one"}, {"name": "two"}]);
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "call one and two"}]}],
        "tools": [{"functionDeclarations": functions}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
    });
    let (whole, events) = both_ways(&client, "/v1beta/models/m:generateContent", &body);
    let parts = &whole["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0], json!({"text": THOUGHT, "thought": true}));
    assert_eq!(parts[1]["functionCall"], json!({"name": "one", "args": {}}));
    assert!(parts[1]["thoughtSignature"].is_string() && parts[2].get("thoughtSignature").is_none());
    assert_eq!(events.len(), 2, "the thought, and both calls as one");
    assert_eq!(events[1]["candidates"][0]["content"]["parts"][0], parts[1]);
}

#[test]
fn an_image_counts_as_85_tokens() {
    let (_simulator, client) = simulator();
    let image = json!({"type": "image_url", "image_url": {"url": "https://127.0.0.1/red.png"}});
    let count = |images: usize| {
        let mut parts = vec![image.clone(); images];
        parts.push(json!({"type": "text", "text": "Look"}));
        let messages = json!([{"role": "user", "content": parts}]);
        let body = json!({"model": "m", "messages": messages});
        let answer = both_ways(&client, "/v1/chat/completions", &body).0;
        answer["usage"]["prompt_tokens"].as_u64().expect("a count")
    };
    assert_eq!((count(0), count(1), count(3)), (1, 86, 256));
}

#[test]
fn a_limit_cuts_a_thought_from_the_words() {
    let (_simulator, client) = simulator();
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}, "maxOutputTokens": 7},
    });
    let (whole, events) = both_ways(&client, "/v1beta/models/m:generateContent", &body);
    for answer in [&whole, events.last().expect("events")] {
        let usage = &answer["usageMetadata"];
        assert_eq!((&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]), (&json!(2), &json!(5)));
        assert_eq!(answer["candidates"][0]["finishReason"], "MAX_TOKENS");
    }
    assert_eq!(joined(&events, "/candidates/0/content/parts/0/text"), "acorn amber");
}

#[test]
fn a_broken_connection_breaks_a_tools_arguments_too() {
    let (_simulator, client) = simulator();
    let function = json!({"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {}}}});
    let body = json!({
        "model": "cut-2",
        "stream": true,
        "messages": [{"role": "user", "content": "call get_time"}],
        "tools": [{"type": "function", "function": function}],
    });
    let events = client.post("/v1/chat/completions").json(&body).open().events();
    let events: Vec<Value> = events.iter().map(Event::json).collect();
    assert_eq!(joined(&events, "/choices/0/delta/tool_calls/0/function/arguments"), "{\"zone\":");
}

#[test]
fn an_image_after_a_tools_result_does_not_hide_it() {
    let (_simulator, client) = simulator();
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let image = json!({"type": "image_url", "image_url": {"url": "https://127.0.0.1/red.png"}});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "call look"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "a rose"},
        {"role": "user", "content": [image]},
    ]});
    let (whole, _) = both_ways(&client, "/v1/chat/completions", &body);
    let expected = format!("I saw 1 image(s). The tools say: a rose. {ANSWER}");
    assert_eq!(whole["choices"][0]["message"]["content"], expected);
}
