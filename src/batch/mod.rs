//! Which embedding requests leave together.
//!
//! So far only the room's settings are here.

pub mod config;
