//! Answers of the gateway's own, and the headers that every answer carries.

use super::admit;
use super::context::Context;
use crate::domain::Failure;
use crate::translate;
use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::time::Duration;

/// The id of a request, in log and answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which of our errors an answer is.
pub const ERROR: HeaderName = HeaderName::from_static("x-cliproxy-error");
/// The provider that answered.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-cliproxy-provider");
/// The provider's name of the model that answered.
pub const MODEL: HeaderName = HeaderName::from_static("x-cliproxy-model");
/// How many attempts it took.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-cliproxy-attempts");
/// What the cache had to say.
pub const CACHE: HeaderName = HeaderName::from_static("x-cliproxy-cache");
/// How long provider and gateway took (Server Timing, W3C).
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// How long a client may go on sending what nobody will read, so that it sees the answer and not a reset.
const DRAIN: Duration = Duration::from_secs(2);

/// An answer's header with the status, and room for what follows.
///
/// # Errors
/// Only for a status that isn't one.
pub fn header(status: u16, headers: usize) -> pingora::Result<Box<ResponseHeader>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(Box::new(ResponseHeader::build_no_case(status, Some(headers))?))
}

/// Answers with a failure, in the dialect of the route.
///
/// # Errors
/// When the client is gone.
pub async fn refuse(
    session: &mut ServerSession,
    context: &mut Context,
    failure: &Failure,
) -> pingora::Result<()> {
    context.settlement.refused(failure);
    let mut header = header(failure.status, 8)?;
    header.insert_header(ERROR, HeaderValue::from_static(failure.code.name()))?;
    if let Some(wait) = failure.retry_after {
        // Rounded up: a client that comes back a moment early is refused again.
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        header.insert_header(RETRY_AFTER, seconds.to_string())?;
    }
    if failure.status == StatusCode::UNAUTHORIZED.as_u16() {
        header.insert_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))?;
    }
    if let Some(allow) = context.allow {
        header.insert_header(ALLOW, HeaderValue::from_static(allow))?;
    }
    let body = translate::error::body(context.dialect, failure);
    json(session, context, header, body).await
}

/// Answers with a JSON body.
///
/// # Errors
/// When the client is gone.
pub async fn json(
    session: &mut ServerSession,
    context: &Context,
    mut header: Box<ResponseHeader>,
    body: Bytes,
) -> pingora::Result<()> {
    header.insert_header(CONTENT_TYPE, JSON)?;
    whole(session, context, header, body).await
}

/// Answers with a body of known length.
///
/// # Errors
/// When the client is gone.
pub async fn whole(
    session: &mut ServerSession,
    context: &Context,
    mut header: Box<ResponseHeader>,
    body: Bytes,
) -> pingora::Result<()> {
    header.insert_header(CONTENT_LENGTH, body.len())?;
    common(context, &mut header)?;
    let is_still_sending = !session.is_body_done() && !admit::expects_continue(session);
    let has_body = !body.is_empty() && session.req_header().method != Method::HEAD;
    session.write_response_header(header).await?;
    if has_body {
        session.write_response_body(body, true).await?;
    }
    if is_still_sending {
        // Pingora closes after an early answer, and closing on unread bytes is a reset, which can overtake it.
        session.set_total_drain_timeout(Some(DRAIN));
        // The client has its answer, however this ends.
        let _ = session.drain_request_body().await;
    }
    Ok(())
}

/// The headers of every answer, whoever made it.
///
/// # Errors
/// None in practice: the values were headers before.
pub fn common(context: &Context, header: &mut ResponseHeader) -> pingora::Result<()> {
    header.insert_header(REQUEST_ID, context.request_id.clone())?;
    for (name, value) in &context.cors {
        header.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}
