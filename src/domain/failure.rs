//! An error of the gateway's own making: what the client may read, and what only the log may say.

use std::fmt;
use std::time::Duration;

/// The closed list of gateway errors: the value of `x-cliproxy-error`, whatever the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The path is not one of ours.
    NotFound,
    /// The path is ours, the method isn't.
    MethodNotAllowed,
    /// No provider serves the model that was asked for.
    ModelNotFound,
    /// A provider's quota is spent.
    QuotaExceeded,
    /// The client key's rate limit is reached.
    RateLimited,
    /// The client key's budget is spent.
    BudgetExceeded,
    /// Every candidate is cooling down.
    AllProvidersCooling,
    /// The providers refused every credential.
    UpstreamCredentialsExhausted,
    /// No provider could answer.
    UpstreamUnavailable,
    /// Providers answered, and what their models said can't be given on.
    ModelFailed,
    /// The gateway has no room for another request.
    Overloaded,
    /// The body or header is over its limit.
    RequestTooLarge,
    /// The body's `Content-Encoding` or media type is not one that we read.
    UnsupportedMediaType,
    /// The request can't be understood.
    InvalidRequest,
    /// No client key, or an unknown one.
    Unauthorized,
    /// The client key may not use this model.
    ModelForbidden,
    /// The client, or the web page behind it, may not do this.
    Forbidden,
    /// No candidate can express what the request asks for.
    UnsupportedFeature,
    /// A deadline passed.
    Timeout,
    /// This process is shutting down.
    Draining,
    /// A bug of ours.
    Internal,
}

impl ErrorCode {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::NotFound => "not_found",
            ErrorCode::MethodNotAllowed => "method_not_allowed",
            ErrorCode::ModelNotFound => "model_not_found",
            ErrorCode::QuotaExceeded => "quota_exceeded",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::BudgetExceeded => "budget_exceeded",
            ErrorCode::AllProvidersCooling => "all_providers_cooling",
            ErrorCode::UpstreamCredentialsExhausted => "upstream_credentials_exhausted",
            ErrorCode::UpstreamUnavailable => "upstream_unavailable",
            ErrorCode::ModelFailed => "model_failed",
            ErrorCode::Overloaded => "overloaded",
            ErrorCode::RequestTooLarge => "request_too_large",
            ErrorCode::UnsupportedMediaType => "unsupported_media_type",
            ErrorCode::InvalidRequest => "invalid_request",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::ModelForbidden => "model_forbidden",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::UnsupportedFeature => "unsupported_feature",
            ErrorCode::Timeout => "timeout",
            ErrorCode::Draining => "draining",
            ErrorCode::Internal => "internal_error",
        }
    }

    /// The HTTP status that goes with the code, unless the failure says otherwise.
    pub const fn status(self) -> u16 {
        match self {
            ErrorCode::NotFound | ErrorCode::ModelNotFound => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::QuotaExceeded | ErrorCode::RateLimited | ErrorCode::BudgetExceeded => 429,
            ErrorCode::UpstreamCredentialsExhausted | ErrorCode::ModelFailed => 502,
            ErrorCode::AllProvidersCooling
            | ErrorCode::UpstreamUnavailable
            | ErrorCode::Overloaded
            | ErrorCode::Draining => 503,
            ErrorCode::RequestTooLarge => 413,
            ErrorCode::UnsupportedMediaType => 415,
            ErrorCode::InvalidRequest => 400,
            ErrorCode::Unauthorized => 401,
            ErrorCode::ModelForbidden | ErrorCode::Forbidden => 403,
            ErrorCode::UnsupportedFeature => 400,
            ErrorCode::Timeout => 504,
            ErrorCode::Internal => 500,
        }
    }
}

/// A failure that the gateway answers itself. `public` goes to the client and says what to do;
/// `internal` goes to the log only and may name hosts and causes (never keys).
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which of our errors this is.
    pub code: ErrorCode,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What the client reads.
    pub public: String,
    /// What only the log may say; empty if there is nothing to add.
    pub internal: String,
    /// When to come back, sent as `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure with the code's own status and nothing to hide.
    pub fn new(code: ErrorCode, public: impl Into<String>) -> Failure {
        Failure {
            code,
            status: code.status(),
            public: public.into(),
            internal: String::new(),
            retry_after: None,
        }
    }

    /// The same, answered with another status.
    pub fn with_status(mut self, status: u16) -> Failure {
        self.status = status;
        self
    }

    /// The same, with a cause for the log.
    pub fn because(mut self, internal: impl fmt::Display) -> Failure {
        self.internal = internal.to_string();
        self
    }

    /// The same, with a time to come back.
    pub fn retry_after(mut self, wait: Duration) -> Failure {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.public)?;
        if self.internal.is_empty() { Ok(()) } else { write!(f, " ({})", self.internal) }
    }
}
