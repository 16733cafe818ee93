//! One attempt at one provider: what it holds, and how it ends.
//!
//! An attempt is settled exactly once; one that is dropped unsettled was cancelled.

use super::upstream::Upstream;
use crate::domain::ErrorClass;
use crate::observe::events::{AttemptFailed, AttemptSucceeded};
use crate::providers::credential::Entry;
use crate::providers::provider::Permit;
use http::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An attempt under way, and what it holds.
pub struct Attempt {
    /// Who is asked.
    pub upstream: Arc<Upstream>,
    /// With which credential.
    pub credential: Arc<Entry>,
    /// For which model, by the provider's name.
    pub model: Arc<str>,
    /// Since when.
    pub started: Instant,
    /// The request that it is part of.
    pub request_id: HeaderValue,
    /// What the provider isn't told of the request, as the client is told.
    pub dropped: Option<HeaderValue>,
    settled: bool,
    took: Option<Duration>,
    permit: Option<Permit>,
}

impl Attempt {
    /// Begins an attempt.
    pub fn begin(
        upstream: Arc<Upstream>,
        credential: Arc<Entry>,
        model: Arc<str>,
        permit: Permit,
        request_id: HeaderValue,
        now: Instant,
    ) -> Attempt {
        Attempt {
            upstream,
            credential,
            model,
            started: now,
            request_id,
            dropped: None,
            settled: false,
            took: None,
            permit: Some(permit),
        }
    }

    /// How long it has taken by now, or took.
    pub fn took_by(&self, now: Instant) -> Duration {
        self.took.unwrap_or_else(|| now.saturating_duration_since(self.started))
    }

    /// The provider's part is over, and its place free, however long the client takes.
    fn end(&mut self) -> Duration {
        self.permit = None;
        *self.took.insert(self.started.elapsed())
    }

    /// It was answered, whole.
    pub fn succeed(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let took = self.end();
        self.upstream.succeeded(self.started + took);
        AttemptSucceeded {
            provider: self.upstream.provider.name(),
            credential: self.credential.label(),
            model: &self.model,
            request_id: self.request_id.to_str().unwrap_or_default(),
            duration: took,
        }
        .emit(&self.upstream.meters);
    }

    /// It failed. `reason` is for operators and names no secret.
    pub fn fail(&mut self, class: ErrorClass, status: Option<u16>, reason: &str) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let took = self.end();
        self.upstream.failed(class, format!("{class}: {reason}"), self.started + took);
        AttemptFailed {
            provider: self.upstream.provider.name(),
            credential: self.credential.label(),
            model: &self.model,
            request_id: self.request_id.to_str().unwrap_or_default(),
            class,
            status,
            duration: took,
            internal: reason,
        }
        .emit(&self.upstream.meters);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.fail(ErrorClass::Cancelled, None, "dropped before its end");
    }
}
