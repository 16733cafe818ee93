//! Why somebody rests.

use crate::domain::ErrorClass;
use std::fmt;

/// Why a provider or a credential rests: the `reason` in status, log and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It limits its rate (429).
    RateLimit,
    /// It failed: 5xx, no capacity, an answer that broke off.
    ServerError,
    /// It didn't answer in time.
    Timeout,
    /// It couldn't be reached.
    Transport,
    /// It refused the credential.
    Auth,
    /// Its quota is used up.
    Quota,
    /// An operator said so.
    Manual,
}

impl Reason {
    /// The reasons whose errors are counted, and too many of which make a provider rest.
    pub const COUNTED: [Reason; 4] =
        [Reason::RateLimit, Reason::ServerError, Reason::Timeout, Reason::Transport];

    /// What an attempt's failure counts as; `None` where it is nobody's fault who could rest.
    pub const fn of(class: ErrorClass) -> Option<Reason> {
        match class {
            ErrorClass::RateLimit => Some(Reason::RateLimit),
            ErrorClass::Overloaded | ErrorClass::ServerError | ErrorClass::Truncated => {
                Some(Reason::ServerError)
            }
            ErrorClass::Timeout => Some(Reason::Timeout),
            ErrorClass::Transport => Some(Reason::Transport),
            ErrorClass::Auth => Some(Reason::Auth),
            ErrorClass::ModelNotFound
            | ErrorClass::ContextLength
            | ErrorClass::ContentFilter
            | ErrorClass::InvalidRequest
            | ErrorClass::ModelFailed
            | ErrorClass::Cancelled
            | ErrorClass::Gateway => None,
        }
    }

    /// Whether it failed, so that a probe without a token can tell when it is well again, and that it is asked all the same
    /// where nobody else is left. Limits, refusals and an operator's word are respected.
    pub const fn is_failure(self) -> bool {
        matches!(self, Reason::ServerError | Reason::Timeout | Reason::Transport)
    }

    /// The word in status, log and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::RateLimit => "rate_limit",
            Reason::ServerError => "server_error",
            Reason::Timeout => "timeout",
            Reason::Transport => "transport",
            Reason::Auth => "auth",
            Reason::Quota => "quota",
            Reason::Manual => "manual",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
