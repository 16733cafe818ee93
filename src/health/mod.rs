//! Whether a provider answers probes, and what is done when it doesn't.
//!
//! So far only the room's settings are here.

pub mod config;
