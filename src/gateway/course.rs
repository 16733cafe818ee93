//! The course of one request through its candidates: who was asked, what came of it, who is asked next.

use crate::domain::ErrorClass;
use crate::providers::credential::Entry;
use crate::providers::routes::Target;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Attempts that a course remembers without the heap.
const INLINE_TRIED: usize = 4;

/// How good a target is, lower being better: its rank in the route, then its provider's priority.
pub type Tier = (u32, u32);

/// One request's way from candidate to candidate.
#[derive(Default)]
pub struct Course {
    /// Who was asked, in order.
    pub tried: SmallVec<[Tried; INLINE_TRIED]>,
    /// Who is asked next.
    pub ask: Ask,
    /// A prompt that is too long needs a context window larger than this.
    pub window_above: Option<u64>,
    /// The tier that has had its one retry.
    pub retried_in: Option<Tier>,
    /// Whether the one failover that costs nothing was made.
    pub has_failed_over: bool,
    /// When all attempts together are over, unless one commits before.
    pub deadline: Option<Instant>,
}

/// Who is asked next.
#[derive(Default)]
pub enum Ask {
    /// The strategy's choice among those that were not asked yet.
    #[default]
    Candidate,
    /// This target, with a credential that it was not asked with yet.
    Credential(Target),
    /// This target once more.
    Again(Target),
}

/// A target that was asked, or could not be.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which.
    pub target: Target,
    /// With which credential; `None` if there was none to be had.
    pub credential: Option<Arc<Entry>>,
    /// What came of it.
    pub outcome: Outcome,
    /// When it wants to be asked again, if it said.
    pub back_at: Option<Instant>,
}

/// What came of asking a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    UnderWay,
    /// This failure.
    Failed(ErrorClass),
    /// It was not asked after all; the word is for status and error bodies.
    Passed(&'static str),
}

impl Course {
    /// Whether the target was asked, with whatever credential.
    pub fn has_tried(&self, target: &Target) -> bool {
        self.tried.iter().any(|tried| tried.target == *target)
    }

    /// Whether the target was asked with this credential.
    pub fn has_used(&self, target: &Target, entry: &Entry) -> bool {
        let with_it = |tried: &&Tried| tried.credential.as_ref().is_some_and(|it| it.is_same_secret(entry));
        self.tried.iter().filter(with_it).any(|tried| tried.target == *target)
    }

    /// Whether the target's provider refused this credential, for whatever model.
    pub fn was_refused(&self, target: &Target, entry: &Entry) -> bool {
        let refused = |tried: &&Tried| {
            tried.target.provider == target.provider && tried.outcome == Outcome::Failed(ErrorClass::Auth)
        };
        let with_it = |tried: &Tried| tried.credential.as_ref().is_some_and(|it| it.is_same_secret(entry));
        self.tried.iter().filter(refused).any(with_it)
    }

    /// Whether the provider was asked in vain until the time was up, for whatever model. Who waited in vain once
    /// would wait again.
    pub fn was_silent(&self, provider: usize) -> bool {
        let timed_out = |tried: &Tried| tried.outcome == Outcome::Failed(ErrorClass::Timeout);
        self.tried.iter().any(|tried| tried.target.provider == provider && timed_out(tried))
    }

    /// What was met, attempt by attempt.
    pub fn classes(&self) -> impl DoubleEndedIterator<Item = ErrorClass> {
        self.tried.iter().filter_map(|tried| match tried.outcome {
            Outcome::Failed(class) => Some(class),
            Outcome::UnderWay | Outcome::Passed(_) => None,
        })
    }

    /// The attempt under way failed; its provider wants to be asked again at `back_at`, if it said.
    pub fn failed(&mut self, class: ErrorClass, back_at: Option<Instant>) {
        if let Some(tried) = self.tried.last_mut() {
            tried.outcome = Outcome::Failed(class);
            tried.back_at = back_at;
        }
    }

    /// Of the targets whose last word was that they limit their rate, the one that wants to be asked again
    /// soonest, and when.
    pub fn soonest_back(&self, within: impl Fn(&Target) -> bool) -> Option<(&Target, Instant)> {
        let is_last_word =
            |at: usize, target: &Target| self.tried.iter().skip(at + 1).all(|later| later.target != *target);
        let limits = |tried: &Tried| tried.outcome == Outcome::Failed(ErrorClass::RateLimit);
        let tried = self.tried.iter().enumerate();
        tried
            .filter(|(at, tried)| limits(tried) && within(&tried.target) && is_last_word(*at, &tried.target))
            .filter_map(|(_, tried)| Some((&tried.target, tried.back_at?)))
            .min_by_key(|(_, at)| *at)
    }

    /// The time that is left until a commit.
    pub fn time_left(&self, now: Instant) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now))
    }
}
