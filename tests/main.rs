//! The integration tests: one binary, files by intent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may fail, say so, and block its own thread"
)]

mod access;
mod attempts;
mod bad_input;
mod balancing;
mod bodies;
mod broken_calls;
mod cancellation;
mod clouds;
mod config;
mod counts;
mod demo;
mod embeddings;
mod encodings;
mod endings;
mod failover;
mod faults;
mod framing;
mod gateway_models;
mod headers;
mod http2_clients;
mod http2_providers;
mod http2_sharing;
mod idle_connections;
mod json_answers;
mod keepalive;
mod life;
mod logging;
mod malformed;
mod memory;
mod metering;
mod odd_upstreams;
mod operations_port;
mod passthrough;
mod pauses;
mod pem_files;
mod provider_tls;
mod readme;
mod returning;
mod sdk;
mod sdk_gateway;
mod secrets;
mod shipping;
mod simulator;
mod slow_clients;
mod stored;
#[allow(dead_code, unused_imports, reason = "a toolbox: not every tool is in use at every time")]
mod support;
mod tidy;
mod translation;
mod translation_golden;
mod uploads;
mod web_sockets;
