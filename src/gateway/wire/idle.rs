//! The connections of HTTP/1.1 to one provider that nobody uses.
//!
//! A pool of our own: Pingora's starts a task for each connection that is given back, to notice its end, and wakes it
//! when the connection is taken, which costs a tenth of a small request. Here a connection is looked at when it is
//! taken, and [`Idle::sweep`] closes in the background what has ended or is too old.
//!
//! The lowest place is filled and emptied first, so that what a quiet hour has no use for grows old in the places
//! above. Nobody waits for a place: each has a lock of its own, and one that is held is passed over.

use super::gathering::Gathering;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// The pool.
pub struct Idle {
    places: Box<[Mutex<Option<Kept>>]>,
    /// How many places are taken, or about to be: with none there is nothing to look for.
    taken: AtomicUsize,
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
        let places = (0..limit).map(|_| Mutex::new(None)).collect();
        Idle { places, taken: AtomicUsize::new(0), timeout }
    }

    /// One to this address that can be used, if there is any. A provider's addresses are separate machines, each with
    /// its share.
    pub fn take(&self, address: SocketAddr, now: Instant) -> Option<Box<Gathering>> {
        if self.taken.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut found =
            self.places.iter().filter_map(|place| self.take_from(place, |kept| kept.address == address));
        found.find_map(|mut kept| kept.is_good(self.timeout, now).then_some(kept.connection))
    }

    /// Keeps one that was used to the end of an answer, if there is room, or one that leads elsewhere: a name may have
    /// got other addresses.
    pub fn put(&self, connection: Box<Gathering>, address: SocketAddr, now: Instant) {
        let free = self.places.iter().filter_map(open).find(|place| place.is_none());
        let leads_elsewhere = |place: &Place<'_>| place.as_ref().is_some_and(|kept| kept.address != address);
        let place = free.or_else(|| self.places.iter().filter_map(open).find(leads_elsewhere));
        if let Some(mut place) = place
            && place.replace(Kept { connection, address, since: now }).is_none()
        {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes what the provider has closed, and what has not been used for too long.
    pub fn sweep(&self, now: Instant) {
        for place in &self.places {
            drop(self.take_from(place, |kept| !kept.is_good(self.timeout, now)));
        }
    }

    /// Takes out what is in a place, if it is what is looked for.
    fn take_from(&self, place: &Mutex<Option<Kept>>, wanted: impl FnOnce(&mut Kept) -> bool) -> Option<Kept> {
        let kept = open(place)?.take_if(wanted)?;
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Some(kept)
    }
}

/// A place that nobody else looks at.
type Place<'p> = MutexGuard<'p, Option<Kept>>;

fn open(place: &Mutex<Option<Kept>>) -> Option<Place<'_>> {
    match place.try_lock() {
        Ok(place) => Some(place),
        Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::net::{IpAddr, Ipv4Addr};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    const TIMEOUT: Duration = Duration::from_secs(90);

    /// A connection, and the provider's end of it.
    fn connection() -> (Box<Gathering>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Box::new(Gathering::new(Box::new(ours))), theirs)
    }

    fn count(idle: &Idle) -> usize {
        let there = idle.places.iter().filter(|place| place.lock().expect("no panic").is_some()).count();
        assert_eq!(idle.taken.load(Ordering::Relaxed), there);
        there
    }

    #[test]
    fn the_lowest_place_is_used_again_and_what_finds_no_room_is_closed() {
        let (idle, now) = (Idle::new(2, TIMEOUT), Instant::now());
        let mut theirs: Vec<DuplexStream> = (0..3)
            .map(|_| {
                let (ours, theirs) = connection();
                idle.put(ours, HERE, now);
                theirs
            })
            .collect();
        assert_eq!(count(&idle), 2);
        let surplus =
            theirs.pop().map(|mut end| end.read_u8().now_or_never().is_some_and(|read| read.is_err()));
        assert_eq!(surplus, Some(true), "closed");
        for _ in 0..3 {
            let mut taken = idle.take(HERE, now).expect("there is one");
            assert!(taken.is_quiet());
            idle.put(taken, HERE, now + Duration::from_secs(1));
        }
        // The one above was never used.
        idle.sweep(now + TIMEOUT);
        assert_eq!(count(&idle), 1);
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
    fn one_that_leads_elsewhere_makes_room() {
        let (idle, now) = (Idle::new(1, TIMEOUT), Instant::now());
        let elsewhere = SocketAddr::new(HERE.ip(), 2);
        let ((ours, _theirs), (other, _others)) = (connection(), connection());
        idle.put(ours, HERE, now);
        idle.put(other, elsewhere, now);
        assert_eq!(count(&idle), 1);
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
