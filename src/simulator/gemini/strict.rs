//! What Gemini refuses, in its words: members that it doesn't know, turns out of order.
//!
//! Source: the vendor's API reference and what its API answers.

use super::super::check::{find_in_schema, is_base64, is_name, no_json_schema};
use super::super::prompt::{list, strings};
use super::super::reply::Refusal;
use super::content::signature;
use super::schema::flaw;
use super::spelling::snake_case;
use serde_json::Value;

const MAX_STOP_SEQUENCES: usize = 5;

/// Characters of a function's name.
const MAX_NAME: usize = 128;

/// Members of a request.
const REQUEST: &[&str] = &[
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];

/// Members of `generationConfig`.
const CONFIG: &[&str] = &[
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];

/// Members of a part that are what it holds: exactly one of them.
const HELD: &[&str] = &[
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// Members that say more of what a part holds.
const SAID_OF: &[&str] = &["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"];

/// Signatures that the vendor takes where a client has none: its guide on thought signatures.
const NO_SIGNATURES: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// Turns down what the vendor would.
pub(super) fn check(body: &Value, contents: &[Value]) -> Result<(), Refusal> {
    known(body, REQUEST, "")?;
    known(&body["generationConfig"], CONFIG, " at 'generation_config'")?;
    config(&body["generationConfig"])?;
    system(&body["systemInstruction"])?;
    tools(body)?;
    for (index, content) in contents.iter().enumerate() {
        if !["user", "model"].iter().any(|role| content["role"] == *role) && !content["role"].is_null() {
            return refuse("Please use a valid role: user, model.");
        }
        if list(content, "parts").is_empty() {
            return refuse(format!(
                "* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty."
            ));
        }
        let mut parts = list(content, "parts").iter().enumerate();
        parts.try_for_each(|(place, one)| part(one, &format!("contents[{index}].parts[{place}]")))?;
    }
    turns(contents)
}

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::invalid(message.into()))
}

/// Refuses members that aren't in the list.
fn known(value: &Value, members: &[&str], at: &str) -> Result<(), Refusal> {
    let is_known = |name: &str| members.contains(&name);
    match value.as_object().and_then(|value| value.keys().find(|name| !is_known(name))) {
        Some(odd) => {
            refuse(format!("Invalid JSON payload received. Unknown name \"{odd}\"{at}: Cannot find field."))
        }
        None => Ok(()),
    }
}

fn config(config: &Value) -> Result<(), Refusal> {
    let at = "* GenerateContentRequest.generation_config";
    let count = list(config, "stopSequences").len();
    if count > MAX_STOP_SEQUENCES {
        return refuse(format!(
            "{at}.stop_sequences: at most {MAX_STOP_SEQUENCES} are supported, found {count}"
        ));
    }
    if strings(config, "stopSequences").contains(&"") {
        return refuse(format!("{at}.stop_sequences: a stop sequence must not be empty"));
    }
    for (name, most) in [("temperature", 2.0), ("topP", 1.0)] {
        let value = &config[name];
        if !value.is_null() && !value.as_f64().is_some_and(|value| (0.0..=most).contains(&value)) {
            let name = snake_case(name);
            return refuse(format!("{at}.{name}: {name} must be in the range [0.0, {most:.1}]."));
        }
    }
    let schemas = ["responseSchema", "responseJsonSchema"];
    let given = schemas.iter().filter(|name| !config[**name].is_null()).count();
    if given > 1 {
        return refuse(format!("{at}: only one of response_schema and response_json_schema may be set"));
    }
    if given == 1 && config["responseMimeType"] != "application/json" {
        return refuse(format!("{at}.response_mime_type: a response schema needs application/json"));
    }
    json_schema_at(&config["responseJsonSchema"], "generation_config.response_json_schema")?;
    let schema = &config["responseSchema"];
    let flaw = if schema.is_null() { None } else { flaw(schema, "generation_config.response_schema") };
    flaw.map_or(Ok(()), refuse)
}

fn system(instruction: &Value) -> Result<(), Refusal> {
    let is_text = |part: &Value| part["text"].is_string();
    let has_texts = || instruction["parts"].is_array() && list(instruction, "parts").iter().all(is_text);
    if instruction.is_null() || has_texts() {
        return Ok(());
    }
    refuse("Invalid value at 'system_instruction' (Content): only parts of text are supported")
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let mut names = Vec::new();
    for (index, tool) in list(body, "tools").iter().enumerate() {
        for (place, declared) in list(tool, "functionDeclarations").iter().enumerate() {
            let name = declaration(declared, &format!("tools[{index}].function_declarations[{place}]"))?;
            if names.contains(&name) {
                return refuse(format!("Duplicate function declaration found: {name}"));
            }
            names.push(name);
        }
    }
    calling(&body["toolConfig"]["functionCallingConfig"], &names)
}

/// A function's name, if the declaration is good.
fn declaration<'a>(declared: &'a Value, at: &str) -> Result<&'a str, Refusal> {
    let name = declared["name"].as_str().unwrap_or_default();
    if !is_function_name(name) {
        return refuse(format!(
            "* GenerateContentRequest.{at}.name: Invalid function name. Must start with a letter or an underscore. \
             Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a \
             maximum length of {MAX_NAME}."
        ));
    }
    let (parameters, json_schema) = (&declared["parameters"], &declared["parametersJsonSchema"]);
    json_schema_at(json_schema, &format!("{at}.parameters_json_schema"))?;
    if parameters.is_null() {
        return Ok(name);
    }
    if !json_schema.is_null() {
        return refuse(format!("* GenerateContentRequest.{at}: parameters are given twice"));
    }
    flaw(parameters, &format!("{at}.parameters")).map_or(Ok(name), refuse)
}

/// A JSON Schema, where the vendor takes one instead of its own.
fn json_schema_at(schema: &Value, at: &str) -> Result<(), Refusal> {
    let flaw = if schema.is_null() { None } else { find_in_schema(schema, "", &no_json_schema) };
    flaw.map_or(Ok(()), |flaw| refuse(format!("* GenerateContentRequest.{at}: Invalid JSON schema: {flaw}")))
}

/// Which functions may be called.
fn calling(config: &Value, names: &[&str]) -> Result<(), Refusal> {
    let allowed = strings(config, "allowedFunctionNames");
    if !allowed.is_empty() && !["ANY", "VALIDATED"].iter().any(|mode| config["mode"] == *mode) {
        return refuse("Allowed function names should only be set when the function calling mode is ANY.");
    }
    if config["mode"] == "ANY" && names.is_empty() {
        return refuse("Function calling mode is ANY, but no function declarations are provided.");
    }
    match allowed.iter().find(|name| !names.contains(name)) {
        Some(odd) => refuse(format!("Allowed function name {odd} is not among the function declarations.")),
        None => Ok(()),
    }
}

fn is_function_name(name: &str) -> bool {
    is_name(name, MAX_NAME, "_.:-") && !name.starts_with(|c: char| c.is_ascii_digit() || ".:-".contains(c))
}

fn part(part: &Value, at: &str) -> Result<(), Refusal> {
    let members: Vec<&str> = [HELD, SAID_OF].concat();
    known(part, &members, &format!(" at '{at}'"))?;
    let held = HELD.iter().filter(|name| part.get(**name).is_some()).count();
    if held != 1 {
        return refuse(format!(
            "* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field"
        ));
    }
    media(part, at)?;
    function(&part["functionCall"], "args", &format!("{at}.function_call"))?;
    function(&part["functionResponse"], "response", &format!("{at}.function_response"))?;
    let is_ours = |sign: &str| plain_base64(sign) == signature() || NO_SIGNATURES.contains(&sign);
    if part["thoughtSignature"].as_str().is_some_and(|sign| !is_ours(sign)) {
        return refuse("Thought signature is not valid");
    }
    Ok(())
}

/// What a part holds of other media than text.
fn media(part: &Value, at: &str) -> Result<(), Refusal> {
    if part["inlineData"].is_object() && !part["inlineData"]["mimeType"].is_string() {
        return refuse(format!("* GenerateContentRequest.{at}.inline_data: mime_type must not be empty"));
    }
    if part["fileData"].is_object() && !part["fileData"]["fileUri"].is_string() {
        return refuse(format!("* GenerateContentRequest.{at}.file_data: file_uri must not be empty"));
    }
    let inline = part["inlineData"]["data"].as_str();
    if inline.is_some_and(|inline| !is_base64(&plain_base64(inline))) {
        return refuse(format!(
            "Invalid value at '{at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"
        ));
    }
    Ok(())
}

/// A call, or a response to one: its name, and the object under `member`, which calls may leave out.
fn function(function: &Value, member: &str, at: &str) -> Result<(), Refusal> {
    if function.is_null() {
        return Ok(());
    }
    if !function["name"].as_str().is_some_and(is_function_name) {
        return refuse(format!("* GenerateContentRequest.{at}.name: Name cannot be empty."));
    }
    let is_left_out = member == "args" && function[member].is_null();
    if !is_left_out && !function[member].is_object() {
        return refuse(format!(
            "Invalid value at '{at}.{member}' (type.googleapis.com/google.protobuf.Struct)"
        ));
    }
    Ok(())
}

/// Base64 in the alphabet that isn't for URLs: the API reads both, and its SDK writes the other.
fn plain_base64(text: &str) -> String {
    text.replace('-', "+").replace('_', "/")
}

/// Each turn of calls is answered by the next: as many responses, of the same names.
fn turns(contents: &[Value]) -> Result<(), Refusal> {
    let names = |content: &Value, member: &str| -> Vec<String> {
        let functions = list(content, "parts").iter().filter_map(|part| part[member]["name"].as_str());
        let mut names: Vec<String> = functions.map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let mut called: Vec<String> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let (calls, responses) = (names(content, "functionCall"), names(content, "functionResponse"));
        let is_model = content["role"] == "model";
        if called.is_empty() && !responses.is_empty() {
            return refuse(
                "Please ensure that function response turn comes immediately after a function call turn.",
            );
        }
        if called.len() != responses.len() {
            return refuse(
                "Please ensure that the number of function response parts is equal to the number of function call \
                 parts of the function call turn.",
            );
        }
        if called != responses {
            return refuse(
                "Please ensure that function responses have the names of the function calls before them.",
            );
        }
        if !calls.is_empty() && (!is_model || index == 0 || contents[index - 1]["role"] == "model") {
            return refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a function \
                 response turn.",
            );
        }
        called = calls;
    }
    if called.is_empty() { Ok(()) } else { refuse("Please ensure that function call turns are answered.") }
}
