//! Answers in JSON from Claude, whose older models can't be held to a form, and none of which to any JSON: clients of other
//! dialects get the text of an answer all the same.

use crate::support::{Event, Gateway, Provider};
use serde_json::{Value, json};

/// One that has a place for schemas, and two that don't.
const MODELS: [&str; 3] = ["claude-sonnet-4-5", "claude-3-7-sonnet-20250219", "claude-opus-4-1"];

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": false})
}

/// What a client asks for, streamed or not, and the text that it gets with the reason why it ends.
struct Speaker {
    path: fn(&str, bool) -> String,
    /// For any JSON, or by the schema.
    body: fn(Option<Value>) -> Value,
    /// Of the whole answer, or of one event.
    text: fn(&Value) -> &Value,
    finish: fn(&Value) -> &Value,
    end: &'static str,
}

static SPEAKERS: [Speaker; 3] = [
    Speaker {
        path: |_, _| "/v1/chat/completions".to_owned(),
        body: |schema| {
            let format = schema.map_or(json!({"type": "json_object"}), |schema| {
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}})
            });
            json!({"messages": [{"role": "user", "content": "JSON, please"}], "response_format": format})
        },
        text: |answer| {
            let choice = &answer["choices"][0];
            if choice["delta"].is_object() {
                &choice["delta"]["content"]
            } else {
                &choice["message"]["content"]
            }
        },
        finish: |answer| &answer["choices"][0]["finish_reason"],
        end: "stop",
    },
    Speaker {
        path: |_, _| "/v1/responses".to_owned(),
        body: |schema| {
            let format = schema.map_or(
                json!({"type": "json_object"}),
                |schema| json!({"type": "json_schema", "name": "n", "schema": schema}),
            );
            json!({"input": "JSON, please", "text": {"format": format}})
        },
        text: |answer| match answer["type"].as_str() {
            Some("response.output_text.delta") => &answer["delta"],
            Some(_) => &Value::Null,
            None => &answer["output"][0]["content"][0]["text"],
        },
        finish: |answer| {
            if answer["type"].is_null() { &answer["status"] } else { &answer["response"]["status"] }
        },
        end: "completed",
    },
    Speaker {
        path: |model, streams| {
            let verb = if streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
            format!("/v1beta/models/{model}:{verb}")
        },
        body: |schema| {
            json!({"contents": [{"role": "user", "parts": [{"text": "JSON, please"}]}],
                "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}})
        },
        text: |answer| &answer["candidates"][0]["content"]["parts"][0]["text"],
        finish: |answer| &answer["candidates"][0]["finishReason"],
        end: "STOP",
    },
];

#[test]
fn json_is_the_text_of_the_answer_whoever_has_a_place_for_it() {
    let provider = Provider::anthropic();
    let gateway = Gateway::before(&provider, &format!("models: [{}]", MODELS.join(", ")));
    let client = gateway.client();
    for (speaker, model) in SPEAKERS.iter().flat_map(|speaker| MODELS.map(|model| (speaker, model))) {
        for (schema, streams) in
            [(None, false), (None, true), (Some(schema()), false), (Some(schema()), true)]
        {
            let mut body = (speaker.body)(schema.clone());
            let path = (speaker.path)(model, streams);
            if !path.contains(model) {
                (body["model"], body["stream"]) = (model.into(), streams.into());
            }
            let answer = client.post(&path).json(&body).send().expect(200);
            let said = if streams {
                // What ends an OpenAI's stream is no JSON.
                let events = Event::all(&answer.body).into_iter().filter(|event| event.data != "[DONE]");
                events.map(|event| event.json()).collect()
            } else {
                vec![answer.json()]
            };
            let text: String = said.iter().filter_map(|said| (speaker.text)(said).as_str()).collect();
            let what = format!("{path} {model}: {}", answer.text());
            let json: Value = serde_json::from_str(&text).expect(&what);
            assert!(json.is_object() && (schema.is_none() || json["city"].is_string()), "{what}");
            let end = said.iter().rev().find_map(|said| (speaker.finish)(said).as_str());
            assert_eq!(end, Some(speaker.end), "{what}");
            assert_eq!(answer.header("x-cliproxy-dropped"), None, "{what}");
        }
    }
}

#[test]
fn a_model_with_tools_of_the_clients_calls_one_or_answers() {
    let provider = Provider::anthropic();
    let gateway = Gateway::before(&provider, "models: [claude-opus-4-1]");
    let client = gateway.client();
    for (said, finish) in [("call f", "tool_calls"), ("call answer", "stop")] {
        let body = json!({"model": "claude-opus-4-1", "messages": [{"role": "user", "content": said}],
            "response_format": {"type": "json_object"},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema()}}]});
        let answer = client.post("/v1/chat/completions").json(&body).send().expect(200).json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], finish);
        assert_eq!(choice["message"]["tool_calls"].is_array(), finish == "tool_calls");
        let text = choice["message"]["content"].as_str().unwrap_or("{}");
        assert!(serde_json::from_str::<Value>(text).is_ok_and(|json| json.is_object()), "{text}");
    }
}
