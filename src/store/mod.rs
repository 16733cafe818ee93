//! What outlives the process.
//!
//! So far only the room's settings are here.

pub mod config;
