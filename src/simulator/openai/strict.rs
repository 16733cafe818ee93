//! What OpenAI refuses of a request's settings and tools, in its words.
//!
//! Source: the vendor's API reference and what its API answers.

use super::super::check::{find_in_schema, is_name, no_json_schema, place};
use super::super::prompt::{list, strings};
use super::super::reply::Refusal;
use super::prompt::function;
use super::{families, items, messages};
use serde_json::Value;
use std::cmp::Ordering;

/// Members of other vendors' requests, and of the other endpoint's. Others that are unknown are let through, as
/// the vendors do who imitate OpenAI.
const FOREIGN: [&[&str]; 2] = [
    &[
        "contents",
        "generationConfig",
        "input",
        "instructions",
        "max_output_tokens",
        "output_config",
        "stop_sequences",
        "system",
        "systemInstruction",
        "thinking",
        "toolConfig",
        "top_k",
    ],
    &[
        "contents",
        "frequency_penalty",
        "generationConfig",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "n",
        "output_config",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "stop_sequences",
        "system",
        "systemInstruction",
        "thinking",
        "toolConfig",
        "top_k",
    ],
];

const RANGES: &[(&str, (f64, f64))] = &[
    ("temperature", (0.0, 2.0)),
    ("top_p", (0.0, 1.0)),
    ("presence_penalty", (-2.0, 2.0)),
    ("frequency_penalty", (-2.0, 2.0)),
];

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

const MAX_STOPS: usize = 4;

/// Characters of the name of a tool or of an output format.
const MAX_NAME: usize = 64;

/// A refusal that names the field.
pub(super) fn refuse<T>(
    param: impl Into<String>,
    code: &'static str,
    message: impl Into<String>,
) -> Result<T, Refusal> {
    Err(Refusal { param: Some(param.into()), code: Some(code), ..Refusal::invalid(message.into()) })
}

fn required<T>(param: &str) -> Result<T, Refusal> {
    refuse(param, "missing_required_parameter", format!("Missing required parameter: '{param}'."))
}

/// Turns down what the vendor would of a chat.
pub(super) fn check_chat(body: &Value, messages: &[Value]) -> Result<(), Refusal> {
    foreign(body, FOREIGN[0])?;
    messages::check(messages)?;
    numbers(body)?;
    stops(body)?;
    effort(body, &body["reasoning_effort"], "reasoning_effort")?;
    if !body["max_tokens"].is_null() && !body["max_completion_tokens"].is_null() {
        return refuse(
            "max_tokens",
            "invalid_parameter_combination",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        );
    }
    if body["stream"] != true && !body["stream_options"].is_null() {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return refuse("stream_options", "invalid_value", message);
    }
    tools(body, ".function")?;
    let format = &body["response_format"];
    if format["type"] == "json_schema" && !format["json_schema"].is_object() {
        return required("response_format.json_schema");
    }
    output_format(format, &format["json_schema"], "response_format", ".json_schema")?;
    mentions_json(format, &body["messages"], "messages")
}

/// Turns down what the vendor would of a response.
pub(super) fn check_response(body: &Value) -> Result<(), Refusal> {
    foreign(body, FOREIGN[1])?;
    items::check(&body["input"])?;
    numbers(body)?;
    effort(body, &body["reasoning"]["effort"], "reasoning.effort")?;
    tools(body, "")?;
    let format = &body["text"]["format"];
    output_format(format, format, "text.format", "")?;
    mentions_json(format, &body["input"], "input")
}

fn foreign(body: &Value, names: &[&str]) -> Result<(), Refusal> {
    match names.iter().find(|name| body.get(**name).is_some()) {
        Some(name) => refuse(*name, "unknown_parameter", format!("Unknown parameter: '{name}'.")),
        None => Ok(()),
    }
}

fn numbers(body: &Value) -> Result<(), Refusal> {
    for (name, range) in RANGES {
        let value = &body[*name];
        if value.is_null() {
            continue;
        }
        let Some(number) = value.as_f64() else {
            return refuse(*name, "invalid_type", format!("Invalid type for '{name}': expected a decimal."));
        };
        let (code, side, bound) = match place(number, *range) {
            Ordering::Less => {
                ("decimal_below_min_value", "below minimum value. Expected a value >=", range.0)
            }
            Ordering::Greater => {
                ("decimal_above_max_value", "above maximum value. Expected a value <=", range.1)
            }
            Ordering::Equal => continue,
        };
        return refuse(
            *name,
            code,
            format!("Invalid '{name}': decimal {side} {bound}, but got {number} instead."),
        );
    }
    Ok(())
}

fn stops(body: &Value) -> Result<(), Refusal> {
    let count = list(body, "stop").len();
    if count > MAX_STOPS {
        return refuse(
            "stop",
            "array_above_max_length",
            format!(
                "Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOPS}, but got an array \
                 with length {count} instead."
            ),
        );
    }
    let is_text = strings(body, "stop").len() == count.max(usize::from(body["stop"].is_string()));
    if !is_text || !(body["stop"].is_null() || body["stop"].is_string() || body["stop"].is_array()) {
        return refuse(
            "stop",
            "invalid_type",
            "Invalid type for 'stop': expected a string or an array of strings.",
        );
    }
    Ok(())
}

fn effort(body: &Value, effort: &Value, param: &str) -> Result<(), Refusal> {
    if effort.is_null() || effort.as_str().is_some_and(|effort| EFFORTS.contains(&effort)) {
        return families::check(body, effort, param);
    }
    let supported = EFFORTS.map(|effort| format!("'{effort}'")).join(", ");
    refuse(param, "invalid_value", format!("Invalid value: {effort}. Supported values are: {supported}."))
}

/// `inside` is where a tool holds its function: `.function` in a chat.
fn tools(body: &Value, inside: &str) -> Result<(), Refusal> {
    let tools = list(body, "tools");
    // Responses may have none.
    if body["tools"].is_array() && tools.is_empty() && !inside.is_empty() {
        return refuse(
            "tools",
            "empty_array",
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        );
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        // Responses state their defaults in any case.
        if !inside.is_empty() && tools.is_empty() && !body[name].is_null() {
            let message =
                format!("Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.");
            return refuse(name, "invalid_value", message);
        }
    }
    for (index, tool) in tools.iter().enumerate().filter(|(_, tool)| tool["type"] == "function") {
        let at = format!("tools[{index}]{inside}");
        if !inside.is_empty() && !tool["function"].is_object() {
            return required(&at);
        }
        let function = function(tool);
        name(&function["name"], &format!("{at}.name"))?;
        parameters(function, &format!("{at}.parameters"))?;
    }
    if let Some((index, odd)) = tools.iter().enumerate().find(|(_, tool)| !tool["type"].is_string()) {
        let message = format!("Missing required parameter: 'tools[{index}].type' in {odd}.");
        return refuse(format!("tools[{index}].type"), "missing_required_parameter", message);
    }
    let chosen = &function(&body["tool_choice"])["name"];
    if chosen.is_string() && !tools.iter().any(|tool| function(tool)["name"] == *chosen) {
        let message = format!("Invalid value for 'tool_choice': {chosen} is not among 'tools'.");
        return refuse("tool_choice", "invalid_value", message);
    }
    let choices = ["none", "auto", "required"];
    if body["tool_choice"].as_str().is_some_and(|choice| !choices.contains(&choice)) {
        let message =
            "Invalid value for 'tool_choice'. Supported values are: 'none', 'auto', and 'required'.";
        return refuse("tool_choice", "invalid_value", message);
    }
    Ok(())
}

/// A name of a tool, or of an output format.
pub(super) fn name(name: &Value, param: &str) -> Result<(), Refusal> {
    let Some(name) = name.as_str() else { return required(param) };
    if name.len() > MAX_NAME {
        return too_long(param, MAX_NAME, name.len());
    }
    if !is_name(name, MAX_NAME, "_-") {
        return refuse(
            param,
            "invalid_value",
            format!(
                "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern \
                 '^[a-zA-Z0-9_-]+$'."
            ),
        );
    }
    Ok(())
}

pub(super) fn too_long<T>(param: &str, most: usize, length: usize) -> Result<T, Refusal> {
    refuse(
        param,
        "string_above_max_length",
        format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with \
             length {length} instead."
        ),
    )
}

fn parameters(function: &Value, param: &str) -> Result<(), Refusal> {
    let schema = &function["parameters"];
    if schema.is_null() {
        return Ok(());
    }
    let name = &function["name"];
    let not_object = || format!("schema must be a JSON Schema of 'type: \"object\"', got {}", schema["type"]);
    let is_object = schema["type"] == "object" || schema.as_object().is_some_and(serde_json::Map::is_empty);
    let flaw = if is_object { find_in_schema(schema, "", &no_openai_schema) } else { Some(not_object()) };
    let flaw = flaw.or_else(|| if function["strict"] == true { loose(schema) } else { None });
    match flaw {
        Some(flaw) => refuse(
            param,
            "invalid_function_parameters",
            format!("Invalid schema for function {name}: {flaw}."),
        ),
        None => Ok(()),
    }
}

fn no_openai_schema(schema: &Value, path: &str) -> Option<String> {
    let has_no_items = schema["type"] == "array" && schema["items"].is_null();
    no_json_schema(schema, path)
        .or_else(|| has_no_items.then(|| format!("In context=({path}), array schema missing items")))
}

/// What a strict schema lacks: every object is closed, and all its properties are required.
fn loose(schema: &Value) -> Option<String> {
    find_in_schema(schema, "", &|schema, path| {
        if schema["type"] != "object" {
            return None;
        }
        if schema["additionalProperties"] != false {
            return Some(format!(
                "In context=({path}), 'additionalProperties' is required to be supplied and to be false"
            ));
        }
        let required = strings(schema, "required");
        let mut properties = schema["properties"].as_object()?.keys();
        let lost = properties.find(|name| !required.contains(&name.as_str()))?;
        Some(format!(
            "In context=({path}), 'required' is required to be supplied and to be an array including every key in \
             properties. Missing '{lost}'"
        ))
    })
}

/// The output's format: `definition` is where name and schema stand, at `format` and `inside`.
fn output_format(kind: &Value, definition: &Value, format: &str, inside: &str) -> Result<(), Refusal> {
    match kind["type"].as_str() {
        Some("text" | "json_object") => return Ok(()),
        None if kind.is_null() => return Ok(()),
        Some("json_schema") => {}
        _ => {
            let message = "Invalid value. Supported values are: 'json_object', 'json_schema', and 'text'.";
            return refuse(format!("{format}.type"), "invalid_value", message);
        }
    }
    let param = |member: &str| format!("{format}{inside}.{member}");
    name(&definition["name"], &param("name"))?;
    let schema = &definition["schema"];
    if !schema.is_object() {
        return required(&param("schema"));
    }
    let flaw = find_in_schema(schema, "", &no_openai_schema)
        .or_else(|| if definition["strict"] == true { loose(schema) } else { None });
    match flaw {
        Some(flaw) => {
            let message = format!("Invalid schema for response_format {}: {flaw}.", definition["name"]);
            refuse(format, "invalid_json_schema", message)
        }
        None => Ok(()),
    }
}

/// JSON without a schema is to be asked for in words, too.
fn mentions_json(format: &Value, input: &Value, param: &str) -> Result<(), Refusal> {
    if format["type"] != "json_object" || input.to_string().to_ascii_lowercase().contains("json") {
        return Ok(());
    }
    let message = format!(
        "'{param}' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    );
    refuse(param, "invalid_value", message)
}
