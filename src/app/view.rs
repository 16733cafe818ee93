//! What the operations API sees of the rest of the house.

use crate::domain::wall_clock;
use crate::gateway::life::Life;
use crate::gateway::state::Snapshot;
use crate::gateway::upstream::Upstream;
use crate::operations::{CredentialView, Health, ProviderHealth, ProviderView, View};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What is said of uptime before a first probe.
const UPTIME_UNPROBED: f64 = 100.0;

/// The live state, read when asked.
pub struct LiveView {
    snapshot: Arc<ArcSwap<Snapshot>>,
    life: Arc<Life>,
    started: Instant,
}

impl LiveView {
    /// A view of this state.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, life: Arc<Life>, started: Instant) -> LiveView {
        LiveView { snapshot, life, started }
    }
}

impl View for LiveView {
    fn health(&self) -> Health {
        let snapshot = self.snapshot.load();
        let now = wall_clock::now();
        let enabled = || snapshot.registry.providers().iter().filter(|provider| provider.definition.enabled);
        Health {
            draining: self.life.is_draining(),
            uptime: self.started.elapsed(),
            providers_total: enabled().count(),
            providers_available: enabled().filter(|provider| provider.available(now).is_ok()).count(),
        }
    }

    fn providers(&self) -> Vec<ProviderView> {
        let (now, wall) = (Instant::now(), wall_clock::now());
        self.snapshot.load().upstreams.iter().map(|upstream| provider(upstream, now, wall)).collect()
    }
}

fn provider(upstream: &Upstream, now: Instant, wall: SystemTime) -> ProviderView {
    let figures = upstream.minute.read(now);
    let credential = |(label, status): (Arc<str>, crate::providers::credential::EntryStatus)| {
        CredentialView { label: label.to_string(), status: status.name() }
    };
    ProviderView {
        name: upstream.provider.name().to_string(),
        // Probes come with the health checks; until then nobody has looked.
        status: ProviderHealth::Unknown,
        in_cooldown: false,
        last_check: None,
        uptime_percent: UPTIME_UNPROBED,
        requests_last_minute: figures.requests,
        errors_last_minute: figures.errors,
        average_latency: figures.average_latency,
        consecutive_failures: upstream.consecutive_failures(),
        last_error: upstream.last_error.load().as_ref().map(ToString::to_string),
        credentials: upstream.provider.credentials().status(wall).into_iter().map(credential).collect(),
        in_flight: u64::from(upstream.provider.in_flight()),
    }
}
