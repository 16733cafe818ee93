//! Gemini's endpoints, one by one.

use crate::support::{Client, Event};
use cliproxy::simulator::{ANSWER, Options, Simulator};
use serde_json::{Value, json};

fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

fn question() -> Value {
    json!({
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "systemInstruction": {"parts": [{"text": "You"}]},
    })
}

fn text(responses: &[Value]) -> String {
    let texts = responses.iter().map(|part| &part["candidates"][0]["content"]["parts"][0]["text"]);
    texts.filter_map(Value::as_str).collect()
}

#[test]
fn content_is_generated_under_both_versions() {
    let (_simulator, client) = simulator();
    for version in ["v1", "v1beta"] {
        let path = format!("/{version}/models/gemini-x:generateContent");
        let answer = client.post(&path).json(&question()).send().expect(200).json();
        assert_eq!(text(std::slice::from_ref(&answer)), ANSWER);
        assert_eq!(
            (&answer["candidates"][0]["finishReason"], &answer["modelVersion"]),
            (&json!("STOP"), &json!("gemini-x"))
        );
        let usage = &answer["usageMetadata"];
        assert_eq!((&usage["promptTokenCount"], &usage["candidatesTokenCount"]), (&json!(2), &json!(60)));
    }
}

#[test]
fn a_stream_is_events_where_they_are_asked_for() {
    let (_simulator, client) = simulator();
    let path = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
    let events = client.post(path).json(&question()).open().events();
    let responses: Vec<Value> = events.iter().map(Event::json).collect();
    assert_eq!((responses.len(), text(&responses)), (60, ANSWER.to_owned()));
    let (last, others) = responses.split_last().expect("responses");
    assert_eq!(
        (&last["candidates"][0]["finishReason"], &last["usageMetadata"]["candidatesTokenCount"]),
        (&json!("STOP"), &json!(60))
    );
    assert!(others.iter().all(|part| part["candidates"][0].get("finishReason").is_none()));
}

#[test]
fn a_stream_is_one_array_otherwise() {
    let (_simulator, client) = simulator();
    let path = "/v1beta/models/gemini-x:streamGenerateContent";
    let answer = client.post(path).json(&question()).send().expect(200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    let responses: Vec<Value> = serde_json::from_value(answer.json()).expect("an array");
    assert_eq!((responses.len(), text(&responses)), (60, ANSWER.to_owned()));
}

#[test]
fn a_limit_cuts_the_answer_and_says_so() {
    let (_simulator, client) = simulator();
    for (tokens, reason) in [(1, "MAX_TOKENS"), (59, "MAX_TOKENS"), (60, "STOP")] {
        let mut body = question();
        body["generationConfig"] = json!({"maxOutputTokens": tokens});
        for path in ["generateContent", "streamGenerateContent"] {
            let path = format!("/v1beta/models/m:{path}");
            let answer = client.post(&path).json(&body).send().expect(200).json();
            let parts = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
            assert_eq!(text(&parts).split(' ').count(), tokens);
            assert_eq!(parts[parts.len() - 1]["candidates"][0]["finishReason"], reason);
        }
    }
}

#[test]
fn tokens_are_counted_bare_or_in_a_request() {
    let (_simulator, client) = simulator();
    for body in [question(), json!({"generateContentRequest": question()})] {
        let answer = client.post("/v1beta/models/m:countTokens").json(&body).send().expect(200).json();
        assert_eq!(answer["totalTokens"], 2);
    }
}

#[test]
fn a_text_has_one_vector_alone_or_in_a_batch() {
    let (_simulator, client) = simulator();
    let request = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3});
    let one = client.post("/v1beta/models/e:embedContent").json(&request("one")).send().expect(200).json();
    let both = json!({"requests": [request("two"), request("one")]});
    let both = client.post("/v1beta/models/e:batchEmbedContents").json(&both).send().expect(200).json();
    assert_eq!(one["embedding"]["values"].as_array().map(Vec::len), Some(3));
    assert_eq!(one["embedding"], both["embeddings"][1]);
    assert_ne!(both["embeddings"][0], both["embeddings"][1]);
}

#[test]
fn models_are_listed_and_shown() {
    let (_simulator, client) = simulator();
    let list = client.get("/v1beta/models").send().expect(200).json();
    assert_eq!(list["models"][0]["name"], "models/gpt-4o");
    assert_eq!(client.get("/v1beta/models/gpt-4o").send().expect(200).json(), list["models"][0]);
    assert_eq!(client.get("/v1/models").header("x-goog-api-key", "k").send().expect(200).json(), list);
    assert_eq!(client.get("/v1beta/models/none").send().expect(404).json()["error"]["status"], "NOT_FOUND");
}

#[test]
fn what_is_missing_or_no_json_is_refused_in_geminis_shape() {
    let (_simulator, client) = simulator();
    for body in ["{", "{}", r#"{"contents": []}"#] {
        let error = client.post("/v1beta/models/m:generateContent").body(body).send().expect(400).json();
        assert_eq!(
            (&error["error"]["code"], &error["error"]["status"]),
            (&json!(400), &json!("INVALID_ARGUMENT"))
        );
    }
}
