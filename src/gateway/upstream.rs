//! A provider as the data plane meets it: its connections, its meters, its last minute.

use super::retry::budget::Budget;
use super::unhurried::Unhurried;
use super::wire::idle::Idle;
use crate::domain::ErrorClass;
use crate::observe::ProviderMeters;
use crate::providers::definition::Definition;
use crate::providers::provider::Provider;
use crate::stats::{Minute, Outcomes};
use arc_swap::ArcSwapOption;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::protocols::ALPN;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// HTTP/2 streams on one connection to a provider. Pingora's default is 1, which is no multiplexing.
const MAX_H2_STREAMS: u32 = 100;
/// What a provider may send on a stream before we have read it.
const H2_STREAM_WINDOW: u32 = 1 << 20;
/// The same for a connection: as much as all its streams may have, since a client that stops reading would
/// stop everybody's answers otherwise (Pingora's default for both is 8 MiB).
const H2_CONNECTION_WINDOW: u32 = MAX_H2_STREAMS * H2_STREAM_WINDOW;
/// How often a connection is asked for a sign of life; one that gives none for 5 s is closed.
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// One provider's part of the data plane. Lives as long as the provider's definition is unchanged.
pub struct Upstream {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What makes its connections, and keeps those of HTTP/2.
    pub connector: Arc<Connector>,
    /// Its connections of HTTP/1.1 that nobody uses.
    pub idle: Idle,
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
    identity: Identity,
}

/// Who is trusted at the other end, and who we say we are. Our connector has it from its files; Pingora's
/// stock loop has one connector for all providers, and is told with each connection.
struct Identity {
    trusted: Option<Arc<CaType>>,
    ours: Option<Arc<CertKey>>,
}

impl Identity {
    /// Reads files that were found good before. One that has gone bad since trusts nobody and names nobody.
    fn read(definition: &Definition) -> Identity {
        let certificates = |file: &Path| -> Vec<Vec<u8>> {
            let read = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
            read.map(|certificate| certificate.to_vec()).collect()
        };
        let trusted = definition.ca_file.as_deref().map(|file| {
            certificates(file).into_iter().map(|raw| WrappedX509::new(raw, parse_x509)).collect()
        });
        let ours = definition.client_cert_and_key.as_ref().and_then(|(certificate, key)| {
            let chain = certificates(certificate);
            let key = PrivateKeyDer::from_pem_file(key).ok().filter(|_| !chain.is_empty())?;
            Some(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
        });
        Identity { trusted, ours }
    }
}

/// Whom to trust, and the certificate and key to show.
#[derive(PartialEq, Eq, Hash)]
struct TlsFiles<'d> {
    ca: Option<&'d Path>,
    ours: Option<&'d (PathBuf, PathBuf)>,
}

impl TlsFiles<'_> {
    fn connector(&self, max_idle: usize) -> Connector {
        let shown = |path: &Path| path.display().to_string();
        let mut options = ConnectorOptions::new(max_idle);
        options.ca_file = self.ca.map(shown);
        options.cert_key_file = self.ours.map(|(certificate, key)| (shown(certificate), shown(key)));
        Connector::new(Some(options))
    }
}

/// A connector for each provider, which may keep so many idle connections of HTTP/2. Those that trust the same
/// certificates and show the same have one in common, which keeps as many as all of them may: each reads its files, and
/// the system's, which takes 10 ms and 330 KB.
pub fn connectors<'d>(
    definitions: impl Iterator<Item = &'d Definition>,
    max_idle: usize,
) -> Vec<Arc<Connector>> {
    let files = |definition: &'d Definition| TlsFiles {
        ca: definition.ca_file.as_deref(),
        ours: definition.client_cert_and_key.as_ref(),
    };
    let all: Vec<TlsFiles<'d>> = definitions.map(files).collect();
    let mut made: HashMap<&TlsFiles<'d>, Arc<Connector>> = HashMap::new();
    let connector = |files| {
        let connector = made.entry(files).or_insert_with(|| {
            let sharing = all.iter().filter(|other| *other == files).count();
            Arc::new(files.connector(max_idle.saturating_mul(sharing)))
        });
        Arc::clone(connector)
    };
    all.iter().map(connector).collect()
}

impl Upstream {
    /// The upstream side of a provider, which may keep so many idle connections.
    pub fn new(
        provider: Arc<Provider>,
        connector: Arc<Connector>,
        meters: ProviderMeters,
        max_idle: usize,
        idle_timeout: Duration,
        now: Instant,
    ) -> Upstream {
        Upstream {
            identity: Identity::read(&provider.definition),
            provider,
            connector,
            idle: Idle::new(max_idle, idle_timeout),
            meters,
            minute: Minute::new(now),
            last_error: ArcSwapOption::empty(),
            budget: Budget::new(now),
            recent: Outcomes::new(now),
            consecutive_failures: AtomicU64::new(0),
            idle_timeout,
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
        peer.options.max_h2_streams = MAX_H2_STREAMS as usize;
        peer.options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        peer.options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
        peer.options.h2_ping_interval = Some(H2_PING_INTERVAL);
        peer.options.alpn = if base.tls { ALPN::H2H1 } else { ALPN::H1 };
        peer
    }

    /// Makes the peer one for Pingora's stock loop, which has a connector of its own. A request that switches
    /// protocols can do so on HTTP/1.1 only.
    pub fn for_stock_loop(&self, peer: &mut HttpPeer, switches_protocols: bool) {
        peer.options.ca.clone_from(&self.identity.trusted);
        peer.client_cert_key.clone_from(&self.identity.ours);
        if switches_protocols {
            peer.options.alpn = ALPN::H1;
            peer.options.custom_l4 = Some(Arc::new(Unhurried));
            // A connection of its own: those in the pool are not like that.
            peer.group_key = fastrand::u64(..);
        }
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
