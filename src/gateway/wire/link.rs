//! A connection in use: taken from the pool or made, and given back.

use super::gathering::Gathering;
use super::{Broken, MAX_STALE};
use crate::gateway::upstream::Upstream;
use crate::providers::platform::Platform;
use futures_util::FutureExt;
use pingora::http::ResponseHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v1::client::HttpSession as Http1Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Further addresses of a provider that an attempt connects to when the first doesn't answer.
const MAX_ADDRESSES: usize = 3;

/// A connection in use, or a stream on one.
///
/// An HTTP/2 connection is shared, and goes back to Pingora's pool however its stream ends: dropping this resets
/// the stream, which tells the provider at once, and has the connection known as idle. Pingora would keep one
/// whose stream is just dropped in use for ever.
pub(super) struct Link {
    /// None once it was given back.
    session: Option<Box<HttpSession>>,
    address: SocketAddr,
    upstream: Arc<Upstream>,
    is_reused: bool,
    /// What Pingora knows an HTTP/2 connection by.
    peer: Option<Box<HttpPeer>>,
}

impl Link {
    /// A connection that has served before, of HTTP/1.1.
    pub fn pooled(upstream: &Arc<Upstream>, address: SocketAddr) -> Option<Link> {
        let connection = upstream.idle.take(address, Instant::now())?;
        let session = Some(http1(connection));
        Some(Link { session, address, upstream: Arc::clone(upstream), is_reused: true, peer: None })
    }

    /// A new connection, or a stream on a shared one of HTTP/2. Tries the provider's other addresses where one
    /// doesn't answer.
    ///
    /// # Errors
    /// When none does.
    pub async fn connect(upstream: &Arc<Upstream>, address: SocketAddr) -> Result<Link, Broken> {
        let mut last = match open(upstream, address).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        // Asked for only now: each asking moves the provider's rotation of addresses on.
        let others = upstream.provider.addresses().filter(|other| *other != address);
        for address in others.take(MAX_ADDRESSES) {
            match open(upstream, address).await {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(Broken::from_pingora(&last))
    }

    /// Where it leads.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has served before.
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Whether it is a stream on a shared connection.
    pub fn is_h2(&self) -> bool {
        self.peer.is_some()
    }

    /// Who runs what it leads to.
    pub fn platform(&self) -> Platform {
        self.upstream.provider.definition.platform
    }

    /// What request and answer go through.
    ///
    /// # Errors
    /// When it was given back.
    pub fn session(&mut self) -> pingora::Result<&mut HttpSession> {
        let gone = || Error::explain(ErrorType::InternalError, "the connection was given back");
        self.session.as_deref_mut().ok_or_else(gone)
    }

    /// The header of the answer, once it was read.
    pub fn response_header(&self) -> Option<&ResponseHeader> {
        self.session.as_deref().and_then(HttpSession::response_header)
    }

    /// Gives the connection back: one of HTTP/1.1 if the answer is over and neither side wants it closed.
    pub async fn release(&mut self, is_over: bool) {
        match (self.session.take().map(|session| *session), &self.peer) {
            (Some(HttpSession::H1(mut session)), _) if is_over => {
                session.respect_keepalive();
                if let Some(connection) = session.reuse().await.and_then(Gathering::renewed) {
                    self.upstream.idle.put(connection, self.address, Instant::now());
                }
            }
            (Some(session @ HttpSession::H2(_)), Some(peer)) => {
                let idle = Some(self.upstream.idle_timeout());
                self.upstream.connector.release_http_session(session, &**peer, idle).await;
            }
            _ => {}
        }
    }

    /// Takes a shared connection out of the pool: what is on it may go on, and nothing new begins there, or not with
    /// HTTP/2.
    pub fn retire(&self, prefers_h1: bool) {
        if let Some(session) = self.session.as_deref().and_then(HttpSession::as_http2) {
            session.conn.mark_shutdown();
        }
        if let Some(peer) = self.peer.as_deref().filter(|_| prefers_h1) {
            self.upstream.connector.prefer_h1(peer);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_h2() {
            // Nothing is waited for with HTTP/2.
            let _ = self.release(false).now_or_never();
        }
    }
}

/// Makes a connection, or finds a shared one. An HTTP/2 connection that no longer takes streams leaves the pool with
/// the error that says so.
async fn open(upstream: &Arc<Upstream>, address: SocketAddr) -> pingora::Result<Link> {
    let peer = upstream.peer(address);
    let mut stale = 0;
    let (mut session, is_reused) = loop {
        match upstream.connector.get_http_session(&peer).await {
            Ok(opened) => break opened,
            // It takes no streams any more.
            Err(error) if stale < MAX_STALE && *error.etype() == ErrorType::H2Error => stale += 1,
            Err(error) => return Err(error),
        }
    };
    session.set_read_timeout(None);
    let upstream = Arc::clone(upstream);
    Ok(match session {
        HttpSession::H1(session) => {
            let connection = Box::new(Gathering::new(session.into_inner()));
            Link { session: Some(http1(connection)), address, upstream, is_reused, peer: None }
        }
        shared => {
            let (session, peer) = (Some(Box::new(shared)), Some(Box::new(peer)));
            Link { session, address, upstream, is_reused, peer }
        }
    })
}

/// The session for a request on a connection of HTTP/1.1.
fn http1(connection: Box<Gathering>) -> Box<HttpSession> {
    Box::new(HttpSession::H1(Http1Session::new(connection)))
}
