//! OpenAI's endpoints, one by one.

use crate::support::{BodyEnd, Client, Event};
use cliproxy::simulator::{ANSWER, Options, Simulator};
use serde_json::{Value, json};

fn simulator() -> (Simulator, Client) {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

fn question(more: &Value) -> Value {
    let mut question = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, you"}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        question[name] = value.clone();
    }
    question
}

/// The chunks of a stream, without the end marker, which must be there.
fn chunks(events: &[Event]) -> Vec<Value> {
    let (last, chunks) = events.split_last().expect("events");
    assert_eq!(last.data, "[DONE]");
    chunks.iter().map(Event::json).collect()
}

#[test]
fn a_chat_gets_the_answer() {
    let (_simulator, client) = simulator();
    let answer = client.post("/v1/chat/completions").json(&question(&json!({}))).send().expect(200).json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o");
    assert_eq!(
        answer["choices"][0]["message"],
        json!({
            "role": "assistant", "content": ANSWER, "refusal": null, "annotations": [],
        })
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    // "Hello, you" has ten bytes.
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    assert_eq!(answer["usage"]["completion_tokens"], 60);
    assert_eq!(answer["usage"]["total_tokens"], 63);
}

#[test]
fn a_streamed_chat_brings_a_word_per_event_and_no_unasked_usage() {
    let (_simulator, client) = simulator();
    let mut stream = client.post("/v1/chat/completions").json(&question(&json!({"stream": true}))).open();
    let chunks = chunks(&stream.events());
    assert_eq!(stream.end(), Some(BodyEnd::Clean));
    assert!(stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));

    assert_eq!(chunks.len(), 62, "the role, sixty words, the finish reason");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let words: Vec<&str> =
        chunks[1..61].iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((words.len(), words.concat()), (60, ANSWER.to_owned()));
    assert_eq!(
        chunks[61]["choices"][0],
        json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"})
    );
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
}

#[test]
fn usage_that_was_asked_for_comes_last_and_without_choices() {
    let (_simulator, client) = simulator();
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let chunks = chunks(&client.post("/v1/chat/completions").json(&question(&options)).open().events());
    let (last, others) = chunks.split_last().expect("chunks");
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(60)));
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
}

#[test]
fn a_limit_cuts_the_answer_and_says_so() {
    let (_simulator, client) = simulator();
    for limit in ["max_tokens", "max_completion_tokens"] {
        for (tokens, reason) in [(1, "length"), (59, "length"), (60, "stop"), (61, "stop")] {
            let body = question(&json!({limit: tokens}));
            let answer = client.post("/v1/chat/completions").json(&body).send().expect(200).json();
            let choice = &answer["choices"][0];
            let words = choice["message"]["content"].as_str().map(|text| text.split(' ').count());
            assert_eq!((words, &choice["finish_reason"]), (Some(tokens.min(60)), &json!(reason)));
        }
    }
    client.post("/v1/chat/completions").json(&question(&json!({"max_tokens": 0}))).send().expect(400);
}

#[test]
fn several_choices_are_told_apart_by_their_index() {
    let (_simulator, client) = simulator();
    let body = question(&json!({"n": 2, "stream": true}));
    let chunks = chunks(&client.post("/v1/chat/completions").json(&body).open().events());
    for index in 0..2 {
        let choices = chunks.iter().map(|chunk| &chunk["choices"][0]);
        let mine = choices.filter(|choice| choice["index"] == index);
        let text: String = mine.filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, ANSWER);
    }
    client.post("/v1/chat/completions").json(&question(&json!({"n": 9}))).send().expect(400);
}

#[test]
fn an_older_completion_gets_the_answer_too() {
    let (_simulator, client) = simulator();
    let mut body = json!({"model": "davinci", "prompt": "Hello"});
    let answer = client.post("/v1/completions").json(&body).send().expect(200).json();
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["text"]),
        (&json!("text_completion"), &json!(ANSWER))
    );

    body["stream"] = true.into();
    let chunks = chunks(&client.post("/v1/completions").json(&body).open().events());
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, ANSWER);
}

#[test]
fn a_response_gets_the_answer() {
    let (_simulator, client) = simulator();
    let body = json!({"model": "gpt-4o", "input": "Hello, you", "max_output_tokens": 2});
    let answer = client.post("/v1/responses").json(&body).send().expect(200).json();
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("incomplete")));
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(answer["output"][0]["content"][0]["text"], "acorn amber");
    assert_eq!((&answer["usage"]["input_tokens"], &answer["usage"]["output_tokens"]), (&json!(3), &json!(2)));
}

#[test]
fn a_streamed_response_has_its_events_in_order() {
    let (_simulator, client) = simulator();
    let body = json!({"model": "gpt-4o", "input": [{"role": "user", "content": "Hello"}], "stream": true});
    let events = client.post("/v1/responses").json(&body).open().events();
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let events: Vec<Value> = events.iter().map(Event::json).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(text, ANSWER);
    assert_eq!(events[events.len() - 1]["response"]["output"][0]["content"][0]["text"], ANSWER);
}

#[test]
fn embeddings_are_numbers_or_the_same_in_base64() {
    use base64::Engine as _;
    let (_simulator, client) = simulator();
    let embed = |format: &str| {
        let body = json!({"model": "e", "input": ["one", "two"], "encoding_format": format, "dimensions": 3});
        client.post("/v1/embeddings").json(&body).send().expect(200).json()
    };
    let (numbers, encoded) = (embed("float"), embed("base64"));
    assert_eq!(numbers["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
    for index in 0..2 {
        let text = encoded["data"][index]["embedding"].as_str().expect("text");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("Base64");
        let decoded: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect();
        let plain: Vec<f32> =
            serde_json::from_value(numbers["data"][index]["embedding"].clone()).expect("numbers");
        assert_eq!(plain, decoded);
        assert_eq!((decoded.len(), &numbers["data"][index]["index"]), (3, &json!(index)));
    }
    assert_ne!(numbers["data"][0]["embedding"], numbers["data"][1]["embedding"]);
}

#[test]
fn a_text_has_one_vector_alone_or_in_a_list() {
    let (_simulator, client) = simulator();
    let embed = |input: Value| {
        let body = json!({"model": "e", "input": input});
        client.post("/v1/embeddings").json(&body).send().expect(200).json()["data"].clone()
    };
    assert_eq!(embed(json!("one"))[0]["embedding"], embed(json!(["two", "one"]))[1]["embedding"]);
}

#[test]
fn models_are_listed_and_shown() {
    let (_simulator, client) = simulator();
    let list = client.get("/v1/models").send().expect(200).json();
    let name = list["data"][0]["id"].as_str().expect("a name").to_owned();
    assert_eq!(client.get(&format!("/v1/models/{name}")).send().expect(200).json(), list["data"][0]);
    let missing = client.get("/v1/models/none").send().expect(404).json();
    assert_eq!(missing["error"]["code"], "model_not_found");
}

#[test]
fn moderations_and_reranks_answer_for_each_text() {
    let (_simulator, client) = simulator();
    let body = json!({"input": ["one", "two"]});
    let answer = client.post("/v1/moderations").json(&body).send().expect(200).json();
    assert_eq!(
        (answer["results"].as_array().map(Vec::len), &answer["results"][1]["flagged"]),
        (Some(2), &json!(false))
    );

    let body = json!({"model": "r", "query": "q", "documents": ["one", "two", "three"], "top_n": 2});
    let answer = client.post("/v1/rerank").json(&body).send().expect(200).json();
    assert_eq!(
        answer["results"],
        json!([
            {"index": 0, "relevance_score": 1.0},
            {"index": 1, "relevance_score": 0.5},
        ])
    );
}

#[test]
fn pictures_are_png() {
    use base64::Engine as _;
    let (_simulator, client) = simulator();
    let body = json!({"model": "i", "prompt": "a cat", "n": 2});
    let answer = client.post("/v1/images/generations").json(&body).send().expect(200).json();
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    let text = answer["data"][1]["b64_json"].as_str().expect("text");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("Base64");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn speech_is_every_byte_there_is() {
    let (_simulator, client) = simulator();
    let body = json!({"model": "tts-1", "input": "Hello", "voice": "alloy"});
    let answer = client.post("/v1/audio/speech").json(&body).send().expect(200);
    assert_eq!((answer.header("content-type"), answer.body.len()), (Some("audio/mpeg"), 16_384));
    assert!((0..=255).all(|byte| answer.body.contains(&byte)));
}

#[test]
fn a_sound_in_a_form_is_transcribed() {
    let (_simulator, client) = simulator();
    let part = |name: &str, content: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    };
    let send = |parts: &[String]| {
        let body = format!("{}--b--\r\n", parts.concat());
        let request = client.post("/v1/audio/transcriptions");
        request.header("content-type", "multipart/form-data; boundary=b").body(body).send()
    };
    let (model, file) = (part("model", "whisper-1"), part("file", "RIFF"));
    assert_eq!(send(&[model.clone(), file.clone()]).expect(200).json()["text"], ANSWER);
    assert_eq!(
        send(&[model, file.clone(), part("response_format", "text")]).expect(200).text(),
        format!("{ANSWER}\n")
    );
    send(&[file]).expect(400);
}

#[test]
fn what_is_missing_or_no_json_is_refused_in_openais_shape() {
    let (_simulator, client) = simulator();
    for body in ["", "{", "[]", "{}", r#"{"model": "m"}"#, r#"{"model": "m", "messages": []}"#, "\u{0}"] {
        let error = client.post("/v1/chat/completions").body(body).send().expect(400).json();
        assert_eq!(error["error"]["type"], "invalid_request_error", "{body}");
        assert!(error["error"]["message"].is_string());
    }
}
