//! What OpenAI's own models refuse, by the beginning of their names. A client of another dialect can't know it, and a
//! service that only imitates OpenAI has no such models.
//!
//! A model that is newer than this table is taken to be like the newest in it: what reasoning models no longer take has
//! never come back.
//!
//! Source: OpenAI's reasoning guide, its guide to GPT-5's parameters, its API reference of `stop`, and its models' pages.

use crate::translate::canonical::{Effort, Reasoning};

/// Models that take the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// How their names begin; [`DIGIT`] stands for any.
    prefix: &'static str,
    /// Whether the limit is called `max_completion_tokens`, and `max_tokens` refused. Imitators often know the older
    /// name only.
    pub(super) limits_completion: bool,
    /// Whether they stop at texts.
    pub(super) stops: bool,
    /// When they take `temperature`, `top_p` and penalties.
    samples: Samples,
    /// How hard they can think.
    thinks: Thinks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Samples {
    Always,
    /// While they don't think.
    Unthinking,
    Never,
}

#[derive(Debug, PartialEq, Eq)]
enum Thinks {
    /// As the client says.
    Freely,
    /// Not at all, and they refuse to be told.
    Never,
    /// From one effort to the other; and whether they can be told not to.
    Between(Effort, Effort, bool),
}

/// At the end of a prefix: any digit.
const DIGIT: char = '#';

/// The first whose prefix fits counts.
const FAMILIES: [Family; 13] = [
    family("gpt-5-chat", true, true, Samples::Always, Thinks::Never),
    family("gpt-5.1", true, false, Samples::Unthinking, Thinks::Between(Effort::Low, Effort::High, true)),
    newest("gpt-5."),
    family("gpt-5", true, false, Samples::Never, Thinks::Between(Effort::Minimal, Effort::High, false)),
    family("o1", true, true, Samples::Never, Thinks::Between(Effort::Low, Effort::High, false)),
    family("o3", true, false, Samples::Never, Thinks::Between(Effort::Low, Effort::High, false)),
    family("o4", true, false, Samples::Never, Thinks::Between(Effort::Low, Effort::High, false)),
    family("gpt-3", false, true, Samples::Always, Thinks::Never),
    family("gpt-4", false, true, Samples::Always, Thinks::Never),
    newest("gpt-#"),
    newest("o#"),
    family("gpt-", false, true, Samples::Always, Thinks::Never),
    family("chatgpt-", false, true, Samples::Always, Thinks::Never),
];

/// As the newest models take it.
const fn newest(prefix: &'static str) -> Family {
    family(prefix, true, false, Samples::Unthinking, Thinks::Between(Effort::Low, Effort::Max, true))
}

/// Everybody else's models.
const OTHERS: Family = family("", false, true, Samples::Always, Thinks::Freely);

/// Open-weight models, which others serve, under a name like those of OpenAI's own.
const OPEN_WEIGHTS: &str = "gpt-oss";

const fn family(
    prefix: &'static str,
    limits_completion: bool,
    stops: bool,
    samples: Samples,
    thinks: Thinks,
) -> Family {
    Family { prefix, limits_completion, stops, samples, thinks }
}

impl Family {
    /// The family of a model.
    pub(super) fn of(model: &str) -> &'static Family {
        if model.starts_with(OPEN_WEIGHTS) {
            return &OTHERS;
        }
        FAMILIES.iter().find(|family| family.fits(model)).unwrap_or(&OTHERS)
    }

    fn fits(&self, model: &str) -> bool {
        match self.prefix.strip_suffix(DIGIT) {
            Some(before) => model
                .strip_prefix(before)
                .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit())),
            None => model.starts_with(self.prefix),
        }
    }

    /// Whether they take `temperature`, `top_p` and penalties while they think as hard as that, if it is said.
    pub(super) fn samples(&self, reasoning: Option<Reasoning>) -> bool {
        match self.samples {
            Samples::Always => true,
            Samples::Unthinking => reasoning.is_none_or(|reasoning| reasoning == Reasoning::Off),
            Samples::Never => false,
        }
    }

    /// What comes nearest to what is asked; `None` where nothing can be said, or is to be.
    pub(super) fn nearest(&self, asked: Reasoning) -> Option<Reasoning> {
        match (&self.thinks, asked) {
            (Thinks::Never, _) => None,
            (Thinks::Freely | Thinks::Between(_, _, true), Reasoning::Off) => Some(Reasoning::Off),
            (Thinks::Between(least, _, false), Reasoning::Off) => Some(Reasoning::Effort(*least)),
            (Thinks::Freely, asked) => asked.effort().map(Reasoning::Effort),
            // Who can be told not to think doesn't, unless told to.
            (Thinks::Between(_, _, true), Reasoning::Dynamic) => Some(Reasoning::Effort(Effort::Medium)),
            (Thinks::Between(least, most, _), asked) => {
                asked.effort().map(|effort| Reasoning::Effort(effort.clamp(*least, *most)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_openais_reasoning_models_have_the_newer_name_of_the_limit() {
        for (model, expected) in [
            ("o1-mini", true),
            ("o3", true),
            ("o4-mini", true),
            ("gpt-5", true),
            ("gpt-5.2-codex", true),
            ("gpt-6", true),
            ("gpt-10.5-mini", true),
            ("o5-pro", true),
            ("gpt-4o", false),
            ("gpt-3.5-turbo", false),
            ("gpt-35-turbo", false),
            ("chatgpt-4o-latest", false),
            ("gpt-audio", false),
            ("olmo-3", false),
            ("gpt-oss-120b", false),
            ("openai/gpt-5", false),
            ("deepseek-chat", false),
        ] {
            assert_eq!(Family::of(model).limits_completion, expected, "{model}");
        }
    }

    #[test]
    fn each_family_is_found_by_its_prefix() {
        for family in &FAMILIES {
            assert_eq!(Family::of(&family.prefix.replace(DIGIT, "9")), family);
        }
    }

    #[test]
    fn the_latest_models_that_think_stop_at_no_text() {
        for (model, expected) in [
            ("gpt-4o", true),
            ("gpt-5-chat-latest", true),
            ("o1", true),
            ("o3-mini", false),
            ("o4-mini", false),
            ("gpt-5-mini", false),
            ("gpt-5.1", false),
            ("gpt-6", false),
            ("gpt-oss-20b", true),
            ("deepseek-chat", true),
        ] {
            assert_eq!(Family::of(model).stops, expected, "{model}");
        }
    }

    #[test]
    fn a_model_that_thinks_is_not_sampled() {
        let low = Some(Reasoning::Effort(Effort::Low));
        for (model, reasoning, expected) in [
            ("gpt-4o", None, true),
            ("gpt-5", None, false),
            ("gpt-5.1", None, true),
            ("gpt-5.1", Some(Reasoning::Off), true),
            ("gpt-5.1", low, false),
            ("gpt-6", None, true),
            ("gpt-6", low, false),
            ("deepseek-chat", low, true),
        ] {
            assert_eq!(Family::of(model).samples(reasoning), expected, "{model} {reasoning:?}");
        }
    }

    #[test]
    fn an_effort_is_brought_into_what_a_model_takes() {
        let effort = |effort| Some(Reasoning::Effort(effort));
        for (model, asked, expected) in [
            ("o3", Reasoning::Off, effort(Effort::Low)),
            ("o3", Reasoning::Effort(Effort::Max), effort(Effort::High)),
            ("gpt-5", Reasoning::Off, effort(Effort::Minimal)),
            ("gpt-5.1", Reasoning::Off, Some(Reasoning::Off)),
            ("gpt-5.1", Reasoning::Dynamic, effort(Effort::Medium)),
            ("gpt-5.2", Reasoning::Effort(Effort::Max), effort(Effort::Max)),
            ("gpt-6", Reasoning::Effort(Effort::Max), effort(Effort::Max)),
            ("gpt-6-mini", Reasoning::Off, Some(Reasoning::Off)),
            ("o5", Reasoning::Effort(Effort::Minimal), effort(Effort::Low)),
            ("chatgpt-4o-latest", Reasoning::Budget(2_048), None),
            ("gpt-5", Reasoning::Dynamic, None),
            ("gpt-4o", Reasoning::Budget(2_048), None),
            ("gpt-oss-20b", Reasoning::Budget(2_048), effort(Effort::Low)),
            ("qwen3", Reasoning::Off, Some(Reasoning::Off)),
            ("qwen3", Reasoning::Dynamic, None),
        ] {
            assert_eq!(Family::of(model).nearest(asked), expected, "{model} {asked:?}");
        }
    }
}
