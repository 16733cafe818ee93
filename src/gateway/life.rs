//! The life of this process as the data plane sees it: how many requests are open, and whether it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Shared by everything that must know whether the process is leaving.
#[derive(Debug, Default)]
pub struct Life {
    draining: AtomicBool,
    open: AtomicUsize,
    idle: Notify,
}

impl Life {
    /// From now on no new work is wanted: `/ready` says so, connections close after their answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.idle.notify_waiters();
    }

    /// Whether [`Life::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Requests open at this moment.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Counts a request as open until the guard is dropped.
    pub fn enter(self: &Arc<Life>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(self))
    }

    /// Returns once no request is open.
    pub async fn wait_idle(&self) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            // Registered before the look, so that a request that ends in between is not missed.
            notified.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// An open request.
#[derive(Debug)]
pub struct Open(Arc<Life>);

impl Drop for Open {
    fn drop(&mut self) {
        // Nobody waits unless the process drains, and then waking costs nothing that matters.
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 && self.0.is_draining() {
            self.0.idle.notify_waiters();
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
