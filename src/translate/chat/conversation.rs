//! A client's messages, into the hub: who said what, and that every call has its result where it belongs.

use super::wire::Maybe;
use crate::domain::Quoted;
use crate::translate::canonical::{
    Call, CallResult, Media, MediaKind, Part, Request, Speaker, Text, Thought, Turn,
};
use crate::translate::elements;
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

const _: () = elements::fit::<Message<'_>>();
const _: () = elements::fit::<ContentPart<'_>>();
const _: () = elements::fit::<WireCall<'_>>();

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
            "comes before the result of the tool call {}, or is the last without it; a tool message must directly \
             follow the call",
            Quoted(id)
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
                    let kind = Quoted(kind);
                    let why = format!(
                        "is {kind}, which this role's content can't have, or lacks what belongs to it"
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
mod tests;
