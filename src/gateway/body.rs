//! Reads a request's body: once, whole, bounded.
//!
//! A body that arrives in one read is kept as it came; a larger one is gathered in one buffer. What is
//! held counts against `limits.max_buffered_bytes` as long as the request lives.

use super::admit;
use super::limits::Permit;
use crate::domain::{ErrorCode, Failure};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use pingora::protocols::http::ServerSession;
use std::io::Read;

/// The most that is set aside on the word of a `Content-Length`, before bytes have come.
const MAX_TRUST: usize = 1 << 20;

/// Reads the whole body, decoded, of at most `limit` bytes; `held` grows with it.
///
/// # Errors
/// `request_too_large`, `unsupported_media_type`, `overloaded`, or `invalid_request` when it breaks off.
pub async fn read(session: &mut ServerSession, limit: usize, held: &mut Permit) -> Result<Bytes, Failure> {
    let headers = &session.req_header().headers;
    let coding = Coding::of(headers)?;
    let announced = announced_length(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    if admit::expects_continue(session) {
        // A client that is gone is noticed when its body is read.
        let _ = session.write_continue_response().await;
    }
    let raw = gather(session, announced.unwrap_or(0), limit, held).await?;
    match coding {
        Coding::Identity => Ok(raw),
        coding => decode(coding, &raw, limit, held).await,
    }
}

async fn gather(
    session: &mut ServerSession,
    announced: usize,
    limit: usize,
    held: &mut Permit,
) -> Result<Bytes, Failure> {
    let Some(first) = next(session).await? else { return Ok(Bytes::new()) };
    check(first.len(), limit)?;
    held.grow(announced.max(first.len())).await?;
    let Some(second) = next(session).await? else { return Ok(first) };
    let mut granted = announced.max(first.len());
    let mut body = BytesMut::with_capacity(
        announced.clamp(first.len() + second.len(), MAX_TRUST.max(first.len() + second.len())),
    );
    body.extend_from_slice(&first);
    let mut chunk = Some(second);
    while let Some(bytes) = chunk {
        check(body.len() + bytes.len(), limit)?;
        let needed = body.len() + bytes.len();
        if needed > granted {
            // By halves, so that a long chunked body asks a few times, not once a read.
            let more = (needed - granted).max(granted / 2).min(limit - granted);
            held.grow(more).await?;
            granted += more;
        }
        body.extend_from_slice(&bytes);
        chunk = next(session).await?;
    }
    Ok(body.freeze())
}

async fn next(session: &mut ServerSession) -> Result<Option<Bytes>, Failure> {
    session.read_request_body().await.map_err(|error| {
        let message = "the request body broke off before its end; send it again, whole";
        Failure::new(ErrorCode::InvalidRequest, message).because(error)
    })
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

/// The content codings of requests that are undone here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Coding, Failure> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Coding::Identity) };
        // Names of codings have no case (RFC 9110, section 8.4.1).
        match value.as_bytes().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Coding::Identity),
            b"gzip" | b"x-gzip" => Ok(Coding::Gzip),
            b"zstd" => Ok(Coding::Zstd),
            _ => {
                let message =
                    "this content-encoding is not read here; send the body as it is, or as gzip or zstd";
                Err(Failure::new(ErrorCode::UnsupportedMediaType, message))
            }
        }
    }
}

/// Undoes the coding. Stops one byte past the limit, so that a bomb costs no more than an honest body.
async fn decode(coding: Coding, raw: &Bytes, limit: usize, held: &mut Permit) -> Result<Bytes, Failure> {
    let bad = |error: std::io::Error| {
        let message = "the request body is not what its content-encoding says";
        Failure::new(ErrorCode::InvalidRequest, message).because(error)
    };
    let mut decoded = Vec::new();
    let past_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let reader: Box<dyn Read + Send> = match coding {
        Coding::Identity => return Ok(raw.clone()),
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&raw[..])),
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(&raw[..]).map_err(bad)?),
    };
    reader.take(past_limit).read_to_end(&mut decoded).map_err(bad)?;
    check(decoded.len(), limit)?;
    held.grow(decoded.len()).await?;
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::limits::Room;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("to memory");
        encoder.finish().expect("to memory").into()
    }

    #[tokio::test]
    async fn codings_are_undone_up_to_the_limit() {
        let text = vec![b'x'; 1000];
        let zstd = Bytes::from(zstd::encode_all(&text[..], 1).expect("to memory"));
        for (coding, raw) in [(Coding::Gzip, gzip(&text)), (Coding::Zstd, zstd)] {
            let mut held = Room::new(10_000).take(0).expect("room");
            assert_eq!(decode(coding, &raw, 1000, &mut held).await.expect("fits"), text);
            let refusal = decode(coding, &raw, 999, &mut held).await.expect_err("one past the limit");
            assert_eq!(refusal.code, ErrorCode::RequestTooLarge);
            let broken = decode(coding, &raw.slice(..raw.len() / 2), 1000, &mut held).await;
            assert_eq!(broken.expect_err("cut short").code, ErrorCode::InvalidRequest);
        }
    }

    #[test]
    fn other_codings_are_named_as_such() {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static("br"))]);
        assert_eq!(Coding::of(&headers).expect_err("unknown").status, 415);
    }
}
