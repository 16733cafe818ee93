//! `/providers/{name}/…`: any method, any path, straight to one provider, through Pingora's stock loop.
//!
//! Nothing is buffered, WebSockets included. The path is confined to the provider's base, and the client
//! must be allowed the provider by name, since nothing here is metered.

use super::call;
use super::choose;
use super::clients::Client;
use super::context::Context;
use super::headers;
use super::mask::Pieces;
use super::tokens;
use super::wire::{Broken, is_dead_connection};
use crate::domain::{ErrorClass, ErrorCode, Failure, wall_clock};
use crate::providers::classify::classify;
use crate::providers::credential::Entry;
use crate::providers::routes::{Route, Target};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may be silent, in the middle of a body or on a WebSocket.
const MAX_SILENCE: Duration = Duration::from_secs(600);

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
        return Err(Failure::new(ErrorCode::Forbidden, message));
    }
    let path = rest(request);
    if found.definition.base.passthrough_path(&path).is_none() {
        return Err(Failure::new(ErrorCode::InvalidRequest, "the path must stay below the provider's own"));
    }
    if has_body(request) && found.credentials().any(wall_clock::now(), Entry::covers_body) {
        let message = format!(
            "`{provider}` wants its requests signed with their bodies, which are not read here; only requests without a \
             body can be passed through, unless it has an `api_key`"
        );
        return Err(Failure::new(ErrorCode::InvalidRequest, message));
    }
    let target = Target { provider: found.index, upstream_model: None, rank: 0 };
    context.route = Some(Arc::new(Route { targets: vec![target], rewrite_model: false }));
    context.passthrough = true;
    Ok(())
}

/// Bears a client's silence, such as a WebSocket's, for longer than Pingora, which would cut it after a minute.
pub fn be_patient(session: &mut ServerSession) {
    session.set_read_timeout(Some(MAX_SILENCE));
}

/// Whether the client sends a body along.
fn has_body(request: &RequestHeader) -> bool {
    let length = request.headers.get(CONTENT_LENGTH).map_or(&b"0"[..], HeaderValue::as_bytes);
    let may_follow =
        request.version == Version::HTTP_2 && !matches!(request.method, Method::GET | Method::HEAD);
    length != b"0" || request.headers.contains_key(TRANSFER_ENCODING) || may_follow
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

/// Where the stock loop connects, with what its own connector has to know of the provider.
///
/// # Errors
/// When nobody can take the request now.
pub fn peer(context: &mut Context, session: &Session) -> pingora::Result<Box<HttpPeer>> {
    let retries_dead = std::mem::take(&mut context.retries_dead);
    let again = context.attempt.as_ref().filter(|_| retries_dead);
    let again = again.and_then(|attempt| attempt.upstream.provider.addresses().next());
    let address = again.or_else(|| choose::next(context));
    let (Some(address), Some(attempt)) = (address, &context.attempt) else {
        return Error::e_explain(ErrorType::HTTPStatus(503), "nobody can take the request now");
    };
    let mut peer = attempt.upstream.peer(address);
    if again.is_some() {
        // Past all pooled connections.
        peer.group_key = fastrand::u64(..);
    }
    attempt.upstream.for_stock_loop(&mut peer, session.is_upgrade_req());
    Ok(Box::new(peer))
}

/// Sees to it that the credential of the attempt has its token.
///
/// # Errors
/// When it can't be had.
pub async fn ensure_token(context: &Context) -> pingora::Result<()> {
    let Some(attempt) = context.attempt.as_ref().filter(|it| it.credential.lacks_token(wall_clock::now))
    else {
        return Ok(());
    };
    let fetched = Box::pin(tokens::fetch(attempt)).await;
    fetched.or_else(|broken| Error::e_explain(ErrorType::HTTPStatus(503), broken.reason))
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
    request.insert_header(HOST, base.host_header.clone())?;
    for (name, value) in &attempt.upstream.provider.definition.headers {
        request.insert_header(name.clone(), value.clone())?;
    }
    for (name, value) in call::proof(request, attempt, &[]) {
        request.insert_header(name, value)?;
    }
    Ok(())
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
    super::reply::stamp(context, response)?;
    let status = response.status.as_u16();
    if status >= 400 && request.method != Method::HEAD {
        mask(context, request, response)?;
    }
    // The status alone speaks: bodies are not read here.
    context.settlement.answered(status, (status >= 400).then(|| classify(status, None)));
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

/// Settles the attempt of a request that the stock loop carried to its end.
pub fn finish(context: &mut Context) {
    let Some(status) = context.settlement.http_status() else { return };
    let Some(attempt) = &mut context.attempt else { return };
    match (status >= 400).then(|| classify(status, None)) {
        None => attempt.succeed(),
        Some(class) => attempt.fail(class, Some(status), &format!("answered {status}")),
    }
}

/// Says whether the stock loop may try again: only where a pooled connection was dead already, which costs
/// nothing and shows nowhere.
pub fn retry_dead(
    context: &mut Context,
    session: &Session,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    // A body that is larger than Pingora's buffer can't be sent again.
    let can_retry = reused && is_dead_connection(&error) && !session.as_ref().retry_buffer_truncated();
    error.set_retry(can_retry);
    context.retries_dead = can_retry;
    error
}

/// Answers a request that the stock loop could not carry.
pub async fn failed(session: &mut ServerSession, context: &mut Context, error: &Error) -> FailToProxy {
    if !context.passthrough {
        // An exchange that was cut off has said all there is to say.
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
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
    if session.response_written().is_some_and(|header| !header.status.is_informational()) {
        context.settlement.truncated(ErrorClass::Truncated, broken.reason);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::config::Timeouts;

    #[test]
    fn five_idle_minutes_are_borne_on_both_sides() {
        let idle = Duration::from_secs(300);
        let mut session = ServerSession::new_http1(Box::new(tokio::io::duplex(1).0));
        be_patient(&mut session);
        assert!(session.get_read_timeout().is_some_and(|patience| patience > idle));
        // What the stock loop waits for a provider: see `Upstream::peer`.
        assert!(Timeouts::default().total.get() > idle);
    }
}
