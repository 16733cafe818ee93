//! What a client is told when no candidate answered.

use super::call::Call;
use super::choose;
use super::context::Context;
use crate::domain::{ErrorClass, ErrorCode, Failure, wall_clock};
use crate::providers::provider::Unavailable;
use crate::providers::routes::Target;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use std::time::Duration;

/// When to come back if nobody said.
pub const COME_BACK: Duration = Duration::from_secs(2);

/// A provider's error answer, kept until it is decided whose words the client gets.
pub struct Refusal {
    /// Its header.
    pub header: ResponseHeader,
    /// Its body.
    pub body: Bytes,
}

/// Whose words the client gets.
pub enum Verdict {
    /// The provider's own answer, which is of this class.
    TheirWords(ErrorClass),
    /// An error of ours.
    OurWords(Failure),
}

/// Decides, from what was tried.
pub fn of(context: &Context, call: &Call, last: Option<&Refusal>) -> Verdict {
    let Some(class) = context.classes().next_back() else {
        return Verdict::OurWords(unavailable(context, call));
    };
    if class.is_client_fault() {
        return Verdict::TheirWords(class);
    }
    if context.classes().all(|class| class == ErrorClass::Auth) {
        return Verdict::OurWords(credentials_exhausted(context, call));
    }
    let was_the_only_one = candidates(context).count() == 1;
    let is_readable = |refusal: &Refusal| refusal.header.status.as_u16() >= 400;
    if was_the_only_one && last.is_some_and(is_readable) && class != ErrorClass::Auth {
        return Verdict::TheirWords(class);
    }
    if was_the_only_one && class == ErrorClass::Timeout {
        let message = format!("no answer for model `{}` in time; try again later", call.model);
        return Verdict::OurWords(Failure::new(ErrorCode::Timeout, message).because(reasons(context)));
    }
    Verdict::OurWords(exhausted(context, call))
}

/// Every candidate was tried.
fn exhausted(context: &Context, call: &Call) -> Failure {
    let all = |class| context.classes().all(|met| met == class);
    let why = reasons(context);
    if all(ErrorClass::ModelNotFound) {
        let message = format!("no provider has the model `{}` any more: {why}", call.model);
        return Failure::new(ErrorCode::ModelNotFound, message);
    }
    if all(ErrorClass::RateLimit) {
        let message = format!("every provider of model `{}` limits its rate: {why}", call.model);
        return Failure::new(ErrorCode::RateLimited, message).retry_after(COME_BACK);
    }
    let message = format!("no provider of model `{}` could answer: {why}; try again later", call.model);
    Failure::new(ErrorCode::UpstreamUnavailable, message).retry_after(COME_BACK)
}

/// Nobody could be tried at all.
pub fn unavailable(context: &Context, call: &Call) -> Failure {
    let why = reasons(context);
    let message = format!("no provider of model `{}` is available: {why}; try again later", call.model);
    if why.split("; ").all(|reason| reason.ends_with(Unavailable::NoCredential.name())) {
        let message = format!("no provider of model `{}` has a usable key: {why}", call.model);
        let internal = "set the provider's key in the configuration, its variable, or auth_dir";
        return Failure::new(ErrorCode::UpstreamCredentialsExhausted, message).because(internal);
    }
    Failure::new(ErrorCode::UpstreamUnavailable, message).retry_after(COME_BACK)
}

fn credentials_exhausted(context: &Context, call: &Call) -> Failure {
    let message = format!(
        "no credential that was tried for model `{}` was accepted: {}; the gateway's operator must look after them",
        call.model,
        reasons(context)
    );
    Failure::new(ErrorCode::UpstreamCredentialsExhausted, message)
}

/// Each candidate's name and why it is out: `claude: rate_limit; openai: no_credential`.
fn reasons(context: &Context) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for target in candidates(context) {
        let reason = reason(context, target);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}

/// The targets that could be asked for this at all.
fn candidates(context: &Context) -> impl Iterator<Item = &Target> {
    let targets = context.route.as_ref().map_or(&[][..], |route| &route.targets);
    targets.iter().filter(|target| {
        let provider = context.snapshot.registry.provider(target.provider);
        let can_express = |endpoint| provider.is_some_and(|it| choose::can_express(&it.definition, endpoint));
        context.endpoint.is_none_or(can_express)
    })
}

fn reason(context: &Context, target: &Target) -> String {
    let Some(provider) = context.snapshot.registry.provider(target.provider) else { return String::new() };
    let tried =
        context.tried.iter().rev().filter(|tried| tried.target == *target).find_map(|tried| tried.class);
    let word = match (tried, provider.available(wall_clock::now())) {
        (Some(class), _) => class.name(),
        (None, Err(unavailable)) => unavailable.name(),
        (None, Ok(())) => "not tried",
    };
    format!("{}: {word}", provider.name())
}
