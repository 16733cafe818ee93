//! One client request, one attempt after another, until a provider's answer is committed.
//!
//! Which candidate is next is decided in `upstream_peer`, the same for this loop and Pingora's own. What a
//! failure means is decided by its class: most move on to the next candidate, a client's own fault is
//! answered at once. After a commit nothing is tried again.

use super::Gateway;
use super::call::Call;
use super::context::Context;
use super::relay::{self, Relayed};
use super::upstream::Upstream;
use super::verdict::{self, Refusal};
use super::wire::{self, Answer, Broken, Outgoing};
use crate::domain::{ErrorClass, Failure};
use crate::providers::classify::classify;
use crate::translate;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// How much of an answer the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it.
    Whole,
    /// Part of it, or nothing: the connection is to be dropped, so that no clean end is ever written.
    CutOff,
}

/// How an attempt ended.
enum Ended {
    /// The client has its answer, or part of one.
    Answered(Delivery),
    /// The client has gone.
    ClientGone,
    /// This candidate failed before the client saw anything.
    Failed(Box<Failed>),
}

impl Ended {
    fn broken(broken: Broken) -> Ended {
        Ended::Failed(Box::new(Failed { broken, refusal: None }))
    }
}

/// An attempt that came to nothing.
struct Failed {
    broken: Broken,
    refusal: Option<Refusal>,
}

/// Serves a call.
///
/// # Errors
/// When no candidate could answer: what the client is to be told.
pub async fn run(
    gateway: &Gateway,
    session: &mut Session,
    context: &mut Context,
    call: &Call,
) -> Result<Delivery, Failure> {
    let mut last: Option<Refusal> = None;
    while context.settlement.attempts < context.snapshot.settings.retry.max_attempts {
        let Ok(peer) = gateway.upstream_peer(session, context).await else { break };
        let Some(attempt) = &context.attempt else { break };
        let upstream = Arc::clone(&attempt.upstream);
        let ended = match call.outgoing(attempt, &session.req_header().headers) {
            Ok(outgoing) => attempt_once(session, context, call, &upstream, *peer, &outgoing).await,
            Err(error) => {
                let reason = format!("the request can't be made: {error}");
                Ended::broken(Broken { class: ErrorClass::Gateway, reason })
            }
        };
        match ended {
            Ended::Answered(delivery) => return Ok(delivery),
            Ended::ClientGone => {
                let reason = "the client went away".to_owned();
                fail(context, &Broken { class: ErrorClass::Cancelled, reason }, None);
                context.settlement.cancelled();
                return Ok(Delivery::CutOff);
            }
            Ended::Failed(failed) => {
                let Failed { broken, refusal } = *failed;
                let class = broken.class;
                fail(context, &broken, refusal.as_ref().map(|refusal| refusal.header.status.as_u16()));
                last = refusal;
                if !class.moves_on() {
                    break;
                }
            }
        }
    }
    conclude(session, context, call, last).await
}

/// Records that the attempt under way failed.
fn fail(context: &mut Context, broken: &Broken, status: Option<u16>) {
    context.settlement.attempt_failed(broken.class);
    if let Some(tried) = context.tried.last_mut() {
        tried.class = Some(broken.class);
    }
    if let Some(attempt) = &mut context.attempt {
        attempt.fail(broken.class, status, &broken.reason);
    }
}

/// One attempt, from the request to the end of what the client gets of it.
async fn attempt_once(
    session: &mut Session,
    context: &mut Context,
    call: &Call,
    upstream: &Upstream,
    peer: HttpPeer,
    outgoing: &Outgoing,
) -> Ended {
    let timeouts = &upstream.provider.definition.timeouts;
    let total = Instant::now() + timeouts.total.get();
    let header_timeout = if call.wants_stream() { timeouts.header } else { timeouts.total };
    let by = Instant::now() + timeouts.connect.get() + header_timeout.get();
    let sent = tokio::select! {
        biased;
        sent = timeout_at(by.min(total), wire::send(upstream, peer, outgoing, header_timeout.get())) => sent,
        () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
    };
    match sent {
        Ok(Ok(answer)) if answer.header.status.is_success() => {
            committed(session, context, call, upstream, total, answer).await
        }
        Ok(Ok(answer)) => refused(session, upstream, answer).await,
        Ok(Err(broken)) => Ended::broken(broken),
        Err(_) => {
            let reason = "no header in time".to_owned();
            Ended::broken(Broken { class: ErrorClass::Timeout, reason })
        }
    }
}

/// Relays a good answer.
async fn committed(
    session: &mut Session,
    context: &mut Context,
    call: &Call,
    upstream: &Upstream,
    deadline: Instant,
    answer: Answer,
) -> Ended {
    let status = answer.header.status.as_u16();
    let downstream = session.as_downstream_mut();
    let relayed = match call.framing(&answer.header.headers) {
        Some(framing) => relay::stream(downstream, context, call, upstream, framing, answer).await,
        None => relay::plain(downstream, context, call, upstream, deadline, answer).await,
    };
    match relayed {
        Relayed::Whole => {
            context.settlement.answered(status, None);
            if let Some(attempt) = &mut context.attempt {
                attempt.succeed();
            }
            Ended::Answered(Delivery::Whole)
        }
        Relayed::ClientGone => Ended::ClientGone,
        Relayed::Uncommitted(broken) => Ended::broken(broken),
        Relayed::Truncated(broken) => {
            context.settlement.answered(status, Some(broken.class));
            context.settlement.truncated(broken.reason.clone());
            if let Some(attempt) = &mut context.attempt {
                attempt.fail(broken.class, Some(status), &broken.reason);
            }
            Ended::Answered(Delivery::CutOff)
        }
    }
}

/// Reads an answer that is no success, and says what it means.
async fn refused(session: &mut Session, upstream: &Upstream, mut answer: Answer) -> Ended {
    let body = tokio::select! {
        biased;
        body = relay::error_body(&mut answer) => body,
        () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
    };
    let header = answer.header.clone();
    answer.release(upstream).await;
    let status = header.status.as_u16();
    let class = classify(status, Some(&body));
    let broken = Broken { class, reason: format!("answered {status}") };
    Ended::Failed(Box::new(Failed { broken, refusal: Some(Refusal { header, body }) }))
}

/// Gives the client what is left when no candidate answered: the provider's own words where there was but
/// one to ask or the fault is the client's, else ours.
async fn conclude(
    session: &mut Session,
    context: &mut Context,
    call: &Call,
    last: Option<Refusal>,
) -> Result<Delivery, Failure> {
    let verdict = verdict::of(context, call, last.as_ref());
    match (verdict, last) {
        (verdict::Verdict::TheirWords(class), Some(Refusal { mut header, body })) => {
            let status = translate::error::status(call.dialect(), header.status.as_u16());
            // A status of three digits is always one.
            let _ = header.set_status(status);
            context.settlement.answered(status, Some(class));
            let sent = relay::give_error(session.as_downstream_mut(), context, &header, body).await;
            if sent.is_err() {
                context.settlement.cancelled();
                return Ok(Delivery::CutOff);
            }
            Ok(Delivery::Whole)
        }
        (verdict::Verdict::TheirWords(_), None) => Err(verdict::unavailable(context, call)),
        (verdict::Verdict::OurWords(failure), _) => Err(failure),
    }
}
