//! A request, written for a provider.
//!
//! Gemini wants turns to alternate, calls to be answered in the very next content, and nothing else beside the answers:
//! so what a user says beside results, pictures that a tool gave included, comes in a content behind them.

use super::config::Config;
use super::models;
use super::names::Names;
use super::said::{self, Content, FunctionCall, FunctionResponse, Given, Part};
use super::tools::{Choice, Tools};
use super::wire::bad;
use crate::translate::canonical::{self, Call, CallResult, Request, Signature, Speaker, Thought, Turn};
use crate::translate::peek::BadBody;
use crate::translate::sides::{Target, Written};
use crate::translate::signs::Api;
use serde::Serialize;
use std::borrow::Cow;

/// What a user says who says nothing: Gemini refuses a request without contents, and one that the model begins.
const SILENCE: &str = " ";
/// What stands in for the signature of a call that Gemini 3 didn't make, and would refuse without one. Source: Gemini API
/// guide "Thought signatures", on histories of other models.
const UNSIGNED: &str = "skip_thought_signature_validator";
/// What is lost where thoughts, or their signatures, don't go to their maker.
const THINKING: &str = "thinking";

/// `GenerateContentRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'w>>,
    contents: Vec<Content<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'w>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Choice<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<Config<'w>>,
}

/// Writes the body of `generateContent` and `streamGenerateContent`, which are alike. Source: Gemini API reference,
/// "Generating content".
///
/// # Errors
/// When the arguments of a call are no JSON object.
pub fn write(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let names = Names::of(request);
    written.renamed = names.renamed();
    let mut writing = Writing {
        names: &names,
        needs_signatures: models::family(target.model).needs_signatures,
        written: &mut written,
        contents: Vec::with_capacity(request.turns.len()),
    };
    for turn in &request.turns {
        match turn.speaker {
            Speaker::Model => writing.model(turn)?,
            Speaker::User => writing.user(turn),
        }
    }
    let mut contents = writing.contents;
    if contents.first().is_none_or(|content| content.role != Some(USER)) {
        contents.insert(0, Content { role: Some(USER), parts: vec![Part::text(SILENCE)] });
    }
    let body = Body {
        system_instruction: system(request),
        contents,
        tools: Tools::of(request, &names, &mut written),
        tool_config: Choice::of(request, &names),
        generation_config: Config::of(request, target, &mut written),
    };
    let capacity = 256 + request.turns.len() * 64;
    let mut out = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut out, &body).map_err(|error| BadBody(error.to_string()))?;
    written.body = out;
    Ok(written)
}

const USER: &str = "user";
const MODEL: &str = "model";

fn system<'w>(request: &'w Request<'_>) -> Option<Content<'w>> {
    let parts: Vec<_> = request.system.iter().filter_map(words).map(Part::text).collect();
    (!parts.is_empty()).then_some(Content { role: None, parts })
}

/// The words that a part has; Gemini refuses empty ones.
fn words<'w>(part: &'w canonical::Part<'_>) -> Option<&'w str> {
    match part {
        canonical::Part::Text(text) => Some(text.text.as_ref()),
        canonical::Part::Refusal(text) => Some(text.as_ref()),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// Contents on their way out.
struct Writing<'w, 'o> {
    names: &'w Names<'w>,
    needs_signatures: bool,
    written: &'o mut Written,
    contents: Vec<Content<'w>>,
}

impl<'w> Writing<'w, '_> {
    /// Appends what one says to what they said last, or begins anew.
    fn say(&mut self, role: &'static str, parts: Vec<Part<'w>>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(last) if last.role == Some(role) && !holds_results(last) => last.parts.extend(parts),
            _ => self.contents.push(Content { role: Some(role), parts }),
        }
    }

    fn model(&mut self, turn: &'w Turn<'_>) -> Result<(), BadBody> {
        let mut parts = Vec::with_capacity(turn.parts.len());
        let mut has_called = false;
        for part in &turn.parts {
            match part {
                canonical::Part::Text(_) | canonical::Part::Refusal(_) => {
                    parts.extend(words(part).map(Part::text))
                }
                canonical::Part::Media(media) => parts.push(self.medium(media)),
                canonical::Part::Thought(thought) => parts.extend(self.thought(thought)),
                canonical::Part::Call(call) => {
                    parts.push(self.call(call, !has_called)?);
                    has_called = true;
                }
                // The user's, and only there.
                canonical::Part::Result(_) => {}
            }
        }
        self.say(MODEL, parts);
        Ok(())
    }

    fn user(&mut self, turn: &'w Turn<'_>) {
        let (mut results, mut others) = (Vec::new(), Vec::new());
        for part in &turn.parts {
            match part {
                canonical::Part::Result(result) => {
                    results.push(self.result(result));
                    for part in &result.content {
                        if let canonical::Part::Media(media) = part {
                            others.push(self.medium(media));
                        }
                    }
                }
                canonical::Part::Media(media) => others.push(self.medium(media)),
                _ => others.extend(words(part).map(Part::text)),
            }
        }
        self.answer(results);
        self.say(USER, others);
    }

    /// Results go with results, though each may come as a turn of its own, and before all else since the call.
    fn answer(&mut self, results: Vec<Part<'w>>) {
        if results.is_empty() {
            return;
        }
        let called = self.contents.iter().rposition(|content| content.role == Some(MODEL));
        let at = called.map_or(0, |called| called + 1);
        match self.contents.get_mut(at) {
            Some(content) if holds_results(content) => content.parts.extend(results),
            _ => self.contents.insert(at, Content { role: Some(USER), parts: results }),
        }
    }

    fn medium(&mut self, media: &'w canonical::Media<'_>) -> Part<'w> {
        if media.name.is_some() {
            self.written.lose("file names");
        }
        said::medium(media)
    }

    fn call(&mut self, call: &'w Call<'_>, is_first: bool) -> Result<Part<'w>, BadBody> {
        let wrong = || bad(format_args!("arguments of the call {}", call.id), "must be a JSON object");
        let args = said::arguments(&call.arguments).ok_or_else(wrong)?;
        let own = call.signature.as_ref().and_then(|signature| self.own(signature));
        // Of calls made at once the first alone is signed.
        let is_missing = own.is_none() && is_first && self.needs_signatures;
        if is_missing {
            self.written.lose(THINKING);
        }
        let thought_signature = own.or(is_missing.then_some(UNSIGNED)).map(Cow::Borrowed);
        let function_call = FunctionCall { id: &call.id, name: self.names.sent(&call.name), args };
        Ok(Part { function_call: Some(function_call), thought_signature, ..Part::default() })
    }

    /// A thought that Gemini signed; others are none of its own.
    fn thought(&mut self, thought: &'w Thought<'_>) -> Option<Part<'w>> {
        let Some(signature) = &thought.signature else {
            self.written.lose(THINKING);
            return None;
        };
        let own = self.own(signature)?;
        let thought_signature = Some(Cow::Borrowed(own));
        let is_thought = !thought.is_redacted;
        Some(Part { thought: is_thought, thought_signature, ..Part::text(&thought.text) })
    }

    fn own(&mut self, signature: &'w Signature<'_>) -> Option<&'w str> {
        if signature.maker != Api::Generate {
            self.written.lose(THINKING);
            return None;
        }
        Some(signature.text.as_ref())
    }

    fn result(&mut self, result: &'w CallResult<'_>) -> Part<'w> {
        let mut texts = result.content.iter().filter_map(words);
        let first = texts.next().unwrap_or_default();
        let text = texts.fold(Cow::Borrowed(first), |all, text| Cow::Owned(format!("{all}\n{text}")));
        let response = match (&text, result.is_error) {
            (Cow::Borrowed(text), false) => said::object(text).map(Given::Object),
            // An error is told by its name, which a client of Gemini's has given already.
            (Cow::Borrowed(text), true) if says_error(text) => said::object(text).map(Given::Object),
            _ => None,
        };
        let name = if result.is_error { "error" } else { "result" };
        let response = response.unwrap_or(Given::Words(name, text));
        let (id, name) = (result.id.as_ref(), self.names.sent(&result.name));
        Part { function_response: Some(FunctionResponse { id, name, response }), ..Part::default() }
    }
}

fn holds_results(content: &Content<'_>) -> bool {
    content.parts.first().is_some_and(|part| part.function_response.is_some())
}

fn says_error(text: &str) -> bool {
    said::object(text)
        .and_then(super::members::Members::of)
        .is_some_and(|members| members.get("error").is_some())
}
