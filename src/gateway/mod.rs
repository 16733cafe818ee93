//! The data plane: what clients call, carried by Pingora.
//!
//! [`Gateway`] is the `ProxyHttp` of the house, behind its [`door`]. Its phases stay thin and name the next room,
//! in the order in which a request passes them: `serve` (what was called), [`admit`], [`body`], [`call`],
//! [`exchange`] (with [`choose`], [`attempt`], [`wire`], [`relay`], [`onward`], [`retry`] and [`verdict`]), [`settle`].
//! Pass-through requests leave for Pingora's stock loop after `admit` ([`passthrough`]). Cooldown, translation and
//! the operations API are other rooms'.

pub mod admit;
pub mod alarm;
pub mod attempt;
pub mod body;
pub mod call;
pub mod choose;
pub mod clients;
pub mod config;
pub mod context;
pub mod cors;
mod count;
pub mod course;
pub mod door;
pub mod exchange;
pub mod headers;
pub mod homes;
mod hosted;
pub mod keepalive;
pub mod life;
pub mod limits;
pub mod mask;
mod models;
pub mod onward;
pub mod passthrough;
mod path;
pub mod relay;
pub mod reply;
pub mod retry;
pub mod routes;
mod serve;
pub mod settle;
pub mod state;
pub mod tokens;
mod unhurried;
pub mod upstream;
pub mod verdict;
pub mod wire;

use crate::observe::Metrics;
use crate::operations::Operations;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use context::Context;
use http::Version;
use life::Life;
use limits::Room;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{FailToProxy, ProxyHttp, Session};
use serve::Next;
use state::Snapshot;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The data plane.
pub struct Gateway {
    /// What it serves with.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The life of the process.
    pub life: Arc<Life>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// The operations API, which this port answers too.
    pub operations: Arc<Operations>,
    /// Room for concurrent requests.
    pub places: Arc<Room>,
    /// Room for request bodies.
    pub bodies: Arc<Room>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// Boxed: Pingora moves it from one future into the next, several times for each request, and those have room for
    /// it each.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Context::new(self.snapshot.load_full(), Arc::clone(&self.metrics), Instant::now()))
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> pingora::Result<bool> {
        door::header_came(session);
        let from_client = session.req_header().headers.get(reply::REQUEST_ID);
        context.identify(context::request_id(from_client));
        let write_timeout = context.snapshot.settings.limits.write_timeout.get();
        prepare_downstream(session.as_downstream_mut(), write_timeout, self.life.is_draining());
        match serve::serve(self, session, context).await {
            Ok(Next::Answered) => Ok(true),
            Ok(Next::Passthrough) => Ok(false),
            Ok(Next::CutOff) => {
                reply::let_out(session.as_downstream_mut()).await;
                Err(cut_off())
            }
            Err(failure) => match reply::refuse(session.as_downstream_mut(), context, &failure).await {
                Ok(()) => Ok(true),
                // Half an answer may be out; the settlement has the failure all the same.
                Err(_) => Err(cut_off()),
            },
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Self::CTX,
    ) -> pingora::Result<Box<HttpPeer>> {
        let peer = passthrough::peer(context, session)?;
        passthrough::ensure_token(context).await.map(|()| peer)
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Self::CTX,
    ) -> pingora::Result<()> {
        passthrough::rewrite(context, request)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Self::CTX,
    ) -> pingora::Result<()> {
        if session.req_header().version == Version::HTTP_10 {
            // Its end may be the connection's.
            session.set_keepalive(None);
        }
        passthrough::answered(context, session.req_header(), response)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        context: &mut Self::CTX,
    ) -> pingora::Result<Option<Duration>> {
        if let Some(masking) = &mut context.masking {
            *body = masking.pass(body.as_ref(), is_last);
        }
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &pingora::Error,
        context: &mut Self::CTX,
    ) -> FailToProxy {
        passthrough::failed(session.as_downstream_mut(), context, error).await
    }

    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &pingora::Error) -> bool {
        // Every request ends in one event of ours, with its cause.
        true
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<pingora::Error>,
        context: &mut Self::CTX,
        reused: bool,
    ) -> Box<pingora::Error> {
        passthrough::retry_dead(context, session, error, reused)
    }

    async fn logging(&self, session: &mut Session, error: Option<&pingora::Error>, context: &mut Self::CTX) {
        door::request_over(session);
        if context.passthrough && error.is_none() {
            passthrough::finish(context);
        }
        context.attempt = None;
        context.settlement.settle();
    }
}

/// Makes Pingora drop the client's connection as it is: after `Ok(true)` it would write a clean end first.
fn cut_off() -> Box<pingora::Error> {
    pingora::Error::new_down(pingora::ErrorType::ConnectionClosed)
}

/// What is set on every session before anything else.
fn prepare_downstream(session: &mut ServerSession, write_timeout: Duration, is_draining: bool) {
    session.set_write_timeout(Some(write_timeout));
    // Off by default in Pingora, where a second request that is already there would get no answer.
    session.set_pipelining_enabled(session.as_http1().is_some());
    // What the client asked for is only ever shortened. Without a timeout, an idle connection stays for ever.
    if session.get_keepalive().is_some() {
        session.set_keepalive((!is_draining).then_some(door::KEEPALIVE.as_secs()));
    }
}
