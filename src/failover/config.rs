//! The settings of failover between gateways.

use crate::domain::{Period, Secret};
use crate::settings::{Node, Problems, Url, choices, settings};
use std::net::IpAddr;

choices! {
    /// How several gateways stand together.
    pub enum Mode {
        /// One serves; a backup takes over what it can't.
        ActivePassive = "active_passive",
        /// All serve, each its share.
        ActiveActive = "active_active",
    }
}

choices! {
    /// How requests are shared between active nodes.
    pub enum Sharing {
        /// By a ring over session keys.
        ConsistentHash = "consistent_hash",
    }
}

settings! {
    /// What happens when this gateway or its providers can't serve.
    #[derive(Eq)]
    pub struct Failover {
        /// Whether other gateways are asked; default false.
        enabled: bool = false,
        /// active_passive or active_active; default active_passive.
        mode: Mode,
        /// The time between two looks at each other gateway; default 10s.
        health_check_interval: Period = Period::from_secs(10),
        /// How long providers must have failed before all traffic goes to the backup; default 30s.
        failover_timeout: Period = Period::from_secs(30),
        /// The backup, in active_passive mode; default: none.
        backup_url: Option<Url>,
        /// The client key for a backup that is not ours; default: none.
        backup_api_key: Option<Secret>,
        /// How requests are shared, in active_active mode: consistent_hash; default consistent_hash.
        load_balancing: Sharing,
        /// All active gateways, this one included; default: none.
        peers: Vec<Url>,
        /// The secret that gateways know each other by; default: none, private addresses only.
        secret: Option<Secret>,
    }
    check Self::check;
}

impl Failover {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.enabled {
            return;
        }
        match self.mode {
            Mode::ActivePassive if node.get("backup_url").is_none() => {
                problems.error_at(node, "backup_url", "is required with `mode: active_passive`");
            }
            Mode::ActiveActive if node.get("peers").is_none() => {
                problems.error_at(node, "peers", "is required with `mode: active_active`");
            }
            _ => {}
        }
        if node.get("secret").is_none() && self.mode == Mode::ActiveActive {
            self.check_peers_without_secret(node.at("peers"), problems);
        }
    }

    /// Without a secret, peers are believed by their address: that can't be a public one.
    fn check_peers_without_secret(&self, node: &Node, problems: &mut Problems) {
        let is_public = |peer: &Url| peer.host.parse().is_ok_and(|address| !is_private(address));
        if self.peers.iter().any(is_public) {
            problems.at_key("peers", |at| at.error(node, "public addresses need `failover.secret`"));
        } else if self.peers.iter().any(|peer| peer.host.parse::<IpAddr>().is_err()) {
            let message = "without `failover.secret` a name that resolves to a public address is not used";
            problems.at_key("peers", |at| at.warning(node, message));
        }
    }
}

/// Loopback, link-local and the private ranges of RFC 1918 and RFC 4193.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
