//! A client's messages, into the hub: who said what, and that every call has its result where it belongs.

use super::wire::Maybe;
use crate::translate::canonical::{
    Call, CallResult, Media, MediaKind, Part, Request, Speaker, Text, Thought, Turn,
};
use crate::translate::features::Feature;
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Str, TextOr};
use crate::translate::verbatim::Verbatim;
use crate::translate::{arguments, media, openai};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A message, of whatever role.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    role: Role,
    #[serde(borrow)]
    content: Option<TextOr<'a, Vec<ContentPart<'a>>>>,
    name: Option<IgnoredAny>,
    #[serde(borrow)]
    refusal: Option<Str<'a>>,
    /// Imitators' names of what the model thought; they are sent back by clients that were given them.
    #[serde(borrow, default)]
    reasoning_content: Maybe<'a>,
    #[serde(borrow, default)]
    reasoning: Maybe<'a>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
    function_call: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    #[serde(borrow)]
    tool_call_id: Option<Str<'a>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    /// Of the time before tools.
    Function,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Str<'a>,
    #[serde(borrow)]
    text: Option<Verbatim<'a>>,
    #[serde(borrow)]
    refusal: Option<Str<'a>>,
    #[serde(borrow)]
    image_url: Option<TextOr<'a, ImageUrl<'a>>>,
    #[serde(borrow)]
    input_audio: Option<InputAudio<'a>>,
    #[serde(borrow)]
    file: Option<File<'a>>,
    /// Anthropic's, which several imitators take too.
    cache_control: Option<IgnoredAny>,
    prompt_cache_breakpoint: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Str<'a>,
    #[serde(borrow)]
    detail: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct InputAudio<'a> {
    #[serde(borrow)]
    data: Str<'a>,
    #[serde(borrow)]
    format: Str<'a>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    file_data: Option<Str<'a>>,
    file_id: Option<IgnoredAny>,
    #[serde(borrow)]
    filename: Option<Str<'a>>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Str<'a>>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    arguments: Option<Str<'a>>,
}

/// The calls whose results haven't come yet, found by their ids however many there are. Several may have one id: some
/// imitators number them anew in each turn, or not at all.
#[derive(Default)]
struct OpenCalls<'a> {
    /// The names of the tools, by the id of the call and its place among all.
    names: BTreeMap<(Cow<'a, str>, usize), Cow<'a, str>>,
    next: usize,
}

impl<'a> OpenCalls<'a> {
    fn open(&mut self, id: Cow<'a, str>, name: Cow<'a, str>) {
        self.names.insert((id, self.next), name);
        self.next += 1;
    }

    /// Takes the name of the first that has this id.
    fn close(&mut self, id: &Cow<'a, str>) -> Option<Cow<'a, str>> {
        let from = (id.clone(), 0);
        let key = self.names.range(from..).next().map(|(key, _)| key.clone());
        self.names.remove(&key.filter(|(found, _)| found == id)?)
    }

    /// The id of the first that is open.
    fn first(&self) -> Option<&str> {
        let first = self.names.keys().min_by_key(|(_, place)| *place);
        first.map(|(id, _)| id.as_ref())
    }
}

/// Reads messages into a request.
pub(super) fn read<'a>(messages: Vec<Message<'a>>, request: &mut Request<'a>) -> Result<(), BadBody> {
    if messages.is_empty() {
        return Err(bad("messages", "must not be empty"));
    }
    request.turns.reserve(messages.len());
    let count = messages.len();
    let mut conversation = Conversation { request, open: OpenCalls::default() };
    for (at, message) in messages.into_iter().enumerate() {
        conversation.take(at, message)?;
    }
    conversation.expect_no_open_call(count - 1)
}

struct Conversation<'r, 'a> {
    request: &'r mut Request<'a>,
    open: OpenCalls<'a>,
}

impl<'a> Conversation<'_, 'a> {
    fn take(&mut self, at: usize, message: Message<'a>) -> Result<(), BadBody> {
        self.request
            .features
            .insert_if(message.name.is_some() && message.role != Role::Function, Feature::Other);
        match message.role {
            Role::System | Role::Developer => self.take_system(at, message),
            Role::User => {
                self.expect_no_open_call(at)?;
                let parts = self.content(at, message.content, Role::User)?;
                self.push(Speaker::User, parts);
                Ok(())
            }
            Role::Assistant => {
                self.expect_no_open_call(at)?;
                self.take_assistant(at, message)
            }
            Role::Tool => self.take_result(at, message),
            Role::Function => {
                self.request.features.insert(Feature::CustomTools);
                Ok(())
            }
        }
    }

    /// Lifts a system message, which may also stand between a call and its result.
    fn take_system(&mut self, at: usize, message: Message<'a>) -> Result<(), BadBody> {
        let parts = self.content(at, message.content, Role::System)?;
        self.request.system.extend(parts);
        Ok(())
    }

    fn take_assistant(&mut self, at: usize, message: Message<'a>) -> Result<(), BadBody> {
        let mut parts = Vec::new();
        if let Some(text) = message.reasoning_content.0.or(message.reasoning.0) {
            self.request.features.insert(Feature::ForeignThoughts);
            parts.push(Part::Thought(Thought { text, ..Thought::default() }));
        }
        parts.extend(self.content(at, message.content, Role::Assistant)?);
        if let Some(Str(refusal)) = message.refusal
            && !refusal.is_empty()
        {
            parts.push(Part::Refusal(refusal));
        }
        for (index, call) in message.tool_calls.into_iter().flatten().enumerate() {
            parts.extend(self.call(at, index, call)?.map(Part::Call));
        }
        self.request.features.insert_if(message.function_call.is_some(), Feature::CustomTools);
        self.request.features.insert_if(message.audio.is_some(), Feature::ProviderState);
        self.push(Speaker::Model, parts);
        Ok(())
    }

    /// A call; `None` for one of a custom tool.
    fn call(&mut self, at: usize, index: usize, call: WireCall<'a>) -> Result<Option<Call<'a>>, BadBody> {
        let field = format_args!("messages[{at}].tool_calls[{index}]");
        let id = call.id.map(|Str(id)| id).unwrap_or_default();
        if id.is_empty() {
            return Err(bad(format_args!("{field}.id"), "is missing; a result refers to it"));
        }
        if call.kind.is_some_and(|Str(kind)| kind == "custom") {
            self.request.features.insert(Feature::CustomTools);
            self.open.open(id, Cow::Borrowed(""));
            return Ok(None);
        }
        let Some(WireFunction { name: Str(name), arguments: text }) = call.function else {
            return Err(bad(format_args!("{field}.function"), "is missing"));
        };
        if name.is_empty() {
            return Err(bad(format_args!("{field}.function.name"), "must not be empty"));
        }
        let text = text.map(|Str(text)| text).unwrap_or_default();
        let arguments = arguments::read(text);
        let arguments = arguments.map_err(|why| bad(format_args!("{field}.function.arguments"), why))?;
        self.open.open(id.clone(), name.clone());
        Ok(Some(Call { id, name, arguments, signature: None, ends_cache: false }))
    }

    fn take_result(&mut self, at: usize, message: Message<'a>) -> Result<(), BadBody> {
        let field = format_args!("messages[{at}].tool_call_id");
        let Some(Str(id)) = message.tool_call_id else {
            return Err(bad(field, "is missing"));
        };
        let Some(name) = self.open.close(&id) else {
            return Err(bad(
                field,
                "is of no call of the assistant's turn directly before that has no result yet",
            ));
        };
        let content = self.content(at, message.content, Role::Tool)?;
        let result = Part::Result(CallResult { id, name, content, is_error: false, ends_cache: false });
        match self.request.turns.last_mut() {
            Some(Turn { speaker: Speaker::User, parts }) if matches!(parts.last(), Some(Part::Result(_))) => {
                parts.push(result);
            }
            _ => self.push(Speaker::User, vec![result]),
        }
        Ok(())
    }

    /// Every call has its result before anybody goes on.
    fn expect_no_open_call(&self, at: usize) -> Result<(), BadBody> {
        let Some(id) = self.open.first() else { return Ok(()) };
        let why = format!(
            "comes before the result of the tool call `{id}`, or is the last without it; a tool message must directly \
             follow the call"
        );
        Err(bad(format_args!("messages[{at}]"), &why))
    }

    fn push(&mut self, speaker: Speaker, parts: Vec<Part<'a>>) {
        if !parts.is_empty() {
            self.request.turns.push(Turn { speaker, parts });
        }
    }

    fn content(
        &mut self,
        at: usize,
        content: Option<TextOr<'a, Vec<ContentPart<'a>>>>,
        role: Role,
    ) -> Result<Vec<Part<'a>>, BadBody> {
        match content {
            None if role == Role::User || role == Role::System || role == Role::Developer => {
                Err(bad(format_args!("messages[{at}].content"), "is missing"))
            }
            None => Ok(Vec::new()),
            // SDKs send an empty text beside calls, and tools may have nothing to say.
            Some(TextOr::Text(text)) if text.is_empty() && role != Role::User => Ok(Vec::new()),
            Some(TextOr::Text(text)) => Ok(vec![Part::text(text)]),
            Some(TextOr::Other(list)) => {
                let mut parts = Vec::with_capacity(list.len());
                for (index, part) in list.into_iter().enumerate() {
                    parts.extend(self.part(at, index, part, role)?);
                }
                Ok(parts)
            }
        }
    }

    /// A part of a message's content; `None` for one that says nothing, or that only its provider has.
    fn part(
        &mut self,
        at: usize,
        index: usize,
        part: ContentPart<'a>,
        role: Role,
    ) -> Result<Option<Part<'a>>, BadBody> {
        let field = format_args!("messages[{at}].content[{index}]");
        let ends_cache = part.cache_control.is_some() || part.prompt_cache_breakpoint.is_some();
        self.request.features.insert_if(ends_cache, Feature::CacheMarks);
        let may_hold_media = matches!(role, Role::User | Role::Tool);
        let mut media =
            match (&*part.kind.0, part.text, part.refusal, part.image_url, part.input_audio, part.file) {
                ("text", Some(text), ..) => return Ok(Some(Part::Text(Text { text, ends_cache }))),
                ("refusal", _, Some(Str(refusal)), ..) if role == Role::Assistant => {
                    return Ok(Some(Part::Refusal(refusal)));
                }
                ("image_url", _, _, Some(image), ..) if may_hold_media => {
                    let url = match image {
                        TextOr::Text(url) => url.into_plain(),
                        TextOr::Other(ImageUrl { url, detail }) => {
                            let is_particular = detail.is_some_and(|Str(detail)| detail != "auto");
                            self.request.features.insert_if(is_particular, Feature::Other);
                            url.0
                        }
                    };
                    let source = media::image_at(url);
                    let source = source.map_err(|why| bad(format_args!("{field}.image_url.url"), why))?;
                    Media::new(MediaKind::Image, source)
                }
                ("input_audio", .., Some(audio), _) if may_hold_media => {
                    openai::sound(audio.data.0, &audio.format.0)
                        .map_err(|fault| fault.within(format!("{field}.input_audio")))?
                }
                ("file", .., Some(file)) if may_hold_media => match file.file_data {
                    Some(Str(data)) => {
                        let name = file.filename.map(|Str(name)| name);
                        openai::file(data, name).map_err(|fault| fault.within(format!("{field}.file")))?
                    }
                    None if file.file_id.is_some() => {
                        self.request.features.insert(Feature::ProviderState);
                        return Ok(None);
                    }
                    None => return Err(bad(format_args!("{field}.file.file_data"), "is missing")),
                },
                (kind, ..) => {
                    let why = format!(
                        "is `{kind}`, which this role's content can't have, or lacks what belongs to it"
                    );
                    return Err(bad(format_args!("{field}.type"), &why));
                }
            };
        media.ends_cache = ends_cache;
        media::note(&media, &mut self.request.features);
        Ok(Some(Part::Media(media)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::translate::canonical::Source;
    use crate::translate::features::Features;
    use serde_json::{Value, json};

    /// Reads a request of these messages and gives it to `look`.
    fn seeing<T>(messages: &Value, look: impl FnOnce(Request<'_>) -> T) -> T {
        let body = json!({"model": "m", "messages": messages}).to_string();
        look(read(body.as_bytes()).expect("a good request"))
    }

    fn turns(messages: &Value, expected: &[(Speaker, Vec<Part<'_>>)]) {
        seeing(messages, |request| {
            let turns: Vec<_> = request.turns.into_iter().map(|turn| (turn.speaker, turn.parts)).collect();
            assert_eq!(turns, expected);
        });
    }

    fn features(messages: &Value) -> Features {
        seeing(messages, |request| request.features)
    }

    /// What is said of a request of these messages, which is bad.
    fn complaint(messages: &Value) -> String {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let BadBody(why) =
            read(body.as_bytes()).map(|request| format!("{request:?}")).expect_err("a bad request");
        why
    }

    fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> Part<'a> {
        let (id, name, arguments) = (id.into(), name.into(), arguments.into());
        Part::Call(Call { id, name, arguments, signature: None, ends_cache: false })
    }

    fn result<'a>(id: &'a str, name: &'a str, content: Vec<Part<'a>>) -> Part<'a> {
        let (id, name) = (id.into(), name.into());
        Part::Result(CallResult { id, name, content, is_error: false, ends_cache: false })
    }

    fn wire_call(id: &str, name: &str, arguments: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    #[test]
    fn system_and_developer_messages_are_lifted_in_order_also_from_the_middle() {
        let messages = json!([
            {"role": "system", "content": "one"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
            {"role": "assistant", "content": "ho"},
        ]);
        seeing(&messages, |request| {
            assert_eq!(request.system, ["one", "two", "three"].map(Part::text));
            assert_eq!(request.turns.len(), 2);
        });
    }

    #[test]
    fn a_users_parts_are_texts_and_media_in_order() {
        let media = |kind, media_type: &'static str, name: Option<&'static str>| {
            let source = Source::Inline { media_type: media_type.into(), data: "QUJD".into() };
            Part::Media(Media { kind, source, name: name.map(Into::into), ends_cache: false })
        };
        let url = Source::Url { url: "https://x/y.png".into(), media_type: None };
        let messages = json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "image_url", "image_url": "https://x/y.png"},
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        ]}]);
        let expected = vec![
            Part::text("look"),
            media(MediaKind::Image, "image/png", None),
            Part::Media(Media::new(MediaKind::Image, url)),
            media(MediaKind::Audio, "audio/wav", None),
            media(MediaKind::Document, "application/pdf", Some("a.pdf")),
        ];
        turns(&messages, &[(Speaker::User, expected)]);
        assert!(features(&messages).contains(Feature::AudioInput));
    }

    #[test]
    fn a_tool_loop_has_its_results_in_one_turn_with_the_names_of_their_calls() {
        let messages = json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                wire_call("call_a", "weather", "{\"city\": \"Köln\" }"), wire_call("call_b", "time", ""),
            ]},
            {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
            {"role": "system", "content": "be brief"},
            {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "rain"}]},
            {"role": "assistant", "content": "Rain at noon."},
        ]);
        let thought = Part::Thought(Thought { text: "hm".into(), ..Thought::default() });
        let calls = [call("call_a", "weather", "{\"city\": \"Köln\" }"), call("call_b", "time", "{}")];
        let results = vec![
            result("call_b", "time", vec![Part::text("noon")]),
            result("call_a", "weather", vec![Part::text("rain")]),
        ];
        turns(
            &messages,
            &[
                (Speaker::User, vec![Part::text("weather?")]),
                (Speaker::Model, std::iter::once(thought).chain(calls).collect()),
                (Speaker::User, results),
                (Speaker::Model, vec![Part::text("Rain at noon.")]),
            ],
        );
        assert!(features(&messages).contains(Feature::ForeignThoughts));
    }

    #[test]
    fn of_very_many_calls_each_finds_its_result_in_whatever_order_they_come() {
        const CALLS: usize = 20_000;
        let ids: Vec<_> = (0..CALLS).map(|at| format!("call_{at}")).collect();
        let mut open = OpenCalls::default();
        for (at, id) in ids.iter().enumerate() {
            open.open(id.into(), at.to_string().into());
        }
        assert_eq!(open.first(), Some("call_0"));
        for (at, id) in ids.iter().enumerate().rev() {
            assert_eq!(open.close(&id.into()), Some(at.to_string().into()));
        }
        assert_eq!(open.close(&"call_0".into()), None);
        assert_eq!(open.first(), None);
    }

    #[test]
    fn calls_of_one_id_are_answered_in_their_order() {
        let called = json!({"role": "assistant", "tool_calls": [
            wire_call("x", "f", "{}"), wire_call("a", "g", "{}"), wire_call("x", "h", "{}"),
        ]});
        let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "y"});
        let messages = json!([called, tool("x"), tool("x"), tool("a")]);
        let names: Vec<_> = seeing(&messages, |request| {
            let results = request.turns[1].parts.iter().map(|part| match part {
                Part::Result(result) => result.name.clone().into_owned(),
                other => panic!("{other:?}"),
            });
            results.collect()
        });
        assert_eq!(names, ["f", "h", "g"]);
        let why = complaint(&json!([called, tool("x"), tool("x"), tool("x")]));
        assert!(why.starts_with("`messages[3].tool_call_id` is of no call"), "{why}");
        let why = complaint(&json!([called, tool("a")]));
        assert!(why.contains("the tool call `x`"), "{why}");
    }

    #[test]
    fn an_assistants_refusal_is_read_from_either_place() {
        for message in [
            json!({"role": "assistant", "content": null, "refusal": "no"}),
            json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}),
        ] {
            turns(&json!([message]), &[(Speaker::Model, vec![Part::Refusal("no".into())])]);
        }
    }

    #[test]
    fn what_sdks_send_along_says_nothing() {
        let message = json!({"role": "assistant", "content": "ho", "refusal": null, "annotations": [], "audio": null,
            "function_call": null, "tool_calls": null, "reasoning_content": null});
        let messages = json!([{"role": "user", "content": "hi"}, message]);
        assert_eq!(features(&messages), Features::NONE);
        turns(
            &messages,
            &[(Speaker::User, vec![Part::text("hi")]), (Speaker::Model, vec![Part::text("ho")])],
        );
    }

    #[test]
    fn what_others_lack_is_noted() {
        let user = |part: Value| json!([{"role": "user", "content": [part]}]);
        let custom = json!({"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}});
        for (messages, feature) in [
            (user(json!({"type": "file", "file": {"file_id": "file-1"}})), Feature::ProviderState),
            (user(json!({"type": "file", "file": {"file_data": "https://x/y.pdf"}})), Feature::DocumentUrl),
            (
                user(json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})),
                Feature::CacheMarks,
            ),
            (
                user(json!({"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}})),
                Feature::Other,
            ),
            (json!([{"role": "user", "content": "x", "name": "bob"}]), Feature::Other),
            (json!([{"role": "assistant", "audio": {"id": "audio_1"}}]), Feature::ProviderState),
            (
                json!([{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]),
                Feature::CustomTools,
            ),
            (json!([{"role": "function", "name": "f", "content": "x"}]), Feature::CustomTools),
            (
                json!([{"role": "assistant", "tool_calls": [custom]}, {"role": "tool", "tool_call_id": "c", "content": ""}]),
                Feature::CustomTools,
            ),
        ] {
            assert!(features(&messages).contains(feature), "{messages}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let user = |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]);
        let called = |call: Value| json!([{"role": "assistant", "tool_calls": [call]}]);
        let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
        let called_a = json!({"role": "assistant", "tool_calls": [wire_call("a", "f", "{}")]});
        for (messages, start) in [
            (json!([]), "`messages` must not"),
            (
                json!([{"role": "user", "content": "x"}, {"role": "wizard", "content": "x"}]),
                "`messages[1].role` ",
            ),
            (json!([{"content": "x"}]), "`messages[0].role` is missing"),
            (json!([{"role": "user"}]), "`messages[0].content` is missing"),
            (json!([{"role": "user", "content": 7}]), "`messages[0].content` "),
            (user(json!({"type": "text", "text": 7})), "`messages[0].content[1].text` "),
            (user(json!({"type": "text"})), "`messages[0].content[1].type` is `text`"),
            (user(json!({"type": "video_url"})), "`messages[0].content[1].type` is `video_url`"),
            (
                user(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,Q"}})),
                "`messages[0].content[1].image_url.url` is not valid base64",
            ),
            (
                user(json!({"type": "input_audio", "input_audio": {"data": "!", "format": "mp3"}})),
                "`messages[0].content[1].input_audio.data` is not valid base64",
            ),
            (user(json!({"type": "file", "file": {}})), "`messages[0].content[1].file.file_data` is missing"),
            (called(json!({"function": {"name": "f", "arguments": ""}})), "`messages[0].tool_calls[0].id` "),
            (called(wire_call("", "f", "{}")), "`messages[0].tool_calls[0].id` "),
            (called(wire_call("a", "", "{}")), "`messages[0].tool_calls[0].function.name` "),
            (called(json!({"id": "a"})), "`messages[0].tool_calls[0].function` is missing"),
            (called(wire_call("a", "f", "[1]")), "`messages[0].tool_calls[0].function.arguments` "),
            (called(wire_call("a", "f", "{\"x\":")), "`messages[0].tool_calls[0].function.arguments` "),
            (json!([called_a]), "`messages[0]` comes before the result of the tool call `a`"),
            (
                json!([called_a, {"role": "user", "content": "x"}, tool("a")]),
                "`messages[1]` comes before the result",
            ),
            (json!([called_a, called_a, tool("a")]), "`messages[1]` comes before the result"),
            (json!([called_a, tool("b")]), "`messages[1].tool_call_id` is of no call"),
            (json!([called_a, tool("a"), tool("a")]), "`messages[2].tool_call_id` is of no call"),
            (json!([tool("a")]), "`messages[0].tool_call_id` is of no call"),
            (json!([called_a, {"role": "tool", "content": "x"}]), "`messages[1].tool_call_id` is missing"),
            (
                json!([{"role": "system", "content": [{"type": "image_url", "image_url": "https://x"}]}]),
                "`messages[0].content[0].type` is `image_url`",
            ),
        ] {
            let why = complaint(&messages);
            assert!(why.starts_with(start), "{why} for {messages}");
        }
    }
}
