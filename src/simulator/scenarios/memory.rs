//! What faults remember: which requests came before, and since when a model is asked for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that are remembered; the oldest are forgotten first, and count as new then.
const MAX_REMEMBERED: usize = 10_000;

/// What the faults of one simulated provider remember.
#[derive(Default)]
pub(in crate::simulator) struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    requests: HashSet<u64>,
    order: VecDeque<u64>,
    /// When each scenario was first asked for: as many as there are rows at most.
    since: HashMap<&'static str, Instant>,
}

impl Memory {
    /// Whether a request of that path and body is asked of a scenario for the first time.
    pub(in crate::simulator) fn is_first(&self, scenario: &'static str, path: &str, body: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (scenario, path, body).hash(&mut hasher);
        let request = hasher.finish();
        let mut kept = self.lock();
        if !kept.requests.insert(request) {
            return false;
        }
        kept.order.push_back(request);
        if kept.order.len() > MAX_REMEMBERED
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.requests.remove(&oldest);
        }
        true
    }

    /// The time since a scenario was first asked for, which may be now.
    pub(in crate::simulator) fn since_first(&self, scenario: &'static str, now: Instant) -> Duration {
        now.saturating_duration_since(*self.lock().since.entry(scenario).or_insert(now))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_counts_for_itself() {
        let memory = Memory::default();
        for (scenario, path, body) in [("a", "/", "x"), ("b", "/", "x"), ("a", "/p", "x"), ("a", "/", "y")] {
            assert!(memory.is_first(scenario, path, body.as_bytes()), "{scenario} {path} {body}");
            assert!(!memory.is_first(scenario, path, body.as_bytes()), "{scenario} {path} {body}");
        }
    }

    #[test]
    fn the_oldest_request_is_forgotten_beyond_the_bound() {
        let memory = Memory::default();
        let is_first = |number: usize| memory.is_first("a", "/", &number.to_be_bytes());
        assert!((0..MAX_REMEMBERED).all(is_first));
        assert!(!is_first(0), "all are remembered");
        assert!(is_first(MAX_REMEMBERED), "one more");
        assert!(is_first(0), "the first is forgotten");
        assert!(!is_first(2));
    }

    #[test]
    fn time_runs_from_the_first_request() {
        let (memory, start) = (Memory::default(), Instant::now());
        for seconds in [0, 59, 60] {
            let passed = Duration::from_secs(seconds);
            assert_eq!(memory.since_first("a", start + passed), passed);
        }
    }
}
