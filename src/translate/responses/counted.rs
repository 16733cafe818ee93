//! A request whose tokens a provider of this API is to count: all that is said, and the tools; nothing on how to answer.
//!
//! Source: OpenAI's API reference, "Get input token counts".

use super::NAMES;
use crate::domain::Quoted;
use crate::translate::canonical::{Media, MediaKind, Output, Part, Request, Source, Speaker, Tool, Turn};
use crate::translate::features::Feature;
use crate::translate::openai::{Address, UNNAMED_FILE, UNNAMED_SCHEMA, sound_format};
use crate::translate::peek::BadBody;
use crate::translate::sides::{Target, Written};
use crate::translate::verbatim::Verbatim;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    input: Vec<Item<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'r> {
    Message { role: &'static str, content: Vec<Piece<'r>> },
    Other(Other<'r>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Other<'r> {
    FunctionCall { call_id: &'r str, name: Cow<'r, str>, arguments: &'r str },
    FunctionCallOutput { call_id: &'r str, output: Vec<Piece<'r>> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'r> {
    InputText { text: Verbatim<'r> },
    OutputText { text: Verbatim<'r> },
    Refusal { refusal: &'r str },
    InputImage { image_url: Address<'r> },
    InputAudio { input_audio: Audio<'r> },
    InputFile(File<'r>),
}

#[derive(Serialize)]
struct Audio<'r> {
    data: &'r str,
    format: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum File<'r> {
    Here { filename: &'r str, file_data: Address<'r> },
    There { file_url: &'r str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct Function<'r> {
    name: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    parameters: Option<&'r RawValue>,
    strict: bool,
}

#[derive(Serialize)]
struct Text<'r> {
    format: Format<'r>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'r> {
    JsonObject,
    JsonSchema { name: &'static str, schema: &'r RawValue },
}

/// Writes it.
///
/// # Errors
/// When a medium can't be sent in this API: sound of another format than it has, or by its address; video.
pub fn write_count(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let mut input = Vec::with_capacity(request.turns.len() + 1);
    let system = pieces(&request.system)?;
    if !system.is_empty() {
        input.push(Item::Message { role: "system", content: system });
    }
    for turn in &request.turns {
        match turn.speaker {
            Speaker::User => user(turn, &mut input)?,
            Speaker::Model => model(turn, &mut written, &mut input),
        }
    }
    let tools = request.tools.iter().map(|tool| function(tool, &mut written)).collect();
    let format = match &request.output {
        Output::Text => None,
        Output::Json => Some(Format::JsonObject),
        Output::Schema { schema, .. } => Some(Format::JsonSchema { name: UNNAMED_SCHEMA, schema }),
    };
    let body = Body { model: target.model, input, tools, text: format.map(|format| Text { format }) };
    written.body = serde_json::to_vec(&body)
        .map_err(|error| BadBody(format!("the request can't be written to be counted: {error}")))?;
    Ok(written)
}

fn function<'r>(tool: &'r Tool<'_>, written: &mut Written) -> Function<'r> {
    Function {
        name: NAMES.declared(&tool.name, written),
        description: tool.description.as_deref(),
        parameters: tool.parameters.as_deref(),
        strict: tool.strict == Some(true),
    }
}

fn user<'r>(turn: &'r Turn<'_>, input: &mut Vec<Item<'r>>) -> Result<(), BadBody> {
    for part in &turn.parts {
        if let Part::Result(result) = part {
            let output = pieces(&result.content)?;
            input.push(Item::Other(Other::FunctionCallOutput { call_id: &result.id, output }));
        }
    }
    let content = pieces(&turn.parts)?;
    if !content.is_empty() {
        input.push(Item::Message { role: "user", content });
    }
    Ok(())
}

/// What the model said, in the order in which it did. Its thoughts count where they are kept, which is nowhere here.
fn model<'r>(turn: &'r Turn<'_>, written: &mut Written, input: &mut Vec<Item<'r>>) {
    for part in &turn.parts {
        let piece = match part {
            Part::Text(text) => Piece::OutputText { text: text.text.borrowed() },
            Part::Refusal(refusal) => Piece::Refusal { refusal },
            Part::Call(call) => {
                let (call_id, name) = (call.id.as_ref(), NAMES.sent(&call.name));
                let call = Other::FunctionCall { call_id, name, arguments: &call.arguments };
                input.push(Item::Other(call));
                continue;
            }
            Part::Thought(_) => {
                written.lose(Feature::ForeignThoughts);
                continue;
            }
            Part::Media(_) => {
                written.lose(Feature::ModelMedia);
                continue;
            }
            Part::Result(_) => continue,
        };
        match input.last_mut() {
            Some(Item::Message { role: "assistant", content }) => content.push(piece),
            _ => input.push(Item::Message { role: "assistant", content: vec![piece] }),
        }
    }
}

/// The words and media of somebody who isn't the model.
fn pieces<'r>(parts: &'r [Part<'_>]) -> Result<Vec<Piece<'r>>, BadBody> {
    let piece = |part: &'r Part<'_>| match part {
        Part::Text(text) => Some(Ok(Piece::InputText { text: text.text.borrowed() })),
        Part::Media(media) => Some(medium(media)),
        Part::Call(_) | Part::Result(_) | Part::Thought(_) | Part::Refusal(_) => None,
    };
    parts.iter().filter_map(piece).collect()
}

fn medium<'r>(media: &'r Media<'_>) -> Result<Piece<'r>, BadBody> {
    let cannot = |what: &str| Err(BadBody(format!("this provider can't count {what}")));
    match (media.kind, &media.source) {
        (_, Source::Text(text)) => Ok(Piece::InputText { text: Verbatim::from(text.as_ref()) }),
        (MediaKind::Image, Source::Url { url, .. }) => Ok(Piece::InputImage { image_url: Address::Url(url) }),
        (MediaKind::Image, Source::Inline { media_type, data }) => {
            Ok(Piece::InputImage { image_url: Address::Inline { media_type, data } })
        }
        (MediaKind::Audio, Source::Inline { media_type, data }) => match sound_format(media_type) {
            Some(format) => Ok(Piece::InputAudio { input_audio: Audio { data, format } }),
            None => cannot(&format!("sound of the type {}", Quoted(media_type))),
        },
        (MediaKind::Document, Source::Inline { media_type, data }) => {
            let filename = media.name.as_deref().unwrap_or(UNNAMED_FILE);
            Ok(Piece::InputFile(File::Here { filename, file_data: Address::Inline { media_type, data } }))
        }
        (MediaKind::Document, Source::Url { url, .. }) => Ok(Piece::InputFile(File::There { file_url: url })),
        (MediaKind::Audio, Source::Url { .. }) => cannot("sound by its URL"),
        (MediaKind::Video, _) => cannot("video"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::count::read;
    use crate::translate::signs::Api;
    use serde_json::{Value, json};

    const TARGET: Target<'_> = Target { model: "m", max_output_tokens: None };

    fn asked(client: Api, body: &Value) -> Result<Value, BadBody> {
        let body = body.to_string();
        let request = read(client, body.as_bytes()).expect("a request");
        write_count(&request, &TARGET).map(|written| serde_json::from_slice(&written.body).expect("JSON"))
    }

    #[test]
    fn all_that_is_said_is_counted_in_its_order_and_nothing_on_how_to_answer() {
        let body = json!({"model": "c", "max_tokens": 9, "temperature": 0.5, "system": "Be brief.", "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "I'll look."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "a cat"}]},
        ], "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}]});
        let text = |text: &str| json!({"type": "input_text", "text": text});
        let expected = json!({
            "model": "m",
            "input": [
                {"role": "system", "content": [text("Be brief.")]},
                {"role": "user", "content": [
                    text("What is this?"),
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                    {"type": "input_file", "file_url": "https://x.test/a.pdf"},
                ]},
                {"role": "assistant", "content": [{"type": "output_text", "text": "I'll look."}]},
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{\"a\":1}"},
                {"type": "function_call_output", "call_id": "c1", "output": [text("a cat")]},
            ],
            "tools": [{"type": "function", "name": "look", "description": "Looks.",
                "parameters": {"type": "object"}, "strict": false}],
        });
        assert_eq!(asked(Api::Messages, &body), Ok(expected));
    }

    #[test]
    fn what_is_written_is_read_as_the_same_conversation() {
        let body = json!({"contents": [
            {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
        ]});
        let written = asked(Api::Generate, &body).expect("written").to_string();
        let of_theirs =
            |request: Request<'_>| request.turns.iter().map(|turn| format!("{turn:?}")).collect::<Vec<_>>();
        let again = of_theirs(super::super::read(written.as_bytes()).expect("our own"));
        let body = body.to_string();
        assert_eq!(again, of_theirs(read(Api::Generate, body.as_bytes()).expect("a request")));
    }

    #[test]
    fn what_the_api_cant_be_given_is_no_count() {
        let sound =
            json!({"contents": [{"parts": [{"inlineData": {"mimeType": "audio/ogg", "data": "QUJD"}}]}]});
        assert!(asked(Api::Generate, &sound).is_err_and(|BadBody(why)| why.contains("`audio/ogg`")));
    }
}
