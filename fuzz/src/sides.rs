//! Who may be on either side of a translation, and what each of them says.

use crate::domain::Dialect;
use crate::translate::canonical::{Answer, Request};
use crate::translate::frames::Framing;
use crate::translate::peek::BadBody;
use crate::translate::sides::{Target, Written};
use crate::translate::signs::Api;
use crate::translate::translation::{Client, Question, Translation, provider_api};
use crate::translate::{chat, generate, messages};
use bytes::Bytes;
use std::sync::LazyLock;

/// Who may ask.
pub const CLIENTS: [Api; 4] = [Api::Completions, Api::Responses, Api::Messages, Api::Generate];

/// Who may be asked.
pub const PROVIDERS: [Dialect; 3] = Dialect::ALL;

/// Models on which it depends what is written.
pub const MODELS: [&str; 8] = [
    "m",
    "gpt-4o",
    "o3-mini",
    "claude-sonnet-4-5",
    "claude-opus-4-7",
    "gemini-2.0-flash",
    "gemini-2.5-pro",
    "gemini-3-pro-preview",
];

/// Every client before every provider that it is translated for; and Anthropic's own, to see that what is read is written
/// again.
pub const PAIRS: [(Api, Dialect); 10] = [
    (Api::Completions, Dialect::Anthropic),
    (Api::Completions, Dialect::Gemini),
    (Api::Responses, Dialect::OpenAi),
    (Api::Responses, Dialect::Anthropic),
    (Api::Responses, Dialect::Gemini),
    (Api::Messages, Dialect::OpenAi),
    (Api::Messages, Dialect::Gemini),
    (Api::Generate, Dialect::OpenAi),
    (Api::Generate, Dialect::Anthropic),
    (Api::Messages, Dialect::Anthropic),
];

/// The name of the tool that those clients have who wait for an answer; some providers have to be given another.
pub const TOOL: &str = "get.weather";

/// Writes a request for a provider of that dialect.
///
/// # Errors
/// As the dialect's own.
pub fn write(dialect: Dialect, request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    match dialect {
        Dialect::OpenAi => chat::write(request, target),
        Dialect::Anthropic => messages::write(request, target),
        Dialect::Gemini => generate::write(request, target),
    }
}

/// Reads a whole answer in that API; nobody reads one of the Responses API.
pub fn read_answer(api: Api, body: &[u8]) -> Option<Answer<'_>> {
    match api {
        Api::Completions => chat::read_answer(body).ok(),
        Api::Messages => messages::read_answer(body).ok(),
        Api::Generate => generate::read_answer(body).ok(),
        Api::Responses | Api::Other => None,
    }
}

/// The request of a client that waits for an answer, with one tool and all that makes answers longer.
fn asked(api: Api) -> &'static str {
    match api {
        Api::Responses => {
            r#"{"model":"m","input":"Hi","include":["reasoning.encrypted_content"],"tools":[{"type":"function","name":"get.weather","parameters":{}}]}"#
        }
        Api::Messages => {
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"get.weather","input_schema":{}}]}"#
        }
        Api::Generate => {
            r#"{"contents":[{"parts":[{"text":"Hi"}]}],"tools":[{"functionDeclarations":[{"name":"get.weather"}]}]}"#
        }
        Api::Completions | Api::Other => {
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"get.weather"}}]}"#
        }
    }
}

/// What those clients ask, read once for all inputs.
static QUESTIONS: LazyLock<[Question; 4]> = LazyLock::new(|| {
    CLIENTS.map(|api| match Question::read(api, body_of(api), true) {
        Ok(question) => question,
        Err(why) => unreachable!("a good request: {why:?}"),
    })
});

fn body_of(api: Api) -> Bytes {
    Bytes::from_static(asked(api).as_bytes())
}

/// The way back of an answer to that client.
pub fn way_back(api: Api, dialect: Dialect, framing: Framing) -> Translation {
    let request_id = "req-1".to_owned();
    let client = Client {
        api,
        request_id,
        created: 1_700_000_000,
        body: body_of(api),
        longest: 0..0,
        framing,
        include_usage: true,
    };
    let target = Target { model: "m", max_output_tokens: None };
    let question = CLIENTS.iter().position(|it| *it == api).map(|at| &QUESTIONS[at]);
    match question.map(|question| Translation::of_request(question, client, dialect, &target)) {
        Some(Ok((_, translation))) => translation,
        other => unreachable!("a good request: {:?}", other.map(Result::err)),
    }
}

/// The API that a provider of that dialect is asked through.
pub fn api(dialect: Dialect) -> Api {
    provider_api(dialect)
}
