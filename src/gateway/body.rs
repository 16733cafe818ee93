//! Reads a request's body: once, whole, bounded.
//!
//! A body that arrives in one read is kept as it came; a larger one is gathered in one buffer. What is
//! held counts against `limits.max_buffered_bytes` as long as the request lives.

use super::admit;
use super::alarm::within;
use super::limits::Permit;
use crate::domain::{ErrorCode, Failure};
use crate::translate::decoding::{Broken, Decoder};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use std::time::Duration;

/// How long a client may send nothing in the middle of a body. Pingora watches over HTTP/1.1 only.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// The most that is set aside on the word of a `Content-Length`, before bytes have come.
const MAX_TRUST: usize = 1 << 20;
/// 408, Request Timeout: ours in the dialects' words, the client's own slowness by its status.
const REQUEST_TIMEOUT: u16 = 408;

/// Why there is no body.
#[derive(Debug)]
pub struct Unread {
    /// What the client is told, if it still listens.
    pub failure: Failure,
    /// Whether it went away in the middle.
    pub is_gone: bool,
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Unread {
        Unread { failure, is_gone: false }
    }
}

/// Reads the whole body, decoded, of at most `limit` bytes; `held` grows with what has come.
///
/// # Errors
/// `request_too_large`, `unsupported_media_type`, `overloaded`, `timeout`, or `invalid_request` when it breaks
/// off.
pub async fn read(session: &mut ServerSession, limit: usize, held: &mut Permit) -> Result<Bytes, Unread> {
    let headers = &session.req_header().headers;
    let decoder = decoder(headers)?;
    let announced = announced_length(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit).into());
    }
    if admit::expects_continue(session) {
        // A client that is gone is noticed when its body is read.
        let _ = session.write_continue_response().await;
    }
    let raw = gather(session, announced.unwrap_or(0), limit, held).await?;
    match decoder {
        None => Ok(raw),
        Some(decoder) => Ok(decode(decoder, raw, limit, held).await?),
    }
}

async fn gather(
    session: &mut ServerSession,
    announced: usize,
    limit: usize,
    held: &mut Permit,
) -> Result<Bytes, Unread> {
    let Some(first) = next(session, 0, limit, held).await? else { return Ok(Bytes::new()) };
    if session.is_body_done() {
        return Ok(first);
    }
    let Some(second) = next(session, first.len(), limit, held).await? else { return Ok(first) };
    let so_far = first.len() + second.len();
    let mut body = BytesMut::with_capacity(announced.min(MAX_TRUST).max(so_far));
    body.extend_from_slice(&first);
    body.extend_from_slice(&second);
    while let Some(chunk) = next(session, body.len(), limit, held).await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The next piece, if it fits behind `so_far` bytes and there is room for it.
async fn next(
    session: &mut ServerSession,
    so_far: usize,
    limit: usize,
    held: &mut Permit,
) -> Result<Option<Bytes>, Unread> {
    let read = within(MAX_SILENCE, session.read_request_body()).await;
    let read = read.unwrap_or_else(|_| Error::e_explain(ErrorType::ReadTimedout, "silence in a body"));
    let Some(piece) = read.map_err(|error| broken_off(&error))? else {
        return Ok(None);
    };
    check(so_far + piece.len(), limit)?;
    held.grow(piece.len()).await?;
    Ok(Some(piece))
}

fn broken_off(error: &Error) -> Unread {
    if matches!(error.etype(), ErrorType::ReadTimedout) {
        let message = "the request body did not come in time; send it again";
        let failure = Failure::new(ErrorCode::Timeout, message).with_status(REQUEST_TIMEOUT).because(error);
        return failure.into();
    }
    let message = "the request body broke off before its end; send it again, whole";
    let failure = Failure::new(ErrorCode::InvalidRequest, message).because(error);
    let is_gone = matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError);
    Unread { failure, is_gone }
}

fn check(length: usize, limit: usize) -> Result<(), Failure> {
    if length > limit { Err(too_large(limit)) } else { Ok(()) }
}

fn too_large(limit: usize) -> Failure {
    let message = format!("the request body is larger than the {limit} bytes that this gateway takes");
    Failure::new(ErrorCode::RequestTooLarge, message)
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// What undoes the codings of the body, if there are any.
fn decoder(headers: &HeaderMap) -> Result<Option<Decoder>, Failure> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(None);
    }
    let lines: Vec<&str> =
        headers.get_all(CONTENT_ENCODING).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    Decoder::for_header(&lines.join(",")).map_err(|unknown| {
        let message =
            "this content-encoding is not read here; send the body as it is, or as gzip, deflate, br or zstd";
        Failure::new(ErrorCode::UnsupportedMediaType, message).because(unknown)
    })
}

/// Undoes the codings, piece by piece: no worker is kept for long, nothing is held beyond the room for it, and a
/// bomb costs no more than an honest body.
async fn decode(mut decoder: Decoder, raw: Bytes, limit: usize, held: &mut Permit) -> Result<Bytes, Failure> {
    let bad = |broken: Broken| {
        let message = "the request body is not what its content-encoding says";
        Failure::new(ErrorCode::InvalidRequest, message).because(broken)
    };
    let mut decoded = BytesMut::new();
    decoder.push(raw);
    loop {
        let piece = decoder.pull().map_err(bad)?;
        if piece.is_empty() {
            decoder.finish().map_err(bad)?;
            return Ok(decoded.freeze());
        }
        check(decoded.len() + piece.len(), limit)?;
        held.grow(piece.len()).await?;
        decoded.extend_from_slice(&piece);
        tokio::task::consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limits::Room;
    use std::io::Write;
    use tokio::io::AsyncWriteExt;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("to memory");
        encoder.finish().expect("to memory").into()
    }

    #[tokio::test]
    async fn codings_are_undone_up_to_the_limit() {
        let text = vec![b'x'; 1000];
        let zstd = Bytes::from(zstd::encode_all(&text[..], 1).expect("to memory"));
        for (coding, raw) in [("gzip", gzip(&text)), ("zstd", zstd)] {
            let mut held = Room::new(10_000).take(0).expect("room");
            let decoder = || Decoder::for_header(coding).expect("known").expect("a coding");
            assert_eq!(decode(decoder(), raw.clone(), 1000, &mut held).await.expect("fits"), text);
            let refusal =
                decode(decoder(), raw.clone(), 999, &mut held).await.expect_err("one past the limit");
            assert_eq!(refusal.code, ErrorCode::RequestTooLarge);
            let broken = decode(decoder(), raw.slice(..raw.len() / 2), 1000, &mut held).await;
            assert_eq!(broken.expect_err("cut short").code, ErrorCode::InvalidRequest);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_in_its_body_is_told_so() {
        let (mut client, server) = tokio::io::duplex(1000);
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n";
        client.write_all(head).await.expect("to memory");
        let mut session = ServerSession::new_http1(Box::new(server));
        assert!(session.read_request().await.expect("a header"));
        let begun = tokio::time::Instant::now();
        let sending = tokio::spawn(async move {
            for byte in [b"a", b"b"] {
                tokio::time::sleep(MAX_SILENCE - Duration::from_secs(1)).await;
                client.write_all(byte).await.expect("to memory");
            }
            client
        });
        let mut held = Room::new(1000).take(0).expect("room");
        let unread = read(&mut session, 100, &mut held).await.expect_err("a byte is missing");
        assert_eq!((unread.failure.status, unread.is_gone), (REQUEST_TIMEOUT, false));
        assert_eq!(begun.elapsed().as_secs(), MAX_SILENCE.as_secs() * 3 - 2, "progress is enough");
        drop(sending);
    }

    #[test]
    fn other_codings_are_named_as_such() {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static("compress"))]);
        assert_eq!(decoder(&headers).err().map(|failure| failure.status), Some(415));
    }
}
