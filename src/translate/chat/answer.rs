//! A whole answer: a provider's into the hub, and the hub's for a client.

use super::finish::{self, Said};
use super::message::{self, Message, ToolCall};
use super::render::{WireCall, joined, refusal, texts};
use super::usage::Usage;
use super::wire::Maybe;
use crate::domain::Dialect;
use crate::translate::arguments;
use crate::translate::canonical::{Answer, Call, Finish, Part, Thought};
use crate::translate::pieces;
use crate::translate::reader;
use crate::translate::room;
use crate::translate::sides::{Asked, answer_id};
use crate::translate::spoilt::Spoilt;
use crate::translate::usage::reported;
use crate::translate::verbatim::Verbatim;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What every id of an answer begins with.
pub(super) const ID_PREFIX: &str = "chatcmpl-";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Maybe<'a>,
    #[serde(borrow, default)]
    model: Maybe<'a>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow, default)]
    finish_reason: Maybe<'a>,
}

/// Reads a provider's whole answer. A call that the limit cut short is left out, as nobody can make it.
///
/// # Errors
/// If it isn't one, if it broke, or if its calls' arguments are no JSON.
///
/// Source: OpenAI's API reference, "The chat completion object".
pub fn read_answer(body: &[u8]) -> Result<Answer<'_>, Spoilt> {
    let body: Body<'_> = reader::read_bytes(body).map_err(|_| Spoilt::FOREIGN)?;
    let Choice { mut message, finish_reason } = body.choices.into_iter().next().ok_or(Spoilt::FOREIGN)?;
    let id = body.id.or_empty();
    let mut parts = Vec::new();
    parts.extend(message.take_thought().map(|text| Part::Thought(Thought { text, ..Thought::default() })));
    parts.extend(message.take_text().map(Part::text));
    let refusal = message.refusal.0;
    let calls = message.tool_calls.unwrap_or_default();
    let said = Said { calls: !calls.is_empty(), refuses: refusal.is_some() };
    let finish = finish::read(finish_reason.0.as_deref().unwrap_or("stop"), said)?;
    parts.extend(refusal.map(Part::Refusal));
    for (nth, call) in calls.into_iter().enumerate() {
        let is_bare = call.function.as_ref().is_none_or(|function| function.arguments().is_empty());
        match read_call(call, &id, nth) {
            Some(_) if is_bare && finish == Finish::Length => {}
            Some(call) => parts.push(Part::Call(call)),
            None if finish == Finish::Length => {}
            None => return Err(Spoilt::BAD_CALL),
        }
    }
    let usage = body.usage.and_then(|usage| reported(Dialect::OpenAi, usage.get().as_bytes()));
    Ok(Answer { id, model: body.model.or_empty(), parts, finish, usage: usage.unwrap_or_default() })
}

fn read_call<'a>(call: ToolCall<'a>, answer_id: &str, nth: usize) -> Option<Call<'a>> {
    let function = call.function?;
    let arguments = arguments::read(function.arguments()).ok()?;
    let id = call.id.0.unwrap_or_else(|| Cow::Owned(message::made_up_id(answer_id, nth)));
    Some(Call { id, name: function.name.0?, arguments, signature: None, ends_cache: false })
}

#[derive(Serialize)]
struct Completion<'r> {
    id: Cow<'r, str>,
    object: &'static str,
    created: u64,
    model: &'r str,
    choices: [Finished<'r>; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Finished<'r> {
    index: u64,
    message: Assistant<'r>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Assistant<'r> {
    role: &'static str,
    content: Option<Verbatim<'r>>,
    refusal: Option<Verbatim<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Verbatim<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'r>>,
}

/// Writes an answer for a client. Signatures have no place in it, and are left out.
///
/// Source: OpenAI's API reference, "The chat completion object"; `reasoning_content` is DeepSeek's, and understood by
/// the clients of all imitators.
pub fn write_answer(answer: &Answer<'_>, asked: &Asked<'_>) -> Vec<u8> {
    let parts = &answer.parts;
    let refusal = joined(parts.iter().filter_map(refusal).map(Verbatim::from), "");
    let finish_reason = finish::name(&answer.finish, refusal.is_some());
    let calls = parts.iter().filter_map(|part| match part {
        Part::Call(call) => Some(WireCall::new(call, Cow::Borrowed(&call.name))),
        Part::Text(_) | Part::Media(_) | Part::Result(_) | Part::Thought(_) | Part::Refusal(_) => None,
    });
    let message = Assistant {
        role: "assistant",
        content: joined(texts(parts), ""),
        refusal,
        reasoning_content: joined(parts.iter().filter_map(shown).map(Verbatim::from), ""),
        tool_calls: calls.collect(),
    };
    let completion = Completion {
        id: answer_id(ID_PREFIX, &answer.id, asked.request_id),
        object: "chat.completion",
        created: asked.created,
        model: &answer.model,
        choices: [Finished { index: 0, message, logprobs: None, finish_reason }],
        usage: answer.usage.into(),
    };
    // Texts and numbers can always be written.
    pieces::written(&completion, room::of_answer(answer)).unwrap_or_default()
}

/// The words of a thought, whoever signed it.
fn shown<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    match part {
        Part::Thought(thought) if !thought.text.is_empty() => Some(&thought.text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TokenUsage;
    use crate::translate::canonical::Signature;
    use crate::translate::frames::Framing;
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    const ASKED: Asked<'_> = Asked {
        request_id: "r1",
        created: 7,
        body: b"{}",
        longest: &(0..0),
        framing: Framing::Events,
        include_usage: false,
    };

    fn body(message: &Value, finish_reason: &str) -> Vec<u8> {
        let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason});
        json!({"id": "chatcmpl-9", "model": "m", "choices": [choice]}).to_string().into_bytes()
    }

    fn call(id: &str, arguments: &Value) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
    }

    fn wire(answer: &Answer<'_>) -> Value {
        serde_json::from_slice(&write_answer(answer, &ASKED)).expect("JSON")
    }

    #[test]
    fn a_whole_answer_is_read_and_written_as_it_was() {
        let original = json!({
            "id": "chatcmpl-9", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                "role": "assistant", "content": "so", "refusal": null, "reasoning_content": "hm",
                "tool_calls": [call("a", &json!("{\"x\": 1 }")), call("b", &json!("{}"))],
            }}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3}},
        });
        let body = original.to_string();
        let answer = read_answer(body.as_bytes()).expect("an answer");
        let usage = TokenUsage { input: 6, cache_read: 4, cache_write: 0, output: 5, reasoning: 3 };
        assert_eq!(answer.usage, usage);
        assert_eq!(wire(&answer), original);
    }

    #[test]
    fn what_imitators_say_otherwise_is_understood() {
        for (message, reason, parts, finish) in [
            (json!({"content": "x", "reasoning": "hm"}), "eos", 2, Finish::Stop),
            (
                json!({"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": []}]}),
                "stop",
                1,
                Finish::Stop,
            ),
            (
                json!({"content": "", "tool_calls": [call("a", &json!({"x": 1}))]}),
                "stop",
                1,
                Finish::ToolCalls,
            ),
            (
                json!({"content": null, "tool_calls": [call("a", &json!(""))]}),
                "tool_use",
                1,
                Finish::ToolCalls,
            ),
            (json!({"content": null, "refusal": "no"}), "stop", 1, Finish::ContentFilter),
            (json!({"content": "x", "tool_calls": []}), "whatever", 1, Finish::Stop),
            (json!({"content": null}), "length", 0, Finish::Length),
        ] {
            let body = body(&message, reason);
            let answer = read_answer(&body).expect("an answer");
            assert_eq!((answer.parts.len(), answer.finish), (parts, finish), "{message}");
        }
    }

    #[test]
    fn arguments_are_an_object_whatever_a_provider_makes_of_them() {
        for (sent, expected) in
            [(json!("{\"x\": 1}"), "{\"x\": 1}"), (json!({"x": 1}), "{\"x\":1}"), (json!(""), "{}")]
        {
            let body = body(&json!({"tool_calls": [call("a", &sent)]}), "tool_calls");
            let answer = read_answer(&body).expect("an answer");
            assert!(matches!(&answer.parts[..], [Part::Call(call)] if call.arguments == expected), "{sent}");
        }
    }

    #[test]
    fn a_call_without_an_id_gets_one_that_is_always_the_same() {
        let body = body(&json!({"tool_calls": [call("", &json!("{}")), call("", &json!("{}"))]}), "stop");
        let ids = |answer: Answer<'_>| -> Vec<String> {
            let id = |part: &Part<'_>| {
                if let Part::Call(call) = part { call.id.to_string() } else { String::new() }
            };
            answer.parts.iter().map(id).collect()
        };
        assert_eq!(
            read_answer(&body).map(ids),
            Ok(vec!["call_chatcmpl9_0".to_owned(), "call_chatcmpl9_1".to_owned()])
        );
    }

    #[test]
    fn a_call_that_the_limit_cut_short_is_left_out_and_any_other_broken_one_is_no_answer() {
        let bare = json!({"content": "x", "tool_calls": [call("a", &json!(""))]});
        assert_eq!(read_answer(&body(&bare, "length")).map(|answer| answer.parts.len()), Ok(1));
        assert_eq!(read_answer(&body(&bare, "tool_calls")).map(|answer| answer.parts.len()), Ok(2));
        let message = json!({"content": "x", "tool_calls": [call("a", &json!("{\"x\":"))]});
        assert_eq!(read_answer(&body(&message, "length")).map(|answer| answer.parts.len()), Ok(1));
        assert_eq!(read_answer(&body(&message, "tool_calls")), Err(Spoilt::BAD_CALL));
    }

    #[test]
    fn what_is_no_answer_is_the_providers_fault() {
        for body in [
            "",
            "[]",
            "{}",
            "{\"choices\":[]}",
            "{\"choices\":[{}]}",
            "{\"error\":{\"message\":\"x\"}}",
            "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"error\"}]}",
        ] {
            assert!(matches!(read_answer(body.as_bytes()), Err(Spoilt::ByProvider(_))), "{body}");
        }
    }

    #[test]
    fn an_answer_of_another_dialect_has_this_ones_id_and_no_signature() {
        let signature = Some(Signature { maker: Api::Messages, text: "secret-signature".into() });
        let thought = Thought { text: "hm".into(), signature: signature.clone(), is_redacted: false };
        let redacted = Thought { text: "".into(), signature, is_redacted: true };
        let parts = vec![Part::Thought(thought), Part::Thought(redacted), Part::text("a"), Part::text("b")];
        let mut answer = Answer {
            id: "msg_1".into(),
            model: "claude".into(),
            parts,
            finish: Finish::StopSequence(Some("x".into())),
            usage: TokenUsage { input: 1, cache_read: 2, cache_write: 4, output: 8, reasoning: 0 },
        };
        let body = wire(&answer);
        assert_eq!(body["id"], "chatcmpl-msg_1");
        assert_eq!(body["choices"][0]["message"]["content"], "ab");
        assert_eq!(body["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["usage"]["prompt_tokens"], 7, "written tokens are input here");
        assert_eq!(
            body["usage"]["prompt_tokens_details"],
            json!({"cached_tokens": 2, "cache_write_tokens": 4})
        );
        assert!(!body.to_string().contains("secret-signature"));
        answer.id = "".into();
        assert_eq!(wire(&answer)["id"], "chatcmpl-r1");
    }
}
