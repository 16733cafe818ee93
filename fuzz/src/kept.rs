//! Whether a request that was written for a provider says what the client said.

use crate::domain::Dialect;
use crate::gist::{Called, Conversation};
use crate::sides::api;
use crate::translate::peek::BadBody;
use crate::translate::sides::Written;
use crate::translate::signs::Api;

/// What a client is told of a request that isn't taken.
///
/// # Panics
/// Unless it is a sentence, and no copy of what was sent.
pub fn complaint(BadBody(why): &BadBody) {
    assert!(!why.is_empty() && why.len() < 1_000, "{why:?}");
}

/// Compares what a provider of that dialect is asked with what the client asked. Tools may be renamed, and one of ours be
/// among them, by which the model answers.
///
/// # Panics
/// Where anything is lost, added or moved.
pub fn compare(dialect: Dialect, said: &Conversation, again: &Conversation, written: &Written, text: &str) {
    assert_eq!(again.system, said.system, "{dialect} {text}");
    if !said.has_documents {
        assert_eq!(without_opening(dialect, &again.user, &said.user), said.user, "{dialect} {text}");
    }
    assert_eq!(again.model, said.model, "{dialect} {text}");
    assert_eq!(again.pictures, said.pictures, "{dialect} {text}");
    let renamed = &written.renamed;
    let clients = again.tools.iter().filter(|name| written.answers_by.as_ref() != Some(*name));
    let names: Vec<_> = clients.map(|name| own_name(renamed, name)).collect();
    assert_eq!(names, said.tools, "{dialect} {text}");
    calls(dialect, said, again, renamed);
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

fn own_name<'n>(renamed: &'n [(String, String)], name: &'n str) -> &'n str {
    renamed.iter().find(|(sent, _)| sent == name).map_or(name, |(_, own)| own)
}

fn calls(dialect: Dialect, said: &Conversation, again: &Conversation, renamed: &[(String, String)]) {
    assert_eq!(again.calls.len(), said.calls.len(), "{dialect}");
    for (call, own) in again.calls.iter().zip(&said.calls) {
        let Called { id, name, arguments } = own;
        // As an object among others they stand without the white space around them.
        assert_eq!(call.arguments.trim(), arguments.trim(), "{dialect}");
        if said.tools.contains(name) {
            assert_eq!(own_name(renamed, &call.name), *name, "{dialect}");
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
