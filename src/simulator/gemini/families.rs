//! What Gemini's models differ in, by the beginning of their names: how much they may think, and whether they want the
//! signatures of their calls back.
//!
//! Source: the vendor's guides "Thinking" and "Thought signatures".

use super::super::prompt::list;
use super::super::reply::Refusal;
use super::strict::refuse;
use serde_json::Value;
use std::ops::RangeInclusive;

/// Models that take the same.
struct Family {
    prefix: &'static str,
    /// The tokens that they may think for; none if they don't think.
    budgets: Option<RangeInclusive<i64>>,
    /// Whether they take no thinking, too.
    can_stop: bool,
    /// Whether they want the signatures of their calls.
    wants_signatures: bool,
}

/// A budget of the model's own choice.
const DYNAMIC: i64 = -1;

/// The first whose prefix fits counts; a model that fits none takes anything.
static FAMILIES: [Family; 6] = [
    Family { prefix: "gemini-1", budgets: None, can_stop: true, wants_signatures: false },
    Family { prefix: "gemini-2.0", budgets: None, can_stop: true, wants_signatures: false },
    Family {
        prefix: "gemini-2.5-flash-lite",
        budgets: Some(512..=24_576),
        can_stop: true,
        wants_signatures: false,
    },
    Family { prefix: "gemini-2.5-flash", budgets: Some(0..=24_576), can_stop: true, wants_signatures: false },
    Family {
        prefix: "gemini-2.5-pro",
        budgets: Some(128..=32_768),
        can_stop: false,
        wants_signatures: false,
    },
    Family { prefix: "gemini-3", budgets: Some(128..=32_768), can_stop: false, wants_signatures: true },
];

fn family(model: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix))
}

/// Whether a model thinks that is told this. One that needn't doesn't, unless it is told to.
pub(super) fn thinks(model: &str, config: &Value) -> bool {
    let is_told = config.as_object().is_some_and(|config| !config.is_empty());
    let thinks_anyway = || family(model).is_some_and(|family| !family.can_stop);
    if is_told { config["thinkingBudget"] != 0 } else { thinks_anyway() }
}

/// Turns down what the model doesn't take.
pub(super) fn check(model: &str, body: &Value, contents: &[Value]) -> Result<(), Refusal> {
    let Some(family) = family(model) else { return Ok(()) };
    thinking(family, &body["generationConfig"]["thinkingConfig"])?;
    if family.wants_signatures { signatures(contents) } else { Ok(()) }
}

fn thinking(family: &Family, config: &Value) -> Result<(), Refusal> {
    if config.is_null() {
        return Ok(());
    }
    let Some(budgets) = &family.budgets else {
        return refuse("Thinking is not supported by this model.");
    };
    match config["thinkingBudget"].as_i64() {
        Some(0) if !family.can_stop => refuse("Budget 0 is invalid. This model only works in thinking mode."),
        Some(budget) if budget != 0 && budget != DYNAMIC && !budgets.contains(&budget) => refuse(format!(
            "The thinking budget {budget} is invalid. Please choose a value between {} and {}.",
            budgets.start(),
            budgets.end()
        )),
        Some(_) if !config["thinkingLevel"].is_null() => {
            refuse("You can only set only one of thinking budget and thinking level.")
        }
        _ => Ok(()),
    }
}

/// The first call of each of the model's contents since the user last spoke has its signature.
fn signatures(contents: &[Value]) -> Result<(), Refusal> {
    let speaks = |content: &Value| {
        content["role"] != "model" && list(content, "parts").iter().any(|part| part["text"].is_string())
    };
    let begin = contents.iter().rposition(speaks).unwrap_or(0);
    for (index, content) in contents.iter().enumerate().skip(begin) {
        let mut calls = list(content, "parts").iter().filter(|part| part["functionCall"].is_object());
        if let Some(call) = calls.next().filter(|call| call["thoughtSignature"].is_null()) {
            return refuse(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                 work correctly. Additional data, function call `{}`, position {index}.",
                call["functionCall"]["name"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(())
}
