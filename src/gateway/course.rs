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
    /// How a model failed at its answer last, as a client may read it.
    pub model_failure: Option<String>,
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
    /// This target once more, with the credential that it wants to be asked with again, if it said.
    Again(Target, Option<Arc<Entry>>),
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

impl Tried {
    /// Whether it was asked with this credential.
    fn has_used(&self, entry: &Entry) -> bool {
        self.credential.as_ref().is_some_and(|it| it.is_same_secret(entry))
    }

    /// Whether it may answer later what it didn't now.
    fn will_be_back(&self) -> bool {
        use ErrorClass::{Overloaded, RateLimit, ServerError};
        matches!(self.outcome, Outcome::Failed(RateLimit | Overloaded | ServerError))
    }
}

impl Course {
    /// Whether the target was asked, with whatever credential.
    pub fn has_tried(&self, target: &Target) -> bool {
        self.tried.iter().any(|tried| tried.target == *target)
    }

    /// Whether the target was asked with this credential.
    pub fn has_used(&self, target: &Target, entry: &Entry) -> bool {
        self.tried.iter().any(|tried| tried.target == *target && tried.has_used(entry))
    }

    /// Whether the target's provider refused this credential, for whatever model.
    pub fn was_refused(&self, target: &Target, entry: &Entry) -> bool {
        let refused = |tried: &&Tried| {
            tried.target.provider == target.provider && tried.outcome == Outcome::Failed(ErrorClass::Auth)
        };
        self.tried.iter().filter(refused).any(|tried| tried.has_used(entry))
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

    /// Of those that said when they want to be asked again, and said nothing since, the first. Each credential is
    /// one by itself.
    pub fn soonest_back(&self, within: impl Fn(&Target) -> bool) -> Option<(&Tried, Instant)> {
        let tried = self.tried.iter().enumerate();
        tried
            .filter(|(at, tried)| tried.will_be_back() && within(&tried.target) && self.is_last_word(*at))
            .filter(|(_, tried)| !self.was_silent(tried.target.provider))
            .filter_map(|(_, tried)| Some((tried, tried.back_at?)))
            .min_by_key(|(_, at)| *at)
    }

    /// Whether the target's last word to this credential was to come back later than now.
    pub fn is_put_off(&self, target: &Target, entry: &Entry, now: impl FnOnce() -> Instant) -> bool {
        let to_it = |tried: &&Tried| tried.target == *target && tried.has_used(entry);
        let last = self.tried.iter().rev().find(to_it);
        last.is_some_and(|tried| tried.will_be_back() && tried.back_at.is_some_and(|at| at > now()))
    }

    /// Whether nobody with the same target and credential was asked since.
    fn is_last_word(&self, at: usize) -> bool {
        let Some((tried, later)) = self.tried.get(at..).and_then(<[Tried]>::split_first) else {
            return false;
        };
        let is_same = |other: &Tried| {
            other.target == tried.target
                && tried.credential.as_ref().is_none_or(|entry| other.has_used(entry))
        };
        !later.iter().any(is_same)
    }

    /// The client has the beginning of an answer: the time for all attempts is no limit any more.
    pub fn committed(&mut self) {
        self.deadline = None;
    }

    /// The time that is left until a commit.
    pub fn time_left(&self, now: Instant) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;
    use crate::providers::credential::Terms;
    use crate::providers::presets::KeyHeader;

    fn key(secret: &str) -> Arc<Entry> {
        Arc::new(Entry::key(KeyHeader::Bearer, &Secret::new(secret), Terms::default()).expect("a key"))
    }

    fn target(provider: usize) -> Target {
        Target { provider, upstream_model: None, rank: 0 }
    }

    /// A course on which these failed, one after the other.
    fn course(failed: &[(usize, &str, ErrorClass, Option<Instant>)]) -> Course {
        let mut course = Course::default();
        for (provider, secret, class, back_at) in failed {
            course.tried.push(Tried {
                target: target(*provider),
                credential: Some(key(secret)),
                outcome: Outcome::UnderWay,
                back_at: None,
            });
            course.failed(*class, *back_at);
        }
        course
    }

    #[test]
    fn the_time_is_limited_until_a_commit() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut course = Course { deadline: Some(start + second), ..Course::default() };
        assert_eq!(course.time_left(start), second);
        assert_eq!(course.time_left(start + 2 * second), Duration::ZERO);
        course.committed();
        assert_eq!(course.time_left(start + 2 * second), Duration::MAX);
    }

    #[test]
    fn each_key_is_waited_for_by_itself() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limited = |secret, seconds| (0, secret, ErrorClass::RateLimit, Some(at(seconds)));
        let soonest = |course: &Course| {
            let (tried, at) = course.soonest_back(|_| true)?;
            Some((["one", "two"].into_iter().find(|secret| tried.has_used(&key(secret)))?, at))
        };
        let both = course(&[limited("one", 2), limited("two", 60)]);
        assert_eq!(soonest(&both), Some(("one", at(2))));
        assert!(both.is_put_off(&target(0), &key("two"), || at(2)));
        assert!(!both.is_put_off(&target(0), &key("one"), || at(2)));
        let again = course(&[limited("one", 2), limited("two", 60), limited("one", 70)]);
        assert_eq!(soonest(&again), Some(("two", at(60))), "what it said before doesn't count");
        let silent = (0, "two", ErrorClass::Timeout, None);
        assert_eq!(soonest(&course(&[limited("one", 2), silent])), None);
        assert_eq!(soonest(&course(&[(0, "one", ErrorClass::Auth, Some(at(2)))])), None);
    }
}
