//! A conversation that goes from one provider to another of another dialect, and comes back: each refuses what the other
//! signed, and wants what it signed itself.

use crate::support::{Client, Gateway, Provider, Response};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

const MODELS: [(Dialect, &str); 3] = [
    (Dialect::OpenAi, "gpt-5-mini"),
    (Dialect::Anthropic, "claude-sonnet-4-5"),
    (Dialect::Gemini, "gemini-3-pro-preview"),
];

/// A client's way to hold a conversation with a tool.
struct Speaker {
    /// The model whose provider has the client's own API.
    home: &'static str,
    path: fn(&str) -> String,
    /// The member that holds the conversation, and everything else, reasoning included.
    history: &'static str,
    settings: fn() -> Value,
    asks_for_reasoning: fn(&mut Value),
    user: fn(&str) -> Value,
    /// What of an answer goes back, and the calls in it with what answers them.
    said: fn(&Value) -> Vec<Value>,
    results: fn(&Value) -> Vec<Value>,
}

fn schema() -> Value {
    json!({"type": "object", "properties": {}})
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

static SPEAKERS: [Speaker; 4] = [
    Speaker {
        home: "gpt-5-mini",
        path: |_| "/v1/chat/completions".to_owned(),
        history: "messages",
        settings: || json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema()}}]}),
        asks_for_reasoning: |body| body["reasoning_effort"] = "low".into(),
        user: |text| json!({"role": "user", "content": text}),
        said: |answer| vec![answer["choices"][0]["message"].clone()],
        results: |answer| {
            let calls = list(&answer["choices"][0]["message"]["tool_calls"]).iter();
            calls.map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "noon"})).collect()
        },
    },
    Speaker {
        home: "gpt-5-mini",
        path: |_| "/v1/responses".to_owned(),
        history: "input",
        settings: || {
            json!({"include": ["reasoning.encrypted_content"],
                "tools": [{"type": "function", "name": "f", "parameters": schema()}]})
        },
        asks_for_reasoning: |body| body["reasoning"] = json!({"effort": "low", "summary": "auto"}),
        user: |text| json!({"role": "user", "content": text}),
        said: |answer| list(&answer["output"]).to_vec(),
        results: |answer| {
            let calls = list(&answer["output"]).iter().filter(|item| item["type"] == "function_call");
            let result = |call: &Value| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "noon"});
            calls.map(result).collect()
        },
    },
    Speaker {
        home: "claude-sonnet-4-5",
        path: |_| "/v1/messages".to_owned(),
        history: "messages",
        settings: || json!({"max_tokens": 4000, "tools": [{"name": "f", "input_schema": schema()}]}),
        asks_for_reasoning: |body| body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024}),
        user: |text| json!({"role": "user", "content": text}),
        said: |answer| vec![json!({"role": "assistant", "content": answer["content"]})],
        results: |answer| {
            let calls = list(&answer["content"]).iter().filter(|block| block["type"] == "tool_use");
            let result =
                |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "noon"});
            let results: Vec<Value> = calls.map(result).collect();
            if results.is_empty() { Vec::new() } else { vec![json!({"role": "user", "content": results})] }
        },
    },
    Speaker {
        home: "gemini-3-pro-preview",
        path: |model| format!("/v1beta/models/{model}:generateContent"),
        history: "contents",
        settings: || json!({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema()}]}]}),
        asks_for_reasoning: |body| {
            body["generationConfig"]["thinkingConfig"] =
                json!({"thinkingLevel": "LOW", "includeThoughts": true});
        },
        user: |text| json!({"role": "user", "parts": [{"text": text}]}),
        said: |answer| vec![answer["candidates"][0]["content"].clone()],
        results: |answer| {
            let parts = list(&answer["candidates"][0]["content"]["parts"]).iter();
            let result = |part: &Value| {
                let call = part.get("functionCall")?;
                Some(
                    json!({"functionResponse": {"name": call["name"], "id": call["id"], "response": {"result": "noon"}}}),
                )
            };
            let results: Vec<Value> = parts.filter_map(result).collect();
            if results.is_empty() { Vec::new() } else { vec![json!({"role": "user", "parts": results})] }
        },
    },
];

/// A conversation so far.
struct Talk<'a> {
    speaker: &'static Speaker,
    client: Client,
    gateway: &'a Gateway,
    history: Vec<Value>,
}

impl Talk<'_> {
    fn say(&mut self, text: &str) {
        self.history.push((self.speaker.user)(text));
    }

    /// Asks a model, with reasoning or without, and keeps what it says, and the results of what it calls.
    #[track_caller]
    fn ask(&mut self, model: &str, thinks: bool) -> Response {
        let mut body = (self.speaker.settings)();
        body["model"] = model.into();
        if thinks {
            (self.speaker.asks_for_reasoning)(&mut body);
        }
        body[self.speaker.history] = self.history.clone().into();
        if self.speaker.history == "contents" {
            body.as_object_mut().expect("an object").remove("model");
        }
        let path = (self.speaker.path)(model);
        let request = self.client.post(&path).header("anthropic-version", "2023-06-01").json(&body);
        let answer = request.send();
        assert_eq!(
            answer.status,
            200,
            "{path} for {model}: {body:#}\n{}\n{}",
            answer.text(),
            self.gateway.output()
        );
        let said = answer.json();
        self.history.extend((self.speaker.said)(&said));
        self.history.extend((self.speaker.results)(&said));
        answer
    }
}

#[test]
fn a_conversation_goes_to_another_dialects_provider_and_comes_back() {
    let providers = MODELS.map(|(dialect, model)| (Provider::of(dialect), dialect, model));
    let yaml = providers.each_ref().map(|(provider, dialect, model)| {
        let lines = [format!("models: [{model}]"), "responses: true".to_owned()];
        let count = if *dialect == Dialect::OpenAi { 2 } else { 1 };
        let lines: Vec<&str> = lines.iter().map(String::as_str).take(count).collect();
        provider.yaml_with(&dialect.to_string(), &lines)
    });
    let gateway = Gateway::start(&format!("providers:\n{}", yaml.concat()));
    for speaker in &SPEAKERS {
        for (_, _, away) in providers.iter().filter(|(_, _, model)| *model != speaker.home) {
            for thinks in [true, false] {
                let mut talk =
                    Talk { speaker, client: gateway.client(), gateway: &gateway, history: Vec::new() };
                talk.say("call f");
                talk.ask(speaker.home, true);
                // The other provider answers what its rival called for, then calls itself; that rival goes on.
                talk.ask(away, thinks);
                talk.say("call f");
                talk.ask(away, thinks);
                let answer = talk.ask(speaker.home, true);
                assert!(answer.text().contains("noon"), "{}", answer.text());
                talk.say("call f");
                talk.ask(speaker.home, true);
                let answer = talk.ask(speaker.home, true);
                assert!(answer.text().contains("noon"), "{}", answer.text());
            }
        }
    }
    for (provider, ..) in &providers {
        for asked in provider.asked() {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            assert!(!body.contains("cliproxy:") && !body.contains("Y2xpcHJveHkv"), "{body}");
        }
    }
}

/// Translated it would lose its quotations, how long the cache is to be kept, and the version that it speaks.
#[test]
fn everything_else_of_a_message_comes_home_byte_for_byte() {
    let provider = Provider::anthropic();
    let gateway = Gateway::before(&provider, "models: [claude-sonnet-4-5]");
    let (begin, rest) = (
        r#"{ "model":"claude-sonnet-4-5","max_tokens":90 , "system":[{"type":"text","text":"cliproxy: \"signature\":\"\"",
            "cache_control":{"type":"ephemeral","ttl":"1h"}}],"unheard_of":[1.0 ],"messages":[{"role":"user","content":"\"cliproxy:messages:x"},
            {"role":"assistant","content":[ "#,
        r#"{"type":"text","text":"a\u00e9","citations":[{"type":"char_location","cited_text":"a","new":1e0}]}]},
            {"role":"user","content":[{"type":"text","text":"b"} ]} ] }"#,
    );
    let client = gateway.client();
    let thoughts = [
        r#"{"type":"thinking","thinking":"Hm","signature":"cliproxy:generate:c2ln"}, "#,
        r#"{"type":"redacted_thinking","data":"cliproxy:generate-redacted:c2ln"} , "#,
        r#"{"signature": "","thinking":"Hm","type":"thinking"},"#,
        "",
    ];
    for thought in thoughts {
        let request = client.post("/v1/messages").header("content-type", "application/json");
        let request = request.header("anthropic-version", "2026-10-21").header("anthropic-beta", "new-2026");
        let answer = request.body(format!("{begin}{thought}{rest}")).send().expect(200);
        let dropped = (!thought.is_empty()).then_some("thinking");
        assert_eq!(answer.header("x-cliproxy-dropped"), dropped);
        let asked = provider.asked().pop().expect("asked");
        assert_eq!(String::from_utf8_lossy(&asked.body), format!("{begin}{rest}"));
        for (name, value) in [("anthropic-version", "2026-10-21"), ("anthropic-beta", "new-2026")] {
            let sent = asked.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
            assert_eq!(sent, Some(value));
        }
    }
}
