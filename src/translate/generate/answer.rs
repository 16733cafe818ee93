//! A whole answer: a provider's read, a client's written.

use super::calls::Ids;
use super::finish::{self, Usage};
use super::parts;
use super::said;
use super::wire::{self, Response};
use crate::domain::{Dialect, TokenUsage};
use crate::translate::arguments;
use crate::translate::canonical::{Answer, Call, Finish, Part, Signature};
use crate::translate::pieces::{self, Str};
use crate::translate::reader;
use crate::translate::room;
use crate::translate::sides::Asked;
use crate::translate::signature;
use crate::translate::signs::Api;
use crate::translate::spoilt::Spoilt;
use crate::translate::usage;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a `GenerateContentResponse`. Source: Gemini API reference, `GenerateContentResponse`.
///
/// # Errors
/// For what isn't one, has neither an answer nor a reason why there is none, or has a call that failed.
pub fn read_answer(body: &[u8]) -> Result<Answer<'_>, Spoilt> {
    let response: Response<'_> = reader::read_bytes(body).map_err(|_| Spoilt::FOREIGN)?;
    let blocked = response.prompt_feedback.and_then(|feedback| feedback.block_reason);
    let candidates = response.candidates.unwrap_or_default();
    if candidates.is_empty() && blocked.is_none() {
        return Err(Spoilt::FOREIGN);
    }
    let id = response.response_id.map_or(Cow::Borrowed(""), |Str(id)| id);
    let mut ids = Ids::of(&id, body);
    let first = candidates.into_iter().min_by_key(|candidate| candidate.index.unwrap_or(0));
    let (content, reason) = first.map_or((None, None), |first| (first.content, first.finish_reason));
    let mut said = Vec::new();
    for part in content.unwrap_or_default().parts.0 {
        read_part(part, &mut ids, &mut said).ok_or(Spoilt::BAD_CALL)?;
    }
    let has_called = said.iter().any(|part| matches!(part, Part::Call(_)));
    let finish = match (reason, blocked) {
        (Some(Str(reason)), _) => finish::read(&reason, has_called)?,
        (None, Some(_)) => Finish::ContentFilter,
        (None, None) => finish::read("", has_called)?,
    };
    Ok(Answer {
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
        signature: signature.map(|Str(text)| parts::given(text)),
        ends_cache: false,
    })
}

/// Appends what a part says; `None` if it is a call that nobody can make.
fn read_part<'a>(part: wire::Part<'a>, ids: &mut Ids, said: &mut Vec<Part<'a>>) -> Option<()> {
    if let Some(call) = part.function_call {
        said.push(Part::Call(read_call(call, part.thought_signature, ids)?));
        return Some(());
    }
    let is_thought = part.thought == Some(true);
    let signature = part.thought_signature.map(|Str(text)| text);
    parts::push_words(said, part.text, is_thought, signature);
    said.extend(part.inline_data.and_then(parts::inline).map(Part::Media));
    Some(())
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
            Part::Call(call) if arguments::raw(&call.arguments).is_none() => {
                finish_reason = malformed(finish_reason);
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
    pieces::written(&written, room::of_answer(answer)).unwrap_or_default()
}

/// The reason of an answer with a call that can't be given on. One that was cut off says that already.
pub(super) fn malformed(reason: &'static str) -> &'static str {
    if reason == "STOP" { finish::MALFORMED } else { reason }
}

/// A signature as a client gets it.
pub(super) fn wrapped<'w>(signature: &'w Signature<'_>) -> Cow<'w, str> {
    signature::wrap(signature, Api::Generate)
}

fn write_part<'w>(part: &'w Part<'_>) -> Option<said::Part<'w>> {
    match part {
        Part::Text(text) => Some(said::Part::text(text.text.borrowed())),
        Part::Refusal(text) => Some(said::Part::text(text.as_ref())),
        Part::Media(media) => Some(said::medium(media)),
        Part::Thought(thought) => Some(said::Part {
            thought: !thought.is_redacted,
            thought_signature: thought.signature.as_ref().map(wrapped),
            ..said::Part::text(thought.text.as_ref())
        }),
        Part::Call(call) => {
            let args = arguments::raw(&call.arguments)?;
            let function_call = said::FunctionCall { id: &call.id, name: call.name.as_ref().into(), args };
            let thought_signature = call.signature.as_ref().map(wrapped);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Event, Signature, Thought};
    use crate::translate::frames::Framing;
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    const ASKED: Asked<'static> = Asked {
        request_id: "req-1",
        created: 0,
        body: b"",
        longest: &(0..0),
        framing: Framing::Events,
        include_usage: false,
    };

    const WHOLE: &str = r#"{"candidates":[{"index":0,"finishReason":"STOP","content":{"role":"model","parts":[
        {"text":"Hm","thought":true,"thoughtSignature":"c2ln"},{"text":"Hi"},
        {"functionCall":{"name":"f","args":{"b": 1,"a":2}},"thoughtSignature":"Y2Fs"},
        {"functionCall":{"id":"own","name":"g"}}]}}],
        "usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":3,"totalTokenCount":18},
        "modelVersion":"gemini-2.5-flash","responseId":"r-1"}"#;

    fn signed(text: &'static str) -> Option<Signature<'static>> {
        Some(Signature { maker: Api::Generate, text: text.into() })
    }

    #[test]
    fn a_call_that_failed_or_nobody_can_make_is_no_answer() {
        let body = |part: &str, reason: &str| {
            format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"{reason}"}}]}}"#)
        };
        let failed = |reason| Some(Spoilt::ByModel(reason));
        for (part, reason, spoilt) in [
            (r#"{"text":"a"}"#, "STOP", None),
            (r#"{"text":"a"}"#, finish::MALFORMED, failed(finish::MALFORMED)),
            (r#"{"text":"a"}"#, "UNEXPECTED_TOOL_CALL", failed("UNEXPECTED_TOOL_CALL")),
            (r#"{"functionCall":{"name":"f"}}"#, "STOP", None),
            (r#"{"functionCall":{"name":""}}"#, "STOP", Some(Spoilt::BAD_CALL)),
            (r#"{"functionCall":{"name":"f","args":[]}}"#, "STOP", Some(Spoilt::BAD_CALL)),
        ] {
            let body = body(part, reason);
            assert_eq!(read_answer(body.as_bytes()).err(), spoilt, "{body}");
            let (mut decoder, mut has_finished) = (super::super::Decoder::default(), false);
            decoder.see(body.as_bytes(), &mut |_| {});
            assert_eq!((decoder.spoilt(), decoder.is_finished()), (spoilt, spoilt.is_none()), "{body}");
            decoder.finish(&mut |event| has_finished |= matches!(event, Event::Finish(_)));
            assert_eq!(has_finished, spoilt.is_none(), "{body}");
        }
    }

    #[test]
    fn an_answer_is_read_with_thoughts_calls_and_usage() {
        let answer = read_answer(WHOLE.as_bytes()).expect("an answer");
        assert_eq!((answer.id.as_ref(), answer.model.as_ref()), ("r-1", "gemini-2.5-flash"));
        assert_eq!(answer.finish, Finish::ToolCalls);
        let usage = TokenUsage { input: 6, cache_read: 4, cache_write: 0, output: 8, reasoning: 3 };
        assert_eq!(answer.usage, usage);
        let thought = Thought { text: "Hm".into(), signature: signed("c2ln"), is_redacted: false };
        assert_eq!(answer.parts[..2], [Part::Thought(thought), Part::text("Hi")]);
        let [Part::Call(first), Part::Call(second)] = &answer.parts[2..] else { panic!("two calls") };
        assert_eq!((first.arguments.as_ref(), &first.signature), (r#"{"b": 1,"a":2}"#, &signed("Y2Fs")));
        assert_eq!((second.id.as_ref(), second.arguments.as_ref()), ("own", "{}"));
        let again = read_answer(WHOLE.as_bytes()).expect("an answer");
        assert_eq!(again, answer, "made-up ids are the same each time");
    }

    #[test]
    fn an_answer_written_and_read_again_means_the_same() {
        let answer = read_answer(WHOLE.as_bytes()).expect("an answer");
        let written = write_answer(&answer, &ASKED);
        assert_eq!(read_answer(&written).expect("an answer"), answer);
        let text = String::from_utf8(written).expect("text");
        assert!(text.contains(r#""args":{"b": 1,"a":2}"#) && text.contains(r#""thoughtSignature":"c2ln""#));
        assert!(
            text.contains(r#""promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":18"#),
            "{text}"
        );
    }

    #[test]
    fn each_reason_has_its_meaning() {
        for (reason, finish) in [
            ("STOP", Finish::Stop),
            ("MAX_TOKENS", Finish::Length),
            ("SAFETY", Finish::ContentFilter),
            ("RECITATION", Finish::ContentFilter),
            ("PROHIBITED_CONTENT", Finish::ContentFilter),
            ("SPII", Finish::ContentFilter),
            ("NEXT_YEARS_REASON", Finish::Stop),
        ] {
            let body = format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#);
            assert_eq!(read_answer(body.as_bytes()).expect("an answer").finish, finish, "{reason}");
        }
        let cut = r#"{"candidates":[{"finishReason":"MAX_TOKENS","content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#;
        assert_eq!(read_answer(cut.as_bytes()).expect("an answer").finish, Finish::Length);
    }

    #[test]
    fn a_blocked_prompt_is_an_answer_without_parts() {
        let answer = read_answer(br#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).expect("an answer");
        assert_eq!((answer.parts.len(), answer.finish), (0, Finish::ContentFilter));
    }

    #[test]
    fn what_is_no_answer_is_not_understood() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"error":{"code":503}}"#,
            r#"{"candidates":[]}"#,
            r#"{"candidates":[{"content":7}]}"#,
        ] {
            assert_eq!(read_answer(body.as_bytes()), Err(Spoilt::FOREIGN), "{body}");
        }
    }

    fn answer(parts: Vec<Part<'_>>, finish: Finish<'static>) -> Value {
        let answer = Answer { id: "".into(), model: "m".into(), parts, finish, usage: TokenUsage::default() };
        serde_json::from_slice(&write_answer(&answer, &ASKED)).expect("JSON")
    }

    #[test]
    fn only_reasons_that_gemini_defines_are_written() {
        for (finish, reason) in [
            (Finish::Stop, "STOP"),
            (Finish::StopSequence(Some("x".into())), "STOP"),
            (Finish::ToolCalls, "STOP"),
            (Finish::Length, "MAX_TOKENS"),
            (Finish::ContentFilter, "SAFETY"),
        ] {
            assert_eq!(answer(vec![], finish)["candidates"][0]["finishReason"], reason);
        }
        assert_eq!(answer(vec![], Finish::Stop)["responseId"], "req-1", "ours where the provider has none");
    }

    #[test]
    fn a_call_with_broken_arguments_never_makes_a_broken_body() {
        let call = |arguments: &'static str| {
            let (id, name) = ("1".into(), "f".into());
            Part::Call(Call { id, name, arguments: arguments.into(), signature: None, ends_cache: false })
        };
        let cut = answer(vec![call("{\"a\":")], Finish::Length);
        assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
        let broken = answer(vec![call("nothing"), call("")], Finish::ToolCalls);
        assert_eq!(broken["candidates"][0]["finishReason"], finish::MALFORMED);
        assert_eq!(
            broken["candidates"][0]["content"]["parts"],
            json!([{"functionCall": {"id": "1", "name": "f", "args": {}}}])
        );
    }
}
