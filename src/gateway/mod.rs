//! The data plane: what clients call.

pub mod body;
pub mod clients;
pub mod config;
pub mod cors;
pub mod headers;
pub mod life;
pub mod limits;
pub mod routes;
