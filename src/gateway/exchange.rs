//! One client request, one attempt after another, until a provider's answer is committed.
//!
//! Who is asked next is decided in [`super::onward`] and chosen in [`super::choose`], for this loop as for Pingora's
//! own, whose `upstream_peer` asks there. After a commit nothing is asked again, unless the operator turned stream
//! recovery on: then another provider may go on exactly where a broken stream ended.

use super::alarm::Alarm;
use super::call::{Call, Unsendable, is_event_stream};
use super::choose;
use super::context::Context;
use super::count;
use super::hosted;
use super::keepalive::{self, KeepAlive};
use super::mask;
use super::onward;
use super::relay::recovery::Recovery;
use super::relay::{self, Relayed, Way};
use super::tokens;
use super::verdict::{self, Failed, Refusal, Verdict};
use super::wire::{self, Answer, Broken, Outgoing, Unanswered};
use crate::domain::{ErrorClass, Failure, wall_clock};
use crate::providers::classify::{classify, lacks_path};
use crate::providers::definition::Definition;
use crate::translate;
use crate::translate::frames::Framing;
use crate::translate::peek::BadBody;
use crate::translate::translation::Translation;
use bytes::Bytes;
use http::HeaderValue;
use pingora_proxy::Session;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
        Ended::Failed(Box::new(Failed::of(broken)))
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
    if call.wants_stream() && call.framing_asked() == Framing::Events {
        let streaming = &context.snapshot.settings.streaming;
        context.keepalive = KeepAlive::new(streaming, context.settlement.started());
    }
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
                if !wait.is_zero() && is_gone_within(session, context, wait).await {
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

/// Waits, and says whether the client went away meanwhile.
async fn is_gone_within(session: &mut Session, context: &mut Context, wait: Duration) -> bool {
    let over = Instant::now() + wait;
    let mut alarm = Alarm::at(context.keepalive.due_or(over));
    loop {
        tokio::select! {
            biased;
            () = alarm.rings() => {}
            () = relay::client_gone(session.as_downstream_mut()) => return true,
        }
        if Instant::now() >= over {
            return false;
        }
        if keepalive::beat(session.as_downstream_mut(), context).await.is_err() {
            return true;
        }
        alarm.set(context.keepalive.due_or(over));
    }
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
    if attempt.credential.lacks_token(wall_clock::now) {
        // On the heap, since it is rare.
        let fetched = Box::pin(tokens::fetch(attempt));
        tokio::select! {
            biased;
            fetched = fetched => if let Err(broken) = fetched { return Ended::broken(broken) },
            () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
        }
    }
    let (started, timeouts) = (attempt.started, &upstream.provider.definition.timeouts);
    let header_timeout = if call.wants_stream() { timeouts.header } else { timeouts.total };
    let total = started + timeouts.total.get();
    let of_stream = deadline(context, true, total);
    let of_plain = deadline(context, false, total);
    let by = if call.wants_stream() { of_stream } else { of_plain };
    let header_by = by.min(started + timeouts.connect.get() + header_timeout.get());
    let mut alarm = Alarm::at(context.keepalive.due_or(header_by));
    let mut retries = 0;
    let (mut answer, translation) = loop {
        let (outgoing, translation) = match outgoing(session, context, call, recovery) {
            Ok(outgoing) => outgoing,
            Err(failed) => return Ended::Failed(failed),
        };
        let sending = wire::send(&upstream, address, outgoing, retries);
        tokio::pin!(sending);
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut sending => break sent,
                () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
                () = alarm.rings() => {}
            }
            if Instant::now() >= header_by {
                return Ended::timeout("no header in time");
            }
            if keepalive::beat(session.as_downstream_mut(), context).await.is_err() {
                return Ended::ClientGone;
            }
            alarm.set(context.keepalive.due_or(header_by));
        };
        match sent {
            Ok(answer) => break (answer, translation),
            Err(Unanswered::Unsent(elsewhere)) => address = elsewhere,
            Err(Unanswered::Broken(broken)) => return Ended::broken(broken),
        }
        retries += 1;
    };
    if !answer.header().status.is_success() {
        alarm.set(by);
        return refused(session, &upstream.provider.definition, call, answer, alarm).await;
    }
    let framing = framing(call, &answer, translation.as_ref());
    let deadline = if framing.is_some() { of_stream } else { of_plain };
    let session = session.as_downstream_mut();
    let mut way = Way { session, context, call, upstream: &upstream, translation, deadline, alarm };
    relayed(&mut way, framing, recovery, &mut answer).await
}

/// How the frames of the client's stream are told apart, if the answer is one.
fn framing(call: &Call, answer: &Answer, translation: Option<&Translation>) -> Option<Framing> {
    match translation {
        // Providers are asked for events, whatever their clients like.
        Some(translation) => is_event_stream(&answer.header().headers).then(|| translation.framing()),
        None => call.framing(&answer.header().headers),
    }
}

fn unmade(why: &dyn Display) -> Broken {
    Broken { class: ErrorClass::Gateway, reason: format!("the request can't be made: {why}") }
}

/// What is sent to the provider of the attempt under way: the call, or the call with what the client has of the
/// answer.
fn outgoing(
    session: &Session,
    context: &mut Context,
    call: &Call,
    recovery: &mut Recovery,
) -> Result<(Outgoing, Option<Translation>), Box<Failed>> {
    let failed = |broken| Box::new(Failed::of(broken));
    let Some(attempt) = &mut context.attempt else { return Err(failed(unmade(&"no attempt is under way"))) };
    recovery.prepare(call, attempt);
    let call = recovery.prefilled().unwrap_or(call);
    let said =
        call.outgoing(attempt, &session.req_header().headers).map_err(|unsendable| match unsendable {
            Unsendable::Unmade(error) => failed(unmade(&error)),
            Unsendable::Unspeakable(BadBody(why)) => Box::new(Failed::unspeakable(&why, call.dialect())),
        })?;
    let dropped = said.dropped.join(", ");
    // A table's words are always a header's value.
    attempt.dropped =
        Some(dropped).filter(|it| !it.is_empty()).and_then(|it| HeaderValue::from_str(&it).ok());
    Ok((said.outgoing, said.translation))
}

/// When an attempt must have committed. What limits the whole of a plain answer is no limit for a stream, unless
/// the time for all attempts, which ends with the first commit, is none either.
fn deadline(context: &Context, streams: bool, total: Instant) -> Instant {
    let overall = context.course.deadline;
    overall.map_or(total, |overall| if streams { overall } else { overall.min(total) })
}

/// Relays a good answer.
async fn relayed(
    way: &mut Way<'_>,
    framing: Option<Framing>,
    recovery: &mut Recovery,
    answer: &mut Answer,
) -> Ended {
    let status = answer.header().status.as_u16();
    if framing != Some(Framing::Events) && (recovery.has_begun() || way.context.keepalive.has_opened()) {
        let reason = "only events can go on where events were begun".to_owned();
        return Ended::broken(Broken { class: ErrorClass::Truncated, reason });
    }
    if (framing.is_some() || way.translation.is_some()) && answer.is_opaque() {
        let reason = "in a content coding that is not known here".to_owned();
        return Ended::broken(Broken { class: ErrorClass::Transport, reason });
    }
    if framing.is_some() && way.translation.as_ref().is_some_and(|it| !it.may_stream()) {
        let reason = "a stream where there is none".to_owned();
        return Ended::broken(Broken { class: ErrorClass::ServerError, reason });
    }
    if let Some(translation) = way.translation.take_if(|_| framing.is_some()) {
        let max_event = way.context.snapshot.settings.streaming.max_event_size.as_usize();
        answer.translate(translation.stream(max_event));
    }
    let relayed = match framing {
        Some(framing) => relay::stream(way, framing, recovery, answer).await,
        None => relay::plain(way, answer).await,
    };
    let context = &mut *way.context;
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
async fn refused(
    session: &mut Session,
    provider: &Definition,
    call: &Call,
    mut answer: Answer,
    mut alarm: Alarm,
) -> Ended {
    let body = tokio::select! {
        biased;
        body = relay::error_body(&mut answer) => body,
        () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
        // The status speaks for itself.
        () = alarm.rings() => Bytes::new(),
    };
    let mut header = answer.decoded_header();
    answer.release().await;
    let answered = header.status.as_u16();
    let body = hosted::refusal(provider, &mut header, body);
    let class = classify(header.status.as_u16(), Some(&body));
    let broken = Broken { class, reason: format!("answered {answered}") };
    let dialect = hosted::dialect_of_error(provider, &body);
    let counts_nothing = count::is_missing(call.endpoint, header.status);
    let lacks_path = !counts_nothing && lacks_path(answered, &body);
    if lacks_path {
        log::warn!(
            "{} answered {answered} for {}, as if there were no such path: check its `base_url`",
            provider.name,
            call.endpoint.path
        );
    }
    // Another may have it.
    let is_unsaid = class != ErrorClass::ModelNotFound && (counts_nothing || lacks_path);
    let refusal = Some(Refusal { header, body, dialect });
    Ended::Failed(Box::new(Failed { refusal, is_unsaid, ..Failed::of(broken) }))
}

/// Ends a stream that broke off and that nobody could go on with.
async fn break_off(session: &mut Session, context: &mut Context, call: &Call) -> Delivery {
    let class = context.course.classes().next_back().unwrap_or(ErrorClass::Truncated);
    let broken = Broken::truncated(&format!("the stream could not be recovered: {class}"));
    let why = verdict::broke_off(&broken);
    context.settlement.truncated(broken.class, broken.reason);
    relay::say_truncated(session.as_downstream_mut(), call, None, 0, &why).await;
    Delivery::CutOff
}

/// Ends a stream that was opened before anybody had answered, which nobody did: what would have been the error is its
/// only event.
async fn end_early(
    session: &mut Session,
    context: &mut Context,
    call: &Call,
    verdict: Verdict,
    last: Option<Refusal>,
) -> Delivery {
    let (body, class, internal) = match (verdict, last) {
        (Verdict::TheirWords(class), Some(refusal)) => {
            (verdict::for_client(refusal, class, call.dialect()).body, class, "refused".to_owned())
        }
        (Verdict::TheirWords(class), None) => {
            let failure = verdict::unavailable(context, call);
            (translate::error::body(call.dialect(), &failure), class, failure.public)
        }
        (Verdict::OurWords(failure), _) => {
            (translate::error::body(call.dialect(), &failure), ErrorClass::Gateway, failure.public)
        }
    };
    let class = context.course.classes().next_back().unwrap_or(class);
    context.settlement.truncated(class, format!("after the header: {internal}"));
    let event = mask::secrets(context, translate::error::event_of(call.api(), &body, 0));
    // Best effort: the missing end says it too.
    let _ = session.as_downstream_mut().write_response_body(event, false).await;
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
    if context.keepalive.has_opened() {
        return Ok(end_early(session, context, call, verdict, last).await);
    }
    match (verdict, last) {
        (Verdict::TheirWords(class), Some(refusal))
            if class != ErrorClass::ModelNotFound
                && count::is_missing(call.endpoint, refusal.header.status) =>
        {
            let told = count::estimate(session.as_downstream_mut(), context, call).await;
            Ok(told.map_or(Delivery::CutOff, |()| Delivery::Whole))
        }
        (Verdict::TheirWords(class), Some(refusal)) => {
            let Refusal { header, body, .. } = verdict::for_client(refusal, class, call.dialect());
            context.settlement.answered(header.status.as_u16(), Some(class));
            let sent = relay::give_error(session.as_downstream_mut(), context, &header, body).await;
            if sent.is_err() {
                context.settlement.cancelled();
                return Ok(Delivery::CutOff);
            }
            Ok(Delivery::Whole)
        }
        (Verdict::TheirWords(_), None) => Err(verdict::unavailable(context, call)),
        (Verdict::OurWords(failure), _) => Err(failure),
    }
}
