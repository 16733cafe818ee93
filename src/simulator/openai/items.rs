//! What OpenAI refuses of a response's input, in its words.

use super::super::prompt::list;
use super::super::reply::Refusal;
use super::messages::{arguments, image};
use super::strict::{name, refuse, too_long};
use serde_json::Value;

/// Characters of a call's id.
const MAX_ID: usize = 64;

/// Roles, and the types of parts that their messages may have.
const ROLES: &[(&str, &[&str])] = &[
    ("user", &["input_text", "input_image", "input_file", "input_audio"]),
    ("system", &["input_text"]),
    ("developer", &["input_text"]),
    ("assistant", &["output_text", "refusal"]),
];

/// Turns down what the vendor would.
pub(super) fn check(input: &Value) -> Result<(), Refusal> {
    let items = match input {
        Value::String(_) => return Ok(()),
        Value::Array(items) if !items.is_empty() => items,
        Value::Array(_) => {
            return refuse(
                "input",
                "empty_array",
                "Invalid 'input': empty array. Expected at least one item.",
            );
        }
        _ => {
            return refuse(
                "input",
                "invalid_type",
                "Invalid type for 'input': expected a string or an array.",
            );
        }
    };
    let mut open: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        match item["type"].as_str() {
            None | Some("message") => message(item, &at)?,
            Some("function_call") => open.push(call(item, &at)?),
            Some("function_call_output") => output(item, &mut open, &at)?,
            // Made by the model, or named by its id.
            Some("reasoning" | "item_reference") => {}
            Some(other) => {
                let message = format!("Invalid value: '{other}'.");
                return refuse(format!("{at}.type"), "invalid_value", message);
            }
        }
    }
    match open.first() {
        Some(lost) => {
            refuse("input", "invalid_value", format!("No tool output found for function call {lost}."))
        }
        None => Ok(()),
    }
}

fn message(item: &Value, at: &str) -> Result<(), Refusal> {
    let role = item["role"].as_str().unwrap_or_default();
    let Some((_, kinds)) = ROLES.iter().find(|(name, _)| *name == role) else {
        let supported = "'assistant', 'system', 'developer', and 'user'";
        let message = format!("Invalid value: '{role}'. Supported values are: {supported}.");
        return refuse(format!("{at}.role"), "invalid_value", message);
    };
    if !item["content"].is_string() && !item["content"].is_array() {
        let message = format!("Invalid type for '{at}.content': expected a string or an array of objects.");
        return refuse(format!("{at}.content"), "invalid_type", message);
    }
    for (place, part) in list(item, "content").iter().enumerate() {
        let at = format!("{at}.content[{place}]");
        let kind = part["type"].as_str().unwrap_or_default();
        if !kinds.contains(&kind) {
            let message = format!("Invalid value: '{kind}'. Supported values are: '{}'.", kinds.join("', '"));
            return refuse(format!("{at}.type"), "invalid_value", message);
        }
        if kind == "input_image" && part["file_id"].is_null() {
            image(&part["image_url"], &format!("{at}.image_url"))?;
        }
    }
    Ok(())
}

fn call<'a>(item: &'a Value, at: &str) -> Result<&'a str, Refusal> {
    let Some(id) = item["call_id"].as_str() else {
        let message = format!("Missing required parameter: '{at}.call_id'.");
        return refuse(format!("{at}.call_id"), "missing_required_parameter", message);
    };
    if id.len() > MAX_ID {
        return too_long(&format!("{at}.call_id"), MAX_ID, id.len());
    }
    name(&item["name"], &format!("{at}.name"))?;
    arguments(&item["arguments"], &format!("{at}.arguments"))?;
    Ok(id)
}

fn output(item: &Value, open: &mut Vec<&str>, at: &str) -> Result<(), Refusal> {
    let before = open.len();
    open.retain(|id| item["call_id"] != *id);
    if open.len() == before {
        let message =
            format!("No tool call found for function call output with call_id {}.", item["call_id"]);
        return refuse("input", "invalid_value", message);
    }
    if !item["output"].is_string() && !item["output"].is_array() {
        let message = format!("Invalid type for '{at}.output': expected a string or an array.");
        return refuse(format!("{at}.output"), "invalid_type", message);
    }
    Ok(())
}
