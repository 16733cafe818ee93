//! Reads a request for content into a [`Prompt`], once it was checked.

use super::super::answer::text_bytes;
use super::super::prefill::prefill;
use super::super::prompt::{Format, Prompt, Tool, ToolChoice, last_said, list, since, strings, text_of};
use super::super::reply::Refusal;
use super::super::route::word_limit;
use super::{families, strict};
use crate::domain::Dialect;
use serde_json::Value;

pub(super) fn read<'a>(model: &str, body: &'a Value) -> Result<Prompt<'a>, Refusal> {
    let config = &body["generationConfig"];
    let contents = list(body, "contents");
    if contents.is_empty() {
        return Err(Refusal::invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    strict::check(body, contents)?;
    families::check(model, body, contents)?;
    let system = &body["systemInstruction"];
    let bytes = text_bytes(&body["contents"]) + text_bytes(system);
    Ok(Prompt {
        system: text_of(&system["parts"]),
        prefill: prefill(Dialect::Gemini, body),
        images: contents.iter().map(|content| images(list(content, "parts"))).sum(),
        tools: list(body, "tools")
            .iter()
            .flat_map(|tool| list(tool, "functionDeclarations"))
            .filter_map(tool)
            .collect(),
        tool_choice: tool_choice(&body["toolConfig"]["functionCallingConfig"]),
        results: since(contents, |content| content["role"] == "model").iter().flat_map(results).collect(),
        format: format(config),
        thinks: families::thinks(model, &config["thinkingConfig"]),
        stop_sequences: strings(config, "stopSequences"),
        ..Prompt::new(bytes, said(contents), word_limit(&config["maxOutputTokens"])?)
    })
}

/// What the user said last. A content without a role is the user's.
fn said(contents: &[Value]) -> std::borrow::Cow<'_, str> {
    match contents {
        [only] => text_of(&only["parts"]),
        _ => last_said(contents, "parts"),
    }
}

fn images(parts: &[Value]) -> usize {
    let is_image = |part: &Value| match part["inlineData"]["mimeType"].as_str() {
        Some(kind) => kind.starts_with("image/"),
        // A file's type may be left for the vendor to find out.
        None => part["fileData"]["mimeType"]
            .as_str()
            .map_or(part["fileData"].is_object(), |kind| kind.starts_with("image/")),
    };
    let count = |part: &Value| usize::from(is_image(part)) + images(list(&part["functionResponse"], "parts"));
    parts.iter().map(count).sum()
}

fn tool(declaration: &Value) -> Option<Tool<'_>> {
    let schemas = [&declaration["parameters"], &declaration["parametersJsonSchema"]];
    let schema = schemas.into_iter().find(|schema| !schema.is_null()).unwrap_or(&Value::Null);
    Some(Tool { name: declaration["name"].as_str()?, schema })
}

fn tool_choice(config: &Value) -> ToolChoice<'_> {
    match (config["mode"].as_str(), strings(config, "allowedFunctionNames").as_slice()) {
        (Some("ANY"), [name]) => ToolChoice::One(name),
        (Some("ANY"), _) => ToolChoice::Any,
        (Some("NONE"), _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

/// What functions gave back: under `output` or `result`, as the vendor suggests, or all of it.
fn results(content: &Value) -> impl Iterator<Item = String> {
    let responses = list(content, "parts").iter().map(|part| &part["functionResponse"]["response"]);
    let text = |response: &Value| {
        let inner = ["output", "result"].iter().find_map(|name| response[*name].as_str());
        inner.map_or_else(|| response.to_string(), str::to_owned)
    };
    responses.filter(|response| !response.is_null()).map(text)
}

fn format(config: &Value) -> Format<'_> {
    let schemas = [&config["responseJsonSchema"], &config["responseSchema"]];
    match schemas.into_iter().find(|schema| !schema.is_null()) {
        Some(schema) => Format::Schema(schema),
        None if config["responseMimeType"] == "application/json" => Format::Json,
        None => Format::Text,
    }
}
