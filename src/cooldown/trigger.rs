//! What makes a provider rest: so many errors of late, and so large a share of its attempts.
//!
//! Both, since either alone is wrong: a threshold rests a busy provider over one error in a thousand, and a share rests an
//! idle one over a single error. Budget: one compare-and-swap for an attempt that went well; an error sums the window up.

use super::reason::Reason;
use crate::stats::Tally;
use std::time::{Duration, Instant};

/// Where attempts stand in the tally; behind it, the errors by their reasons.
const ATTEMPTS: usize = 0;
/// Attempts, and the four reasons of errors that count.
const KINDS: usize = 1 + Reason::COUNTED.len();

/// When errors are too many, and how long they make a provider rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Errors within the window; at least 1.
    pub threshold: u32,
    /// Their share of the window's attempts, from 0 to 1.
    pub ratio: f64,
    /// The rest where most of them were rate limits.
    pub rate_limit_duration: Duration,
    /// The rest where most were failures of server or transport.
    pub error_duration: Duration,
    /// The rest where neither were most.
    pub default_duration: Duration,
}

impl Limits {
    /// How long a single error of this kind makes one rest that is on probation.
    pub fn duration_of(&self, reason: Reason) -> Duration {
        match reason {
            Reason::RateLimit => self.rate_limit_duration,
            reason if reason.is_failure() => self.error_duration,
            _ => self.default_duration,
        }
    }
}

/// There were too many errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// What most of them were.
    pub reason: Reason,
    /// How long to rest.
    pub duration: Duration,
}

/// The attempts at one provider within the window.
#[derive(Debug)]
pub struct Trigger {
    tally: Tally<KINDS>,
}

impl Trigger {
    /// No attempts yet.
    pub fn new(window: Duration, start: Instant) -> Trigger {
        Trigger { tally: Tally::new(window, start) }
    }

    /// An attempt went well, or failed by no fault of the provider.
    pub fn went_well(&self, now: Instant) {
        self.tally.add(ATTEMPTS, now);
    }

    /// An attempt failed. Says whether that was one too many; reasons that are not counted never are.
    pub fn failed(&self, reason: Reason, limits: &Limits, now: Instant) -> Option<Trip> {
        let kind = Reason::COUNTED.iter().position(|counted| *counted == reason)?;
        // The attempt first, so that a reader in between never sees more errors than attempts.
        self.tally.add(ATTEMPTS, now);
        self.tally.add(ATTEMPTS + 1 + kind, now);
        let errors: [u64; KINDS - 1] = std::array::from_fn(|kind| self.tally.sum(ATTEMPTS + 1 + kind, now));
        let all: u64 = errors.iter().sum();
        let attempts = self.tally.sum(ATTEMPTS, now).max(all);
        if all < u64::from(limits.threshold) || (all as f64) < limits.ratio * attempts as f64 {
            return None;
        }
        Some(trip(&errors, all, limits))
    }

    /// Forgets what was.
    pub fn clear(&self) {
        self.tally.clear();
    }
}

/// The most frequent reason, and the rest for whichever half is the larger.
fn trip(errors: &[u64], all: u64, limits: &Limits) -> Trip {
    let counted = || Reason::COUNTED.into_iter().zip(errors.iter().copied());
    let sum = |of: fn(Reason) -> bool| -> u64 {
        counted().filter(|(reason, _)| of(*reason)).map(|(_, count)| count).sum()
    };
    let most = |of: fn(Reason) -> bool| {
        let of_it = counted().filter(|(reason, _)| of(*reason));
        of_it.max_by_key(|(_, count)| *count).map_or(Reason::ServerError, |(reason, _)| reason)
    };
    if 2 * sum(|reason| reason == Reason::RateLimit) > all {
        Trip { reason: Reason::RateLimit, duration: limits.rate_limit_duration }
    } else if 2 * sum(Reason::is_failure) > all {
        Trip { reason: most(Reason::is_failure), duration: limits.error_duration }
    } else {
        Trip { reason: most(|_| true), duration: limits.default_duration }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);
    const LIMITS: Limits = Limits {
        threshold: 5,
        ratio: 0.5,
        rate_limit_duration: Duration::from_secs(600),
        error_duration: Duration::from_secs(120),
        default_duration: Duration::from_secs(300),
    };

    /// The first of these errors, all at one moment, that is one too many.
    fn trips_at(good: u32, errors: &[Reason]) -> Option<(usize, Trip)> {
        let now = Instant::now();
        let trigger = Trigger::new(WINDOW, now);
        (0..good).for_each(|_| trigger.went_well(now));
        let mut errors = errors.iter().enumerate();
        errors.find_map(|(at, error)| Some((at + 1, trigger.failed(*error, &LIMITS, now)?)))
    }

    #[test]
    fn five_of_five_trip_and_four_do_not_nor_sixty_of_sixty_thousand() {
        let server = [Reason::ServerError; 60];
        let trip = Trip { reason: Reason::ServerError, duration: LIMITS.error_duration };
        assert_eq!(trips_at(0, &server), Some((5, trip)));
        assert_eq!(trips_at(0, &server[..4]), None);
        assert_eq!(trips_at(59_940, &server), None);
        assert_eq!(trips_at(10, &server), Some((10, trip)), "half of them");
        assert_eq!(trips_at(10, &server[..9]), None, "less than half");
    }

    #[test]
    fn what_most_of_the_errors_were_says_how_long() {
        use Reason::{RateLimit, ServerError, Timeout, Transport};
        for (errors, reason, duration) in [
            ([RateLimit, RateLimit, RateLimit, Timeout, Timeout], RateLimit, LIMITS.rate_limit_duration),
            ([RateLimit, RateLimit, Timeout, Transport, Transport], Transport, LIMITS.error_duration),
            ([ServerError, Timeout, Timeout, RateLimit, RateLimit], Timeout, LIMITS.error_duration),
        ] {
            assert_eq!(trips_at(0, &errors), Some((5, Trip { reason, duration })), "{errors:?}");
        }
        let even = [RateLimit, RateLimit, RateLimit, Timeout, Timeout, Timeout];
        assert_eq!(trips_at(6, &even).map(|(_, trip)| trip.duration), Some(LIMITS.default_duration));
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let start = Instant::now();
        let trigger = Trigger::new(WINDOW, start);
        for error in 0..100 {
            // Four within any minute.
            let now = start + Duration::from_secs(21) * error;
            assert_eq!(trigger.failed(Reason::Timeout, &LIMITS, now), None);
        }
    }

    #[test]
    fn reasons_that_are_nobodys_outage_never_trip() {
        for reason in [Reason::Auth, Reason::Quota, Reason::Manual] {
            assert_eq!(trips_at(0, &[reason; 20]), None);
        }
    }

    #[test]
    fn what_was_before_a_recovery_is_forgotten() {
        let now = Instant::now();
        let trigger = Trigger::new(WINDOW, now);
        (0..4).for_each(|_| assert_eq!(trigger.failed(Reason::Timeout, &LIMITS, now), None));
        trigger.clear();
        (0..4).for_each(|_| assert_eq!(trigger.failed(Reason::Timeout, &LIMITS, now), None));
    }
}
