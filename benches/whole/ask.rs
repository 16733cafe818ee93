//! One connection, one request at a time, in a thread that waits: nothing of a runtime is in what it measures.

use crate::message::{Answer, Bad};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an answer took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// To the end of its first event; as long as `whole` where it has none.
    pub first_event: Duration,
    /// To its end.
    pub whole: Duration,
}

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(to: SocketAddr) -> Result<Connection, Bad> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, buffer: vec![0; 64 << 10] })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When that isn't the answer that is expected.
    pub fn ask(&mut self, request: &[u8]) -> Result<Took, Bad> {
        let began = Instant::now();
        self.stream.write_all(request)?;
        let mut answer = Answer::default();
        let mut first_event = None;
        loop {
            let read = self.stream.read(&mut self.buffer)?;
            if read == 0 {
                return Err(Bad::Closed);
            }
            let is_complete = answer.take(&self.buffer[..read])?;
            if answer.events > 0 && first_event.is_none() {
                first_event = Some(began.elapsed());
            }
            if is_complete {
                let whole = began.elapsed();
                return Ok(Took { first_event: first_event.unwrap_or(whole), whole });
            }
        }
    }
}
