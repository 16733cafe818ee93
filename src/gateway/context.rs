//! What is known of one request while it is served: Pingora's `CTX`.
//!
//! It holds one snapshot of the configuration, so that nothing changes under a request, and everything
//! that must be given back or settled when it ends, on whatever path.

use super::attempt::Attempt;
use super::cors;
use super::course::Course;
use super::homes::Home;
use super::keepalive::KeepAlive;
use super::life::Open;
use super::limits::Permit;
use super::mask::Pieces;
use super::routes::Endpoint;
use super::settle::Settlement;
use super::state::Snapshot;
use crate::domain::Dialect;
use crate::observe::{InFlight, Metrics};
use crate::providers::routes::Route;
use crate::translate::features::Features;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Instant;

/// Ids of clients are taken over up to this length.
const MAX_REQUEST_ID_BYTES: usize = 128;
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// One request.
pub struct Context {
    /// The configuration that it is served with.
    pub snapshot: Arc<Snapshot>,
    /// Its id, in log and answer.
    pub request_id: HeaderValue,
    /// The dialect in which errors are written.
    pub dialect: Dialect,
    /// What `Allow` says, where the method was wrong.
    pub allow: Option<&'static str>,
    /// Cross-origin headers for the answer.
    pub cors: cors::Headers,
    /// What was called, where it is an inference endpoint.
    pub endpoint: Option<&'static Endpoint>,
    /// What is asked for that not every dialect has; `None` where only providers of the client's dialect can be asked.
    pub features: Option<Features>,
    /// Who alone can serve it, because it refers to what only its maker has.
    pub home: Option<Home>,
    /// The model that the client named.
    pub model: Arc<str>,
    /// Which providers may serve it.
    pub route: Option<Arc<Route>>,
    /// Who was asked, and who is next.
    pub course: Course,
    /// When the client of a silent stream gets a sign of life.
    pub keepalive: KeepAlive,
    /// The attempt under way.
    pub attempt: Option<Attempt>,
    /// How it ends, said exactly once.
    pub settlement: Settlement,
    /// What it holds, given back when it ends.
    pub held: Option<Held>,
    /// Whether it goes through the stock loop.
    pub passthrough: bool,
    /// Whether the stock loop tries the same provider again, on a connection that is surely fresh.
    pub retries_dead: bool,
    /// What masks the error that the stock loop relays.
    pub masking: Option<Pieces>,
}

/// What an admitted request holds.
pub struct Held {
    /// Its place among the concurrent requests.
    pub place: Permit,
    /// The body bytes that it keeps.
    pub body: Permit,
    /// Keeps a draining process alive.
    pub open: Open,
    /// Its count in the metrics.
    pub in_flight: InFlight,
}

impl Context {
    /// A request that has just arrived.
    pub fn new(snapshot: Arc<Snapshot>, metrics: Arc<Metrics>, now: Instant) -> Context {
        let no_id = HeaderValue::from_static("");
        Context {
            snapshot,
            request_id: no_id.clone(),
            dialect: Dialect::OpenAi,
            allow: None,
            cors: cors::Headers::new(),
            endpoint: None,
            features: None,
            home: None,
            model: Arc::default(),
            route: None,
            course: Course::default(),
            keepalive: KeepAlive::default(),
            attempt: None,
            settlement: Settlement::new(metrics, no_id, now),
            held: None,
            passthrough: false,
            retries_dead: false,
            masking: None,
        }
    }

    /// Gives the request its id, once its header is known.
    pub fn identify(&mut self, id: HeaderValue) {
        self.settlement.request_id = id.clone();
        self.request_id = id;
    }
}

/// The client's own id, if it is sane, else a new one.
pub fn request_id(from_client: Option<&HeaderValue>) -> HeaderValue {
    let is_sane = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= MAX_REQUEST_ID_BYTES
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
    };
    if let Some(id) = from_client.filter(is_sane) {
        return id.clone();
    }
    let mut id = *b"req-012345678901234567890123";
    // By hand: every request needs one, and formatted it costs five times as much.
    let (pairs, _) = id["req-".len()..].as_chunks_mut();
    for ([high, low], byte) in pairs.iter_mut().zip(fastrand::u128(..).to_le_bytes()) {
        *high = HEX_DIGITS[usize::from(byte >> 4)];
        *low = HEX_DIGITS[usize::from(byte & 0xf)];
    }
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("req-0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        let kept = HeaderValue::from_static("trace-1.a:b_C");
        assert_eq!(request_id(Some(&kept)), kept);
        let longest = HeaderValue::from_str(&"x".repeat(MAX_REQUEST_ID_BYTES)).expect("a value");
        assert_eq!(request_id(Some(&longest)), longest);
        let too_long = HeaderValue::from_str(&"x".repeat(MAX_REQUEST_ID_BYTES + 1)).expect("a value");
        for bad in
            [Some(too_long), Some(HeaderValue::from_static("a b")), Some(HeaderValue::from_static("")), None]
        {
            let id = request_id(bad.as_ref());
            let digits = id.to_str().ok().and_then(|id| id.strip_prefix("req-")).expect("our form");
            assert!(digits.len() == 24 && digits.bytes().all(|it| HEX_DIGITS.contains(&it)), "{digits}");
        }
        assert_ne!(request_id(None), request_id(None));
    }
}
