//! What has to survive a translation, whatever the dialects: what is said, called and given, and by whom.
//!
//! Not all of a request or answer: what a dialect has no place for may be lost, and is named to the client.

use crate::domain::TokenUsage;
use crate::translate::canonical::MediaKind;
use crate::translate::canonical::{Answer, Call, Event, Finish, Part, Request, Source, Speaker, Turn};
use std::collections::VecDeque;

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// What its result refers to.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The JSON text.
    pub arguments: String,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which of the calls, counted from the first.
    pub call: usize,
    /// Its words, without white space.
    pub words: String,
}

/// A conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// All that the model is told first, without white space: who writes it may part texts by lines.
    pub system: String,
    /// All that the user says, without white space.
    pub user: String,
    /// All that the model says, without white space.
    pub model: String,
    /// All calls, in order.
    pub calls: Vec<Called>,
    /// All results, in the order of their calls.
    pub given: Vec<Given>,
    /// The pictures that are in the request itself, in order.
    pub pictures: Vec<String>,
    /// Whether there are documents of words, which some dialects take as texts.
    pub has_documents: bool,
    /// The names of the tools.
    pub tools: Vec<String>,
}

/// What a picture's media type begins with, in either case (RFC 9110, section 8.3.1).
const IMAGE: &str = "image/";

impl Conversation {
    /// What a request says.
    pub fn of(request: &Request<'_>) -> Conversation {
        let mut conversation = Conversation {
            system: words(&request.system),
            tools: request.tools.iter().map(|tool| tool.name.clone().into_owned()).collect(),
            ..Conversation::default()
        };
        let mut open = VecDeque::new();
        for turn in &request.turns {
            conversation.take(turn, &mut open);
        }
        conversation.given.sort_by_key(|given| given.call);
        conversation
    }

    fn take(&mut self, turn: &Turn<'_>, open: &mut VecDeque<(String, usize)>) {
        let said = words(&turn.parts);
        match turn.speaker {
            Speaker::User => self.user.push_str(&said),
            Speaker::Model => self.model.push_str(&said),
        }
        for part in &turn.parts {
            match part {
                Part::Call(call) => {
                    open.push_back((call.id.clone().into_owned(), self.calls.len()));
                    self.calls.push(called(call));
                }
                Part::Result(result) => {
                    let of = open.iter().position(|(id, _)| *id == result.id);
                    let call = of.and_then(|at| open.remove(at)).map_or(usize::MAX, |(_, call)| call);
                    self.given.push(Given { call, words: words(&result.content) });
                    self.see_pictures(&result.content);
                }
                _ => {}
            }
        }
        if turn.speaker == Speaker::User {
            self.see_pictures(&turn.parts);
        }
    }

    fn see_pictures(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            let Part::Media(media) = part else { continue };
            match (&media.source, media.kind) {
                // What says that it is something else may be taken at its word.
                (Source::Inline { media_type, data }, MediaKind::Image)
                    if media_type.get(..IMAGE.len()).is_some_and(|main| main.eq_ignore_ascii_case(IMAGE)) =>
                {
                    self.pictures.push(data.clone().into_owned());
                }

                (Source::Text(_), _) | (_, MediaKind::Document) => self.has_documents = true,
                _ => {}
            }
        }
    }
}

/// An answer, whole or streamed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// All words for the reader, in order, a refusal's among them.
    pub words: String,
    /// All calls, in order.
    pub calls: Vec<Called>,
    finish: Option<&'static str>,
    usage: TokenUsage,
    /// Whether the stream was ended in order.
    pub is_ended: bool,
    /// Whether nothing has come behind the last call but its arguments.
    is_calling: bool,
}

impl Said {
    /// What a whole answer says.
    pub fn of(answer: &Answer<'_>) -> Said {
        let mut said = Said { is_ended: true, ..Said::default() };
        for part in &answer.parts {
            match part {
                Part::Text(text) => said.words.push_str(&text.text.plain()),
                Part::Refusal(text) => said.words.push_str(text),
                Part::Call(call) => said.calls.push(called(call)),
                Part::Media(_) | Part::Result(_) | Part::Thought(_) => {}
            }
        }
        said.finish = Some(finish(&answer.finish));
        said.usage = answer.usage;
        said
    }

    /// Why it stopped, if it did: so far as every dialect tells it. Who calls waits for results, whatever is said.
    pub fn finish(&self) -> Option<&'static str> {
        match self.finish {
            Some("stop" | "calls") => Some(if self.calls.is_empty() { "stop" } else { "calls" }),
            other => other,
        }
    }

    /// Tokens in and out.
    pub fn tokens(&self) -> (u64, u64) {
        (self.usage.input_total(), self.usage.output)
    }

    /// Takes what a stream of the Responses API says in the end.
    pub fn count(&mut self, input: u64, output: u64) {
        self.usage = TokenUsage { input, output, ..TokenUsage::default() };
    }

    /// Takes the next event of a stream.
    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(text) | Event::Refusal(text) => {
                self.words.push_str(text);
                self.is_calling = false;
            }
            Event::Call { id, name, .. } => {
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                self.calls.push(Called { id, name, arguments: String::new() });
                self.is_calling = true;
            }
            Event::Arguments(text) => {
                assert!(self.is_calling, "arguments belong to the call right before them: {text:?}");
                if let Some(call) = self.calls.last_mut() {
                    call.arguments.push_str(text);
                }
            }
            Event::Usage(usage) => self.usage = self.usage.larger(*usage),
            Event::Finish(reason) => self.finish = Some(finish(reason)),
            Event::End => self.is_ended = true,
            Event::Thought(_) | Event::ThoughtSignature(_) | Event::Redacted(_) => self.is_calling = false,
            Event::Start { .. } => {}
        }
    }
}

fn called(call: &Call<'_>) -> Called {
    let [id, name, arguments] = [&call.id, &call.name, &call.arguments].map(|text| text.clone().into_owned());
    Called { id, name, arguments }
}

fn finish(finish: &Finish<'_>) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "calls",
        Finish::ContentFilter => "filter",
    }
}

/// The words of texts and refusals, without white space.
fn words(parts: &[Part<'_>]) -> String {
    let mut words = String::new();
    for part in parts {
        match part {
            Part::Text(text) => words.extend(text.text.plain().chars().filter(|it| !it.is_whitespace())),
            Part::Refusal(text) => words.extend(text.chars().filter(|it| !it.is_whitespace())),
            _ => {}
        }
    }
    words
}
