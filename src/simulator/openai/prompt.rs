//! Reads requests for chats and responses into a [`Prompt`]. They were checked before.

use super::super::answer::text_bytes;
use super::super::prompt::{Format, Prompt, Tool, ToolChoice, last_said, list, since, strings, text_of};
use super::families::thinks;
use serde_json::Value;

/// Roles of messages that instruct the model.
const SYSTEM: [&str; 2] = ["system", "developer"];

pub(super) fn of_chat<'a>(body: &'a Value, messages: &'a [Value]) -> Prompt<'a> {
    let bytes = messages.iter().map(text_bytes).sum();
    let results = since(messages, |message| message["role"] == "assistant");
    let results = results.iter().filter(|message| message["role"] == "tool");
    let results = results.map(|result| text_of(&result["content"]).into_owned()).collect();
    Prompt {
        system: system(messages).into(),
        images: images(messages, "image_url"),
        results,
        format: match (
            body["response_format"]["type"].as_str(),
            &body["response_format"]["json_schema"]["schema"],
        ) {
            (Some("json_schema"), schema) => Format::Schema(schema),
            (Some("json_object"), _) => Format::Json,
            _ => Format::Text,
        },
        thinks: thinks(&body["model"], &body["reasoning_effort"]),
        stop_sequences: strings(body, "stop"),
        ..shared(body, Prompt::new(bytes, last_said(messages, "content"), usize::MAX))
    }
}

pub(super) fn of_response(body: &Value) -> Prompt<'_> {
    let items = list(body, "input");
    let bytes = text_bytes(&body["input"]) + text_bytes(&body["instructions"]);
    let said = if items.is_empty() { text_of(&body["input"]) } else { last_said(items, "content") };
    let results = since(items, |item| item["role"] == "assistant" || item["type"] == "function_call");
    let results = results.iter().filter(|item| item["type"] == "function_call_output");
    let results = results.map(|result| text_of(&result["output"]).into_owned()).collect();
    let instructions = text_of(&body["instructions"]);
    let system = if instructions.is_empty() { system(items).into() } else { instructions };
    let format = &body["text"]["format"];
    Prompt {
        system,
        images: images(items, "input_image"),
        results,
        format: match format["type"].as_str() {
            Some("json_schema") => Format::Schema(&format["schema"]),
            Some("json_object") => Format::Json,
            _ => Format::Text,
        },
        thinks: thinks(&body["model"], &body["reasoning"]["effort"]),
        ..shared(body, Prompt::new(bytes, said, usize::MAX))
    }
}

/// The prompt with what both endpoints say alike of tools.
fn shared<'a>(body: &'a Value, prompt: Prompt<'a>) -> Prompt<'a> {
    Prompt {
        tools: list(body, "tools").iter().filter_map(tool).collect(),
        tool_choice: tool_choice(&body["tool_choice"]),
        one_call: body["parallel_tool_calls"] == false,
        ..prompt
    }
}

/// A tool's function: under its name in a chat, bare in a response.
pub(super) fn function(tool: &Value) -> &Value {
    if tool["function"].is_object() { &tool["function"] } else { tool }
}

fn tool(tool: &Value) -> Option<Tool<'_>> {
    let function = function(tool);
    Some(Tool { name: function["name"].as_str()?, schema: &function["parameters"] })
}

fn tool_choice(choice: &Value) -> ToolChoice<'_> {
    match choice.as_str() {
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Any,
        Some(_) => ToolChoice::Auto,
        None => function(choice)["name"].as_str().map_or(ToolChoice::Auto, ToolChoice::One),
    }
}

fn system(messages: &[Value]) -> String {
    let instructs = |message: &&Value| SYSTEM.iter().any(|role| message["role"] == *role);
    let texts: Vec<_> =
        messages.iter().filter(instructs).map(|message| text_of(&message["content"])).collect();
    texts.join("\n")
}

/// Parts of that type, in messages and in what tools put out.
fn images(messages: &[Value], kind: &str) -> usize {
    let parts =
        messages.iter().flat_map(|message| list(message, "content").iter().chain(list(message, "output")));
    parts.filter(|part| part["type"] == kind).count()
}
