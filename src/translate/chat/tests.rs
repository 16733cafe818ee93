//! What holds of this dialect as a whole, for all that proptest can think of: what is read and written again is the
//! same, and no bytes do harm.

use super::{Decoder, Encoder, read, read_answer, write, write_answer};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Answer, Event, Finish, Part, Request, Speaker, ToolChoice, Turn};
use crate::translate::frames::{self, Framing};
use crate::translate::sides::{Asked, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

const TARGET: Target<'_> = Target { model: "m", max_output_tokens: None };

const ASKED: Asked<'_> = Asked {
    request_id: "r1",
    created: 7,
    body: b"{}",
    longest: &(0..0),
    framing: Framing::Events,
    include_usage: true,
};

/// Texts with escapes, quotes and letters of every length in UTF-8.
fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\/\n\u{1}äß€😀 ]{1,12}"
}

/// The text of a JSON object, with blanks that must stay.
fn arguments() -> impl Strategy<Value = String> {
    proptest::collection::vec((text(), text()), 0..3).prop_map(|members| {
        let member = |(name, value): &(String, String)| format!("{} :  {}", json!(name), json!(value));
        format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(" ,"))
    })
}

/// Messages of a user and the model, or of a whole tool loop.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}});
    let spoken = (text(), text(), any::<bool>()).prop_map(move |(asked, answer, has_image)| {
        let text = json!({"type": "text", "text": asked});
        let content = if has_image { json!([text, image]) } else { json!(asked) };
        vec![json!({"role": "user", "content": content}), json!({"role": "assistant", "content": answer})]
    });
    let calls = proptest::collection::vec((text(), "[a-zA-Z0-9_-]{1,64}", arguments(), text()), 1..4);
    let looped = (proptest::option::of(text()), calls).prop_map(|(thought, calls)| {
        let id = |nth: usize, id: &str| format!("{nth}{id}");
        let call = |(nth, (name, tool, arguments, _)): (usize, &(String, String, String, String))| {
            json!({"id": id(nth, name), "type": "function", "function": {"name": tool, "arguments": arguments}})
        };
        let result = |(nth, (name, _, _, content)): (usize, &(String, String, String, String))| {
            json!({"role": "tool", "tool_call_id": id(nth, name), "content": content})
        };
        let tool_calls: Vec<_> = calls.iter().enumerate().map(call).collect();
        let asked = json!({"role": "assistant", "content": null, "reasoning_content": thought,
            "tool_calls": tool_calls});
        std::iter::once(asked).chain(calls.iter().enumerate().rev().map(result)).collect()
    });
    prop_oneof![spoken, looped]
}

fn request() -> impl Strategy<Value = Value> {
    let exchanges = proptest::collection::vec(exchange(), 1..4);
    (text(), exchanges, arguments(), any::<bool>(), proptest::option::of(0_u64..1 << 40), -2.0..2.0_f64)
        .prop_map(|(system, exchanges, schema, streams, limit, penalty)| {
            let system = json!({"role": "system", "content": system});
            let messages: Vec<_> = std::iter::once(system).chain(exchanges.into_iter().flatten()).collect();
            let schema: Value = serde_json::from_str(&schema).expect("JSON");
            json!({
                "model": "theirs", "messages": messages, "stream": streams, "max_tokens": limit,
                "frequency_penalty": penalty, "temperature": penalty.abs(), "stop": ["a", "b"],
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            })
        })
}

/// All that a request says that has an equality.
type Meaning<'a> =
    (Vec<Part<'a>>, Vec<Turn<'a>>, ToolChoice<'a>, Vec<String>, [Option<f64>; 2], Option<u64>, bool);

fn meaning(request: Request<'_>) -> Meaning<'_> {
    let tool = |tool: &crate::translate::canonical::Tool<'_>| format!("{tool:?}");
    let tools = request.tools.iter().map(tool).collect();
    let numbers = [request.temperature, request.frequency_penalty];
    (
        request.system,
        request.turns,
        request.tool_choice,
        tools,
        numbers,
        request.max_output_tokens,
        request.streams,
    )
}

/// What a provider could have said of these pieces.
fn events() -> impl Strategy<Value = Vec<Event<'static>>> {
    let piece = prop_oneof![
        text().prop_map(|text| vec![Event::Text(text.into())]),
        text().prop_map(|text| vec![Event::Thought(text.into())]),
        ("[a-z0-9_]{1,9}", "[a-z]{1,9}", proptest::collection::vec(text(), 1..4)).prop_map(
            |(id, name, pieces)| {
                let call = Event::Call { id: id.into(), name: name.into(), signature: None };
                std::iter::once(call)
                    .chain(pieces.into_iter().map(|piece| Event::Arguments(piece.into())))
                    .collect()
            }
        ),
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| {
        let calls = |event: &Event<'_>| matches!(event, Event::Call { .. });
        let mut events = vec![Event::Start { id: "chatcmpl-1".into(), model: "m".into() }];
        events.extend(pieces.into_iter().flatten());
        let finish = if events.iter().any(calls) { Finish::ToolCalls } else { Finish::Stop };
        let usage = TokenUsage { input: 3, cache_read: 2, cache_write: 0, output: 9, reasoning: 1 };
        events.extend([Event::Finish(finish), Event::Usage(usage), Event::End]);
        events
    })
}

fn owned(event: Event<'_>) -> Event<'static> {
    let text = |text: std::borrow::Cow<'_, str>| text.into_owned().into();
    match event {
        Event::Start { id, model } => Event::Start { id: text(id), model: text(model) },
        Event::Text(it) => Event::Text(text(it)),
        Event::Thought(it) => Event::Thought(text(it)),
        Event::Refusal(it) => Event::Refusal(text(it)),
        Event::Call { id, name, .. } => Event::Call { id: text(id), name: text(name), signature: None },
        Event::Arguments(it) => Event::Arguments(text(it)),
        Event::Usage(usage) => Event::Usage(usage),
        Event::Finish(Finish::ToolCalls) => Event::Finish(Finish::ToolCalls),
        Event::Finish(_) => Event::Finish(Finish::Stop),
        Event::End | Event::ThoughtSignature(_) | Event::Redacted(_) => Event::End,
    }
}

/// A valid body with some bytes changed.
fn spoilt(body: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    let spots = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4);
    (body, spots).prop_map(|(body, spots)| {
        let mut body = body.to_string().into_bytes();
        for (at, byte) in spots {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

/// Everything that reads reads these bytes.
fn read_all(bytes: &[u8]) {
    if let Ok(request) = read(bytes) {
        let _ = write(&request, &TARGET);
    }
    if let Ok(answer) = read_answer(bytes) {
        write_answer(&answer, &ASKED);
    }
    let (mut decoder, mut encoder, mut out) = (Decoder::default(), Encoder::new(&ASKED), Vec::new());
    decoder.see(bytes, &mut |event| encoder.put(&event, &mut out));
    decoder.finish(&mut |event| encoder.put(&event, &mut out));
}

proptest! {
    #[test]
    fn a_request_that_is_written_again_means_the_same(original in request()) {
        let original = original.to_string();
        let first = read(original.as_bytes()).expect("good");
        let written = write(&first, &TARGET).expect("can be written");
        let second = read(&written.body).expect("still good");
        prop_assert_eq!(meaning(first), meaning(second));
        prop_assert!(written.lost.is_empty() && written.renamed.is_empty());
    }

    #[test]
    fn an_answer_that_is_written_again_means_the_same(events in events()) {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let thoughts = events.iter().filter_map(|it| if let Event::Thought(it) = it { Some(&**it) } else { None });
        let thought: String = thoughts.collect();
        if !thought.is_empty() {
            let thought = crate::translate::canonical::Thought { text: thought.into(), ..Default::default() };
            parts.push(Part::Thought(thought));
        }
        let texts = events.iter().filter_map(|it| if let Event::Text(it) = it { Some(&**it) } else { None });
        let text: String = texts.collect();
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        let usage = TokenUsage { input: 3, cache_read: 2, cache_write: 0, output: 9, reasoning: 1 };
        let answer = Answer { id: "chatcmpl-1".into(), model: "m".into(), parts, finish: Finish::Stop, usage };
        let body = write_answer(&answer, &ASKED);
        prop_assert_eq!(read_answer(&body), Ok(answer));
    }

    #[test]
    fn a_stream_that_is_written_again_says_the_same_however_its_bytes_come(events in events(), piece in 1_usize..99) {
        let (mut encoder, mut bytes) = (Encoder::new(&ASKED), Vec::new());
        for event in &events {
            encoder.put(event, &mut bytes);
        }
        let (mut decoder, mut heard) = (Decoder::default(), Vec::new());
        let mut cutter = frames::Frames::new(Framing::Events, 1 << 20);
        for piece in bytes.chunks(piece) {
            cutter.push(&bytes::Bytes::copy_from_slice(piece), |frame| {
                decoder.see(&frames::data(frame), &mut |event| heard.push(owned(event)))
            });
        }
        decoder.finish(&mut |event| heard.push(owned(event)));
        prop_assert_eq!(heard, events);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_spoilt_request_does_harm(bytes in spoilt(request())) {
        read_all(&bytes);
    }

    #[test]
    fn no_spoilt_chunk_does_harm(
        bytes in spoilt((text(), arguments()).prop_map(|(text, arguments)| {
            let call = json!({"index": 0, "id": text, "function": {"name": text, "arguments": arguments}});
            let delta = json!({"content": text, "tool_calls": [call.clone(), call]});
            let choice = json!({"index": 0, "delta": delta, "message": delta, "finish_reason": "stop"});
            json!({"id": text, "choices": [choice], "usage": {"prompt_tokens": 1}})
        })),
    ) {
        read_all(&bytes);
    }
}

#[test]
fn nesting_beyond_any_bound_is_refused_and_does_no_harm() {
    let deep = "[".repeat(100_000);
    for body in [
        deep.clone(),
        format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"unknown":{deep}"#),
        format!(r#"{{"messages":{deep}"#),
        format!(r#"{{"choices":[{{"message":{{"content":{deep}"#),
    ] {
        assert!(read(body.as_bytes()).is_err());
        assert!(read_answer(body.as_bytes()).is_err());
    }
}

#[test]
fn a_speaker_who_goes_on_keeps_several_messages() {
    let body = br#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#;
    let request = read(body).expect("good");
    assert!(request.turns.iter().all(|turn| turn.speaker == Speaker::User));
    let written = write(&request, &TARGET).expect("can be written");
    assert_eq!(read(&written.body).expect("good").turns, request.turns);
}
