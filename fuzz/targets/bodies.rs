//! Any bytes as the body of a request or answer that passes: peeked into, edited, gone on with, metered.
//!
//! What is found is what serde_json finds; an edit changes what it is for and not one byte more.

#![no_main]

use bytes::Bytes;
use cliproxy_fuzz::domain::Dialect;
use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::sides::CLIENTS;
use cliproxy_fuzz::translate::edit::{self, Edit};
use cliproxy_fuzz::translate::json::{self, Fault, MAX_DEPTH};
use cliproxy_fuzz::translate::peek::{BadBody, Peek};
use cliproxy_fuzz::translate::usage::Meter;
use cliproxy_fuzz::translate::{foreign_thoughts, multipart, prefill};
use cliproxy_fuzz::{mutation, pace, spans};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde::de::IgnoredAny;

const NAMES: [&str; 2] = ["model", "usage"];

/// What may not be there twice, where usage is looked for.
const REPORTED: [&str; 5] = ["usage", "usageMetadata", "message", "response", "choices"];

/// The other name of a model.
const OTHER: &str = "an-other/\"model\"";

const BOUNDARY: &str = "multipart/form-data; boundary=\"XyZ\"";

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    if let Ok(form) = multipart::model(BOUNDARY, input.text) {
        let renamed = edit::apply(&Bytes::copy_from_slice(input.text), vec![form.rename(OTHER)]);
        // One part more may be one too many.
        let again = multipart::model(BOUNDARY, &renamed).map(|again| again.name);
        assert!(again.is_ok_and(|name| name.as_deref() == Some(OTHER)) || form.name.is_none());
    }
    let found = json::members(input.text, NAMES);
    let Ok(text) = std::str::from_utf8(input.text) else {
        assert!(Peek::read(input.text).is_err());
        return;
    };
    judged(text, &found);
    match Peek::read(input.text) {
        Ok(peek) => edited(input, &peek),
        Err(BadBody(why)) => assert!(!why.is_empty() && why.len() < 1_000, "{why:?}"),
    }
    cut(input.text);
    metered(text);
}

/// What others thought is cut out: what stays is JSON, as it was.
fn cut(text: &[u8]) {
    for api in CLIENTS {
        for wants_signatures in [false, true] {
            let changes = foreign_thoughts::changes(api, text, wants_signatures);
            assert_eq!(changes.edits.is_empty(), changes.dropped.is_empty());
            let stays = edit::apply(&Bytes::copy_from_slice(text), changes.edits);
            assert!(stays == text || serde_json::from_slice::<IgnoredAny>(&stays).is_ok());
        }
    }
}

/// Our own judgement beside serde_json's.
fn judged(text: &str, found: &Result<[Option<std::ops::Range<usize>>; 2], Fault>) {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let is_object = text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{');
    match found {
        Ok(found) => {
            assert!(is_json && is_object && spans::depth(text.as_bytes()) <= MAX_DEPTH);
            for at in found.iter().flatten() {
                assert!(serde_json::from_str::<IgnoredAny>(&text[at.clone()]).is_ok());
            }
        }
        Err(Fault::Syntax { line, column, .. }) => {
            // A name that is no text is refused where it is read.
            assert!(!is_json || text.contains("\\u"));
            assert!(*line > 0 && *column > 0 && *line <= 1 + text.len() && *column <= 1 + text.len());
        }
        Err(Fault::NotAnObject) => assert!(is_json && !is_object),
        Err(Fault::TooDeep) => assert!(spans::depth(text.as_bytes()) > MAX_DEPTH),
        Err(Fault::Duplicate(name)) => {
            assert!(is_json && (text.matches(name).count() > 1 || text.contains("\\u")));
        }
    }
}

fn edited(input: &Input<'_>, peek: &Peek) {
    let body = Bytes::copy_from_slice(input.text);
    assert!(!peek.model.as_deref().is_some_and(|model| model.trim().is_empty()));
    let edits: Vec<Edit> = peek.rename_model(OTHER).into_iter().chain(peek.ask_for_usage()).collect();
    let other = edit::apply(&body, edits.clone());
    unchanged(&body, &other, edits);
    let again = match Peek::read(&other) {
        Ok(again) => again,
        Err(why) => unreachable!("{why:?}: {}", String::from_utf8_lossy(&other)),
    };
    assert_eq!(again.model.as_deref(), Some(OTHER));
    assert_eq!((again.stream, again.several), (peek.stream, peek.several));
    assert_eq!(again.ask_for_usage(), None, "{}", String::from_utf8_lossy(&other));
    for dialect in Dialect::ALL {
        let said = "so \"far\"\n\u{e9} ";
        if let Some(continued) = prefill::continued(dialect, &body, said) {
            assert!(Peek::read(&continued).is_ok());
            assert!(continued.len() > body.len());
            assert_eq!(prefill::continued(dialect, &continued, said), None, "once");
        }
    }
}

/// Whether what is between the edits is as it was.
fn unchanged(before: &Bytes, after: &Bytes, mut edits: Vec<Edit>) {
    edits.sort_by_key(|edit| edit.at.start);
    let (mut old, mut new) = (0, 0);
    for edit in edits {
        let kept = edit.at.start - old;
        assert_eq!(before[old..edit.at.start], after[new..new + kept]);
        new += kept;
        assert_eq!(after[new..new + edit.with.len()], *edit.with.as_bytes());
        new += edit.with.len();
        old = edit.at.end;
    }
    assert_eq!(before[old..], after[new..]);
}

/// Usage is read from the end of an answer where it can be; the whole has to say the same.
fn metered(text: &str) {
    for dialect in Dialect::ALL {
        let mut meter = Meter::plain(dialect);
        meter.see(text.as_bytes());
        let is_whole = text.starts_with('{') && json::members(text.as_bytes(), REPORTED).is_ok();
        // A name may be written in another way, and then only a look at the whole finds it twice.
        if !is_whole || text.contains("\\u") || text.len() < 3 || text[1..].trim_start().starts_with('}') {
            continue;
        }
        let whole = format!("{{\"usage_\":0,{}", &text[1..]);
        let mut slow = Meter::plain(dialect);
        slow.see(whole.as_bytes());
        assert_eq!(meter.reported(), slow.reported(), "{dialect} {text}");
    }
}
