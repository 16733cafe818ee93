//! A gateway before one provider of each dialect, and the same question in each dialect.

use super::client::{Client, Request};
use super::gateway::{Gateway, Launch};
use super::incoming::Response;
use super::provider::Provider;
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

/// The one model of each dialect's provider.
pub const fn model_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "gpt-4o",
        Dialect::Anthropic => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-2.5-flash",
    }
}

/// The name of each dialect's provider in the configuration.
pub const fn provider_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "first",
        Dialect::Anthropic => "second",
        Dialect::Gemini => "third",
    }
}

/// The path of the inference endpoint of each dialect, for a model.
pub fn path_of(dialect: Dialect, model: &str) -> String {
    match dialect {
        Dialect::OpenAi => "/v1/chat/completions".to_owned(),
        Dialect::Anthropic => "/v1/messages".to_owned(),
        Dialect::Gemini => format!("/v1beta/models/{model}:generateContent"),
    }
}

/// A good question in each dialect.
pub fn question(dialect: Dialect, model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    match dialect {
        Dialect::OpenAi => json!({"model": model, "messages": messages}),
        Dialect::Anthropic => json!({"model": model, "max_tokens": 100, "messages": messages}),
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
    }
}

/// Asks that question of whoever the client calls.
pub fn ask<'c>(client: &'c Client, dialect: Dialect, model: &str) -> Request<'c> {
    let request = client.post(&path_of(dialect, model)).json(&question(dialect, model));
    if dialect == Dialect::Anthropic { request.header("anthropic-version", "2023-06-01") } else { request }
}

/// A gateway before three providers, one of each dialect, with one model each.
pub struct House {
    pub gateway: Gateway,
    pub providers: [Provider; 3],
}

impl House {
    /// The next request is served, and is the first that a provider hears of.
    #[track_caller]
    pub fn goes_on(&self, client: &Client) {
        let before = self.asked();
        for dialect in Dialect::ALL {
            ask(client, dialect, model_of(dialect)).send().expect(200);
        }
        assert_eq!((before, self.asked()), (0, 3), "questions before and after");
    }

    /// With nothing configured but the providers.
    #[track_caller]
    pub fn open() -> House {
        House::with("", "")
    }

    /// With more lines under `server:` (indented by two), and more sections.
    #[track_caller]
    pub fn with(server: &str, sections: &str) -> House {
        let providers = [Provider::openai(), Provider::anthropic(), Provider::gemini()];
        let entries: String = Dialect::ALL
            .into_iter()
            .zip(&providers)
            .map(|(dialect, provider)| {
                let models = format!("models: [{}]", model_of(dialect));
                provider.yaml_with(provider_of(dialect), &[&models])
            })
            .collect();
        let host = if server.contains("host:") { "" } else { "  host: 127.0.0.1\n" };
        let yaml = format!("server:\n{host}  port: {{port}}\n{server}\nproviders:\n{entries}{sections}");
        House { gateway: Launch::new(&yaml).start(), providers }
    }

    /// The provider that speaks that dialect.
    pub fn provider(&self, dialect: Dialect) -> &Provider {
        let index = Dialect::ALL.iter().position(|other| *other == dialect).expect("one of three");
        &self.providers[index]
    }

    /// Questions that reached any provider. Probes are none.
    pub fn asked(&self) -> usize {
        let posts = |provider: &Provider| {
            provider.transcript().iter().filter(|received| received.method == "POST").count()
        };
        self.providers.iter().map(posts).sum()
    }
}

/// Fails unless the answer is an error in the dialect's shape, with that status and code, whose message
/// has these words.
#[track_caller]
pub fn expect_error(answer: &Response, dialect: Dialect, status: u16, code: &str, words: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("x-cliproxy-error"), Some(code), "{text}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{text}");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{:?}", answer.headers);
    let body = answer.json();
    let error = &body["error"];
    match dialect {
        Dialect::OpenAi => {
            assert_eq!(error["code"], code, "{body}");
            assert!(error["type"].is_string() && error.get("param").is_some(), "{body}");
        }
        Dialect::Anthropic => {
            assert_eq!(body["type"], "error", "{body}");
            assert!(error["type"].is_string() && error.get("code").is_none(), "{body}");
        }
        Dialect::Gemini => {
            assert_eq!(error["code"], status, "{body}");
            let name = error["status"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        }
    }
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{message:?} should contain {words:?}");
}
