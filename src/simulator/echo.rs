//! What is not a model's business: paths that tell the client what arrived, over HTTP or a WebSocket.
//!
//! For tests of a gateway's pass-through. WebSockets as RFC 6455 has them, without extensions.

use super::reply::{Content, Refusal, Reply};
use super::wire::{Connection, Gone, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use ring::digest;
use serde_json::json;

/// Bytes of one WebSocket frame.
const MAX_FRAME: usize = 16 << 20;

/// What RFC 6455, section 1.3, has servers append to the client's key.
const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Tells what arrived: method, path, query, headers and the body's length. A WebSocket is opened.
pub(super) fn echo(request: &Request) -> Result<Reply, Refusal> {
    if request.header_has("upgrade", "websocket") {
        let key = request.header("sec-websocket-key");
        let key = key.ok_or_else(|| Refusal::invalid("sec-websocket-key: header is required"))?;
        let headers = vec![
            ("upgrade", "websocket".to_owned()),
            ("connection", "Upgrade".to_owned()),
            ("sec-websocket-accept", accept(key)),
        ];
        return Ok(Reply { status: 101, headers, content: Content::WebSocket, text: "".into() });
    }
    let arrived = json!({
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body_length": request.body.len(),
    });
    Ok(Reply::json(200, &arrived))
}

/// Proves that the handshake was understood.
fn accept(key: &str) -> String {
    // SHA-1 because the RFC says so; nothing rests on its strength.
    let text = [key, WEBSOCKET_GUID].concat();
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// A frame, unmasked.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    is_last: bool,
    opcode: u8,
    payload: BytesMut,
}

/// Sends every message back, pings as pongs, until the client closes.
pub(super) async fn echo_frames(connection: &mut Connection) -> Result<(), Gone> {
    loop {
        let frame = loop {
            if let Some(frame) = take_frame(connection.unread())? {
                break frame;
            }
            if connection.fill().await? == 0 {
                return Err(Gone);
            }
        };
        let opcode = if frame.opcode == PING { PONG } else { frame.opcode };
        connection.write_raw(&rendered(&Frame { opcode, ..frame })).await?;
        if opcode == CLOSE {
            return Ok(());
        }
    }
}

/// Takes a frame off the buffer, if it is all there. A client that breaks the protocol is hung up on.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, Gone> {
    let [first, second, rest @ ..] = &buffer[..] else { return Ok(None) };
    let (first, is_masked, short) = (*first, second & 0x80 != 0, usize::from(second & 0x7f));
    let (length, header) = match (short, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (usize::try_from(length).map_err(|_| Gone)?, 10)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (short, 2),
    };
    // Section 5.1: a client masks all that it sends.
    if !is_masked || length > MAX_FRAME {
        return Err(Gone);
    }
    if buffer.len() < header + 4 + length {
        return Ok(None);
    }
    buffer.advance(header);
    let mask = buffer.split_to(4);
    let mut payload = buffer.split_to(length);
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(Frame { is_last: first & 0x80 != 0, opcode: first & 0x0f, payload }))
}

/// The frame as a server sends it: not masked.
fn rendered(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![u8::from(frame.is_last) << 7 | frame.opcode];
    match frame.payload.len() {
        short @ 0..=125 => bytes.push(short as u8),
        medium @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&frame.payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(payload: &[u8]) -> BytesMut {
        let frame = Frame { is_last: true, opcode: 1, payload: payload.into() };
        let mut bytes = rendered(&frame);
        bytes[1] |= 0x80;
        let mask = [1, 2, 3, 4];
        let header = bytes.len() - payload.len();
        for (byte, mask) in bytes[header..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        bytes.splice(header..header, mask);
        BytesMut::from(&bytes[..])
    }

    #[test]
    fn the_handshake_is_that_of_the_rfc() {
        // The example of section 1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn frames_of_every_length_form_are_read_whole_only() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let whole = masked(&payload);
            let mut torn = BytesMut::from(&whole[..whole.len() - 1]);
            assert!(take_frame(&mut torn).unwrap_or(None).is_none(), "{length}");
            let mut buffer = whole;
            let frame = take_frame(&mut buffer).unwrap_or(None).expect("a frame");
            assert_eq!((&frame.payload[..], buffer.len()), (&payload[..], 0));
        }
    }

    #[test]
    fn a_client_that_breaks_the_protocol_is_hung_up_on() {
        let unmasked = rendered(&Frame { is_last: true, opcode: 1, payload: BytesMut::from("x") });
        assert!(take_frame(&mut BytesMut::from(&unmasked[..])).is_err());
        let mut oversized = BytesMut::from(&[0x82, 0xff][..]);
        oversized.extend_from_slice(&(MAX_FRAME as u64 + 1).to_be_bytes());
        assert!(take_frame(&mut oversized).is_err());
    }
}
