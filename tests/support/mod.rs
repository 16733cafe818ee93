//! What the integration tests are written with: a client, simulated providers, a gateway.

mod client;
mod gateway;
mod incoming;
mod ports;
mod provider;

pub use client::{Client, Raw, Request};
pub use gateway::{Gateway, Launch};
pub use incoming::{BodyEnd, Event, Incoming, Response};
pub use ports::free_port;
pub use provider::Provider;
