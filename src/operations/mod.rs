//! The control plane: what operators call.
//!
//! So far only the room's settings are here.

pub mod config;
