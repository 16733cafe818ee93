//! What Anthropic refuses of a request's messages, in its words: roles, blocks, and tools' results out of place.

use super::super::check::{is_base64, is_http_url, is_name, seal};
use super::super::prompt::list;
use super::super::reply::Refusal;
use super::strict::refuse;
use serde_json::Value;

/// The first version that takes messages of role `system`.
const SYSTEM_MESSAGES_SINCE: &str = "2026-01-01";

/// Characters of a tool call's id.
const MAX_ID: usize = 256;

const MEDIA_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// A kind of block: the role whose messages have it (either's, if none), its members, and what else it needs.
struct Kind {
    name: &'static str,
    role: Option<&'static str>,
    members: &'static [&'static str],
    check: fn(&Value, &str) -> Result<(), Refusal>,
}

const KINDS: &[Kind] = &[
    Kind { name: "text", role: None, members: &["text", "citations"], check: text },
    Kind { name: "image", role: Some("user"), members: &["source"], check: image },
    Kind {
        name: "document",
        role: Some("user"),
        members: &["source", "title", "context", "citations"],
        check: document,
    },
    Kind {
        name: "tool_use",
        role: Some("assistant"),
        members: &["id", "name", "input", "caller"],
        check: tool_use,
    },
    Kind {
        name: "tool_result",
        role: Some("user"),
        members: &["tool_use_id", "content", "is_error"],
        check: tool_result,
    },
    Kind { name: "thinking", role: Some("assistant"), members: &["thinking", "signature"], check: thinking },
    Kind { name: "redacted_thinking", role: Some("assistant"), members: &["data"], check: redacted },
];

/// Turns down what the vendor would. Messages of one role in a row are one turn, as the vendor sees them.
pub(super) fn check(messages: &[Value], version: &str, has_budget: bool) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        role(message, index, version)?;
        content(message, index, index + 1 == messages.len())?;
    }
    let turns = || messages.chunk_by(|one, next| one["role"] == next["role"]);
    if turns().next().is_some_and(|turn| turn[0]["role"] == "assistant") {
        return refuse("messages: first message must use the \"user\" role");
    }
    results(turns())?;
    if has_budget { thought_before_calls(messages) } else { Ok(()) }
}

fn role(message: &Value, index: usize, version: &str) -> Result<(), Refusal> {
    match message["role"].as_str() {
        Some("user" | "assistant") => Ok(()),
        Some("system") if version >= SYSTEM_MESSAGES_SINCE => Ok(()),
        Some("system") => refuse(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \
             \"system\" as an input message role.",
        ),
        Some(_) => refuse(format!("messages.{index}.role: Input should be 'user' or 'assistant'")),
        None => refuse(format!("messages.{index}.role: Field required")),
    }
}

fn content(message: &Value, index: usize, is_last: bool) -> Result<(), Refusal> {
    let is_empty = match &message["content"] {
        Value::String(text) => text.is_empty(),
        Value::Array(blocks) => blocks.is_empty(),
        Value::Null => return refuse(format!("messages.{index}.content: Field required")),
        _ => return refuse(format!("messages.{index}.content: Input should be a valid list")),
    };
    if is_empty && !(is_last && message["role"] == "assistant") {
        return refuse(format!(
            "messages.{index}: all messages must have non-empty content except for the optional final assistant \
             message"
        ));
    }
    for (place, one) in list(message, "content").iter().enumerate() {
        block(one, message["role"].as_str(), &format!("messages.{index}.content.{place}"))?;
    }
    Ok(())
}

fn block(block: &Value, role: Option<&str>, at: &str) -> Result<(), Refusal> {
    let Some(name) = block["type"].as_str() else {
        return refuse(format!("{at}.type: Field required"));
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        let names: Vec<_> = KINDS.iter().map(|kind| format!("'{}'", kind.name)).collect();
        return refuse(format!(
            "{at}: Input tag '{name}' found using 'type' does not match any of: {}",
            names.join(", ")
        ));
    };
    if kind.role.is_some_and(|only| Some(only) != role) {
        return refuse(format!(
            "{at}: `{name}` blocks can only be in `{}` messages",
            kind.role.unwrap_or_default()
        ));
    }
    let is_known =
        |member: &str| ["type", "cache_control"].contains(&member) || kind.members.contains(&member);
    if let Some(odd) = block.as_object().and_then(|block| block.keys().find(|member| !is_known(member))) {
        return refuse(format!("{at}.{name}.{odd}: Extra inputs are not permitted"));
    }
    (kind.check)(block, at)
}

fn text(block: &Value, at: &str) -> Result<(), Refusal> {
    match block["text"].as_str() {
        Some("") => refuse("messages: text content blocks must be non-empty"),
        Some(_) => Ok(()),
        None => refuse(format!("{at}.text.text: Input should be a valid string")),
    }
}

fn image(block: &Value, at: &str) -> Result<(), Refusal> {
    let source = &block["source"];
    let is_media_type = source["media_type"].as_str().is_some_and(|kind| MEDIA_TYPES.contains(&kind));
    if source["type"] == "base64" && !is_media_type {
        return refuse(format!(
            "{at}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or \
             'image/webp'"
        ));
    }
    source_of(source, &format!("{at}.image.source"))
}

fn document(block: &Value, at: &str) -> Result<(), Refusal> {
    let source = &block["source"];
    match source["type"].as_str() {
        Some("base64") if source["media_type"] != "application/pdf" => {
            refuse(format!("{at}.document.source.base64.media_type: Input should be 'application/pdf'"))
        }
        Some("text" | "content") => Ok(()),
        _ => source_of(source, &format!("{at}.document.source")),
    }
}

fn source_of(source: &Value, at: &str) -> Result<(), Refusal> {
    let holds = |name: &str, is_good: fn(&str) -> bool| source[name].as_str().is_some_and(is_good);
    match source["type"].as_str() {
        Some("base64") if holds("data", is_base64) => Ok(()),
        Some("base64") => refuse(format!("{at}.base64.data: Invalid base64 data")),
        Some("url") if holds("url", is_http_url) => Ok(()),
        Some("url") => refuse(format!("{at}.url.url: Only HTTP(S) URLs are supported.")),
        Some("file") if holds("file_id", |id| !id.is_empty()) => Ok(()),
        _ => refuse(format!(
            "{at}: Input tag found using 'type' does not match any of: 'base64', 'url', 'file'"
        )),
    }
}

fn tool_use(block: &Value, at: &str) -> Result<(), Refusal> {
    let has_name = |name: &str| block[name].as_str().is_some_and(|text| is_name(text, MAX_ID, "_-"));
    for name in ["id", "name"] {
        if !has_name(name) {
            return refuse(format!("{at}.tool_use.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'"));
        }
    }
    if !block["input"].is_object() {
        return refuse(format!("{at}.tool_use.input: Input should be a valid dictionary"));
    }
    Ok(())
}

fn tool_result(block: &Value, at: &str) -> Result<(), Refusal> {
    if !block["tool_use_id"].is_string() {
        return refuse(format!("{at}.tool_result.tool_use_id: Field required"));
    }
    for (index, part) in list(block, "content").iter().enumerate() {
        let at = format!("{at}.tool_result.content.{index}");
        if !["text", "image", "document"].iter().any(|kind| part["type"] == *kind) {
            return refuse(format!(
                "{at}: Input tag found using 'type' does not match any of: 'text', 'image'"
            ));
        }
        self::block(part, Some("user"), &at)?;
    }
    Ok(())
}

fn thinking(block: &Value, at: &str) -> Result<(), Refusal> {
    let Some(thought) = block["thinking"].as_str() else {
        return refuse(format!("{at}.thinking.thinking: Field required"));
    };
    if block["signature"] == seal(thought) {
        return Ok(());
    }
    refuse(format!("{at}: Invalid `signature` in `thinking` block"))
}

fn redacted(block: &Value, at: &str) -> Result<(), Refusal> {
    // None was ever made here, so that all are somebody else's.
    refuse(format!("{at}: Invalid `data` in `redacted_thinking` block: {}", block["data"]))
}

/// Each turn's calls have their results at the beginning of the next, and no others.
fn results<'a>(turns: impl Iterator<Item = &'a [Value]>) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut index = 0;
    for turn in turns {
        let blocks = || turn.iter().flat_map(|message| list(message, "content"));
        let begins = blocks().take_while(|block| block["type"] == "tool_result");
        let answered: Vec<&str> = begins.filter_map(|block| block["tool_use_id"].as_str()).collect();
        if let Some(lost) = open.iter().find(|id| !answered.contains(id)) {
            return refuse(format!(
                "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {lost}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                index - 1
            ));
        }
        for id in blocks().filter_map(|block| block["tool_use_id"].as_str()) {
            if !open.contains(&id) {
                return refuse(format!(
                    "messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                     `tool_result` block must have a corresponding `tool_use` block in the previous message."
                ));
            }
        }
        open = blocks()
            .filter(|block| block["type"] == "tool_use")
            .filter_map(|block| block["id"].as_str())
            .collect();
        index += turn.len();
    }
    match open.first() {
        Some(lost) => refuse(format!(
            "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {lost}.",
            index - 1
        )),
        None => Ok(()),
    }
}

/// With a budget to think by, a turn whose calls are being answered begins with its thought. Adaptive thinking doesn't
/// ask for one. Source: Anthropic, "Adaptive thinking".
fn thought_before_calls(messages: &[Value]) -> Result<(), Refusal> {
    let last = messages.iter().rposition(|message| message["role"] == "assistant");
    let Some((at, last)) = last.map(|at| (at, list(&messages[at], "content"))) else { return Ok(()) };
    let first = last.first().and_then(|block| block["type"].as_str()).unwrap_or_default();
    let calls = last.iter().any(|block| block["type"] == "tool_use");
    if !calls || ["thinking", "redacted_thinking"].contains(&first) {
        return Ok(());
    }
    refuse(format!(
        "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When \
         `thinking` is enabled, a final `assistant` message must start with a thinking block (preceding the \
         lastmost set of `tool_use` and `tool_result` blocks)."
    ))
}
