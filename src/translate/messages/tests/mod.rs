//! Messages against its rules, one test a fact.

mod answers;
mod forms;
mod kept;
mod reading;
mod streams;
mod writing;

use crate::translate::canonical::{Event, Request};
use crate::translate::frames::Framing;
use crate::translate::messages::{Decoder, Encoder};
use crate::translate::sides::{Asked, Target, Written};
use serde_json::Value;

const TARGET: Target<'static> = Target { model: "claude-sonnet-4-5", max_output_tokens: None };

const ASKED: Asked<'static> = Asked {
    request_id: "req-1",
    created: 0,
    body: b"{}",
    longest: &(0..0),
    framing: Framing::Events,
    include_usage: false,
};

fn read(body: &str) -> Request<'_> {
    super::read(body.as_bytes()).expect("a request")
}

/// A conversation, with nothing else in its request.
fn conversation(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9000,"messages":{messages}}}"#)
}

fn refusal(body: &str) -> String {
    super::read(body.as_bytes()).expect_err("a refusal").0
}

fn write(request: &Request<'_>) -> Written {
    super::write(request, &TARGET).expect("a request")
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

/// What is said in the request that a provider gets for this one.
fn said(request: &Request<'_>) -> Value {
    json(&write(request).body)["messages"].take()
}

/// The events of a provider's stream, its frames as JSON.
fn decoded(frames: &[&str]) -> Vec<String> {
    let mut events = Vec::new();
    let mut decoder = Decoder::default();
    for frame in frames {
        assert!(decoder.see(frame.as_bytes(), &mut |event| events.push(format!("{event:?}"))), "{frame}");
    }
    decoder.finish(&mut |event| events.push(format!("{event:?}")));
    events
}

/// The frames that a client gets, as JSON.
fn encoded(events: &[Event<'_>]) -> Vec<Value> {
    let (mut encoder, mut out) = (Encoder::new(&ASKED), Vec::new());
    for event in events {
        encoder.put(event, &mut out);
    }
    frames(&out)
}

/// The JSON of frames, each of which must be named as its type is.
fn frames(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("text");
    let frames = text.split_terminator("\n\n").map(|frame| {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    frames.collect()
}
