//! The composition root: the only place that builds shared state and adds services to Pingora's server.
//!
//! From a checked configuration to a running process. What each part does is its own room's business;
//! here they are introduced to each other.

mod background;
mod pem;
mod shutdown;
mod view;

use crate::balance::{RoundRobin, Strategy};
use crate::config::{Config, Loaded};
use crate::domain::{Period, Size};
use crate::gateway::Gateway;
use crate::gateway::clients::Clients;
use crate::gateway::door::{self, Door};
use crate::gateway::life::Life;
use crate::gateway::limits::Room;
use crate::gateway::state::{Settings, Snapshot};
use crate::observe::Metrics;
use crate::operations::{Operations, OperationsApp, VERSION};
use crate::providers::auths::Fingerprint;
use crate::providers::definition::{Definition, DefinitionError};
use crate::providers::registry::{Blueprint, Registry};
use crate::providers::resolve::{Lookup, System};
use arc_swap::ArcSwap;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use shutdown::Signals;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use view::LiveView;

/// What is left to Pingora after our own drain: it must not cut what we still wait for.
const AFTER_GRACE: Duration = Duration::from_secs(5);
/// The share of memory that request bodies may hold where nothing is configured.
const BODY_SHARE: u64 = 4;
/// What is taken for the memory limit where none can be read: 2 GiB, as in the guide's compose file.
const ASSUMED_MEMORY: u64 = 2 << 30;

/// Why the gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A provider is not usable as configured.
    #[error("providers.{name}: {cause}")]
    Provider {
        /// Which.
        name: String,
        /// Why.
        cause: DefinitionError,
    },
    /// A file of certificates or keys can't be used.
    #[error("{key}: {path} {why}")]
    File {
        /// The key that names it.
        key: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address can't be listened on.
    #[error("cannot listen on {address} ({key}): {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The key that says so.
        key: &'static str,
        /// Why.
        cause: std::io::Error,
    },
    /// The metrics contradict each other: a bug.
    #[error("metrics: {0}")]
    Metrics(String),
    /// The process can't take part in TLS: a bug.
    #[error("TLS can't be set up")]
    Tls,
}

/// A gateway that is ready to run.
pub struct App {
    config: Config,
    gateway: Gateway,
    life: Arc<Life>,
    operations: Arc<Operations>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    lookup: Arc<dyn Lookup>,
    auths_seen: Fingerprint,
}

/// What can be exchanged: tests put their own in the place of these.
pub struct Parts {
    /// Who is chosen among the candidates.
    pub strategy: Arc<dyn Strategy>,
    /// How names become addresses.
    pub lookup: Arc<dyn Lookup>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts { strategy: Arc::new(RoundRobin), lookup: Arc::new(System) }
    }
}

impl App {
    /// Builds everything.
    ///
    /// # Errors
    /// When a provider can't be used as it is configured.
    pub fn build(loaded: Loaded, parts: Parts) -> Result<App, StartError> {
        App::check_files(&loaded.config)?;
        let now = Instant::now();
        let metrics = Metrics::new(VERSION).map_err(|error| StartError::Metrics(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let life = Arc::new(Life::default());
        let auths_seen = Fingerprint::of(&loaded.config.auth_dir).unwrap_or_default();
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot(&loaded, parts.strategy, &metrics, now)?));
        let config = loaded.config;
        let view = LiveView::new(Arc::clone(&snapshot), Arc::clone(&life), now);
        let api = &config.server.operations.api;
        let operations = Operations::new(Arc::new(view), Arc::clone(&metrics), api, &config.metrics);
        let operations = Arc::new(operations);
        let limits = &config.server.limits;
        let gateway = Gateway {
            snapshot: Arc::clone(&snapshot),
            life: Arc::clone(&life),
            metrics,
            operations: Arc::clone(&operations),
            places: Room::new(limits.max_concurrent_requests as usize),
            bodies: Room::new(limits.max_buffered_bytes.map_or_else(default_body_room, Size::as_usize)),
        };
        Ok(App { config, gateway, life, operations, snapshot, lookup: parts.lookup, auths_seen })
    }

    /// Whether the files of certificates and keys can be used.
    ///
    /// # Errors
    /// With the first that can't.
    pub fn check_files(config: &Config) -> Result<(), StartError> {
        pem::check(config)
    }

    /// Whether both ports can be listened on; [`App::run`] looks again.
    ///
    /// # Errors
    /// With the first that can't.
    pub fn check_ports(config: &Config) -> Result<(), StartError> {
        check_address(gateway_address(config), "server.port")?;
        if config.metrics.enabled {
            check_address(operations_address(config), "metrics.port")?;
        }
        Ok(())
    }

    /// Serves until the process is told to stop, then exits it.
    ///
    /// # Errors
    /// When it can't begin to.
    pub fn run(self) -> Result<(), StartError> {
        let server = &self.config.server;
        let gateway_address = gateway_address(&self.config);
        let operations_address = operations_address(&self.config);
        App::check_ports(&self.config)?;
        background::resolve_first(&self.snapshot.load().registry, &self.lookup);
        let mut pingora = Server::new_with_opt_and_conf(None, server_conf(&self.config));
        pingora.bootstrap();
        let conf = Arc::clone(&pingora.configuration);
        if self.config.metrics.enabled {
            let mut service = OperationsApp::service(self.operations);
            service.threads = Some(1);
            service.add_tcp(&operations_address.to_string());
            pingora.add_service(service);
            log::info!("operations API on http://{operations_address}");
        }
        let mut service = Door::service(&conf, self.gateway, &server.limits);
        let scheme = match &server.tls {
            Some(tls) => {
                let settings = door::tls(&tls.cert_file, &tls.key_file).map_err(|_| StartError::Tls)?;
                service.add_tls_with_settings(&gateway_address.to_string(), None, settings);
                "https"
            }
            None => {
                service.add_tcp(&gateway_address.to_string());
                "http"
            }
        };
        pingora.add_service(service);
        let housekeeping = background::Housekeeping::new(
            self.snapshot,
            self.lookup,
            self.config.auth_dir.clone(),
            self.auths_seen,
        );
        let mut housekeeping = background_service("housekeeping", housekeeping);
        housekeeping.threads = Some(1);
        pingora.add_service(housekeeping);
        log::info!("gateway on {scheme}://{gateway_address}");
        let delay = server.shutdown_delay.get().map_or(Duration::ZERO, Period::get);
        let signals = Signals::new(self.life, delay, server.grace_period.get());
        pingora.run(RunArgs { shutdown_signal: Box::new(signals) });
        Ok(())
    }
}

fn gateway_address(config: &Config) -> SocketAddr {
    SocketAddr::new(config.server.host, config.server.port.0)
}

fn operations_address(config: &Config) -> SocketAddr {
    SocketAddr::new(config.metrics.host.unwrap_or(config.server.host), config.metrics.port.0)
}

/// Makes the process ready for TLS. To be called once, before anything connects or listens.
///
/// # Errors
/// When another provider of cryptography was installed before.
pub fn prepare_process() -> Result<(), StartError> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| StartError::Tls)
}

fn snapshot(
    loaded: &Loaded,
    strategy: Arc<dyn Strategy>,
    metrics: &Metrics,
    now: Instant,
) -> Result<Snapshot, StartError> {
    let config = &loaded.config;
    let mut definitions = Vec::with_capacity(config.providers.len());
    for (name, settings) in &config.providers {
        let definition = Definition::new(name, settings)
            .map_err(|cause| StartError::Provider { name: name.clone(), cause })?;
        let lacks_its_key = loaded.keyless.contains(name);
        definitions.push(if lacks_its_key { definition.requiring_key() } else { definition });
    }
    let registry = Registry::build(Blueprint { definitions, models: config.models.clone(), strategy }, None);
    background::read_auths(&registry, &config.auth_dir);
    let clients = Clients::new(&config.server.auth, config.server.host.is_loopback());
    let operations = &config.server.operations;
    let settings = Settings {
        limits: config.server.limits.clone(),
        cors: config.server.cors.clone(),
        retry: operations.retry.clone(),
        streaming: operations.streaming.clone(),
        pool: operations.connection_pool.clone(),
    };
    Ok(Snapshot::new(clients, registry, settings, Arc::default(), metrics, now))
}

/// Pingora panics when it can't bind, far from whoever could say why; so it is tried first.
fn check_address(address: SocketAddr, key: &'static str) -> Result<(), StartError> {
    TcpListener::bind(address).map(drop).map_err(|cause| StartError::Listen { address, key, cause })
}

fn server_conf(config: &Config) -> ServerConf {
    let pool = &config.server.operations.connection_pool;
    let threads = config.server.threads.map_or_else(available_threads, |threads| threads as usize);
    let grace = config.server.grace_period.get() + AFTER_GRACE;
    ServerConf {
        threads,
        grace_period_seconds: Some(grace.as_secs()),
        graceful_shutdown_timeout_seconds: Some(AFTER_GRACE.as_secs()),
        // Once, and once more where a pooled connection was dead: see `gateway::passthrough`.
        max_retries: 2,
        upstream_keepalive_pool_size: pool.max_idle_conns as usize,
        ..ServerConf::default()
    }
}

/// What the cgroup's CPU quota allows, which the standard library reads.
fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn default_body_room() -> usize {
    usize::try_from(memory_limit() / BODY_SHARE).unwrap_or(usize::MAX)
}

/// The memory limit of this process's cgroup (version 2, then 1), or a modest assumption.
fn memory_limit() -> u64 {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
        // Version 1 says "no limit" with a number near 2^63.
        .filter(|limit: &u64| *limit < 1 << 50)
        .unwrap_or(ASSUMED_MEMORY)
}
