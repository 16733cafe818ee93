//! Any bytes as a client's request, in each of its dialects, written for every provider of another.
//!
//! What is read is written or refused in words; what is written is JSON that we would read ourselves, and what it says
//! is what the client said.

#![no_main]

use cliproxy_fuzz::gist::Conversation;
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::sides::{CLIENTS, MODELS, PROVIDERS, api, write};
use cliproxy_fuzz::translate::canonical::Request;
use cliproxy_fuzz::translate::peek::Peek;
use cliproxy_fuzz::translate::sides::{Target, Written};
use cliproxy_fuzz::translate::signs::Api;
use cliproxy_fuzz::translate::{json, question};
use cliproxy_fuzz::{domain::Dialect, kept, mutation, pace, spans};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// Deeper texts may be too deep once they are written.
const MAX_DEPTH: usize = json::MAX_DEPTH - 16;

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    let client = input.chosen(&CLIENTS);
    let mut request = match question::read(client, input.text) {
        Ok(request) => request,
        Err(why) => return kept::complaint(&why),
    };
    if spans::depth(input.text) > MAX_DEPTH {
        return;
    }
    request.streams = input.choice >= 128;
    let said = Conversation::of(&request);
    let max_output_tokens = (input.option >= 128).then_some(4_096);
    let target = Target { model: input.option(&MODELS), max_output_tokens };
    // Nobody translates for Anthropic's own clients; it shows whether what is read is written again.
    let is_spoken = |dialect: &Dialect| api(*dialect) == client && client != Api::Messages;
    let dialects: Vec<Dialect> = PROVIDERS.into_iter().filter(|dialect| !is_spoken(dialect)).collect();
    for &dialect in ways(input.choice / CLIENTS.len(), &dialects) {
        let written = write(dialect, &request, &target);
        if request.features.refused_by(api(dialect)).is_some() {
            // Never sent, so that it doesn't matter what it says.
            continue;
        }
        match written {
            Ok(written) => judge(dialect, &request, &said, &written, &target),
            Err(why) => kept::complaint(&why),
        }
    }
}

fn judge(
    dialect: Dialect,
    request: &Request<'_>,
    said: &Conversation,
    written: &Written,
    target: &Target<'_>,
) {
    let text = String::from_utf8_lossy(&written.body);
    let peek = match Peek::read(&written.body) {
        Ok(peek) => peek,
        Err(why) => unreachable!("{why:?}: {text}"),
    };
    if dialect != Dialect::Gemini {
        assert_eq!(peek.model.as_deref(), Some(target.model));
        assert_eq!(peek.stream, request.streams);
    }
    match question::read(api(dialect), &written.body) {
        Ok(again) => kept::compare(dialect, said, &Conversation::of(&again), written, &text),
        Err(why) => unreachable!("{why:?}: {text}"),
    }
}
