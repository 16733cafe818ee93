//! Any bytes as a provider's whole answer, in each dialect, for every client of another.
//!
//! What is understood is said again in the client's words; what isn't is no answer. Errors are told apart.

#![no_main]

use cliproxy_fuzz::domain::Dialect;
use cliproxy_fuzz::gist::Said;
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::sides::{PAIRS, PROVIDERS, TOOL, api, read_answer, way_back};
use cliproxy_fuzz::translate::frames::Framing;
use cliproxy_fuzz::translate::signs::{self, Api};
use cliproxy_fuzz::translate::{error, json};
use cliproxy_fuzz::{mutation, pace, spans};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

type Object = std::collections::BTreeMap<String, serde::de::IgnoredAny>;

/// Arguments that are deeper than any request may be are given to clients, and nobody reads them again.
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
    let provider = input.chosen(&PROVIDERS);
    signs::is_error(input.text);
    let rest = input.choice / PROVIDERS.len();
    for &dialect in ways(rest, &Dialect::ALL) {
        let status = 100 + input.option as u16 * 2;
        if let Some(body) = error::between(dialect, status, None, input.text) {
            assert!(json::members(&body, []).is_ok(), "{}", String::from_utf8_lossy(&body));
        }
    }
    if spans::depth(input.text) > MAX_DEPTH {
        return;
    }
    let answer = read_answer(api(provider), input.text);
    let said = answer.as_ref().map(Said::of);
    let clients: Vec<Api> =
        PAIRS.into_iter().filter(|(_, it)| *it == provider).map(|(client, _)| client).collect();
    for &client in ways(rest / Dialect::ALL.len(), &clients) {
        let way_back = way_back(client, provider, Framing::Events);
        let whole = way_back.whole(input.text);
        assert_eq!(whole.is_ok(), said.is_some());
        if let (Ok((body, _)), Some(said)) = (whole, &said) {
            compare(client, &body, said);
        }
    }
}

fn compare(client: Api, body: &[u8], said: &Said) {
    let text = String::from_utf8_lossy(body);
    assert!(json::members(body, []).is_ok(), "{client:?} {text}");
    // Arguments that are no object are given as they came, and nobody reads them again.
    let is_odd = said.calls.iter().any(|call| serde_json::from_str::<Object>(&call.arguments).is_err());
    if client == Api::Responses || is_odd {
        return;
    }
    let Some(again) = read_answer(client, body).as_ref().map(Said::of) else {
        unreachable!("nobody understands {client:?} {text}")
    };
    assert_eq!(again.words, said.words, "{client:?} {text}");
    assert_eq!(again.tokens(), said.tokens(), "{client:?} {text}");
    assert_eq!(again.finish(), said.finish(), "{client:?} {text}");
    assert_eq!(again.calls.len(), said.calls.len(), "{client:?} {text}");
    for (call, own) in again.calls.iter().zip(&said.calls) {
        assert_eq!(call.id, own.id, "{client:?} {text}");
        // As an object among others they stand without the white space around them.
        assert_eq!(call.arguments.trim(), own.arguments.trim(), "{client:?} {text}");
        assert!(call.name == own.name || call.name == TOOL, "{client:?} {text}");
    }
}
