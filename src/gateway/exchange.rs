//! One client request, one attempt after another, until a provider's answer is committed.
//!
//! Who is asked next is decided in [`super::onward`] and chosen in [`super::choose`], for this loop as for Pingora's
//! own, whose `upstream_peer` asks there. After a commit nothing is asked again, unless the operator turned stream
//! recovery on: then another provider may go on exactly where a broken stream ended.

use super::alarm::Alarm;
use super::call::Call;
use super::choose;
use super::context::Context;
use super::onward;
use super::relay::recovery::Recovery;
use super::relay::{self, Relayed, Way};
use super::verdict::{self, Failed, Refusal};
use super::wire::{self, Answer, Broken, Outgoing, Unanswered};
use crate::domain::{ErrorClass, Failure};
use crate::providers::classify::classify;
use crate::translate::frames::Framing;
use bytes::Bytes;
use pingora_proxy::Session;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

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
    /// The client has its answer, or part of one that nobody can add to.
    Answered(Delivery),
    /// The client has gone.
    ClientGone,
    /// This candidate failed; another may still answer, or go on where it stopped.
    Failed(Box<Failed>),
}

impl Ended {
    fn broken(broken: Broken) -> Ended {
        Ended::Failed(Box::new(Failed { broken, refusal: None }))
    }

    fn timeout(reason: &str) -> Ended {
        Ended::broken(Broken { class: ErrorClass::Timeout, reason: reason.to_owned() })
    }
}

/// Serves a call.
///
/// # Errors
/// When no candidate could answer: what the client is to be told.
pub async fn run(session: &mut Session, context: &mut Context, call: &mut Call) -> Result<Delivery, Failure> {
    let retry = &context.snapshot.settings.retry;
    context.course.deadline = context.settlement.started().checked_add(retry.total_timeout.get());
    let mut recovery = Recovery::new(retry.stream_recovery, call);
    let mut last: Option<Refusal> = None;
    while let Some(address) = choose::next(context) {
        match attempt_once(session, context, call, &mut recovery, address).await {
            Ended::Answered(delivery) => return Ok(delivery),
            Ended::ClientGone => return Ok(cancelled(context)),
            Ended::Failed(failed) => {
                onward::settle(context, &failed);
                let Some(wait) = onward::decide_next(context, &failed, &mut recovery) else {
                    last = failed.refusal;
                    break;
                };
                last = failed.refusal;
                if !wait.is_zero() && relay::is_gone_within(session.as_downstream_mut(), wait).await {
                    return Ok(cancelled(context));
                }
            }
        }
    }
    if recovery.has_begun() {
        return Ok(break_off(session, context, call).await);
    }
    conclude(session, context, call, last).await
}

/// The client went away: nobody's fault.
fn cancelled(context: &mut Context) -> Delivery {
    if let Some(attempt) = &mut context.attempt {
        attempt.fail(ErrorClass::Cancelled, None, "the client went away");
    }
    context.settlement.cancelled();
    Delivery::CutOff
}

/// One attempt, from the request to the end of what the client gets of it.
async fn attempt_once(
    session: &mut Session,
    context: &mut Context,
    call: &mut Call,
    recovery: &mut Recovery,
    mut address: SocketAddr,
) -> Ended {
    let Some(attempt) = &context.attempt else { return Ended::broken(unmade(&"no attempt was begun")) };
    let upstream = Arc::clone(&attempt.upstream);
    let (started, timeouts) = (attempt.started, &upstream.provider.definition.timeouts);
    let header_timeout = if call.wants_stream() { timeouts.header } else { timeouts.total };
    let total = started + timeouts.total.get();
    let of_stream = deadline(context, true, total);
    let of_plain = deadline(context, false, total);
    let by = if call.wants_stream() { of_stream } else { of_plain };
    let mut alarm = Alarm::at(by.min(started + timeouts.connect.get() + header_timeout.get()));
    let mut retries = 0;
    let answer = loop {
        let outgoing = match outgoing(session, context, call, recovery) {
            Ok(outgoing) => outgoing,
            Err(broken) => return Ended::broken(broken),
        };
        let sent = tokio::select! {
            biased;
            sent = wire::send(&upstream, address, outgoing, retries) => sent,
            () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
            () = alarm.rings() => return Ended::timeout("no header in time"),
        };
        match sent {
            Ok(answer) => break answer,
            Err(Unanswered::Unsent(elsewhere)) => address = elsewhere,
            Err(Unanswered::Broken(broken)) => return Ended::broken(broken),
        }
        retries += 1;
    };
    if !answer.header().status.is_success() {
        alarm.set(by);
        return refused(session, answer, alarm).await;
    }
    let streams = call.framing(&answer.header().headers).is_some();
    let deadline = if streams { of_stream } else { of_plain };
    let way =
        Way { session: session.as_downstream_mut(), context, call, upstream: &upstream, deadline, alarm };
    relayed(way, recovery, answer).await
}

fn unmade(why: &dyn Display) -> Broken {
    Broken { class: ErrorClass::Gateway, reason: format!("the request can't be made: {why}") }
}

/// What is sent to the provider of the attempt under way: the call, or the call with what the client has of the
/// answer.
fn outgoing(
    session: &Session,
    context: &Context,
    call: &Call,
    recovery: &mut Recovery,
) -> Result<Outgoing, Broken> {
    let Some(attempt) = &context.attempt else { return Err(unmade(&"no attempt is under way")) };
    recovery.prepare(call, attempt);
    let call = recovery.prefilled().unwrap_or(call);
    call.outgoing(attempt, &session.req_header().headers).map_err(|error| unmade(&error))
}

/// When an attempt must have committed. What limits the whole of a plain answer is no limit for a stream, unless
/// the time for all attempts, which ends with the first commit, is none either.
fn deadline(context: &Context, streams: bool, total: Instant) -> Instant {
    let overall = context.course.deadline;
    overall.map_or(total, |overall| if streams { overall } else { overall.min(total) })
}

/// Relays a good answer.
async fn relayed(mut way: Way<'_>, recovery: &mut Recovery, answer: Answer) -> Ended {
    let status = answer.header().status.as_u16();
    let framing = way.call.framing(&answer.header().headers);
    if framing != Some(Framing::Events) && recovery.has_begun() {
        let reason = "only events can go on where events broke off".to_owned();
        return Ended::broken(Broken { class: ErrorClass::Truncated, reason });
    }
    if framing.is_some() && answer.is_opaque() {
        let reason = "a stream in a content coding that is not known here".to_owned();
        return Ended::broken(Broken { class: ErrorClass::Transport, reason });
    }
    let relayed = match framing {
        Some(framing) => relay::stream(&mut way, framing, recovery, answer).await,
        None => relay::plain(&mut way, answer).await,
    };
    let context = way.context;
    match relayed {
        Relayed::Whole(error) => {
            context.settlement.answered(status, error);
            context.settlement.recovered_from = recovery.from().cloned();
            if let Some(attempt) = &mut context.attempt {
                match error {
                    None => attempt.succeed(),
                    Some(class) => attempt.fail(class, Some(status), "the answer itself says so"),
                }
            }
            Ended::Answered(Delivery::Whole)
        }
        Relayed::ClientGone => Ended::ClientGone,
        Relayed::Failed(failed) => Ended::Failed(failed),
        Relayed::Truncated(broken) => {
            context.settlement.answered(status, Some(broken.class));
            context.settlement.truncated(broken.class, broken.reason.clone());
            if let Some(attempt) = &mut context.attempt {
                attempt.fail(broken.class, Some(status), &broken.reason);
            }
            Ended::Answered(Delivery::CutOff)
        }
    }
}

/// Reads an answer that is no success, and says what it means.
async fn refused(session: &mut Session, mut answer: Answer, mut alarm: Alarm) -> Ended {
    let body = tokio::select! {
        biased;
        body = relay::error_body(&mut answer) => body,
        () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
        // The status speaks for itself.
        () = alarm.rings() => Bytes::new(),
    };
    let header = answer.decoded_header();
    answer.release().await;
    let status = header.status.as_u16();
    let class = classify(status, Some(&body));
    let broken = Broken { class, reason: format!("answered {status}") };
    Ended::Failed(Box::new(Failed { broken, refusal: Some(Refusal { header, body }) }))
}

/// Ends a stream that broke off and that nobody could go on with.
async fn break_off(session: &mut Session, context: &mut Context, call: &Call) -> Delivery {
    let class = context.course.classes().next_back().unwrap_or(ErrorClass::Truncated);
    context
        .settlement
        .truncated(ErrorClass::Truncated, format!("the stream could not be recovered: {class}"));
    relay::say_truncated(session.as_downstream_mut(), call).await;
    Delivery::CutOff
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
        (verdict::Verdict::TheirWords(class), Some(refusal)) => {
            let Refusal { header, body } = verdict::for_client(refusal, call.dialect());
            context.settlement.answered(header.status.as_u16(), Some(class));
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
