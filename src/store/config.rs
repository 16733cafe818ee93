//! The settings of the store.

use crate::domain::Secret;
use crate::settings::{Node, Problems, choices, settings};

choices! {
    /// Where state is kept.
    pub enum Backend {
        /// In `state_dir`.
        Embedded = "embedded",
        /// In Redis or Valkey, shared between nodes.
        Redis = "redis",
    }
}

settings! {
    /// Where quotas, budgets, cooldowns, rate limits and the cache are kept.
    #[derive(Eq)]
    pub struct State {
        /// embedded (in `state_dir`) or redis; default embedded.
        backend: Backend,
        /// Address of Redis: redis:// or rediss://; default: none.
        url: Option<Secret>,
    }
    check Self::check;
}

impl State {
    fn check(&self, node: &Node, problems: &mut Problems) {
        let schemes = ["redis://", "rediss://"];
        match (&self.url, self.backend) {
            (Some(url), _) if !schemes.iter().any(|scheme| url.expose().starts_with(scheme)) => {
                problems.error_at(node, "url", "expected a redis:// or rediss:// address");
            }
            (None, Backend::Redis) if node.get("url").is_none() => {
                problems.error_at(node, "url", "is required with `backend: redis`");
            }
            _ => {}
        }
    }
}
