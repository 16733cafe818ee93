//! The rate limit of a simulated provider: so many requests in each minute, counted from the first.
//!
//! Never reads the clock: `now` is an argument.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// One window of a provider's limit.
#[derive(Debug)]
pub(super) struct RateLimit {
    limit: u32,
    used: u32,
    /// When the window in use began; none before the first request.
    began: Option<Instant>,
}

/// Where a request found the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Whether the request may pass.
    pub(super) granted: bool,
    /// Requests in each window.
    pub(super) limit: u32,
    /// Requests left in this one.
    pub(super) remaining: u32,
    /// Until the next window.
    pub(super) resets_in: Duration,
}

impl Allowance {
    /// [`Allowance::resets_in`] in whole seconds, rounded up, as headers have it.
    pub(super) fn resets_in_seconds(&self) -> u64 {
        self.resets_in.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
    }
}

impl RateLimit {
    pub(super) fn per_minute(limit: u32) -> RateLimit {
        RateLimit { limit, used: 0, began: None }
    }

    /// Counts one request, unless the limit is reached.
    pub(super) fn take(&mut self, now: Instant) -> Allowance {
        let began = match self.began {
            Some(began) if now.duration_since(began) < WINDOW => began,
            _ => {
                self.used = 0;
                *self.began.insert(now)
            }
        };
        let granted = self.used < self.limit;
        self.used += u32::from(granted);
        let resets_in = WINDOW - now.duration_since(began);
        Allowance { granted, limit: self.limit, remaining: self.limit - self.used, resets_in }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_until_the_minute_is_over() {
        let (mut limit, start) = (RateLimit::per_minute(2), Instant::now());
        let take = |limit: &mut RateLimit, seconds| limit.take(start + Duration::from_secs(seconds));

        assert_eq!((take(&mut limit, 0).granted, take(&mut limit, 10).granted), (true, true));
        let refused = take(&mut limit, 20);
        assert_eq!((refused.granted, refused.remaining, refused.resets_in_seconds()), (false, 0, 40));
        assert!(!take(&mut limit, 59).granted);
        let next = take(&mut limit, 60);
        assert_eq!((next.granted, next.remaining, next.resets_in_seconds()), (true, 1, 60));
    }
}
