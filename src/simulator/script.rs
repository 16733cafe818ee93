//! An answer as it goes onto the wire, step by step: what a fault bends before it is played.
//!
//! Ordinary answers take the short way, [`super::serve`]'s own, and never become a script.

use super::answer::pieces;
use super::reply::{Content, Reply};
use super::wire::{Connection, Framing, Gone, Head, Request};
use std::time::Duration;

/// Bytes of parts without a pause that are put together before they are written.
pub(super) const WRITE_SIZE: usize = 64 << 10;

/// An answer in steps.
pub(super) struct Script {
    /// Before the header.
    pub(super) wait: Duration,
    /// Interim answers, as they are written.
    pub(super) interim: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) header_by_byte: bool,
    pub(super) bounds: Bounds,
    /// The body. Words of the answer are parts of their own, in a plain answer, too.
    pub(super) parts: Vec<Part>,
    /// Whether each part is written for itself.
    pub(super) flushes_each: bool,
    /// Lines with their ends; chunked answers only.
    pub(super) trailers: &'static str,
    /// What comes after the answer's end.
    pub(super) surplus: &'static str,
    pub(super) finish: Finish,
    is_stream: bool,
}

/// A part of a body.
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    /// Whether it carries a word of the answer.
    pub(super) is_token: bool,
    /// Before it is written.
    pub(super) pause: Duration,
}

/// How a body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    /// By its length, which may be overstated.
    Stated {
        missing: usize,
    },
    Chunked,
    Close,
}

/// What follows the last part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The end of the body, and the next request.
    Kept,
    /// The end of the body, and of the connection.
    Closed,
    /// The same, but the client is read from until it has finished.
    Drained,
    /// The end of the body; the connection dies when the next request comes.
    DiesAtNext,
    /// Nothing: the connection closes.
    Torn,
    /// Nothing: the connection stays.
    Lingers,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Keep,
    Close,
    /// Read on until the client has finished, and close.
    Drain,
    CloseAtNext,
    /// Close; the answer was left unfinished.
    Break,
    /// Reset; there was no answer.
    Reset,
}

impl Part {
    /// A part that carries no word and waits for nothing.
    pub(super) fn of(bytes: Vec<u8>) -> Part {
        Part { bytes, is_token: false, pause: Duration::ZERO }
    }
}

impl Script {
    /// The answer as it would be without a fault; `token_interval` is the pace of streams.
    pub(super) fn of(wait: Duration, reply: Reply, token_interval: Duration) -> Script {
        let (parts, is_stream) = match reply.content {
            Content::Whole(body) => (word_by_word(body, &reply.text), false),
            Content::Pieces(pieces) => {
                let mut pause = Duration::ZERO;
                let paced = pieces.into_iter().map(|piece| {
                    let part = Part { bytes: piece.bytes, is_token: piece.is_token, pause };
                    let part = if piece.is_token { part } else { Part { pause: Duration::ZERO, ..part } };
                    pause = if piece.is_token { token_interval } else { pause };
                    part
                });
                (paced.collect(), true)
            }
            // Scenarios are asked for by a model's name, and WebSockets have none.
            Content::WebSocket => (Vec::new(), false),
        };
        Script {
            wait,
            interim: String::new(),
            status: reply.status,
            headers: reply.headers,
            header_by_byte: false,
            bounds: if is_stream { Bounds::Chunked } else { Bounds::Stated { missing: 0 } },
            parts,
            flushes_each: false,
            trailers: "",
            surplus: "",
            finish: Finish::Kept,
            is_stream,
        }
    }

    /// Whether it is a stream, of events or of a growing array.
    pub(super) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether it is a stream of server-sent events.
    pub(super) fn has_events(&self) -> bool {
        self.is_stream && self.headers.iter().any(|(_, value)| value.starts_with("text/event-stream"))
    }

    /// Which part carries the word of that number, counted from 0; the end where there are fewer.
    pub(super) fn start_of_word(&self, number: usize) -> usize {
        let mut words = self.parts.iter().enumerate().filter(|(_, part)| part.is_token);
        words.nth(number).map_or(self.parts.len(), |(at, _)| at)
    }

    /// The whole body.
    pub(super) fn body(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| &part.bytes).copied().collect()
    }

    /// Makes it a plain answer.
    pub(super) fn become_whole(&mut self, media_type: &'static str, body: Vec<u8>) {
        self.headers.retain(|(name, _)| !["content-type", "cache-control"].contains(name));
        self.headers.push(("content-type", media_type.to_owned()));
        self.bounds = Bounds::Stated { missing: 0 };
        self.parts = vec![Part::of(body)];
        self.is_stream = false;
    }

    /// Writes it. Says what is to become of the connection.
    pub(super) async fn play(self, connection: &mut Connection, request: &Request) -> Result<After, Gone> {
        connection.pause(self.wait).await?;
        connection.write_raw(self.interim.as_bytes()).await?;
        let length = self.parts.iter().map(|part| part.bytes.len()).sum::<usize>();
        let framing = match self.bounds {
            Bounds::Stated { missing } => Framing::Length(length + missing),
            Bounds::Chunked if request.is_http11 => Framing::Chunked,
            Bounds::Chunked | Bounds::Close => Framing::UntilClose,
        };
        let closes =
            framing == Framing::UntilClose || [Finish::Closed, Finish::Drained].contains(&self.finish);
        let head = Head { status: self.status, headers: &self.headers };
        let mut body = connection.begin_framed(&head, framing, request.keeps_alive() && !closes);
        if self.header_by_byte {
            body.flush_by_byte().await?;
        }
        // An empty chunk would end the body.
        for part in self.parts.iter().filter(|part| !part.bytes.is_empty()) {
            if !part.pause.is_zero() {
                body.pause(part.pause).await?;
            }
            body.add(&part.bytes);
            if self.flushes_each || body.pending() >= WRITE_SIZE {
                body.flush().await?;
            }
        }
        let kept = match self.finish {
            Finish::Torn => {
                body.flush().await?;
                return Ok(After::Break);
            }
            Finish::Lingers => {
                body.flush().await?;
                return Err(connection.outlast_client().await);
            }
            Finish::Kept => After::Keep,
            Finish::Closed => After::Close,
            Finish::Drained => After::Drain,
            Finish::DiesAtNext => After::CloseAtNext,
        };
        let is_open = body.end_with(self.trailers).await?;
        connection.write_raw(self.surplus.as_bytes()).await?;
        Ok(if is_open || kept == After::Drain { kept } else { After::Close })
    }
}

/// A body with each word of its text as a part of its own.
fn word_by_word(mut body: Vec<u8>, text: &str) -> Vec<Part> {
    let at = memchr::memmem::find(&body, text.as_bytes()).filter(|_| !text.is_empty());
    let Some(at) = at else { return vec![Part::of(body)] };
    let after = body.split_off(at + text.len());
    body.truncate(at);
    let words = pieces(text).map(|word| Part { is_token: true, ..Part::of(word.as_bytes().to_vec()) });
    std::iter::once(Part::of(body)).chain(words).chain(std::iter::once(Part::of(after))).collect()
}
