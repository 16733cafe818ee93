//! Onward from an attempt that failed: it is settled, the facts are put before [`super::retry::next`], the budget is
//! asked, and the course told whom to ask next.
//!
//! Decides nothing itself about classes and tiers; knows no connection and writes nothing to the client.

use super::choose;
use super::context::Context;
use super::course::{Ask, Outcome, Tried};
use super::relay::recovery::Recovery;
use super::retry::backoff;
use super::retry::next::{Next, Standing, Wait, decide};
use super::verdict::{self, Failed};
use crate::domain::{ErrorClass, Period, wall_clock};
use crate::providers::hint::retry_hint;
use crate::providers::routes::Target;
use http::StatusCode;
use std::time::{Duration, Instant};

/// How long a provider that doesn't have a model isn't asked for it again.
const SKIP: Duration = Duration::from_secs(600);

/// Records that the attempt under way failed, and what its provider said about coming back.
pub fn settle(context: &mut Context, failed: &Failed) {
    let Failed { broken, refusal, .. } = failed;
    let hint = refusal
        .as_ref()
        .and_then(|refusal| retry_hint(&refusal.header.headers, Some(&refusal.body), wall_clock::now()));
    let now = Instant::now();
    let back_at = hint.and_then(|hint| now.checked_add(hint));
    context.course.failed(broken.class, back_at);
    context.settlement.attempt_failed(broken.class);
    if broken.class == ErrorClass::ModelFailed {
        context.course.model_failure = Some(broken.reason.clone());
    }
    // The time for all attempts was up, not the provider's own: no fault of it.
    let is_cut_short = broken.class == ErrorClass::Timeout && context.course.time_left(now).is_zero();
    if let Some(attempt) = &mut context.attempt {
        if is_cut_short {
            attempt.fail(ErrorClass::Cancelled, None, "the time for all attempts is over");
        }
        let status = refusal.as_ref().map(|refusal| refusal.header.status.as_u16());
        if status == Some(StatusCode::UNAUTHORIZED.as_u16()) {
            attempt.credential.refused(wall_clock::now());
        }
        attempt.fail(broken.class, status, &broken.reason);
    }
}

/// Decides who is asked next and says how long that waits; `None` if nobody is. A key that was refused costs its
/// provider nothing worth counting, all else is extra load.
pub fn decide_next(context: &mut Context, failed: &Failed, recovery: &mut Recovery) -> Option<Duration> {
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
    let mut standing =
        Standing { is_unsaid: failed.is_unsaid, ..standing(context, failed.broken.class, &target, now) };
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
        is_unsaid: false,
        hint: back_at(context, target).map(|(_, at)| at.saturating_duration_since(now)),
        says_when: context.course.tried.last().is_some_and(|tried| tried.back_at.is_some()),
        attempts_left,
        time_left: context.course.time_left(now),
        has_credential: has_spare && choose::has_credential_left(context, target, wall),
        has_equal: choose::eligible(context, wall).any(|other| registry.tier(other) == tier),
        has_other: others > 0,
        is_alone: verdict::candidates(context).count() == 1,
        has_retried: context.course.retried_in == Some(tier),
        model_failures: context.course.classes().filter(|class| *class == ErrorClass::ModelFailed).count(),
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
