//! What OpenAI refuses of a response's input, in its words.

use super::super::check::seal;
use super::super::prompt::list;
use super::super::reply::Refusal;
use super::super::turn::THOUGHT;
use super::messages::{arguments, image};
use super::strict::{name, refuse, too_long};
use serde_json::Value;

/// Characters of an id.
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
            Some("reasoning") => reasoning(item, &at)?,
            Some("item_reference") => {}
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
    if role == "assistant" {
        id(item, "msg", at)?;
    }
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

/// What the model thought comes back encrypted, or is known by its id.
fn reasoning(item: &Value, at: &str) -> Result<(), Refusal> {
    let id = item["id"].as_str().unwrap_or_default();
    match item["encrypted_content"].as_str() {
        Some(sealed) if sealed == seal(THOUGHT) => Ok(()),
        Some(sealed) => refuse(
            format!("{at}.encrypted_content"),
            "invalid_encrypted_content",
            format!("The encrypted content {sealed} could not be verified."),
        ),
        None if is_known(id) => Ok(()),
        None => refuse(
            "input",
            "invalid_value",
            format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
                 `store` set to true, or remove this item from your input."
            ),
        ),
    }
}

/// Whether an id of reasoning is one that a simulator gives: its name, and the number of the request.
fn is_known(id: &str) -> bool {
    let number = id.strip_prefix("rs_").and_then(|id| id.rsplit_once('-')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Ids of items may be left out, but not made up in another form.
fn id(item: &Value, prefix: &str, at: &str) -> Result<(), Refusal> {
    match item["id"].as_str() {
        Some(id) if !id.starts_with(prefix) => {
            let message = format!("Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
            refuse(format!("{at}.id"), "invalid_value", message)
        }
        Some(id) if id.len() > MAX_ID => too_long(&format!("{at}.id"), MAX_ID, id.len()),
        _ => Ok(()),
    }
}

fn call<'a>(item: &'a Value, at: &str) -> Result<&'a str, Refusal> {
    id(item, "fc", at)?;
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
