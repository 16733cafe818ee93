//! Faults of single requests, chosen by the model's name. One fault is one row of [`SCENARIOS`].
//!
//! A row says when something goes wrong and what ([`When`], [`Act`]). An act either takes the answer's place or
//! bends it ([`Bend`]): the dialects know nothing of faults, and a fault knows no endpoint.
//!
//! Cost: a request for an ordinary model is compared with the names, and nothing else.

mod bend;
mod coding;
mod complaint;
mod events;
mod memory;
mod table;

pub(super) use bend::{Bend, Scene};
pub(super) use complaint::Complaint;
pub(super) use memory::Memory;
pub use table::SCENARIOS;

use super::wire::Request;
use std::time::Duration;

/// A fault that a client asks for by naming a model.
pub struct Scenario {
    /// The model's name; what stands in `<…>` is for the client to choose.
    pub name: &'static str,
    /// What the provider does, for help texts and docs.
    pub does: &'static str,
    asked: Asked,
}

/// How a model's name asks for a scenario.
enum Asked {
    /// By its whole name. The first act whose time it is happens; if it is no act's, the request is served.
    ByName(&'static [(When, Act)]),
    /// By a prefix, which the client's choice follows. What is no choice is an ordinary model.
    ByPrefix(&'static str, fn(&str) -> Option<Act>),
}

/// When an act happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    Always,
    /// At the first of all requests that are alike in path and body.
    Once,
    /// From the first request for the model on, for so long.
    Within(Duration),
    /// Where the client has put words into the model's mouth.
    Prefilled,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// It is refused, in the vendor's words.
    Refuse(Complaint),
    /// As [`Act::Refuse`], as soon as the model's name was read, be the body whole or not; then hang up.
    RefuseEarly(Complaint, HangUp),
    /// The vendor's filter stops it.
    Filter,
    /// The connection is reset.
    Reset,
    /// Nothing, for as long as the client stays.
    Ignore,
    /// It is served, but not well.
    Bend(Bend),
}

/// How a connection is closed that a client may still be sending on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HangUp {
    /// The client is read from until it has finished.
    Patiently,
    AtOnce,
}

/// What happens to a request for that model; `is_time` says whether a scenario's act happens now.
pub(super) fn act_on(model: &str, is_time: impl Fn(&'static str, When) -> bool) -> Option<Act> {
    SCENARIOS.iter().find_map(|scenario| match scenario.asked {
        Asked::ByName(acts) if scenario.name == model => {
            acts.iter().find(|(when, _)| is_time(scenario.name, *when)).map(|(_, act)| *act)
        }
        Asked::ByName(_) => None,
        Asked::ByPrefix(prefix, choice) => choice(model.strip_prefix(prefix)?),
    })
}

/// The scenario that answers a request before its body is whole, if it asks for one: a [`Watch`].
///
/// [`Watch`]: super::wire::Watch
pub(super) fn asked_early(request: &Request, so_far: &[u8]) -> Option<&'static str> {
    // All such rows are named so: one look is enough for everyone else.
    const NAMES: &str = "fault-early-";
    if !request.path.contains(NAMES) && memchr::memmem::find(so_far, NAMES.as_bytes()).is_none() {
        return None;
    }
    let is_named = |name: &str| {
        let (in_path, in_body) = (format!("/{name}:"), format!("\"{name}\""));
        request.path.contains(&in_path) || memchr::memmem::find(so_far, in_body.as_bytes()).is_some()
    };
    SCENARIOS.iter().filter(|scenario| scenario.is_early()).map(|row| row.name).find(|name| is_named(name))
}

impl Scenario {
    fn is_early(&self) -> bool {
        matches!(self.asked, Asked::ByName([(_, Act::RefuseEarly(..)), ..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn act(model: &str) -> Option<Act> {
        act_on(model, |_, when| when == When::Always)
    }

    #[test]
    fn a_models_name_chooses_the_fault() {
        assert_eq!(act("status-503"), Some(Act::Refuse(Complaint::Status(503))));
        assert_eq!(act("slow-2s"), Some(Act::Bend(Bend::Delay(Duration::from_secs(2)))));
        assert_eq!(act("cut-59"), Some(Act::Bend(Bend::Cut(59))));
        assert_eq!(act("large-64M"), Some(Act::Bend(Bend::Enlarge(64 << 20))));
        assert_eq!(act("fault-s06"), Some(Act::Ignore));
    }

    #[test]
    fn other_names_are_ordinary_models() {
        let no_choices =
            ["status-", "status-200", "status-600", "slow-", "slow-motion", "cut-60", "large-65M"];
        for model in ["gpt-4o", "", "fault-s", "fault-s060", "fault-s6"].into_iter().chain(no_choices) {
            assert_eq!(act(model), None, "{model}");
        }
    }

    #[test]
    fn the_first_act_whose_time_it_is_happens() {
        let at = |holds: &'static [When]| act_on("fault-s14", move |_, when| holds.contains(&when));
        assert_eq!(at(&[When::Prefilled, When::Once]), Some(Act::Refuse(Complaint::Prefill)));
        assert_eq!(at(&[When::Once]), Some(Act::Bend(Bend::Cut(40))));
        assert_eq!(at(&[]), None, "served");
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let names: HashSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }

    #[test]
    fn an_early_refusal_is_asked_for_in_the_path_or_the_body() {
        let asked = |path: &str, body: &[u8]| {
            asked_early(&Request { path: path.to_owned(), ..Request::default() }, body)
        };
        let chat = "/v1/chat/completions";
        assert_eq!(asked(chat, br#"{"model": "fault-early-400", "mes"#), Some("fault-early-400"));
        assert_eq!(asked("/v1/models/fault-early-close:generateContent", b""), Some("fault-early-close"));
        assert_eq!(asked(chat, br#"{"model":"fault-early-40"#), None, "not all of it yet");
        assert_eq!(asked(chat, br#"{"model":"gpt-4o","#), None);
        for row in SCENARIOS.iter().filter(|row| row.is_early()) {
            assert!(row.name.starts_with("fault-early-"), "{} is not looked for", row.name);
        }
    }
}
