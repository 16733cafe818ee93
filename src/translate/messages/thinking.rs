//! Whether and how a model of Anthropic's thinks, and what goes with it.
//!
//! Up to Claude 4.5 thinking has a budget, from 4.6 on the model finds its own, and how hard it tries is its effort;
//! from 4.7 on a budget is refused, and so is any sampling. Sources: Anthropic, "Extended thinking", "Adaptive
//! thinking", "What's new in Claude 4.7", and `ThinkingConfigParam` of its SDK 2.12.

use super::words;
use crate::translate::canonical::{Reasoning, Request, ToolChoice};
use crate::translate::features::Feature;
use crate::translate::sides::Written;
use serde::Serialize;

/// How a model of some generation is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// By a budget. Whoever else speaks this dialect takes it too.
    Budgets,
    /// By an effort.
    Efforts,
    /// By an effort, and nothing is sampled otherwise than the model likes.
    EffortsOnly,
}

/// The first version of each way, the later first.
const VERSIONS: [((u32, u32), Generation); 2] =
    [((4, 7), Generation::EffortsOnly), ((4, 6), Generation::Efforts)];

/// The lines of models that have versions, and those that began after the last change.
const LINES: [&str; 3] = ["opus-", "sonnet-", "haiku-"];
const LATER_LINES: [&str; 2] = ["claude-fable", "claude-mythos"];

impl Generation {
    /// That of a model, whatever stands around its name, as in `us.anthropic.claude-opus-4-7-v1`. Models that Anthropic
    /// named by another pattern, before Claude 4, have the version in front, and budgets.
    pub(super) fn of(model: &str) -> Generation {
        if LATER_LINES.iter().any(|line| model.contains(line)) {
            return Generation::EffortsOnly;
        }
        let behind = LINES.iter().find_map(|line| model.split_once(line)).map(|(_, version)| version);
        let version = behind.filter(|_| model.contains("claude")).and_then(version);
        let way = version.and_then(|version| VERSIONS.iter().find(|(first, _)| version >= *first));
        way.map_or(Generation::Budgets, |(_, generation)| *generation)
    }
}

/// The version at the beginning of a text, such as `4-7` or `5`. A date is none.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|it: char| !it.is_ascii_digit());
    let mut next = || numbers.next().filter(|it| (1..=2).contains(&it.len())).and_then(|it| it.parse().ok());
    Some((next()?, next().unwrap_or(0)))
}

/// The `thinking` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    Disabled {},
    Enabled {
        budget_tokens: u64,
    },
    Adaptive {
        /// Thoughts are left out by default where thinking is adaptive.
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'static str>,
    },
}

impl Thinking {
    /// Whether the model may think.
    pub(super) fn is_on(self) -> bool {
        self != Thinking::Disabled {}
    }
}

/// What of the conversation matters to thinking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Results of tools stand last, and the turn that they answer doesn't begin with a thought of Anthropic's.
    pub(super) is_unthought_loop: bool,
    /// The model is to go on from its own words.
    pub(super) ends_with_model: bool,
}

/// How the model is told to think, with its effort; `None` where the client says nothing. What can't be is noted.
pub(super) fn choose(
    request: &Request<'_>,
    generation: Generation,
    max_tokens: u64,
    course: Course,
    written: &mut Written,
) -> Option<(Thinking, Option<&'static str>)> {
    let reasoning = request.reasoning?;
    if reasoning == Reasoning::Off {
        return Some((Thinking::Disabled {}, None));
    }
    // A forced call and a prefilled answer leave no room for a thought. A budget also wants that the turn in work began
    // with one; adaptive thinking doesn't ask for that.
    let is_forced =
        !request.tools.is_empty() && matches!(request.tool_choice, ToolChoice::Any | ToolChoice::One(_));
    let is_cut_off = course.is_unthought_loop && generation == Generation::Budgets;
    let budget = reasoning.budget_within(Some(max_tokens));
    let Some(budget) = budget.filter(|_| !is_forced && !is_cut_off && !course.ends_with_model) else {
        written.lose(Feature::ForeignThoughts);
        return Some((Thinking::Disabled {}, None));
    };
    Some(match generation {
        Generation::Budgets => (Thinking::Enabled { budget_tokens: budget }, None),
        Generation::Efforts | Generation::EffortsOnly => {
            let display = request.shows_thoughts.then_some("summarized");
            (Thinking::Adaptive { display }, reasoning.effort().map(words::effort_name))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_how_it_is_told_to_think() {
        for (model, generation) in [
            ("claude-3-7-sonnet-20250219", Generation::Budgets),
            ("claude-sonnet-4-20250514", Generation::Budgets),
            ("claude-haiku-4-5-20251001", Generation::Budgets),
            ("claude-opus-4-5", Generation::Budgets),
            ("claude-opus-4-6", Generation::Efforts),
            ("anthropic/claude-sonnet-4.6", Generation::Efforts),
            ("us.anthropic.claude-opus-4-7-v1:0", Generation::EffortsOnly),
            ("claude-sonnet-5", Generation::EffortsOnly),
            ("claude-opus-5-5", Generation::EffortsOnly),
            ("claude-fable-5-2", Generation::EffortsOnly),
            ("claude-mythos-preview", Generation::EffortsOnly),
            ("kimi-k3", Generation::Budgets),
            ("opus-9", Generation::Budgets),
            ("claude-opus-", Generation::Budgets),
            ("", Generation::Budgets),
        ] {
            assert_eq!(Generation::of(model), generation, "{model}");
        }
    }
}
