//! What a gateway says of what it did: its metrics, its log, its status.

use super::gateway::Gateway;
use super::incoming::Response;
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long what a gateway says may lag behind what its client saw.
const LAG: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Looks again and again until there is something to see.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(LAG, what, look)
}

/// The same, of what may take longer than that.
#[track_caller]
pub fn eventually_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {limit:?}");
        sleep(POLL);
    }
}

/// What the operations service answers. Its port may open a moment after the gateway's.
#[track_caller]
fn operations(gateway: &Gateway, path: &str) -> Response {
    eventually("an answer of the operations service", || gateway.operations().get(path).try_send().ok())
        .expect(200)
}

/// The series of `/metrics` at one moment, each under its name and labels as they are written.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    #[track_caller]
    pub fn read(gateway: &Gateway) -> Metrics {
        let text = operations(gateway, "/metrics").text();
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        Metrics(series.collect())
    }

    /// Those once so many client requests have been counted.
    #[track_caller]
    pub fn after(gateway: &Gateway, requests: u32) -> Metrics {
        eventually(&format!("{requests} requests counted"), || {
            let metrics = Metrics::read(gateway);
            (metrics.sum("cliproxy_requests_total") >= f64::from(requests)).then_some(metrics)
        })
    }

    /// The value of a series, such as `x_total{provider="a"}`; 0 if it is not there.
    pub fn of(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    pub fn has(&self, series: &str) -> bool {
        self.0.contains_key(series)
    }

    fn sum(&self, name: &str) -> f64 {
        let of_name = |series: &&String| series.split('{').next() == Some(name);
        self.0.keys().filter(of_name).map(|series| self.0[series]).sum()
    }

    /// All that was counted of requests, attempts, errors and tokens, as `name{labels} value`.
    pub fn counted(&self) -> Vec<String> {
        const COUNTERS: [&str; 4] = ["requests", "attempts", "errors", "tokens"];
        let is_counter = |series: &str| {
            COUNTERS.iter().any(|counter| series.starts_with(&format!("cliproxy_{counter}_total{{")))
        };
        let counted = self.0.iter().filter(|(series, value)| is_counter(series) && **value != 0.0);
        counted.map(|(series, value)| format!("{} {value}", &series["cliproxy_".len()..])).collect()
    }
}

/// The lines of the log with that message, once there are so many of them.
#[track_caller]
pub fn logged(gateway: &Gateway, message: &str, lines: usize) -> Vec<Value> {
    eventually(&format!("{lines} lines `{message}`"), || {
        let output = gateway.output();
        let parsed = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found: Vec<Value> = parsed.filter(|line| line["msg"] == message).collect();
        (found.len() >= lines).then_some(found)
    })
}

/// What the status endpoint says of a provider.
#[track_caller]
pub fn status(gateway: &Gateway, provider: &str) -> Value {
    let status = operations(gateway, "/v0/operations/providers/status").json();
    status["providers"][provider].clone()
}
