//! `application/vnd.amazon.eventstream`, in which Amazon Bedrock streams: read as the server-sent events that are in it.
//!
//! A message is a prelude (its length, its headers' length, a CRC32 of both), headers, a payload, and a CRC32 of all of
//! that. Of Bedrock's, an event's payload is `{"bytes": …}` with one event of Anthropic's API in base64, and an exception's
//! is a message in words, which becomes Anthropic's `error` event. Source: AWS's "event stream encoding".
//!
//! Bounded: one unfinished message is held, of at most [`MAX_MESSAGE`] bytes. What doesn't add up is an error at once.

use super::hosted;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use flate2::Crc;
use serde::Deserialize;
use std::borrow::Cow;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";
/// The longest message, its frame included: what AWS allows for a payload and for headers, and the rest.
pub const MAX_MESSAGE: usize = (24 << 20) + (128 << 10) + FRAME;
/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// A checksum.
const CRC: usize = 4;
/// What is neither header nor payload.
const FRAME: usize = PRELUDE + CRC;

/// Why a stream can't be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A checksum is wrong.
    #[error("a message of the event stream has a wrong checksum")]
    Checksum,
    /// The lengths make no sense, or more than is taken.
    #[error("a message of the event stream has an impossible length")]
    Length,
    /// The headers, or the payload, are none.
    #[error("a message of the event stream can't be read")]
    Message,
    /// It ends within a message.
    #[error("the event stream ends in the middle of a message")]
    Truncated,
}

/// A reader of one stream.
#[derive(Debug, Default)]
pub struct EventStream {
    held: BytesMut,
    broken: Option<Broken>,
}

impl EventStream {
    /// Takes what was read, and gives the events that are complete with it, up to the first that is broken: see
    /// [`EventStream::check`].
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        let mut out = Vec::new();
        if self.broken.is_none() {
            self.held.extend_from_slice(chunk);
            self.broken = self.read(&mut out).err();
        }
        out.into()
    }

    fn read(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        while let Some(length) = self.next_length()? {
            if self.held.len() < length {
                break;
            }
            let message = self.held.split_to(length);
            let (rest, sum) = message.split_at(length - CRC);
            if crc(rest) != number(sum) {
                return Err(Broken::Checksum);
            }
            write_event(&Message::read(rest).ok_or(Broken::Message)?, out)?;
        }
        Ok(())
    }

    /// Whether it can be read any further.
    ///
    /// # Errors
    /// When a message was broken.
    pub fn check(&self) -> Result<(), Broken> {
        self.broken.map_or(Ok(()), Err)
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// When it should have gone on.
    pub fn finish(&self) -> Result<(), Broken> {
        self.check()?;
        if self.held.is_empty() { Ok(()) } else { Err(Broken::Truncated) }
    }

    /// The length of the message that has begun, if its prelude is there.
    fn next_length(&self) -> Result<Option<usize>, Broken> {
        let Some(prelude) = self.held.get(..PRELUDE) else { return Ok(None) };
        if crc(&prelude[..PRELUDE - CRC]) != number(&prelude[PRELUDE - CRC..]) {
            return Err(Broken::Checksum);
        }
        let length = number(prelude) as usize;
        let headers = number(&prelude[4..]) as usize;
        let is_possible =
            length <= MAX_MESSAGE && length.checked_sub(FRAME).is_some_and(|room| headers <= room);
        if is_possible { Ok(Some(length)) } else { Err(Broken::Length) }
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The first four bytes as a number; 0 if there are fewer, which no caller has.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

/// What is known of a message.
struct Message<'m> {
    /// `event`, `exception` or `error`.
    kind: &'m str,
    /// Which event.
    event: &'m str,
    /// What the exception or error is called.
    fault: &'m str,
    /// What the error says, where that is in a header.
    said: &'m str,
    payload: &'m [u8],
}

impl<'m> Message<'m> {
    /// Reads a message without the checksum at its end.
    fn read(bytes: &'m [u8]) -> Option<Message<'m>> {
        let headers_length = number(bytes.get(4..)?) as usize;
        let (mut headers, payload) = bytes.get(PRELUDE..)?.split_at_checked(headers_length)?;
        let mut message = Message { kind: "", event: "", fault: "", said: "", payload };
        while headers.has_remaining() {
            let (name, value) = header(&mut headers)?;
            match name {
                b":message-type" => message.kind = std::str::from_utf8(value).ok()?,
                b":event-type" => message.event = std::str::from_utf8(value).ok()?,
                b":exception-type" | b":error-code" => message.fault = std::str::from_utf8(value).ok()?,
                b":error-message" => message.said = std::str::from_utf8(value).ok()?,
                _ => {}
            }
        }
        Some(message)
    }
}

/// The next header: its name, and its value if that is bytes or a text.
fn header<'h>(headers: &mut &'h [u8]) -> Option<(&'h [u8], &'h [u8])> {
    let name_length = headers.try_get_u8().ok()?;
    let name = take(headers, usize::from(name_length))?;
    let length = match headers.try_get_u8().ok()? {
        // True and false.
        0 | 1 => 0,
        // Numbers of one, two, four and eight bytes, a time stamp, a UUID.
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        // Bytes, a text.
        6 | 7 => usize::from(headers.try_get_u16().ok()?),
        _ => return None,
    };
    Some((name, take(headers, length)?))
}

fn take<'h>(bytes: &mut &'h [u8], length: usize) -> Option<&'h [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// The payload of an event. Bedrock pads it with a member of no meaning.
#[derive(Deserialize)]
struct Payload<'p> {
    #[serde(borrow)]
    bytes: Cow<'p, str>,
}

/// What names an event of Anthropic's API.
#[derive(Deserialize)]
struct Typed<'e> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'e, str>,
}

/// Writes a message as an event of Anthropic's API. Events that are not known say nothing.
fn write_event(message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Broken> {
    match (message.kind, message.event) {
        ("exception" | "error", _) => {
            let (_, body) = hosted::bedrock_error(None, message.fault, message.said, message.payload);
            put(out, "error", &body);
        }
        (_, "chunk") => {
            let payload: Payload<'_> =
                serde_json::from_slice(message.payload).map_err(|_| Broken::Message)?;
            let event = STANDARD.decode(payload.bytes.as_bytes()).map_err(|_| Broken::Message)?;
            let typed: Typed<'_> = serde_json::from_slice(&event).map_err(|_| Broken::Message)?;
            // A line break would end the event's data, or its name.
            let is_one_line = |text: &[u8]| memchr::memchr2(b'\n', b'\r', text).is_none();
            if !is_one_line(&event) || !is_one_line(typed.kind.as_bytes()) {
                return Err(Broken::Message);
            }
            put(out, &typed.kind, &event);
        }
        _ => {}
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A message with these text headers.
    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        framed(&head, payload)
    }

    fn framed(head: &[u8], payload: &[u8]) -> Vec<u8> {
        let total = u32::try_from(FRAME + head.len() + payload.len()).unwrap();
        let mut out = total.to_be_bytes().to_vec();
        out.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&crc(&out).to_be_bytes());
        out.extend_from_slice(head);
        out.extend_from_slice(payload);
        out.extend_from_slice(&crc(&out).to_be_bytes());
        out
    }

    fn event(json: &str) -> Vec<u8> {
        let payload = json!({"bytes": STANDARD.encode(json), "p": "abcdefghijk"}).to_string();
        let headers =
            [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
        message(&headers, payload.as_bytes())
    }

    fn read(bytes: &[u8], piece: usize) -> Result<String, Broken> {
        let mut stream = EventStream::default();
        let mut out = Vec::new();
        for chunk in bytes.chunks(piece) {
            out.extend_from_slice(&stream.push(chunk));
            stream.check()?;
        }
        stream.finish().map(|()| String::from_utf8(out).unwrap())
    }

    const START: &str = r#"{"type":"message_start","message":{"id":"m"}}"#;
    const STOP: &str = r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_empty_message_of_awss_own_examples_is_read() {
        // 16 bytes: no header, no payload.
        let bytes =
            [0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(framed(b"", b""), bytes);
        let mut stream = EventStream::default();
        assert_eq!(stream.push(&bytes), Bytes::new(), "it says nothing");
        assert_eq!(stream.finish(), Ok(()));
    }

    #[test]
    fn events_come_out_as_server_sent_events_at_every_split() {
        let bytes = [event(START), event(STOP)].concat();
        let expected =
            format!("event: message_start\ndata: {START}\n\nevent: message_stop\ndata: {STOP}\n\n");
        for piece in 1..=bytes.len() {
            assert_eq!(read(&bytes, piece).as_deref(), Ok(&*expected), "pieces of {piece}");
        }
    }

    #[test]
    fn an_event_comes_out_with_its_last_byte() {
        let bytes = event(START);
        let mut stream = EventStream::default();
        assert!(stream.push(&bytes[..bytes.len() - 1]).is_empty());
        assert!(!stream.push(&bytes[bytes.len() - 1..]).is_empty());
    }

    #[test]
    fn an_exception_is_an_error_event_of_its_kind() {
        let cases = [
            ("throttlingException", "rate_limit_error"),
            ("modelStreamErrorException", "api_error"),
            ("internalServerException", "api_error"),
            ("serviceUnavailableException", "overloaded_error"),
            ("modelTimeoutException", "timeout_error"),
            ("validationException", "invalid_request_error"),
        ];
        for (name, kind) in cases {
            let headers = [(":exception-type", name), (":message-type", "exception")];
            let text = read(&message(&headers, br#"{"message":"Too many"}"#), 7).unwrap();
            let data = text.strip_prefix("event: error\ndata: ").unwrap();
            let error: serde_json::Value = serde_json::from_str(data).unwrap();
            let expected = json!({"type": "error", "error": {"type": kind, "message": "Too many"}});
            assert_eq!(error, expected, "{name}");
        }
    }

    #[test]
    fn an_error_says_its_words_in_a_header() {
        let headers =
            [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "Broke")];
        let text = read(&message(&headers, b""), 100).unwrap();
        assert!(text.starts_with("event: error\n") && text.contains("api_error") && text.contains("Broke"));
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut head = Vec::new();
        for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            head.extend_from_slice(&[1, b'x', kind]);
            head.extend(std::iter::repeat_n(0xff, length));
        }
        head.extend_from_slice(&[1, b'x', 6, 0, 2, 0xff, 0xff]);
        head.extend_from_slice(b"\x0b:event-type\x07\0\x05chunk");
        let payload = json!({"bytes": STANDARD.encode(START)}).to_string();
        assert!(read(&framed(&head, payload.as_bytes()), 5).unwrap().contains("message_start"));
        assert_eq!(read(&framed(&[1, b'x', 10], payload.as_bytes()), 5), Err(Broken::Message));
    }

    #[test]
    fn what_came_whole_before_a_broken_message_is_given() {
        let mut bytes = [event(START), event(STOP)].concat();
        *bytes.last_mut().unwrap() ^= 1;
        let mut stream = EventStream::default();
        assert!(stream.push(&bytes).starts_with(b"event: message_start"));
        assert_eq!(stream.check(), Err(Broken::Checksum));
        assert!(stream.push(&event(STOP)).is_empty());
        assert_eq!(stream.finish(), Err(Broken::Checksum));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = event(START);
        for length in 1..bytes.len() {
            assert_eq!(read(&bytes[..length], 9), Err(Broken::Truncated), "{length} of {}", bytes.len());
        }
    }

    #[test]
    fn every_corrupted_byte_is_noticed() {
        let bytes = event(START);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            assert!(read(&bytes, 11).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_length_past_the_bound_is_refused_before_anything_is_held_for_it() {
        for (length, expected) in [(MAX_MESSAGE, Ok(())), (MAX_MESSAGE + 1, Err(Broken::Length))] {
            let mut prelude = u32::try_from(length).unwrap().to_be_bytes().to_vec();
            prelude.extend_from_slice(&[0; 4]);
            prelude.extend_from_slice(&crc(&prelude).to_be_bytes());
            let mut stream = EventStream::default();
            assert!(stream.push(&prelude).is_empty());
            assert_eq!(stream.check(), expected);
        }
    }

    #[test]
    fn what_is_hidden_in_an_event_cannot_become_another() {
        for json in ["{\"type\":\"ping\"}\n\ndata: {}", r#"{"type":"ping\n\ndata: x"}"#, "[]", "no json"] {
            assert_eq!(read(&event(json), 1_000), Err(Broken::Message), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(texts in prop::collection::vec("[^\\p{C}]{0,60}", 0..5), piece in 1_usize..80) {
            let events: Vec<String> =
                texts.iter().map(|text| json!({"type": "x", "text": text}).to_string()).collect();
            let bytes: Vec<u8> = events.iter().flat_map(|json| event(json)).collect();
            let expected: String = events.iter().map(|json| format!("event: x\ndata: {json}\n\n")).collect();
            prop_assert_eq!(read(&bytes, piece), Ok(expected));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            let _ = read(&bytes, piece);
        }

        #[test]
        fn no_headers_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..60), payload in ".{0,40}") {
            let _ = read(&framed(&head, payload.as_bytes()), 13);
        }
    }
}
