//! What holds of requests, answers and streams together, whatever they are.

use super::{Encoder, read, write_answer};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Answer, Call, Event, Finish, Part, Signature, Speaker, Thought};
use crate::translate::frames::{self, Framing};
use crate::translate::sides::Asked;
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::borrow::Cow;

const ASKS_FOR_ALL: &[u8] = br#"{"include":["reasoning.encrypted_content"]}"#;

fn asked(body: &[u8]) -> Asked<'_> {
    Asked {
        request_id: "req",
        created: 7,
        body,
        longest: &(0..0),
        framing: Framing::Events,
        include_usage: false,
    }
}

fn start() -> Event<'static> {
    Event::Start { id: "chatcmpl-1".into(), model: "m".into() }
}

/// A whole answer of these parts, as JSON.
fn answered(parts: &[Part<'static>]) -> Value {
    let answer = Answer {
        id: "chatcmpl-1".into(),
        model: "m".into(),
        parts: parts.to_vec(),
        finish: Finish::Stop,
        usage: TokenUsage::default(),
    };
    serde_json::from_slice(&write_answer(&answer, &asked(ASKS_FOR_ALL))).expect("JSON")
}

/// The frames of these events.
fn told(body: &[u8], events: &[Event<'_>]) -> String {
    let (mut encoder, mut out) = (Encoder::new(&asked(body)), Vec::new());
    for event in events {
        encoder.put(event, &mut out);
    }
    String::from_utf8(out).expect("text")
}

/// A part of an answer that a provider may give: ids and texts of any kind, arguments an object.
fn parts() -> impl Strategy<Value = Vec<Part<'static>>> {
    let maker = prop_oneof![Just(Api::Messages), Just(Api::Generate), Just(Api::Completions)];
    let signature = (maker, "\\PC{0,8}").prop_map(|(maker, text)| Signature { maker, text: text.into() });
    let text = "[\\PC\n]{1,12}";
    let thought = (text, signature.clone()).prop_map(|(text, signature)| {
        Part::Thought(Thought { text: text.into(), signature: Some(signature), is_redacted: false })
    });
    let redacted = signature.clone().prop_map(|signature| {
        Part::Thought(Thought { text: "".into(), signature: Some(signature), is_redacted: true })
    });
    let call =
        ("\\PC{1,8}", prop::option::of(signature), "[\\PC\n]{0,8}").prop_map(|(name, signature, value)| {
            let arguments = format!("{{ \"a\" : {} }}", Value::from(value));
            Part::Call(Call {
                id: "".into(),
                name: name.into(),
                arguments: arguments.into(),
                signature,
                ends_cache: false,
            })
        });
    let part = prop_oneof![
        text.prop_map(Part::text),
        text.prop_map(|text| Part::Refusal(text.into())),
        thought,
        redacted,
        call
    ];
    prop::collection::vec(part, 1..8).prop_map(|mut parts| {
        let is_same =
            |a: &mut Part<'_>, b: &mut Part<'_>| std::mem::discriminant(a) == std::mem::discriminant(b);
        // Pieces of one kind that follow each other are one part.
        parts.dedup_by(|a, b| is_same(a, b) && matches!(a, Part::Text(_) | Part::Refusal(_)));
        for (index, part) in parts.iter_mut().enumerate() {
            if let Part::Call(call) = part {
                call.id = format!("c\"é{index}").into();
            }
        }
        parts
    })
}

/// The events of these parts, their texts in pieces of so many characters.
fn events<'p>(parts: &'p [Part<'p>], piece: usize) -> Vec<Event<'p>> {
    let mut events = vec![start()];
    let cut = |text: &'p str, event: fn(Cow<'p, str>) -> Event<'p>, events: &mut Vec<Event<'p>>| {
        let characters: Vec<char> = text.chars().collect();
        events.extend(characters.chunks(piece).map(|piece| event(piece.iter().collect::<String>().into())));
    };
    for part in parts {
        match part {
            Part::Text(text) => {
                let Verbatim::Plain(text) = &text.text else { panic!("{text:?} was read") };
                cut(text, Event::Text, &mut events);
            }
            Part::Refusal(text) => cut(text, Event::Refusal, &mut events),
            Part::Thought(thought) => {
                cut(&thought.text, Event::Thought, &mut events);
                let event = if thought.is_redacted { Event::Redacted } else { Event::ThoughtSignature };
                events.extend(thought.signature.clone().map(event));
            }
            Part::Call(call) => {
                let (id, name) = (call.id.clone(), call.name.clone());
                events.push(Event::Call { id, name, signature: call.signature.clone() });
                cut(&call.arguments, Event::Arguments, &mut events);
            }
            other => panic!("{other:?}"),
        }
    }
    events.extend([Event::Usage(TokenUsage::default()), Event::Finish(Finish::Stop), Event::End]);
    events
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_ends_with_what_the_whole_answer_is(parts in parts(), piece in 1_usize..9) {
        let frames = told(ASKS_FOR_ALL, &events(&parts, piece));
        let last = frames.split_terminator("\n\n").last().expect("a frame");
        let last: Value = serde_json::from_slice(&frames::data(last.as_bytes())).expect("JSON");
        prop_assert_eq!(&last["response"], &answered(&parts));
    }

    #[test]
    fn what_was_answered_comes_back_in_the_next_request_to_the_byte(parts in parts()) {
        let whole = answered(&parts);
        let mut input = whole["output"].as_array().expect("a list").clone();
        let calls = input.iter().filter(|item| item["type"] == "function_call").map(|item| &item["call_id"]);
        let results: Vec<_> =
            calls.map(|id| json!({"type": "function_call_output", "call_id": id, "output": "x"})).collect();
        input.extend(results);
        let body = json!({"input": input}).to_string();
        let request = read(body.as_bytes()).expect("good");
        let turns = request.turns.iter().filter(|turn| turn.speaker == Speaker::Model);
        let back: Vec<_> = turns.flat_map(|turn| turn.parts.clone()).collect();
        prop_assert_eq!(back, parts);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let at = cut.index(GOOD.len());
        let mut broken = GOOD.as_bytes().to_vec();
        broken.splice(at..at + 1, bytes.iter().copied());
        for body in [&bytes, &broken] {
            let _ = read(body);
            let (mut encoder, mut out) = (Encoder::new(&asked(body)), Vec::new());
            for event in [start(), Event::Text("a".into()), Event::End] {
                encoder.put(&event, &mut out);
            }
        }
    }
}

/// A request with a bit of everything.
const GOOD: &str = r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"},
    {"type":"input_file","filename":"a.txt","file_data":"w6k="}]},{"type":"reasoning","id":"r","summary":[],
    "encrypted_content":"cliproxy:generate-call:x"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
    {"type":"function_call_output","call_id":"c","output":"é"}],"tool_choice":{"type":"function","name":"f"},
    "tools":[{"type":"function","name":"f","parameters":{}}],"text":{"format":{"type":"text"}}}"#;

#[test]
fn the_request_that_is_broken_is_a_good_one() {
    assert!(read(GOOD.as_bytes()).is_ok());
}

#[test]
fn depth_is_refused_or_passed_over_and_breaks_nothing() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (member, is_good) in [("input", false), ("tools", false), ("tool_choice", false), ("metadata", true)]
    {
        let body = format!(r#"{{"prompt":"p","{member}":{deep}}}"#);
        assert_eq!(read(body.as_bytes()).is_ok(), is_good, "{member}");
        let last = told(body.as_bytes(), &[Event::End]);
        assert!(last.contains("response.completed"));
    }
}
