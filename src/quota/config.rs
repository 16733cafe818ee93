//! The settings of quotas.

use crate::domain::Money;
use crate::settings::{Node, Problems, Scalar, choices, settings};

choices! {
    /// When an allowance begins anew: calendar periods in UTC.
    pub enum Reset {
        /// With the month.
        Monthly = "monthly",
        /// With the week, on Monday.
        Weekly = "weekly",
        /// With the day.
        Daily = "daily",
        /// With the hour.
        Hourly = "hourly",
        /// Never.
        Never = "never",
    }
}

choices! {
    /// What a quota counts.
    pub enum Unit {
        /// Tokens, in and out.
        Tokens = "tokens",
        /// Requests.
        Requests = "requests",
        /// US dollars.
        Usd = "usd",
    }
}

choices! {
    /// How nodes without a common store divide a quota.
    pub enum Share {
        /// Each takes its part: limit / live nodes.
        Split = "split",
        /// Each takes all of it.
        Full = "full",
    }
}

settings! {
    /// A provider's allowance.
    #[derive(Eq)]
    pub struct Quota {
        required {
            /// How much, in `unit`.
            limit: Amount,
        }
        /// What is counted: tokens, requests or usd; default tokens.
        unit: Unit,
        /// When it begins anew: hourly, daily, weekly, monthly or never; default monthly.
        reset: Reset,
        /// How nodes without a common store divide it: split or full; default split.
        share: Share,
    }
    check Self::check;
}

impl Quota {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.unit != Unit::Usd && self.limit.whole().is_none() {
            problems.error_at(node, "limit", format!("must be a whole number of {}", self.unit.name()));
        }
    }
}

/// A number of tokens, requests or dollars; which of these is the quota's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(Money);

impl Amount {
    /// As dollars.
    pub const fn money(self) -> Money {
        self.0
    }

    /// As a count, if it is whole.
    pub fn whole(self) -> Option<u64> {
        const NANOS: i64 = 1_000_000_000;
        if self.0.nanos() % NANOS == 0 { u64::try_from(self.0.nanos() / NANOS).ok() } else { None }
    }
}

impl Scalar for Amount {
    const FORM: &'static str = "a number above 0";

    fn parse(text: &str) -> Option<Amount> {
        Money::parse(text).filter(|amount| *amount > Money::ZERO).map(Amount)
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}
