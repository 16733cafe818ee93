//! A connection to a provider on which a request's header waits for its body, so that both leave in one write.
//!
//! Pingora flushes behind the header. On a loopback or a fast network each such write costs more than all that the
//! gateway does with a small request: a system call, a segment of its own, and a provider that is woken twice.

use async_trait::async_trait;
use futures_util::FutureExt;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::fmt::{self, Debug, Formatter};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

/// A longer header goes out alone.
const MAX_HELD: usize = 16 << 10;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of it was written.
    Fresh,
    /// Its header is held, whatever the writer flushes.
    Held,
    /// It passes through as it is written.
    Open,
}

/// The connection.
pub struct Gathering {
    stream: Stream,
    phase: Phase,
    held: Vec<u8>,
    /// How much of `held` has gone out.
    sent: usize,
}

impl Gathering {
    /// A connection that carries no request yet.
    pub fn new(stream: Stream) -> Gathering {
        Gathering { stream, phase: Phase::Fresh, held: Vec::new(), sent: 0 }
    }

    /// The connection behind a session that is over, ready for the next request.
    pub fn renewed(stream: Stream) -> Option<Box<Gathering>> {
        let mut connection = stream.into_any().downcast::<Gathering>().ok()?;
        connection.phase = Phase::Fresh;
        Some(connection)
    }

    /// Whether nothing has come, as it should be while nothing is asked: no end, no error, no word.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        // A task whose budget is used up would be told that nothing has come.
        unconstrained(self.stream.read(&mut byte)).now_or_never().is_none()
    }

    /// Writes what is held, and as much of `more` with it as goes; says how much of `more` went. A failure ends the
    /// holding too: there may be an answer to read, which says why.
    fn poll_release(&mut self, context: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        let released = loop {
            let rest = &self.held[self.sent..];
            if rest.is_empty() {
                break Ok(0);
            }
            let both = [IoSlice::new(rest), IoSlice::new(more)];
            let of_held = rest.len();
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &both)) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(written) if written > of_held => break Ok(written - of_held),
                Ok(written) => self.sent += written,
                Err(error) => break Err(error),
            }
        };
        self.held.clear();
        self.sent = 0;
        self.phase = Phase::Open;
        Poll::Ready(released)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.phase == Phase::Fresh && bytes.len() <= MAX_HELD {
            self.held.extend_from_slice(bytes);
            self.phase = Phase::Held;
            return Poll::Ready(Ok(bytes.len()));
        }
        if self.phase == Phase::Held {
            let written = ready!(self.poll_release(context, bytes))?;
            if written > 0 {
                return Poll::Ready(Ok(written));
            }
        }
        self.phase = Phase::Open;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase == Phase::Held {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Gathering {
    /// Nobody answers what is still held here.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.phase == Phase::Held {
            ready!(self.poll_release(context, &[]))?;
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        }
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl Debug for Gathering {
    /// Without what is held: it has the credential.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gathering").field("stream", &self.stream).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Gathering {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for Gathering {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

// What else a session of Pingora's may be asked about its connection, nobody asks here.

impl Peek for Gathering {}

impl Ssl for Gathering {}

impl GetTimingDigest for Gathering {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Gathering {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Gathering {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    /// A connection, and its other end.
    fn pair() -> (Gathering, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(1 << 20);
        (Gathering::new(Box::new(ours)), theirs)
    }

    fn arrived(theirs: &mut tokio::io::DuplexStream) -> String {
        let mut bytes = vec![0; 1 << 20];
        let length = theirs.read(&mut bytes).now_or_never().map_or(0, |read| read.expect("read"));
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_header_waits_for_its_body() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"header ").await.expect("written");
        ours.flush().await.expect("flushed");
        assert_eq!(arrived(&mut theirs), "");
        ours.write_all(b"body").await.expect("written");
        ours.flush().await.expect("flushed");
        assert_eq!(arrived(&mut theirs), "header body");
        ours.write_all(b", more").await.expect("written");
        assert_eq!(arrived(&mut theirs), ", more");
    }

    #[tokio::test]
    async fn whoever_waits_for_an_answer_has_asked() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"header").await.expect("written");
        assert!(ours.read_u8().now_or_never().is_none());
        assert_eq!(arrived(&mut theirs), "header");
    }

    #[tokio::test]
    async fn a_long_header_goes_out_alone() {
        for (length, goes_alone) in [(MAX_HELD, false), (MAX_HELD + 1, true)] {
            let (mut ours, mut theirs) = pair();
            ours.write_all(&vec![b'h'; length]).await.expect("written");
            assert_eq!(!arrived(&mut theirs).is_empty(), goes_alone, "{length}");
        }
    }

    #[tokio::test]
    async fn an_answer_can_be_read_although_the_request_could_not_be_written() {
        let (ours, mut theirs) = duplex(64);
        // An end that takes nothing more, and has spoken.
        theirs.write_all(b"busy").await.expect("written");
        drop(theirs);
        let mut ours = Gathering::new(Box::new(ours));
        ours.write_all(b"header").await.expect("held");
        ours.write_all(b"body").await.expect_err("nobody is there");
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.expect("read");
        assert_eq!(answer, "busy");
    }

    #[tokio::test]
    async fn nothing_is_lost_where_the_other_end_takes_little_at_a_time() {
        for room in [1, 3, 7, 11, 64] {
            let (ours, mut theirs) = duplex(room);
            let mut ours = Gathering::new(Box::new(ours));
            let written = async {
                ours.write_all(b"header ").await?;
                ours.flush().await?;
                ours.write_all(b"body").await?;
                ours.flush().await?;
                drop(ours);
                io::Result::Ok(())
            };
            let mut all = String::new();
            let (written, read) = tokio::join!(written, theirs.read_to_string(&mut all));
            written.expect("written");
            read.expect("read");
            assert_eq!(all, "header body", "{room}");
        }
    }

    #[tokio::test]
    async fn the_next_request_waits_again_and_a_word_unasked_for_is_noticed() {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"header").await.expect("written");
        ours.write_all(b"body").await.expect("written");
        let mut ours = Gathering::renewed(Box::new(ours)).expect("one of ours");
        assert!(ours.is_quiet());
        arrived(&mut theirs);
        ours.write_all(b"header").await.expect("written");
        ours.flush().await.expect("flushed");
        assert_eq!(arrived(&mut theirs), "");
        theirs.write_all(b"!").await.expect("written");
        assert!(!ours.is_quiet());
    }

    #[test]
    fn what_is_held_is_not_shown() {
        let (mut ours, _theirs) = pair();
        ours.held.extend_from_slice(b"secret");
        assert!(!format!("{ours:?}").contains("115"));
    }
}
