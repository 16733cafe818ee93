//! Timers that cost next to nothing while all goes well: made late, moved seldom.
//!
//! A request waits for many things, each with its own limit, and nearly none is ever reached. A timer for each wait
//! and for each event of a stream is work for nothing, and a system call where it is due before all others.

use std::cell::Cell;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::error::Elapsed;
use tokio::time::{Sleep, interval, sleep_until, timeout};

/// How often each worker has a timer due.
const HEARTBEAT: Duration = Duration::from_millis(500);

thread_local! {
    static HAS_HEARTBEAT: Cell<bool> = const { Cell::new(false) };
}

/// One timer for all that an attempt waits for, one after the other.
///
/// Later times are only noted, and looked at when an earlier one has come.
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
}

impl Alarm {
    /// Rings at that time.
    pub fn at(due: Instant) -> Alarm {
        keep_a_heartbeat();
        Alarm { sleep: Box::pin(sleep_until(due.into())), due }
    }

    /// From now on it rings at that time instead.
    pub fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(due.into());
        }
    }

    /// Returns when it rings. Cancel-safe.
    pub async fn rings(&mut self) {
        loop {
            self.sleep.as_mut().await;
            if Instant::now() >= self.due {
                return;
            }
            self.sleep.as_mut().reset(self.due.into());
        }
    }
}

/// A future's output, if it comes in time. There is no timer where it comes at once.
///
/// # Errors
/// When the time is up.
pub async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::pin!(future);
    let at_once = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
    match at_once.await {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => timeout(limit, future).await,
    }
}

/// Sees to it that a timer is due soon on this runtime, always (each worker adds one, which costs nothing). Tokio wakes its driver, with a system call, for a
/// timer that is due before all others; so no attempt's is.
fn keep_a_heartbeat() {
    if HAS_HEARTBEAT.replace(true) {
        return;
    }
    tokio::spawn(async {
        let mut beats = interval(HEARTBEAT);
        loop {
            beats.tick().await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time;

    fn now() -> Instant {
        time::Instant::now().into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_time_that_was_set_last() {
        // Under a paused clock `Instant::now` stands still, so that real time can't be asked: only order is.
        let start = time::Instant::now();
        let mut alarm = Alarm::at(now() + Duration::from_secs(60));
        alarm.set(now() - Duration::from_secs(1));
        alarm.rings().await;
        assert!(start.elapsed() < Duration::from_secs(1), "an earlier time moves it at once");
    }

    #[tokio::test]
    async fn a_later_time_is_only_noted_and_kept() {
        let start = Instant::now();
        let mut alarm = Alarm::at(start + Duration::from_millis(5));
        alarm.set(start + Duration::from_millis(60));
        alarm.rings().await;
        assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_comes_and_what_does_not_is_late() {
        let limit = Duration::from_secs(1);
        assert_eq!(within(limit, async { 1 }).await.ok(), Some(1));
        assert_eq!(within(limit, time::sleep(limit / 2)).await.ok(), Some(()));
        assert!(within(limit, std::future::pending::<()>()).await.is_err());
    }
}
