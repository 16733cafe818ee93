//! How an answer is to be made: `generationConfig`, both ways.

use super::lenient::Number;
use super::models::{self, Thinks};
use super::wire::{GenerationConfig, ThinkingConfig};
use super::{openapi, schema};
use crate::translate::canonical::{Effort, Output, Reasoning, Request};
use crate::translate::features::Feature;
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use crate::translate::pieces::Str;
use crate::translate::schemas::Room;
use crate::translate::sides::{Target, Written};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// How hard to think, by the names of `thinkingLevel`. Source: Gemini API reference, `ThinkingLevel`.
const LEVELS: [(&str, Effort); 5] = [
    ("MINIMAL", Effort::Minimal),
    ("LOW", Effort::Low),
    ("MEDIUM", Effort::Medium),
    ("HIGH", Effort::High),
    ("XHIGH", Effort::Max),
];

/// `responseMimeType` of an answer as the model likes.
const PLAIN: [&str; 2] = ["", "text/plain"];
/// Of JSON, which may follow a schema.
const JSON: &str = "application/json";
/// Of one word of a schema's list.
const ENUM: &str = "text/x.enum";

/// `thinkingBudget` of a model that thinks as it sees fit.
const DYNAMIC: i64 = -1;

/// Reads it into a request.
pub(super) fn read<'a>(request: &mut Request<'a>, config: GenerationConfig<'a>) -> Result<(), BadBody> {
    let number = |number: Option<Number>| number.map(|Number(number)| number);
    request.temperature = number(config.temperature);
    request.top_p = number(config.top_p);
    request.presence_penalty = number(config.presence_penalty);
    request.frequency_penalty = number(config.frequency_penalty);
    request.top_k = count(config.top_k, "topK")?;
    request.max_output_tokens = count(config.max_output_tokens, "maxOutputTokens")?;
    request.seed = whole(config.seed, "seed")?;
    request.stop = config.stop_sequences.unwrap_or_default().into_iter().map(|Str(text)| text).collect();
    let says_anything_else = |modality: &Str<'_>| !modality.0.eq_ignore_ascii_case("TEXT");
    let features = &mut request.features;
    features
        .insert_if(number(config.candidate_count).is_some_and(|count| count > 1.0), Feature::SeveralAnswers);
    let has_logprobs = config.response_logprobs == Some(true) || config.logprobs.is_some();
    features.insert_if(has_logprobs, Feature::Logprobs);
    let modalities = config.response_modalities.unwrap_or_default();
    features.insert_if(modalities.iter().any(says_anything_else), Feature::MediaOutput);
    let has_others = config.speech_config.is_some()
        || config.image_config.is_some()
        || config.media_resolution.is_some()
        || config.routing_config.is_some();
    features.insert_if(has_others, Feature::Other);
    if let Some(thinking) = config.thinking_config {
        read_thinking(request, thinking)?;
    }
    let kind = config.response_mime_type.unwrap_or_default().0;
    request.features.insert_if(kind == ENUM, Feature::EnumOutput);
    let has_schema = config.response_schema.is_some() || config.response_json_schema.is_some();
    if kind == JSON {
        // Beside that of the tools' own.
        let room = &mut Room::default();
        let field = |name| format!("generationConfig.{name}");
        request.output = match (config.response_json_schema, config.response_schema) {
            (Some(schema), _) => output(openapi::as_it_is(schema, room, || field("responseJsonSchema"))?),
            (None, Some(schema)) => output(openapi::standard(schema, room, || field("responseSchema"))?),
            (None, None) => Output::Json,
        };
    } else if kind != ENUM && (has_schema || !PLAIN.contains(&kind.as_ref())) {
        let why = "must be `application/json` for a schema, else `text/plain`";
        return Err(bad("generationConfig.responseMimeType", why));
    }
    Ok(())
}

fn output(schema: Cow<'_, RawValue>) -> Output<'_> {
    Output::Schema { name: None, schema, strict: None }
}

fn whole(number: Option<Number>, name: &str) -> Result<Option<i64>, BadBody> {
    let Some(number) = number else { return Ok(None) };
    let wrong = || bad(format_args!("generationConfig.{name}"), "must be a whole number");
    number.whole().map(Some).ok_or_else(wrong)
}

fn count(number: Option<Number>, name: &str) -> Result<Option<u64>, BadBody> {
    let wrong = |_| bad(format_args!("generationConfig.{name}"), "must not be negative");
    whole(number, name)?.map(|number| u64::try_from(number).map_err(wrong)).transpose()
}

fn read_thinking(request: &mut Request<'_>, thinking: ThinkingConfig<'_>) -> Result<(), BadBody> {
    const LEVEL: &str = "generationConfig.thinkingConfig.thinkingLevel";
    request.shows_thoughts = thinking.include_thoughts == Some(true);
    let level = thinking.thinking_level.unwrap_or_default().0;
    request.reasoning = match whole(thinking.thinking_budget, "thinkingConfig.thinkingBudget")? {
        Some(0) => Some(Reasoning::Off),
        Some(budget) => Some(u64::try_from(budget).map_or(Reasoning::Dynamic, Reasoning::Budget)),
        None if level.is_empty() || level.eq_ignore_ascii_case("THINKING_LEVEL_UNSPECIFIED") => {
            // Who wants to see thoughts wants them to be thought; here they are unless it is said otherwise.
            request.shows_thoughts.then_some(Reasoning::Dynamic)
        }
        None => {
            let known = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&level));
            let (_, effort) =
                known.ok_or_else(|| bad(LEVEL, "must be MINIMAL, LOW, MEDIUM, HIGH or XHIGH"))?;
            Some(Reasoning::Effort(*effort))
        }
    };
    Ok(())
}

/// `generationConfig`, as a provider gets it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [Cow<'r, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

/// `ThinkingConfig`, as a provider gets it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

impl<'r> Config<'r> {
    /// What a request says of it; `None` where that is nothing.
    pub(super) fn of(
        request: &'r Request<'_>,
        target: &Target<'_>,
        written: &mut Written,
    ) -> Option<Config<'r>> {
        // Gemini's seed has 32 bits.
        let seed = request.seed.and_then(|seed| i32::try_from(seed).ok());
        if seed.is_none() && request.seed.is_some() {
            written.lose(Feature::Seed);
        }
        let limit = target.limit(request.max_output_tokens, written);
        let mut config = Config {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            max_output_tokens: limit,
            stop_sequences: &request.stop,
            seed,
            presence_penalty: request.presence_penalty,
            frequency_penalty: request.frequency_penalty,
            thinking_config: Thinking::of(request, target, limit, written),
            ..Config::default()
        };
        config.write_output(&request.output, target.model, written);
        (!config.is_empty()).then_some(config)
    }

    /// The form of the answer. Models since 2.5 take a JSON schema as it is, which loses nothing; those before take
    /// only Gemini's own words.
    fn write_output(&mut self, output: &'r Output<'_>, model: &str, written: &mut Written) {
        let schema = match output {
            Output::Text => return,
            Output::Json => None,
            Output::Schema { schema, .. } => Some(schema.as_ref()),
        };
        self.response_mime_type = Some(JSON);
        let Some(schema) = schema else { return };
        if models::family(model).takes_json_schema {
            self.response_json_schema = Some(schema);
        } else {
            self.response_schema = schema::clean(schema, written);
        }
    }

    fn is_empty(&self) -> bool {
        self.temperature.is_none()
            && self.top_p.is_none()
            && self.top_k.is_none()
            && self.max_output_tokens.is_none()
            && self.stop_sequences.is_empty()
            && self.seed.is_none()
            && self.presence_penalty.is_none()
            && self.frequency_penalty.is_none()
            && self.response_mime_type.is_none()
            && self.thinking_config.is_none()
    }
}

impl Thinking {
    /// What a model can do of what is asked. Showing thoughts is nothing that changes an answer, and isn't asked of a
    /// model that has none.
    fn of(
        request: &Request<'_>,
        target: &Target<'_>,
        limit: Option<u64>,
        written: &mut Written,
    ) -> Option<Thinking> {
        let reasoning = request.reasoning?;
        let include_thoughts = request.shows_thoughts.then_some(true);
        let budget = match reasoning {
            Reasoning::Dynamic => None,
            reasoning => Some(reasoning.budget_within(limit).unwrap_or(0)),
        };
        let is_too_little = budget == Some(0) && reasoning != Reasoning::Off;
        let (thinking, is_nearest) = match &models::family(target.model).thinks {
            Thinks::Never => (None, reasoning == Reasoning::Off),
            Thinks::Budget { range, can_stop } => {
                let (budget, is_nearest) = within(range, *can_stop, budget);
                let include_thoughts = include_thoughts.filter(|_| budget != 0);
                (
                    Some(Thinking { thinking_budget: Some(budget), include_thoughts, ..Thinking::default() }),
                    is_nearest,
                )
            }
            Thinks::Levels(levels) => {
                let (thinking_level, is_nearest) = level(levels, budget);
                (Some(Thinking { thinking_level, include_thoughts, ..Thinking::default() }), is_nearest)
            }
        };
        if is_too_little || !is_nearest {
            written.lose(Feature::Effort);
        }
        thinking.filter(|thinking| !thinking.is_empty())
    }

    /// Whether it leaves all to the model, and to its own habit of showing thoughts.
    fn is_empty(&self) -> bool {
        self.thinking_budget.is_none() && self.thinking_level.is_none() && self.include_thoughts.is_none()
    }
}

/// The budget that comes nearest, and whether thinking is off where it should be.
fn within(range: &RangeInclusive<u64>, can_stop: bool, budget: Option<u64>) -> (i64, bool) {
    match budget {
        None => (DYNAMIC, true),
        Some(0) if can_stop => (0, true),
        Some(budget) => {
            let kept = budget.clamp(*range.start(), *range.end());
            (i64::try_from(kept).unwrap_or(DYNAMIC), budget != 0)
        }
    }
}

/// The level that comes nearest, and whether there is one as high, and none is too much.
fn level(levels: &[Effort], budget: Option<u64>) -> (Option<&'static str>, bool) {
    let Some(budget) = budget else { return (None, true) };
    let wanted = Effort::of_budget(budget);
    let nearest = levels.iter().find(|level| **level >= wanted).or(levels.last());
    let name = nearest.and_then(|nearest| LEVELS.iter().find(|(_, effort)| effort == nearest));
    (name.map(|(name, _)| *name), budget != 0 && nearest == Some(&wanted))
}
