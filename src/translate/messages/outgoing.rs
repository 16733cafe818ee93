//! The conversation as a provider gets it: messages that alternate, begin with the user's, and hold no empty text.
//!
//! Source: Anthropic's reference of `messages`, and what its API says of conversations that it refuses.

use super::blocks::{Block, CacheControl, Input, Source};
use super::{NAMES, ids};
use crate::domain::Quoted;
use crate::translate::canonical::{self, CallResult, Media, MediaKind, Part, Request, Speaker, Thought};
use crate::translate::features::Feature;
use crate::translate::media::{base64, types};
use crate::translate::peek::BadBody;
use crate::translate::sides::Written;
use crate::translate::signs::Api;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashSet;

/// How many marks of the prompt cache one request may have. Source: Anthropic, "Prompt caching".
const MAX_CACHE_MARKS: usize = 4;

/// What the user says where a conversation begins with somebody else: the least that isn't refused as empty.
const OPENING: &str = ".";

/// The pictures that are taken, and what some call them. Source: `Base64ImageSourceParam`.
const IMAGES: [(&str, &str); 5] = [
    ("image/jpeg", "image/jpeg"),
    ("image/jpg", "image/jpeg"),
    ("image/png", "image/png"),
    ("image/gif", "image/gif"),
    ("image/webp", "image/webp"),
];

/// A message.
#[derive(Debug, Serialize)]
pub(super) struct Message<'w> {
    pub(super) role: Role,
    pub(super) content: Vec<Block<'w>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    User,
    Assistant,
}

/// What is shared by all that is written of a request.
pub(super) struct Outgoing<'o> {
    pub(super) written: &'o mut Written,
    /// So many marks are left out before the first is written.
    surplus_marks: usize,
}

impl<'o> Outgoing<'o> {
    /// For this request.
    pub(super) fn new(request: &Request<'_>, written: &'o mut Written) -> Outgoing<'o> {
        let said = request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.parts));
        let marks =
            request.tools.iter().filter(|tool| tool.ends_cache).count() + said.map(marks).sum::<usize>();
        let surplus_marks = marks.saturating_sub(MAX_CACHE_MARKS);
        if surplus_marks > 0 {
            written.lose(Feature::CacheMarks);
        }
        Outgoing { written, surplus_marks }
    }

    /// A mark, if there is to be one. The last are kept: each is of all before it.
    pub(super) fn mark(&mut self, ends_cache: bool) -> Option<CacheControl> {
        if ends_cache && self.surplus_marks > 0 {
            self.surplus_marks -= 1;
            return None;
        }
        ends_cache.then_some(CacheControl {})
    }

    /// Blocks of these parts.
    pub(super) fn blocks<'w>(&mut self, parts: &'w [Part<'_>]) -> Result<Vec<Block<'w>>, BadBody> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            blocks.extend(self.block(part)?);
        }
        Ok(blocks)
    }

    /// The turns, merged so that they alternate, results first.
    pub(super) fn messages<'w>(&mut self, request: &'w Request<'_>) -> Result<Vec<Message<'w>>, BadBody> {
        let mut messages = Vec::with_capacity(request.turns.len());
        for turn in &request.turns {
            let role = match turn.speaker {
                Speaker::User => Role::User,
                Speaker::Model => Role::Assistant,
            };
            messages.push(Message { role, content: self.blocks(&turn.parts)? });
        }
        Ok(merged(messages))
    }

    fn block<'w>(&mut self, part: &'w Part<'_>) -> Result<Option<Block<'w>>, BadBody> {
        Ok(match part {
            // What is nothing but white space is refused as if it were empty.
            Part::Text(text) if text.text.is_blank() => None,
            Part::Text(text) => {
                Some(Block::Text { text: text.text.borrowed(), cache_control: self.mark(text.ends_cache) })
            }
            Part::Refusal(text) => (!text.trim().is_empty()).then(|| Block::text(text.as_ref())),
            Part::Media(media) => Some(self.media(media)?),
            Part::Call(call) => Some(self.call(call)?),
            Part::Result(result) => Some(self.result(result)?),
            Part::Thought(thought) => self.thought(thought),
        })
    }

    fn call<'w>(&mut self, call: &'w canonical::Call<'_>) -> Result<Block<'w>, BadBody> {
        let input = match Input::of(&call.arguments) {
            Input::Invalid { .. } => {
                return Err(BadBody(format!(
                    "the arguments of the call `{}` are not a JSON object",
                    call.id
                )));
            }
            input => input,
        };
        let cache_control = self.mark(call.ends_cache);
        Ok(Block::ToolUse { id: ids::sent(&call.id), name: NAMES.sent(&call.name), input, cache_control })
    }

    fn result<'w>(&mut self, result: &'w CallResult<'_>) -> Result<Block<'w>, BadBody> {
        Ok(Block::ToolResult {
            tool_use_id: ids::sent(&result.id),
            content: self.blocks(&result.content)?,
            is_error: result.is_error,
            cache_control: self.mark(result.ends_cache),
        })
    }

    /// A thought goes back to its maker; nobody else's is taken.
    fn thought<'w>(&mut self, thought: &'w Thought<'_>) -> Option<Block<'w>> {
        let signature = thought.signature.as_ref().filter(|it| it.maker == Api::Messages);
        let Some(signature) = signature else {
            self.written.lose(Feature::ForeignThoughts);
            return None;
        };
        Some(if thought.is_redacted {
            Block::RedactedThinking { data: signature.text.as_ref().into() }
        } else {
            Block::thought(&thought.text, Some(signature))
        })
    }

    fn media<'w>(&mut self, media: &'w Media<'_>) -> Result<Block<'w>, BadBody> {
        let cache_control = self.mark(media.ends_cache);
        match media.kind {
            MediaKind::Image => Ok(Block::Image { source: image(&media.source)?, cache_control }),
            MediaKind::Document => Ok(Block::Document {
                source: document(&media.source)?,
                title: media.name.as_deref().filter(|title| !title.is_empty()),
                cache_control,
            }),
            MediaKind::Audio | MediaKind::Video => {
                Err(BadBody("this provider takes neither sound nor moving pictures".to_owned()))
            }
        }
    }
}

fn image<'w>(source: &'w canonical::Source<'_>) -> Result<Source<'w>, BadBody> {
    match source {
        canonical::Source::Inline { media_type, data } => {
            let known = IMAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(media_type));
            let Some((_, media_type)) = known else {
                let media_type = Quoted(media_type);
                return Err(BadBody(format!("this provider takes no images of type {media_type}")));
            };
            Ok(Source::Base64 { media_type, data })
        }
        canonical::Source::Url { url, .. } => Ok(Source::Url { url }),
        canonical::Source::Text(_) => Err(BadBody("an image can't be of words".to_owned())),
    }
}

/// A document: a PDF, or words. Others send plain text as bytes too.
fn document<'w>(source: &'w canonical::Source<'_>) -> Result<Source<'w>, BadBody> {
    let text = match source {
        canonical::Source::Url { url, .. } => return Ok(Source::Url { url }),
        canonical::Source::Text(text) => Cow::Borrowed(text.as_ref()),
        canonical::Source::Inline { media_type, data } if media_type == "application/pdf" => {
            return Ok(Source::Base64 { media_type, data });
        }
        canonical::Source::Inline { media_type, data } => {
            let text = if types::is_text(media_type) { base64::words(data) } else { None };
            text.map(Cow::Owned).ok_or_else(|| {
                let media_type = Quoted(media_type);
                BadBody(format!("this provider takes documents as PDF or text, not as {media_type}"))
            })?
        }
    };
    Ok(Source::Text { media_type: "text/plain", data: text })
}

/// How many marks a part has.
fn marks(part: &Part<'_>) -> usize {
    match part {
        Part::Text(text) => usize::from(text.ends_cache),
        Part::Media(media) => usize::from(media.ends_cache),
        Part::Call(call) => usize::from(call.ends_cache),
        Part::Result(result) => {
            usize::from(result.ends_cache) + result.content.iter().map(marks).sum::<usize>()
        }
        Part::Thought(_) | Part::Refusal(_) => 0,
    }
}

/// The messages without those that are empty, neighbours of one role made one.
pub(super) fn merged(messages: Vec<Message<'_>>) -> Vec<Message<'_>> {
    let mut merged: Vec<Message<'_>> = Vec::with_capacity(messages.len());
    for message in messages {
        match merged.last_mut() {
            _ if message.content.is_empty() => {}
            Some(last) if last.role == message.role => last.content.extend(message.content),
            _ => merged.push(message),
        }
    }
    for message in merged.iter_mut().filter(|message| message.role == Role::User) {
        message.content.sort_by_key(|block| !matches!(block, Block::ToolResult { .. }));
    }
    merged
}

/// Puts the user first. A conversation has to begin with its words, if only with [`OPENING`].
pub(super) fn open_with_user(messages: &mut Vec<Message<'_>>) {
    if messages.first().is_none_or(|first| first.role == Role::Assistant) {
        messages.insert(0, Message { role: Role::User, content: vec![Block::text(OPENING)] });
    }
}

/// Takes white space off the end of words that the model is to go on from; says whether there was any.
pub(super) fn trim_last(messages: &mut [Message<'_>]) -> bool {
    let last = messages.last_mut().filter(|last| last.role == Role::Assistant);
    let Some(Block::Text { text, .. }) = last.and_then(|last| last.content.last_mut()) else { return false };
    let plain = text.plain();
    let trimmed = plain.trim_end();
    let is_trimmed = trimmed.len() < plain.len();
    if is_trimmed {
        *text = trimmed.to_owned().into();
    }
    is_trimmed
}

/// Checks that results answer the calls of the message in front of them, all of them.
pub(super) fn check_results(messages: &[Message<'_>]) -> Result<(), BadBody> {
    for (index, message) in messages.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &messages[before]);
        let mut calls: HashSet<&str> =
            before.into_iter().flat_map(|it| &it.content).filter_map(call_id).collect();
        for id in message.content.iter().filter_map(result_id) {
            if !calls.remove(id) {
                return Err(BadBody(format!(
                    "the result for {} must directly follow its call, and only once",
                    Quoted(id)
                )));
            }
        }
        if let Some(id) = calls.into_iter().next() {
            return Err(BadBody(format!(
                "the call {} has no result in the turn that follows it",
                Quoted(id)
            )));
        }
    }
    let last = messages.last().and_then(|last| last.content.iter().find_map(call_id));
    last.map_or(Ok(()), |id| Err(BadBody(format!("the call {} has no result", Quoted(id)))))
}

fn call_id<'b>(block: &'b Block<'_>) -> Option<&'b str> {
    match block {
        Block::ToolUse { id, .. } => Some(id),
        _ => None,
    }
}

fn result_id<'b>(block: &'b Block<'_>) -> Option<&'b str> {
    match block {
        Block::ToolResult { tool_use_id, .. } => Some(tool_use_id),
        _ => None,
    }
}
