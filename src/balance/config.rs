//! The settings of balancing.

use crate::domain::Period;
use crate::settings::{choices, settings};

choices! {
    /// How a provider is chosen among those of the best tier.
    pub enum StrategyName {
        /// Each in turn, by weight.
        RoundRobin = "round_robin",
        /// The one with the largest part of its quota left.
        QuotaAware = "quota_aware",
        /// The one that has lately been fastest.
        Latency = "latency",
        /// The one on which the request costs least.
        Cost = "cost",
        /// The same one for the same session.
        ConsistentHash = "consistent_hash",
    }
}

choices! {
    /// What is done with a request for which no provider of a tier has room.
    pub enum Overflow {
        /// The next tier takes it.
        Spill = "spill",
        /// It waits until there is room.
        Queue = "queue",
    }
}

settings! {
    /// Which provider gets a request.
    #[derive(Eq)]
    pub struct LoadBalancing {
        /// round_robin, quota_aware, latency, cost or consistent_hash; default round_robin.
        strategy: StrategyName,
        /// The time over which latency is averaged; default 5m.
        latency_window: Period = Period::from_mins(5),
        /// When a tier has no room: spill to the next one, or queue; default spill.
        overflow: Overflow,
        /// Requests that may wait for room; default 1000.
        max_queue: u32 = 1_000,
        /// How long a request may wait for room; default 30s.
        queue_timeout: Period = Period::from_secs(30),
        /// Whether a conversation stays on its provider.
        session_affinity: SessionAffinity,
    }
}

settings! {
    /// Whether a conversation stays on its provider, which keeps prompt caches warm.
    #[derive(Eq)]
    pub struct SessionAffinity {
        /// Whether it does; default false.
        enabled: bool = false,
        /// How long after its last request; default 1h.
        ttl: Period = Period::from_hours(1),
    }
}
