//! Requests that make no sense, before providers of other dialects: refused by the name of the field, in the client's
//! own dialect, and nobody is asked.

mod rows;

use crate::support::{Client, Gateway, Provider, Request, expect_error};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

/// The APIs that clients converse through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl Api {
    fn dialect(self) -> Dialect {
        match self {
            Api::Chat | Api::Responses => Dialect::OpenAi,
            Api::Messages => Dialect::Anthropic,
            Api::Gemini => Dialect::Gemini,
        }
    }

    /// The request of a body for the model of that provider.
    fn post<'c>(self, client: &'c Client, provider: Dialect, body: Vec<u8>) -> Request<'c> {
        let path = match self {
            Api::Chat => "/v1/chat/completions".to_owned(),
            Api::Responses => "/v1/responses".to_owned(),
            Api::Messages => "/v1/messages".to_owned(),
            Api::Gemini => format!("/v1beta/models/of-{provider}:generateContent"),
        };
        client.post(&path).header("anthropic-version", "2023-06-01").body(body)
    }

    /// A request with a bit of everything, for a model that is yet to be named.
    fn good(self) -> Value {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        match self {
            Api::Chat => json!({"model": MODEL, "max_tokens": 9, "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"b\"}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "done"},
                {"role": "user", "content": [
                    {"type": "text", "text": "and"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                ]},
            ], "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
            Api::Responses => json!({"model": MODEL, "max_output_tokens": 99, "input": [
                {"role": "user", "content": "Hello"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":\"b\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": "done"},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "and"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                ]},
            ], "tools": [{"type": "function", "name": "f", "parameters": schema}]}),
            Api::Messages => json!({"model": MODEL, "max_tokens": 9, "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "b"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "done"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                ]},
            ], "tools": [{"name": "f", "input_schema": schema}]}),
            Api::Gemini => json!({"contents": [
                {"role": "user", "parts": [{"text": "Hello"}]},
                {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {"a": "b"}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "c1", "name": "f", "response": {"result": "done"}}},
                ]},
                {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]},
            ], "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}),
        }
    }
}

/// Stands for the model's name until it is known which provider is asked.
const MODEL: &str = "of-whom";

/// A request that one API's clients may send, and the field that is wrong.
struct Row {
    api: Api,
    body: Vec<u8>,
    field: String,
}

/// Rows of an API.
struct Rows {
    api: Api,
    rows: Vec<Row>,
}

impl Rows {
    /// The good request but for that member, which JSON Pointer leads to: this, or not there at all.
    fn with(&mut self, pointer: &str, value: impl Into<Option<Value>>, field: &str) {
        let mut body = self.api.good();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        match (parent, value.into()) {
            (Value::Object(members), Some(value)) => {
                members.insert(name.to_owned(), value);
            }
            (Value::Object(members), None) => {
                members.remove(name).unwrap_or_else(|| panic!("{pointer} isn't there"));
            }
            (Value::Array(items), value) => {
                let index: usize = name.parse().expect("an index");
                match value {
                    Some(value) => items[index] = value,
                    None => drop(items.remove(index)),
                }
            }
            (other, _) => panic!("{pointer} leads into {other}"),
        }
        self.raw(body.to_string(), field);
    }

    /// A body as it is.
    fn raw(&mut self, body: impl Into<Vec<u8>>, field: &str) {
        self.rows.push(Row { api: self.api, body: body.into(), field: format!("`{field}") });
    }

    /// The good request with one text in it replaced, to be what no JSON library would write.
    fn replaced(&mut self, text: &str, by: impl AsRef<[u8]>, field: &str) {
        let body = self.api.good().to_string();
        let (before, after) = body.split_once(text).unwrap_or_else(|| panic!("{text} isn't there"));
        self.raw([before.as_bytes(), by.as_ref(), after.as_bytes()].concat(), field);
    }
}

/// A gateway before one provider of each dialect, whose one model is named after it.
fn house() -> (Gateway, [Provider; 3]) {
    let providers = Dialect::ALL.map(Provider::of);
    let entries: String = Dialect::ALL
        .iter()
        .zip(&providers)
        .map(|(dialect, provider)| {
            provider.yaml_with(&format!("p-{dialect}"), &[&format!("models: [of-{dialect}]")])
        })
        .collect();
    (Gateway::start(&format!("providers:\n{entries}")), providers)
}

fn named(body: &[u8], provider: Dialect) -> Vec<u8> {
    let name = format!("\"of-{provider}\"").into_bytes();
    match memchr::memmem::find(body, format!("\"{MODEL}\"").as_bytes()) {
        Some(at) => [&body[..at], &name, &body[at + MODEL.len() + 2..]].concat(),
        None => body.to_vec(),
    }
}

#[track_caller]
fn refused_by_name(api: Api, rows: &[Row]) {
    let (gateway, providers) = house();
    let client = gateway.client();
    let mut wrong = Vec::new();
    for (provider, dialect) in providers.iter().zip(Dialect::ALL).filter(|(_, it)| *it != api.dialect()) {
        let good = named(api.good().to_string().as_bytes(), dialect);
        for row in rows {
            let before = provider.asked().len();
            let answer = row.api.post(&client, dialect, named(&row.body, dialect)).send();
            if answer.status != 400 || !answer.text().contains(&row.field.replace('"', "\\\"")) {
                let shown: String = String::from_utf8_lossy(&row.body).chars().take(300).collect();
                wrong.push(format!("{dialect}: {} should name {}: {shown}", answer.text(), row.field));
                continue;
            }
            expect_error(&answer, api.dialect(), 400, "invalid_request", &row.field);
            assert_eq!(answer.header("connection"), Some("keep-alive"));
            assert_eq!(provider.asked().len(), before, "nobody hears of it");
        }
        for row in rows {
            row.api.post(&client, dialect, named(&row.body, dialect)).send();
            // On the same connection.
            api.post(&client, dialect, good.clone()).send().expect(200);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * rows.len(), wrong.join("\n"));
}

#[test]
fn of_chat_completions() {
    refused_by_name(Api::Chat, &rows::chat());
}

#[test]
fn of_the_responses_api() {
    refused_by_name(Api::Responses, &rows::responses());
}

#[test]
fn of_messages() {
    refused_by_name(Api::Messages, &rows::messages());
}

#[test]
fn of_gemini() {
    refused_by_name(Api::Gemini, &rows::gemini());
}

#[test]
fn a_provider_of_the_clients_own_dialect_judges_for_itself() {
    let (gateway, providers) = house();
    let client = gateway.client();
    for (api, pointer, value) in [
        (Api::Chat, "/temperature", json!(7)),
        (Api::Chat, "/messages/0/role", json!("narrator")),
        (Api::Messages, "/temperature", json!(7)),
        (Api::Gemini, "/contents/0/role", json!("narrator")),
    ] {
        let mut rows = Rows { api, rows: Vec::new() };
        rows.with(pointer, value, "");
        let index = Dialect::ALL.iter().position(|it| *it == api.dialect()).expect("one of three");
        let before = providers[index].asked().len();
        api.post(&client, api.dialect(), named(&rows.rows[0].body, api.dialect())).send();
        assert_eq!(providers[index].asked().len(), before + 1, "{api:?} {pointer}");
    }
}
