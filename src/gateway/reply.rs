//! Answers of the gateway's own, and the headers that every answer carries.

use super::admit;
use super::alarm::within;
use super::context::Context;
use super::relay;
use super::settle::CACHE_BYPASS;
use crate::domain::Failure;
use crate::translate;
use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use std::time::{Duration, Instant};

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
/// What the provider was not told of the request, since its API has no words for it.
pub const DROPPED: HeaderName = HeaderName::from_static("x-cliproxy-dropped");
/// How long provider and gateway took (Server Timing, W3C).
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Room for what `server-timing` says.
const TIMING_LENGTH: usize = 48;
/// How much is written within one `write_timeout`.
const SLICE: usize = 64 << 10;
/// How long what was written may wait for its turn on a connection that others share.
const TURN: Duration = Duration::from_millis(100);
/// How long a client may go on sending what nobody will read, so that it sees the answer and not a reset.
const DRAIN: Duration = Duration::from_secs(2);

/// An answer's header in the making, with the status, and room for so many headers. It becomes Pingora's when it is
/// complete: Pingora's own ways to add to one take each name apart and put it together again.
pub fn header(status: u16, headers: usize) -> Parts {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    parts.headers.reserve(headers);
    parts
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
    let mut header = header(failure.status, 8);
    let headers = &mut header.headers;
    headers.insert(ERROR, HeaderValue::from_static(failure.code.name()));
    if let Some(wait) = failure.retry_after {
        // Rounded up: a client that comes back a moment early is refused again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.max(1).into());
    }
    if failure.status == StatusCode::UNAUTHORIZED.as_u16() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if context.settlement.attempts > 0 {
        headers.insert(ATTEMPTS, number(context.settlement.attempts));
    }
    if let Some(allow) = context.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
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
    context: &mut Context,
    mut header: Parts,
    body: Bytes,
) -> pingora::Result<()> {
    header.headers.insert(CONTENT_TYPE, JSON);
    whole(session, context, header, body).await
}

/// Answers with a body of known length.
///
/// # Errors
/// When the client is gone.
pub async fn whole(
    session: &mut ServerSession,
    context: &mut Context,
    mut header: Parts,
    body: Bytes,
) -> pingora::Result<()> {
    // 204 has no body by its nature, and must not say how long it is (RFC 9110, section 8.6).
    if header.status != StatusCode::NO_CONTENT {
        header.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    common(context, &mut header.headers);
    let is_still_sending = !session.is_body_done() && !admit::expects_continue(session);
    let has_body = !body.is_empty()
        && header.status != StatusCode::NO_CONTENT
        && session.req_header().method != Method::HEAD;
    let status = header.status.as_u16();
    write_header(session, context, header).await?;
    context.settlement.header_sent(status);
    if has_body {
        write(session, body).await?;
    }
    if is_still_sending {
        // Pingora closes after an early answer, and closing on unread bytes is a reset, which can overtake it.
        session.set_total_drain_timeout(Some(DRAIN));
        // The client has its answer, however this ends.
        let _ = session.drain_request_body().await;
    }
    Ok(())
}

/// Begins an answer whose length is not known yet.
///
/// # Errors
/// When the client is gone.
pub async fn begin(
    session: &mut ServerSession,
    context: &mut Context,
    mut header: Parts,
) -> pingora::Result<()> {
    common(context, &mut header.headers);
    if session.req_header().version == Version::HTTP_11 {
        header.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    } else if session.as_http1().is_some() {
        // Its end is the connection's.
        session.set_keepalive(None);
    }
    let status = header.status.as_u16();
    write_header(session, context, header).await?;
    context.settlement.header_sent(status);
    Ok(())
}

/// Writes a header, in bounded time: Pingora's timeout is for bodies only, and a client that reads nothing may have
/// filled the connection before.
///
/// # Errors
/// When the client is gone, or does not read.
async fn write_header(session: &mut ServerSession, context: &Context, header: Parts) -> pingora::Result<()> {
    let limit = context.snapshot.settings.limits.write_timeout.get();
    match within(limit, session.write_response_header(Box::new(header.into()))).await {
        Ok(written) => written,
        Err(_) => Error::e_explain(ErrorType::WriteTimedout, "writing an answer's header"),
    }
}

/// Writes a body in slices: a client that reads slowly but steadily keeps within the time for each.
async fn write(session: &mut ServerSession, mut body: Bytes) -> pingora::Result<()> {
    while body.len() > SLICE {
        session.write_response_body(body.split_to(SLICE), false).await?;
    }
    session.write_response_body(body, true).await
}

/// Says who answered, as what, after how many attempts, and how long that took.
pub fn provenance(context: &Context, headers: &mut HeaderMap) {
    let settlement = &context.settlement;
    let Some(upstream) = &settlement.upstream else { return };
    let now = Instant::now();
    let last = context.attempt.as_ref().map(|attempt| attempt.took_by(now)).unwrap_or_default();
    let waited = settlement.upstream_time + last;
    let overhead = now.saturating_duration_since(settlement.started()).saturating_sub(waited);
    // A name can have characters that a header can't, and pass-through has no model.
    if let Some(provider) = &upstream.provider.definition.name_header {
        headers.insert(PROVIDER, provider.clone());
    }
    if let Ok(model) = HeaderValue::from_str(&settlement.model)
        && !model.is_empty()
    {
        headers.insert(MODEL, model);
    }
    headers.insert(ATTEMPTS, number(settlement.attempts));
    headers.insert(CACHE, HeaderValue::from_static(CACHE_BYPASS));
    if let Some(dropped) = context.attempt.as_ref().and_then(|attempt| attempt.dropped.as_ref()) {
        headers.insert(DROPPED, dropped.clone());
    }
    let mut timing = Vec::with_capacity(TIMING_LENGTH);
    put_millis(&mut timing, b"upstream;dur=", waited);
    put_millis(&mut timing, b", gateway;dur=", overhead);
    if let Ok(timing) = HeaderValue::from_maybe_shared(Bytes::from(timing)) {
        headers.insert(SERVER_TIMING, timing);
    }
}

/// A number that is nearly always 1, which takes no memory.
fn number(number: u32) -> HeaderValue {
    if number == 1 { HeaderValue::from_static("1") } else { number.into() }
}

/// Milliseconds with one decimal behind their name, by hand: this is on the way of every answer, and formatted
/// floats cost as much as the rest of the header.
fn put_millis(out: &mut Vec<u8>, name: &[u8], duration: Duration) {
    let tenths = u64::try_from(duration.as_micros() / 100).unwrap_or(u64::MAX);
    out.extend_from_slice(name);
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = tenths / 10;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
}

/// Ends the message of an answer that was sent, in bounded time. Pingora would wait for ever for a client that
/// has stopped reading.
///
/// # Errors
/// When the client is gone, or does not read.
pub async fn end(session: &mut ServerSession, context: &Context) -> pingora::Result<()> {
    let limit = context.snapshot.settings.limits.write_timeout.get();
    match within(limit, session.finish_body()).await {
        Ok(ended) => ended,
        Err(_) => Error::e_explain(ErrorType::WriteTimedout, "ending an answer"),
    }
}

/// Lets go out what was written of an answer that is to be cut off: the reset that ends it on HTTP/2 drops what
/// still waits for its turn on the connection, be it the words that say why. A client that has gone needs none.
pub async fn let_out(session: &mut ServerSession) {
    if session.as_http1().is_none() && session.response_written().is_some() {
        let _ = tokio::time::timeout(TURN, relay::client_gone(session)).await;
    }
}

/// The headers of every answer, whoever made it.
pub fn common(context: &Context, headers: &mut HeaderMap) {
    headers.insert(REQUEST_ID, context.request_id.clone());
    for (name, value) in &context.cors {
        headers.append(name.clone(), value.clone());
    }
}

/// Puts the same and the provenance on an answer that the stock loop relays.
///
/// # Errors
/// None in practice: the values were headers before.
pub fn stamp(context: &Context, response: &mut ResponseHeader) -> pingora::Result<()> {
    let mut ours = HeaderMap::new();
    provenance(context, &mut ours);
    ours.insert(REQUEST_ID, context.request_id.clone());
    for (name, value) in &ours {
        response.insert_header(name, value.clone())?;
    }
    for (name, value) in &context.cors {
        response.append_header(name.clone(), value.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_one_decimal() {
        for (micros, text) in [(0, "t=0.0"), (99, "t=0.0"), (100, "t=0.1"), (1_234_567, "t=1234.5")] {
            let mut out = Vec::new();
            put_millis(&mut out, b"t=", Duration::from_micros(micros));
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
