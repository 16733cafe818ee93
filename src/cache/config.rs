//! The settings of the response cache.

use crate::domain::{Period, Size};
use crate::settings::{choices, settings};

choices! {
    /// Who may get an answer that was kept.
    pub enum Scope {
        /// The client that it was made for.
        Client = "client",
        /// Everybody.
        Global = "global",
    }
}

choices! {
    /// Which identical requests in flight share one answer.
    pub enum Coalesce {
        /// Those that don't ask for sampling.
        Auto = "auto",
        /// All.
        All = "all",
        /// None.
        Off = "off",
    }
}

settings! {
    /// Which answers are kept, for whom and how long.
    #[derive(Eq)]
    pub struct Cache {
        /// Whether any are; default false.
        enabled: bool = false,
        /// The number of answers kept; default 1000.
        size: u32 = 1_000 => 1..,
        /// The bytes they may take in all; default 256M.
        max_bytes: Size = Size::from_mib(256),
        /// How long an answer is kept; default 5m.
        ttl: Period = Period::from_mins(5),
        /// Who may get it: client (its own only) or global; default client.
        scope: Scope,
        /// Which identical requests in flight share one answer: auto, all or off; default auto.
        coalesce: Coalesce,
    }
}
