//! The providers: what they are and how they are reached.
//!
//! So far only the room's settings are here.

pub mod config;
pub mod presets;
