//! The life of this process as the data plane sees it: how many requests are open, and whether it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Shared by everything that must know whether the process is leaving.
#[derive(Debug, Default)]
pub struct Life {
    draining: AtomicBool,
    requests: Tally,
    connections: Tally,
}

/// How many there are of something, and who waits for the last of them.
#[derive(Debug, Default)]
struct Tally {
    count: AtomicUsize,
    none: Notify,
}

impl Tally {
    async fn wait_none(&self) {
        loop {
            let notified = self.none.notified();
            tokio::pin!(notified);
            // Registered before the look, so that one that ends in between is not missed.
            notified.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Life {
    /// From now on no new work is wanted: `/ready` says so, connections close after their answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether [`Life::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Requests open at this moment.
    pub fn open(&self) -> usize {
        self.requests.count.load(Ordering::Acquire)
    }

    /// Counts a request as open until the guard is dropped.
    pub fn enter(self: &Arc<Life>) -> Open {
        Open::new(self, |life| &life.requests)
    }

    /// Counts a client's connection as open until the guard is dropped.
    pub fn connect(self: &Arc<Life>) -> Open {
        Open::new(self, |life| &life.connections)
    }

    /// Returns once no request is open.
    pub async fn wait_idle(&self) {
        self.requests.wait_none().await;
    }

    /// Returns once no client's connection is open. The last words of an HTTP/2 stream may still be on their
    /// way when its request is over.
    pub async fn wait_closed(&self) {
        self.connections.wait_none().await;
    }
}

/// An open request, or connection.
#[derive(Debug)]
pub struct Open {
    life: Arc<Life>,
    tally: fn(&Life) -> &Tally,
}

impl Open {
    fn new(life: &Arc<Life>, tally: fn(&Life) -> &Tally) -> Open {
        tally(life).count.fetch_add(1, Ordering::AcqRel);
        Open { life: Arc::clone(life), tally }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let tally = (self.tally)(&self.life);
        // Nobody waits unless the process drains, and then waking costs nothing that matters.
        if tally.count.fetch_sub(1, Ordering::AcqRel) == 1 && self.life.is_draining() {
            tally.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_last_request() {
        let life = Arc::new(Life::default());
        let (first, second) = (life.enter(), life.enter());
        life.drain();
        let soon = Duration::from_secs(1);
        drop(first);
        assert!(tokio::time::timeout(soon, life.wait_idle()).await.is_err());
        let waiting = tokio::spawn({
            let life = Arc::clone(&life);
            async move { life.wait_idle().await }
        });
        tokio::task::yield_now().await;
        drop(second);
        assert!(tokio::time::timeout(soon, waiting).await.is_ok());
    }
}
