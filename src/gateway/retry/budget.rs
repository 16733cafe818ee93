//! How much extra load further attempts may put on one provider: a token bucket that its own requests fill.
//!
//! Tokens come at `per_second`, and each request brings `ratio` of one, evenly over the `window` that follows the
//! second it came in. So an outage can't multiply load: at its worst a provider gets `ratio` more than it was
//! asked, and `per_second`. At most `burst` tokens are saved up.
//!
//! The bucket is one atomic word: its tokens when it was last spent from, and when that was. What has come since
//! is worked out when it is spent from again; a refusal writes nothing, so that no fraction is ever lost.
//! Requests of longer ago than a minute less the window are forgotten by then.
//!
//! Budget: a request is one compare-and-swap; a further attempt 60 loads and one more. Settings are arguments:
//! the bucket outlives a reload.

use crate::gateway::config::RetryBudget;
use crate::stats::{WINDOW_SECONDS, Window};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many bits of the word are tokens, in thousandths: 16,777 whole ones. The rest, milliseconds, are 34 years.
const TOKEN_BITS: u32 = 24;
/// Above what any setting lets a bucket hold.
const FULL: u64 = (1 << TOKEN_BITS) - 1;
/// A whole token.
const TOKEN: u64 = 1_000;

/// One provider's budget for attempts that are not a request's first.
#[derive(Debug)]
pub struct Budget {
    requests: Window,
    bucket: AtomicU64,
}

impl Budget {
    /// A full bucket.
    pub fn new(start: Instant) -> Budget {
        Budget { requests: Window::new(start), bucket: AtomicU64::new(pack(FULL, 0)) }
    }

    /// A request made its first attempt here.
    pub fn requested(&self, now: Instant) {
        self.requests.add(now);
    }

    /// Takes a token for a further attempt, if there is one.
    pub fn try_spend(&self, settings: &RetryBudget, now: Instant) -> bool {
        let now_ms = millis(self.requests.since_start(now));
        let spend = |word| {
            let (tokens, since) = unpack(word);
            let earned = self.earned(settings, since, now, now_ms);
            let left =
                tokens.saturating_add(earned).min(u64::from(settings.burst) * TOKEN).checked_sub(TOKEN)?;
            // Another thread may have spent at a later `now`.
            Some(pack(left, now_ms.max(since)))
        };
        // Relaxed: the word is complete in itself, nothing else is published through it.
        self.bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// What has come since that moment, in thousandths.
    fn earned(&self, settings: &RetryBudget, since: u64, now: Instant, now_ms: u64) -> u64 {
        let steady = u64::from(settings.per_second).saturating_mul(now_ms.saturating_sub(since));
        let window = millis(settings.window.get()).max(1);
        let remembered = (WINDOW_SECONDS * 1_000).saturating_sub(window);
        let from = since.max(now_ms.saturating_sub(remembered));
        // Each request is worth that many thousandths for each millisecond of the window that has passed.
        let request_ms: u128 = self
            .requests
            .ends(now)
            .map(|(end, count)| {
                let end = millis(end);
                let earning = now_ms.min(end + window).saturating_sub(from.max(end));
                u128::from(count) * u128::from(earning)
            })
            .sum();
        let ratio = (settings.ratio.get() * TOKEN as f64).round() as u128;
        let by_requests = request_ms * ratio / u128::from(window);
        steady.saturating_add(u64::try_from(by_requests).unwrap_or(u64::MAX))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const fn unpack(word: u64) -> (u64, u64) {
    (word & FULL, word >> TOKEN_BITS)
}

fn pack(tokens: u64, at: u64) -> u64 {
    at << TOKEN_BITS | tokens.min(FULL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Period, Ratio};
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU32;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A budget without the steady part.
    fn of_requests() -> RetryBudget {
        RetryBudget { per_second: 0, ..RetryBudget::default() }
    }

    fn spend_all(budget: &Budget, settings: &RetryBudget, now: Instant) -> u32 {
        (0..100_000).take_while(|_| budget.try_spend(settings, now)).count() as u32
    }

    #[test]
    fn the_burst_is_there_at_once_and_not_one_more() {
        let start = Instant::now();
        for (burst, expected) in [(10, 10), (1, 1), (0, 0), (10_000, 10_000)] {
            let settings = RetryBudget { burst, ..RetryBudget::default() };
            assert_eq!(spend_all(&Budget::new(start), &settings, start), expected, "burst {burst}");
        }
    }

    #[test]
    fn tokens_come_by_the_second_up_to_the_burst() {
        let (start, settings) = (Instant::now(), RetryBudget::default());
        let budget = Budget::new(start);
        spend_all(&budget, &settings, start);
        assert_eq!(spend_all(&budget, &settings, start + ms(99)), 0);
        assert_eq!(spend_all(&budget, &settings, start + ms(100)), 1);
        assert_eq!(spend_all(&budget, &settings, start + ms(600)), 5);
        assert_eq!(spend_all(&budget, &settings, start + ms(86_400_000)), 10);
    }

    #[test]
    fn a_fifth_of_the_requests_comes_over_the_window_after_them() {
        let (start, settings) = (Instant::now(), of_requests());
        let budget = Budget::new(start);
        spend_all(&budget, &settings, start);
        for _ in 0..50 {
            budget.requested(start + ms(500));
        }
        assert_eq!(spend_all(&budget, &settings, start + ms(1_000)), 0);
        assert_eq!(spend_all(&budget, &settings, start + ms(6_000)), 5);
        assert_eq!(spend_all(&budget, &settings, start + ms(11_000)), 5);
        assert_eq!(spend_all(&budget, &settings, start + ms(50_000)), 0);
    }

    #[test]
    fn asking_often_loses_no_fraction() {
        let (start, settings) = (Instant::now(), of_requests());
        let budget = Budget::new(start);
        spend_all(&budget, &settings, start);
        for _ in 0..50 {
            budget.requested(start);
        }
        let spent: u32 = (0..11_001).map(|at| spend_all(&budget, &settings, start + ms(at))).sum();
        assert_eq!(spent, 10);
    }

    #[test]
    fn a_total_outage_under_load_gets_a_fifth_more_and_the_steady_part() {
        let (start, settings) = (Instant::now(), RetryBudget::default());
        let (budget, mut spent) = (Budget::new(start), 0);
        // A thousand requests per second for a minute, each of which would try again.
        for at in 0..60_000 {
            budget.requested(start + ms(at));
            spent += u32::from(budget.try_spend(&settings, start + ms(at)));
        }
        assert!((9_000..=12_000 + 600 + 10).contains(&spent), "{spent}");
    }

    #[test]
    fn many_threads_spend_no_token_twice() {
        let (start, settings, spent) = (Instant::now(), RetryBudget::default(), AtomicU32::new(0));
        let budget = Budget::new(start);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for at in 0..5_000 {
                        let won = budget.try_spend(&settings, start + ms(at));
                        spent.fetch_add(u32::from(won), Ordering::Relaxed);
                    }
                });
            }
        });
        // Threads run ahead of each other, and who is behind earns nothing; nobody earns twice.
        assert!(spent.load(Ordering::Relaxed) <= 10 + 50, "{spent:?}");
    }

    proptest! {
        /// Over any stretch: no more than was saved up, the steady part, and each request's part.
        #[test]
        fn no_stretch_gets_more_than_its_share(
            steps in prop::collection::vec((0_u64..2_000, 0_u32..20, 0_u32..20), 1..80),
            burst in 0_u32..30,
            per_second in 0_u32..20,
            ratio in 0_u16..=1_000,
            window in 1_u64..=30,
        ) {
            let start = Instant::now();
            let ratio = Ratio::from_thousandths(ratio);
            let settings = RetryBudget { ratio, window: Period::from_secs(window), per_second, burst };
            let (budget, mut at, mut log) = (Budget::new(start), 0, Vec::new());
            for (wait, requests, tries) in steps {
                at += wait;
                (0..requests).for_each(|_| budget.requested(start + ms(at)));
                let spent = (0..tries).filter(|_| budget.try_spend(&settings, start + ms(at))).count();
                log.push((at, requests, spent));
            }
            for (from, first) in log.iter().enumerate() {
                let mut spent = 0;
                for last in &log[from..] {
                    spent += last.2;
                    // Whose part may still have been on its way when the stretch began.
                    let counted = |entry: &&(u64, u32, usize)| entry.0 + 1_000 * (window + 1) >= first.0 && entry.0 <= last.0;
                    let requests: u32 = log.iter().filter(counted).map(|entry| entry.1).sum();
                    let bound = f64::from(burst)
                        + settings.ratio.get() * f64::from(requests)
                        + f64::from(per_second) * (last.0 - first.0) as f64 / 1_000.0;
                    prop_assert!(spent as f64 <= bound + 1e-6, "{spent} > {bound}");
                }
            }
        }
    }
}
