//! Whether and how a model of Anthropic's thinks, and what goes with it.
//!
//! Up to Claude 4.5 thinking has a budget, from 4.6 on the model finds its own, and how hard it tries is its effort;
//! from 4.7 on a budget is refused, and so is any sampling. Sources: Anthropic, "Extended thinking", "Adaptive
//! thinking", "What's new in Claude 4.7", and `ThinkingConfigParam` of its SDK 2.12.

use super::words;
use crate::translate::canonical::{Reasoning, Request};
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
    /// It has to call a tool, whatever it thinks.
    pub(super) is_forced: bool,
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
    let is_cut_off = course.is_unthought_loop && generation == Generation::Budgets;
    let budget = reasoning.budget_within(Some(max_tokens));
    let Some(budget) = budget.filter(|_| !course.is_forced && !is_cut_off && !course.ends_with_model) else {
        written.lose(Feature::Effort);
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
