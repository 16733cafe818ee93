//! Names of tools and ids of calls, as Anthropic takes them.
//!
//! Others allow dots, colons and more. A name is made to fit and the client's own is noted, so that the answer can be
//! given back with it; an id is made to fit alike wherever it stands, and nobody needs it back.
//! Source: Anthropic's reference of `tools` (`^[a-zA-Z0-9_-]{1,64}$`) and of `tool_use.id` (`^[a-zA-Z0-9_-]+$`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

/// The longest name of a tool.
const MAX_NAME: usize = 64;

/// What the tools of one request are called.
pub(super) struct Names<'w> {
    tools: Vec<&'w str>,
    /// All names that are sent, once one has to be made up.
    taken: HashSet<Cow<'w, str>>,
    /// Where in the list a client's name stands.
    places: HashMap<&'w str, usize>,
    /// As sent, and as the client calls them.
    renamed: Vec<(String, String)>,
}

impl<'w> Names<'w> {
    /// For a request with tools of these names.
    pub(super) fn new(tools: impl Iterator<Item = &'w str>) -> Names<'w> {
        let tools = tools.collect();
        Names { tools, taken: HashSet::new(), places: HashMap::new(), renamed: Vec::new() }
    }

    /// What a tool is called where it is sent to. Always the same for the same.
    pub(super) fn sent(&mut self, name: &'w str) -> Cow<'w, str> {
        if fits(name) {
            return Cow::Borrowed(name);
        }
        if let Some((sent, _)) = self.places.get(name).and_then(|place| self.renamed.get(*place)) {
            return Cow::Owned(sent.clone());
        }
        if self.taken.is_empty() {
            self.taken.extend(self.tools.iter().filter(|name| fits(name)).map(|name| Cow::Borrowed(*name)));
        }
        let sent = self.free(name);
        self.taken.insert(sent.clone().into());
        self.places.insert(name, self.renamed.len());
        self.renamed.push((sent.clone(), name.to_owned()));
        Cow::Owned(sent)
    }

    /// Those that were renamed: as sent, and as the client calls them.
    pub(super) fn renamed(self) -> Vec<(String, String)> {
        self.renamed
    }

    /// A name like that one which no other tool has.
    fn free(&self, name: &str) -> String {
        let fitting: String =
            name.chars().map(|it| if is_plain(it) { it } else { '_' }).take(MAX_NAME).collect();
        let stem = if fitting.is_empty() { "_" } else { &fitting };
        let mut sent = stem.to_owned();
        // Each rename begins with a number of its own, so that many of one stem don't try all numbers.
        let mut number = self.renamed.len() + 2;
        while self.taken.contains(sent.as_str()) {
            let ending = format!("_{number}");
            // What fits is ASCII, so that any length is a boundary.
            sent = format!("{}{ending}", &stem[..stem.len().min(MAX_NAME - ending.len())]);
            number += 1;
        }
        sent
    }
}

/// The id of a call as Anthropic takes it: other characters as the numbers of their bytes.
pub(super) fn id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(|byte| is_plain(byte.into())) {
        return Cow::Borrowed(id);
    }
    let mut fitting = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        if is_plain(byte.into()) {
            fitting.push(byte.into());
        } else {
            // Writing to a string doesn't fail.
            let _ = write!(fitting, "_{byte:02x}");
        }
    }
    if fitting.is_empty() {
        fitting.push('_');
    }
    Cow::Owned(fitting)
}

fn is_plain(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '-'
}

fn fits(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| is_plain(byte.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_stays_and_another_is_made_to_fit_once() {
        let long = "x".repeat(MAX_NAME + 1);
        let mut names = Names::new(["a_b", "a.b", "a:b", &long].into_iter());
        assert_eq!(names.sent("a_b"), "a_b");
        assert_eq!(names.sent("a.b"), "a_b_2");
        assert_eq!(names.sent("a:b"), "a_b_3");
        assert_eq!(names.sent("a.b"), "a_b_2");
        assert_eq!(names.sent(&long), "x".repeat(MAX_NAME));
        assert_eq!(names.sent(&long[1..]), "x".repeat(MAX_NAME), "64 characters fit");
        let own: Vec<String> = names.renamed().into_iter().map(|(_, own)| own).collect();
        assert_eq!(own, ["a.b", "a:b", &long]);
    }

    #[test]
    fn two_long_names_that_begin_alike_stay_two() {
        let (one, other) = ("x".repeat(70) + "1", "x".repeat(70) + "2");
        let mut names = Names::new([one.as_str(), other.as_str()].into_iter());
        let (one, other) = (names.sent(&one).into_owned(), names.sent(&other).into_owned());
        assert_ne!(one, other);
        assert!(fits(&one) && fits(&other), "{one} {other}");
    }

    #[test]
    fn an_id_is_made_to_fit_alike_wherever_it_stands() {
        assert_eq!(id("toolu_01-A"), "toolu_01-A");
        assert_eq!(id("call:1"), "call_3a1");
        assert_ne!(id("call.1"), id("call:1"));
        assert_eq!(id(""), "_");
    }
}
