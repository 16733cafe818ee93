//! The bounds of trying again: how much extra load a provider may get of it, and how long to wait.
//!
//! Pure: time and chance are arguments. Must not know why an attempt failed, nor who is tried next.

pub mod backoff;
pub mod budget;
