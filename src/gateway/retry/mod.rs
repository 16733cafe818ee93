//! How hard an answer is sought: who is asked after a failure, how long that waits, and how much extra load it
//! may be.
//!
//! Pure: time and chance are arguments. Who exactly is tried next is the strategy's to say.

pub mod backoff;
pub mod budget;
pub mod next;
