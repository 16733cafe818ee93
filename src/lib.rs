#![doc = include_str!("ARCHITECTURE.md")]

// From the ground up; `tests/tidy.rs` holds who may use whom.
pub mod cli;
pub mod domain;
pub mod simulator;
