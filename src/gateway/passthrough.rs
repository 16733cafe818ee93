//! `/providers/{name}/…`: any method, any path, straight to one provider, through Pingora's stock loop.
//!
//! Nothing is buffered, WebSockets included. The path is confined to the provider's base, and the client
//! must be allowed the provider by name, since nothing here is metered.

use super::attempt::{Attempt, Broken};
use super::call;
use super::clients::Client;
use super::context::Context;
use super::headers;
use super::mask::Pieces;
use crate::domain::{ErrorClass, ErrorCode, Failure};
use crate::providers::classify::classify;
use crate::providers::routes::{Route, Target};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorSource};
use pingora_proxy::FailToProxy;
use std::borrow::Cow;
use std::sync::Arc;

/// Prepares a request for the stock loop.
///
/// # Errors
/// When the provider is unknown, the client may not call it, or the path tries to leave it.
pub fn prepare(
    context: &mut Context,
    client: &Client,
    provider: &str,
    request: &RequestHeader,
) -> Result<(), Failure> {
    let Some(found) = context.snapshot.registry.named(provider) else {
        let known: Vec<&str> = context.snapshot.registry.providers().iter().map(|it| &**it.name()).collect();
        let message = format!("there is no provider of that name; known: {}", known.join(", "));
        return Err(Failure::new(ErrorCode::NotFound, message));
    };
    if !client.may_pass_through(provider) {
        let message = format!(
            "this client may not call `{provider}` directly; its key needs `passthrough: [{provider}]`"
        );
        return Err(Failure::new(ErrorCode::ModelForbidden, message));
    }
    let path = rest(request);
    if found.definition.base.passthrough_path(&path).is_none() {
        return Err(Failure::new(ErrorCode::InvalidRequest, "the path must stay below the provider's own"));
    }
    let target = Target { provider: found.index, upstream_model: None, rank: 0 };
    context.route = Some(Arc::new(Route { targets: vec![target], rewrite_model: false }));
    context.passthrough = true;
    Ok(())
}

/// Path and query behind `/providers/{name}`.
fn rest(request: &RequestHeader) -> Cow<'_, str> {
    let all = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let below = all.strip_prefix("/providers/").unwrap_or(all);
    match below.find(['/', '?']).map(|at| &below[at..]) {
        Some(query) if query.starts_with('?') => format!("/{query}").into(),
        Some(path) => path.into(),
        None => "/".into(),
    }
}

/// Makes the client's header the provider's.
///
/// # Errors
/// When the path can't be sent.
pub fn rewrite(context: &Context, request: &mut RequestHeader) -> pingora::Result<()> {
    let Some(attempt) = &context.attempt else { return Ok(()) };
    let base = &attempt.upstream.provider.definition.base;
    let path = base.passthrough_path(&rest(request)).unwrap_or_else(|| "/".to_owned());
    request.set_raw_path(path.as_bytes())?;
    headers::strip_passthrough(request);
    request.insert_header(HOST, base.authority.as_str())?;
    call::sign(request, attempt, &[])
}

/// Cleans a provider's answer, and settles the attempt by its status.
///
/// # Errors
/// None in practice.
pub fn answered(
    context: &mut Context,
    request: &RequestHeader,
    response: &mut ResponseHeader,
) -> pingora::Result<()> {
    headers::strip_downstream(response);
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    super::reply::common(context, response)?;
    let provenance = super::relay::answer_header(context, response, 0)?;
    for (name, value) in provenance.headers.iter().filter(|(_, value)| !value.is_empty()) {
        response.insert_header(name, value.clone())?;
    }
    let status = response.status.as_u16();
    if status >= 400 && request.method != Method::HEAD {
        mask(context, request, response)?;
    }
    // The status alone speaks: bodies are not read here.
    let class = (status >= 400).then(|| classify(status, None));
    if let Some(attempt) = &mut context.attempt {
        settle(attempt, status, class);
    }
    context.settlement.answered(status, class);
    Ok(())
}

/// Has the body of an error masked on its way, which may change its length.
fn mask(
    context: &mut Context,
    request: &RequestHeader,
    response: &mut ResponseHeader,
) -> pingora::Result<()> {
    context.masking = Some(Pieces::new(context));
    if response.remove_header(&CONTENT_LENGTH).is_some() && request.version == Version::HTTP_11 {
        response.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
    }
    Ok(())
}

fn settle(attempt: &mut Attempt, status: u16, class: Option<ErrorClass>) {
    match class {
        None => attempt.succeed(),
        Some(class) => attempt.fail(class, Some(status), &format!("answered {status}")),
    }
}

/// Answers a request that the stock loop could not carry.
pub async fn failed(session: &mut ServerSession, context: &mut Context, error: &Error) -> FailToProxy {
    let is_ours = *error.esource() != ErrorSource::Downstream;
    if !is_ours {
        context.settlement.cancelled();
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
    let broken = Broken::from_pingora(error);
    context.settlement.attempt_failed(broken.class);
    if let Some(attempt) = &mut context.attempt {
        attempt.fail(broken.class, None, &broken.reason);
    }
    if session.response_written().is_some() {
        context.settlement.truncated(broken.reason);
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
    let message = "the provider could not be reached; try again later";
    let failure = Failure::new(ErrorCode::UpstreamUnavailable, message)
        .because(broken.reason)
        .retry_after(super::verdict::COME_BACK);
    // After a failure the stock loop closes whatever it is told; the client must not count on the connection.
    session.set_keepalive(None);
    // A client that is gone gets no answer; the settlement has the failure all the same.
    let _ = super::reply::refuse(session, context, &failure).await;
    FailToProxy { error_code: failure.status, can_reuse_downstream: false }
}
