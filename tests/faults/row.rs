//! What a row of the matrix is: a fault, who could answer instead, and what must come of it.

use cliproxy::domain::ErrorClass;
use std::time::Duration;

/// The two providers of a case. The first is preferred, and has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    First,
    Other,
}

impl Who {
    pub const BOTH: [Who; 2] = [Who::First, Who::Other];

    /// What its name in the configuration ends with.
    pub const fn suffix(self) -> &'static str {
        match self {
            Who::First => "first",
            Who::Other => "other",
        }
    }
}

/// Where the provider stands that has no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Nowhere: there is but one.
    Alone,
    /// In the same tier.
    Equal,
    /// In a lower tier.
    Lower,
}

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// The sixty words, each once, and a clean end.
    Answer,
    /// The sixty words but for one, in order, and a clean end.
    AllButOneWord,
    /// So many words, then an error event and an end that nobody takes for a good one.
    BrokenAfter(usize),
    /// An error, with a status in OpenAI's, Anthropic's and Gemini's dialect, and our code where it is ours.
    Refusal([u16; 3], Option<&'static str>),
}

/// What the client's tokens are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// What the provider said: one token for each word.
    Reported,
    /// An estimate, marked as one.
    Estimated,
    /// What came of both parts of a recovered stream, in words; frames without one may count, too.
    Sum(u64),
    /// Nothing was used.
    Nothing,
}

/// What must come of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub sees: Sees,
    /// Who answered, or was tried last.
    pub by: Who,
    /// What attempts at the first provider met.
    pub first: &'static [ErrorClass],
    /// What attempts at the other one met.
    pub other: &'static [ErrorClass],
    pub usage: Usage,
    /// Who broke off, where the stream was gone on with.
    pub recovered_from: Option<Who>,
    /// A limit on the first provider's time, under `timeouts`; on the scale of the run.
    pub patience: Option<(&'static str, Duration)>,
    /// The least time between two requests to the first provider; on the scale of the run.
    pub pause: Duration,
    /// The answer is there by then, on the full scale.
    pub within: Duration,
}

/// An answer of that provider, after those failures of the first.
pub const fn answer(by: Who, first: &'static [ErrorClass]) -> Outcome {
    outcome(Sees::Answer, by, first, Usage::Reported)
}

/// A stream of the first provider that breaks after so many words.
pub const fn broken_after(words: usize) -> Outcome {
    outcome(Sees::BrokenAfter(words), Who::First, &[ErrorClass::Truncated], Usage::Estimated)
}

/// A stream that breaks at the first provider and is gone on with by that one; both have said so many words.
pub const fn recovered(by: Who, words: u64) -> Outcome {
    let outcome = outcome(Sees::Answer, by, &[ErrorClass::Truncated], Usage::Sum(words));
    Outcome { recovered_from: Some(Who::First), ..outcome }
}

/// The first provider's own refusal.
pub const fn refusal(statuses: [u16; 3], first: &'static [ErrorClass]) -> Outcome {
    outcome(Sees::Refusal(statuses, None), Who::First, first, Usage::Nothing)
}

/// A refusal of ours.
pub const fn given_up(status: u16, code: &'static str, first: &'static [ErrorClass]) -> Outcome {
    outcome(Sees::Refusal([status; 3], Some(code)), Who::First, first, Usage::Nothing)
}

const fn outcome(sees: Sees, by: Who, first: &'static [ErrorClass], usage: Usage) -> Outcome {
    Outcome {
        sees,
        by,
        first,
        other: &[],
        usage,
        recovered_from: None,
        patience: None,
        pause: Duration::ZERO,
        within: Duration::from_secs(60),
    }
}

impl Outcome {
    /// With that limit on the first provider's time.
    pub const fn patience(self, key: &'static str, seconds: u64) -> Outcome {
        Outcome { patience: Some((key, Duration::from_secs(seconds))), ..self }
    }

    pub const fn within(self, seconds: u64) -> Outcome {
        Outcome { within: Duration::from_secs(seconds), ..self }
    }

    /// What attempts at a provider met.
    pub const fn failures(&self, who: Who) -> &'static [ErrorClass] {
        match who {
            Who::First => self.first,
            Who::Other => self.other,
        }
    }

    /// Whether the provider that is named was successful.
    pub const fn is_success(&self) -> bool {
        matches!(self.sees, Sees::Answer | Sees::AllButOneWord)
    }
}

/// A row of the matrix: seven cases, one for each dialect and way.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name that the faulty provider knows the model by.
    pub fault: &'static str,
    pub layout: Layout,
    /// More about the model at the first provider, and at the other.
    pub models: [&'static str; 2],
    /// The name that the other provider knows the model by.
    pub other: &'static str,
    /// How often each case asks, on one connection.
    pub times: u32,
    pub plain: Outcome,
    pub stream: Outcome,
    /// Of a stream that is one JSON array, as Gemini has it.
    pub array: Outcome,
}

impl Row {
    /// With another outcome for arrays than for events.
    pub const fn array(self, array: Outcome) -> Row {
        Row { array, ..self }
    }
}

/// A row with one outcome for plain answers and one for streams.
pub const fn row(fault: &'static str, layout: Layout, plain: Outcome, stream: Outcome) -> Row {
    Row { fault, layout, models: ["", ""], other: "m", times: 1, plain, stream, array: stream }
}

/// A row with the same outcome both ways.
pub const fn same(fault: &'static str, layout: Layout, outcome: Outcome) -> Row {
    row(fault, layout, outcome, outcome)
}
