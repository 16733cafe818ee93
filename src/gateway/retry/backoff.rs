//! The wait before another attempt at the same provider: exponential, with full jitter.
//!
//! Full jitter, any wait from none to the bound, spreads those who failed together better than a bound with a
//! little jitter, and costs the least work in all. Source: Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog.

use crate::gateway::config::Backoff;
use std::time::Duration;

/// The wait before the attempt that follows `failed` ones at this provider. `random` is from 0 to 1.
pub fn wait(settings: &Backoff, failed: u32, random: f64) -> Duration {
    bound(settings, failed).mul_f64(random.clamp(0.0, 1.0))
}

/// The longest such wait: `initial` after the first failure, doubled by each further one, up to `max`.
pub fn bound(settings: &Backoff, failed: u32) -> Duration {
    let doublings = failed.saturating_sub(1);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    settings.initial.get().saturating_mul(factor).min(settings.max.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Period;
    use proptest::prelude::*;

    #[test]
    fn the_bound_doubles_up_to_its_maximum() {
        let bounds: Vec<u128> = [0, 1, 2, 3, 4, 5, 6, 7, 32, 33, u32::MAX]
            .map(|failed| bound(&Backoff::default(), failed).as_millis())
            .into();
        assert_eq!(bounds, [100, 100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000]);
    }

    #[test]
    fn the_longest_settings_do_not_overflow() {
        let longest = Backoff { initial: Period::from_days(36_500), max: Period::from_days(36_500) };
        assert_eq!(wait(&longest, u32::MAX, 1.0), longest.max.get());
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bound(failed: u32, random in 0.0..=1.0_f64) {
            let settings = Backoff::default();
            prop_assert!(wait(&settings, failed, random) <= bound(&settings, failed));
        }
    }
}
