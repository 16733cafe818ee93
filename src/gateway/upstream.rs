//! A provider as the data plane meets it: its connections, its meters, its last minute.

use super::retry::budget::Budget;
use crate::domain::ErrorClass;
use crate::observe::ProviderMeters;
use crate::providers::config::Pool;
use crate::providers::provider::Provider;
use crate::stats::{Minute, Outcomes};
use arc_swap::ArcSwapOption;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// HTTP/2 streams on one connection to a provider. Pingora's default is 1, which is no multiplexing.
const MAX_H2_STREAMS: usize = 100;

/// One provider's part of the data plane. Lives as long as the provider's definition is unchanged.
pub struct Upstream {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Its connections: a connector of its own, so that the cap on idle ones is per host and exact.
    pub connector: Connector,
    /// Its series.
    pub meters: ProviderMeters,
    /// What it did in the last minute.
    pub minute: Minute,
    /// What went wrong last, in words for operators.
    pub last_error: ArcSwapOption<String>,
    /// What further attempts it can bear.
    pub budget: Budget,
    /// How its attempts of the last moments ended.
    pub recent: Outcomes,
    consecutive_failures: AtomicU64,
    idle_timeout: Duration,
}

impl Upstream {
    /// The upstream side of a provider, which may keep `share` of all idle connections.
    pub fn new(
        provider: Arc<Provider>,
        meters: ProviderMeters,
        pool: &Pool,
        share: u32,
        now: Instant,
    ) -> Upstream {
        let options = ConnectorOptions {
            ca_file: provider.definition.ca_file.as_ref().map(|path| path.display().to_string()),
            cert_key_file: None,
            debug_ssl_keylog: false,
            keepalive_pool_size: pool.max_idle_conns_per_host.min(share) as usize,
            offload_threadpool: None,
            bind_to_v4: Vec::new(),
            bind_to_v6: Vec::new(),
            keepalive_pool_callback: None,
        };
        Upstream {
            provider,
            connector: Connector::new(Some(options)),
            meters,
            minute: Minute::new(now),
            last_error: ArcSwapOption::empty(),
            budget: Budget::new(now),
            recent: Outcomes::new(now),
            consecutive_failures: AtomicU64::new(0),
            idle_timeout: pool.idle_conn_timeout.get(),
        }
    }

    /// Where to connect for this attempt.
    pub fn peer(&self, address: SocketAddr) -> HttpPeer {
        let base = &self.provider.definition.base;
        // Never empty: without a name, certificates would not be checked. An IP host is its own name.
        let mut peer = HttpPeer::new(address, base.tls, base.host.clone());
        let connect = self.provider.definition.timeouts.connect.get();
        // Two providers on one address must not share connections: one may have its own CA or account.
        peer.group_key = self.provider.index as u64 + 1;
        peer.options.total_connection_timeout = Some(connect);
        peer.options.connection_timeout = Some(connect);
        peer.options.idle_timeout = Some(self.idle_timeout);
        // For the stock loop, which knows no other deadlines; the exchange sets its own.
        let timeouts = &self.provider.definition.timeouts;
        peer.options.read_timeout = Some(timeouts.total.get());
        peer.options.write_timeout = Some(timeouts.header.get());
        peer.options.max_h2_streams = MAX_H2_STREAMS;
        peer.options.alpn = if base.tls { ALPN::H2H1 } else { ALPN::H1 };
        peer
    }

    /// How long an idle connection is kept.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// An attempt succeeded.
    pub fn succeeded(&self, now: Instant) {
        self.recent.observe(false, now);
        // Read first: in good times no core has to own the line.
        if self.consecutive_failures.load(Ordering::Relaxed) != 0 {
            self.consecutive_failures.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt failed. What is not the provider's fault is no error of it, here or anywhere.
    pub fn failed(&self, class: ErrorClass, reason: String, now: Instant) {
        if !class.is_provider_fault() {
            return;
        }
        self.recent.observe(true, now);
        self.minute.observe_error(now);
        self.consecutive_failures.fetch_add(1, Ordering::Relaxed);
        self.last_error.store(Some(Arc::new(reason)));
    }

    /// Failures since the last success.
    pub fn consecutive_failures(&self) -> u64 {
        self.consecutive_failures.load(Ordering::Relaxed)
    }
}
