//! The settings of cooldown: what trips it, for all; how long it lasts, per provider.

use crate::domain::{Period, Ratio};
use crate::settings::{OrOff, settings};

settings! {
    /// When a provider is left alone after errors.
    pub struct Cooldown {
        /// Whether errors lead to a cooldown; a manual one always works; default true.
        enabled: bool = true,
        /// The time over which errors are counted; default 1m.
        detection_window: Period = Period::from_mins(1),
        /// Errors within the window that lead to a cooldown; default 5.
        error_threshold: u32 = 5 => 1..,
        /// The share of attempts that must have failed as well; default 0.5.
        error_ratio: Ratio = Ratio::from_thousandths(500),
        /// The longest cooldown, however often it is doubled; default 1h.
        max_duration: Period = Period::from_hours(1),
        /// The time over which a recovered provider gets its full share back; default 30s, 0 = at once.
        slow_start: OrOff<Period> = OrOff::on(Period::from_secs(30)),
    }
}

settings! {
    /// How long one provider is left alone.
    #[derive(Eq)]
    pub struct ProviderCooldown {
        /// Whether this provider's errors lead to a cooldown; default true.
        enabled: bool = true,
        /// For a manual cooldown without a duration, and whatever else; default 5m.
        default_duration: Period = Period::from_mins(5),
        /// When most errors were rate limits; default 10m.
        rate_limit_duration: Period = Period::from_mins(10),
        /// When most were failures of server or transport; default 2m.
        error_duration: Period = Period::from_mins(2),
    }
}
