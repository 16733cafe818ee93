//! What OpenAI refuses of a chat's messages, in its words: roles, parts, and tools' results out of place.

use super::super::check::{is_base64, is_http_url};
use super::super::prompt::list;
use super::super::reply::Refusal;
use super::strict::{name, refuse, too_long};
use serde_json::Value;

/// Characters of a tool call's id.
const MAX_ID: usize = 40;

/// Roles, and the types of parts that their messages may have.
const ROLES: &[(&str, &[&str])] = &[
    ("system", &["text"]),
    ("assistant", &["text", "refusal"]),
    ("user", &["text", "image_url", "input_audio", "file"]),
    ("function", &[]),
    ("tool", &["text"]),
    ("developer", &["text"]),
];

/// Turns down what the vendor would.
pub(super) fn check(messages: &[Value]) -> Result<(), Refusal> {
    // The calls whose results are still to come, and the message that they stand in.
    let (mut open, mut caller): (Vec<&str>, usize) = (Vec::new(), 0);
    let mut called: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        content(message, role, index)?;
        if role == "tool" {
            result(message, index, &called)?;
            open.retain(|id| message["tool_call_id"] != *id);
            continue;
        }
        all_answered(&open, caller)?;
        called = calls(message, index)?;
        (open, caller) = (called.clone(), index);
    }
    all_answered(&open, caller)
}

fn all_answered(open: &[&str], caller: usize) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    refuse(
        format!("messages.[{}].role", caller + 1),
        "invalid_value",
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            open.join(", ")
        ),
    )
}

fn content(message: &Value, role: &str, index: usize) -> Result<(), Refusal> {
    let at = format!("messages[{index}]");
    let Some((_, parts)) = ROLES.iter().find(|(name, _)| *name == role) else {
        return refuse(
            format!("{at}.role"),
            "invalid_value",
            format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', \
                 and 'developer'."
            ),
        );
    };
    let may_lack = role == "assistant"
        && ["tool_calls", "audio", "refusal"].iter().any(|name| !message[*name].is_null());
    match &message["content"] {
        Value::String(_) => Ok(()),
        Value::Array(items) if items.is_empty() => refuse(
            format!("{at}.content"),
            "empty_array",
            format!("Invalid '{at}.content': empty array. Expected an array with minimum length 1."),
        ),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(place, item)| part(item, parts, &format!("{at}.content[{place}]")))
        }
        Value::Null if may_lack => Ok(()),
        Value::Null => refuse(
            format!("{at}.content"),
            "invalid_type",
            "Invalid value for 'content': expected a string, got null.".to_owned(),
        ),
        _ => refuse(
            format!("{at}.content"),
            "invalid_type",
            format!("Invalid type for '{at}.content': expected one of a string or array of objects."),
        ),
    }
}

fn part(part: &Value, kinds: &[&str], at: &str) -> Result<(), Refusal> {
    let kind = part["type"].as_str().unwrap_or_default();
    if !kinds.contains(&kind) {
        let supported = kinds.join("', '");
        let message = format!("Invalid value: '{kind}'. Supported values are: '{supported}'.");
        return refuse(format!("{at}.type"), "invalid_value", message);
    }
    if kind == "text" && !part["text"].is_string() {
        let message = format!("Invalid type for '{at}.text': expected a string.");
        return refuse(format!("{at}.text"), "invalid_type", message);
    }
    if kind == "image_url" {
        return image(&part["image_url"]["url"], &format!("{at}.image_url.url"));
    }
    Ok(())
}

/// An image's URL, which may hold the image itself.
pub(super) fn image(url: &Value, at: &str) -> Result<(), Refusal> {
    let url = url.as_str().unwrap_or_default();
    let Some(inline) = url.strip_prefix("data:") else {
        if is_http_url(url) {
            return Ok(());
        }
        let message =
            format!("Invalid '{at}': expected a valid URL, but got a value with an invalid format.");
        return refuse(at, "invalid_value", message);
    };
    let Some((media_type, image)) = inline.split_once(";base64,") else {
        return refuse(at, "invalid_image_url", "Invalid image data URL: expected base64.");
    };
    if !["png", "jpeg", "gif", "webp"].iter().any(|kind| media_type.strip_prefix("image/") == Some(kind)) {
        return refuse(
            at,
            "invalid_image_format",
            format!("Invalid MIME type '{media_type}'. Only image types are supported."),
        );
    }
    if !is_base64(image) {
        return refuse(at, "invalid_base64", "Invalid base64 image_url.");
    }
    Ok(())
}

fn result(message: &Value, index: usize, called: &[&str]) -> Result<(), Refusal> {
    if message["tool_call_id"].as_str().is_some_and(|id| called.contains(&id)) {
        return Ok(());
    }
    refuse(
        format!("messages.[{index}].role"),
        "invalid_value",
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
    )
}

/// The ids of a message's calls, each of which is whole.
fn calls(message: &Value, index: usize) -> Result<Vec<&str>, Refusal> {
    let mut ids = Vec::new();
    if message["role"] != "assistant" {
        return Ok(ids);
    }
    let calls = list(message, "tool_calls");
    if message["tool_calls"].is_array() && calls.is_empty() {
        let param = format!("messages[{index}].tool_calls");
        let message = format!("Invalid '{param}': empty array. Expected an array with minimum length 1.");
        return refuse(param, "empty_array", message);
    }
    for (place, call) in calls.iter().enumerate() {
        let at = format!("messages[{index}].tool_calls[{place}]");
        let Some(id) = call["id"].as_str() else {
            let message = format!("Missing required parameter: '{at}.id'.");
            return refuse(format!("{at}.id"), "missing_required_parameter", message);
        };
        if id.len() > MAX_ID {
            return too_long(&format!("{at}.id"), MAX_ID, id.len());
        }
        if call["type"] != "function" {
            let message = format!("Invalid value: {}. Supported values are: 'function'.", call["type"]);
            return refuse(format!("{at}.type"), "invalid_value", message);
        }
        name(&call["function"]["name"], &format!("{at}.function.name"))?;
        arguments(&call["function"]["arguments"], &format!("{at}.function.arguments"))?;
        ids.push(id);
    }
    Ok(ids)
}

/// Arguments are JSON in a string.
pub(super) fn arguments(arguments: &Value, at: &str) -> Result<(), Refusal> {
    if arguments.is_string() {
        return Ok(());
    }
    let message = format!("Invalid type for '{at}': expected a string, but got something else instead.");
    refuse(at, "invalid_type", message)
}
