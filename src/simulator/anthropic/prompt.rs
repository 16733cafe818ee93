//! Reads a Messages request into a [`Prompt`]. It was checked before.

use super::super::answer::text_bytes;
use super::super::prompt::{Format, Prompt, Tool, ToolChoice, last_said, list, since, strings, text_of};
use serde_json::Value;

pub(super) fn read<'a>(body: &'a Value, messages: &'a [Value]) -> Prompt<'a> {
    let bytes = messages.iter().map(text_bytes).sum::<usize>() + text_bytes(&body["system"]);
    Prompt {
        system: text_of(&body["system"]),
        images: messages.iter().map(|message| images(&message["content"])).sum(),
        tools: list(body, "tools").iter().filter_map(tool).collect(),
        tool_choice: tool_choice(&body["tool_choice"]),
        one_call: body["tool_choice"]["disable_parallel_tool_use"] == true,
        results: since(messages, |message| message["role"] == "assistant").iter().flat_map(results).collect(),
        format: match &body["output_config"]["format"]["schema"] {
            Value::Null => Format::Text,
            schema => Format::Schema(schema),
        },
        thinks: thinks(body),
        stop_sequences: strings(body, "stop_sequences"),
        ..Prompt::new(bytes, last_said(messages, "content"), usize::MAX)
    }
}

/// Whether thinking is on, in any of its modes.
pub(super) fn thinks(body: &Value) -> bool {
    body["thinking"]["type"].as_str().is_some_and(|mode| mode != "disabled")
}

fn images(content: &Value) -> usize {
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let count = |block: &Value| usize::from(block["type"] == "image") + images(&block["content"]);
    blocks.iter().map(count).sum()
}

fn tool(tool: &Value) -> Option<Tool<'_>> {
    Some(Tool { name: tool["name"].as_str()?, schema: &tool["input_schema"] })
}

fn tool_choice(choice: &Value) -> ToolChoice<'_> {
    match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("tool"), Some(name)) => ToolChoice::One(name),
        (Some("any"), _) => ToolChoice::Any,
        (Some("none"), _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

fn results(message: &Value) -> impl Iterator<Item = String> {
    let results = list(message, "content").iter().filter(|block| block["type"] == "tool_result");
    results.map(|block| text_of(&block["content"]).into_owned())
}
