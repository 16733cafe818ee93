//! What operators see: metrics and the log, fed by one struct per fact.
//!
//! Emitting an event is the only way in: it moves the metrics and writes the log line together, so
//! that the two can't disagree. The `prometheus` crate is named nowhere else. This room must not know
//! why a fact holds, or who serves `/metrics`.

mod catalogue;
pub mod config;
pub mod events;
mod json;
mod line;
pub mod logging;
mod metrics;
mod queue;

pub use catalogue::{Kind, METRICS, Metric};
pub use metrics::{InFlight, Metrics, OTHER_MODEL, ProviderMeters, Status, UNROUTED};
