//! What is said in a client's request: messages of blocks, into turns of parts.
//!
//! Checks what every provider relies on: who may say what, and that each call of a tool has its result in the turn that
//! follows. Must not know what a provider can take; what only the vendor itself understands is noted as a feature.

use super::incoming::{Block, Content, Message, Place, Source as Origin};
use crate::domain::Quoted;
use crate::translate::canonical::{
    self, Call, CallResult, Media, MediaKind, Part, Source, Speaker, Text, Thought, Turn,
};
use crate::translate::features::{Feature, Features};
use crate::translate::field::Fault;
use crate::translate::media::{self, types};
use crate::translate::pieces::filled;
use crate::translate::signature;
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads messages one after another.
pub(super) struct Conversation<'a> {
    system: Vec<Part<'a>>,
    turns: Vec<Turn<'a>>,
    /// The calls so far by their id.
    calls: HashMap<Cow<'a, str>, Called<'a>>,
    /// How many of them have no result yet.
    open: usize,
    features: Features,
    /// What is wrong with calls that stand last, where an answer is wanted.
    unanswered: Option<Fault>,
}

/// A call that a result may refer to.
struct Called<'a> {
    name: Cow<'a, str>,
    is_answered: bool,
}

impl<'a> Conversation<'a> {
    /// Before anything is said.
    pub(super) fn new(features: Features) -> Conversation<'a> {
        Conversation {
            system: Vec::new(),
            turns: Vec::new(),
            calls: HashMap::new(),
            open: 0,
            features,
            unanswered: None,
        }
    }

    /// Puts what was said into a request.
    pub(super) fn finish(self, request: &mut canonical::Request<'a>) {
        request.unanswered = self.unanswered.map(|fault| Box::new(fault.into()));
        request.system = self.system;
        request.turns = self.turns;
        request.features = self.features;
    }

    /// Reads a piece of the system prompt: words.
    pub(super) fn add_system(&mut self, content: Content<'a>) -> Result<(), Fault> {
        let parts = self.parts(content, |this, block, parts| {
            if block.kind != "text" {
                return Err(Fault::at("type", "must be text in a system prompt"));
            }
            parts.push(this.text(block)?);
            Ok(())
        })?;
        self.system.extend(parts);
        Ok(())
    }

    /// Reads the messages. Those of the system, which newer clients may have anywhere, go to the system prompt.
    pub(super) fn add(&mut self, messages: Vec<Message<'a>>) -> Result<(), Fault> {
        if messages.is_empty() {
            return Err(Fault::at("messages", "must have at least one message"));
        }
        let mut last_user = 0;
        for (index, Message { role, content }) in messages.into_iter().enumerate() {
            let at = || format!("messages[{index}]");
            let speaker = match role.as_ref() {
                "user" => Speaker::User,
                "assistant" => Speaker::Model,
                "system" => {
                    self.add_system(content).map_err(|it| it.within("content").within(at()))?;
                    continue;
                }
                _ => return Err(Fault::at("role", "must be user, assistant or system").within(at())),
            };
            match speaker {
                Speaker::User => last_user = index,
                Speaker::Model => self.check_answered(last_user)?,
            }
            let parts = self.parts(content, |this, block, parts| this.block(block, speaker, parts));
            let parts = parts.map_err(|it| it.within("content").within(at()))?;
            self.turns.push(Turn { speaker, parts });
        }
        self.check_answered(last_user)?;
        self.unanswered = self.first_open().map(|id| {
            Fault::at(
                "messages",
                format!("ends with the tool_use {}; send its tool_result after it", Quoted(id)),
            )
        });
        Ok(())
    }

    /// The id of a call that has no result, the same one each time. Looks at every call, so it is for the end.
    fn first_open(&self) -> Option<&str> {
        if self.open == 0 {
            return None;
        }
        self.calls.iter().filter(|(_, called)| !called.is_answered).map(|(id, _)| id.as_ref()).min()
    }

    /// Every call has to be answered in the turn of the user that follows it, whose last message is `index`.
    fn check_answered(&self, index: usize) -> Result<(), Fault> {
        let follows_model = self.turns.last().is_none_or(|turn| turn.speaker == Speaker::Model);
        if follows_model {
            return Ok(());
        }
        let Some(id) = self.first_open() else { return Ok(()) };
        Err(Fault::at(
            format!("messages[{index}].content"),
            format!("lacks the result of the tool_use {}", Quoted(id)),
        ))
    }

    /// A content's parts: its one text, or what `read` finds in its blocks.
    fn parts(
        &mut self,
        content: Content<'a>,
        read: impl Fn(&mut Self, Block<'a>, &mut Vec<Part<'a>>) -> Result<(), Fault>,
    ) -> Result<Vec<Part<'a>>, Fault> {
        let blocks = match content {
            Content::Text(text) => return Ok(vec![Part::text(text)]),
            Content::List(blocks) => blocks,
            Content::Other => return Err(no_content()),
        };
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.into_iter().enumerate() {
            read(self, block, &mut parts).map_err(|it| it.within(format!("[{index}]")))?;
        }
        Ok(parts)
    }

    fn block(&mut self, block: Block<'a>, speaker: Speaker, parts: &mut Vec<Part<'a>>) -> Result<(), Fault> {
        match (block.kind.as_ref(), speaker) {
            ("tool_use", Speaker::Model) => {
                let call = self.call(block, parts)?;
                parts.push(Part::Call(call));
            }
            ("thinking", Speaker::Model) => {
                let text = block.thinking.ok_or_else(|| Fault::missing("thinking"))?.0;
                parts.push(self.thought(text, filled(block.signature), false));
            }
            ("redacted_thinking", Speaker::Model) => {
                let data = filled(block.data).ok_or_else(|| Fault::missing("data"))?;
                parts.push(self.thought("".into(), Some(data), true));
            }
            ("tool_result", Speaker::User) => {
                let result = self.result(block)?;
                parts.push(Part::Result(result));
            }
            ("tool_use" | "thinking" | "redacted_thinking", Speaker::User) => {
                return Err(Fault::at("type", format!("{} is the assistant's to say", block.kind)));
            }
            ("tool_result", Speaker::Model) => {
                return Err(Fault::at("type", "tool_result is the user's to say"));
            }
            _ => self.plain(block, parts)?,
        }
        Ok(())
    }

    /// A block that may stand in a result too.
    fn plain(&mut self, block: Block<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), Fault> {
        match block.kind.as_ref() {
            "text" => {
                let text = self.text(block)?;
                parts.push(text);
            }
            "image" => self.media(block, MediaKind::Image, parts)?,
            "document" => self.media(block, MediaKind::Document, parts)?,
            "search_result" => {
                let media = self.search_result(block)?;
                parts.push(Part::Media(media));
            }
            kind => self.features.insert(elsewhere(kind).ok_or_else(unknown)?),
        }
        Ok(())
    }

    fn text(&mut self, block: Block<'a>) -> Result<Part<'a>, Fault> {
        let text = block.text.ok_or_else(|| Fault::missing("text"))?;
        let ends_cache = self.ends_cache(block.cache_control.is_some());
        self.features.insert_if(quotes(block.citations), Feature::Citations);
        Ok(Part::Text(Text { text, ends_cache }))
    }

    fn ends_cache(&mut self, ends_cache: bool) -> bool {
        self.features.insert_if(ends_cache, Feature::CacheMarks);
        ends_cache
    }

    /// A thought, of whose maker its signature tells. One that another than its maker can't have is noted; whoever
    /// writes a request notes those of other makers.
    fn thought(
        &mut self,
        text: Cow<'a, str>,
        signature: Option<Cow<'a, str>>,
        is_redacted: bool,
    ) -> Part<'a> {
        let signature = signature.map(|text| signature::unwrap(text, Api::Messages).0);
        let is_own = signature.as_ref().is_some_and(|it| it.maker == Api::Messages);
        self.features.insert_if(is_own, Feature::ForeignThoughts);
        Part::Thought(Thought { text, signature, is_redacted })
    }

    fn call(&mut self, block: Block<'a>, before: &mut Vec<Part<'a>>) -> Result<Call<'a>, Fault> {
        let id = filled(block.id).ok_or_else(|| Fault::missing("id"))?;
        let name = filled(block.name).ok_or_else(|| Fault::missing("name"))?;
        let input = block.input.ok_or_else(|| Fault::missing("input"))?;
        if !input.get().starts_with('{') {
            return Err(Fault::at("input", "must be a JSON object"));
        }
        let called = Called { name: name.clone(), is_answered: false };
        if self.calls.insert(id.clone(), called).is_some_and(|before| !before.is_answered) {
            return Err(Fault::at("id", "is that of another call"));
        }
        self.open += 1;
        Ok(Call {
            id,
            name,
            arguments: input.get().into(),
            signature: signature_before(before),
            ends_cache: self.ends_cache(block.cache_control.is_some()),
        })
    }

    fn result(&mut self, block: Block<'a>) -> Result<CallResult<'a>, Fault> {
        let id = filled(block.tool_use_id).ok_or_else(|| Fault::missing("tool_use_id"))?;
        let called = self.calls.get_mut(&id);
        let called = called.ok_or_else(|| Fault::at("tool_use_id", "is that of no earlier tool_use"))?;
        if std::mem::replace(&mut called.is_answered, true) {
            return Err(Fault::at("tool_use_id", "has a result already"));
        }
        self.open -= 1;
        let name = called.name.clone();
        let ends_cache = self.ends_cache(block.cache_control.is_some());
        let content = match block.content {
            None => Vec::new(),
            Some(content) => self.parts(content, Self::plain).map_err(|it| it.within("content"))?,
        };
        Ok(CallResult { id, name, content, is_error: block.is_error.unwrap_or_default(), ends_cache })
    }

    fn media(&mut self, block: Block<'a>, kind: MediaKind, parts: &mut Vec<Part<'a>>) -> Result<(), Fault> {
        let Some(Place::Source(origin)) = block.source else { return Err(Fault::missing("source")) };
        let ends_cache = self.ends_cache(block.cache_control.is_some());
        self.features.insert_if(quotes(block.citations), Feature::Citations);
        self.features.insert_if(block.transformations.is_some(), Feature::Other);
        // What a model is to know of a document is said in front of it, where there is no other place for it.
        parts.extend(filled(block.context).map(Part::text));
        let name = block.title.map(|it| it.0);
        let source = self.source(*origin, kind).map_err(|it| it.within("source"))?;
        let Some(source) = source else { return Ok(()) };
        let media = Media { kind, source, name, ends_cache };
        media::note(&media, &mut self.features);
        parts.push(Part::Media(media));
        Ok(())
    }

    /// Where a medium is; `None` for one that only the vendor has.
    fn source(&mut self, origin: Origin<'a>, kind: MediaKind) -> Result<Option<Source<'a>>, Fault> {
        let source = match origin.kind.as_ref() {
            "base64" => {
                let media_type = filled(origin.media_type).ok_or_else(|| Fault::missing("media_type"))?;
                if !types::is_type(&media_type) {
                    return Err(Fault::at("media_type", media::NO_TYPE));
                }
                if kind == MediaKind::Image && types::kind_of(&media_type) != kind {
                    return Err(Fault::at("media_type", media::NO_IMAGE));
                }
                let data = filled(origin.data).ok_or_else(|| Fault::missing("data"))?;
                media::inline(media_type, data).map_err(|why| Fault::at("data", why))?
            }
            "url" => {
                let url = filled(origin.url).ok_or_else(|| Fault::missing("url"))?;
                media::fetched(url).map_err(|why| Fault::at("url", why))?
            }
            "text" if kind == MediaKind::Document => {
                Source::Text(origin.data.ok_or_else(|| Fault::missing("data"))?.0)
            }
            "content" if kind == MediaKind::Document => {
                let content = origin.content.ok_or_else(|| Fault::missing("content"))?;
                Source::Text(self.words_of(content).map_err(|it| it.within("content"))?)
            }
            "file" => {
                self.features.insert(Feature::ProviderState);
                return Ok(None);
            }
            _ => {
                return Err(Fault::at(
                    "type",
                    "must be base64, url, file, or for a document text or content",
                ));
            }
        };
        Ok(Some(source))
    }

    /// The blocks of a document, as the lines of one text. Only the vendor cites them one by one, and only there may
    /// they be pictures.
    fn words_of(&mut self, content: Content<'a>) -> Result<Cow<'a, str>, Fault> {
        let blocks = match content {
            Content::Text(text) => return Ok(text.into_plain()),
            Content::List(blocks) => blocks,
            Content::Other => return Err(no_content()),
        };
        let mut texts = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.into_iter().enumerate() {
            if block.kind == "text" {
                let text = block.text.map(Verbatim::into_plain).filter(|text| !text.is_empty());
                texts.push(text.ok_or_else(|| Fault::missing("text").within(format!("[{index}]")))?);
            } else {
                self.features.insert(Feature::ForeignContent);
            }
        }
        Ok(match <[Cow<'a, str>; 1]>::try_from(texts) {
            Ok([text]) => text,
            Err(texts) => texts.join("\n").into(),
        })
    }

    /// What a search of the client's own found is a document of words. Where it was found is for quotations only.
    fn search_result(&mut self, block: Block<'a>) -> Result<Media<'a>, Fault> {
        self.features.insert(Feature::Citations);
        let content = block.content.ok_or_else(|| Fault::missing("content"))?;
        let text = self.words_of(content).map_err(|it| it.within("content"))?;
        Ok(Media {
            kind: MediaKind::Document,
            source: Source::Text(text),
            name: block.title.map(|it| it.0),
            ends_cache: self.ends_cache(block.cache_control.is_some()),
        })
    }
}

fn no_content() -> Fault {
    Fault::at("", "must be a string or a list of blocks")
}

/// What a call's maker wants back with it travels in front of it, in a thought without words: a `tool_use` has no place
/// for it. [`super::encoder`] puts it there.
fn signature_before<'a>(parts: &mut Vec<Part<'a>>) -> Option<canonical::Signature<'a>> {
    let foreign = parts.pop_if(|part| match part {
        Part::Thought(Thought { text, signature: Some(signature), is_redacted: false }) => {
            text.is_empty() && signature.maker != Api::Messages
        }
        _ => false,
    });
    match foreign {
        Some(Part::Thought(thought)) => thought.signature,
        _ => None,
    }
}

/// Blocks that only the vendor understands, as Anthropic's SDK for Python 2.12 has them.
const ELSEWHERE: [(&str, Feature); 10] = [
    ("browser_state", Feature::ForeignContent),
    ("compaction", Feature::ForeignContent),
    ("container_upload", Feature::ProviderState),
    ("fallback", Feature::ForeignContent),
    ("mcp_tool_listing", Feature::ServerTools),
    ("mcp_tool_use", Feature::ServerTools),
    ("server_tool_use", Feature::ServerTools),
    ("tool_addition", Feature::ServerTools),
    ("tool_reference", Feature::ServerTools),
    ("tool_removal", Feature::ServerTools),
];

/// What a block is that only the vendor understands; `None` for one that nobody knows.
fn elsewhere(kind: &str) -> Option<Feature> {
    let known = ELSEWHERE.iter().find(|(name, _)| *name == kind).map(|(_, feature)| *feature);
    known.or_else(|| kind.ends_with("_tool_result").then_some(Feature::ServerTools))
}

fn unknown() -> Fault {
    Fault::at("type", "is no type of a block that can be put into another provider's words")
}

/// Whether there are quotations, or are to be some: a list with something in it, or an object that says so.
fn quotes(citations: Option<&RawValue>) -> bool {
    citations.is_some_and(|it| match it.get().as_bytes() {
        [b'[', inner @ .., b']'] => !inner.trim_ascii().is_empty(),
        object => object.ends_with(b"}") && memchr::memmem::find(object, b"true").is_some(),
    })
}
