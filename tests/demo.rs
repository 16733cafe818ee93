//! `cliproxy demo` does what it prints: any SDK pointed there works, with any key.

use crate::support::{BodyEnd, Client, Gateway, Launch, Request, Response};
use cliproxy::simulator::ANSWER;
use serde_json::{Value, json};
use std::time::Duration;

/// What a dialect's answers look like, as far as the text goes.
struct Way {
    /// Where the demo's own curl goes.
    path: &'static str,
    /// Where an answer in one piece is had.
    plain_path: &'static str,
    /// How its SDK sends a key.
    key: (&'static str, &'static str),
    model: &'static str,
    /// Where the text is in an event and in a plain answer.
    delta: &'static str,
    text: &'static str,
}

const OPENAI: Way = Way {
    path: "/v1/chat/completions",
    plain_path: "/v1/chat/completions",
    key: ("authorization", "Bearer any-key"),
    model: "gpt-demo",
    delta: "/choices/0/delta/content",
    text: "/choices/0/message/content",
};

const ANTHROPIC: Way = Way {
    path: "/v1/messages",
    plain_path: "/v1/messages",
    key: ("x-api-key", "any-key"),
    model: "claude-demo",
    delta: "/delta/text",
    text: "/content/0/text",
};

const GEMINI: Way = Way {
    path: "/v1beta/models/gemini-demo:streamGenerateContent?alt=sse",
    plain_path: "/v1beta/models/gemini-demo:generateContent",
    key: ("x-goog-api-key", "any-key"),
    model: "gemini-demo",
    delta: "/candidates/0/content/parts/0/text",
    text: "/candidates/0/content/parts/0/text",
};

const WAYS: [Way; 3] = [OPENAI, ANTHROPIC, GEMINI];

impl Way {
    fn answers(&self, demo: &Gateway) {
        assert_eq!(self.streamed(demo), ANSWER, "{}", self.path);
        for with_key in [false, true] {
            let answer = self.plain(demo, with_key).json();
            let text = answer.pointer(self.text).and_then(Value::as_str);
            assert_eq!(text, Some(ANSWER), "{answer}");
        }
    }

    fn body(&self, stream: bool) -> Value {
        match self.model {
            "gemini-demo" => json!({"contents": [{"parts": [{"text": "Hello"}]}]}),
            model => {
                let messages = json!([{"role": "user", "content": "Hello"}]);
                json!({"model": model, "max_tokens": 100, "stream": stream, "messages": messages})
            }
        }
    }

    fn request<'a>(&self, client: &'a Client, path: &str, stream: bool) -> Request<'a> {
        // Anthropic wants its version named; to others it is one unknown header more.
        client.post(path).header("anthropic-version", "2023-06-01").json(&self.body(stream))
    }

    fn streamed(&self, demo: &Gateway) -> String {
        let client = demo.client();
        let mut incoming = self.request(&client, self.path, true).open();
        assert_eq!(incoming.status, 200, "{}", self.path);
        let mut text = String::new();
        for event in incoming.events().iter().filter(|event| event.data != "[DONE]") {
            text += event.json().pointer(self.delta).and_then(Value::as_str).unwrap_or_default();
        }
        assert_eq!(incoming.end(), Some(BodyEnd::Clean), "{}", self.path);
        text
    }

    fn plain(&self, demo: &Gateway, with_key: bool) -> Response {
        let client = demo.client();
        let request = self.request(&client, self.plain_path, false);
        let request = if with_key { request.header(self.key.0, self.key.1) } else { request };
        request.send().expect(200)
    }
}

#[test]
fn the_demo_answers_every_dialect_and_ends_when_told() {
    let mut demo = Launch::demo().start();
    std::thread::scope(|scope| {
        for way in WAYS {
            let demo = &demo;
            scope.spawn(move || way.answers(demo));
        }
    });
    let status = demo.client().get("/v0/operations/providers/status").send().expect(200).json();
    for provider in ["openai", "claude", "gemini"] {
        assert_eq!(status["providers"][provider]["requests_last_minute"], 3, "{status}");
    }
    let metrics = demo.operations().get("/metrics").send().expect(200).text();
    let counted = r#"cliproxy_requests_total{provider="claude",model="claude-demo",status="success"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");

    demo.signal("TERM");
    assert_eq!(demo.wait_exit(Duration::from_secs(5)), 0);
    let said = demo.output();
    for way in WAYS {
        assert!(said.contains(&format!("{}{}", demo.url(), way.path)), "{} is printed:\n{said}", way.path);
    }
}

#[test]
fn a_demo_on_a_taken_port_says_which() {
    let first = Launch::demo().start();
    let mut second = Launch::demo().port(first.port()).spawn();
    assert_eq!(second.wait_exit(Duration::from_secs(10)), 1);
    let said = second.output();
    assert!(said.contains(&format!("127.0.0.1:{}", first.port())), "{said}");
}
