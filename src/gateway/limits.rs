//! The bounds of the data plane: how many requests at once, how many bytes held of bodies and answers in all.
//!
//! Both are one atomic each, taken as a permit that gives back on drop, on whatever path. An answer of the usual size
//! is not counted and costs nothing here.

use crate::domain::{ErrorCode, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a body waits for room before it is refused.
const ROOM_WAIT: Duration = Duration::from_secs(1);
/// How often a waiting body looks again.
const ROOM_POLL: Duration = Duration::from_millis(10);
/// What a refused client is told to wait.
const COME_BACK: Duration = Duration::from_secs(1);

/// What may be held of one answer uncounted.
const UNCOUNTED: usize = 64 << 10;

/// A counter with a ceiling.
#[derive(Debug)]
pub struct Room {
    used: AtomicUsize,
    limit: usize,
}

impl Room {
    /// Room for `limit` units.
    pub fn new(limit: usize) -> Arc<Room> {
        Arc::new(Room { used: AtomicUsize::new(0), limit })
    }

    /// Takes `units`, if they fit.
    pub fn take(self: &Arc<Room>, units: usize) -> Option<Permit> {
        let fits = |used: usize| used.checked_add(units).filter(|total| *total <= self.limit);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits).ok()?;
        Some(Permit { room: Arc::clone(self), units })
    }

    /// Units taken at this moment.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

/// Units of a [`Room`], given back on drop.
#[derive(Debug)]
pub struct Permit {
    room: Arc<Room>,
    units: usize,
}

impl Permit {
    /// Gives back what was taken so far.
    pub fn give_back(&mut self) {
        self.room.used.fetch_sub(std::mem::take(&mut self.units), Ordering::AcqRel);
    }

    /// Takes more units into this permit, waiting briefly for room.
    ///
    /// # Errors
    /// `overloaded` when there is none within a second.
    pub async fn grow(&mut self, units: usize) -> Result<(), Failure> {
        let mut more = self.room.take(units);
        let mut waited = Duration::ZERO;
        while more.is_none() && waited < ROOM_WAIT {
            tokio::time::sleep(ROOM_POLL).await;
            waited += ROOM_POLL;
            more = self.room.take(units);
        }
        let Some(more) = more else {
            return Err(overloaded("the gateway holds as many request bodies as it may"));
        };
        self.join(more);
        Ok(())
    }

    fn join(&mut self, mut more: Permit) {
        self.units += std::mem::take(&mut more.units);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.units, Ordering::AcqRel);
    }
}

/// The room that one answer takes while it is held, given back on drop.
#[derive(Debug, Default)]
pub struct Kept(Option<Permit>);

impl Kept {
    /// Has so many bytes held in all, in the same room as `body`. Says whether they fit; nobody waits, since an
    /// answer can be passed on instead.
    pub fn hold(&mut self, bytes: usize, body: &Permit) -> bool {
        let taken = self.0.as_ref().map_or(0, |permit| permit.units);
        let missing = bytes.saturating_sub(UNCOUNTED + taken);
        if missing == 0 {
            return true;
        }
        let Some(more) = body.room.take(missing) else { return false };
        match &mut self.0 {
            Some(permit) => permit.join(more),
            none => *none = Some(more),
        }
        true
    }
}

/// The refusal for want of room.
pub fn overloaded(why: &str) -> Failure {
    Failure::new(ErrorCode::Overloaded, format!("{why}; try again in a moment")).retry_after(COME_BACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_fits_and_one_past_it_does_not() {
        let room = Room::new(2);
        let (first, second) = (room.take(1), room.take(1));
        assert!(first.is_some() && second.is_some() && room.take(1).is_none());
        drop(first);
        assert_eq!(room.used(), 1);
        assert!(room.take(1).is_some());
        assert!(room.take(usize::MAX).is_none(), "no overflow");
    }

    #[test]
    fn an_answer_takes_room_for_what_is_more_than_usual() {
        let room = Room::new(10);
        let body = room.take(4).expect("room");
        let (mut kept, mut other) = (Kept::default(), Kept::default());
        assert!(kept.hold(UNCOUNTED, &body) && room.used() == 4, "the usual costs nothing");
        assert!(kept.hold(UNCOUNTED + 1, &body) && room.used() == 5);
        assert!(kept.hold(UNCOUNTED + 6, &body) && room.used() == 10, "in all, not once more");
        assert!(!kept.hold(UNCOUNTED + 7, &body) && room.used() == 10, "one past the bound");
        assert!(other.hold(UNCOUNTED, &body) && !other.hold(UNCOUNTED + 1, &body));
        drop(kept);
        assert_eq!(room.used(), 4);
        assert!(other.hold(UNCOUNTED + 6, &body));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_waits_for_room_and_is_then_refused() {
        let room = Room::new(10);
        let mut growing = room.take(0).expect("nothing always fits");
        let held = room.take(10);
        let refusal = growing.grow(1).await.expect_err("no room");
        assert_eq!(refusal.code, ErrorCode::Overloaded);
        drop(held);
        growing.grow(10).await.expect("room again");
        assert_eq!(room.used(), 10);
        growing.give_back();
        assert_eq!(room.used(), 0);
        growing.grow(1).await.expect("room once more");
        drop(growing);
        assert_eq!(room.used(), 0);
    }
}
