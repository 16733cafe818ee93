//! When a provider rests after errors, and how it comes back.
//!
//! So far only the room's settings are here.

pub mod config;
