//! The providers: what they are, what state they are in, and which of them may serve a model.
//!
//! A [`registry::Registry`] is one immutable snapshot of all of it, swapped whole on a reload; live state
//! (credentials, requests in flight, resolved addresses) is shared between snapshots. This module must
//! not know how a request is sent.

pub mod auths;
pub mod base;
pub mod classify;
pub mod config;
pub mod credential;
pub mod credentials;
pub mod definition;
pub mod grant;
pub mod hint;
mod key;
pub mod platform;
pub mod presets;
pub mod provider;
pub mod registry;
pub mod resolve;
pub mod routes;
pub mod selector;
pub mod service_account;
pub mod sigv4;
pub mod skips;
pub mod token;
