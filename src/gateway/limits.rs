//! The bounds of the data plane: how many requests at once, how many body bytes held in all.
//!
//! Both are one atomic each, taken as a permit that gives back on drop, on whatever path.

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
        let Some(mut more) = more else {
            return Err(overloaded("the gateway holds as many request bodies as it may"));
        };
        self.units += std::mem::take(&mut more.units);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.units, Ordering::AcqRel);
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
