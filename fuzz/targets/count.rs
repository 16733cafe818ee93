//! Any bytes as a request whose tokens are to be counted, in each client's words, and as the answer to one.
//!
//! What is counted is what the client said, and nothing else is asked; a number comes back as it is. An estimate is of
//! what is said, so that no request has more tokens than bytes but for its pictures.

#![no_main]

use cliproxy_fuzz::domain::Dialect;
use cliproxy_fuzz::gist::Conversation;
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::sides::{CLIENTS, MODELS, api};
use cliproxy_fuzz::translate::canonical::{Part, Request};
use cliproxy_fuzz::translate::sides::Target;
use cliproxy_fuzz::translate::{count, json};
use cliproxy_fuzz::{kept, mutation, pace, spans};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

/// Who counts.
const COUNTING: [Dialect; 2] = [Dialect::Anthropic, Dialect::Gemini];

/// Deeper texts may be too deep once they are written.
const MAX_DEPTH: usize = json::MAX_DEPTH - 16;

/// What says how to answer, in any dialect.
const ON_ANSWERS: [&str; 8] = [
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "metadata",
    "generationConfig",
];

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
    let rest = input.choice / CLIENTS.len();
    for &dialect in ways(rest, &COUNTING) {
        answer(dialect, input.text);
    }
    let request = match count::read(client, input.text) {
        Ok(request) => request,
        Err(why) => return kept::complaint(&why),
    };
    let tokens = count::estimate(&request);
    assert!(has_media(&request) || tokens <= input.text.len() as u64, "{tokens}");
    if spans::depth(input.text) > MAX_DEPTH {
        return;
    }
    let said = Conversation::of(&request);
    let max_output_tokens = (input.option >= 128).then_some(4_096);
    let target = Target { model: input.option(&MODELS), max_output_tokens };
    for &dialect in ways(rest / COUNTING.len(), &COUNTING) {
        if request.features.refused_by(api(dialect)).is_none() {
            asked(dialect, &request, &said, &target);
        }
    }
}

/// What a provider is asked.
fn asked(dialect: Dialect, request: &Request<'_>, said: &Conversation, target: &Target<'_>) {
    let written = match count::write(request, api(dialect), target) {
        Ok((written, _)) => written,
        Err(why) => return kept::complaint(&why),
    };
    let text = String::from_utf8_lossy(&written.body);
    let again = match count::read(api(dialect), &written.body) {
        Ok(again) => again,
        Err(why) => unreachable!("{why:?}: {text}"),
    };
    kept::compare(dialect, said, &Conversation::of(&again), &written, &text);
    if dialect == Dialect::Anthropic {
        let Ok(found) = json::members(&written.body, ON_ANSWERS) else { unreachable!("JSON: {text}") };
        assert!(found.iter().all(Option::is_none), "{text}");
    }
}

fn has_media(request: &Request<'_>) -> bool {
    fn is_media(part: &Part<'_>) -> bool {
        match part {
            Part::Media(_) => true,
            Part::Result(result) => result.content.iter().any(is_media),
            _ => false,
        }
    }
    request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.parts)).any(is_media)
}

/// The text as a provider's answer.
fn answer(dialect: Dialect, text: &[u8]) {
    let name = if dialect == Dialect::Gemini { "totalTokens" } else { "input_tokens" };
    let Some(tokens) = count::read_answer(api(dialect), text) else { return };
    if let Ok(own) = serde_json::from_slice::<Value>(text) {
        assert_eq!(own[name].as_u64(), Some(tokens));
    }
    for client in CLIENTS {
        let told = count::write_answer(client, tokens);
        assert_eq!(count::read_answer(client, &told), Some(tokens), "{}", String::from_utf8_lossy(&told));
    }
}
