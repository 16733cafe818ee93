//! Any bytes as what clouds make of Anthropic's API: their stream, their errors, and bodies as they take them.
//!
//! However a stream is cut, the same events come out of it, and each is one event of Anthropic's. Checksums are made good
//! for half of the inputs, or hardly any would be looked at. What is changed in a body leaves the rest as it was.

#![no_main]

use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::translate::event_stream::{Broken, EventStream};
use cliproxy_fuzz::translate::frames::Framing;
use cliproxy_fuzz::translate::hosted::{self, Changes};
use cliproxy_fuzz::translate::{frames, json};
use cliproxy_fuzz::{mutation, pace, told};
use flate2::Crc;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const CHANGES: Changes = Changes { without: &["model", "stream"], version: "a-version" };

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    match input.choice % 4 {
        0 => stream(input.text, &input.pieces()),
        1 | 2 => {
            let message = message(input.text, input.option);
            let (one, two) = message.split_at(message.len() / 2);
            stream(&[&message[..], &message].concat(), &[one, two, &message]);
        }
        _ => body(input.text),
    }
}

/// A message of the text, whose first bytes are headers.
fn message(text: &[u8], headers: usize) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut message = [number(text.len() + 16), number(headers.min(text.len()))].concat();
    for part in [&[][..], text] {
        message.extend_from_slice(part);
        let mut crc = Crc::new();
        crc.update(&message);
        message.extend_from_slice(&crc.sum().to_be_bytes());
    }
    message
}

fn stream(whole: &[u8], pieces: &[&[u8]]) {
    let (events, end) = read(&[whole]);
    assert_eq!(read(pieces), (events.clone(), end));
    for frame in told::frames_of(Framing::Events, &events) {
        assert!(
            frame.starts_with(b"event: ") && frame.ends_with(b"\n\n"),
            "{}",
            String::from_utf8_lossy(&frame)
        );
        assert_eq!(
            frame.iter().filter(|byte| **byte == b'\n').count(),
            3,
            "{}",
            String::from_utf8_lossy(&frame)
        );
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&frames::data(&frame)).is_ok());
    }
}

fn read(pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Broken>) {
    let (mut stream, mut events) = (EventStream::default(), Vec::new());
    for piece in pieces {
        events.extend_from_slice(&stream.push(piece));
    }
    (events, stream.finish())
}

fn body(text: &[u8]) {
    let (status, error) = hosted::bedrock_error(None, "", "", text);
    assert!(status >= 400 && json::members(&error, []).is_ok());
    let Ok(changed) = hosted::change(text, &CHANGES, &["a-beta"]) else { return };
    let names = ["model", "stream", "messages", "anthropic_version"];
    let [model, stream, messages, version] = match json::members(&changed, names) {
        Ok(found) => found,
        Err(json::Fault::TooDeep) => return,
        Err(why) => unreachable!("{why}: {}", String::from_utf8_lossy(&changed)),
    };
    assert!(model.is_none() && stream.is_none() && version.is_some());
    if let Ok([before]) = json::members(text, ["messages"]) {
        assert_eq!(messages.map(|at| &changed[at]), before.map(|at| &text[at]), "the rest is as it was");
    }
}
