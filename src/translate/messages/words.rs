//! The vocabularies of Messages as tables, read in both directions.

use crate::domain::{Dialect, TokenUsage};
use crate::translate::canonical::{Effort, Finish};
use crate::translate::pieces::Str;
use crate::translate::usage::reported;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Why a model stopped, by its name and by what it means.
///
/// A turn that the vendor paused is at its end as far as anybody else can tell; a context that is full ends an answer as
/// a limit does. Source: Anthropic, "Handling stop reasons".
const STOP_REASONS: [(&str, Finish<'static>); 7] = [
    ("end_turn", Finish::Stop),
    ("max_tokens", Finish::Length),
    ("stop_sequence", Finish::StopSequence(None)),
    ("tool_use", Finish::ToolCalls),
    ("refusal", Finish::ContentFilter),
    ("pause_turn", Finish::Stop),
    ("model_context_window_exceeded", Finish::Length),
];

/// What a message says about its `stop_reason`. Source: Anthropic's reference of `stop_details`, which only refusals have.
#[derive(Deserialize)]
pub(super) struct StopDetails<'a> {
    #[serde(borrow)]
    explanation: Option<Str<'a>>,
}

/// Why the model refused, in the vendor's words.
pub(super) fn explanation<'a>(finish: &Finish<'_>, details: Option<StopDetails<'a>>) -> Option<Cow<'a, str>> {
    let details = details.filter(|_| *finish == Finish::ContentFilter)?;
    details.explanation.map(|it| it.0).filter(|it| !it.is_empty())
}

/// What a `stop_reason` means; one that isn't known is an end like any other.
pub(super) fn finish<'a>(reason: &str, sequence: Option<Cow<'a, str>>) -> Finish<'a> {
    match STOP_REASONS.iter().find(|(name, _)| *name == reason) {
        Some((_, Finish::StopSequence(_))) => Finish::StopSequence(sequence),
        Some((_, finish)) => finish.clone(),
        None => Finish::Stop,
    }
}

/// The `stop_reason` for a finish: the first that means it.
pub(super) fn stop_reason(finish: &Finish<'_>) -> &'static str {
    let is_same = |it: &Finish<'_>| std::mem::discriminant(it) == std::mem::discriminant(finish);
    STOP_REASONS.iter().find(|(_, it)| is_same(it)).map_or("end_turn", |(name, _)| name)
}

/// The `stop_sequence` of a finish.
pub(super) fn stop_sequence<'f>(finish: &'f Finish<'_>) -> Option<&'f str> {
    match finish {
        Finish::StopSequence(sequence) => sequence.as_deref(),
        _ => None,
    }
}

/// Every `effort` with what it is worth. The first of a worth is the one that is written: not every model that knows
/// `max` knows `xhigh`. Source: Anthropic, "Effort".
const EFFORTS: [(&str, Effort); 5] = [
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("max", Effort::Max),
    ("xhigh", Effort::Max),
];

/// The effort of that name.
pub(super) fn effort(name: &str) -> Option<Effort> {
    EFFORTS.iter().find(|(it, _)| *it == name).map(|(_, effort)| *effort)
}

/// The name of an effort; of the least there is, for less than that.
pub(super) fn effort_name(effort: Effort) -> &'static str {
    EFFORTS.iter().find(|(_, it)| *it >= effort).map_or("max", |(name, _)| name)
}

/// Usage as a client gets it. Input excludes what was cached; in streams each report is of all so far. Source:
/// Anthropic's reference of `usage`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Usage {
        let details = OutputDetails { thinking_tokens: usage.reasoning };
        Usage {
            input_tokens: usage.input,
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cache_read,
            output_tokens: usage.output,
            output_tokens_details: (usage.reasoning > 0).then_some(details),
        }
    }
}

/// The usage that a provider reported, if it can be believed.
pub(super) fn tokens(usage: Option<&RawValue>) -> Option<TokenUsage> {
    reported(Dialect::Anthropic, usage?.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finish_has_a_reason_that_means_it() {
        for (name, reason) in STOP_REASONS {
            assert_eq!(finish(name, None), reason, "{name}");
            assert_eq!(finish(stop_reason(&reason), None), reason, "{name}");
        }
        assert_eq!(stop_reason(&Finish::Stop), "end_turn");
        assert_eq!(stop_reason(&Finish::Length), "max_tokens");
        assert_eq!(finish("something_new", None), Finish::Stop);
        let stopped = finish("stop_sequence", Some("END".into()));
        assert_eq!(stopped, Finish::StopSequence(Some("END".into())));
        assert_eq!((stop_reason(&stopped), stop_sequence(&stopped)), ("stop_sequence", Some("END")));
    }

    #[test]
    fn every_effort_has_a_name() {
        for (effort, name) in [
            (Effort::Minimal, "low"),
            (Effort::Low, "low"),
            (Effort::Medium, "medium"),
            (Effort::High, "high"),
            (Effort::Max, "max"),
        ] {
            assert_eq!(effort_name(effort), name);
        }
        assert_eq!(effort("xhigh"), Some(Effort::Max));
        assert_eq!(effort("boundless"), None);
    }
}
