//! What Anthropic refuses of a request's settings and tools, in its words. Its messages are [`messages`]'s.
//!
//! Source: the vendor's API reference and what its API answers.

use super::super::check::{find_in_schema, is_name, no_json_schema};
use super::super::prompt::list;
use super::super::reply::Refusal;
use super::messages;
use super::prompt::thinks;
use serde_json::Value;

/// Members of other vendors' requests, which are no mere surplus: they show that something was not translated.
const FOREIGN: &[&str] = &[
    "contents",
    "frequency_penalty",
    "generationConfig",
    "input",
    "instructions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "systemInstruction",
    "user",
];

/// Tokens that thinking gets at least.
const MIN_THINKING: u64 = 1_024;

/// Blocks that may be marked for the cache.
const MAX_CACHE_CONTROL: usize = 4;

/// Characters of a tool's name.
const MAX_TOOL_NAME: usize = 128;

/// Begins the names of models that take `temperature` or `top_p`, but not both.
const ONE_OF_BOTH: [&str; 4] =
    ["claude-opus-4-1", "claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"];

/// Begins the names of models that think by a budget alone. Source: Anthropic, "Adaptive thinking".
const BUDGET_ONLY: [&str; 7] = [
    "claude-3",
    "claude-opus-4-1",
    "claude-opus-4-2",
    "claude-opus-4-5",
    "claude-sonnet-4-2",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
];

/// Begins the names of models whose answers can't be held to a schema. Source: Anthropic, "Structured outputs".
const NO_FORMAT: [&str; 5] =
    ["claude-3", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2", "claude-sonnet-4-2"];

/// Begins the names of models that think without one, and can't be sampled. Source: Anthropic, "What's new in Claude 4.7".
const NO_BUDGET: [&str; 3] = ["claude-opus-4-7", "claude-opus-5", "claude-sonnet-5"];

/// What no answer can be held to. Source: Anthropic, "Structured outputs", on limits of JSON schemas.
const BOUNDS: [&str; 6] = ["minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems"];

const CHOICES: [&str; 4] = ["auto", "any", "tool", "none"];

/// What is checked of a request.
type Check = fn(&Value) -> Result<(), Refusal>;

/// Every member that the vendor checks for itself, in the order of the refusals.
const CHECKS: &[Check] =
    &[foreign, system, sampling, thinking, tools, tool_choice, stop_sequences, output_format, cache_control];

/// Turns down what the vendor would.
pub(super) fn check(body: &Value, messages: &[Value], version: &str) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|check| check(body))?;
    messages::check(messages, version, body["thinking"]["type"] == "enabled")
}

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::invalid(message.into()))
}

fn foreign(body: &Value) -> Result<(), Refusal> {
    match FOREIGN.iter().find(|name| body.get(**name).is_some()) {
        Some(name) => refuse(format!("{name}: Extra inputs are not permitted")),
        None => Ok(()),
    }
}

fn system(body: &Value) -> Result<(), Refusal> {
    match &body["system"] {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) => {
            let is_text = |block: &Value| block["type"] == "text" && block["text"] != "";
            match blocks.iter().position(|block| !is_text(block)) {
                Some(at) if blocks[at]["type"] == "text" => {
                    refuse("system: text content blocks must be non-empty")
                }
                Some(at) => refuse(format!("system.{at}.type: Input should be 'text'")),
                None => Ok(()),
            }
        }
        _ => refuse("system: Input should be a valid list"),
    }
}

fn sampling(body: &Value) -> Result<(), Refusal> {
    for name in ["temperature", "top_p"] {
        let value = &body[name];
        let fits = value.is_null() || value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value));
        if !fits {
            return refuse(format!("{name}: range: 0..1"));
        }
    }
    let mut set = ["temperature", "top_p", "top_k"].into_iter().filter(|name| !body[*name].is_null());
    if is_one_of(body, &NO_BUDGET)
        && let Some(name) = set.next()
    {
        return refuse(format!("`{name}` is not supported by this model."));
    }
    if is_one_of(body, &ONE_OF_BOTH) && body["temperature"].is_number() && body["top_p"].is_number() {
        return refuse(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        );
    }
    Ok(())
}

/// Whether the model's name begins with one of these.
fn is_one_of(body: &Value, names: &[&str]) -> bool {
    body["model"].as_str().is_some_and(|model| names.iter().any(|name| model.starts_with(name)))
}

fn thinking(body: &Value) -> Result<(), Refusal> {
    if !thinks(body) {
        return Ok(());
    }
    let thinking = &body["thinking"];
    if thinking["type"] == "adaptive" && is_one_of(body, &BUDGET_ONLY) {
        return refuse("adaptive thinking is not supported on this model");
    }
    if thinking["type"] == "enabled" && is_one_of(body, &NO_BUDGET) {
        return refuse(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior.",
        );
    }
    if thinking["type"] == "enabled" {
        let Some(budget) = thinking["budget_tokens"].as_u64() else {
            return refuse("thinking.enabled.budget_tokens: Field required");
        };
        if budget < MIN_THINKING {
            return refuse(format!(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_THINKING}"
            ));
        }
        // A count of tokens has no limit.
        if body["max_tokens"].as_u64().is_some_and(|limit| limit <= budget) {
            return refuse("`max_tokens` must be greater than `thinking.budget_tokens`");
        }
    }
    if body["temperature"].as_f64().is_some_and(|temperature| temperature != 1.0) {
        return refuse("`temperature` may only be set to 1 when thinking is enabled");
    }
    if !body["top_k"].is_null() {
        return refuse("`top_k` must be unset when thinking is enabled");
    }
    if ["any", "tool"].iter().any(|kind| body["tool_choice"]["type"] == *kind) {
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let tools = list(body, "tools");
    for (index, tool) in tools.iter().enumerate() {
        // The vendor's own tools have a type and a schema of theirs.
        if tool["type"].as_str().is_some_and(|kind| kind != "custom") {
            continue;
        }
        let at = format!("tools.{index}.custom");
        let Some(name) = tool["name"].as_str() else {
            return refuse(format!("{at}.name: Field required"));
        };
        if !is_name(name, MAX_TOOL_NAME, "_-") {
            return refuse(format!(
                "{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,{MAX_TOOL_NAME}}}$'"
            ));
        }
        if tools[..index].iter().any(|other| other["name"] == name) {
            return refuse("tools: Tool names must be unique.");
        }
        let schema = &tool["input_schema"];
        if schema.is_null() {
            return refuse(format!("{at}.input_schema: Field required"));
        }
        if schema["type"] != "object" {
            return refuse(format!("{at}.input_schema.type: Input should be 'object'"));
        }
        if let Some(flaw) = find_in_schema(schema, "", &no_json_schema) {
            return refuse(format!(
                "{at}.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 ({flaw})"
            ));
        }
        let flaw = if tool["strict"] == true { find_in_schema(schema, "", &unheld) } else { None };
        if let Some(flaw) = flaw {
            return refuse(format!("{at}.input_schema: {flaw}"));
        }
        if let Some(name) = ["function", "parameters"].iter().find(|name| tool.get(**name).is_some()) {
            return refuse(format!("{at}.{name}: Extra inputs are not permitted"));
        }
    }
    Ok(())
}

fn tool_choice(body: &Value) -> Result<(), Refusal> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    let tools = list(body, "tools");
    if tools.is_empty() {
        return refuse("tool_choice: may only be specified while providing `tools`");
    }
    if !choice["type"].as_str().is_some_and(|kind| CHOICES.contains(&kind)) {
        return refuse("tool_choice: Input should be 'auto', 'any', 'tool' or 'none'");
    }
    let name = &choice["name"];
    if choice["type"] == "tool" && !tools.iter().any(|tool| tool["name"] == *name) {
        return refuse(format!("tool_choice: Tool {name} not found in provided tools"));
    }
    Ok(())
}

fn stop_sequences(body: &Value) -> Result<(), Refusal> {
    match &body["stop_sequences"] {
        Value::Null => Ok(()),
        Value::Array(sequences) => {
            let says = |sequence: &Value| sequence.as_str().is_some_and(|text| !text.trim().is_empty());
            if sequences.iter().all(says) {
                Ok(())
            } else {
                refuse("stop_sequences: each stop sequence must contain non-whitespace")
            }
        }
        _ => refuse("stop_sequences: Input should be a valid list"),
    }
}

fn output_format(body: &Value) -> Result<(), Refusal> {
    let format = &body["output_config"]["format"];
    if format.is_null() {
        return Ok(());
    }
    if is_one_of(body, &NO_FORMAT) {
        return refuse(format!("output_config.format: not supported by model {}", body["model"]));
    }
    if format["type"] != "json_schema" {
        return refuse("output_config.format.type: Input should be 'json_schema'");
    }
    let schema = &format["schema"];
    if !schema.is_object() {
        return refuse("output_config.format.schema: Field required");
    }
    let flaw = find_in_schema(schema, "", &unheld);
    flaw.map_or(Ok(()), |flaw| refuse(format!("output_config.format.schema: {flaw}")))
}

/// What of a schema the model can't be held to: open objects, and bounds.
fn unheld(schema: &Value, path: &str) -> Option<String> {
    let is_open = schema["type"] == "object" && schema["additionalProperties"] != false;
    let open =
        || format!("{path}: for 'object' type, 'additionalProperties' must be explicitly set to false");
    let bound = || {
        let bound = BOUNDS.iter().find(|name| !schema[**name].is_null())?;
        Some(format!("{path}: For {} type, property '{bound}' is not supported", schema["type"]))
    };
    no_json_schema(schema, path).or_else(|| is_open.then(open)).or_else(bound)
}

fn cache_control(body: &Value) -> Result<(), Refusal> {
    fn marks(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(marks).sum(),
            Value::Object(members) => {
                usize::from(members.get("cache_control").is_some_and(Value::is_object))
                    + members.get("content").map_or(0, marks)
            }
            _ => 0,
        }
    }
    let found: usize = ["system", "messages", "tools"].iter().map(|name| marks(&body[*name])).sum();
    if found > MAX_CACHE_CONTROL {
        return refuse(format!(
            "A maximum of {MAX_CACHE_CONTROL} blocks with cache_control may be provided. Found {found}."
        ));
    }
    Ok(())
}
