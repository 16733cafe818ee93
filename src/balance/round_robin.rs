//! `round_robin`: each candidate in turn, as often as its weight says.

use super::{Candidate, Facts, Strategy, rotate};

/// Smooth weighted rotation; the default.
pub struct RoundRobin;

impl RoundRobin {
    /// The name in configuration and status.
    pub const NAME: &'static str = "round_robin";
    /// What it is good for.
    pub const ABOUT: &'static str = "rotates evenly through the providers, by weight";
}

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn pick(&self, candidates: &[Candidate], facts: &Facts) -> Option<u32> {
        let at = rotate(facts.ticket, candidates.iter().map(|candidate| candidate.weight))?;
        candidates.get(at).map(|candidate| candidate.provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_providers_take_turns() {
        let candidates = [4, 7, 9].map(|provider| Candidate { provider, weight: 100 });
        let served: Vec<_> = (0..6)
            .filter_map(|ticket| RoundRobin.pick(&candidates, &Facts { ticket, session: None }))
            .collect();
        assert_eq!(served, [4, 7, 9, 4, 7, 9]);
    }
}
