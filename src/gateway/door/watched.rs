//! A client's connection with an eye on the clock while a header is due.
//!
//! An idle connection has until the keep-alive ends, which is Pingora's to watch; from the first byte of a
//! header on the whole of it has to come in time. Costs nothing where a header comes in one read: the timer is
//! set when the wait for a second one begins.

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::digest::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What is read at once from a new connection: as much as Pingora reads of a header.
const FIRST_READ: usize = 4 << 10;
/// What a client is told whose header didn't come in time (RFC 9110, section 15.5.9).
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Nothing of a header has come.
const WAITING: u8 = 0;
/// A part of one has come.
const HEADER: u8 = 1;
/// All of one has come, or there is no more to wait for.
const OPEN: u8 = 2;

/// A client's connection.
#[derive(Debug)]
pub struct Watched {
    stream: Stream,
    /// Changed by the request that is served, which has the connection by reference only.
    phase: AtomicU8,
    header_timeout: Duration,
    idle_timeout: Duration,
    late: Option<Pin<Box<Sleep>>>,
    /// What was read to see which protocol is spoken.
    ahead: BytesMut,
    /// What is still missing of the preface of a connection that has agreed on HTTP/2.
    preface: usize,
}

impl Watched {
    /// A connection of which nothing was read.
    pub fn new(stream: Stream, header_timeout: Duration, idle_timeout: Duration) -> Watched {
        let is_h2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        // Whoever has agreed on HTTP/2 speaks at once.
        let (phase, preface) = if is_h2 { (HEADER, PREFACE.len()) } else { (WAITING, 0) };
        let phase = AtomicU8::new(phase);
        Watched { stream, phase, header_timeout, idle_timeout, late: None, ahead: BytesMut::new(), preface }
    }

    /// A header is complete.
    pub fn header_came(&self) {
        self.phase.store(OPEN, Ordering::Relaxed);
    }

    /// Another header may follow.
    pub fn request_over(&self) {
        self.phase.store(WAITING, Ordering::Relaxed);
    }

    /// So many bytes have come.
    fn came(&mut self, bytes: usize) {
        if bytes > 0 && self.preface > 0 {
            self.preface = self.preface.saturating_sub(bytes);
            if self.preface == 0 {
                self.header_came();
            }
        } else if bytes > 0 && *self.phase.get_mut() == WAITING {
            *self.phase.get_mut() = HEADER;
        }
    }

    /// Ends the wait for a header that is late.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if *self.phase.get_mut() != HEADER {
            return Poll::Pending;
        }
        let within = self.header_timeout;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(within)));
        std::task::ready!(late.as_mut().poll(context));
        if self.preface == 0 {
            // Best effort: the close says it too.
            let _ = Pin::new(&mut self.stream).poll_write(context, TOO_LATE);
            let _ = Pin::new(&mut self.stream).poll_flush(context);
        }
        Poll::Ready(io::Error::new(ErrorKind::TimedOut, "the header did not come in time"))
    }
}

#[async_trait]
impl Peek for Watched {
    /// Reads until it is clear whether the connection begins as `buf.len()` bytes of the preface do. What is
    /// read is kept for the reads to come, as is what is too short to fill `buf`: it is none of HTTP/2.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let mut first = BytesMut::with_capacity(FIRST_READ);
        let read = timeout(self.idle_timeout, self.stream.read_buf(&mut first)).await??;
        self.came(read);
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            // The deadline is that of reads.
            if self.read_buf(&mut first).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if first.starts_with(PREFACE) {
            self.header_came();
        }
        let length = first.len().min(buf.len());
        buf[..length].copy_from_slice(&first[..length]);
        self.ahead = first;
        Ok(true)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..length]);
            this.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        if *this.phase.get_mut() != HEADER {
            this.late = None;
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buf) {
            Poll::Ready(read) => {
                this.came(buf.filled().len() - before);
                Poll::Ready(read)
            }
            Poll::Pending => this.poll_late(context).map(Err),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Watched {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}
