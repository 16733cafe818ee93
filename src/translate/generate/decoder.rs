//! A provider's stream, event by event. Each is a whole response with what is new; calls come whole.

use super::calls::Ids;
use super::wire::{Candidate, Part, Response};
use super::{answer, finish, parts};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish};
use crate::translate::pieces::Str;
use crate::translate::reader;
use crate::translate::spoilt::Spoilt;
use crate::translate::verbatim::Verbatim;

/// Reads the events of one stream, in their order. Budget: 2 µs an event; nothing of what was said is kept.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Made at the first event.
    ids: Option<Ids>,
    usage: TokenUsage,
    last_is_thought: bool,
    has_called: bool,
    /// Why the model stopped, as far as it has said: the last reason counts. One may come before the last event, with
    /// the result of code that it ran, or with each.
    finish: Option<Finish<'static>>,
    /// What is wrong where a call failed or can't be made: what the client got isn't what the model would have said.
    spoilt: Option<Spoilt>,
    has_ended: bool,
}

impl Decoder {
    /// Takes one event's JSON; `false` for one that isn't understood, and is passed over. Source: Gemini API
    /// reference, `models.streamGenerateContent`.
    pub fn see(&mut self, data: &[u8], out: &mut dyn FnMut(Event<'_>)) -> bool {
        let Ok(response) = reader::read_bytes::<Response<'_>>(data) else { return false };
        let blocked = response.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some();
        if response.candidates.is_none() && !blocked && response.usage_metadata.is_none() {
            return false;
        }
        if self.ids.is_none() {
            let id = response.response_id.unwrap_or_default().0;
            self.ids = Some(Ids::of(&id, data));
            out(Event::Start { id, model: response.model_version.unwrap_or_default().0 });
        }
        let usage = answer::tokens(response.usage_metadata).filter(|usage| *usage != self.usage);
        if let Some(usage) = usage {
            self.usage = usage;
            out(Event::Usage(usage));
        }
        let is_first = |candidate: &Candidate<'_>| candidate.index.unwrap_or(0) == 0;
        if let Some(candidate) = response.candidates.into_iter().flatten().find(is_first) {
            self.candidate(candidate, out);
        }
        if blocked {
            self.finish = Some(Finish::ContentFilter);
        }
        true
    }

    /// Says that the provider's stream is over. One that broke off before it was finished is owed no end.
    pub fn finish(&mut self, out: &mut dyn FnMut(Event<'_>)) {
        if !self.is_finished() || std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        out(Event::Finish(match self.finish.take() {
            Some(finish) if finish != Finish::Stop || !self.has_called => finish,
            _ => Finish::ToolCalls,
        }));
        out(Event::End);
    }

    /// Whether the model has said why it stopped; there may still be more of what it had to say.
    pub fn is_finished(&self) -> bool {
        self.spoilt.is_none() && (self.finish.is_some() || self.has_ended)
    }

    /// What is wrong where what was said isn't whole: nothing more is heard of it, nor a finish.
    pub fn spoilt(&self) -> Option<Spoilt> {
        self.spoilt
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut dyn FnMut(Event<'_>)) {
        for part in candidate.content.unwrap_or_default().parts.0 {
            if self.spoilt.is_none() {
                self.part(part, out);
            }
        }
        if let Some(Str(reason)) = candidate.finish_reason.filter(|reason| !reason.0.is_empty()) {
            match finish::read(&reason, self.has_called) {
                Ok(finish) => self.finish = Some(finish),
                Err(spoilt) => self.spoilt = self.spoilt.or(Some(spoilt)),
            }
        }
    }

    fn part(&mut self, part: Part<'_>, out: &mut dyn FnMut(Event<'_>)) {
        let signature = part.thought_signature.filter(|text| !text.0.is_empty());
        if let (Some(call), Some(ids)) = (part.function_call, &mut self.ids) {
            let Some(call) = answer::read_call(call, signature, ids) else {
                self.spoilt = Some(Spoilt::BAD_CALL);
                return;
            };
            self.has_called = true;
            self.last_is_thought = false;
            out(Event::Call { id: call.id, name: call.name, signature: call.signature });
            out(Event::Arguments(call.arguments));
            return;
        }
        let is_thought = part.thought == Some(true);
        if let Some(text) = part.text.map(Verbatim::into_plain).filter(|text| !text.is_empty()) {
            self.last_is_thought = is_thought;
            out(if is_thought { Event::Thought(text) } else { Event::Text(text) });
        }
        let Some(Str(text)) = signature else { return };
        let signature = parts::given(text);
        // Beside words, or beside nothing, it is all that is known of a thought.
        let is_of_thought = is_thought && std::mem::replace(&mut self.last_is_thought, false);
        out(if is_of_thought { Event::ThoughtSignature(signature) } else { Event::Redacted(signature) });
    }
}
