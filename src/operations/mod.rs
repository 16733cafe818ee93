//! The operations API: who may ask what about the gateway, and what they are answered.
//!
//! Transport-free: a [`Request`] in, a [`Response`] out, never waiting. The same router answers on the
//! operations port and on the gateway port; only `service` knows what carries it. What other rooms have
//! to show comes through [`View`], which the composition root plugs in, so that nothing here knows how
//! providers are kept.

mod access;
mod answers;
pub mod config;
mod message;
mod routes;
mod service;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

pub use access::Access;
pub use message::{Port, Request, Response};
pub use routes::{ROUTES, Route};
pub use service::{OperationsApp, answer};
pub use view::{CredentialView, Health, ProviderHealth, ProviderView, View};

use self::access::AccessRules;
use crate::observe::Metrics;

/// The version that `/health` and `cliproxy_build_info` report.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The control plane's read side.
pub struct Operations {
    view: Arc<dyn View>,
    metrics: Arc<Metrics>,
    access: AccessRules,
    metrics_path: Option<String>,
}

impl Operations {
    /// The API as it is configured. Metrics are served where `metrics` says, if it is enabled.
    pub fn new(
        view: Arc<dyn View>,
        meters: Arc<Metrics>,
        api: &config::Api,
        metrics: &config::Metrics,
    ) -> Operations {
        Operations {
            view,
            metrics: meters,
            access: AccessRules::new(api, metrics),
            metrics_path: metrics.enabled.then(|| metrics.path.clone()),
        }
    }

    /// Answers a request.
    pub fn dispatch(&self, request: &Request<'_>) -> Response {
        routes::dispatch(self, request)
    }

    /// Whether a path on the gateway port is this room's to answer, if only with a 404.
    pub fn owns(&self, path: &str) -> bool {
        routes::owns(self, path)
    }
}
