//! The connections of HTTP/1.1 to one provider that nobody uses.
//!
//! A pool of our own: Pingora's starts a task for each connection that is given back, to notice its end, and wakes it
//! when the connection is taken, which costs a tenth of a small request. Here a connection is looked at when it is
//! taken, and [`Idle::sweep`] closes in the background what has ended or is too old.
//!
//! The one that was used last is taken first, so that what a quiet hour has no use for grows old. The lock is held
//! for a push or a pop, and by each sweep for a look at all.

use super::gathering::Gathering;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The pool.
pub struct Idle {
    /// In the order in which they came.
    kept: Mutex<VecDeque<Kept>>,
    limit: usize,
    timeout: Duration,
}

struct Kept {
    connection: Box<Gathering>,
    address: SocketAddr,
    since: Instant,
}

impl Kept {
    fn is_good(&mut self, timeout: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < timeout && self.connection.is_quiet()
    }
}

impl Idle {
    /// Room for `limit` connections, each for so long.
    pub fn new(limit: usize, timeout: Duration) -> Idle {
        Idle { kept: Mutex::new(VecDeque::new()), limit, timeout }
    }

    /// One to this address that can be used, if there is any. A provider's addresses are separate machines, each with
    /// its share.
    pub fn take(&self, address: SocketAddr, now: Instant) -> Option<Box<Gathering>> {
        loop {
            let mut kept = {
                let mut kept = self.lock();
                let last = kept.iter().rposition(|kept| kept.address == address)?;
                kept.remove(last)?
            };
            if kept.is_good(self.timeout, now) {
                return Some(kept.connection);
            }
        }
    }

    /// Keeps one that was used to the end of an answer; where all places are taken, instead of the oldest.
    pub fn put(&self, connection: Box<Gathering>, address: SocketAddr, now: Instant) {
        let mut kept = self.lock();
        kept.push_back(Kept { connection, address, since: now });
        let surplus = if kept.len() > self.limit { kept.pop_front() } else { None };
        drop(kept);
        // Closing takes a while.
        drop(surplus);
    }

    /// Closes what the provider has closed, and what has not been used for too long.
    pub fn sweep(&self, now: Instant) {
        self.lock().retain_mut(|kept| kept.is_good(self.timeout, now));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::net::{IpAddr, Ipv4Addr};
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    const TIMEOUT: Duration = Duration::from_secs(90);

    /// A connection, and the provider's end of it.
    fn connection() -> (Box<Gathering>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Box::new(Gathering::new(Box::new(ours))), theirs)
    }

    fn count(idle: &Idle) -> usize {
        idle.lock().len()
    }

    #[test]
    fn the_last_used_is_taken_first_and_the_oldest_makes_room() {
        let (idle, now) = (Idle::new(2, TIMEOUT), Instant::now());
        let mut theirs: Vec<DuplexStream> = (0..3)
            .map(|_| {
                let (ours, theirs) = connection();
                idle.put(ours, HERE, now);
                theirs
            })
            .collect();
        assert_eq!(count(&idle), 2);
        for end in [2, 1] {
            let mut taken = idle.take(HERE, now).expect("one is left");
            assert!(taken.is_quiet());
            theirs.remove(end);
            assert!(!taken.is_quiet(), "it was the end of this one");
        }
        assert!(idle.take(HERE, now).is_none());
    }

    #[test]
    fn one_to_another_address_is_none() {
        let (idle, now) = (Idle::new(9, TIMEOUT), Instant::now());
        let elsewhere = SocketAddr::new(HERE.ip(), 2);
        let ((ours, _theirs), (other, _others)) = (connection(), connection());
        idle.put(ours, HERE, now);
        idle.put(other, elsewhere, now);
        assert!(idle.take(HERE, now).is_some());
        assert!(idle.take(HERE, now).is_none());
        assert!(idle.take(elsewhere, now).is_some());
    }

    #[test]
    fn none_is_used_that_is_too_old_closed_or_has_words_unasked_for() {
        let (idle, now) = (Idle::new(9, TIMEOUT), Instant::now());
        let (ours, _good) = connection();
        idle.put(ours, HERE, now);
        assert!(idle.take(HERE, now + TIMEOUT).is_none());
        let (ours, closed) = connection();
        idle.put(ours, HERE, now);
        drop(closed);
        assert!(idle.take(HERE, now).is_none());
        let (ours, mut chatty) = connection();
        idle.put(ours, HERE, now);
        chatty.write_all(b"?").now_or_never().expect("room").expect("written");
        assert!(idle.take(HERE, now).is_none());
        let (ours, _good) = connection();
        idle.put(ours, HERE, now);
        assert!(idle.take(HERE, now + TIMEOUT - Duration::from_nanos(1)).is_some());
    }

    #[test]
    fn a_sweep_closes_what_is_of_no_use_and_nothing_else() {
        let (idle, now) = (Idle::new(9, TIMEOUT), Instant::now());
        let (old, _old) = connection();
        let (closed, their_end) = connection();
        let (good, _good) = connection();
        idle.put(old, HERE, now);
        idle.put(closed, HERE, now + TIMEOUT);
        idle.put(good, HERE, now + TIMEOUT);
        drop(their_end);
        idle.sweep(now + TIMEOUT);
        assert_eq!(count(&idle), 1);
        assert!(idle.take(HERE, now + TIMEOUT).is_some());
    }
}
