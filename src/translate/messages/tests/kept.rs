//! What holds of any request and any stream.

use super::{ASKED, TARGET, frames};
use crate::translate::canonical::{Event, Finish, Part};
use crate::translate::messages::{self, Decoder, Encoder};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Words with something to see in them, escapes included.
fn words() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\u{e9}\n]{0,6}[a-z]"
}

fn arguments() -> impl Strategy<Value = String> {
    (words(), any::<i32>(), 0_usize..3).prop_map(|(text, number, spaces)| {
        format!("{{{}\"k\":{},\"n\":{number}}}", " ".repeat(spaces), Value::from(text))
    })
}

/// A conversation of questions, thoughts, calls and their results.
fn conversation() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    let turn = (words(), proptest::option::of(words()), proptest::collection::vec(arguments(), 0..3));
    proptest::collection::vec(turn, 1..5).prop_map(|turns| {
        let (mut messages, mut calls) = (Vec::new(), Vec::new());
        for (question, thought, arguments) in turns {
            let (mut said, mut results) = (Vec::new(), Vec::new());
            said.extend(thought.map(|it| json!({"type": "thinking", "thinking": it, "signature": it}).to_string()));
            said.push(json!({"type": "text", "text": question}).to_string());
            for text in arguments {
                let id = format!("toolu_{}", calls.len());
                said.push(format!(r#"{{"type":"tool_use","id":"{id}","name":"n","input":{text}}}"#));
                results.push(json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": question}]}).to_string());
                calls.push((id, text));
            }
            results.push(json!({"type": "text", "text": question}).to_string());
            messages.push(json!({"role": "user", "content": question}).to_string());
            messages.push(format!(r#"{{"role":"assistant","content":[{}]}}"#, said.join(",")));
            messages.push(format!(r#"{{"role":"user","content":[{}]}}"#, results.join(",")));
        }
        (format!(r#"{{"messages":[{}]}}"#, messages.join(",")), calls)
    })
}

fn event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        words().prop_map(|it| Event::Text(it.into())),
        words().prop_map(|it| Event::Thought(it.into())),
        words().prop_map(|it| Event::Call { id: it.clone().into(), name: it.into(), signature: None }),
        words().prop_map(|it| Event::Arguments(it.into())),
    ]
}

/// What all events say of each kind: texts, thoughts, arguments.
fn sums<'e>(events: impl IntoIterator<Item = Event<'e>>) -> [String; 3] {
    let mut sums = [const { String::new() }; 3];
    for event in events {
        match event {
            Event::Text(it) => sums[0].push_str(&it),
            Event::Thought(it) => sums[1].push_str(&it),
            Event::Arguments(it) => sums[2].push_str(&it),
            _ => {}
        }
    }
    sums
}

proptest! {
    #[test]
    fn a_request_that_is_written_and_read_again_says_the_same((body, calls) in conversation()) {
        let request = messages::read(body.as_bytes()).expect("a request");
        let written = messages::write(&request, &TARGET).expect("a request");
        prop_assert!(written.lost.is_empty(), "{:?}", written.lost);
        let again = messages::read(&written.body).expect("a request");
        let parts = |turns: &[crate::translate::canonical::Turn<'_>]| {
            // Neighbours are merged and results come first; all else keeps its order.
            format!("{:?}", turns.iter().flat_map(|turn| &turn.parts).collect::<Vec<_>>())
        };
        prop_assert_eq!(parts(&again.turns), parts(&request.turns));
        let kept: Vec<_> = again.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
            Part::Call(call) => Some((call.id.to_string(), call.arguments.to_string())),
            _ => None,
        }).collect();
        prop_assert_eq!(kept, calls);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = messages::read(bytes);
            let _ = messages::read_answer(bytes);
            Decoder::default().see(bytes, &mut |_| {});
        }
    }

    #[test]
    fn no_block_is_too_strange(
        kind in prop_oneof![Just("text"), Just("image"), Just("document"), Just("tool_use"), Just("tool_result"), Just("thinking"), Just("search_result")],
        member in prop_oneof![Just("text"), Just("source"), Just("content"), Just("input"), Just("citations"), Just("id")],
        value in prop_oneof![Just("null"), Just("1"), Just("\"x\""), Just("[]"), Just("{}"), Just("[{}]"), Just("{\"type\":\"base64\"}")],
        role in prop_oneof![Just("user"), Just("assistant")],
    ) {
        let block = format!(r#"{{"type":"{kind}","{member}":{value}}}"#);
        let body = format!(r#"{{"messages":[{{"role":"{role}","content":[{block}]}}]}}"#);
        if let Ok(request) = messages::read(body.as_bytes()) {
            let _ = messages::write(&request, &TARGET);
        }
        let _ = messages::read_answer(format!(r#"{{"content":[{block}]}}"#).as_bytes());
    }

    #[test]
    fn a_clients_stream_says_what_the_events_say(events in proptest::collection::vec(event(), 0..12)) {
        let mut all = vec![Event::Start { id: "x".into(), model: "m".into() }];
        // Arguments belong to a call: those that follow something else are nobody's.
        let mut in_call = false;
        for event in events {
            match event {
                Event::Call { .. } => in_call = true,
                Event::Arguments(_) if !in_call => continue,
                Event::Arguments(_) => {}
                _ => in_call = false,
            }
            all.push(event);
        }
        // A call without any comes back with an empty object.
        let bare = all.iter().enumerate().filter(|(at, it)| {
            matches!(it, Event::Call { .. }) && !matches!(all.get(at + 1), Some(Event::Arguments(_)))
        }).count();
        all.extend([Event::Finish(Finish::Stop), Event::End]);
        let (mut encoder, mut out) = (Encoder::new(&ASKED), Vec::new());
        all.iter().for_each(|event| encoder.put(event, &mut out));
        let (mut decoder, mut back) = (Decoder::default(), [const { String::new() }; 3]);
        let mut open = None;
        for frame in frames(&out) {
            match frame["type"].as_str() {
                Some("content_block_start") => prop_assert!(open.replace(frame["index"].clone()).is_none()),
                Some("content_block_stop") => prop_assert_eq!(open.take(), Some(frame["index"].clone())),
                Some("content_block_delta") => prop_assert_eq!(open.as_ref(), Some(&frame["index"])),
                _ => prop_assert!(open.is_none()),
            }
            let is_understood = decoder.see(frame.to_string().as_bytes(), &mut |event| {
                back.iter_mut().zip(sums([event])).for_each(|(sum, it)| sum.push_str(&it));
            });
            prop_assert!(is_understood);
        }
        let expected = sums(all);
        prop_assert_eq!(&back[..2], &expected[..2]);
        prop_assert_eq!(back[2].len(), expected[2].len() + "{}".len() * bare);
    }
}
