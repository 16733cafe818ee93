//! Load: connections that ask again as soon as they are answered, and streams that are left open.

use crate::message::{Answer, Bad};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Streams that are opened at a time.
const OPENED_AT_ONCE: usize = 20;

/// What has come so far.
#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    events: AtomicU64,
    reads: AtomicU64,
}

/// A reading of the counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Whole answers.
    pub answers: u64,
    /// Server-sent events.
    pub events: u64,
    /// Reads that brought any of them.
    pub reads: u64,
}

/// Connections that ask without a pause; they are closed when it is dropped.
pub struct Load {
    counts: Arc<Counts>,
    tasks: JoinSet<Result<(), Bad>>,
}

impl Load {
    /// Starts to ask on so many connections.
    pub fn start(to: SocketAddr, request: Vec<u8>, connections: usize) -> Load {
        let counts = Arc::new(Counts::default());
        let request: Arc<[u8]> = request.into();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(ask_for_ever(to, Arc::clone(&request), Arc::clone(&counts)));
        }
        Load { counts, tasks }
    }

    /// Lets it go on for so long.
    ///
    /// # Errors
    /// With the first connection that fails: figures of a load that breaks mean nothing.
    pub async fn go_on(&mut self, duration: Duration) -> Result<(), Bad> {
        tokio::select! {
            Some(Ok(Err(bad))) = self.tasks.join_next() => Err(bad),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    /// What has come so far.
    pub fn read(&self) -> Reading {
        let counts = &self.counts;
        Reading {
            answers: counts.answers.load(Relaxed),
            events: counts.events.load(Relaxed),
            reads: counts.reads.load(Relaxed),
        }
    }
}

async fn ask_for_ever(to: SocketAddr, request: Arc<[u8]>, counts: Arc<Counts>) -> Result<(), Bad> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        stream.write_all(&request).await?;
        let mut answer = Answer::default();
        loop {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(Bad::Closed);
            }
            let before = answer.events;
            let is_complete = answer.take(&buffer[..read])?;
            counts.events.fetch_add(answer.events - before, Relaxed);
            counts.reads.fetch_add(u64::from(answer.events > before), Relaxed);
            if is_complete {
                break;
            }
        }
        counts.answers.fetch_add(1, Relaxed);
    }
}

/// Opens so many streams, and gives them back once each has had its first event.
///
/// # Errors
/// When one of them can't be had.
pub async fn open_streams(to: SocketAddr, request: Vec<u8>, count: usize) -> Result<Vec<TcpStream>, Bad> {
    let request: Arc<[u8]> = request.into();
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let mut opening = JoinSet::new();
        for _ in 0..OPENED_AT_ONCE.min(count - streams.len()) {
            opening.spawn(open(to, Arc::clone(&request)));
        }
        for opened in opening.join_all().await {
            streams.push(opened?);
        }
    }
    Ok(streams)
}

async fn open(to: SocketAddr, request: Arc<[u8]>) -> Result<TcpStream, Bad> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&request).await?;
    let mut answer = Answer::default();
    let mut buffer = [0; 2048];
    while answer.events == 0 {
        let read = stream.read(&mut buffer).await?;
        if read == 0 || answer.take(&buffer[..read])? {
            return Err(Bad::Closed);
        }
    }
    Ok(stream)
}
