//! Faults of single requests, chosen by the model's name. One fault is one row of [`SCENARIOS`].

use super::answer::ANSWER_WORDS;
use crate::domain::{Period, Size};
use std::time::Duration;

/// A fault that a client asks for by naming a model.
pub struct Scenario {
    /// The model's name; what stands in `<…>` is for the client to choose.
    pub name: &'static str,
    /// What the provider does, for help texts and docs.
    pub does: &'static str,
    /// The part of the name before the client's choice.
    prefix: &'static str,
    /// Reads the client's choice; none if it isn't one.
    fault: fn(&str) -> Option<Fault>,
}

/// What a scenario does to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The vendor's error of that status.
    Status(u16),
    /// A wait before the header.
    Wait(Duration),
    /// The connection breaks after so many words, of a stream and of a plain answer alike.
    Cut(usize),
    /// The answer's text is said again and again until the body has so many bytes. Streams stay as they are.
    Large(usize),
}

/// The largest answer that is made, in bytes.
const MAX_LARGE: usize = 64 << 20;

/// Every fault there is.
pub static SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "status-<code>",
        does: "answers that status (400 to 599) in the vendor's error shape",
        prefix: "status-",
        fault: |choice| choice.parse().ok().filter(|status| (400..600).contains(status)).map(Fault::Status),
    },
    Scenario {
        name: "slow-<time>",
        does: "waits that long before the header, then answers",
        prefix: "slow-",
        fault: |choice| Period::parse(choice).map(|wait| Fault::Wait(wait.get())),
    },
    Scenario {
        name: "cut-<words>",
        does: "breaks the connection after that many words of the answer, streamed or not",
        prefix: "cut-",
        fault: |choice| choice.parse().ok().filter(|words| *words < ANSWER_WORDS).map(Fault::Cut),
    },
    Scenario {
        name: "large-<size>",
        does: "repeats its words until a plain answer has that size (up to 64M)",
        prefix: "large-",
        fault: |choice| {
            Size::parse(choice).map(Size::as_usize).filter(|size| *size <= MAX_LARGE).map(Fault::Large)
        },
    },
];

/// The fault that a model's name stands for, if it does for one.
pub(super) fn fault_of(model: &str) -> Option<Fault> {
    SCENARIOS.iter().find_map(|scenario| (scenario.fault)(model.strip_prefix(scenario.prefix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_chooses_the_fault() {
        assert_eq!(fault_of("status-503"), Some(Fault::Status(503)));
        assert_eq!(fault_of("slow-2s"), Some(Fault::Wait(Duration::from_secs(2))));
        assert_eq!(fault_of("cut-59"), Some(Fault::Cut(59)));
        assert_eq!(fault_of("large-64M"), Some(Fault::Large(MAX_LARGE)));
    }

    #[test]
    fn other_names_are_ordinary_models() {
        for model in [
            "gpt-4o",
            "",
            "status-",
            "status-200",
            "status-600",
            "slow-",
            "slow-motion",
            "cut-60",
            "large-65M",
        ] {
            assert_eq!(fault_of(model), None, "{model}");
        }
    }
}
