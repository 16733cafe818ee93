//! HTTP/1.1 as bytes on a socket: reads requests, writes answers, whole or in pieces.
//!
//! By hand rather than by a server library, so that every misbehaviour on the wire stays possible.
//! Knows nothing of dialects or of what an answer means.

mod reading;
mod writing;

pub use reading::{MAX_BODY, MAX_HEADER};
pub(super) use reading::{ReadError, Request, Watch};
pub(super) use writing::{Framing, Head};

use bytes::BytesMut;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes that a client may send ahead while it is being answered; beyond that we stop reading.
const MAX_AHEAD: usize = 64 << 10;

/// How long, and how many times, a client that was turned down is still read from.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_READS: usize = 4_096;

const READ_SIZE: usize = 16 << 10;

/// The client closed, or the connection broke.
#[derive(Debug)]
pub(super) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Gone {
        Gone
    }
}

/// One client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Read, but not yet part of a request.
    unread: BytesMut,
    /// Where answers are put together, so that a small one is one write.
    out: Vec<u8>,
    watch: Watch,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, watch: Watch) -> Connection {
        Connection { stream, unread: BytesMut::new(), out: Vec::new(), watch }
    }

    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ_SIZE);
        self.stream.read_buf(&mut self.unread).await
    }

    /// What has been read and belongs to no request yet.
    pub(super) fn unread(&mut self) -> &mut BytesMut {
        &mut self.unread
    }

    /// Waits, and watches the client meanwhile: one that closes (even its sending half only) is gone.
    pub(super) async fn pause(&mut self, wait: Duration) -> Result<(), Gone> {
        if wait.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + wait;
        while self.unread.len() < MAX_AHEAD {
            match tokio::time::timeout_at(until, self.fill()).await {
                Err(_) => return Ok(()),
                Ok(Ok(read)) if read > 0 => {}
                Ok(_) => return Err(Gone),
            }
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Waits until the client sends something.
    pub(super) async fn next_bytes(&mut self) -> Result<(), Gone> {
        if self.unread.is_empty() {
            self.fill().await?;
        }
        Ok(())
    }

    /// Waits until the client has gone.
    pub(super) async fn outlast_client(&mut self) -> Gone {
        const LONG: Duration = Duration::from_secs(3_600);
        while self.pause(LONG).await.is_ok() {}
        Gone
    }

    /// Breaks the connection with a TCP reset.
    pub(super) fn reset(self) {
        // Without it, the close below is an orderly one: all that can be done about it is nothing.
        let _ = self.stream.set_zero_linger();
    }

    /// Reads what a client that was turned down still sends, for a while: closing with unread bytes would
    /// reset the connection, and the client might lose the answer.
    pub(super) async fn drain(&mut self) {
        let _ = self.stream.shutdown().await;
        let drained = async {
            for _ in 0..DRAIN_READS {
                self.unread.clear();
                if self.fill().await.is_ok_and(|read| read == 0) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
    }

    /// Writes bytes as they are.
    pub(super) async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        Ok(self.stream.write_all(bytes).await?)
    }
}
