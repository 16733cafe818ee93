//! What goes on beside requests: names are resolved, credential files re-read, tokens renewed, idle connections looked
//! after.
//!
//! One service, since each costs a runtime and a thread.

use crate::config;
use crate::gateway::state::Snapshot;
use crate::gateway::tokens;
use crate::providers::auths::{Auths, Fingerprint};
use crate::providers::provider::Provider;
use crate::providers::registry::Registry;
use crate::providers::resolve::{Change, Lookup, REFRESH};
use crate::settings::{Node, Problems};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::join_all;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::{interval, timeout};

/// How often the folder of credentials is looked at.
const LOOK_AT_AUTHS: Duration = Duration::from_secs(5);

/// How often tokens are looked at. A look costs next to nothing.
const LOOK_AT_TOKENS: Duration = Duration::from_secs(1);

/// How often idle connections are looked at: one that a provider has closed takes up a socket for so long.
const LOOK_AT_IDLE: Duration = Duration::from_secs(1);

/// How long the start waits for names.
const FIRST_LOOKUP: Duration = Duration::from_secs(3);

/// The background service.
pub struct Housekeeping {
    snapshot: Arc<ArcSwap<Snapshot>>,
    lookup: Arc<dyn Lookup>,
    auth_dir: PathBuf,
    /// The folder of credentials before it was read at the start: what came in between is not missed.
    auths_seen: Fingerprint,
}

impl Housekeeping {
    /// Keeps this snapshot's names and credentials fresh.
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        lookup: Arc<dyn Lookup>,
        auth_dir: PathBuf,
        auths_seen: Fingerprint,
    ) -> Housekeeping {
        Housekeeping { snapshot, lookup, auth_dir, auths_seen }
    }

    async fn resolve_names(&self) {
        let mut ticks = interval(REFRESH);
        loop {
            ticks.tick().await;
            let snapshot = self.snapshot.load_full();
            for (provider, change) in snapshot.registry.resolve_names(Arc::clone(&self.lookup)).await {
                report(&provider, &change);
            }
        }
    }

    async fn watch_auths(&self) {
        let mut seen = self.auths_seen;
        let mut ticks = interval(LOOK_AT_AUTHS);
        loop {
            ticks.tick().await;
            let Ok(now) = Fingerprint::of(&self.auth_dir) else { continue };
            if now != seen {
                seen = now;
                read_auths(&self.snapshot.load().registry, &self.auth_dir);
            }
        }
    }

    /// Renews tokens ahead of their end, those of all providers at once.
    async fn renew_tokens(&self) {
        let mut ticks = interval(LOOK_AT_TOKENS);
        loop {
            ticks.tick().await;
            let snapshot = self.snapshot.load_full();
            join_all(snapshot.upstreams.iter().map(|upstream| tokens::renew(upstream))).await;
        }
    }

    async fn sweep_idle(&self) {
        let mut ticks = interval(LOOK_AT_IDLE);
        loop {
            let now = ticks.tick().await.into_std();
            for upstream in &self.snapshot.load().upstreams {
                upstream.idle.sweep(now);
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Housekeeping {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let until_told = async {
            tokio::select! {
                () = self.resolve_names() => {}
                () = self.watch_auths() => {}
                () = self.renew_tokens() => {}
                _ = shutdown.changed() => {}
            }
        };
        // Connections are given back for as long as there are answers on their way.
        tokio::join!(until_told, self.sweep_idle());
    }
}

/// Resolves every provider's name once before the first request comes, if it can be done in a moment.
pub fn resolve_first(registry: &Registry, lookup: &Arc<dyn Lookup>) {
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
    let resolved = async { timeout(FIRST_LOOKUP, registry.resolve_names(Arc::clone(lookup))).await };
    match runtime.block_on(resolved) {
        Ok(changes) => changes.iter().for_each(|(provider, change)| report(provider, change)),
        Err(_) => log::warn!("not every provider's name resolved within {FIRST_LOOKUP:?}; starting without"),
    }
    // A look-up that hangs in the system must not hang the start.
    runtime.shutdown_background();
}

fn report(provider: &Provider, change: &Change) {
    let name = provider.name();
    match change {
        Change::Resolved { addresses } => log::debug!("{name}: {addresses} addresses"),
        Change::Failed { cause, kept } => {
            log::warn!("{name}: its name does not resolve ({cause}); {kept} known addresses are used");
        }
    }
}

/// Gives the providers the credentials of a folder's files. What is wrong with one is said, and stops no
/// other.
pub fn read_auths(registry: &Registry, folder: &Path) {
    let auths = match Auths::read(folder, &parse) {
        Ok(auths) => auths,
        Err(error) => return log::warn!("{}: can't be read: {error}", folder.display()),
    };
    for (file, problem) in &auths.problems {
        log::warn!("{}:{problem}", folder.join(&**file).display());
    }
    let definitions = registry.providers().iter().map(|provider| &*provider.definition);
    for (file, why) in auths.strangers(definitions) {
        log::warn!("{}: {why}", folder.join(file).display());
    }
    registry.take_auths(&auths);
}

fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    config::parse(text, &config::process_environment, problems)
}
