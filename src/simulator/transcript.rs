//! What a simulated provider was asked, for tests to read, and a way to wait for it.

use super::wire::Request;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that a transcript keeps; the oldest go first.
pub const MAX_RECEIVED: usize = 10_000;

/// Bytes of bodies that a transcript keeps.
pub const MAX_RECEIVED_BYTES: usize = 256 << 20;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its last byte (of a torn one: the end) was read.
    pub at: Instant,
    /// Which connection it came on, counted from 1 in the order of accepting.
    pub connection: u64,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its `?`; empty if there was none.
    pub query: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, without chunk framing.
    pub body: Bytes,
    /// How it ended.
    pub ending: Ending,
}

/// How an exchange ended, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is still being answered.
    Open,
    /// The whole answer was written.
    Answered(u16, Instant),
    /// The client closed before it had sent all or been answered.
    ClientClosed(Instant),
    /// The simulator broke the connection, as it was told to.
    Broken(Instant),
}

impl Received {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it isn't any.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the client went before the end.
    pub fn client_closed(&self) -> bool {
        matches!(self.ending, Ending::ClientClosed(_))
    }
}

/// Where a request stands in the transcript.
#[derive(Clone, Copy)]
pub(super) struct Place(u64);

/// The bounded record of what was received.
#[derive(Default)]
pub(super) struct Transcript {
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Default)]
struct Kept {
    received: VecDeque<Received>,
    bytes: usize,
    /// Requests that were dropped from the front.
    dropped: u64,
}

impl Transcript {
    /// Adds a request, dropping the oldest beyond the bounds.
    pub(super) fn add(&self, request: &Request, connection: u64, ending: Ending, at: Instant) -> Place {
        let received = Received {
            at,
            connection,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            // A copy, because the original is a window on the connection's much larger buffer.
            body: Bytes::copy_from_slice(&request.body),
            ending,
        };
        let mut kept = self.lock();
        kept.bytes += received.body.len();
        kept.received.push_back(received);
        while kept.received.len() > MAX_RECEIVED || kept.bytes > MAX_RECEIVED_BYTES {
            let oldest = kept.received.pop_front();
            kept.bytes -= oldest.map_or(0, |received| received.body.len());
            kept.dropped += 1;
        }
        let place = Place(kept.dropped + kept.received.len() as u64 - 1);
        drop(kept);
        self.changed.notify_all();
        place
    }

    /// Says how an exchange ended. One that was dropped meanwhile is left alone.
    pub(super) fn end(&self, place: Place, ending: Ending) {
        let mut kept = self.lock();
        let index = place.0.checked_sub(kept.dropped).and_then(|index| usize::try_from(index).ok());
        if let Some(received) = index.and_then(|index| kept.received.get_mut(index)) {
            received.ending = ending;
        }
        drop(kept);
        self.changed.notify_all();
    }

    pub(super) fn read(&self) -> Vec<Received> {
        self.lock().received.iter().cloned().collect()
    }

    /// Waits until the condition holds, and says whether it did in time.
    pub(super) fn wait_until(&self, mut holds: impl FnMut(&[Received]) -> bool, timeout: Duration) -> bool {
        let (_kept, result) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |kept| !holds(kept.received.make_contiguous()))
            .unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static [u8]) -> Request {
        Request { body: Bytes::from_static(body), ..Request::default() }
    }

    #[test]
    fn the_oldest_go_first_beyond_the_bound() {
        let (transcript, now) = (Transcript::default(), Instant::now());
        let first = transcript.add(&request(b"first"), 1, Ending::Open, now);
        for _ in 1..MAX_RECEIVED {
            transcript.add(&request(b""), 1, Ending::Open, now);
        }
        assert_eq!((transcript.read().len(), &transcript.read()[0].body[..]), (MAX_RECEIVED, &b"first"[..]));

        let last = transcript.add(&request(b"last"), 1, Ending::Open, now);
        transcript.end(first, Ending::Answered(200, now));
        transcript.end(last, Ending::Answered(200, now));

        let kept = transcript.read();
        assert_eq!((kept.len(), &kept[0].body[..]), (MAX_RECEIVED, &b""[..]));
        assert_eq!(kept[0].ending, Ending::Open, "the first is gone, and no other took its ending");
        assert_eq!(kept[MAX_RECEIVED - 1].ending, Ending::Answered(200, now));
    }

    #[test]
    fn waiting_ends_with_the_condition_or_the_timeout() {
        let transcript = Transcript::default();
        assert!(!transcript.wait_until(|received| received.len() == 1, Duration::from_millis(1)));
        transcript.add(&request(b""), 1, Ending::Open, Instant::now());
        assert!(transcript.wait_until(|received| received.len() == 1, Duration::from_secs(5)));
    }
}
