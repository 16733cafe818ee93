//! The last minute of one provider: requests, errors and the mean latency of successes.
//!
//! Sixty buckets of one second each, of cells as [`super::Window`] has them.
//!
//! Precision: every addition is counted once, in the second its `now` falls in. What races is only
//! the view: a read that runs beside an observation may see the request and not yet its latency. An
//! observation that comes a whole minute late (its cell has been taken over) is dropped. Counts
//! saturate at `u32::MAX` per second.
//!
//! Budget: an observation is at most three compare-and-swaps on two cache lines; a read is 240 loads.

use super::window::{Cell, SECONDS, second};
use std::time::{Duration, Instant};

/// A rolling window over the last minute.
#[derive(Debug)]
pub struct Minute {
    start: Instant,
    buckets: [Bucket; SECONDS as usize],
}

/// What a [`Minute`] holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that settled.
    pub requests: u64,
    /// Attempts that failed by the provider's fault.
    pub errors: u64,
    /// Mean latency of the successes among the requests, to the millisecond; zero if there was none.
    pub average_latency: Duration,
}

impl Minute {
    /// An empty window. Seconds are counted from `start`; an earlier `now` counts as `start`.
    pub fn new(start: Instant) -> Minute {
        Minute { start, buckets: [const { Bucket::new() }; SECONDS as usize] }
    }

    /// A request settled. `latency` is given if it succeeded, so that failures, which are often
    /// fast, don't flatter the mean.
    pub fn observe_request(&self, latency: Option<Duration>, now: Instant) {
        let second = second(self.start, now);
        let bucket = self.bucket(second);
        bucket.requests.add(1, second);
        if let Some(latency) = latency {
            bucket.successes.add(1, second);
            bucket.latency_ms.add(rounded_ms(latency), second);
        }
    }

    /// An attempt failed. It is counted apart from requests, since a request that fails here may
    /// settle at another provider, and one request may fail here twice.
    pub fn observe_error(&self, now: Instant) {
        let second = second(self.start, now);
        self.bucket(second).errors.add(1, second);
    }

    /// The sums over the sixty seconds that end with `now`.
    pub fn read(&self, now: Instant) -> Figures {
        let second = second(self.start, now);
        let sum = |cell: fn(&Bucket) -> &Cell| -> u64 {
            self.buckets.iter().map(|bucket| cell(bucket).read(second)).sum()
        };
        let successes = sum(|bucket| &bucket.successes);
        let latency_ms = sum(|bucket| &bucket.latency_ms);
        Figures {
            requests: sum(|bucket| &bucket.requests),
            errors: sum(|bucket| &bucket.errors),
            average_latency: Duration::from_millis(latency_ms.checked_div(successes).unwrap_or(0)),
        }
    }

    fn bucket(&self, second: u64) -> &Bucket {
        &self.buckets[(second % SECONDS) as usize]
    }
}

/// One second.
#[derive(Debug)]
struct Bucket {
    requests: Cell,
    errors: Cell,
    successes: Cell,
    latency_ms: Cell,
}

impl Bucket {
    const fn new() -> Bucket {
        Bucket { requests: Cell::new(), errors: Cell::new(), successes: Cell::new(), latency_ms: Cell::new() }
    }
}

fn rounded_ms(latency: Duration) -> u64 {
    u64::try_from((latency.as_micros() + 500) / 1_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_fresh_minute_is_empty() {
        let start = Instant::now();
        assert_eq!(Minute::new(start).read(start), Figures::default());
    }

    #[test]
    fn the_mean_is_over_successes_only() {
        let start = Instant::now();
        let minute = Minute::new(start);
        minute.observe_request(Some(ms(400)), start);
        minute.observe_request(Some(ms(500)), start + ms(900));
        minute.observe_request(None, start + ms(1_000));
        minute.observe_error(start + ms(1_000));
        assert_eq!(
            minute.read(start + ms(2_000)),
            Figures { requests: 3, errors: 1, average_latency: ms(450) }
        );
    }

    #[test]
    fn a_second_is_in_the_window_for_sixty_seconds_and_not_one_more() {
        let start = Instant::now();
        let minute = Minute::new(start);
        minute.observe_request(None, start);
        assert_eq!(minute.read(start + ms(59_999)).requests, 1);
        assert_eq!(minute.read(start + ms(60_000)).requests, 0);
    }

    #[test]
    fn a_bucket_is_reused_after_a_year_of_silence() {
        let start = Instant::now();
        let minute = Minute::new(start);
        minute.observe_request(None, start);
        let later = start + Duration::from_secs(365 * 86_400);
        minute.observe_request(None, later);
        assert_eq!(minute.read(later).requests, 1);
    }

    #[test]
    fn what_comes_a_minute_late_does_not_overwrite_the_present() {
        let start = Instant::now();
        let minute = Minute::new(start);
        minute.observe_error(start + ms(60_000));
        minute.observe_error(start);
        assert_eq!(minute.read(start + ms(60_000)).errors, 1);
    }

    #[test]
    fn counts_saturate_rather_than_spill_into_the_stamp() {
        let start = Instant::now();
        let minute = Minute::new(start);
        minute.observe_request(Some(Duration::MAX), start);
        minute.observe_request(Some(Duration::MAX), start);
        let figures = minute.read(start);
        assert_eq!(figures.requests, 2);
        assert_eq!(figures.average_latency, ms(u64::from(u32::MAX) / 2));
    }

    #[test]
    fn no_observation_of_many_threads_is_lost() {
        const EACH: u64 = 10_000;
        let start = Instant::now();
        let minute = Minute::new(start);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // All threads cross all bucket borders, so that recycling races with adding.
                    for index in 0..EACH {
                        let now = start + Duration::from_secs(120) + ms(index);
                        minute.observe_request(Some(ms(10)), now);
                    }
                });
            }
        });
        let figures = minute.read(start + Duration::from_secs(130));
        assert_eq!(figures, Figures { requests: 4 * EACH, errors: 0, average_latency: ms(10) });
    }

    #[derive(Clone, Copy, Debug)]
    enum Observed {
        Success(u64),
        Failure,
        Error,
    }

    fn observed() -> impl Strategy<Value = Observed> {
        prop_oneof![
            (0u64..100_000).prop_map(Observed::Success),
            Just(Observed::Failure),
            Just(Observed::Error)
        ]
    }

    proptest! {
        /// Against the obvious way: keep everything, and filter when asked.
        #[test]
        fn it_agrees_with_a_list_of_everything(
            steps in prop::collection::vec((0u64..20_000, observed()), 1..200),
            rest in 0u64..70_000,
        ) {
            let start = Instant::now();
            let minute = Minute::new(start);
            let mut list = Vec::new();
            let mut at_ms = 0;
            for (wait, what) in steps {
                at_ms += wait;
                let now = start + ms(at_ms);
                match what {
                    Observed::Success(latency) => minute.observe_request(Some(ms(latency)), now),
                    Observed::Failure => minute.observe_request(None, now),
                    Observed::Error => minute.observe_error(now),
                }
                list.push((at_ms / 1_000, what));
            }
            let end_ms = at_ms + rest;
            let recent: Vec<_> =
                list.iter().filter(|(at, _)| at + SECONDS > end_ms / 1_000).map(|(_, what)| *what).collect();
            let latencies: Vec<u64> = recent
                .iter()
                .filter_map(|what| if let Observed::Success(latency) = what { Some(*latency) } else { None })
                .collect();
            let errors = recent.iter().filter(|what| matches!(what, Observed::Error)).count() as u64;
            let mean = latencies.iter().sum::<u64>().checked_div(latencies.len() as u64).unwrap_or(0);
            prop_assert_eq!(
                minute.read(start + ms(end_ms)),
                Figures { requests: recent.len() as u64 - errors, errors, average_latency: ms(mean) }
            );
        }
    }
}
