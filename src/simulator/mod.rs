//! Simulated LLM providers in all three dialects, for demos, tests and load.
//!
//! One port speaks OpenAI's, Anthropic's and Gemini's API, told apart by path. Every model says the same
//! sixty words ([`ANSWER`]), so that a cut, doubled or mixed answer shows; token counts follow from the text
//! alone. What goes wrong is chosen for a whole provider by its [`Behaviour`], for one request by the model's
//! name ([`SCENARIOS`]).
//!
//! A dialect's room checks a request as its vendor would (`strict`), reads it into a `Prompt`, and writes the
//! `Turn` that answers it: what a request asks for beyond words, such as tools, JSON or thinking, shows in the
//! turn (`turn.rs` has the table), the same in every dialect.
//!
//! Knows nothing of the gateway that it is a provider for.
//!
//! Cost: a plain answer is one read, one JSON tree, one write; a stream without a pace is one write, too.

mod answer;
mod anthropic;
mod check;
mod credentials;
mod echo;
mod gemini;
mod latency;
mod openai;
mod options;
mod prefill;
mod prompt;
mod rate_limit;
mod reply;
mod route;
mod sample;
mod scenarios;
mod script;
mod serve;
mod service;
mod transcript;
mod turn;
mod wire;

pub use answer::{ANSWER, ANSWER_WORDS};
pub use latency::{Latency, LatencyError};
pub use options::{Behaviour, Options};
pub use scenarios::{SCENARIOS, Scenario};
pub use transcript::{Ending, MAX_RECEIVED, MAX_RECEIVED_BYTES, Received};
pub use wire::{MAX_BODY, MAX_HEADER};

use service::Service;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A simulated provider that runs on its own threads until it is dropped, which breaks open connections.
pub struct Simulator {
    service: Arc<Service>,
    address: SocketAddr,
    /// Dropped to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts a provider. Fails if the address can't be had or threads can't be started.
    pub fn start(options: Options) -> io::Result<Simulator> {
        let Running { runtime, listener, service } = Running::new(options)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let accepting = Arc::clone(&service);
        let thread = std::thread::Builder::new().name(thread_name(&service)).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve::accept(listener, accepting) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Simulator { service, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL, without a path: `http://127.0.0.1:9100`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The name in its answers' `x-simulator`.
    pub fn name(&self) -> &str {
        &self.service.options.name
    }

    /// From now on it does this.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.service.set_behaviour(behaviour);
    }

    /// The requests so far, in the order of arrival: the last [`MAX_RECEIVED`].
    pub fn transcript(&self) -> Vec<Received> {
        self.service.transcript.read()
    }

    /// Waits until the transcript is as wanted, and says whether it was in time.
    pub fn wait_until(&self, holds: impl FnMut(&[Received]) -> bool, timeout: Duration) -> bool {
        self.service.transcript.wait_until(holds, timeout)
    }

    /// Requests read whole so far.
    pub fn requests(&self) -> u64 {
        self.service.requests.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.service.open_connections.load(Ordering::Relaxed)
    }

    /// Connections accepted so far, refused ones included.
    pub fn accepted_connections(&self) -> u64 {
        self.service.accepted_connections.load(Ordering::Relaxed)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // An error here is a panic over there, which that thread has reported.
            let _ = thread.join();
        }
    }
}

/// Runs a provider until the process is told to stop (SIGINT or SIGTERM). `ready` is called once it listens.
pub fn run(options: Options, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let Running { runtime, listener, service } = Running::new(options)?;
    ready(listener.local_addr()?);
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            () = serve::accept(listener, service) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

/// A provider that listens, but doesn't accept yet.
struct Running {
    runtime: Runtime,
    listener: TcpListener,
    service: Arc<Service>,
}

impl Running {
    fn new(options: Options) -> io::Result<Running> {
        let service = Arc::new(Service::new(options));
        let threads = service.options.threads;
        let mut builder =
            if threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
        builder.worker_threads(threads.max(1)).thread_name(thread_name(&service)).enable_all();
        let runtime = builder.build()?;
        let listener = {
            let _inside = runtime.enter();
            serve::bind(service.options.listen)?
        };
        Ok(Running { runtime, listener, service })
    }
}

fn thread_name(service: &Service) -> String {
    format!("simulator {}", service.options.name)
}
