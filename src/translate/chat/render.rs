//! A request's conversation as a provider's messages: who may say what, and in which order.
//!
//! Text alone is one string. Parts of one message are parted by an empty line, but for the model's own, which were one
//! text when it said them.

use super::NAMES;
use crate::domain::Quoted;
use crate::translate::canonical::{Call, CallResult, Media, MediaKind, Part, Request, Source, Speaker, Turn};
use crate::translate::features::Feature;
use crate::translate::openai::{Address, UNNAMED_FILE, sound_format};
use crate::translate::peek::BadBody;
use crate::translate::sides::Written;
use crate::translate::verbatim::Verbatim;
use serde::Serialize;
use std::borrow::Cow;

/// What parts texts that a provider gets as one.
const PARTING: &str = "\n\n";

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum Message<'r> {
    System {
        content: Verbatim<'r>,
    },
    User {
        content: Content<'r>,
    },
    Assistant {
        content: Option<Verbatim<'r>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning_content: Option<Verbatim<'r>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refusal: Option<Verbatim<'r>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<WireCall<'r>>,
    },
    Tool {
        tool_call_id: &'r str,
        content: Verbatim<'r>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'r> {
    Text(Verbatim<'r>),
    Parts(Vec<ContentPart<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ContentPart<'r> {
    Text { text: Verbatim<'r> },
    ImageUrl { image_url: ImageUrl<'r> },
    InputAudio { input_audio: InputAudio<'r> },
    File { file: File<'r> },
}

#[derive(Serialize)]
pub(super) struct ImageUrl<'r> {
    url: Address<'r>,
}

#[derive(Serialize)]
pub(super) struct InputAudio<'r> {
    data: &'r str,
    format: &'static str,
}

#[derive(Serialize)]
pub(super) struct File<'r> {
    filename: &'r str,
    file_data: Address<'r>,
}

/// A call of a function, in requests and in answers.
#[derive(Serialize)]
pub(super) struct WireCall<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireFunction<'r>,
}

#[derive(Serialize)]
struct WireFunction<'r> {
    name: Cow<'r, str>,
    arguments: &'r str,
}

impl<'r> WireCall<'r> {
    /// A call under that name.
    pub(super) fn new(call: &'r Call<'_>, name: Cow<'r, str>) -> WireCall<'r> {
        WireCall {
            id: &call.id,
            kind: "function",
            function: WireFunction { name, arguments: &call.arguments },
        }
    }
}

/// The system's words and the conversation.
pub(super) fn messages<'r>(
    request: &'r Request<'_>,
    written: &mut Written,
) -> Result<Vec<Message<'r>>, BadBody> {
    let mut messages = Vec::with_capacity(request.turns.len() + 1);
    if let Some(content) = joined(texts(&request.system), PARTING) {
        messages.push(Message::System { content });
    }
    for turns in request.turns.chunk_by(|one, next| one.speaker == next.speaker) {
        match turns.first().map(|turn| turn.speaker) {
            Some(Speaker::User) => user(turns, written, &mut messages)?,
            Some(Speaker::Model) => model(turns, written, &mut messages),
            None => {}
        }
    }
    Ok(messages)
}

/// All that the user's side says before the model goes on. Results come first, because nothing may stand between a call
/// and its results; then what was in them that is no text, and the rest.
fn user<'r>(
    turns: &'r [Turn<'_>],
    written: &mut Written,
    messages: &mut Vec<Message<'r>>,
) -> Result<(), BadBody> {
    for result in turns.iter().flat_map(|turn| results(turn)) {
        if result.is_error {
            written.lose(Feature::FailedResults);
        }
        let content = joined(texts(&result.content), PARTING).unwrap_or_default();
        messages.push(Message::Tool { tool_call_id: &result.id, content });
    }
    for turn in turns {
        let moved =
            results(turn).flat_map(|result| &result.content).filter(|part| matches!(part, Part::Media(_)));
        let own = turn.parts.iter().filter(|part| matches!(part, Part::Text(_) | Part::Media(_)));
        messages.extend(content(moved.chain(own))?.map(|content| Message::User { content }));
    }
    Ok(())
}

fn results<'r, 'a>(turn: &'r Turn<'a>) -> impl Iterator<Item = &'r CallResult<'a>> + Clone {
    turn.parts.iter().filter_map(|part| match part {
        Part::Result(result) => Some(result),
        Part::Text(_) | Part::Media(_) | Part::Call(_) | Part::Thought(_) | Part::Refusal(_) => None,
    })
}

/// Texts and media of a user: one string where there is no medium among them.
fn content<'r, 'a: 'r>(
    parts: impl Iterator<Item = &'r Part<'a>> + Clone,
) -> Result<Option<Content<'r>>, BadBody> {
    if !parts.clone().any(|part| matches!(part, Part::Media(_))) {
        return Ok(joined(texts(parts), PARTING).map(Content::Text));
    }
    let mut list = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => list.push(ContentPart::Text { text: text.text.borrowed() }),
            Part::Media(media) => list.push(medium(media)?),
            Part::Call(_) | Part::Result(_) | Part::Thought(_) | Part::Refusal(_) => {}
        }
    }
    Ok(Some(Content::Parts(list)))
}

fn medium<'r>(media: &'r Media<'_>) -> Result<ContentPart<'r>, BadBody> {
    let cannot = |what: &str| Err(BadBody(format!("a chat completion can't be given {what}")));
    match (media.kind, &media.source) {
        (_, Source::Text(text)) => Ok(ContentPart::Text { text: Verbatim::from(text.as_ref()) }),
        (MediaKind::Image, Source::Url { url, .. }) => {
            Ok(ContentPart::ImageUrl { image_url: ImageUrl { url: Address::Url(url) } })
        }
        (MediaKind::Image, Source::Inline { media_type, data }) => {
            Ok(ContentPart::ImageUrl { image_url: ImageUrl { url: Address::Inline { media_type, data } } })
        }
        (MediaKind::Audio, Source::Inline { media_type, data }) => match sound_format(media_type) {
            Some(format) => Ok(ContentPart::InputAudio { input_audio: InputAudio { data, format } }),
            None => cannot(&format!("sound of the type {}; send wav or mp3", Quoted(media_type))),
        },
        (MediaKind::Document, Source::Inline { media_type, data }) => {
            let filename = media.name.as_deref().unwrap_or(UNNAMED_FILE);
            Ok(ContentPart::File { file: File { filename, file_data: Address::Inline { media_type, data } } })
        }
        (MediaKind::Audio, Source::Url { .. }) => cannot("sound by its URL; send it in base64"),
        (MediaKind::Document, Source::Url { .. }) => cannot("a document by its URL; send it in base64"),
        (MediaKind::Video, _) => cannot("video"),
    }
}

/// All that the model says before the user's side goes on. Several turns of it stay several messages, but from the
/// first call on they are one, as results must directly follow the message of their calls.
fn model<'r>(turns: &'r [Turn<'_>], written: &mut Written, messages: &mut Vec<Message<'r>>) {
    let calls = |turn: &Turn<'_>| turn.parts.iter().any(|part| matches!(part, Part::Call(_)));
    let before = turns.iter().position(calls).unwrap_or(turns.len());
    let (said, called) = turns.split_at(before);
    for turn in said {
        messages.extend(assistant(std::slice::from_ref(turn), written));
    }
    messages.extend(assistant(called, written));
}

/// One message of the model; `None` if nothing of it can be said here.
fn assistant<'r>(turns: &'r [Turn<'_>], written: &mut Written) -> Option<Message<'r>> {
    let parts = || turns.iter().flat_map(|turn| &turn.parts);
    if parts().any(|part| matches!(part, Part::Media(_))) {
        written.lose(Feature::ModelMedia);
    }
    let content = joined(texts(parts()), "");
    let reasoning_content = joined(parts().filter_map(thought).map(Verbatim::from), "");
    let refusal = joined(parts().filter_map(refusal).map(Verbatim::from), "");
    let tool_calls: Vec<WireCall<'r>> = parts().filter_map(call).collect();
    if content.is_none() && refusal.is_none() && tool_calls.is_empty() {
        return None;
    }
    Some(Message::Assistant { content, reasoning_content, refusal, tool_calls })
}

fn call<'r>(part: &'r Part<'_>) -> Option<WireCall<'r>> {
    let Part::Call(call) = part else { return None };
    Some(WireCall::new(call, NAMES.sent(&call.name)))
}

/// A thought that nobody signed: what imitators call `reasoning_content`. Signed ones are their makers' only.
pub(super) fn thought<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    match part {
        Part::Thought(thought) if thought.signature.is_none() && !thought.is_redacted => Some(&thought.text),
        _ => None,
    }
}

/// The words of a refusal.
pub(super) fn refusal<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    if let Part::Refusal(words) = part { Some(words) } else { None }
}

/// The words of the texts among parts.
pub(super) fn texts<'r, 'a: 'r>(
    parts: impl IntoIterator<Item = &'r Part<'a>>,
) -> impl Iterator<Item = Verbatim<'r>> {
    parts
        .into_iter()
        .filter_map(|part| if let Part::Text(text) = part { Some(text.text.borrowed()) } else { None })
}

/// Texts as one, copied only where there are several; `None` where there are none.
pub(super) fn joined<'r>(texts: impl Iterator<Item = Verbatim<'r>>, parting: &str) -> Option<Verbatim<'r>> {
    texts.reduce(|all, text| {
        let mut joined = all.into_plain().into_owned();
        joined.push_str(parting);
        joined.push_str(&text.plain());
        joined.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Signature, Thought};
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    fn turn(speaker: Speaker, parts: Vec<Part<'_>>) -> Turn<'_> {
        Turn { speaker, parts }
    }

    fn user(parts: Vec<Part<'_>>) -> Turn<'_> {
        turn(Speaker::User, parts)
    }

    fn model(parts: Vec<Part<'_>>) -> Turn<'_> {
        turn(Speaker::Model, parts)
    }

    fn call(id: &'static str) -> Part<'static> {
        let arguments = "{\"a\": 1 }".into();
        Part::Call(Call { id: id.into(), name: "f".into(), arguments, signature: None, ends_cache: false })
    }

    fn result<'a>(id: &'a str, content: Vec<Part<'a>>) -> Part<'a> {
        Part::Result(CallResult {
            id: id.into(),
            name: "f".into(),
            content,
            is_error: false,
            ends_cache: false,
        })
    }

    fn media(kind: MediaKind, source: Source<'_>) -> Part<'_> {
        Part::Media(Media::new(kind, source))
    }

    fn inline(kind: MediaKind, media_type: &'static str) -> Part<'static> {
        media(kind, Source::Inline { media_type: media_type.into(), data: "QUJD".into() })
    }

    /// As sent: the messages, and what was lost.
    fn rendered(request: &Request<'_>) -> Result<(Value, Vec<&'static str>), BadBody> {
        let mut written = Written::default();
        let messages = messages(request, &mut written)?;
        Ok((serde_json::to_value(&messages).expect("JSON"), written.lost))
    }

    #[track_caller]
    fn expect(turns: Vec<Turn<'_>>, expected: &Value) -> Vec<&'static str> {
        let request = Request { turns, ..Request::default() };
        let (messages, lost) = rendered(&request).expect("can be written");
        assert_eq!(&messages, expected);
        lost
    }

    fn wire_call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1 }"}})
    }

    #[test]
    fn the_systems_words_come_first_as_one_text() {
        let system = vec![Part::text("one"), Part::text("two")];
        let request = Request { system, turns: vec![user(vec![Part::text("hi")])], ..Request::default() };
        let (messages, _) = rendered(&request).expect("can be written");
        assert_eq!(
            messages,
            json!([
                {"role": "system", "content": "one\n\ntwo"}, {"role": "user", "content": "hi"},
            ])
        );
    }

    #[test]
    fn a_users_words_are_one_text_unless_there_is_a_medium_among_them() {
        expect(
            vec![user(vec![Part::text("a"), Part::text("b")])],
            &json!([{"role": "user", "content": "a\n\nb"}]),
        );
        let url = Source::Url { url: "https://x/y".into(), media_type: None };
        let words = media(MediaKind::Document, Source::Text("plain".into()));
        let parts = vec![
            Part::text("a"),
            inline(MediaKind::Image, "image/png"),
            media(MediaKind::Image, url),
            inline(MediaKind::Audio, "audio/x-wav"),
            inline(MediaKind::Document, "application/pdf"),
            words,
        ];
        expect(
            vec![user(parts)],
            &json!([{"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
                {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                {"type": "file", "file": {"filename": "document", "file_data": "data:application/pdf;base64,QUJD"}},
                {"type": "text", "text": "plain"},
            ]}]),
        );
    }

    #[test]
    fn results_directly_follow_their_calls_and_pictures_in_them_come_after() {
        let picture = inline(MediaKind::Image, "image/png");
        let turns = vec![
            model(vec![Part::text("let me"), Part::text(" see"), call("a"), call("b")]),
            user(vec![Part::text("here"), result("a", vec![Part::text("x"), picture])]),
            user(vec![result("b", vec![])]),
        ];
        expect(
            turns,
            &json!([
                {"role": "assistant", "content": "let me see", "tool_calls": [wire_call("a"), wire_call("b")]},
                {"role": "tool", "tool_call_id": "a", "content": "x"},
                {"role": "tool", "tool_call_id": "b", "content": ""},
                {"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                    {"type": "text", "text": "here"},
                ]},
            ]),
        );
    }

    #[test]
    fn calls_in_neighbouring_turns_are_one_message_and_what_was_said_before_another() {
        let turns = vec![
            model(vec![Part::text("one")]),
            model(vec![call("a")]),
            model(vec![call("b")]),
            user(vec![result("a", vec![]), result("b", vec![])]),
        ];
        expect(
            turns,
            &json!([
                {"role": "assistant", "content": "one"},
                {"role": "assistant", "content": null, "tool_calls": [wire_call("a"), wire_call("b")]},
                {"role": "tool", "tool_call_id": "a", "content": ""},
                {"role": "tool", "tool_call_id": "b", "content": ""},
            ]),
        );
    }

    #[test]
    fn only_thoughts_that_nobody_signed_are_sent() {
        let thought = |text: &'static str, is_signed: bool, is_redacted| {
            let signature = is_signed.then(|| Signature { maker: Api::Messages, text: "sig".into() });
            Part::Thought(Thought { text: text.into(), signature, is_redacted })
        };
        let parts =
            vec![thought("signed", true, false), thought("", true, true), thought("own", false, false)];
        let turns = vec![
            model(parts.iter().cloned().chain([Part::text("so")]).collect()),
            user(vec![Part::text("and?")]),
            model(parts),
        ];
        expect(
            turns,
            &json!([
                {"role": "assistant", "content": "so", "reasoning_content": "own"},
                {"role": "user", "content": "and?"},
            ]),
        );
    }

    #[test]
    fn a_refusal_is_told_apart() {
        let turns = vec![model(vec![Part::Refusal("no".into())])];
        expect(turns, &json!([{"role": "assistant", "content": null, "refusal": "no"}]));
    }

    #[test]
    fn what_has_no_place_is_named() {
        let mut failed = result("a", vec![]);
        if let Part::Result(failed) = &mut failed {
            failed.is_error = true;
        }
        let turns = vec![model(vec![inline(MediaKind::Image, "image/png"), call("a")]), user(vec![failed])];
        let lost = expect(
            turns,
            &json!([
                {"role": "assistant", "content": null, "tool_calls": [wire_call("a")]},
                {"role": "tool", "tool_call_id": "a", "content": ""},
            ]),
        );
        assert_eq!(lost, ["media of the model", "is_error"]);
    }

    #[test]
    fn what_cant_be_sent_at_all_is_refused() {
        let url = || Source::Url { url: "https://x".into(), media_type: None };
        for part in [
            inline(MediaKind::Audio, "audio/ogg"),
            media(MediaKind::Audio, url()),
            media(MediaKind::Document, url()),
            media(MediaKind::Video, url()),
        ] {
            let request = Request { turns: vec![user(vec![part])], ..Request::default() };
            assert!(
                rendered(&request)
                    .is_err_and(|BadBody(why)| why.starts_with("a chat completion can't be given "))
            );
        }
    }
}
