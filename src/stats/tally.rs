//! Counts of several kinds over the last span of time, whatever its length.
//!
//! The span is cut into [`BUCKETS`] of equal length, so that what is older leaves in small steps. Budget: an addition is one
//! compare-and-swap and a sum one load per bucket, as in [`super::window`], whose cells these are.

use super::window::{Cell, SECONDS as BUCKETS};
use std::time::{Duration, Instant};

/// Counts of `KINDS` kinds.
#[derive(Debug)]
pub struct Tally<const KINDS: usize> {
    start: Instant,
    bucket: Duration,
    cells: [[Cell; BUCKETS as usize]; KINDS],
}

impl<const KINDS: usize> Tally<KINDS> {
    /// Nothing yet. Time is counted from `start`; an earlier `now` counts as `start`.
    pub fn new(span: Duration, start: Instant) -> Tally<KINDS> {
        // One bucket less than there are, since the running one has only begun: never less than the span is covered.
        let bucket = (span / (BUCKETS as u32 - 1)).max(Duration::from_millis(1));
        Tally { start, bucket, cells: [const { [const { Cell::new() }; BUCKETS as usize] }; KINDS] }
    }

    /// Adds one of a kind.
    pub fn add(&self, kind: usize, now: Instant) {
        let bucket = self.bucket(now);
        self.cells[kind][(bucket % BUCKETS) as usize].add(1, bucket);
    }

    /// How many of a kind the span that ends with `now` holds.
    pub fn sum(&self, kind: usize, now: Instant) -> u64 {
        let bucket = self.bucket(now);
        self.cells[kind].iter().map(|cell| cell.read(bucket)).sum()
    }

    /// Forgets all. What is added at the same moment may be forgotten, too.
    pub fn clear(&self) {
        self.cells.iter().flatten().for_each(Cell::clear);
    }

    /// The number of the running bucket, from 1: the zero of a fresh cell is long past.
    fn bucket(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_nanos() / self.bucket.as_nanos();
        1 + u64::try_from(passed).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_of_the_span_counts_and_one_bucket_past_it_does_not() {
        let start = Instant::now();
        let tally = Tally::<2>::new(Duration::from_secs(59), start);
        tally.add(1, start);
        assert_eq!(tally.sum(1, start + Duration::from_secs(59)), 1);
        assert_eq!(tally.sum(1, start + Duration::from_secs(60)), 0);
        assert_eq!(tally.sum(0, start), 0);
    }

    #[test]
    fn what_is_cleared_is_gone_and_counting_goes_on() {
        let start = Instant::now();
        let tally = Tally::<1>::new(Duration::from_secs(10), start);
        (0..9).for_each(|second| tally.add(0, start + Duration::from_secs(second)));
        tally.clear();
        tally.add(0, start + Duration::from_secs(9));
        assert_eq!(tally.sum(0, start + Duration::from_secs(9)), 1);
    }

    proptest! {
        /// All of the span, and at most one bucket more.
        #[test]
        fn it_holds_the_span_and_little_more(
            waits in prop::collection::vec(0_u64..5_000, 1..200),
            span in 1_u64..600_000,
        ) {
            let start = Instant::now();
            let (tally, mut list, mut at) = (Tally::<1>::new(Duration::from_millis(span), start), Vec::new(), 0);
            for wait in waits {
                at += wait;
                tally.add(0, start + Duration::from_millis(at));
                list.push(at);
            }
            let within = |span: u64| list.iter().filter(|when| *when + span >= at).count() as u64;
            let sum = tally.sum(0, start + Duration::from_millis(at));
            let longest = span + span / (BUCKETS - 1) + 60;
            prop_assert!(within(span) <= sum && sum <= within(longest), "{sum} of {span} ms");
        }
    }
}
