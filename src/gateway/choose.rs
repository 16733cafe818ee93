//! The next candidate of a request: who, with which credential, at which address.
//!
//! The one place where both ways of carrying a request choose: our exchange and Pingora's stock loop.

use super::attempt::Attempt;
use super::context::Context;
use super::course::{Ask, Course, Outcome, Tried};
use super::routes::{Endpoint, Subject};
use super::upstream::Upstream;
use crate::domain::{Dialect, wall_clock};
use crate::gateway::config::RetryBudget;
use crate::providers::credential::Entry;
use crate::providers::definition::Definition;
use crate::providers::platform::Platform;
use crate::providers::provider::Unavailable;
use crate::providers::routes::Target;
use crate::translate::features::Features;
use crate::translate::translation::provider_api;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A provider whose recent attempts failed less often than this takes a request's first failover for nothing.
const SICK: f64 = 0.5;

/// The word for a provider that further attempts would burden too much.
const RETRY_BUDGET: &str = "retry_budget";

/// The word for a provider whose name has never resolved.
pub const UNRESOLVED: &str = "unresolved";

/// Begins an attempt at whom the course of the request asks next, and says where to connect; `None` when nobody is
/// left who could take the request now.
pub fn next(context: &mut Context) -> Option<SocketAddr> {
    // The attempt before this one is over; what it holds is given back before anybody is chosen.
    if let Some(before) = context.attempt.take() {
        context.settlement.upstream_time += before.took_by(Instant::now());
    }
    let now = wall_clock::now();
    loop {
        let ask = std::mem::take(&mut context.course.ask);
        let target = match &ask {
            Ask::Candidate => candidate(context, now),
            Ask::Credential(target) | Ask::Again(target, _) => Some(target.clone()),
        };
        let target = target?;
        let begun = begin(context, &target, &ask, now);
        let (credential, outcome) = match &begun {
            Ok((attempt, _)) => (Some(Arc::clone(&attempt.credential)), Outcome::UnderWay),
            Err(word) => (None, Outcome::Passed(word)),
        };
        context.course.tried.push(Tried { target, credential, outcome, back_at: None });
        if let Ok((attempt, address)) = begun {
            context.settlement.attempts += 1;
            context.settlement.upstream = Some(Arc::clone(&attempt.upstream));
            context.settlement.model = Arc::clone(&attempt.model);
            context.attempt = Some(attempt);
            return Some(address);
        }
    }
}

/// The strategy's choice among the targets that could take the request. One that names a target which was
/// tried has nobody else to offer. Where nobody seems to have the model, they are asked all the same: one may
/// have got it by now, and if not, says so in its own words.
fn candidate(context: &Context, now: SystemTime) -> Option<Target> {
    let registry = &context.snapshot.registry;
    let chosen = registry.choose(eligible(context, now), None);
    let chosen = chosen.or_else(|| {
        let is_untried = context.course.tried.is_empty();
        is_untried.then(|| registry.choose(able(context, now), None)).flatten()
    });
    chosen.filter(|target| !context.course.has_tried(target))
}

/// The targets that were not tried, could take the request now, and are not known to lack the model.
pub fn eligible(context: &Context, now: SystemTime) -> impl Iterator<Item = &Target> + Clone {
    able(context, now).filter(|target| !lacks_model(context, target))
}

/// Whether the target's provider said not long ago that it doesn't have the model.
pub fn lacks_model(context: &Context, target: &Target) -> bool {
    let provider = context.snapshot.registry.provider(target.provider);
    let model = target.upstream_model.as_ref().unwrap_or(&context.model);
    provider.is_some_and(|provider| provider.skips().is_skipped(model, Instant::now))
}

/// The targets that were not tried and could take the request now.
fn able(context: &Context, now: SystemTime) -> impl Iterator<Item = &Target> + Clone {
    let registry = &context.snapshot.registry;
    let course = &context.course;
    let targets = context.route.as_ref().map_or(&[][..], |route| &route.targets);
    targets.iter().filter(move |target| {
        let provider = registry.provider(target.provider).filter(|_| !course.has_tried(target));
        provider.is_some_and(|provider| {
            can_express(context, &provider.definition)
                && provider.available(now).is_ok()
                && provider.resolver().is_resolved()
                && !course.was_silent(target.provider)
                && course
                    .window_above
                    .is_none_or(|above| context_window(context, target).is_some_and(|window| window > above))
        })
    })
}

/// Whether a provider can be asked for this at all, in the client's words or in its own.
pub fn can_express(context: &Context, provider: &Definition) -> bool {
    let Some(endpoint) = context.endpoint else { return true };
    let lacks = |features: Features| features.refused_by(provider_api(provider.dialect)).is_some();
    speaks(provider, endpoint)
        || may_be_asked(provider, endpoint) && context.features.is_some_and(|features| !lacks(features))
}

/// Whether who hosts a provider has what is called there for a client of another dialect. Google's cloud takes counts and
/// embeddings in a form of its own, which is not written here.
fn may_be_asked(provider: &Definition, endpoint: &Endpoint) -> bool {
    match (endpoint.subject, provider.dialect) {
        (Some(Subject::Count), Dialect::Anthropic) => provider.platform.has_endpoint("messages/count_tokens"),
        (Some(Subject::Count | Subject::Embeddings(_)), Dialect::Gemini) => {
            provider.platform == Platform::Own
        }
        _ => true,
    }
}

/// Whether a provider is asked in the client's own words.
pub fn speaks(provider: &Definition, endpoint: &Endpoint) -> bool {
    provider.dialect == endpoint.dialect
        && (provider.responses || !endpoint.is_responses())
        && provider.platform.has_endpoint(endpoint.path)
}

/// The context window that is declared for a target's model.
pub fn context_window(context: &Context, target: &Target) -> Option<u64> {
    let provider = context.snapshot.registry.provider(target.provider)?;
    provider.definition.context_window(target.upstream_model.as_ref().unwrap_or(&context.model))
}

/// Pays for the choice of another candidate, if that can be paid. The first attempt of a request costs nothing,
/// nor does its first failover to a provider that seems well; what goes beyond is extra load, and comes out of a
/// budget.
fn pay(course: &mut Course, attempts: u32, upstream: &Upstream, budget: &RetryBudget, now: Instant) -> bool {
    if attempts == 0 {
        upstream.budget.requested(now);
        return true;
    }
    let is_well = || upstream.recent.error_ratio(now).is_none_or(|ratio| ratio < SICK);
    if !course.has_failed_over && is_well() {
        course.has_failed_over = true;
        return true;
    }
    upstream.budget.try_spend(budget, now)
}

/// Whether the target may be asked with another credential than so far.
pub fn has_credential_left(context: &Context, target: &Target, now: SystemTime) -> bool {
    let Some(provider) = context.snapshot.registry.provider(target.provider) else { return false };
    let is_fresh = |entry: &Entry| is_usable(context, target, &Ask::Credential(target.clone()), entry);
    provider.credentials().any(now, is_fresh)
}

/// Finds the provider's address, takes a place there, one of the credentials that this request may use, and last,
/// when nothing else is in the way, what the attempt costs. What is asked again, or with another credential, was paid for when
/// that was decided.
///
/// # Errors
/// What is missing, in a word.
fn begin(
    context: &mut Context,
    target: &Target,
    ask: &Ask,
    now: SystemTime,
) -> Result<(Attempt, SocketAddr), &'static str> {
    let snapshot = Arc::clone(&context.snapshot);
    let upstream = snapshot.upstreams.get(target.provider).ok_or("unavailable")?;
    let address = upstream.provider.addresses().next().ok_or(UNRESOLVED)?;
    let permit = upstream.provider.admit().ok_or(Unavailable::Busy.name())?;
    let credential = pick(context, upstream, target, ask, now);
    let credential = credential.ok_or(Unavailable::NoCredential.name())?;
    let (attempts, started) = (context.settlement.attempts, Instant::now());
    let budget = &snapshot.settings.retry.budget;
    if matches!(ask, Ask::Candidate) && !pay(&mut context.course, attempts, upstream, budget, started) {
        return Err(RETRY_BUDGET);
    }
    let model = target.upstream_model.as_ref().unwrap_or(&context.model);
    let (upstream, model) = (Arc::clone(upstream), Arc::clone(model));
    let attempt = Attempt::begin(upstream, credential, model, permit, context.request_id.clone(), started);
    Ok((attempt, address))
}

/// The credential that was asked for, if it is still there, else the one whose turn it is.
fn pick(
    context: &Context,
    upstream: &Upstream,
    target: &Target,
    ask: &Ask,
    now: SystemTime,
) -> Option<Arc<Entry>> {
    let credentials = upstream.provider.credentials();
    let wanted = if let Ask::Again(_, wanted) = ask { wanted.as_deref() } else { None };
    let pinned = wanted.and_then(|wanted| credentials.pick(now, |entry| entry.is_same_secret(wanted)));
    pinned.or_else(|| credentials.pick(now, |entry| is_usable(context, target, ask, entry)))
}

/// Whether there is any use in asking with this credential: none in one that the provider refused, or put off.
fn is_usable(context: &Context, target: &Target, ask: &Ask, entry: &Entry) -> bool {
    let course = &context.course;
    let is_spent = matches!(ask, Ask::Credential(_)) && course.has_used(target, entry);
    !is_spent && !course.was_refused(target, entry) && !course.is_put_off(target, entry, Instant::now)
}
