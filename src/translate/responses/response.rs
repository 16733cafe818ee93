//! The Response object: what every answer, and the first and last events of every stream, are made of.

use super::echo::Echo;
use super::fault::Fault;
use super::items::{Form, SUMMARY, THOUGHT, extend, number};
use crate::domain::TokenUsage;
use crate::translate::canonical::Finish;
use crate::translate::pieces::push;
use crate::translate::sides::Asked;
use serde_json::json;
use std::borrow::Cow;

/// What providers' ids of answers begin with, which isn't repeated behind our own beginnings.
const PREFIXES: [&str; 3] = ["resp_", "chatcmpl-", "msg_"];

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Under way.
    InProgress,
    /// All was said.
    Completed,
    /// Not all, for this reason.
    Incomplete(&'static str),
    /// Not all, for the provider broke off.
    Failed,
}

/// It came to the bound of what may be said.
pub(super) const TOO_LONG: State = State::Incomplete("max_output_tokens");

impl State {
    /// How an answer ends that stopped for this reason.
    pub(super) fn of(finish: &Finish<'_>) -> State {
        match finish {
            Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => State::Completed,
            Finish::Length => TOO_LONG,
            Finish::ContentFilter => State::Incomplete("content_filter"),
        }
    }

    /// The event that says so.
    pub(super) const fn event(self) -> &'static str {
        match self {
            State::InProgress => "response.in_progress",
            State::Completed => "response.completed",
            State::Incomplete(_) => "response.incomplete",
            State::Failed => "response.failed",
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            State::InProgress => "in_progress",
            State::Completed => "completed",
            State::Incomplete(_) => "incomplete",
            State::Failed => "failed",
        }
    }
}

/// What of a Response object stays the same while the answer grows.
#[derive(Debug)]
pub(super) struct Head {
    /// What all ids have in common, as it stands in a JSON string.
    pub(super) key: Vec<u8>,
    /// Whether thoughts come with what their maker wants back.
    pub(super) gives_signatures: bool,
    /// What thoughts are told as.
    pub(super) thoughts: &'static Form,
    /// Why there is no more of it, as JSON.
    error: Cow<'static, [u8]>,
    model: Vec<u8>,
    created: u64,
    echo: Vec<u8>,
}

impl Head {
    /// Of an answer that has no name yet but the request's.
    pub(super) fn new(asked: &Asked<'_>) -> Head {
        let Echo { members, model, gives_signatures, sums_up } = Echo::of(asked.body, asked.longest);
        let thoughts = if sums_up { &SUMMARY } else { &THOUGHT };
        let model = if model.is_empty() { b"\"\"".to_vec() } else { model };
        Head {
            key: key(asked.request_id),
            gives_signatures,
            thoughts,
            error: Cow::Borrowed(b"null"),
            model,
            created: asked.created,
            echo: members,
        }
    }

    /// Takes the provider's names of answer and model, as far as it has any.
    pub(super) fn name(&mut self, id: &str, model: &str) {
        if !id.is_empty() {
            self.key = key(id);
        }
        if !model.is_empty() {
            self.model.clear();
            push(&mut self.model, model);
        }
    }

    /// Takes why there is no more.
    pub(super) fn fail(&mut self, fault: &Fault<'_>) {
        let error = json!({"code": fault.response_code(), "message": fault.message});
        self.error = error.to_string().into_bytes().into();
    }

    /// The whole object.
    pub(super) fn write(&self, out: &mut Vec<u8>, state: State, output: &[u8], usage: Option<&TokenUsage>) {
        extend(out, &[br#"{"id":"resp_"#, &self.key, br#"","object":"response","created_at":"#]);
        number(out, self.created);
        extend(out, &[br#","status":""#, state.word().as_bytes(), br#"","error":"#, &self.error]);
        out.extend_from_slice(br#","incomplete_details":"#);
        match state {
            State::Incomplete(reason) => extend(out, &[br#"{"reason":""#, reason.as_bytes(), br#""}"#]),
            State::InProgress | State::Completed | State::Failed => out.extend_from_slice(b"null"),
        }
        extend(out, &[br#","model":"#, &self.model, br#","output":["#, output, b"],", &self.echo]);
        out.extend_from_slice(
            br#""background":false,"previous_response_id":null,"store":false,"truncation":"disabled","usage":"#,
        );
        match usage {
            Some(usage) => write_usage(out, usage),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
}

/// What ids of an answer have in common, by the provider's id of it.
fn key(id: &str) -> Vec<u8> {
    let id = PREFIXES.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id);
    let mut quoted = Vec::with_capacity(id.len() + 2);
    push(&mut quoted, id);
    quoted.pop();
    quoted.remove(0);
    quoted
}

/// Usage as OpenAI counts it: what was read from and written to the cache is input.
fn write_usage(out: &mut Vec<u8>, usage: &TokenUsage) {
    for (before, tokens) in [
        (&br#"{"input_tokens":"#[..], usage.input_total()),
        (br#","input_tokens_details":{"cached_tokens":"#, usage.cache_read),
        (br#","cache_write_tokens":"#, usage.cache_write),
        (br#"},"output_tokens":"#, usage.output),
        (br#","output_tokens_details":{"reasoning_tokens":"#, usage.reasoning),
        (br#"},"total_tokens":"#, usage.total()),
    ] {
        out.extend_from_slice(before);
        number(out, tokens);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::frames::Framing;
    use serde_json::Value;

    #[test]
    fn ids_come_of_the_providers_and_else_of_the_requests() {
        for (provider, id) in [
            ("resp_1", "resp_1"),
            ("chatcmpl-1", "resp_1"),
            ("msg_1", "resp_1"),
            ("a\"\n\u{e9}", "resp_a\"\n\u{e9}"),
            ("", "resp_req"),
        ] {
            let asked = Asked {
                request_id: "req",
                created: 7,
                body: b"{}",
                longest: &(0..0),
                framing: Framing::Events,
                include_usage: false,
            };
            let (mut head, mut out) = (Head::new(&asked), Vec::new());
            head.name(provider, "");
            head.write(&mut out, State::Completed, b"", None);
            let response: Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!((&response["id"], &response["model"]), (&Value::from(id), &Value::from("")));
        }
    }
}
