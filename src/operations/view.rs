//! What the operations API shows of the rest of the house, and its shape on the wire.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::domain::wall_clock;

/// What the composition root plugs in. Each call is a consistent snapshot; it must not wait.
pub trait View: Send + Sync {
    /// How the process is.
    fn health(&self) -> Health;

    /// Every configured provider, in the order in which they are shown.
    fn providers(&self) -> Vec<ProviderView>;
}

/// How the process is.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Whether it is shutting down.
    pub draining: bool,
    /// How long it has been running.
    pub uptime: Duration,
    /// Providers that are configured and enabled.
    pub providers_total: usize,
    /// Those of them that requests can go to now.
    pub providers_available: usize,
}

impl Health {
    /// `draining`, `degraded` (a provider is out, or there is none) or `healthy`.
    pub(super) fn status(&self) -> &'static str {
        if self.draining {
            "draining"
        } else if self.providers_available == 0 || self.providers_available < self.providers_total {
            "degraded"
        } else {
            "healthy"
        }
    }
}

/// What probes say of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderHealth {
    /// It answers.
    Healthy,
    /// It doesn't.
    Unhealthy,
    /// It was never probed. Such a provider is eligible.
    Unknown,
}

/// One provider, as `/v0/operations/providers/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderView {
    /// Its name; the key that the rest stands under.
    #[serde(skip)]
    pub name: String,
    /// What probes say.
    pub status: ProviderHealth,
    /// Whether it cools down.
    pub in_cooldown: bool,
    /// When it was last probed.
    #[serde(serialize_with = "time")]
    pub last_check: Option<SystemTime>,
    /// Share of probes in the last day that succeeded, 0 to 100; 100 before the first.
    pub uptime_percent: f64,
    /// Client requests that settled here in the last minute.
    pub requests_last_minute: u64,
    /// Attempts that failed here by the provider's fault in the last minute.
    pub errors_last_minute: u64,
    /// Mean of the last minute's successes, zero if there was none.
    #[serde(rename = "average_latency_ms", serialize_with = "millis")]
    pub average_latency: Duration,
    /// Failures since the last success.
    pub consecutive_failures: u64,
    /// What the last failure was, in words that any operator may read; no secrets.
    pub last_error: Option<String>,
    /// Its credentials.
    pub credentials: Vec<CredentialView>,
    /// Requests that it is working on.
    pub in_flight: u64,
}

/// One credential of a provider.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialView {
    /// Its label, or a short hash; never the key.
    pub label: String,
    /// How it is, in the words of the providers' room (`ok`, `disabled`, `expired`, …).
    pub status: &'static str,
}

/// `/health`.
#[derive(Serialize)]
pub(super) struct HealthBody {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    providers: ProviderCount,
}

#[derive(Serialize)]
struct ProviderCount {
    total: usize,
    available: usize,
}

impl HealthBody {
    pub(super) fn new(health: &Health, version: &'static str) -> HealthBody {
        HealthBody {
            status: health.status(),
            version,
            uptime_seconds: health.uptime.as_secs(),
            providers: ProviderCount { total: health.providers_total, available: health.providers_available },
        }
    }
}

/// `/ready`.
#[derive(Serialize)]
pub(super) struct ReadyBody {
    pub(super) status: &'static str,
}

/// `/v0/operations/providers/status`: providers under their names.
#[derive(Serialize)]
pub(super) struct ProvidersBody<'a> {
    #[serde(serialize_with = "by_name")]
    pub(super) providers: &'a [ProviderView],
}

fn by_name<S: Serializer>(providers: &[ProviderView], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(providers.iter().map(|provider| (&provider.name, provider)))
}

fn time<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(wall_clock::rfc3339).serialize(serializer)
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
