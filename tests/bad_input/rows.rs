//! What is wrong with each request, and the field that it is wrong in, API by API.

use super::{Api, Row, Rows};
use serde_json::json;

/// Nested so deeply that a parser's stack would break.
fn bomb(depth: usize) -> String {
    format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth))
}

pub(super) fn chat() -> Vec<Row> {
    let mut rows = Rows { api: Api::Chat, rows: Vec::new() };
    let it = &mut rows;
    for (pointer, value, field) in [
        ("/messages/0/role", json!("narrator"), "messages[0].role`"),
        ("/messages/0/role", json!(7), "messages[0].role`"),
        ("/messages", json!([]), "messages`"),
        ("/messages", json!("Hello"), "messages`"),
        ("/messages/0", json!("Hello"), "messages[0]`"),
        ("/messages/0/content", json!(7), "messages[0].content`"),
        ("/messages/2/tool_call_id", json!("other"), "messages[2].tool_call_id`"),
        ("/messages/1/tool_calls/0/id", json!(""), "messages[1].tool_calls[0].id`"),
        ("/messages/1/tool_calls/0/function/name", json!(""), "messages[1].tool_calls[0].function.name`"),
        ("/messages/3/content/0/type", json!("hologram"), "messages[3].content[0].type`"),
        ("/messages/3/content/0/text", json!(7), "messages[3].content[0].text`"),
        ("/messages/3/content/0", json!({"type": "text"}), "messages[3].content[0].t"),
        ("/tools", json!("f"), "tools`"),
        ("/tools/0/function", json!(null), "tools[0].function`"),
        ("/tools/0/function/name", json!(""), "tools[0].function.name`"),
        ("/tools/0/function/parameters", json!([]), "tools[0].function.parameters`"),
        ("/response_format", json!({"type": "xml"}), "response_format.type`"),
        ("/reasoning_effort", json!("immense"), "reasoning_effort`"),
        ("/temperature", json!("hot"), "temperature`"),
        ("/temperature", json!(2.1), "temperature`"),
        ("/temperature", json!(-0.1), "temperature`"),
        ("/top_p", json!(1.5), "top_p`"),
        ("/presence_penalty", json!(3), "presence_penalty`"),
        ("/max_tokens", json!(0), "max_tokens`"),
        ("/max_tokens", json!(-1), "max_tokens`"),
        ("/max_completion_tokens", json!(1.5), "max_completion_tokens`"),
        ("/seed", json!(1.5), "seed`"),
        ("/stop", json!([1]), "stop[0]`"),
    ] {
        it.with(pointer, value, field);
    }
    it.with("/messages", None, "messages`");
    it.with("/messages/0/role", None, "messages[0].role`");
    it.with("/messages/0/content", None, "messages[0].content`");
    it.with("/messages/1/tool_calls/0/id", None, "messages[1].tool_calls[0].id`");
    it.with("/messages/1/tool_calls/0/function", None, "messages[1].tool_calls[0].function`");
    it.with("/messages/1", None, "messages[1].tool_call_id`");
    it.with("/messages/2", None, "messages[2]`");
    it.with("/messages/2/tool_call_id", None, "messages[2].tool_call_id`");
    for arguments in ["{", "[1]", "7", "null", "{} {}", "{'a':1}", &bomb(5_000), &bomb(129)] {
        let field = "messages[1].tool_calls[0].function.arguments`";
        it.with("/messages/1/tool_calls/0/function/arguments", json!(arguments), field);
    }
    chat_choices(it);
    chat_media(it);
    it.replaced("\"Hello\"", bomb(200), "messages[0].content");
    it.replaced("{\"a\":{\"type\":\"string\"}}", bomb(200), "tools[0].function.parameters.properties");
    it.replaced("\"Hello\"", "\"Hello\",\"content\":\"again\"", "messages[0].content`");
    it.replaced("\"Hello\"", b"\"\xff\"", "messages[0].content`");
    it.replaced("\"Hello\"", r#""\ud800""#, "messages[0].content`");
    it.replaced("\"max_tokens\":9", "\"temperature\":1e999", "temperature`");
    rows.rows
}

/// Choices of tools that are none, or not there.
fn chat_choices(it: &mut Rows) {
    for (pointer, value, field) in [
        ("/tool_choice", json!("sometimes"), "tool_choice`"),
        (
            "/tool_choice",
            json!({"type": "function", "function": {"name": "g"}}),
            "tool_choice.function.name`",
        ),
        (
            "/tool_choice",
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
                {"type": "function", "function": {"name": "f"}},
                {"type": "function", "function": {"name": "g"}},
            ]}}),
            "tool_choice.allowed_tools.tools[1].function.name`",
        ),
        (
            "/tool_choice",
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}),
            "tool_choice`",
        ),
    ] {
        it.with(pointer, value, field);
    }
}

/// Media that are none.
fn chat_media(it: &mut Rows) {
    for url in [
        "data:image/png;base64,Q!",
        "data:image/png;base64,QUJ",
        "data:image/png,QUJD",
        "data:text/html;base64,QUJD",
        "data:nonsense;base64,QUJD",
        "ftp://x/y.png",
        "",
    ] {
        let field = "messages[3].content[1].image_url";
        it.with("/messages/3/content/1/image_url", json!(url), field);
        let field = "messages[3].content[1].image_url.url`";
        it.with("/messages/3/content/1/image_url/url", json!(url), field);
    }
    for (audio, field) in [
        (json!({"data": "!", "format": "wav"}), "messages[3].content[1].input_audio.data`"),
        (json!({"data": "QUJD", "format": "ogg"}), "messages[3].content[1].input_audio.format`"),
    ] {
        it.with("/messages/3/content/1", json!({"type": "input_audio", "input_audio": audio}), field);
    }
}

pub(super) fn responses() -> Vec<Row> {
    let mut rows = Rows { api: Api::Responses, rows: Vec::new() };
    let it = &mut rows;
    for (pointer, value, field) in [
        ("/input/0/role", json!("narrator"), "input[0].role`"),
        ("/input/0/role", json!(7), "input[0].role`"),
        ("/input", json!([]), "input`"),
        ("/input", json!(7), "input`"),
        ("/input/0", json!("Hello"), "input[0]`"),
        ("/input/0/content", json!(7), "input[0].content`"),
        ("/input/1/call_id", json!(""), "input[1].call_id`"),
        ("/input/1/name", json!(""), "input[1].name`"),
        ("/input/1/arguments", json!({"a": "b"}), "input[1].arguments`"),
        ("/input/2/call_id", json!("other"), "input[2].call_id`"),
        ("/input/3/content/0/type", json!("hologram"), "input[3].content[0].type`"),
        ("/input/3/content/0/text", json!(7), "input[3].content[0].text`"),
        ("/tools", json!("f"), "tools`"),
        ("/tools/0/name", json!(""), "tools[0].name`"),
        ("/tools/0/parameters", json!([]), "tools[0].parameters`"),
        ("/tool_choice", json!("sometimes"), "tool_choice`"),
        ("/tool_choice", json!({"type": "function", "name": "g"}), "tool_choice.name`"),
        (
            "/tool_choice",
            json!({"type": "allowed_tools", "mode": "auto", "tools": [
                {"type": "function", "name": "f"},
                {"type": "function", "name": "g"},
            ]}),
            "tool_choice.tools[1].name`",
        ),
        ("/tool_choice", json!({"type": "allowed_tools", "mode": "required", "tools": []}), "tool_choice`"),
        ("/text", json!({"format": {"type": "xml"}}), "text.format.type`"),
        ("/reasoning", json!({"effort": "immense"}), "reasoning.effort`"),
        ("/temperature", json!("hot"), "temperature`"),
        ("/temperature", json!(2.1), "temperature`"),
        ("/top_p", json!(-1), "top_p`"),
        ("/max_output_tokens", json!(0), "max_output_tokens`"),
        ("/max_output_tokens", json!(-1), "max_output_tokens`"),
    ] {
        it.with(pointer, value, field);
    }
    it.with("/input", None, "input`");
    it.with("/input/1/call_id", None, "input[1].call_id`");
    it.with("/input/1/arguments", None, "input[1].arguments`");
    it.with("/input/1", None, "input[1].call_id`");
    it.with("/input/2", None, "input[1].call_id`");
    it.with("/input/2/call_id", None, "input[2].call_id`");
    it.with("/input/2/output", None, "input[2].output`");
    for arguments in ["{", "[1]", "7", "{} {}", &bomb(5_000), &bomb(129)] {
        it.with("/input/1/arguments", json!(arguments), "input[1].arguments`");
    }
    for url in
        ["data:image/png;base64,Q!", "data:text/html;base64,QUJD", "data:nonsense;base64,QUJD", "ftp://x", ""]
    {
        it.with("/input/3/content/1/image_url", json!(url), "input[3].content[1].image_url`");
    }
    it.with(
        "/input/3/content/1",
        json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,Q!"}),
        "input[3].content[1].file_data`",
    );
    it.replaced("\"Hello\"", bomb(200), "input[0].content");
    it.replaced("{\"a\":{\"type\":\"string\"}}", bomb(200), "tools[0].parameters.properties");
    it.replaced("\"Hello\"", "\"Hello\",\"content\":\"again\"", "input[0].content`");
    it.replaced("\"Hello\"", b"\"\xff\"", "input[0].content`");
    it.replaced("\"Hello\"", r#""\udc00""#, "input[0].content`");
    it.replaced("\"max_output_tokens\":99", "\"temperature\":1e999", "temperature`");
    rows.rows
}

pub(super) fn messages() -> Vec<Row> {
    let mut rows = Rows { api: Api::Messages, rows: Vec::new() };
    let it = &mut rows;
    let image = "/messages/2/content/1/source";
    for (pointer, value, field) in [
        ("/messages/0/role", json!("narrator"), "messages[0].role`"),
        ("/messages/0/role", json!(7), "messages[0].role`"),
        ("/messages", json!([]), "messages`"),
        ("/messages", json!("Hello"), "messages`"),
        ("/messages/0", json!("Hello"), "messages[0]`"),
        ("/messages/0/content", json!(7), "messages[0].content`"),
        ("/system", json!(7), "system`"),
        ("/messages/1/content/0/id", json!(""), "messages[1].content[0].id`"),
        ("/messages/1/content/0/name", json!(""), "messages[1].content[0].name`"),
        ("/messages/1/content/0/input", json!("{}"), "messages[1].content[0].input`"),
        ("/messages/1/content/0/input", json!([1]), "messages[1].content[0].input`"),
        ("/messages/1/content/0/type", json!("hologram"), "messages[1].content[0].type`"),
        ("/messages/2/content/0/tool_use_id", json!("other"), "messages[2].content[0].tool_use_id`"),
        (
            "/messages/2/content/0/content",
            json!([{"type": "hologram"}]),
            "messages[2].content[0].content[0].type`",
        ),
        ("/messages/2/content/1", json!({"type": "text", "text": 7}), "messages[2].content[1].text`"),
        (image, json!({"type": "base64", "data": "QUJD"}), "messages[2].content[1].source.media_type`"),
        ("/messages/2/content/1/source/data", json!("Q!"), "messages[2].content[1].source.data`"),
        ("/messages/2/content/1/source/data", json!("QUJ"), "messages[2].content[1].source.data`"),
        (
            "/messages/2/content/1/source/media_type",
            json!("text/html"),
            "messages[2].content[1].source.media_type`",
        ),
        (
            "/messages/2/content/1/source/media_type",
            json!("png"),
            "messages[2].content[1].source.media_type`",
        ),
        ("/messages/2/content/1/source/type", json!("carrier"), "messages[2].content[1].source.type`"),
        ("/tools", json!("f"), "tools`"),
        ("/tools/0/name", json!(""), "tools[0].name`"),
        ("/tools/0/input_schema", json!([]), "tools[0].input_schema`"),
        ("/tool_choice", json!({"type": "sometimes"}), "tool_choice.type`"),
        ("/tool_choice", json!({"type": "tool"}), "tool_choice.name`"),
        ("/tool_choice", json!({"type": "tool", "name": "g"}), "tool_choice.name`"),
        ("/thinking", json!({"type": "deep"}), "thinking.type`"),
        ("/temperature", json!("hot"), "temperature`"),
        ("/temperature", json!(1.1), "temperature`"),
        ("/top_p", json!(1.1), "top_p`"),
        ("/top_k", json!(-1), "top_k`"),
        ("/max_tokens", json!(0), "max_tokens`"),
        ("/max_tokens", json!("many"), "max_tokens`"),
        ("/stop_sequences", json!([1]), "stop_sequences[0]`"),
    ] {
        it.with(pointer, value, field);
    }
    messages_in_shape(it);
    rows.rows
}

/// What is missing, too deep, there twice, or nothing that can be read.
fn messages_in_shape(it: &mut Rows) {
    it.with("/messages", None, "messages`");
    it.with("/messages/0/role", None, "messages[0].role`");
    it.with("/messages/1/content/0/id", None, "messages[1].content[0].id`");
    it.with("/messages/1/content/0/input", None, "messages[1].content[0].input`");
    it.with("/messages/1", None, "messages[1].content[0].tool_use_id`");
    it.with("/messages/2/content/0", None, "messages[2].content`");
    it.with("/messages/2/content/0/tool_use_id", None, "messages[2].content[0].tool_use_id`");
    it.with("/tools/0/input_schema", None, "tools[0].input_schema`");
    it.replaced("\"Hello\"", bomb(200), "messages[0].content");
    it.replaced("{\"a\":\"b\"}", bomb(200), "messages[1].content[0].input");
    it.replaced("{\"a\":{\"type\":\"string\"}}", bomb(200), "tools[0].input_schema.properties");
    let nested = format!(
        "{}\"x\"{}",
        r#"[{"type":"tool_result","tool_use_id":"c1","content":"#.repeat(100),
        "}]".repeat(100)
    );
    it.replaced("\"done\"", nested, "messages[2].content[0].content[0]");
    it.replaced("\"Hello\"", "\"Hello\",\"content\":\"again\"", "messages[0].content`");
    it.replaced("\"Hello\"", b"\"\xff\"", "messages[0].content`");
    it.replaced("\"Hello\"", r#""\ud800 ""#, "messages[0].content`");
    it.replaced("\"max_tokens\":9", "\"max_tokens\":9,\"temperature\":1e999", "temperature`");
}

pub(super) fn gemini() -> Vec<Row> {
    let mut rows = Rows { api: Api::Gemini, rows: Vec::new() };
    let it = &mut rows;
    for (pointer, value, field) in [
        ("/contents/0/role", json!("narrator"), "contents[0].role`"),
        ("/contents/0/role", json!(7), "contents[0].role`"),
        ("/contents", json!([]), "contents`"),
        ("/contents", json!("Hello"), "contents`"),
        ("/contents/0", json!("Hello"), "contents[0]`"),
        ("/contents/0/parts", json!(7), "contents[0].parts`"),
        ("/contents/0/parts/0", json!({}), "contents[0].parts[0]`"),
        ("/contents/0/parts/0", json!({"hologram": {"data": "x"}}), "contents[0].parts[0]`"),
        ("/contents/0/parts/0/text", json!(7), "contents[0].parts[0].text`"),
        ("/systemInstruction", json!(7), "systemInstruction`"),
        ("/contents/1/parts/0/functionCall/name", json!(""), "contents[1].parts[0].functionCall.name`"),
        ("/contents/1/parts/0/functionCall/args", json!("{}"), "contents[1].parts[0].functionCall.args`"),
        ("/contents/1/parts/0/functionCall/args", json!([1]), "contents[1].parts[0].functionCall.args`"),
        ("/contents/2/parts/0/functionResponse/id", json!("other"), "contents[2].parts[0].functionResponse`"),
        (
            "/contents/2/parts/0/functionResponse/response",
            json!([]),
            "contents[2].parts[0].functionResponse.response`",
        ),
        ("/contents/3/parts/0/inlineData/data", json!("Q!"), "contents[3].parts[0].inlineData.data`"),
        ("/contents/3/parts/0/inlineData/data", json!("QUJDR"), "contents[3].parts[0].inlineData.data`"),
        (
            "/contents/3/parts/0/inlineData/mimeType",
            json!("png"),
            "contents[3].parts[0].inlineData.mimeType`",
        ),
        ("/tools", json!("f"), "tools`"),
        (
            "/tools/0/functionDeclarations/0/parameters",
            json!([]),
            "tools[0].functionDeclarations[0].parameters`",
        ),
        ("/generationConfig", json!({"temperature": "hot"}), "generationConfig.temperature`"),
        ("/generationConfig", json!({"temperature": 2.1}), "generationConfig.temperature`"),
        ("/generationConfig", json!({"topP": 2}), "generationConfig.topP`"),
        ("/generationConfig", json!({"topK": -1}), "generationConfig.topK`"),
        ("/generationConfig", json!({"topK": 1.5}), "generationConfig.topK`"),
        ("/generationConfig", json!({"maxOutputTokens": 0}), "generationConfig.maxOutputTokens`"),
        ("/generationConfig", json!({"maxOutputTokens": -1}), "generationConfig.maxOutputTokens`"),
        ("/generationConfig", json!({"stopSequences": [1]}), "generationConfig.stopSequences[0]`"),
        ("/generationConfig", json!({"responseMimeType": "text/html"}), "generationConfig.responseMimeType`"),
        (
            "/generationConfig",
            json!({"thinkingConfig": {"thinkingLevel": "deep"}}),
            "generationConfig.thinkingConfig.thinkingLevel`",
        ),
    ] {
        it.with(pointer, value, field);
    }
    gemini_choices(it);
    it.with("/contents", None, "contents`");
    it.with("/contents/1", None, "contents[1].parts[0].functionResponse`");
    it.with("/contents/2", None, "contents[1].parts[0].functionCall`");
    it.with("/contents/1/parts/0/functionCall/name", None, "contents[1].parts[0].functionCall");
    it.replaced("\"Hello\"", bomb(200), "contents[0].parts[0].text");
    it.replaced("{\"a\":\"b\"}", bomb(200), "contents[1].parts[0].functionCall.args");
    it.replaced("{\"a\":{\"type\":\"string\"}}", bomb(200), "tools[0].functionDeclarations[0].parameters");
    it.replaced("{\"a\":{\"type\":\"string\"}}", bomb(70), "tools[0].functionDeclarations[0].parameters");
    it.replaced("\"Hello\"", "\"Hello\",\"text\":\"again\"", "contents[0].parts[0].text`");
    it.replaced("\"Hello\"", b"\"\xff\"", "contents[0].parts[0].text`");
    it.replaced("\"Hello\"", r#""\ud800\ud800""#, "contents[0].parts[0].text`");
    it.replaced(
        "{\"contents\"",
        "{\"generationConfig\":{\"temperature\":1e999},\"contents\"",
        "generationConfig.temperature`",
    );
    rows.rows
}

/// Choices of functions that are none, or not there.
fn gemini_choices(it: &mut Rows) {
    for (pointer, value, field) in [
        (
            "/toolConfig",
            json!({"functionCallingConfig": {"mode": "SOMETIMES"}}),
            "toolConfig.functionCallingConfig.mode`",
        ),
        (
            "/toolConfig",
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}),
            "toolConfig.functionCallingConfig.allowedFunctionNames[0]`",
        ),
        (
            "/toolConfig",
            json!({"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}}),
            "toolConfig.functionCallingConfig.allowedFunctionNames[1]`",
        ),
    ] {
        it.with(pointer, value, field);
    }
}
