#![doc = include_str!("ARCHITECTURE.md")]

// From the ground up; `tests/tidy.rs` holds who may use whom.
pub mod domain;
pub mod settings;

pub mod balance;
pub mod batch;
pub mod cache;
pub mod cooldown;
pub mod health;
pub mod quota;
pub mod stats;
pub mod translate;

pub mod observe;
pub mod providers;
pub mod store;

pub mod alerts;
pub mod failover;
pub mod gateway;
pub mod operations;
pub mod simulator;

pub mod config;

pub mod app;
pub mod cli;

/// Named here, and not in `main.rs`, so that whatever links this crate allocates alike: a benchmark that
/// compares the gateway with something else compares nothing else.
#[global_allocator]
static ALLOCATOR: std::alloc::System = std::alloc::System;
