//! How much of a provider's allowance is left.
//!
//! So far only the room's settings are here.

pub mod config;
