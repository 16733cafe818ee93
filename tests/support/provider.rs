//! Simulated providers, as a test speaks of them.

use super::client::{Client, Request};
use super::ports::free_port;
use cliproxy::domain::{Dialect, Secret};
use cliproxy::simulator::{Behaviour, Options, Received, Simulator};
use std::ops::Deref;

/// A simulated provider of one dialect that wants its own key. A failing test prints what it was asked.
pub struct Provider {
    dialect: Dialect,
    key: String,
    simulator: Simulator,
}

impl Provider {
    pub fn openai() -> Provider {
        Provider::of(Dialect::OpenAi)
    }

    pub fn anthropic() -> Provider {
        Provider::of(Dialect::Anthropic)
    }

    pub fn gemini() -> Provider {
        Provider::of(Dialect::Gemini)
    }

    /// Of that dialect.
    pub fn of(dialect: Dialect) -> Provider {
        Provider::with(dialect, Options::default())
    }

    /// With more to say about it: pace, latency, limits. The key is set here.
    pub fn with(dialect: Dialect, options: Options) -> Provider {
        let key = format!("{dialect}-provider-key");
        let options = Options { api_keys: vec![Secret::new(key.as_str())], ..options };
        let simulator = Simulator::start(options).expect("a simulator on a free port");
        Provider { dialect, key, simulator }
    }

    /// From now on it answers everything with that status.
    pub fn failing_with(self, status: u16) -> Provider {
        self.simulator.set_behaviour(Behaviour::Status(status));
        self
    }

    /// It answers the next so many requests with that status, then serves.
    pub fn failing_first(self, requests: u64, status: u16) -> Provider {
        self.simulator.set_behaviour(Behaviour::FailFirst { requests, status });
        self
    }

    /// From now on it closes every connection at once.
    pub fn refusing(self) -> Provider {
        self.simulator.set_behaviour(Behaviour::Refuse);
        self
    }

    /// From now on it resets connections instead of answering.
    pub fn resetting(self) -> Provider {
        self.simulator.set_behaviour(Behaviour::Reset);
        self
    }

    /// The key that it wants.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Everything that it was asked for by POST, in order.
    pub fn asked(&self) -> Vec<Received> {
        self.simulator.transcript().into_iter().filter(|received| received.method == "POST").collect()
    }

    /// The request with the key that it wants.
    pub fn sign<'a>(&self, request: Request<'a>) -> Request<'a> {
        match self.dialect {
            Dialect::OpenAi => request.bearer(&self.key),
            Dialect::Anthropic => request.header("x-api-key", &self.key),
            Dialect::Gemini => request.header("x-goog-api-key", &self.key),
        }
    }

    /// A client that calls it directly.
    pub fn client(&self) -> Client {
        Client::new(self.simulator.address())
    }

    /// Its entry under `providers:`.
    pub fn yaml(&self, name: &str) -> String {
        self.yaml_with(name, &[])
    }

    /// Its entry under `providers:`, with further lines such as `priority: 2`.
    pub fn yaml_with(&self, name: &str, lines: &[&str]) -> String {
        entry(name, self.dialect, &self.simulator.base_url(), &self.key, lines)
    }
}

/// The entry under `providers:` of one where nothing listens.
pub fn nowhere(dialect: Dialect, name: &str, lines: &[&str]) -> String {
    let url = format!("http://127.0.0.1:{}", free_port());
    entry(name, dialect, &url, "nobody-asks-for-it", lines)
}

fn entry(name: &str, dialect: Dialect, url: &str, key: &str, lines: &[&str]) -> String {
    let mut entry =
        format!("  {name}:\n    format: {dialect}\n    base_url: \"{url}\"\n    api_key: \"{key}\"\n");
    for line in lines {
        entry += &format!("    {line}\n");
    }
    entry
}

impl Deref for Provider {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("--- the {} provider on {} received:", self.dialect, self.simulator.address());
        for received in self.simulator.transcript() {
            let body = String::from_utf8_lossy(&received.body).into_owned();
            let (shown, rest) = body.split_at(body.floor_char_boundary(500));
            let more = if rest.is_empty() { "" } else { "…" };
            eprintln!("{} {} {:?} {shown}{more}", received.method, received.path, received.ending);
        }
        eprintln!("---");
    }
}
