//! What kind of failure an attempt met, and whose fault that is.

use std::fmt;

/// The one classification of a failed attempt. Retry, cooldown, metrics and status all match on it.
///
/// The names are the closed vocabulary of the `error_type` label of `cliproxy_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The provider said 429: too many requests or tokens.
    RateLimit,
    /// The provider said that it has no capacity (503, Anthropic's 529, or the same words elsewhere).
    Overloaded,
    /// Any other 5xx, 408 or redirect: the provider failed.
    ServerError,
    /// A deadline of ours passed: no header, no first token, no event.
    Timeout,
    /// Connect or TLS failure, reset or end of file before the answer.
    Transport,
    /// An answer broke off after it had begun.
    Truncated,
    /// The credential was refused or has no credit (401, 402, 403).
    Auth,
    /// The provider doesn't have the model (404 that names it).
    ModelNotFound,
    /// The prompt doesn't fit the model's context.
    ContextLength,
    /// The vendor's content policy refused the request.
    ContentFilter,
    /// Any other 4xx: the client's request is at fault.
    InvalidRequest,
    /// The model failed at its answer, which came whole: it called a tool as nobody can. That is chance, and no fault of
    /// the provider, of its credential or of the client.
    ModelFailed,
    /// The client went away.
    Cancelled,
    /// The gateway itself refused or failed.
    Gateway,
}

impl ErrorClass {
    /// Every class, for tables and tests.
    pub const ALL: [ErrorClass; 14] = [
        ErrorClass::RateLimit,
        ErrorClass::Overloaded,
        ErrorClass::ServerError,
        ErrorClass::Timeout,
        ErrorClass::Transport,
        ErrorClass::Truncated,
        ErrorClass::Auth,
        ErrorClass::ModelNotFound,
        ErrorClass::ContextLength,
        ErrorClass::ContentFilter,
        ErrorClass::InvalidRequest,
        ErrorClass::ModelFailed,
        ErrorClass::Cancelled,
        ErrorClass::Gateway,
    ];

    /// The label value in metrics, logs and status.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorClass::RateLimit => "rate_limit",
            ErrorClass::Overloaded => "overloaded",
            ErrorClass::ServerError => "server_error",
            ErrorClass::Timeout => "timeout",
            ErrorClass::Transport => "transport",
            ErrorClass::Truncated => "truncated",
            ErrorClass::Auth => "auth",
            ErrorClass::ModelNotFound => "model_not_found",
            ErrorClass::ContextLength => "context_length",
            ErrorClass::ContentFilter => "content_filter",
            ErrorClass::InvalidRequest => "invalid_request",
            ErrorClass::ModelFailed => "model_failed",
            ErrorClass::Cancelled => "cancelled",
            ErrorClass::Gateway => "gateway",
        }
    }

    /// Whether the client, not the provider, is at fault. Such a failure is no error of the provider anywhere.
    pub const fn is_client_fault(self) -> bool {
        matches!(
            self,
            ErrorClass::ContextLength
                | ErrorClass::ContentFilter
                | ErrorClass::InvalidRequest
                | ErrorClass::Cancelled
        )
    }

    /// Whether the provider is at fault: neither the client, nor the model, nor the gateway.
    pub const fn is_provider_fault(self) -> bool {
        !self.is_client_fault() && !matches!(self, ErrorClass::ModelFailed | ErrorClass::Gateway)
    }

    /// What the failure is once the client has a part of the answer: whatever the provider met, its answer broke off.
    pub const fn after_commit(self) -> ErrorClass {
        match self {
            ErrorClass::ModelFailed => ErrorClass::ModelFailed,
            _ => ErrorClass::Truncated,
        }
    }

    /// Whether another candidate may do better with the same request.
    pub const fn moves_on(self) -> bool {
        matches!(
            self,
            ErrorClass::RateLimit
                | ErrorClass::Overloaded
                | ErrorClass::ServerError
                | ErrorClass::Timeout
                | ErrorClass::Transport
                | ErrorClass::Truncated
                | ErrorClass::Auth
                | ErrorClass::ModelNotFound
                | ErrorClass::ModelFailed
        )
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
