//! What OpenAI's own models differ in, by the beginning of their names: some think, and refuse to be sampled while they
//! do; others don't, and refuse to be told to. Models that others serve in OpenAI's dialect take anything.
//!
//! Source: the vendor's guide on reasoning, its models' pages, and what its API answers.

use super::super::reply::Refusal;
use super::strict::refuse;
use serde_json::Value;

/// The efforts of each family. None: it doesn't think. One that knows `none` thinks only if it is told to.
/// The first whose prefix fits counts; a model that fits none is somebody else's.
static FAMILIES: [(&str, &[&str]); 9] = [
    ("gpt-5-chat", &[]),
    ("gpt-5.1", &["none", "low", "medium", "high"]),
    ("gpt-5.", &["none", "low", "medium", "high", "xhigh"]),
    ("gpt-6", &["none", "low", "medium", "high", "xhigh"]),
    ("gpt-5", &["minimal", "low", "medium", "high"]),
    ("o1", &["low", "medium", "high"]),
    ("o3", &["low", "medium", "high"]),
    ("o4", &["low", "medium", "high"]),
    ("gpt-", &[]),
];

/// Open-weight models, which others serve.
const OPEN_WEIGHTS: &str = "gpt-oss";

/// Begins the names of models that stop at no text.
const NO_STOP: [&str; 4] = ["gpt-5", "gpt-6", "o3", "o4"];

/// Settings of sampling, with the values that are no setting at all.
const SAMPLING: [(&str, f64); 4] =
    [("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0)];

/// The efforts that a model knows; `None` where anything goes.
fn efforts(model: &Value) -> Option<&'static [&'static str]> {
    let model = model.as_str().filter(|model| !model.starts_with(OPEN_WEIGHTS))?;
    FAMILIES.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, efforts)| *efforts)
}

/// Whether a model thinks that is told to try that hard, or nothing.
pub(super) fn thinks(model: &Value, effort: &Value) -> bool {
    let thinks_anyway =
        || efforts(model).is_some_and(|efforts| !efforts.is_empty() && !efforts.contains(&"none"));
    effort.as_str().map_or_else(thinks_anyway, |effort| effort != "none")
}

/// Turns down what the model of a chat or a response doesn't take; `param` is where the effort stands.
pub(super) fn check(body: &Value, effort: &Value, param: &str) -> Result<(), Refusal> {
    let Some(efforts) = efforts(&body["model"]) else { return Ok(()) };
    let unsupported = |param: &str, more: &str| {
        let message = format!("Unsupported parameter: '{param}' is not supported with this model.{more}");
        refuse(param, "unsupported_parameter", message)
    };
    if efforts.is_empty() {
        return if effort.is_null() { Ok(()) } else { unsupported(param, "") };
    }
    if effort.as_str().is_some_and(|effort| !efforts.contains(&effort)) {
        let supported = efforts.join("', '");
        let message = format!(
            "Unsupported value: {effort} is not supported with the {} model. Supported values are: '{supported}'.",
            body["model"]
        );
        return refuse(param, "unsupported_value", message);
    }
    let is_endless =
        NO_STOP.iter().any(|prefix| body["model"].as_str().is_some_and(|it| it.starts_with(prefix)));
    if is_endless && !body["stop"].is_null() {
        return unsupported("stop", "");
    }
    if !body["max_tokens"].is_null() {
        return unsupported("max_tokens", " Use 'max_completion_tokens' instead.");
    }
    let is_set = |&&(name, usual): &&(&str, f64)| body[name].as_f64().is_some_and(|value| value != usual);
    match SAMPLING.iter().find(is_set).filter(|_| thinks(&body["model"], effort)) {
        Some((name, _)) => unsupported(name, ""),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_thinks_as_its_family_does() {
        for (model, effort, expected) in [
            ("gpt-4o-mini", Value::Null, false),
            ("gpt-5-mini", Value::Null, true),
            ("gpt-5.1", Value::Null, false),
            ("gpt-5.1", json!("low"), true),
            ("gpt-oss-20b", Value::Null, false),
            ("o3", Value::Null, true),
            ("m", Value::Null, false),
            ("m", json!("low"), true),
            ("m", json!("none"), false),
        ] {
            assert_eq!(thinks(&json!(model), &effort), expected, "{model} {effort}");
        }
    }
}
