//! What a simulated provider is told to be.

use super::Latency;
use crate::domain::Secret;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The models that a simulator lists unless told otherwise. It answers for any other name too.
const MODELS: [&str; 6] = [
    "gpt-4o",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "claude-sonnet-4-5",
    "gemini-2.5-flash",
    "gemini-embedding-001",
];

/// What one simulated provider is and does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any free one. Default: `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Sent as `x-simulator` and used in the ids of answers. Default: `simulator`.
    pub name: String,
    /// Threads that serve. Default: 1.
    pub threads: usize,
    /// The wait before the header of an inference answer; refusals come at once. Default: none.
    pub latency: Latency,
    /// The wait before each further token of a stream. Default: zero, everything at once.
    pub token_interval: Duration,
    /// What the times of the [`SCENARIOS`](super::SCENARIOS) named `fault-…` are multiplied by, so that tests
    /// need not wait. Header `retry-after` stays in whole seconds and is joined by `retry-after-ms`. A number
    /// that is not above 0 or makes times too long to count leaves them as they are. Default: 1.
    pub time_scale: f64,
    /// Requests that each minute may bring; 429 beyond. Default: no limit.
    pub rate_limit: Option<u32>,
    /// The keys that are accepted. Default: none, and no key is asked for.
    pub api_keys: Vec<Secret>,
    /// What it does instead of serving. Default: it serves.
    pub behaviour: Behaviour,
    /// The models listed by the `models` endpoints, of all dialects.
    pub models: Vec<String>,
    /// Paths that begin so are echoed, WebSockets too. Default: `/v1/files`.
    pub echo_prefix: String,
    /// Whether requests are kept for [`Simulator::transcript`](super::Simulator::transcript). Default: yes.
    pub records: bool,
    /// Makes draws repeatable. Default: another sequence at each start.
    pub seed: Option<u64>,
}

impl Options {
    /// A fault's time, on this provider's scale.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        if self.time_scale > 0.0 {
            Duration::try_from_secs_f64(time.as_secs_f64() * self.time_scale).unwrap_or(time)
        } else {
            time
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            name: "simulator".to_owned(),
            threads: 1,
            latency: Latency::NONE,
            token_interval: Duration::ZERO,
            time_scale: 1.0,
            rate_limit: None,
            api_keys: Vec::new(),
            behaviour: Behaviour::Normal,
            models: MODELS.map(str::to_owned).to_vec(),
            echo_prefix: "/v1/files".to_owned(),
            records: true,
            seed: None,
        }
    }
}

/// What a simulated provider does with all requests, whatever their model.
/// Faults of single requests are chosen by model name: [`SCENARIOS`](super::SCENARIOS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Serves.
    #[default]
    Normal,
    /// Answers everything, probes too, with this status and the vendor's error.
    Status(u16),
    /// Answers the first so many POSTs with a status, then serves. Probes and lists don't count and are served.
    FailFirst {
        /// POSTs that fail.
        requests: u64,
        /// What they are answered with.
        status: u16,
    },
    /// Closes each connection as soon as it is accepted.
    Refuse,
    /// Reads the request, then resets the connection.
    Reset,
}
