//! What is said about what happens: metrics, log and traces.
//!
//! So far only the room's settings are here.

pub mod config;
