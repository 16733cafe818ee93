//! Which answers are kept, for whom and how long.
//!
//! So far only the room's settings are here.

pub mod config;
