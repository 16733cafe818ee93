//! A count per second over the last minute.
//!
//! A cell is one atomic word that holds the second it belongs to beside its count, so that adding to it and
//! recycling it are the same compare-and-swap: no lock, and no moment in which another thread could add to
//! a cell that is being cleared. The alternative (one stamp per bucket, counters zeroed after it is
//! swapped) loses what is added in between.
//!
//! Budget: an addition is one compare-and-swap; a read is one load per second of the minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many seconds are kept, the running one included.
pub const SECONDS: u64 = 60;

/// Counts by the second.
#[derive(Debug)]
pub struct Window {
    start: Instant,
    cells: [Cell; SECONDS as usize],
}

impl Window {
    /// An empty window. Seconds are counted from `start`; an earlier `now` counts as `start`.
    pub fn new(start: Instant) -> Window {
        Window { start, cells: [const { Cell::new() }; SECONDS as usize] }
    }

    /// Adds one.
    pub fn add(&self, now: Instant) {
        let second = second(self.start, now);
        self.cells[(second % SECONDS) as usize].add(1, second);
    }

    /// The sum over the seconds that the span before `now` touches, at most [`SECONDS`] of them.
    pub fn sum(&self, span: Duration, now: Instant) -> u64 {
        let first = second(self.start, now.checked_sub(span).unwrap_or(self.start));
        self.seconds(now).filter(|(second, _)| *second >= first).map(|(_, count)| count).sum()
    }

    /// Each second of the last minute in which there was something: when it ended, as the time since the
    /// window's start, and its count. In no order.
    pub fn ends(&self, now: Instant) -> impl Iterator<Item = (Duration, u64)> {
        self.seconds(now).map(|(second, count)| (Duration::from_secs(second), count))
    }

    /// The time since the window's start.
    pub fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    fn seconds(&self, now: Instant) -> impl Iterator<Item = (u64, u64)> {
        let now = second(self.start, now);
        self.cells.iter().map(move |cell| cell.dated(now)).filter(|(_, count)| *count > 0)
    }
}

/// Seconds since `start`, from 1, so that the zero of a fresh cell is a second long past.
pub(super) fn second(start: Instant, now: Instant) -> u64 {
    1 + now.saturating_duration_since(start).as_secs()
}

/// A count and the second it belongs to: the second above (136 years of them), the count below.
#[derive(Debug)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) const fn new() -> Cell {
        Cell(AtomicU64::new(0))
    }

    pub(super) fn add(&self, count: u64, second: u64) {
        // Relaxed: each word is complete in itself, nothing else is published through it.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (theirs, held) = unpack(word);
            match theirs.cmp(&second) {
                std::cmp::Ordering::Equal => Some(pack(second, held.saturating_add(count))),
                std::cmp::Ordering::Less => Some(pack(second, count)),
                std::cmp::Ordering::Greater => None,
            }
        });
    }

    /// The count, if it is less than a minute old. A cell ahead of `second` belongs to a thread that
    /// took its `now` a moment later: it counts.
    pub(super) fn read(&self, second: u64) -> u64 {
        self.dated(second).1
    }

    /// Makes it as good as fresh.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The same with the second that it belongs to.
    fn dated(&self, second: u64) -> (u64, u64) {
        let (theirs, held) = unpack(self.0.load(Ordering::Relaxed));
        (theirs, if theirs + SECONDS > second { held } else { 0 })
    }
}

const fn unpack(word: u64) -> (u64, u64) {
    (word >> 32, word & u32::MAX as u64)
}

fn pack(second: u64, count: u64) -> u64 {
    second << 32 | count.min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_is_counted_while_the_span_touches_it() {
        let start = Instant::now();
        let window = Window::new(start);
        window.add(start + ms(500));
        assert_eq!(window.sum(ms(10_000), start + ms(10_999)), 1);
        assert_eq!(window.sum(ms(10_000), start + ms(11_000)), 0);
        assert_eq!(window.ends(start + ms(59_999)).collect::<Vec<_>>(), [(ms(1_000), 1)]);
        assert_eq!(window.ends(start + ms(60_000)).count(), 0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_everything(waits in prop::collection::vec(0_u64..3_000, 1..100), span in 0_u64..59) {
            let start = Instant::now();
            let (window, mut list, mut at) = (Window::new(start), Vec::new(), 0);
            for wait in waits {
                at += wait;
                window.add(start + ms(at));
                list.push(at / 1_000);
            }
            let expected = list.iter().filter(|second| **second + span >= at / 1_000).count() as u64;
            prop_assert_eq!(window.sum(Duration::from_secs(span), start + ms(at)), expected);
        }
    }
}
