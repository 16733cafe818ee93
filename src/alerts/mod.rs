//! When an operator is woken, and over which channel.
//!
//! So far only the room's settings are here.

pub mod config;
