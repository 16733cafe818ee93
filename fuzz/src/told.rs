//! What a client is told in a stream: read as it would read it, and held to its dialect's order.
//!
//! The Responses API's streams are read here, as the product only writes them; the others by the product's own decoders,
//! which the vendors' streams are read with too.

use crate::gist::{Called, Said};
use crate::translate::frames::{self, Frames, Framing};
use crate::translate::signs::Api;
use crate::translate::{chat, generate, messages};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Events of any length.
const UNBOUNDED: usize = usize::MAX;

/// The frames of a stream, the broken last one too.
pub fn frames_of(framing: Framing, stream: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut all) = (Frames::new(framing, UNBOUNDED), Vec::new());
    frames.push(&Bytes::copy_from_slice(stream), |frame| {
        all.push(frame.to_vec());
        true
    });
    let rest = frames.finish();
    if !rest.trim_ascii().is_empty() {
        all.push(rest.to_vec());
    }
    all
}

/// What a provider says in a stream of that API, up to its first error.
pub fn by_provider(api: Api, stream: &[u8], is_error: impl Fn(&[u8]) -> bool) -> Said {
    let mut said = Said::default();
    let mut put = |event: crate::translate::canonical::Event<'_>| said.see(&event);
    let mut decoder = Decoder::of(api);
    for frame in frames_of(Framing::Events, stream) {
        if frames::data(&frame).is_empty() {
            continue;
        }
        if is_error(&frame) {
            return said;
        }
        decoder.see(&frames::data(&frame), &mut put);
    }
    decoder.finish(&mut put);
    said
}

/// What a client understands of a stream in its API.
///
/// # Panics
/// If the stream isn't as the dialect has it.
pub fn to_client(api: Api, framing: Framing, stream: &[u8]) -> Said {
    assert!(std::str::from_utf8(stream).is_ok(), "a stream is text");
    match (api, framing) {
        (Api::Responses, _) => responses(stream),
        (Api::Messages, _) => messages(stream),
        (Api::Generate, Framing::Elements) => elements(stream),
        (Api::Generate, Framing::Events) => generate(stream),
        (Api::Completions | Api::Other, _) => completions(stream),
    }
}

enum Decoder {
    Chat(chat::Decoder),
    Messages(messages::Decoder),
    Generate(generate::Decoder),
}

impl Decoder {
    fn of(api: Api) -> Decoder {
        match api {
            Api::Messages => Decoder::Messages(messages::Decoder::default()),
            Api::Generate => Decoder::Generate(generate::Decoder::default()),
            Api::Completions | Api::Responses | Api::Other => Decoder::Chat(chat::Decoder::default()),
        }
    }

    fn see(&mut self, data: &[u8], put: &mut dyn FnMut(crate::translate::canonical::Event<'_>)) -> bool {
        match self {
            Decoder::Chat(decoder) => decoder.see(data, put),
            Decoder::Messages(decoder) => decoder.see(data, put),
            Decoder::Generate(decoder) => decoder.see(data, put),
        }
    }

    fn finish(&mut self, put: &mut dyn FnMut(crate::translate::canonical::Event<'_>)) {
        match self {
            Decoder::Chat(decoder) => decoder.finish(put),
            Decoder::Messages(decoder) => decoder.finish(put),
            Decoder::Generate(decoder) => decoder.finish(put),
        }
    }
}

/// The data of each event, and its name.
fn events<'s>(stream: &'s str, parting: &str) -> Vec<(Option<&'s str>, &'s str)> {
    assert!(stream.is_empty() || stream.ends_with(parting), "ends with a whole event: {stream:?}");
    let event = |text: &'s str| {
        let (name, data) = match text.strip_prefix("event: ") {
            Some(rest) => rest.split_once('\n').map_or((None, rest), |(name, data)| (Some(name), data)),
            None => (None, text),
        };
        let data = data.strip_prefix("data: ").unwrap_or_else(|| unreachable!("an event has data: {text:?}"));
        assert!(!data.contains(['\n', '\r']), "one line of data: {text:?}");
        (name, data)
    };
    stream.split_terminator(parting).map(event).collect()
}

fn text_of(stream: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(stream)
}

fn parse<'j, T: Deserialize<'j>>(json: &'j str) -> T {
    match serde_json::from_str(json) {
        Ok(value) => value,
        Err(why) => unreachable!("{why}: {json}"),
    }
}

fn completions(stream: &[u8]) -> Said {
    #[derive(Deserialize)]
    struct Chunk {
        id: String,
        object: String,
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        index: u64,
        delta: Delta,
        finish_reason: Option<String>,
    }
    #[derive(Deserialize)]
    struct Delta {
        role: Option<IgnoredAny>,
    }

    let text = text_of(stream);
    let events = events(&text, "\n\n");
    let (mut decoder, mut said) = (chat::Decoder::default(), Said::default());
    let (mut id, mut finishes) = (None, 0);
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!(*name, None);
        if *data == "[DONE]" {
            assert_eq!(at + 1, events.len(), "nothing comes behind the end");
        } else {
            let chunk: Chunk = parse(data);
            assert_eq!(chunk.object, "chat.completion.chunk");
            assert_eq!(*id.get_or_insert(chunk.id.clone()), chunk.id, "one id in all chunks");
            for choice in &chunk.choices {
                assert_eq!(choice.index, 0);
                assert_eq!(choice.delta.role.is_some(), at == 0, "the role comes first, and once");
                assert_eq!(finishes, 0, "no choice comes behind the finish");
                finishes += usize::from(choice.finish_reason.is_some());
            }
        }
        assert!(decoder.see(data.as_bytes(), &mut |event| said.see(&event)), "understood: {data}");
    }
    assert!(finishes > 0 || !said.is_ended, "an end has a finish");
    said
}

fn messages(stream: &[u8]) -> Said {
    #[derive(Deserialize)]
    struct Frame<'f> {
        r#type: &'f str,
        index: Option<usize>,
    }

    let text = text_of(stream);
    let events = events(&text, "\n\n");
    let (mut decoder, mut said) = (messages::Decoder::default(), Said::default());
    let (mut next, mut is_open, mut has_delta) = (0, false, false);
    for (at, (name, data)) in events.iter().enumerate() {
        let frame: Frame<'_> = parse(data);
        assert_eq!(*name, Some(frame.r#type));
        assert_eq!(frame.r#type == "message_start", at == 0, "the start comes first, and once");
        assert!(frame.r#type != "message_stop" || at + 1 == events.len(), "nothing comes behind the end");
        match frame.r#type {
            "content_block_start" => {
                assert!(!is_open && !has_delta, "one block at a time");
                assert_eq!(frame.index, Some(next));
                is_open = true;
            }
            "content_block_delta" => assert!(is_open && frame.index == Some(next), "{data}"),
            "content_block_stop" => {
                assert!(is_open && frame.index == Some(next), "{data}");
                (is_open, next) = (false, next + 1);
            }
            "message_delta" => {
                assert!(!is_open && !has_delta, "one finish, behind all blocks");
                has_delta = true;
            }
            "message_stop" => assert!(has_delta, "an end has a finish"),
            "message_start" => {}
            other => unreachable!("{other} is no event of a translated stream"),
        }
        assert!(decoder.see(data.as_bytes(), &mut |event| said.see(&event)), "understood: {data}");
    }
    said
}

fn generate(stream: &[u8]) -> Said {
    let text = text_of(stream);
    let events = events(&text, "\r\n\r\n");
    candidates(events.iter().map(|(name, data)| {
        assert_eq!(*name, None);
        data.as_bytes()
    }))
}

/// An array, whole or not yet.
fn elements(stream: &[u8]) -> Said {
    let trimmed = stream.trim_ascii();
    if trimmed.is_empty() {
        return Said::default();
    }
    let whole = if trimmed.ends_with(b"]") { trimmed.to_vec() } else { [trimmed, b"]"].concat() };
    let list: Vec<&serde_json::value::RawValue> = match serde_json::from_slice(&whole) {
        Ok(list) => list,
        Err(why) => unreachable!("{why}: {}", text_of(&whole)),
    };
    let said = candidates(list.iter().map(|element| element.get().as_bytes()));
    assert_eq!(said.is_ended, trimmed.ends_with(b"]"), "an array is closed by its end");
    said
}

fn candidates<'s>(responses: impl Iterator<Item = &'s [u8]>) -> Said {
    let (mut decoder, mut said) = (generate::Decoder::default(), Said::default());
    let mut has_usage = false;
    for response in responses {
        assert!(!has_usage, "nothing comes behind the end");
        has_usage = memchr::memmem::find(response, b"\"usageMetadata\":").is_some_and(|_| {
            let root: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(response).unwrap_or_default();
            root.contains_key("usageMetadata")
        });
        assert!(decoder.see(response, &mut |event| said.see(&event)), "understood: {}", text_of(response));
    }
    decoder.finish(&mut |event| said.see(&event));
    said.is_ended = has_usage;
    said
}

/// An event of the Responses API.
#[derive(Deserialize)]
struct Told<'f> {
    r#type: &'f str,
    sequence_number: usize,
    output_index: Option<usize>,
    #[serde(borrow)]
    delta: Option<Cow<'f, str>>,
    #[serde(borrow)]
    item: Option<Item<'f>>,
    response: Option<Response>,
}
#[derive(Deserialize)]
struct Item<'f> {
    r#type: &'f str,
    #[serde(borrow)]
    call_id: Option<Cow<'f, str>>,
    #[serde(borrow)]
    name: Option<Cow<'f, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'f, str>>,
}
#[derive(Deserialize)]
struct Response {
    status: String,
    output: Vec<IgnoredAny>,
    usage: Option<Usage>,
}
#[derive(Deserialize)]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
}

fn responses(stream: &[u8]) -> Said {
    let text = text_of(stream);
    let events = events(&text, "\n\n");
    let mut said = Said::default();
    let (mut items, mut open) = (0, None);
    for (at, (name, data)) in events.iter().enumerate() {
        let frame: Told<'_> = parse(data);
        assert_eq!(*name, Some(frame.r#type));
        assert_eq!(frame.sequence_number, at);
        assert_eq!(frame.r#type == "response.created", at == 0);
        assert!(!said.is_ended, "nothing comes behind the end");
        let delta = frame.delta.unwrap_or_default();
        match frame.r#type {
            "response.output_item.added" => {
                assert_eq!((frame.output_index, open), (Some(items), None), "one item at a time");
                open = Some(items);
                items += 1;
                if let Some(Item { r#type: "function_call", call_id, name, .. }) = frame.item {
                    let [id, name] = [call_id, name].map(|text| text.unwrap_or_default().into_owned());
                    said.calls.push(Called { id, name, arguments: String::new() });
                }
                continue;
            }
            "response.output_item.done" => {
                assert_eq!(frame.output_index, open, "the item that is open");
                open = None;
                if let (Some(Item { r#type: "function_call", arguments, .. }), Some(call)) =
                    (frame.item, said.calls.last())
                {
                    assert_eq!(arguments.unwrap_or_default(), call.arguments, "an item repeats its deltas");
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => said.words.push_str(&delta),
            "response.function_call_arguments.delta" => {
                if let Some(call) = said.calls.last_mut() {
                    call.arguments.push_str(&delta);
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                said.is_ended = true;
                let response =
                    frame.response.unwrap_or_else(|| unreachable!("the end has the whole: {data}"));
                assert_eq!(response.output.len(), items);
                assert_eq!(response.status, frame.r#type["response.".len()..]);
                let (input, output) = response.usage.map_or((0, 0), |it| (it.input_tokens, it.output_tokens));
                said.count(input, output);
                continue;
            }
            _ => {}
        }
        if let Some(index) = frame.output_index {
            assert!(
                frame.r#type.ends_with("item.done") || open == Some(index),
                "a piece of the open item: {data}"
            );
        }
    }
    assert!(open.is_none() || !said.is_ended, "all items end before the answer");
    said
}
