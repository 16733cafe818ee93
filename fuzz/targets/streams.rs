//! Any bytes as a provider's stream, in each dialect, for every client of another.
//!
//! However it is cut, the client gets the same bytes. They are a stream as its dialect has it, which ends once if the
//! provider's did and not at all if it broke off, and say what the provider said.

#![no_main]

use bytes::Bytes;
use cliproxy_fuzz::gist::{Called, Said};
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::sides::{PAIRS, TOOL, api, way_back};
use cliproxy_fuzz::translate::frames::Framing;
use cliproxy_fuzz::translate::signs::{self, Api};
use cliproxy_fuzz::translate::translation::Stream;
use cliproxy_fuzz::{mutation, pace, told};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longer than any input.
const MAX_EVENT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    let (client, provider) = input.chosen(&PAIRS);
    let is_array = client == Api::Generate && input.option % 2 == 1;
    let framing = if is_array { Framing::Elements } else { Framing::Events };
    let (mut whole, mut end) = (None, None);
    for pieces in ways(input.choice / PAIRS.len(), &[vec![input.text], input.pieces()]) {
        let (cut, stream) = relayed(way_back(client, provider, framing).stream(MAX_EVENT), pieces);
        let seen = (stream.is_finished(), stream.is_blocked(), stream.usage(), stream.skipped());
        let seen = (seen, stream.error().cloned());
        assert_eq!(&cut, whole.get_or_insert(cut.clone()), "{} cut", String::from_utf8_lossy(input.text));
        assert_eq!(seen, *end.get_or_insert(seen.clone()));
    }
    let (whole, error) = (whole.unwrap_or_default(), end.and_then(|(_, error)| error));
    let said = told::by_provider(api(provider), input.text, signs::is_error);
    let again = told::to_client(client, framing, &whole);
    compare(client, &said, &again, &String::from_utf8_lossy(&whole));
    assert!(!again.is_ended || error.is_none(), "no end behind an error");
}

fn relayed(mut stream: Stream, pieces: &[&[u8]]) -> (Vec<u8>, Stream) {
    let mut out = Vec::new();
    for piece in pieces {
        match stream.push(&Bytes::copy_from_slice(piece)) {
            Ok(told) => out.extend_from_slice(&told),
            Err(why) => unreachable!("{why}"),
        }
    }
    out.extend_from_slice(&stream.finish());
    assert!(stream.finish().is_empty(), "nothing more than once");
    (out, stream)
}

fn compare(client: Api, said: &Said, again: &Said, text: &str) {
    assert_eq!(again.words, said.words, "{client:?} {text}");
    assert_eq!(again.is_ended, said.is_ended, "{client:?} {text}");
    if said.is_ended {
        assert_eq!(again.tokens(), said.tokens(), "{client:?} {text}");
        let is_lost = client == Api::Generate && said.calls.iter().any(|call| !is_object(&call.arguments));
        if client != Api::Responses && !is_lost {
            assert_eq!(again.finish(), said.finish(), "{client:?} {text}");
        }
    }
    // Gemini's calls come whole, or not at all.
    let is_told = |call: &&Called| client != Api::Generate || is_object(&call.arguments);
    let own: Vec<_> = said.calls.iter().filter(is_told).collect();
    if said.is_ended {
        assert_eq!(again.calls.len(), own.len(), "{client:?} {text}");
    }
    for (call, own) in again.calls.iter().zip(own) {
        assert_eq!(call.id, own.id, "{client:?} {text}");
        let arguments = in_lines(client, &own.arguments);
        assert_eq!(spelt_out(&in_lines(client, &call.arguments)), spelt_out(&arguments), "{client:?} {text}");
        assert!(call.name == own.name || call.name == TOOL, "{client:?} {text}");
    }
}

/// Where arguments stand as an object in an event, they stand in one line.
fn in_lines(client: Api, arguments: &str) -> Cow<'_, str> {
    match client {
        Api::Generate => arguments.replace(['\n', '\r'], " ").into(),
        _ => arguments.into(),
    }
}

/// No arguments are an empty object, whether it is said or not.
fn spelt_out(arguments: &str) -> &str {
    if arguments.is_empty() { "{}" } else { arguments }
}

fn is_object(text: &str) -> bool {
    text.is_empty() || serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().starts_with('{'))
}
