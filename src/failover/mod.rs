//! What happens when this gateway or its providers can't serve: a backup, or its peers.
//!
//! So far only the room's settings are here.

pub mod config;
