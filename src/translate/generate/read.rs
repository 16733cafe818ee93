//! A client's request, read into the hub's words.
//!
//! Whether a stream is asked for, and of which model, stands in the path and isn't known here.

use super::calls::{Calls, MAX_OPEN};
use super::wire::{self, Body, Content, FunctionCall, FunctionResponse, Part as Wire, Str, System, bad};
use super::{config, parts, tools};
use crate::translate::canonical::{Call, CallResult, Media, MediaKind, Part, Request, Source, Speaker, Turn};
use crate::translate::features::Feature;
use crate::translate::peek::BadBody;
use crate::translate::signs::Api;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

/// Who speaks. `function` is what the first SDKs called the tools' turn; without a role it is the user's.
const ROLES: [(&str, Speaker); 4] =
    [("user", Speaker::User), ("model", Speaker::Model), ("function", Speaker::User), ("", Speaker::User)];

/// Reads the body of `generateContent` or `streamGenerateContent`. [`Request::streams`] is for the caller to say, who
/// knows the path. Source: Gemini API reference, "Generating content".
///
/// # Errors
/// When it isn't what the reference says in a way that can't be served; the field is named.
pub fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let body: Body<'_> = wire::parse(body)?;
    let mut reading = Reading::default();
    let request = &mut reading.request;
    let has_filter = body.safety_settings.is_some() || body.model_armor_config.is_some();
    request.features.insert_if(has_filter, Feature::SafetySettings);
    request.features.insert_if(body.cached_content.is_some(), Feature::ProviderState);
    request.features.insert_if(body.service_tier.is_some(), Feature::ServiceTier);
    request.features.insert_if(body.labels.is_some() || body.store.is_some(), Feature::Labels);
    if let Some(said) = body.system_instruction {
        request.system = system(said)?;
    }
    tools::read(request, body.tools.0, body.tool_config)?;
    if let Some(config) = body.generation_config {
        config::read(request, config)?;
    }
    for (index, content) in body.contents.0.into_iter().enumerate() {
        reading.content(index, content)?;
    }
    reading.calls.settle()?;
    Ok(reading.request)
}

/// What is told before all turns: texts, and nothing else.
fn system(said: System<'_>) -> Result<Vec<Part<'_>>, BadBody> {
    let content = match said {
        System::Text(text) => return Ok(vec![Part::text(text)]),
        System::Content(content) => content,
    };
    let mut texts = Vec::with_capacity(content.parts.0.len());
    for (index, part) in content.parts.0.into_iter().enumerate() {
        let field = || format!("systemInstruction.parts[{index}]");
        let Str(text) = part.text.ok_or_else(|| bad(field(), "only text can be an instruction"))?;
        texts.push(Part::text(text));
    }
    Ok(texts)
}

/// A conversation on its way through.
#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    calls: Calls<'a>,
}

impl<'a> Reading<'a> {
    fn content(&mut self, index: usize, content: Content<'a>) -> Result<(), BadBody> {
        let role = content.role.unwrap_or_default().0;
        let speaker = ROLES.iter().find(|(name, _)| *name == role);
        let Some(&(_, speaker)) = speaker else {
            return Err(bad(format_args!("contents[{index}].role"), "must be `user` or `model`"));
        };
        // What a model said comes back in the pieces of its stream, each a content of its own.
        let goes_on = self.request.turns.last().is_some_and(|turn| turn.speaker == speaker);
        let mut said = match (speaker, goes_on) {
            (Speaker::Model, true) => self.request.turns.pop().map_or_else(Vec::new, |turn| turn.parts),
            (Speaker::Model, false) => {
                self.calls.settle()?;
                Vec::new()
            }
            (Speaker::User, _) => Vec::new(),
        };
        for (part, wire) in content.parts.0.into_iter().enumerate() {
            match speaker {
                Speaker::Model => self.model_part((index, part), wire, &mut said)?,
                Speaker::User => self.user_part((index, part), wire, &mut said)?,
            }
        }
        if !said.is_empty() {
            self.request.turns.push(Turn { speaker, parts: said });
        }
        Ok(())
    }

    fn model_part(
        &mut self,
        at: (usize, usize),
        part: Wire<'a>,
        said: &mut Vec<Part<'a>>,
    ) -> Result<(), BadBody> {
        let is_thought = part.thought == Some(true);
        let signature = part.thought_signature.as_ref().map(|Str(text)| text.clone());
        // What another maker signed goes back to it, and who can't give it back says so itself.
        let is_own = signature.as_ref().is_none_or(|text| parts::maker(text) == Api::Generate);
        let is_foreign_elsewhere = is_own && (is_thought || signature.is_some());
        self.request.features.insert_if(is_foreign_elsewhere, Feature::ForeignThoughts);
        let Some(call) = part.function_call else {
            if part.function_response.is_some() {
                return Err(bad(Place(at, ".functionResponse"), "only the user's side answers a call"));
            }
            let text = part.text.as_ref().map(|Str(text)| text.clone());
            let medium = self.media(at, part)?;
            parts::push_words(said, text, is_thought, signature);
            said.extend(medium);
            return Ok(());
        };
        said.push(Part::Call(self.call(at, call, signature)?));
        Ok(())
    }

    fn call(
        &mut self,
        at: (usize, usize),
        call: FunctionCall<'a>,
        signature: Option<Cow<'a, str>>,
    ) -> Result<Call<'a>, BadBody> {
        let name = call.name.0;
        if name.is_empty() {
            return Err(bad(Place(at, ".functionCall.name"), "must name a function"));
        }
        let arguments = call.args.map_or("{}", RawValue::get);
        if !arguments.starts_with('{') {
            return Err(bad(Place(at, ".functionCall.args"), "must be a JSON object"));
        }
        let id = call.id.map(|Str(id)| id).filter(|id| !id.is_empty());
        let too_many = || bad(Place(at, ".functionCall"), format_args!("more than {MAX_OPEN} calls at once"));
        let id = self.calls.call(at, id, &name).ok_or_else(too_many)?;
        let signature = signature.map(super::signature::unwrapped);
        Ok(Call { id, name, arguments: arguments.into(), signature, ends_cache: false })
    }

    fn user_part(
        &mut self,
        at: (usize, usize),
        part: Wire<'a>,
        said: &mut Vec<Part<'a>>,
    ) -> Result<(), BadBody> {
        if part.function_call.is_some() {
            return Err(bad(Place(at, ".functionCall"), "only the model calls; set the role to `model`"));
        }
        if let Some(result) = part.function_response {
            said.push(Part::Result(self.result(at, result)?));
            return Ok(());
        }
        said.extend(part.text.as_ref().map(|Str(text)| Part::text(text.clone())));
        said.extend(self.media(at, part)?);
        Ok(())
    }

    fn result(
        &mut self,
        at: (usize, usize),
        result: FunctionResponse<'a>,
    ) -> Result<CallResult<'a>, BadBody> {
        let given = |text: &Option<Str<'a>>| {
            text.as_ref().map(|Str(text)| text.clone()).filter(|text| !text.is_empty())
        };
        let (id, name) = (given(&result.id), given(&result.name));
        let Some((id, name)) = self.calls.result(id.as_deref(), name.as_deref()) else {
            let why = "no functionCall of the turn before has this id, or else this name";
            return Err(bad(Place(at, ".functionResponse"), why));
        };
        let response = result.response.map_or("{}", RawValue::get);
        if !response.starts_with('{') {
            return Err(bad(Place(at, ".functionResponse.response"), "must be a JSON object"));
        }
        let mut content = vec![Part::text(response)];
        for part in result.parts.0 {
            content.extend(self.media(at, part)?);
        }
        Ok(CallResult { id, name, content, is_error: has_error(response), ends_cache: false })
    }

    /// The medium that a part has, if it has one that others can be given.
    fn media(&mut self, at: (usize, usize), part: Wire<'a>) -> Result<Option<Part<'a>>, BadBody> {
        let features = &mut self.request.features;
        features.insert_if(part.is_of_server(), Feature::ServerTools);
        features.insert_if(part.has_media_options(), Feature::Other);
        let media = match (part.inline_data, part.file_data) {
            (Some(blob), _) => {
                let media = parts::inline(blob);
                Some(media.ok_or_else(|| bad(Place(at, ".inlineData.data"), "is not valid base64"))?)
            }
            (None, Some(file)) => {
                let media = parts::by_address(file);
                features.insert_if(media.is_none(), Feature::ProviderState);
                media
            }
            (None, None) => None,
        };
        if let Some(Media { kind, source, .. }) = &media {
            let is_url = matches!(source, Source::Url { .. });
            features.insert_if(*kind == MediaKind::Audio, Feature::AudioInput);
            features.insert_if(*kind == MediaKind::Video, Feature::VideoInput);
            features.insert_if(*kind == MediaKind::Document && is_url, Feature::DocumentUrl);
        }
        Ok(media.map(Part::Media))
    }
}

/// A part of a content, or something in it.
struct Place((usize, usize), &'static str);

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place((content, part), member) = self;
        write!(f, "contents[{content}].parts[{part}]{member}")
    }
}

/// Whether a result says that the tool failed. Source: `FunctionResponse.response`, whose `error` is for that.
fn has_error(response: &str) -> bool {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    // Nearly no result has the word in it.
    response.contains("\"error\"")
        && serde_json::from_str::<Members<'_>>(response).is_ok_and(|members| members.error.is_some())
}
