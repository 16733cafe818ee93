//! How many of the attempts of the last moments failed.

use super::window::Window;
use std::time::{Duration, Instant};

/// The attempts at somebody, and how many failed by that one's fault.
#[derive(Debug)]
pub struct Outcomes {
    attempts: Window,
    errors: Window,
}

impl Outcomes {
    /// Over how long a ratio is taken: long enough to be steady, short enough to see an outage begin and end.
    pub const SPAN: Duration = Duration::from_secs(10);

    /// None yet.
    pub fn new(start: Instant) -> Outcomes {
        Outcomes { attempts: Window::new(start), errors: Window::new(start) }
    }

    /// An attempt ended.
    pub fn observe(&self, is_error: bool, now: Instant) {
        self.attempts.add(now);
        if is_error {
            self.errors.add(now);
        }
    }

    /// The share of errors among the attempts of the last [`Outcomes::SPAN`], from 0 to 1; `None` if there were
    /// no attempts. A read beside an observation may lack that one.
    pub fn error_ratio(&self, now: Instant) -> Option<f64> {
        let errors = self.errors.sum(Outcomes::SPAN, now);
        let attempts = self.attempts.sum(Outcomes::SPAN, now).max(errors);
        (attempts > 0).then(|| errors as f64 / attempts as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_the_last_ten_seconds() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let outcomes = Outcomes::new(start);
        assert_eq!(outcomes.error_ratio(start), None);
        outcomes.observe(true, start);
        assert_eq!(outcomes.error_ratio(start), Some(1.0));
        for _ in 0..3 {
            outcomes.observe(false, at(5_000));
        }
        assert_eq!(outcomes.error_ratio(at(10_999)), Some(0.25));
        assert_eq!(outcomes.error_ratio(at(11_000)), Some(0.0));
        assert_eq!(outcomes.error_ratio(at(16_000)), None);
    }
}
