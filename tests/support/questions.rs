//! The question that tests ask in each dialect, and the words that came back.

use super::client::{Client, Request};
use super::gateway::Gateway;
use super::incoming::{BodyEnd, Event, Response};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A question that every simulated provider answers with the same sixty words.
#[derive(Clone)]
pub struct Question {
    pub dialect: Dialect,
    model: String,
    text: String,
    streams: bool,
    /// Whether a stream is one JSON array, which Gemini has instead of events unless it is asked for them.
    is_array: bool,
}

impl Question {
    pub fn new(dialect: Dialect, model: &str) -> Question {
        Question {
            dialect,
            model: model.to_owned(),
            text: "Hello".to_owned(),
            streams: false,
            is_array: false,
        }
    }

    /// The question to be answered whole, and the same as a stream.
    pub fn both_ways(dialect: Dialect, model: &str) -> [Question; 2] {
        let plain = Question::new(dialect, model);
        [plain.clone(), plain.streamed()]
    }

    /// The same, to be answered as a stream of events.
    pub fn streamed(mut self) -> Question {
        self.streams = true;
        self
    }

    /// The same stream, as one JSON array.
    pub fn in_an_array(mut self) -> Question {
        self.is_array = true;
        self
    }

    /// The same, in these words.
    pub fn saying(mut self, text: &str) -> Question {
        text.clone_into(&mut self.text);
        self
    }

    /// The same, in as many more words as make the body exactly so many bytes. No two stretches of them are alike.
    pub fn of_size(mut self, bytes: usize) -> Question {
        let missing = bytes.checked_sub(self.body().to_string().len()).expect("room for the question");
        let length = self.text.len() + missing;
        for number in 0_u64.. {
            if self.text.len() >= length {
                break;
            }
            let _ = write!(self.text, " {number}");
        }
        self.text.truncate(length);
        self
    }

    pub fn path(&self) -> String {
        match (self.dialect, self.streams) {
            (Dialect::OpenAi, _) => "/v1/chat/completions".to_owned(),
            (Dialect::Anthropic, _) => "/v1/messages".to_owned(),
            (Dialect::Gemini, false) => format!("/v1beta/models/{}:generateContent", self.model),
            (Dialect::Gemini, true) => {
                let query = if self.is_array { "" } else { "?alt=sse" };
                format!("/v1beta/models/{}:streamGenerateContent{query}", self.model)
            }
        }
    }

    pub fn body(&self) -> Value {
        let mut body = match self.dialect {
            Dialect::Gemini => return json!({"contents": [{"role": "user", "parts": [{"text": self.text}]}]}),
            Dialect::OpenAi => json!({}),
            Dialect::Anthropic => json!({"max_tokens": 1000}),
        };
        body["model"] = self.model.as_str().into();
        body["messages"] = json!([{"role": "user", "content": self.text}]);
        if self.streams {
            body["stream"] = true.into();
        }
        body
    }

    /// The request, with its body, for a server.
    pub fn to<'a>(&self, client: &'a Client) -> Request<'a> {
        self.unasked(client).json(&self.body())
    }

    /// Asks it of a gateway on a connection of its own.
    #[track_caller]
    pub fn ask(&self, gateway: &Gateway) -> Response {
        self.to(&gateway.client()).send()
    }

    /// The request without a body.
    pub fn unasked<'a>(&self, client: &'a Client) -> Request<'a> {
        // Anthropic wants the version, the others ignore it.
        client.post(&self.path()).header("anthropic-version", "2023-06-01")
    }

    /// The words of an answer, as far as it came.
    pub fn words(&self, answer: &Response) -> String {
        if self.is_array {
            return elements(&answer.body).iter().map(|element| self.word(element)).collect();
        }
        if self.streams {
            return self.words_of(&Event::all(&answer.body));
        }
        self.word(&answer.json())
    }

    /// The words of a stream's events.
    pub fn words_of(&self, events: &[Event]) -> String {
        let parsed = events.iter().filter_map(|event| serde_json::from_str(&event.data).ok());
        parsed.map(|data: Value| self.word(&data)).collect()
    }

    fn word(&self, data: &Value) -> String {
        let at = match (self.dialect, self.streams) {
            (Dialect::OpenAi, false) => "/choices/0/message/content",
            (Dialect::OpenAi, true) => "/choices/0/delta/content",
            (Dialect::Anthropic, false) => "/content/0/text",
            (Dialect::Anthropic, true) => "/delta/text",
            (Dialect::Gemini, _) => "/candidates/0/content/parts/0/text",
        };
        data.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// The elements of a JSON array, as far as it came.
fn elements(mut bytes: &[u8]) -> Vec<Value> {
    let mut elements = Vec::new();
    loop {
        let is_between =
            |byte: &u8| byte.is_ascii_whitespace() || *byte == if elements.is_empty() { b'[' } else { b',' };
        bytes = &bytes[bytes.iter().take_while(|byte| is_between(byte)).count()..];
        let mut parsed = serde_json::Deserializer::from_slice(bytes).into_iter();
        let Some(Ok(element)) = parsed.next() else { return elements };
        bytes = &bytes[parsed.byte_offset()..];
        elements.push(element);
    }
}

/// The message of an error, if it is in the shape of the dialect; else the test fails and shows it.
#[track_caller]
pub fn error_message(dialect: Dialect, error: &Value) -> String {
    assert!(is_error(dialect, error), "not an error of {dialect}: {error}");
    error["error"]["message"].as_str().expect("a message").to_owned()
}

/// Whether that is an error in the shape of the dialect.
pub fn is_error(dialect: Dialect, error: &Value) -> bool {
    let is_in_shape = match dialect {
        Dialect::OpenAi => error["error"]["type"].is_string() && error["error"].get("param").is_some(),
        Dialect::Anthropic => error["type"] == "error" && error["error"]["type"].is_string(),
        Dialect::Gemini => error["error"]["code"].is_u64() && error["error"]["status"].is_string(),
    };
    is_in_shape && error["error"]["message"].is_string()
}

/// Fails unless the answer is all of the sixty words, cleanly ended.
#[track_caller]
pub fn assert_whole(question: &Question, answer: &Response) {
    assert_eq!((answer.status, answer.end), (200, BodyEnd::Clean), "{}", answer.text());
    assert_eq!(question.words(answer), ANSWER);
}
