//! The settings of the control plane.

use super::Network;
use crate::domain::Secret;
use crate::settings::{Node, Port, Problems, Scalar, settings};
use std::net::IpAddr;

settings! {
    /// Who may call the operations API.
    #[derive(Eq)]
    pub struct Api {
        /// The bearer token that opens it; default: `$CLIPROXY_OPERATIONS_TOKEN`, else none.
        token: Option<Secret>,
        /// Who may call without a token, while none is set; default: loopback.
        trusted_networks: Vec<Network> = Network::LOOPBACK.to_vec(),
    }
}

impl Scalar for Network {
    const FORM: &'static str = Network::FORM;

    fn parse(text: &str) -> Option<Network> {
        Network::parse(text)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

settings! {
    /// The operations service, with the metrics for Prometheus.
    #[derive(Eq)]
    pub struct Metrics {
        /// Whether it runs; default true.
        enabled: bool = true,
        /// The address it listens on; default: `server.host`.
        host: Option<IpAddr>,
        /// The port it listens on; default 9090.
        port: Port = Port(9090),
        /// The path of the metrics; default /metrics.
        path: String = "/metrics".to_owned(),
        /// The bearer token that opens the metrics; default: none, they are open.
        token: Option<Secret>,
    }
    check Self::check;
}

impl Metrics {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.path.starts_with('/') {
            problems.error_at(node, "path", "must begin with a slash");
        }
    }
}
