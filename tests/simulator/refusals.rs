//! What a vendor would refuse, the simulator refuses: status 400, in the vendor's shape, with the field's name.
//!
//! Each row is a request that differs in one thing from a good one.

use crate::support::{Client, Request, error_message};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Options, Simulator};
use serde_json::{Value, json};

/// A good question with these members instead of its own.
fn with(mut question: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        question[name] = value.clone();
    }
    question
}

/// Asks all, and fails unless each is refused in these words.
#[track_caller]
fn all_refused<'a>(dialect: Dialect, post: impl Fn() -> Request<'a>, good: &Value, rows: &[(Value, &str)]) {
    post().json(good).send().expect(200);
    for (more, words) in rows {
        let answer = post().json(&with(good.clone(), more)).send();
        assert_eq!(answer.status, 400, "{more} got {}", answer.text());
        let body = answer.json();
        let param = body["error"]["param"].as_str().unwrap_or_default();
        let told = format!("{} ({param})", error_message(dialect, &body));
        assert!(told.contains(words), "{more} got {told:?}, not {words:?}");
    }
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn openai_tool(name: &str, parameters: &Value) -> Value {
    json!([{"type": "function", "function": {"name": name, "parameters": parameters}}])
}

fn openai_call(id: &str, arguments: &Value) -> Value {
    let function = json!({"name": "get_time", "arguments": arguments});
    json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function}]})
}

fn image(url: &str) -> Value {
    json!({"messages": [user(&json!([{"type": "image_url", "image_url": {"url": url}}]))]})
}

fn json_schema(definition: &Value) -> Value {
    json!({"response_format": {"type": "json_schema", "json_schema": definition}})
}

#[test]
fn what_openai_refuses_of_a_chat() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let hello = user(&json!("Hello"));
    let messages = |messages: &[&Value]| json!({"messages": messages});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "noon"});
    let (call, no_text) = (openai_call("call_1", &json!("{}")), openai_call("call_1", &json!({})));
    let long_id = openai_call(&"c".repeat(41), &json!("{}"));
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let rows = [
        (messages(&[&json!({"role": "nobody", "content": "Hello"})]), "messages[0].role"),
        (messages(&[&json!({"content": "Hello"})]), "messages[0].role"),
        (messages(&[&json!({"role": "user"})]), "expected a string, got null"),
        (messages(&[&user(&json!([]))]), "messages[0].content"),
        (messages(&[&user(&json!([{"type": "tool_result"}]))]), "messages[0].content[0].type"),
        (messages(&[&hello, &result("call_1")]), "must be a response to a preceding message"),
        (messages(&[&hello, &call, &result("call_2")]), "must be a response to a preceding message"),
        (messages(&[&hello, &call]), "did not have response messages: call_1"),
        (messages(&[&hello, &call, &hello]), "did not have response messages: call_1"),
        (messages(&[&hello, &no_text, &result("call_1")]), "messages[1].tool_calls[0].function.arguments"),
        (messages(&[&hello, &long_id]), "maximum length 40"),
        (json!({"tools": openai_tool("get.time", &json!({}))}), "tools[0].function.name"),
        (json!({"tools": openai_tool(&"n".repeat(65), &json!({}))}), "maximum length 64"),
        (json!({"tools": openai_tool("f", &json!({"type": "OBJECT"}))}), "tools[0].function.parameters"),
        (
            json!({"tools": openai_tool("f", &with(open.clone(), &json!({"items": {"type": "STRING"}})))}),
            "no type",
        ),
        (json!({"tools": []}), "tools"),
        (json!({"tool_choice": "auto"}), "only allowed when 'tools' are specified"),
        (json!({"parallel_tool_calls": false}), "only allowed when 'tools' are specified"),
        (json!({"tools": openai_tool("f", &json!({})), "tool_choice": "any"}), "tool_choice"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "maximum length 4"),
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"top_k": 3}), "Unknown parameter: 'top_k'"),
        (json!({"reasoning_effort": "much"}), "reasoning_effort"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"max_tokens": 9, "max_completion_tokens": 9}), "at the same time"),
        (image("red.png"), "messages[0].content[0].image_url.url"),
        (image("data:image/png;base64,a b"), "Invalid base64 image_url"),
        (image("data:text/plain;base64,aGk="), "Invalid MIME type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json_schema(&json!({"name": "n"})), "response_format.json_schema.schema"),
        (json_schema(&json!({"schema": {}})), "response_format.json_schema.name"),
        (json_schema(&json!({"name": "n", "strict": true, "schema": open})), "additionalProperties"),
        (json!({"response_format": {"type": "json_object"}}), "must contain the word 'json'"),
    ];
    let good = json!({"model": "m", "messages": [hello.clone()]});
    all_refused(Dialect::OpenAi, || client.post("/v1/chat/completions"), &good, &rows);
    let whole =
        json!({"model": "m", "messages": [hello, call, result("call_1")], "stop": ["a", "b", "c", "d"]});
    client.post("/v1/chat/completions").json(&whole).send().expect(200);
}

#[test]
fn what_openai_refuses_of_a_response() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "get_time", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "call_1", "output": "noon"});
    let image = json!({"type": "input_image", "image_url": "red.png"});
    let reasoning =
        |more: Value| json!({"input": [with(json!({"type": "reasoning", "summary": []}), &more)]});
    let rows = [
        (json!({"input": []}), "input"),
        (json!({"input": [{"role": "nobody", "content": "Hello"}]}), "input[0].role"),
        (json!({"input": [user(&json!([{"type": "text", "text": "Hello"}]))]}), "input[0].content[0].type"),
        (json!({"input": [user(&json!([image]))]}), "input[0].content[0].image_url"),
        (json!({"input": [output]}), "No tool call found"),
        (json!({"input": [call]}), "No tool output found for function call call_1"),
        (json!({"input": [with(call.clone(), &json!({"arguments": {}})), output]}), "input[0].arguments"),
        (json!({"tools": [{"type": "function", "name": "get time"}]}), "tools[0].name"),
        (json!({"input": [with(call.clone(), &json!({"id": "toolu_1"})), output]}), "begins with 'fc'"),
        (
            json!({"input": [{"role": "assistant", "content": "Hello", "id": "chatcmpl-1"}]}),
            "begins with 'msg'",
        ),
        (reasoning(json!({"id": "rs_1"})), "Item with id 'rs_1' not found"),
        (reasoning(json!({"encrypted_content": "gAAAA"})), "could not be verified"),
        (json!({"text": {"format": {"type": "json_schema", "schema": {}}}}), "text.format.name"),
        (json!({"messages": [], "input": "Hello"}), "Unknown parameter: 'messages'"),
    ];
    let good = json!({"model": "m", "input": "Hello"});
    all_refused(Dialect::OpenAi, || client.post("/v1/responses"), &good, &rows);
}

#[test]
fn what_only_some_of_openais_models_refuse() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let hello = json!([user(&json!("Hello"))]);
    let chat = |model: &str, more: &Value| with(json!({"model": model, "messages": hello}), more);
    let response =
        |effort: &str| json!({"model": "gpt-4o", "input": "Hello", "reasoning": {"effort": effort}});
    for (path, body, words) in [
        ("/v1/chat/completions", chat("gpt-4o", &json!({"reasoning_effort": "low"})), "reasoning_effort"),
        ("/v1/chat/completions", chat("gpt-5", &json!({"reasoning_effort": "none"})), "'minimal', 'low'"),
        ("/v1/chat/completions", chat("gpt-5", &json!({"temperature": 0.5})), "'temperature'"),
        ("/v1/chat/completions", chat("o3", &json!({"max_tokens": 9})), "'max_completion_tokens'"),
        ("/v1/chat/completions", chat("o4-mini", &json!({"stop": ["x"]})), "'stop'"),
        (
            "/v1/chat/completions",
            chat("gpt-5.1", &json!({"reasoning_effort": "low", "top_p": 0.5})),
            "'top_p'",
        ),
        ("/v1/responses", response("low"), "reasoning.effort"),
    ] {
        let answer = client.post(path).json(&body).send();
        assert_eq!(answer.status, 400, "{body} got {}", answer.text());
        assert!(answer.text().contains(words), "{body} got {}", answer.text());
    }
    for (model, more) in [
        ("gpt-4o", json!({"temperature": 0.5, "max_tokens": 9})),
        ("gpt-5", json!({"temperature": 1, "max_completion_tokens": 9, "reasoning_effort": "minimal"})),
        ("gpt-5.1", json!({"temperature": 0.5})),
    ] {
        client.post("/v1/chat/completions").json(&chat(model, &more)).send().expect(200);
    }
}

/// A good question to Anthropic.
fn anthropic_question() -> Value {
    json!({"model": "m", "max_tokens": 1025, "messages": [user(&json!("Hello"))]})
}

fn anthropic_post(client: &Client) -> Request<'_> {
    client.post("/v1/messages").header("anthropic-version", "2023-06-01")
}

/// The least thinking that there is, with these members besides.
fn anthropic_thinking(more: &Value) -> Value {
    with(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), more)
}

#[test]
fn what_anthropic_refuses_of_messages() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let hello = user(&json!("Hello"));
    let messages = |messages: &[&Value]| json!({"messages": messages});
    let block = |block: Value| messages(&[&user(&json!([block]))]);
    let model = |block: Value| json!({"role": "assistant", "content": [block]});
    let call = model(json!({"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}));
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "noon"});
    let late = user(&json!([{"type": "text", "text": "Here"}, result("toolu_1")]));
    let forged = model(json!({"type": "thinking", "thinking": "Hm", "signature": "forged"}));
    let image = |source: Value| block(json!({"type": "image", "source": source}));
    let whole = messages(&[&hello, &call, &user(&json!([result("toolu_1")]))]);
    let thinking = anthropic_thinking(&whole);
    let rows = [
        (messages(&[]), "messages: Field required"),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (messages(&[&json!({"role": "nobody", "content": "Hello"})]), "messages.0.role"),
        (messages(&[&json!({"role": "system", "content": "You"}), &hello]), "top-level `system` parameter"),
        (messages(&[&json!({"role": "assistant", "content": "Hello"}), &hello]), "first message must use"),
        (messages(&[&user(&json!(""))]), "messages.0: all messages must have non-empty content"),
        (block(json!({"type": "text", "text": ""})), "text content blocks must be non-empty"),
        (
            block(json!({"type": "text", "text": "Hi", "index": 0})),
            "messages.0.content.0.text.index: Extra inputs",
        ),
        (block(json!({"type": "input_text", "text": "Hi"})), "messages.0.content.0: Input tag 'input_text'"),
        (block(result("toolu_1")), "messages.0: unexpected `tool_use_id`"),
        (messages(&[&hello, &call]), "messages.1: `tool_use` ids were found without"),
        (messages(&[&hello, &call, &hello]), "messages.1: `tool_use` ids were found without"),
        (messages(&[&hello, &call, &late]), "messages.1: `tool_use` ids were found without"),
        (messages(&[&hello, &call, &user(&json!([result("toolu_2")]))]), "toolu_1"),
        (
            messages(&[&hello, &model(json!({"type": "tool_use", "id": "a.b", "name": "f", "input": {}}))]),
            "tool_use.id",
        ),
        (
            messages(&[&hello, &model(json!({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}))]),
            "tool_use.input",
        ),
        (messages(&[&hello, &forged, &hello]), "messages.1.content.0: Invalid `signature`"),
        (image(json!({"type": "base64", "media_type": "image/bmp", "data": "aGk="})), "base64.media_type"),
        (image(json!({"type": "base64", "media_type": "image/png", "data": "a b"})), "base64.data"),
        (image(json!({"type": "url", "url": "red.png"})), "url.url"),
        (thinking, "messages.1.content.0.type: Expected `thinking`"),
    ];
    let good = anthropic_question();
    all_refused(Dialect::Anthropic, || anthropic_post(&client), &good, &rows);
    let talkative = user(&json!([result("toolu_1"), {"type": "text", "text": "Here"}]));
    for more in [whole, messages(&[&hello, &hello]), messages(&[&hello, &call, &talkative])] {
        anthropic_post(&client).json(&with(good.clone(), &more)).send().expect(200);
    }
}

#[test]
fn what_anthropic_refuses_of_settings_and_tools() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let tool = |name: &str, schema: Value| json!({"tools": [{"name": name, "input_schema": schema}]});
    let object = json!({"type": "object"});
    let thinking = anthropic_thinking;
    let marked = json!({"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}});
    let format =
        |schema: Value| json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let rows = [
        (tool("get.time", object.clone()), "tools.0.custom.name"),
        (tool(&"n".repeat(129), object.clone()), "tools.0.custom.name"),
        (tool("f", json!({})), "tools.0.custom.input_schema.type"),
        (
            tool("f", json!({"type": "object", "properties": {"a": {"type": "STRING"}}})),
            "JSON schema is invalid",
        ),
        (json!({"tool_choice": {"type": "auto"}}), "tool_choice"),
        (
            with(tool("f", object.clone()), &json!({"tool_choice": {"type": "tool", "name": "g"}})),
            "tool_choice",
        ),
        (json!({"temperature": 1.1}), "temperature: range: 0..1"),
        (
            json!({"model": "claude-sonnet-4-5-20250929", "temperature": 0.5, "top_p": 0.5}),
            "`temperature` and `top_p` cannot both be specified",
        ),
        (json!({"n": 2}), "n: Extra inputs are not permitted"),
        (json!({"stop_sequences": [" "]}), "stop_sequences"),
        (thinking(&json!({"max_tokens": 1024})), "`max_tokens` must be greater"),
        (thinking(&json!({"thinking": {"type": "enabled", "budget_tokens": 1023}})), "equal to 1024"),
        (thinking(&json!({"temperature": 0.5})), "`temperature` may only be set to 1"),
        (json!({"system": vec![marked.clone(); 5]}), "A maximum of 4 blocks with cache_control"),
        (json!({"system": [{"type": "text", "text": ""}]}), "system"),
        (format(json!({"type": "object"})), "'additionalProperties' must be explicitly set to false"),
        (format(json!({"type": "integer", "minimum": 1})), "property 'minimum' is not supported"),
        (
            json!({"tools": [{"name": "f", "strict": true, "input_schema": {"type": "object"}}]}),
            "'additionalProperties' must be explicitly set to false",
        ),
        (
            json!({"model": "claude-sonnet-4-5", "thinking": {"type": "adaptive"}}),
            "adaptive thinking is not supported",
        ),
        (thinking(&json!({"model": "claude-opus-4-7"})), "Use \"thinking.type.adaptive\""),
        (json!({"model": "claude-opus-4-7", "top_p": 0.5}), "`top_p` is not supported"),
    ];
    let good = anthropic_question();
    all_refused(Dialect::Anthropic, || anthropic_post(&client), &good, &rows);
    for more in [thinking(&json!({})), json!({"system": vec![marked; 4]}), tool(&"n".repeat(128), object)] {
        anthropic_post(&client).json(&with(good.clone(), &more)).send().expect(200);
    }
}

#[test]
fn newer_versions_of_anthropic_take_system_messages() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let messages =
        json!([user(&json!("Hello")), {"role": "system", "content": "You"}, user(&json!("Hello"))]);
    let body = json!({"model": "m", "max_tokens": 100, "messages": messages});
    for (version, status) in [("2023-06-01", 400), ("2026-10-21", 200)] {
        client.post("/v1/messages").header("anthropic-version", version).json(&body).send().expect(status);
    }
}

#[test]
fn what_gemini_refuses_of_contents_and_settings() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let content = |role: &str, part: Value| json!({"role": role, "parts": [part]});
    let contents = |contents: &[&Value]| json!({"contents": contents});
    let hello = content("user", json!({"text": "Hello"}));
    let call = content("model", json!({"functionCall": {"name": "get_time", "args": {}}}));
    let response = |name: &str| json!({"functionResponse": {"name": name, "response": {"result": "noon"}}});
    let twice = json!({"role": "user", "parts": [response("get_time"), response("get_time")]});
    let config = |config: Value| json!({"generationConfig": config});
    let rows = [
        (contents(&[]), "contents is not specified"),
        (contents(&[&content("assistant", json!({"text": "Hello"}))]), "valid role: user, model"),
        (contents(&[&json!({"role": "user", "parts": []})]), "contents[0].parts"),
        (
            contents(&[&content("user", json!({"type": "text", "text": "Hi"}))]),
            "Unknown name \"type\" at 'contents[0].parts[0]'",
        ),
        (contents(&[&content("user", json!({"thought": true}))]), "contents[0].parts[0].data"),
        (contents(&[&content("user", response("get_time"))]), "immediately after a function call turn"),
        (contents(&[&hello, &call, &content("user", response("get_date"))]), "names of the function calls"),
        (contents(&[&hello, &call, &twice]), "number of function response parts"),
        (contents(&[&hello, &call, &hello]), "number of function response parts"),
        (contents(&[&hello, &call]), "answered"),
        (contents(&[&call, &content("user", response("get_time"))]), "immediately after a user turn"),
        (
            contents(&[&content("user", json!({"inlineData": {"mimeType": "image/png", "data": "a b"}}))]),
            "Base64 decoding failed",
        ),
        (
            contents(&[&content("user", json!({"text": "Hi", "thoughtSignature": "Zm9yZ2Vk"}))]),
            "Thought signature is not valid",
        ),
        (config(json!({"stopSequences": ["a", "b", "c", "d", "e", "f"]})), "stop_sequences"),
        (config(json!({"max_tokens": 9})), "Unknown name \"maxTokens\" at 'generation_config'"),
        (config(json!({"temperature": 2.5})), "temperature"),
        (config(json!({"responseSchema": {"type": "STRING"}})), "response_mime_type"),
        (json!({"stream": true}), "Unknown name \"stream\""),
    ];

    let good = json!({"contents": [hello]});
    let post = || client.post("/v1beta/models/m:generateContent");
    all_refused(Dialect::Gemini, post, &good, &rows);
    for more in [
        contents(&[&hello, &call, &content("user", response("get_time"))]),
        contents(&[&content("user", json!({"inline_data": {"mime_type": "image/png", "data": "_-8="}}))]),
    ] {
        post().json(&with(good.clone(), &more)).send().expect(200);
    }
}

#[test]
fn what_only_some_of_geminis_models_refuse() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let hello = json!({"role": "user", "parts": [{"text": "Hello"}]});
    let thinking = |budget: i64| json!({"contents": [hello], "generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}});
    let called = |call: Value| {
        let response = json!({"functionResponse": {"name": "get_time", "response": {"result": "noon"}}});
        json!({"contents": [hello, {"role": "model", "parts": [call]}, {"role": "user", "parts": [response]}]})
    };
    let call = json!({"functionCall": {"name": "get_time", "args": {}}});
    let unsigned = called(call.clone());
    let signed = called(with(call, &json!({"thoughtSignature": "skip_thought_signature_validator"})));
    for (model, body, words) in [
        ("gemini-2.0-flash", thinking(1024), "not supported"),
        ("gemini-2.5-pro", thinking(0), "only works in thinking mode"),
        ("gemini-2.5-flash-lite", thinking(511), "between 512 and 24576"),
        ("gemini-3-pro-preview", unsigned.clone(), "missing a thought_signature"),
        ("gemini-2.5-flash", thinking(0), ""),
        ("gemini-2.5-flash", unsigned, ""),
        ("gemini-2.5-pro", thinking(-1), ""),
        ("gemini-3-pro-preview", signed, ""),
    ] {
        let answer = client.post(&format!("/v1beta/models/{model}:generateContent")).json(&body).send();
        assert_eq!(answer.status, if words.is_empty() { 200 } else { 400 }, "{body} got {}", answer.text());
        assert!(answer.text().contains(words), "{body} got {}", answer.text());
    }
}

#[test]
fn what_gemini_refuses_of_functions() {
    let simulator = Simulator::start(Options::default()).expect("a free port");
    let client = Client::new(simulator.address());
    let tool = |name: &str, parameters: Value| json!({"tools": [{"functionDeclarations": [{"name": name, "parameters": parameters}]}]});
    let object = json!({"type": "OBJECT", "properties": {"a": {"type": "string"}}});
    let calling = |calling: Value| {
        with(tool("f", object.clone()), &json!({"toolConfig": {"functionCallingConfig": calling}}))
    };
    let schema = |more: Value| tool("f", json!({"type": "object", "properties": {"a": more}}));
    let rows = [
        (tool("get time", object.clone()), "function_declarations[0].name: Invalid function name"),
        (
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "STRING"}}]}]}),
            "parameters_json_schema",
        ),
        (tool("1st", object.clone()), "Invalid function name"),
        (tool(&"n".repeat(129), object.clone()), "Invalid function name"),
        (schema(json!({"type": "string", "const": "a"})), "Unknown name \"const\" at 'tools[0]"),
        (schema(json!({"$ref": "#/$defs/a"})), "Unknown name \"$ref\""),
        (
            schema(json!({"type": "object", "additionalProperties": false})),
            "Unknown name \"additionalProperties\"",
        ),
        (schema(json!({"oneOf": []})), "Unknown name \"oneOf\""),
        (schema(json!({"type": ["string", "null"]})), "not repeating"),
        (calling(json!({"mode": "AUTO", "allowedFunctionNames": ["f"]})), "function calling mode is ANY"),
        (calling(json!({"mode": "ANY", "allowedFunctionNames": ["g"]})), "Allowed function name g"),
    ];
    let good = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
    let post = || client.post("/v1beta/models/m:generateContent");
    all_refused(Dialect::Gemini, post, &good, &rows);
    let one = calling(json!({"mode": "ANY", "allowedFunctionNames": ["f"]}));
    for more in [one, tool(&"n".repeat(128), object.clone())] {
        post().json(&with(good.clone(), &more)).send().expect(200);
    }
}
