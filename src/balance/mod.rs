//! Which provider serves a request, among those that can.
//!
//! So far only the room's settings are here.

pub mod config;
