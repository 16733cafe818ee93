//! A gateway inside the test's own process, for tests that exchange parts of it.

use super::client::Client;
use super::ports::free_port;
use cliproxy::app::{self, App, Parts};
use cliproxy::config;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Once;

/// Starts a gateway with these client keys (a YAML list), providers and parts, and gives a client of it once
/// it is healthy. It runs until the process ends: there is no way to stop it.
#[track_caller]
pub fn start_inside(keys: &str, providers: &str, parts: Parts) -> Client {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| app::prepare_process().expect("the first to prepare the process"));
    let (port, auths) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
    let yaml = format!(
        "server: {{host: 127.0.0.1, port: {port}, threads: 1, auth: {{api_keys: {keys}}}}}\nmetrics: {{enabled: false}}\nauth_dir: {}\n{providers}",
        auths.path().display()
    );
    let loaded = config::load_text(&yaml, &|_| None).expect("a good configuration");
    let gateway = App::build(loaded, parts).expect("a gateway");
    std::thread::spawn(move || {
        let _auths = auths;
        gateway.run().expect("a free port");
    });
    let client = Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    super::accounts::eventually("a healthy gateway", || {
        client.get("/health").try_send().ok().filter(|answer| answer.status == 200)
    });
    client
}
