//! Numbers the choices, separately for each set of candidates.
//!
//! A rotation is even only if the tickets that reach one set of candidates are consecutive. With one
//! counter for all, two models asked in turn draw the even and the odd tickets, and the providers that
//! both can use get all of one and none of the other; the same happens to the rest of a set when one of
//! it is down. So each set counts for itself, in a fixed array whose slot is a hash of the set: no lock,
//! no allocation, no growth, however many sets a day brings.
//!
//! Two sets that meet in one slot share a counter: their order is then less regular, never wrong.

use super::Candidate;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters for sets of candidates; see the module.
pub struct Tickets {
    counters: Box<[AtomicU64]>,
}

impl Tickets {
    /// Slots for the sets of providers: 8 KiB, so that some dozens of sets in use at once rarely meet.
    pub const PROVIDER_SETS: usize = 1_024;
    /// Slots for the sets of one provider's credentials.
    pub const CREDENTIAL_SETS: usize = 64;

    /// That many counters, at least one, all at zero.
    pub fn new(slots: usize) -> Tickets {
        Tickets { counters: (0..slots.max(1)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The next number for this set. Weights are no part of the set's identity, order is.
    pub fn next(&self, candidates: &[Candidate]) -> u64 {
        self.counters[self.slot(candidates)].fetch_add(1, Relaxed)
    }

    /// FNV-1a over the providers' indexes; its low bits are spread by one more multiplication.
    fn slot(&self, candidates: &[Candidate]) -> usize {
        let hash = candidates.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, candidate| {
            (hash ^ u64::from(candidate.provider)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let spread = (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        spread % self.counters.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Facts, RoundRobin, Strategy};

    /// Three providers; one model is served by the first two, another by all, asked in turn.
    const BOTH: &[u32] = &[0, 1];
    const ALL: &[u32] = &[0, 1, 2];

    fn set(providers: &[u32]) -> Vec<Candidate> {
        providers.iter().map(|provider| Candidate { provider: *provider, weight: 1 }).collect()
    }

    /// How often each provider is chosen when these sets ask in turn.
    fn served(rounds: usize, asking: &[Vec<Candidate>], ticket: impl Fn(&[Candidate]) -> u64) -> Vec<usize> {
        let mut served = vec![0; 4];
        for _ in 0..rounds {
            for candidates in asking {
                let facts = Facts { ticket: ticket(candidates), session: None };
                if let Some(provider) = RoundRobin.pick(candidates, &facts) {
                    served[provider as usize] += 1;
                }
            }
        }
        served
    }

    #[test]
    fn overlapping_sets_each_rotate_evenly() {
        let tickets = Tickets::new(Tickets::PROVIDER_SETS);
        let served = served(600, &[set(BOTH), set(ALL)], |candidates| tickets.next(candidates));
        assert_eq!(served, [300 + 200, 300 + 200, 200, 0]);
    }

    #[test]
    fn the_share_of_one_that_is_down_spreads_evenly_over_the_rest() {
        let tickets = Tickets::new(Tickets::PROVIDER_SETS);
        let without_the_second = [set(&[0, 2, 3]), set(&[0])];
        let served = served(600, &without_the_second, |candidates| tickets.next(candidates));
        assert_eq!(served, [200 + 600, 0, 200, 200]);
    }

    #[test]
    fn one_counter_for_all_would_starve_a_provider() {
        let shared = Tickets::new(1);
        let served = served(600, &[set(BOTH), set(&[2, 3])], |candidates| shared.next(candidates));
        assert_eq!(served, [600, 0, 0, 600], "the failure that a counter per set prevents");
    }

    #[test]
    fn counters_have_a_fixed_bound_and_at_least_one() {
        assert_eq!(Tickets::new(0).counters.len(), 1);
        assert_eq!(Tickets::new(Tickets::PROVIDER_SETS).counters.len(), 1_024);
    }

    #[test]
    fn the_sets_of_ten_providers_spread_over_the_slots() {
        let tickets = Tickets::new(Tickets::PROVIDER_SETS);
        let mut used = vec![0; Tickets::PROVIDER_SETS];
        for mask in 1_u32..1_024 {
            let providers: Vec<u32> = (0..10).filter(|bit| mask & (1 << bit) != 0).collect();
            used[tickets.slot(&set(&providers))] += 1;
        }
        let fullest = used.iter().max().copied().unwrap_or(0);
        assert!(fullest <= 8, "1,023 sets in 1,024 slots, {fullest} in one");
    }
}
