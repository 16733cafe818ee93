//! What the integration tests are written with: a client, simulated providers, a gateway.

mod accounts;
mod canned;
mod certificates;
mod client;
mod gateway;
mod h2_client;
mod h2_provider;
mod house;
mod incoming;
mod inside;
mod ports;
mod provider;
mod questions;

pub use accounts::{Metrics, eventually, eventually_within, logged, status};
pub use canned::Canned;
pub use certificates::{Authority, Identity, tls_exchange};
pub use client::{Client, Raw, Request};
pub use gateway::{Gateway, Launch};
pub use h2_client::{H2Answer, H2Client, H2Whole};
pub use h2_provider::{Asked, Events, H2Provider, H2Settings, serve};
pub use house::{House, ask, expect_error, model_of, path_of, provider_of, question};
pub use incoming::{BodyEnd, Event, Incoming, Response};
pub use inside::start_inside;
pub use ports::free_port;
pub use provider::{Provider, nowhere};
pub use questions::{Question, assert_whole, error_message, is_error};
