//! The door: who may come in, with how much.
//!
//! What is refused here costs nothing but the look at a header.

use super::Gateway;
use super::clients::Client;
use super::context::{Context, Held};
use super::headers;
use super::limits;
use crate::domain::{ErrorCode, Failure, wall_clock};
use http::Version;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// 431, Request Header Fields Too Large (RFC 6585).
const HEADER_TOO_LARGE: u16 = 431;

/// Lets a client's request in: takes its place, finds out who sent it.
///
/// # Errors
/// With what the client is to be told.
pub fn admit(
    gateway: &Gateway,
    session: &ServerSession,
    context: &mut Context,
) -> Result<Arc<Client>, Failure> {
    context.settlement.count();
    let header = session.req_header();
    let limit = context.snapshot.settings.limits.max_header_size.as_usize();
    if headers::size(&header.headers) + header.uri.path_and_query().map_or(0, |path| path.as_str().len())
        > limit
    {
        let message = format!("the request header is larger than the {limit} bytes that this gateway takes");
        return Err(Failure::new(ErrorCode::RequestTooLarge, message).with_status(HEADER_TOO_LARGE));
    }
    check_framing(session)?;
    let Some(place) = gateway.places.take(1) else {
        return Err(limits::overloaded("the gateway serves as many requests as it may"));
    };
    let Some(body) = gateway.bodies.take(0) else {
        return Err(limits::overloaded("the gateway holds as many request bodies as it may"));
    };
    let (open, in_flight) = (gateway.life.enter(), gateway.metrics.enter());
    context.held = Some(Held { place, body, open, in_flight });
    let client = context.snapshot.clients.identify(&header.headers, &header.uri, wall_clock::now())?;
    context.settlement.client = Some(Arc::clone(&client));
    Ok(client)
}

/// A request with two lengths is how requests are smuggled, and one whose coding is not plainly `chunked` is
/// another; Pingora drops the length from the parsed header, and reads any list of codings that ends so.
/// Source: RFC 9112, sections 6.1 and 6.3.
fn check_framing(session: &ServerSession) -> Result<(), Failure> {
    let mut codings = session.req_header().headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next().filter(|_| session.as_http1().is_some()) else { return Ok(()) };
    let is_plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    if !is_plain {
        let message = "the body's Transfer-Encoding must be `chunked`, once and alone";
        return Err(Failure::new(ErrorCode::InvalidRequest, message));
    }
    let raw = session.to_h1_raw();
    let name = CONTENT_LENGTH.as_str().as_bytes();
    let has_length = raw.split(|byte| *byte == b'\n').any(|line| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && line.get(name.len()) == Some(&b':')
    });
    if has_length {
        let message = "the request has both Content-Length and Transfer-Encoding; send one of them";
        return Err(Failure::new(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}

/// Whether the client waits for a word before it sends its body. One of HTTP/1.0 would not understand it
/// (RFC 9110, section 10.1.1).
pub fn expects_continue(session: &ServerSession) -> bool {
    let header = session.req_header();
    let expect = header.headers.get(EXPECT).filter(|_| header.version != Version::HTTP_10);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
