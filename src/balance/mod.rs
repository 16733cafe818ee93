//! Which of the eligible candidates serves a request.
//!
//! A strategy is a pure function of the candidates and the request's facts. This module must not know
//! providers, health, Pingora or time: who is eligible was decided before, and the tier as well
//! ([`best_tier`]). A new strategy is one file here and one row in [`STRATEGIES`].
//!
//! Budget on the request path: one atomic add for the ticket, no lock, no allocation.

pub mod config;
mod rotation;
mod round_robin;
mod tickets;

pub use rotation::rotate;
pub use round_robin::RoundRobin;
pub use tickets::Tickets;

use std::sync::Arc;

/// One provider that may serve the request, with all that a strategy may know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's index in the registry.
    pub provider: u32,
    /// Its share of the tier's requests, relative to the others'.
    pub weight: u32,
}

/// What a strategy may know of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The number of this choice among those from the same candidates; see [`Tickets`].
    pub ticket: u64,
    /// A hash of the session that the request belongs to, if it names one.
    pub session: Option<u64>,
}

/// A way of choosing.
pub trait Strategy: Send + Sync {
    /// The name in configuration and status.
    fn name(&self) -> &'static str;

    /// The provider to use: one of the candidates'; `None` only if there are none.
    fn pick(&self, candidates: &[Candidate], facts: &Facts) -> Option<u32>;
}

/// A row of [`STRATEGIES`].
pub struct StrategyRow {
    /// The name in configuration and status.
    pub name: &'static str,
    /// What it is good for, in one line.
    pub about: &'static str,
    /// Makes one.
    pub make: fn() -> Arc<dyn Strategy>,
}

/// Every strategy. Configuration, its error texts and the status view read this list.
pub const STRATEGIES: &[StrategyRow] =
    &[StrategyRow { name: RoundRobin::NAME, about: RoundRobin::ABOUT, make: || Arc::new(RoundRobin) }];

/// The strategy of that name, if there is one.
pub fn strategy(name: &str) -> Option<Arc<dyn Strategy>> {
    STRATEGIES.iter().find(|row| row.name == name).map(|row| (row.make)())
}

/// The candidates of the best tier: those that share the lowest priority.
///
/// `candidates` are the eligible ones with their priorities, in any order, which is kept. It is walked
/// twice, so that nothing has to be collected in between.
pub fn best_tier<P, I>(candidates: I) -> impl Iterator<Item = Candidate>
where
    P: Ord + Copy,
    I: Iterator<Item = (P, Candidate)> + Clone,
{
    let best = candidates.clone().map(|(priority, _)| priority).min();
    candidates.filter(move |(priority, _)| Some(*priority) == best).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(provider: u32) -> Candidate {
        Candidate { provider, weight: 1 }
    }

    #[test]
    fn a_strategy_is_found_under_its_own_name() {
        for row in STRATEGIES {
            assert_eq!(strategy(row.name).map(|strategy| strategy.name()), Some(row.name));
        }
        assert!(strategy("fastest").is_none());
    }

    #[test]
    fn the_best_tier_is_the_lowest_number_that_is_there() {
        let eligible = [(100, candidate(0)), (1, candidate(1)), (100, candidate(2)), (1, candidate(3))];
        let tier: Vec<_> = best_tier(eligible.into_iter()).map(|c| c.provider).collect();
        assert_eq!(tier, [1, 3]);

        let first_tier_is_gone = [(100, candidate(0)), (100, candidate(2))];
        let tier: Vec<_> = best_tier(first_tier_is_gone.into_iter()).map(|c| c.provider).collect();
        assert_eq!(tier, [0, 2]);
    }

    #[test]
    fn no_candidates_make_no_tier() {
        assert_eq!(best_tier(std::iter::empty::<(u32, Candidate)>()).count(), 0);
    }
}
