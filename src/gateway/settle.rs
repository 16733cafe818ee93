//! How a request ends, said exactly once on every path: one event, and the provider's last minute.

use super::clients::Client;
use super::upstream::Upstream;
use crate::domain::{ErrorClass, ErrorCode, Failure, TokenUsage};
use crate::observe::events::RequestSettled;
use crate::observe::{Metrics, Status, UNROUTED};
use http::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The cache, until there is one, is bypassed.
pub const CACHE_BYPASS: &str = "bypass";

/// What will be said of a request when it ends. Dropping it says it, if nobody has.
pub struct Settlement {
    metrics: Arc<Metrics>,
    /// The request's id.
    pub request_id: HeaderValue,
    started: Instant,
    /// Whether there is anything to say: operations calls are no client requests.
    counts: bool,
    /// Who asked.
    pub client: Option<Arc<Client>>,
    /// Who answered or was tried last.
    pub upstream: Option<Arc<Upstream>>,
    /// The provider's name for the model, or the client's where no provider was tried.
    pub model: Arc<str>,
    /// Attempts so far.
    pub attempts: u32,
    /// Time spent waiting for providers.
    pub upstream_time: Duration,
    /// Whether the answer is a stream.
    pub stream: bool,
    /// Who broke off, where another provider went on with the stream.
    pub recovered_from: Option<Arc<str>>,
    client_left: bool,
    http_status: u16,
    status: Status,
    error: Option<ErrorClass>,
    code: Option<ErrorCode>,
    internal: String,
    first_content: Option<Duration>,
    tokens: TokenUsage,
    usage_estimated: bool,
}

impl Settlement {
    /// For a request that arrived at `started`.
    pub fn new(metrics: Arc<Metrics>, request_id: HeaderValue, started: Instant) -> Settlement {
        Settlement {
            metrics,
            request_id,
            started,
            counts: false,
            client: None,
            upstream: None,
            model: Arc::default(),
            attempts: 0,
            upstream_time: Duration::ZERO,
            stream: false,
            recovered_from: None,
            client_left: false,
            http_status: 0,
            status: Status::Error,
            error: None,
            code: None,
            internal: String::new(),
            first_content: None,
            tokens: TokenUsage::default(),
            usage_estimated: false,
        }
    }

    /// From now on the request counts as one of a client.
    pub fn count(&mut self) {
        self.counts = true;
    }

    /// Since when the request is here.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The header of an answer went out; how it ends is not known yet.
    pub fn header_sent(&mut self, http_status: u16) {
        self.http_status = http_status;
    }

    /// The status of the header that went out, if one did.
    pub fn http_status(&self) -> Option<u16> {
        (self.http_status != 0).then_some(self.http_status)
    }

    /// An answer of a provider was given to the client, with this status.
    pub fn answered(&mut self, http_status: u16, error: Option<ErrorClass>) {
        self.http_status = http_status;
        self.error = error;
        self.status = if error.is_none() { Status::Success } else { Status::Error };
    }

    /// The gateway refused or gave up.
    pub fn refused(&mut self, failure: &Failure) {
        self.http_status = failure.status;
        self.status = Status::Error;
        self.error = self.error.or(Some(ErrorClass::Gateway));
        self.code = Some(failure.code);
        self.internal = match failure.internal.as_str() {
            "" => failure.public.clone(),
            internal => format!("{} ({internal})", failure.public),
        };
        if self.client_left {
            self.cancelled();
        }
    }

    /// What the last attempt met; what is said of the whole if nothing better comes.
    pub fn attempt_failed(&mut self, class: ErrorClass) {
        self.error = Some(class);
    }

    /// The client went away before it had asked; what it is told may reach nobody.
    pub fn client_left(&mut self) {
        self.client_left = true;
    }

    /// The client went away.
    pub fn cancelled(&mut self) {
        self.status = Status::Cancelled;
        self.error = Some(ErrorClass::Cancelled);
    }

    /// The answer broke off after it had begun.
    pub fn truncated(&mut self, class: ErrorClass, internal: String) {
        self.status = Status::Error;
        self.error = Some(class);
        self.internal = internal;
    }

    /// The first content goes out now.
    pub fn first_content(&mut self) {
        if self.first_content.is_none() {
            self.first_content = Some(self.started.elapsed());
        }
    }

    /// What the answer used, or one of the two parts of a recovered one.
    pub fn used(&mut self, tokens: TokenUsage, estimated: bool) {
        self.tokens = self.tokens + tokens;
        self.usage_estimated |= estimated;
    }

    /// Says it. Later calls say nothing.
    pub fn settle(&mut self) {
        if !std::mem::take(&mut self.counts) {
            return;
        }
        let duration = self.started.elapsed();
        if let Some(upstream) = &self.upstream {
            let latency = (self.status == Status::Success).then_some(duration);
            upstream.minute.observe_request(latency, self.started + duration);
        }
        let (provider, meters) = match &self.upstream {
            Some(upstream) => (&**upstream.provider.name(), &upstream.meters),
            None => (UNROUTED, self.metrics.unrouted()),
        };
        RequestSettled {
            provider,
            model: &self.model,
            request_id: self.request_id.to_str().unwrap_or_default(),
            client: self.client.as_ref().map_or("", |client| &client.name),
            status: self.status,
            http_status: self.http_status,
            error: self.error,
            code: self.code,
            internal: &self.internal,
            duration,
            ttft: self.first_content,
            tokens: self.tokens,
            usage_estimated: self.usage_estimated,
            attempts: self.attempts,
            cache: CACHE_BYPASS,
            stream: self.stream,
            recovered_from: self.recovered_from.as_deref().unwrap_or_default(),
        }
        .emit(meters);
    }
}

impl Drop for Settlement {
    /// A panic, or a task that the runtime dropped: still said, as what it was.
    fn drop(&mut self) {
        self.settle();
    }
}
