//! What the data plane serves with: one immutable snapshot, swapped as a whole.

use super::clients::Clients;
use super::config::{Cors, Limits, Retry, Streaming};
use super::homes::Homes;
use super::upstream::{Upstream, connectors};
use crate::observe::Metrics;
use crate::providers::config::Pool;
use crate::providers::registry::Registry;
use std::sync::Arc;
use std::time::Instant;

/// The settings that the data plane reads while it serves.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What one request may take.
    pub limits: Limits,
    /// Which web pages may call.
    pub cors: Cors,
    /// How hard an answer is sought.
    pub retry: Retry,
    /// How streams are relayed.
    pub streaming: Streaming,
    /// How many idle connections are kept.
    pub pool: Pool,
}

/// Everything one request sees.
pub struct Snapshot {
    /// Who may call.
    pub clients: Clients,
    /// Who may serve.
    pub registry: Registry,
    /// Their connections and meters, by provider index.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Who made what clients may refer to. Lives longer than a snapshot.
    pub homes: Arc<Homes>,
    /// How.
    pub settings: Settings,
}

impl Snapshot {
    /// A snapshot of these parts, with connections and meters for every provider.
    pub fn new(
        clients: Clients,
        registry: Registry,
        settings: Settings,
        homes: Arc<Homes>,
        metrics: &Metrics,
        now: Instant,
    ) -> Snapshot {
        // So that all together keep no more than `max_idle_conns`, as long as each may keep one.
        let providers = u32::try_from(registry.providers().len()).unwrap_or(u32::MAX);
        let share = (settings.pool.max_idle_conns / providers.max(1)).max(1);
        let max_idle = settings.pool.max_idle_conns_per_host.min(share) as usize;
        let idle_timeout = settings.pool.idle_conn_timeout.get();
        let definitions = registry.providers().iter().map(|provider| &*provider.definition);
        let upstreams = registry
            .providers()
            .iter()
            .zip(connectors(definitions, max_idle))
            .map(|(provider, connector)| {
                let known = provider.definition.known_models.iter().copied();
                let models = registry.upstream_names(provider.index).into_iter().chain(known);
                let meters = metrics.provider(provider.name(), models);
                let provider = Arc::clone(provider);
                Arc::new(Upstream::new(provider, connector, meters, max_idle, idle_timeout, now))
            })
            .collect();
        Snapshot { clients, registry, upstreams, homes, settings }
    }
}
