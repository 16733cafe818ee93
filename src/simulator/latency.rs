//! How long a simulated provider thinks before its header.

use crate::domain::Period;
use fastrand::Rng;
use std::str::FromStr;
use std::time::Duration;

/// The standard normal deviate that 99% of all draws lie under.
const Z99: f64 = 2.326_347_874;

/// No draw is longer than this many times the p99, so that a long tail can't hang a test.
const TAIL_LIMIT: f64 = 10.0;

/// A distribution of waiting times, written `50ms`, `50ms..200ms` or `p50=300ms,p99=2s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Any time from the first to the second, each as likely as the other.
    Uniform(Duration, Duration),
    /// Log-normal, as answers of real providers are: given by its median and its 99th percentile.
    LogNormal {
        /// Half of all waits are shorter.
        p50: Duration,
        /// One wait in a hundred is longer.
        p99: Duration,
    },
}

/// Why a text is no [`Latency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// Not one of the three forms.
    #[error("give a time such as 50ms, a range such as 50ms..200ms, or p50=300ms,p99=2s")]
    Form,
    /// The second time is shorter than the first.
    #[error("the second time is shorter than the first")]
    Order,
    /// A median of zero has no logarithm.
    #[error("p50 must be more than 0")]
    ZeroMedian,
}

impl Latency {
    /// No wait at all.
    pub const NONE: Latency = Latency::Fixed(Duration::ZERO);

    /// Draws one waiting time.
    pub fn sample(self, random: &mut Rng) -> Duration {
        match self {
            Latency::Fixed(wait) => wait,
            Latency::Uniform(low, high) => low + (high - low).mul_f64(random.f64()),
            Latency::LogNormal { p50, p99 } => {
                let sigma = (p99.as_secs_f64() / p50.as_secs_f64()).ln() / Z99;
                let wait = p50.as_secs_f64() * (sigma * normal(random)).exp();
                Duration::from_secs_f64(wait.min(p99.as_secs_f64() * TAIL_LIMIT))
            }
        }
    }
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::NONE
    }
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Latency, LatencyError> {
        let time = |text: &str| Period::parse(text.trim()).map(Period::get).ok_or(LatencyError::Form);
        let ordered = |low: Duration, high: Duration| {
            if high < low { Err(LatencyError::Order) } else { Ok((low, high)) }
        };
        if let Some(rest) = text.strip_prefix("p50=") {
            let (p50, p99) = rest.split_once(",p99=").ok_or(LatencyError::Form)?;
            let (p50, p99) = ordered(time(p50)?, time(p99)?)?;
            if p50.is_zero() {
                return Err(LatencyError::ZeroMedian);
            }
            return Ok(Latency::LogNormal { p50, p99 });
        }
        match text.split_once("..") {
            Some((low, high)) => {
                ordered(time(low)?, time(high)?).map(|(low, high)| Latency::Uniform(low, high))
            }
            None => time(text).map(Latency::Fixed),
        }
    }
}

/// A draw from the standard normal distribution (Box and Muller's transform).
fn normal(random: &mut Rng) -> f64 {
    // 1 - f64() lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_three_forms_are_read() {
        assert_eq!("50ms".parse(), Ok(Latency::Fixed(ms(50))));
        assert_eq!("50ms..1s".parse(), Ok(Latency::Uniform(ms(50), ms(1_000))));
        assert_eq!("p50=300ms,p99=2s".parse(), Ok(Latency::LogNormal { p50: ms(300), p99: ms(2_000) }));
    }

    #[test]
    fn what_is_no_latency_is_refused() {
        for text in ["", "50", "fast", "50ms..", "p50=1s", "p99=1s", "p50=1s,p99=", "1s..2s..3s"] {
            assert_eq!(text.parse::<Latency>(), Err(LatencyError::Form), "{text}");
        }
        assert_eq!("2s..1s".parse::<Latency>(), Err(LatencyError::Order));
        assert_eq!("p50=2s,p99=1s".parse::<Latency>(), Err(LatencyError::Order));
        assert_eq!("p50=0s,p99=1s".parse::<Latency>(), Err(LatencyError::ZeroMedian));
    }

    #[test]
    fn uniform_draws_stay_in_the_range_and_fill_it() {
        let mut random = Rng::with_seed(1);
        let draws: Vec<_> =
            (0..1_000).map(|_| Latency::Uniform(ms(50), ms(150)).sample(&mut random)).collect();
        assert!(draws.iter().all(|wait| (ms(50)..=ms(150)).contains(wait)));
        assert!(draws.iter().any(|wait| *wait < ms(55)) && draws.iter().any(|wait| *wait > ms(145)));
    }

    #[test]
    fn log_normal_draws_have_the_given_percentiles() {
        let mut random = Rng::with_seed(1);
        let latency = Latency::LogNormal { p50: ms(300), p99: ms(2_000) };
        let mut draws: Vec<_> = (0..20_000).map(|_| latency.sample(&mut random)).collect();
        draws.sort_unstable();
        let (p50, p99) = (draws[10_000].as_secs_f64(), draws[19_800].as_secs_f64());
        assert!((0.29..0.31).contains(&p50), "{p50}");
        assert!((1.8..2.2).contains(&p99), "{p99}");
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| Latency::Uniform(ms(0), ms(1_000)).sample(&mut Rng::with_seed(seed));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
