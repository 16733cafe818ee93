//! The settings of batching.

use crate::domain::Period;
use crate::settings::settings;

settings! {
    /// Which embedding requests leave together.
    #[derive(Eq)]
    pub struct Batch {
        /// Whether any do; default false.
        enabled: bool = false,
        /// Inputs in one upstream request; default 10.
        max_batch_size: u32 = 10 => 1..=2048,
        /// How long a request waits for others; default 100ms.
        timeout: Period = Period::from_millis(100),
    }
}
