//! How the process ends: told once it finishes what it has, told twice it goes at once.
//!
//! Pingora's own shutdown sleeps its whole grace period and then drops what is open. Here `/ready` says no
//! first, accepting stops after `shutdown_delay`, and the process exits as soon as nothing is open.

use crate::gateway::life::Life;
use crate::observe::logging;
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long services take to stop accepting, and a request that was just accepted to be counted.
const SETTLE: Duration = Duration::from_millis(50);
/// How long clients may take to close their connections once nothing is open on them.
const LINGER: Duration = Duration::from_secs(1);
/// The status of a process that was told to hurry: 128 + SIGTERM, as a shell would report it.
const EXIT_HURRIED: i32 = 143;

/// Watches the signals of the process.
pub struct Signals {
    life: Arc<Life>,
    delay: Duration,
    grace: Duration,
}

impl Signals {
    /// A watch that goes on accepting for `delay` after the signal and waits for open requests for `grace`.
    pub fn new(life: Arc<Life>, delay: Duration, grace: Duration) -> Signals {
        Signals { life, delay, grace }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let Ok(mut signals) = Watched::new() else {
            log::error!("signals can't be watched: the process can only be killed");
            return std::future::pending().await;
        };
        signals.stop().await;
        self.life.drain();
        log::info!("stopping: {} requests are open", self.life.open());
        tokio::select! {
            () = tokio::time::sleep(self.delay) => {}
            () = signals.stop() => leave(EXIT_HURRIED),
        }
        let (life, grace) = (Arc::clone(&self.life), self.grace);
        // Pingora sees no signal after this one; the task goes on in the server's runtime.
        tokio::spawn(async move { finish(&life, grace, signals).await });
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits for what is open, then exits.
async fn finish(life: &Life, grace: Duration, mut signals: Watched) {
    let idle = async {
        tokio::time::sleep(SETTLE).await;
        life.wait_idle().await;
        let _ = tokio::time::timeout(LINGER, life.wait_closed()).await;
    };
    tokio::select! {
        () = idle => log::info!("stopped: nothing is open"),
        () = tokio::time::sleep(grace) => log::warn!("stopped: {} requests were cut", life.open()),
        () = signals.stop() => leave(EXIT_HURRIED),
    }
    leave(0);
}

fn leave(code: i32) {
    logging::flush();
    std::process::exit(code)
}

/// The signals that mean something to us, so that none kills the process by default.
struct Watched {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    quit: Signal,
    user1: Signal,
}

impl Watched {
    fn new() -> std::io::Result<Watched> {
        Ok(Watched {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Returns when the process is told to stop.
    async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => log::warn!("SIGHUP: reloading is not there yet; restart to apply a change"),
                _ = self.quit.recv() => log::warn!("SIGQUIT: the hand-over to a new process is not there yet"),
                _ = self.user1.recv() => log::warn!("SIGUSR1: there is no log file to re-open yet"),
            }
        }
    }
}
