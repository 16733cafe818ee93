//! One client request, one attempt after another, until a provider's answer is committed.
//!
//! Who is asked next is decided by [`super::retry::next`] and chosen in `upstream_peer`, the same for this loop
//! and Pingora's own. After a commit nothing is asked again, unless the operator turned stream recovery on: then
//! another provider may go on exactly where a broken stream ended.

use super::Gateway;
use super::alarm::Alarm;
use super::call::Call;
use super::choose;
use super::context::Context;
use super::course::{Ask, Outcome, Tried};
use super::relay::recovery::Recovery;
use super::relay::{self, Relayed, Way};
use super::retry::backoff;
use super::retry::next::{Next, Standing, Wait, decide};
use super::verdict::{self, Failed, Refusal};
use super::wire::{self, Answer, Broken, Outgoing, Unanswered};
use crate::domain::{ErrorClass, Failure, Period, wall_clock};
use crate::providers::classify::classify;
use crate::providers::hint::retry_hint;
use crate::providers::routes::Target;
use crate::translate::frames::Framing;
use bytes::Bytes;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a provider that doesn't have a model isn't asked for it again.
const SKIP: Duration = Duration::from_secs(600);

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
pub async fn run(
    gateway: &Gateway,
    session: &mut Session,
    context: &mut Context,
    call: &Call,
) -> Result<Delivery, Failure> {
    let retry = &context.snapshot.settings.retry;
    context.course.deadline = context.settlement.started().checked_add(retry.total_timeout.get());
    let mut recovery = Recovery::new(retry.stream_recovery, call);
    let mut last: Option<Refusal> = None;
    loop {
        let Ok(peer) = gateway.upstream_peer(session, context).await else { break };
        match attempt_once(session, context, call, &mut recovery, peer).await {
            Ended::Answered(delivery) => return Ok(delivery),
            Ended::ClientGone => return Ok(cancelled(context)),
            Ended::Failed(failed) => {
                settle_failed(context, &failed);
                let Some(wait) = move_on(context, &failed, &mut recovery) else {
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

/// Records that the attempt under way failed, and what its provider said about coming back.
fn settle_failed(context: &mut Context, failed: &Failed) {
    let Failed { broken, refusal } = failed;
    let hint = refusal
        .as_ref()
        .and_then(|refusal| retry_hint(&refusal.header.headers, Some(&refusal.body), wall_clock::now()));
    let now = Instant::now();
    let back_at = hint.and_then(|hint| now.checked_add(hint));
    context.course.failed(broken.class, back_at);
    context.settlement.attempt_failed(broken.class);
    // The time for all attempts was up, not the provider's own: no fault of it.
    let is_cut_short = broken.class == ErrorClass::Timeout && context.course.time_left(now).is_zero();
    if let Some(attempt) = &mut context.attempt {
        if is_cut_short {
            attempt.fail(ErrorClass::Cancelled, None, "the time for all attempts is over");
        }
        let status = refusal.as_ref().map(|refusal| refusal.header.status.as_u16());
        attempt.fail(broken.class, status, &broken.reason);
    }
}

/// Decides who is asked next and says how long that waits; `None` if nobody is. A key that was refused costs its
/// provider nothing worth counting, all else is extra load.
fn move_on(context: &mut Context, failed: &Failed, recovery: &mut Recovery) -> Option<Duration> {
    let target = context.course.tried.last()?.target.clone();
    if recovery.falls_back(failed.broken.class) {
        let max_attempts = context.snapshot.settings.retry.max_attempts;
        if context.settlement.attempts >= max_attempts {
            return None;
        }
        // It would not go on from a partial answer, but may repeat it.
        context.course.ask = Ask::Again(target, None);
        return Some(Duration::ZERO);
    }
    if failed.broken.class == ErrorClass::ContextLength {
        let window = choose::context_window(context, &target).unwrap_or(0);
        context.course.window_above = context.course.window_above.max(Some(window));
    }
    let now = Instant::now();
    if failed.broken.class == ErrorClass::ModelNotFound {
        skip(context, now);
    }
    let mut standing = standing(context, failed.broken.class, &target, now);
    let retry = &context.snapshot.settings.retry;
    let wait_max = retry.wait_max.get().map_or(Duration::ZERO, Period::get);
    loop {
        match decide(&standing, wait_max) {
            Next::GiveUp => return None,
            Next::Candidate => return Some(Duration::ZERO),
            Next::Credential if standing.class == ErrorClass::Auth || bears_more(context, &target, now) => {
                context.course.ask = Ask::Credential(target);
                return Some(Duration::ZERO);
            }
            Next::Credential => standing = Standing { has_credential: false, ..standing },
            Next::Again(wait) => match again(context, &target, wait, now) {
                Some(wait) => return Some(wait),
                // No time, or too much extra load for this provider: as if it had had its retry.
                None => standing = Standing { has_retried: true, is_alone: false, ..standing },
            },
        }
    }
}

/// Spares others the question for a model that a provider doesn't have.
fn skip(context: &Context, now: Instant) {
    let Some(attempt) = &context.attempt else { return };
    if let Some(until) = now.checked_add(SKIP) {
        attempt.upstream.provider.skips().skip(&attempt.model, until, now);
    }
}

/// What is left to a request whose attempt at `target` failed.
fn standing(context: &Context, class: ErrorClass, target: &Target, now: Instant) -> Standing {
    let registry = &context.snapshot.registry;
    let wall = wall_clock::now();
    let tier = registry.tier(target);
    let others = choose::eligible(context, wall).count();
    let used = context.settlement.attempts;
    let attempts_left = context.snapshot.settings.retry.max_attempts.saturating_sub(used);
    // The keys of one provider must not use up what others could still be asked with.
    let has_spare = usize::try_from(attempts_left).is_ok_and(|left| left > others);
    Standing {
        class,
        hint: back_at(context, target).map(|(_, at)| at.saturating_duration_since(now)),
        says_when: context.course.tried.last().is_some_and(|tried| tried.back_at.is_some()),
        attempts_left,
        time_left: context.course.time_left(now),
        has_credential: has_spare && choose::has_credential_left(context, target, wall),
        has_equal: choose::eligible(context, wall).any(|other| registry.tier(other) == tier),
        has_other: others > 0,
        is_alone: verdict::candidates(context).count() == 1,
        has_retried: context.course.retried_in == Some(tier),
    }
}

/// Who in the tier of the target that failed wants to be asked again first, and when.
fn back_at<'c>(context: &'c Context, target: &Target) -> Option<(&'c Tried, Instant)> {
    let registry = &context.snapshot.registry;
    let tier = registry.tier(target);
    context.course.soonest_back(|other| registry.tier(other) == tier)
}

/// Has a provider asked again, if it can bear it and there is time, and says after how long.
fn again(context: &mut Context, target: &Target, wait: Wait, now: Instant) -> Option<Duration> {
    let back = back_at(context, target).filter(|_| matches!(wait, Wait::Hinted(_)));
    let (target, credential) =
        back.map_or((target.clone(), None), |(tried, _)| (tried.target.clone(), tried.credential.clone()));
    let retry = &context.snapshot.settings.retry;
    let before = context.course.tried.iter().filter(|tried| {
        tried.target.provider == target.provider && matches!(tried.outcome, Outcome::Failed(_))
    });
    let jitter =
        backoff::wait(&retry.backoff, u32::try_from(before.count()).unwrap_or(u32::MAX), fastrand::f64());
    let wait = match wait {
        Wait::Backoff => jitter,
        // Not all at the same moment, when many were told the same time.
        Wait::Hinted(hint) => hint + jitter.min(hint / 10),
    };
    if wait >= context.course.time_left(now) || !bears_more(context, &target, now) {
        return None;
    }
    context.course.retried_in = Some(context.snapshot.registry.tier(&target));
    context.course.ask = Ask::Again(target, credential);
    Some(wait)
}

/// Whether a provider can bear another attempt, which is then paid for.
fn bears_more(context: &Context, target: &Target, now: Instant) -> bool {
    let budget = &context.snapshot.settings.retry.budget;
    let upstream = context.snapshot.upstreams.get(target.provider);
    upstream.is_some_and(|upstream| upstream.budget.try_spend(budget, now))
}

/// One attempt, from the request to the end of what the client gets of it.
async fn attempt_once(
    session: &mut Session,
    context: &mut Context,
    call: &Call,
    recovery: &mut Recovery,
    mut peer: Box<HttpPeer>,
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
            sent = wire::send(&upstream, peer, outgoing, retries) => sent,
            () = relay::client_gone(session.as_downstream_mut()) => return Ended::ClientGone,
            () = alarm.rings() => return Ended::timeout("no header in time"),
        };
        match sent {
            Ok(answer) => break answer,
            Err(Unanswered::Unsent(elsewhere)) => peer = elsewhere,
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
