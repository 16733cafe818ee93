//! Any bytes as a client's request, in each of its dialects, written for every provider of another.
//!
//! What is read is written or refused in words; what is written is JSON that we would read ourselves, and what it says
//! is what the client said.

#![no_main]

use cliproxy_fuzz::gist::{Called, Conversation};
use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::sides::{CLIENTS, MODELS, PROVIDERS, api, read, write};
use cliproxy_fuzz::translate::canonical::Request;
use cliproxy_fuzz::translate::json;
use cliproxy_fuzz::translate::peek::{BadBody, Peek};
use cliproxy_fuzz::translate::sides::{Target, Written};
use cliproxy_fuzz::translate::signs::Api;
use cliproxy_fuzz::{domain::Dialect, mutation, pace, spans};
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
    let mut request = match read(client, input.text) {
        Ok(request) => request,
        Err(why) => return complaint(&why),
    };
    // Some are refused before anything is written, others before anything is read.
    let has_room = request.max_output_tokens.is_none_or(|tokens| i32::try_from(tokens).is_ok());
    if !has_room || request.is_silent() || spans::depth(input.text) > MAX_DEPTH {
        return;
    }
    request.streams = input.choice >= 128;
    let said = Conversation::of(&request);
    let max_output_tokens = (input.option >= 128).then_some(4_096);
    let target = Target { model: input.option(&MODELS), max_output_tokens };
    // Anthropic's own clients are translated too, where others' signatures have to be left out.
    let is_spoken = |dialect: &Dialect| api(*dialect) == client && client != Api::Messages;
    for dialect in PROVIDERS.into_iter().filter(|dialect| !is_spoken(dialect)) {
        let written = write(dialect, &request, &target);
        if request.features.refused_by(api(dialect)).is_some() {
            // Never sent, so that it doesn't matter what it says.
            continue;
        }
        match written {
            Ok(written) => compare(dialect, &request, &said, &written, &target),
            Err(why) => complaint(&why),
        }
    }
}

/// What a client reads is a sentence, and no copy of what it sent.
fn complaint(BadBody(why): &BadBody) {
    assert!(!why.is_empty() && why.len() < 1_000, "{why:?}");
}

fn compare(
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
    let again = match read(api(dialect), &written.body) {
        Ok(again) => again,
        Err(why) => unreachable!("{why:?}: {text}"),
    };
    let again = Conversation::of(&again);
    assert_eq!(again.system, said.system, "{dialect} {text}");
    if !said.has_documents {
        assert_eq!(without_opening(dialect, &again.user, &said.user), said.user, "{dialect} {text}");
    }
    assert_eq!(again.model, said.model, "{dialect} {text}");
    assert_eq!(again.pictures, said.pictures, "{dialect} {text}");
    let names = |names: &[String]| names.iter().map(|name| own_name(written, name)).collect::<Vec<_>>();
    assert_eq!(names(&again.tools), said.tools, "{dialect} {text}");
    calls(dialect, said, &again, written);
    assert_eq!(again.given.len(), said.given.len(), "{dialect} {text}");
    for (given, own) in again.given.iter().zip(&said.given) {
        assert_eq!(given.call, own.call, "{dialect} {text}");
        let is_kept =
            given.words == own.words || dialect == Dialect::Gemini && is_inside(&given.words, &own.words);
        assert!(is_kept, "{} is no {}: {dialect} {text}", given.words, own.words);
    }
}

/// Where the conversation doesn't begin with the user, a word is put into its mouth.
fn without_opening<'w>(dialect: Dialect, words: &'w str, own: &str) -> &'w str {
    let is_added = dialect == Dialect::Anthropic && words.len() == own.len() + 1;
    words.strip_prefix('.').filter(|_| is_added).unwrap_or(words)
}

fn own_name(written: &Written, name: &str) -> String {
    let renamed = written.renamed.iter().find(|(sent, _)| sent == name);
    renamed.map_or(name, |(_, own)| own).to_owned()
}

fn calls(dialect: Dialect, said: &Conversation, again: &Conversation, written: &Written) {
    assert_eq!(again.calls.len(), said.calls.len(), "{dialect}");
    for (call, own) in again.calls.iter().zip(&said.calls) {
        let Called { id, name, arguments } = own;
        assert_eq!(&call.arguments, arguments, "{dialect}");
        if said.tools.contains(name) {
            assert_eq!(own_name(written, &call.name), *name, "{dialect}");
        }
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"_-".contains(&it);
        if api(dialect) != Api::Messages || !id.is_empty() && id.bytes().all(is_plain) {
            assert_eq!(&call.id, id, "{dialect}");
        }
    }
}

/// Whether Gemini's object around a result has these words and nothing else.
fn is_inside(object: &str, words: &str) -> bool {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(object);
    object.is_ok_and(|object| {
        let is_own = |value: &serde_json::Value| {
            value.as_str().is_some_and(|text| text.chars().filter(|it| !it.is_whitespace()).eq(words.chars()))
        };
        object.len() == 1
            && object
                .iter()
                .any(|(name, value)| ["result", "error"].contains(&name.as_str()) && is_own(value))
    })
}
