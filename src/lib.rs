#![doc = include_str!("ARCHITECTURE.md")]

// From the ground up; `tests/tidy.rs` holds who may use whom.
pub mod domain;
pub mod stats;

pub mod observe;

pub mod operations;
