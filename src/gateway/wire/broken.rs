//! Why an answer didn't come, or not whole: what kind of failure that is, and its words. Decides nothing about what follows.

use crate::domain::ErrorClass;
use crate::translate::spoilt::Spoilt;
use crate::translate::{decoding, event_stream};
use pingora::{Error, ErrorType};

/// Why there is no answer.
#[derive(Debug)]
pub struct Broken {
    /// What kind of failure.
    pub class: ErrorClass,
    /// In words, for operators.
    pub reason: String,
}

impl Broken {
    /// A failure of the connection, classified by what Pingora says of it.
    pub fn from_pingora(error: &Error) -> Broken {
        let class = match error.etype() {
            ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout => ErrorClass::Timeout,
            _ => ErrorClass::Transport,
        };
        Broken { class, reason: error.to_string() }
    }

    /// The same, where an answer had begun.
    pub(super) fn in_body(error: &Error) -> Broken {
        let broken = Broken::from_pingora(error);
        let is_timeout = broken.class == ErrorClass::Timeout;
        Broken { class: if is_timeout { broken.class } else { ErrorClass::Truncated }, ..broken }
    }

    /// An answer that can't be given on; of `providers` class if the provider spoilt it.
    pub fn by(spoilt: Spoilt, providers: ErrorClass) -> Broken {
        let class = match spoilt {
            Spoilt::ByProvider(_) => providers,
            Spoilt::ByModel(_) => ErrorClass::ModelFailed,
        };
        Broken { class, reason: spoilt.to_string() }
    }

    /// An answer that isn't whole.
    pub fn truncated(reason: &str) -> Broken {
        Broken { class: ErrorClass::Truncated, reason: reason.to_owned() }
    }
}

impl From<decoding::Broken> for Broken {
    fn from(broken: decoding::Broken) -> Broken {
        Broken { class: ErrorClass::Truncated, reason: broken.to_string() }
    }
}

impl From<event_stream::Broken> for Broken {
    fn from(broken: event_stream::Broken) -> Broken {
        Broken { class: ErrorClass::Truncated, reason: broken.to_string() }
    }
}
