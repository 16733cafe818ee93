//! Names of functions where Gemini's are narrower than the client's.
//!
//! Source: Gemini API reference, `FunctionDeclaration.name`: letters, digits, underscores, dots and dashes, a letter or
//! an underscore first, at most 64 in all. (Newer references allow 128 and colons; what older models take is safe.)

use crate::translate::canonical::{Part, Request};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// The longest name.
const MAX_NAME: usize = 64;

/// The names that have to change in one request: as the client calls them, and as they are sent.
#[derive(Default)]
pub(super) struct Names<'r>(BTreeMap<&'r str, String>);

impl<'r> Names<'r> {
    /// Of all tools, and of the calls of tools that are no longer there.
    pub(super) fn of(request: &'r Request<'_>) -> Names<'r> {
        let mut names = Names::default();
        if all(request).all(is_fine) {
            return names;
        }
        let mut taken: HashSet<Cow<'r, str>> = all(request).map(Cow::Borrowed).collect();
        for name in all(request).filter(|name| !is_fine(name)) {
            if !names.0.contains_key(name) {
                let sent = free(&fitting(name), names.0.len(), &taken);
                taken.insert(sent.clone().into());
                names.0.insert(name, sent);
            }
        }
        names
    }

    /// As it is sent.
    pub(super) fn sent<'n>(&'n self, name: &'n str) -> &'n str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// As sent, and as the client calls them.
    pub(super) fn renamed(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(client, sent)| (sent.clone(), (*client).to_owned())).collect()
    }
}

/// A name that nobody else has: the wish, or with a number behind it, counted on from those that are changed already.
fn free(wish: &str, mut number: usize, taken: &HashSet<Cow<'_, str>>) -> String {
    let mut free = wish.to_owned();
    while taken.contains(free.as_str()) {
        number += 1;
        let ending = format!("_{number}");
        free = format!("{}{ending}", &wish[..wish.len().min(MAX_NAME - ending.len())]);
    }
    free
}

fn all<'r>(request: &'r Request<'_>) -> impl Iterator<Item = &'r str> {
    let called = request.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
        Part::Call(call) => Some(call.name.as_ref()),
        _ => None,
    });
    request.tools.iter().map(|tool| tool.name.as_ref()).chain(called)
}

fn is_fine(name: &str) -> bool {
    name.len() <= MAX_NAME && matches!(fitted(name), Cow::Borrowed(_))
}

/// The name in Gemini's characters; borrowed if it is in them already.
fn fitted(name: &str) -> Cow<'_, str> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.bytes().all(is_good) {
        return name.into();
    }
    let letter = |letter: char| if letter.is_ascii() && is_good(letter as u8) { letter } else { '_' };
    let start = if starts_well { "" } else { "_" };
    start.chars().chain(name.chars().map(letter)).collect()
}

fn fitting(name: &str) -> String {
    let mut fitting = fitted(name).into_owned();
    fitting.truncate(MAX_NAME);
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Tool;

    fn request<'a>(names: &[&'a str]) -> Request<'a> {
        let tool = |name: &&'a str| Tool {
            name: (*name).into(),
            description: None,
            parameters: None,
            strict: None,
            ends_cache: false,
        };
        Request { tools: names.iter().map(tool).collect(), ..Request::default() }
    }

    #[test]
    fn only_names_that_gemini_refuses_change_and_none_becomes_anothers() {
        let longest = "x".repeat(MAX_NAME);
        let too_long = "x".repeat(MAX_NAME + 1);
        let given = ["a_b", "a b", "a/b", "1a", "n.ame-1", "ä", &longest, &too_long];
        let request = request(&given);
        let names = Names::of(&request);
        let shortened = format!("{}_5", "x".repeat(MAX_NAME - 2));
        let expected = ["a_b", "a_b_1", "a_b_2", "_1a", "n.ame-1", "__", &longest, &shortened];
        for (name, expected) in given.iter().zip(expected) {
            assert_eq!(names.sent(name), expected, "{name}");
        }
        assert!(names.renamed().contains(&("a_b_1".to_owned(), "a b".to_owned())));
        assert_eq!(names.renamed().len(), 5);
    }
}
