//! The models that a provider said it doesn't have: not asked for there again for a while.
//!
//! Bounded, since names come from clients. Lock-free: a list is replaced as a whole, and only when somebody was
//! told 404. Budget of a look: one load until then, a binary search from then on. Pure: `now` is an argument.

use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How many models of one provider are remembered; of more, those whose time is up first are forgotten.
pub const MAX_SKIPS: usize = 64;

/// The models that one provider is not asked for.
#[derive(Debug, Default)]
pub struct Skips {
    /// Sorted by model.
    list: ArcSwap<Vec<Skip>>,
    /// Whether there ever was one.
    any: AtomicBool,
}

#[derive(Clone, Debug)]
struct Skip {
    model: Arc<str>,
    until: Instant,
}

impl Skips {
    /// Skips a model, by the provider's name for it, until then.
    pub fn skip(&self, model: &Arc<str>, until: Instant, now: Instant) {
        self.list.rcu(|list| {
            let is_kept = |skip: &&Skip| skip.until > now && skip.model != *model;
            let mut kept: Vec<Skip> = list.iter().filter(is_kept).cloned().collect();
            if kept.len() >= MAX_SKIPS {
                let first = kept.iter().enumerate().min_by_key(|(_, skip)| skip.until).map(|(at, _)| at);
                first.map(|at| kept.remove(at));
            }
            let at = kept.partition_point(|skip| skip.model < *model);
            kept.insert(at, Skip { model: Arc::clone(model), until });
            kept
        });
        // Relaxed: the list itself publishes what is in it.
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether a model is skipped. The clock is asked only where any is.
    pub fn is_skipped(&self, model: &str, now: impl FnOnce() -> Instant) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let list = self.list.load();
        let found = list.binary_search_by(|skip| (*skip.model).cmp(model));
        found.is_ok_and(|at| list[at].until > now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(index: usize) -> Arc<str> {
        format!("model-{index}").into()
    }

    #[test]
    fn a_skipped_model_is_asked_for_again_when_its_time_is_up() {
        let now = Instant::now();
        let until = now + Duration::from_secs(600);
        let skips = Skips::default();
        assert!(!skips.is_skipped("model-1", || now));
        skips.skip(&name(1), until, now);
        assert!(skips.is_skipped("model-1", || until - Duration::from_nanos(1)));
        assert!(!skips.is_skipped("model-1", || until) && !skips.is_skipped("model-2", || now));
        skips.skip(&name(1), until + Duration::from_secs(1), now);
        assert!(skips.is_skipped("model-1", || until));
        assert_eq!(skips.list.load().len(), 1);
    }

    #[test]
    fn the_bound_is_kept_and_one_past_it_forgets_whose_time_is_up_first() {
        let now = Instant::now();
        let until = |index: usize| now + Duration::from_secs(100 + index as u64);
        let skips = Skips::default();
        // The second in order is the first to go.
        let order = std::iter::once(1).chain((0..=MAX_SKIPS).filter(|index| *index != 1));
        for (age, index) in order.enumerate() {
            skips.skip(&name(index), until(age), now);
        }
        let skipped: Vec<usize> =
            (0..=MAX_SKIPS).filter(|index| skips.is_skipped(&name(*index), || now)).collect();
        assert_eq!(skipped.len(), MAX_SKIPS);
        assert!(!skipped.contains(&1));
    }

    #[test]
    fn those_whose_time_is_up_make_room() {
        let now = Instant::now();
        let skips = Skips::default();
        for index in 0..MAX_SKIPS {
            skips.skip(&name(index), now + Duration::from_secs(1), now);
        }
        let later = now + Duration::from_secs(1);
        skips.skip(&name(999), later + Duration::from_secs(1), later);
        assert_eq!(skips.list.load().len(), 1);
    }

    #[test]
    fn skips_of_many_threads_are_all_kept() {
        let now = Instant::now();
        let (skips, until) = (Skips::default(), now + Duration::from_secs(1));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let skips = &skips;
                scope.spawn(move || {
                    (0..16).for_each(|index| skips.skip(&name(thread * 16 + index), until, now));
                });
            }
        });
        assert!((0..MAX_SKIPS).all(|index| skips.is_skipped(&name(index), || now)));
    }
}
