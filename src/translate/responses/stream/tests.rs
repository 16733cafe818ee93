//! What a client is told of a stream: the order of the events, their places, and what they add up to.

use super::*;
use crate::translate::frames::{self, Framing};
use serde_json::{Value, json};

const ASKS_FOR_ALL: &[u8] = br#"{"include":["reasoning.encrypted_content"],"reasoning":{"summary":"auto"}}"#;

fn asked(body: &[u8]) -> Asked<'_> {
    Asked {
        request_id: "req",
        created: 7,
        body,
        longest: &(0..0),
        framing: Framing::Events,
        include_usage: false,
    }
}

/// The frames of these events, each as JSON, its name checked against its type.
fn told(body: &[u8], events: &[Event<'_>]) -> Vec<Value> {
    let (mut encoder, mut out) = (Encoder::new(&asked(body)), Vec::new());
    for event in events {
        encoder.put(event, &mut out);
    }
    read_back(&out)
}

fn read_back(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("text");
    let frames: Vec<_> = text.split_terminator("\n\n").collect();
    let read = |frame: &&str| {
        let value: Value = serde_json::from_slice(&frames::data(frame.as_bytes())).expect("JSON");
        let name = frame.lines().next().and_then(|line| line.strip_prefix("event: "));
        assert_eq!(value["type"].as_str(), name);
        assert_eq!(frame.lines().count(), 2, "{frame}");
        value
    };
    let values: Vec<_> = frames.iter().map(read).collect();
    for (number, value) in values.iter().enumerate() {
        assert_eq!(value["sequence_number"], json!(number));
    }
    values
}

fn start() -> Event<'static> {
    Event::Start { id: "chatcmpl-1".into(), model: "m".into() }
}

fn call(id: &'static str) -> Event<'static> {
    Event::Call { id: id.into(), name: "f".into(), signature: None }
}

fn signature(maker: Api) -> Signature<'static> {
    Signature { maker, text: "s".into() }
}

fn names(values: &[Value]) -> Vec<&str> {
    values.iter().filter_map(|value| value["type"].as_str()?.strip_prefix("response.")).collect()
}

#[test]
fn a_text_is_told_in_openais_order() {
    let values = told(
        b"{}",
        &[
            start(),
            Event::Text("Hel".into()),
            Event::Text("lo\n".into()),
            Event::Finish(Finish::Stop),
            Event::Usage(TokenUsage { input: 1, cache_read: 2, cache_write: 3, output: 5, reasoning: 4 }),
            Event::End,
        ],
    );
    assert_eq!(
        names(&values),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let item = |status: &str, content: Value| json!({"id": "msg_1_0", "type": "message", "role": "assistant", "status": status, "content": content});
    assert_eq!(values[2]["item"], item("in_progress", json!([])));
    assert_eq!(values[3]["part"], part(""));
    assert_eq!((&values[4]["delta"], &values[5]["delta"]), (&json!("Hel"), &json!("lo\n")));
    assert_eq!(values[6]["text"], "Hello\n");
    assert_eq!(values[7]["part"], part("Hello\n"));
    assert_eq!(values[8]["item"], item("completed", json!([part("Hello\n")])));
    for value in &values[3..8] {
        assert_eq!(
            (&value["item_id"], &value["output_index"], &value["content_index"]),
            (&json!("msg_1_0"), &json!(0), &json!(0))
        );
    }
    let response = &values[9]["response"];
    assert_eq!(response["output"], json!([item("completed", json!([part("Hello\n")]))]));
    assert_eq!(
        (&response["id"], &response["model"], &response["status"]),
        (&json!("resp_1"), &json!("m"), &json!("completed"))
    );
    assert_eq!(
        response["usage"],
        json!({"input_tokens": 6, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 11})
    );
    assert_eq!(values[0]["response"]["usage"], Value::Null);
    assert_eq!(values[0]["response"]["status"], "in_progress");
}

#[test]
fn each_item_has_an_index_and_an_id_of_its_own_and_each_part_an_index_in_it() {
    let values = told(
        ASKS_FOR_ALL,
        &[
            start(),
            Event::Thought("hm".into()),
            Event::ThoughtSignature(signature(Api::Messages)),
            Event::Text("a".into()),
            Event::Refusal("no".into()),
            call("c1"),
            Event::Arguments("{\"a\":".into()),
            Event::Arguments("1}".into()),
            call("c2"),
            Event::Finish(Finish::ToolCalls),
            Event::End,
        ],
    );
    assert_eq!(
        names(&values)[2..],
        [
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "content_part.added",
            "refusal.delta",
            "refusal.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed"
        ]
    );
    let refused = values.iter().find(|value| value["type"] == "response.refusal.done").expect("a refusal");
    assert_eq!((&refused["content_index"], &refused["refusal"]), (&json!(1), &json!("no")));
    let output = &values.last().expect("an end")["response"]["output"];
    assert_eq!(
        output[0],
        json!({"id": "rs_cliproxy_1_0", "type": "reasoning", "status": "completed",
            "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "cliproxy:messages:s"})
    );
    assert_eq!(
        output[2],
        json!({"id": "fc_1_2", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f",
            "arguments": "{\"a\":1}"})
    );
    assert_eq!((&output[3]["id"], &output[3]["arguments"]), (&json!("fc_1_3"), &json!("{}")));
    let done = values.iter().filter(|value| value["type"] == "response.output_item.done");
    assert!(done.map(|value| &value["item"]).eq(output.as_array().expect("a list")));
}

#[test]
fn thoughts_are_no_summary_where_none_was_asked_for() {
    let values = told(
        br#"{"reasoning":{"effort":"low","summary":null}}"#,
        &[start(), Event::Thought("h".into()), Event::Thought("m".into()), Event::End],
    );
    assert_eq!(
        names(&values)[2..],
        [
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let text = json!([{"type": "reasoning_text", "text": "hm"}]);
    assert_eq!(
        values.last().expect("an end")["response"]["output"],
        json!([{"id": "rs_cliproxy_1_0", "type": "reasoning", "status": "completed", "summary": [], "content": text}])
    );
}

#[test]
fn a_refusal_with_words_is_a_whole_answer() {
    let filtered = [Event::Finish(Finish::ContentFilter), Event::End];
    for (said, status) in
        [(Event::Refusal("no".into()), "completed"), (Event::Text("n".into()), "incomplete")]
    {
        let mut events = vec![start(), said];
        events.extend(filtered.clone());
        let response = &told(b"{}", &events).pop().expect("an end")["response"];
        assert_eq!((&response["status"], &response["output"][0]["status"]), (&json!(status), &json!(status)));
    }
}

#[test]
fn a_stream_that_broke_off_says_why_and_has_what_was_said() {
    let (mut encoder, mut out) = (Encoder::new(&asked(b"{}")), Vec::new());
    for event in [start(), Event::Text("a".into()), call("c"), Event::Arguments("{".into())] {
        encoder.put(&event, &mut out);
    }
    let error =
        br#"{"error":{"message":"gone","type":"rate_limit_error","param":null,"code":"rate_limited"}}"#;
    encoder.fail(error, &mut out);
    encoder.fail(error, &mut out);
    encoder.put(&Event::End, &mut out);
    let values = read_back(&out);
    let [.., said, last] = values.as_slice() else { panic!("{values:?}") };
    assert_eq!(
        (&said["type"], &said["code"], &said["message"]),
        (&json!("error"), &json!("rate_limited"), &json!("gone"))
    );
    assert_eq!(
        said["error"],
        json!({"type": "rate_limit_error", "code": "rate_limited", "message": "gone", "param": null})
    );
    let response = &last["response"];
    assert_eq!((&last["type"], &response["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "gone"}));
    assert_eq!(response["output"][0]["content"][0]["text"], "a");
    assert_eq!(
        (&response["output"][1]["arguments"], &response["output"][1]["status"]),
        (&json!("{"), &json!("incomplete"))
    );
}

#[test]
fn signatures_are_given_to_those_who_ask() {
    let events = [
        start(),
        Event::Thought("a".into()),
        Event::ThoughtSignature(signature(Api::Messages)),
        Event::Redacted(signature(Api::Messages)),
        Event::ThoughtSignature(signature(Api::Generate)),
        Event::Call { id: "c".into(), name: "f".into(), signature: Some(signature(Api::Generate)) },
        Event::End,
    ];
    let sealed = |body: &[u8]| -> Vec<Value> {
        let last = told(body, &events).pop().expect("an end");
        let output = last["response"]["output"].as_array().expect("a list").clone();
        output.into_iter().map(|item| item["encrypted_content"].clone()).collect()
    };
    assert_eq!(
        sealed(ASKS_FOR_ALL),
        [
            json!("cliproxy:messages:s"),
            json!("cliproxy:messages-redacted:s"),
            json!("cliproxy:generate:s"),
            json!("cliproxy:generate-call:s"),
            Value::Null
        ]
    );
    assert_eq!(sealed(b"{}"), [Value::Null, Value::Null]);
}

#[test]
fn an_answer_that_was_stopped_says_why_and_which_item_it_was() {
    for (finish, reason) in [(Finish::Length, "max_output_tokens"), (Finish::ContentFilter, "content_filter")]
    {
        let values = told(
            b"{}",
            &[
                start(),
                Event::Thought("a".into()),
                call("c"),
                Event::Arguments("{\"a".into()),
                Event::Finish(finish),
                Event::End,
                Event::Text("after the end".into()),
            ],
        );
        let last = values.last().expect("an end");
        assert_eq!(
            (&last["type"], &last["response"]["status"]),
            (&json!("response.incomplete"), &json!("incomplete"))
        );
        assert_eq!(last["response"]["incomplete_details"], json!({"reason": reason}));
        let output = &last["response"]["output"];
        assert_eq!((&output[0]["status"], &output[1]["status"]), (&json!("completed"), &json!("incomplete")));
        assert_eq!(output[1]["arguments"], "{\"a");
    }
}

#[test]
fn a_stream_without_beginning_or_words_is_whole() {
    let values = told(
        b"{\"model\":\"asked\"}",
        &[Event::Text("".into()), Event::Thought("".into()), Event::Arguments("{}".into()), Event::End],
    );
    assert_eq!(names(&values), ["created", "in_progress", "completed"]);
    let response = &values[2]["response"];
    assert_eq!(
        (&response["id"], &response["model"], &response["usage"]),
        (&json!("resp_req"), &json!("asked"), &Value::Null)
    );
}

#[test]
fn what_the_request_said_is_repeated_and_holds_no_line_break() {
    let body = b"{\n\"instructions\": \"a\\nb\",\r\n\"tools\": [\n{\"type\":\"function\", \"name\": \"f\"}\n], \"metadata\": null, \"top_p\":0.50}";
    let values = told(body, &[start(), Event::End]);
    for value in &values {
        let response = &value["response"];
        assert_eq!(response["instructions"], "a\nb");
        assert_eq!(response["tools"], json!([{"type": "function", "name": "f"}]));
        assert_eq!(response["metadata"], json!({}));
        assert_eq!(
            (&response["tool_choice"], &response["parallel_tool_calls"]),
            (&json!("auto"), &json!(true))
        );
        assert_eq!((&response["top_p"], &response["temperature"]), (&json!(0.5), &Value::Null));
        assert_eq!((&response["store"], &response["previous_response_id"]), (&json!(false), &Value::Null));
        assert_eq!(response["created_at"], json!(7));
    }
}

#[test]
fn text_up_to_the_bound_is_repeated_and_one_byte_more_only_told() {
    for (past, status) in [(0, "completed"), (1, "incomplete")] {
        let piece = "x".repeat(MAX_KEPT - 1);
        let values = told(
            b"{}",
            &[
                start(),
                Event::Text(piece.as_str().into()),
                Event::Text("y".repeat(1 + past).into()),
                call("c"),
                Event::Finish(Finish::Stop),
                Event::End,
            ],
        );
        let deltas = values.iter().filter(|value| value["type"] == "response.output_text.delta");
        let told: usize = deltas.filter_map(|value| value["delta"].as_str()).map(str::len).sum();
        assert_eq!(told, MAX_KEPT + past);
        let response = &values.last().expect("an end")["response"];
        let kept = response["output"][0]["content"][0]["text"].as_str().expect("a text").len();
        assert_eq!(kept, if past == 0 { MAX_KEPT } else { MAX_KEPT - 1 });
        assert_eq!((&response["status"], &response["output"][0]["status"]), (&json!(status), &json!(status)));
        assert_eq!(response["output"][1]["status"], "completed");
    }
}
