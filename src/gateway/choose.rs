//! The next candidate of a request: who, with which credential, at which address.
//!
//! The one place where both ways of carrying a request choose: our exchange and Pingora's stock loop.

use super::attempt::Attempt;
use super::context::{Context, Tried};
use super::routes::Endpoint;
use crate::domain::{ErrorClass, wall_clock};
use crate::providers::definition::Definition;
use crate::providers::routes::Target;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Begins an attempt at the best candidate that is left, and says where to connect.
///
/// # Errors
/// When nobody is left who could take the request now.
pub fn next(context: &mut Context) -> pingora::Result<Box<HttpPeer>> {
    if std::mem::take(&mut context.retries_dead)
        && let Some(peer) = context.attempt.as_ref().and_then(fresh_peer)
    {
        return Ok(peer);
    }
    // The attempt before this one is over; what it holds is given back before anybody is chosen.
    if let Some(before) = context.attempt.take() {
        context.settlement.upstream_time += before.took();
    }
    let now = wall_clock::now();
    while let Some(target) = with_next_credential(context, now).or_else(|| candidate(context, now)) {
        let begun = begin(context, &target, now);
        let credential = begun.as_ref().map(|attempt| Arc::clone(&attempt.credential));
        context.tried.push(Tried { target, credential, class: None });
        let Some(attempt) = begun else { continue };
        context.settlement.attempts += 1;
        context.settlement.upstream = Some(Arc::clone(&attempt.upstream));
        context.settlement.model = Arc::clone(&attempt.model);
        let address = attempt.upstream.provider.addresses().next();
        let attempt = context.attempt.insert(attempt);
        if let Some(address) = address {
            return Ok(Box::new(attempt.upstream.peer(address)));
        }
        attempt.fail(ErrorClass::Transport, None, "its name has never resolved");
        context.settlement.attempt_failed(ErrorClass::Transport);
        if let Some(tried) = context.tried.last_mut() {
            tried.class = Some(ErrorClass::Transport);
        }
    }
    Error::e_explain(ErrorType::HTTPStatus(503), "no candidate is left")
}

/// Where the same attempt connects once more, past all pooled connections.
fn fresh_peer(attempt: &Attempt) -> Option<Box<HttpPeer>> {
    let mut peer = attempt.upstream.peer(attempt.upstream.provider.addresses().next()?);
    peer.group_key = fastrand::u64(..);
    Some(Box::new(peer))
}

/// The last target once more, where it was the credential that failed: it may have another. That there is
/// none shows when the attempt begins, and ends this.
fn with_next_credential(context: &Context, now: SystemTime) -> Option<Target> {
    let last = context.tried.last()?;
    let left = context.snapshot.settings.retry.max_attempts.saturating_sub(context.settlement.attempts);
    let others = eligible(context, now).count();
    // The keys of one provider must not use up what others could still be asked with.
    if usize::try_from(left).is_ok_and(|left| left <= others) {
        return None;
    }
    matches!(last.class, Some(ErrorClass::Auth | ErrorClass::RateLimit)).then(|| last.target.clone())
}

/// The strategy's choice among the targets that could take the request. One that names a target which was
/// tried has nobody else to offer.
fn candidate(context: &Context, now: SystemTime) -> Option<Target> {
    let registry = &context.snapshot.registry;
    registry.choose(eligible(context, now), None).filter(|target| !context.has_tried(target))
}

/// The targets that were not tried and could take the request now.
fn eligible(context: &Context, now: SystemTime) -> impl Iterator<Item = &Target> + Clone {
    let registry = &context.snapshot.registry;
    let targets = context.route.as_ref().map_or(&[][..], |route| &route.targets);
    targets.iter().filter(move |target| {
        let provider = registry.provider(target.provider).filter(|_| !context.has_tried(target));
        provider.is_some_and(|provider| {
            context.endpoint.is_none_or(|endpoint| can_express(&provider.definition, endpoint))
                && provider.available(now).is_ok()
        })
    })
}

/// Whether a provider can be asked for this at all: for now, only in the client's own dialect.
pub fn can_express(provider: &Definition, endpoint: &Endpoint) -> bool {
    provider.dialect == endpoint.dialect && (provider.responses || !endpoint.is_responses())
}

/// Takes a place at the provider, and one of its credentials that this request hasn't used yet.
fn begin(context: &Context, target: &Target, now: SystemTime) -> Option<Attempt> {
    let upstream = context.snapshot.upstreams.get(target.provider)?;
    let permit = upstream.provider.admit()?;
    let credential = upstream.provider.credentials().pick(now, |entry| !context.has_used(target, entry))?;
    let model = target.upstream_model.as_ref().unwrap_or(&context.model);
    Some(Attempt::begin(
        Arc::clone(upstream),
        credential,
        Arc::clone(model),
        permit,
        context.request_id.clone(),
        Instant::now(),
    ))
}
