//! The data plane: what clients call.
//!
//! So far only the room's settings are here.

pub mod config;
