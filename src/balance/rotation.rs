//! Weighted rotation: the position that ticket number `t` falls on.
//!
//! A pure function of the ticket and the weights: nothing to lock, nothing to allocate, and the same for
//! every set of candidates without a word of state per set. Equal weights take turns strictly. Unequal
//! ones follow the multiples of the golden ratio: the fractions of `t · φ` fill the unit interval as
//! evenly as any sequence can, and the gaps between visits to any part of it take at most three lengths
//! (the three-distance theorem), so a heavy candidate is visited often and never in one long run.
//!
//! Not nginx's smooth weighted round robin: it keeps a current weight per candidate *and set*, updated
//! under a lock at every choice, and with cooldowns, models and retries there are many sets. Its order is
//! a little smoother for small weights; its lock would be on every request's path.

/// 2^64 divided by the golden ratio, rounded to odd: multiplying by it steps by the golden ratio in
/// fractions of 2^64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The position in `weights` that the ticket falls on; `None` only if there are none.
///
/// A weight of 0 is never chosen, unless all are 0; then all are equal.
pub fn rotate<W>(ticket: u64, weights: W) -> Option<usize>
where
    W: Iterator<Item = u32> + Clone,
{
    let used = || weights.clone().enumerate().filter(|(_, weight)| *weight > 0);
    let (mut count, mut total, mut least, mut most) = (0_u64, 0_u64, u32::MAX, 0);
    for (_, weight) in used() {
        count += 1;
        total += u64::from(weight);
        least = least.min(weight);
        most = most.max(weight);
    }
    if count == 0 {
        let all = u64::try_from(weights.count()).ok()?;
        return usize::try_from(ticket.checked_rem(all)?).ok();
    }
    if least == most {
        return used().nth(usize::try_from(ticket % count).ok()?).map(|(position, _)| position);
    }
    let point = scale(ticket.wrapping_mul(GOLDEN), total);
    let mut reached = 0;
    used()
        .find(|(_, weight)| {
            reached += u64::from(*weight);
            point < reached
        })
        .map(|(position, _)| position)
}

/// A fraction of 2^64 as a point below `total`.
fn scale(fraction: u64, total: u64) -> u64 {
    let product = u128::from(fraction) * u128::from(total);
    u64::try_from(product >> 64).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICKETS: u64 = 10_000;

    fn order(tickets: u64, weights: &[u32]) -> Vec<usize> {
        (0..tickets).filter_map(|ticket| rotate(ticket, weights.iter().copied())).collect()
    }

    fn longest_absence(order: &[usize], position: usize) -> usize {
        let visits = order.iter().enumerate().filter(|(_, p)| **p == position).map(|(at, _)| at);
        let mut last = 0;
        let mut longest = 0;
        for at in visits.chain([order.len()]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(order(7, &[5, 5, 5]), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn one_alone_is_always_chosen_and_none_never() {
        assert_eq!(order(3, &[7]), [0, 0, 0]);
        assert_eq!(order(3, &[0]), [0, 0, 0]);
        assert_eq!(order(3, &[]), [0_usize; 0]);
    }

    #[test]
    fn weight_zero_is_out_unless_all_are_zero() {
        assert_eq!(order(4, &[0, 1, 0, 1]), [1, 3, 1, 3]);
        assert!(!order(TICKETS, &[3, 0, 1]).contains(&1));
        assert_eq!(order(4, &[0, 0]), [0, 1, 0, 1]);
    }

    #[test]
    fn three_to_one_is_spread_and_not_bunched() {
        let order = order(TICKETS, &[3, 1]);
        assert!(longest_absence(&order, 0) <= 2, "the heavy one is never away for long");
        assert!(longest_absence(&order, 1) <= 5, "the light one neither");
    }

    #[test]
    fn gaps_between_visits_take_at_most_three_lengths() {
        let order = order(TICKETS, &[5, 2, 1]);
        for position in 0..3 {
            let visits: Vec<_> =
                order.iter().enumerate().filter(|(_, p)| **p == position).map(|(at, _)| at).collect();
            let gaps: std::collections::BTreeSet<_> = visits.windows(2).map(|w| w[1] - w[0]).collect();
            assert!(gaps.len() <= 3, "position {position}: {gaps:?}");
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let order = order(1_000, &[u32::MAX, u32::MAX, 1]);
        assert!(order.iter().filter(|p| **p == 0).count() > 480);
    }

    proptest! {
        #[test]
        fn shares_are_within_two_percent_of_the_weights(
            weights in prop::collection::vec(0_u32..=100, 1..12),
            first in any::<u32>(),
        ) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut visits = vec![0_u32; weights.len()];
            for ticket in 0..TICKETS {
                let at = rotate(u64::from(first) + ticket, weights.iter().copied()).unwrap();
                visits[at] += 1;
            }
            for (weight, visits) in weights.iter().zip(visits) {
                let ideal = f64::from(*weight) / f64::from(total);
                let share = f64::from(visits) / TICKETS as f64;
                prop_assert!((share - ideal).abs() < 0.02, "{weight} of {total}: {share}");
                prop_assert!(*weight > 0 || visits == 0);
            }
        }

        #[test]
        fn nobody_waits_for_much_more_than_its_turn(weights in prop::collection::vec(1_u32..=20, 1..8)) {
            let total: u32 = weights.iter().sum();
            let order = order(TICKETS, &weights);
            for (position, weight) in weights.iter().enumerate() {
                // An interval of length s is met again within (1 + φ)/s steps or so.
                let bound = f64::from(total) / f64::from(*weight) * 2.7 + 2.0;
                prop_assert!((longest_absence(&order, position) as f64) < bound);
            }
        }

        #[test]
        fn the_choice_is_always_one_of_the_candidates(
            ticket in any::<u64>(),
            weights in prop::collection::vec(any::<u32>(), 0..8),
        ) {
            let at = rotate(ticket, weights.iter().copied());
            prop_assert_eq!(at.is_none(), weights.is_empty());
            prop_assert!(at.is_none_or(|at| at < weights.len()));
        }
    }
}
