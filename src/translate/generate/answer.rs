//! A whole answer: a provider's read, a client's written.

use super::calls::Ids;
use super::finish::{self, Usage};
use super::said;
use super::wire::{self, Response, Str};
use super::{parts, signature};
use crate::domain::{Dialect, TokenUsage};
use crate::translate::canonical::{Answer, Call, Finish, Part};
use crate::translate::sides::Asked;
use crate::translate::usage;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a `GenerateContentResponse`; `None` for what isn't one, or has neither an answer nor a reason why there is
/// none. Source: Gemini API reference, `GenerateContentResponse`.
pub fn read_answer(body: &[u8]) -> Option<Answer<'_>> {
    let response: Response<'_> = serde_json::from_slice(body).ok()?;
    let blocked = response.prompt_feedback.and_then(|feedback| feedback.block_reason);
    let candidates = response.candidates.unwrap_or_default();
    if candidates.is_empty() && blocked.is_none() {
        return None;
    }
    let id = response.response_id.map_or(Cow::Borrowed(""), |Str(id)| id);
    let mut ids = Ids::of(&id, body);
    let first = candidates.into_iter().min_by_key(|candidate| candidate.index.unwrap_or(0));
    let (content, reason) = first.map_or((None, None), |first| (first.content, first.finish_reason));
    let mut said = Vec::new();
    for part in content.unwrap_or_default().parts.0 {
        read_part(part, &mut ids, &mut said);
    }
    let has_called = said.iter().any(|part| matches!(part, Part::Call(_)));
    let finish = match (reason, blocked) {
        (Some(Str(reason)), _) => finish::read(&reason, has_called),
        (None, Some(_)) => Finish::ContentFilter,
        (None, None) => finish::read("", has_called),
    };
    Some(Answer {
        id,
        model: response.model_version.map_or(Cow::Borrowed(""), |Str(model)| model),
        parts: said,
        finish,
        usage: tokens(response.usage_metadata).unwrap_or_default(),
    })
}

/// The usage that a provider reported, if it can be believed.
pub(super) fn tokens(metadata: Option<&RawValue>) -> Option<TokenUsage> {
    usage::reported(Dialect::Gemini, metadata?.get().as_bytes())
}

/// A call that a provider made. One without a name calls nothing, and one with broken arguments can't be carried out.
pub(super) fn read_call<'a>(
    call: wire::FunctionCall<'a>,
    signature: Option<Str<'a>>,
    ids: &mut Ids,
) -> Option<Call<'a>> {
    let arguments = call.args.map_or("{}", RawValue::get);
    let id = call.id.map(|Str(id)| id).filter(|id| !id.is_empty());
    Some(Call {
        id: id.unwrap_or_else(|| ids.next().into()),
        name: Some(call.name.0).filter(|name| !name.is_empty())?,
        arguments: arguments.starts_with('{').then_some(arguments)?.into(),
        signature: signature.map(|Str(text)| signature::unwrapped(text)),
        ends_cache: false,
    })
}

fn read_part<'a>(part: wire::Part<'a>, ids: &mut Ids, said: &mut Vec<Part<'a>>) {
    if let Some(call) = part.function_call {
        said.extend(read_call(call, part.thought_signature, ids).map(Part::Call));
        return;
    }
    let text = |text: Option<Str<'a>>| text.map(|Str(text)| text);
    let is_thought = part.thought == Some(true);
    parts::push_words(said, text(part.text), is_thought, text(part.thought_signature));
    said.extend(part.inline_data.and_then(parts::inline).map(Part::Media));
}

/// `GenerateContentResponse`, as a client gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'w> {
    candidates: [Candidate<'w>; 1],
    usage_metadata: Usage,
    model_version: &'w str,
    response_id: &'w str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'w> {
    content: said::Content<'w>,
    finish_reason: &'static str,
    index: u64,
}

/// Writes a `GenerateContentResponse`. A call whose arguments are no JSON object is left out, and the answer says so in
/// the way that Gemini has for it.
pub fn write_answer(answer: &Answer<'_>, asked: &Asked<'_>) -> Vec<u8> {
    let mut said = Vec::with_capacity(answer.parts.len());
    let mut finish_reason = finish::name(&answer.finish);
    for part in &answer.parts {
        match part {
            Part::Call(call) if said::arguments(&call.arguments).is_none() => {
                finish_reason = malformed(finish_reason)
            }
            _ => said.extend(write_part(part)),
        }
    }
    let content = said::Content { role: Some("model"), parts: said };
    let written = Written {
        candidates: [Candidate { content, finish_reason, index: 0 }],
        usage_metadata: answer.usage.into(),
        model_version: &answer.model,
        response_id: if answer.id.is_empty() { asked.request_id } else { &answer.id },
    };
    // Texts, numbers and checked JSON can always be written.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// The reason of an answer with a call that can't be given on. One that was cut off says that already.
pub(super) fn malformed(reason: &'static str) -> &'static str {
    if reason == "STOP" { finish::MALFORMED } else { reason }
}

fn write_part<'w>(part: &'w Part<'_>) -> Option<said::Part<'w>> {
    match part {
        Part::Text(text) => Some(said::Part::text(&text.text)),
        Part::Refusal(text) => Some(said::Part::text(text)),
        Part::Media(media) => Some(said::medium(media)),
        Part::Thought(thought) => Some(said::Part {
            thought: !thought.is_redacted,
            thought_signature: thought.signature.as_ref().and_then(signature::wrapped),
            ..said::Part::text(&thought.text)
        }),
        Part::Call(call) => {
            let args = said::arguments(&call.arguments)?;
            let function_call = said::FunctionCall { id: &call.id, name: &call.name, args };
            let thought_signature = call.signature.as_ref().and_then(signature::wrapped);
            Some(said::Part {
                function_call: Some(function_call),
                thought_signature,
                ..said::Part::default()
            })
        }
        // No answer has one.
        Part::Result(_) => None,
    }
}
