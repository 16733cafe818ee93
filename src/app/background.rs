//! What goes on beside requests: names are resolved, credential files re-read.
//!
//! One service, since each costs a runtime and a thread.

use crate::config;
use crate::gateway::state::Snapshot;
use crate::providers::auths::{Auths, Fingerprint};
use crate::providers::registry::Registry;
use crate::providers::resolve::{Change, Lookup, REFRESH};
use crate::settings::{Node, Problems};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::interval;

/// How often the folder of credentials is looked at.
const LOOK_AT_AUTHS: Duration = Duration::from_secs(5);

/// The background service.
pub struct Housekeeping {
    snapshot: Arc<ArcSwap<Snapshot>>,
    lookup: Arc<dyn Lookup>,
    auth_dir: PathBuf,
}

impl Housekeeping {
    /// Keeps this snapshot's names and credentials fresh.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, lookup: Arc<dyn Lookup>, auth_dir: PathBuf) -> Housekeeping {
        Housekeeping { snapshot, lookup, auth_dir }
    }

    async fn resolve_names(&self) {
        let mut ticks = interval(REFRESH);
        loop {
            ticks.tick().await;
            let snapshot = self.snapshot.load_full();
            for (provider, change) in snapshot.registry.resolve_names(Arc::clone(&self.lookup)).await {
                let name = provider.name();
                match change {
                    Change::Resolved { addresses } => log::debug!("{name}: {addresses} addresses"),
                    Change::Failed { cause, kept } => {
                        log::warn!(
                            "{name}: its name does not resolve ({cause}); {kept} known addresses are used"
                        );
                    }
                }
            }
        }
    }

    async fn watch_auths(&self) {
        let mut seen = Fingerprint::of(&self.auth_dir).unwrap_or_default();
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
}

#[async_trait]
impl BackgroundService for Housekeeping {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        tokio::select! {
            () = self.resolve_names() => {}
            () = self.watch_auths() => {}
            _ = shutdown.changed() => {}
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
    for (file, provider) in auths.strangers(|name| registry.named(name).is_some()) {
        let file = folder.join(file);
        log::warn!("{}: is for the provider `{provider}`, which is not configured", file.display());
    }
    registry.take_auths(&auths);
}

fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    config::parse(text, &config::process_environment, problems)
}
