//! How a good answer is spoilt on its way: each [`Bend`] changes a [`Script`].

use super::super::answer::ANSWER;
use super::super::options::Options;
use super::super::script::{Bounds, Finish, Part, Script};
use super::coding::Coding;
use super::{HangUp, events};
use crate::domain::Dialect;
use std::time::Duration;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::simulator) enum Bend {
    /// A wait before the header, which the time scale leaves alone: it was chosen by the client.
    Delay(Duration),
    /// A wait between the header and the body.
    HeaderFirst(Duration),
    /// A wait after so many words.
    Stall {
        words: usize,
        wait: Duration,
    },
    /// A wait before each further word.
    Drip(Duration),
    /// The connection breaks after so many words.
    Cut(usize),
    /// The text is said again and again until the body has so many bytes. Streams stay as they are.
    Enlarge(usize),
    /// That event of a stream is broken JSON.
    BreakEvent(usize),
    /// The stream ends after its last word; a plain answer has no length.
    Unfinished,
    /// The stream ends without its end marker; a plain answer has no length.
    Unmarked,
    /// The vendor's error, although the status is 200.
    Fail(Inside),
    Crlf,
    Comment,
    /// An event, or a plain answer, has so many bytes more.
    Pad(usize),
    Compress(Coding),
    /// The answer is good, the HTTP around it isn't.
    Quirk(Quirk),
    /// The connection closes after the answer.
    HangUp(HangUp),
}

/// Where an error stands in an answer of 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Inside {
    Body,
    /// A stream's first event; else as [`Inside::Body`].
    First,
    /// After the event that opens a stream; else as [`Inside::Body`].
    Opened,
    /// After so many words of a stream; a plain answer is good.
    After(usize),
}

/// What is odd about the HTTP of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Quirk {
    HeaderByByte,
    BodyByByte,
    OneWrite,
    EarlyHints,
    Trailers,
    UntilClose,
    /// The stated length is larger than the body by so many bytes.
    Missing(usize),
    /// More comes than the stated length.
    Surplus,
    Linger,
    DeadPool,
}

/// What a bend needs to know of the request.
pub(in crate::simulator) struct Scene<'a> {
    pub(in crate::simulator) dialect: Dialect,
    pub(in crate::simulator) id: &'a str,
    pub(in crate::simulator) options: &'a Options,
}

impl Bend {
    /// Changes the answer.
    pub(in crate::simulator) fn apply(self, script: &mut Script, scene: &Scene<'_>) {
        match self {
            Bend::Delay(wait) => script.wait += wait,
            Bend::HeaderFirst(wait) => pause_before(script, 0, scene.options.scaled(wait)),
            Bend::Stall { words, wait } => {
                pause_before(script, script.start_of_word(words), scene.options.scaled(wait));
            }
            Bend::Drip(wait) => {
                let further = script.parts.iter_mut().filter(|part| part.is_token).skip(1);
                further.for_each(|part| part.pause = scene.options.scaled(wait));
            }
            Bend::Cut(words) => cut(script, words),
            Bend::Enlarge(size) => enlarge(script, size),
            Bend::BreakEvent(number) => events::break_json(script, number),
            Bend::Unfinished => events::unfinish(script),
            Bend::Unmarked => events::unmark(script),
            Bend::Fail(inside) => events::fail(script, inside, scene),
            Bend::Crlf => events::crlf(script),
            Bend::Comment => events::comment(script),
            Bend::Pad(size) => events::pad(script, size),
            Bend::Compress(coding) => compress(script, coding),
            Bend::Quirk(quirk) => quirk.apply(script),
            Bend::HangUp(HangUp::Patiently) => script.finish = Finish::Drained,
            Bend::HangUp(HangUp::AtOnce) => script.finish = Finish::Closed,
        }
    }
}

impl Quirk {
    fn apply(self, script: &mut Script) {
        match self {
            Quirk::HeaderByByte => script.header_by_byte = true,
            Quirk::BodyByByte => {
                let bytes = script.parts.iter().flat_map(|part| &part.bytes);
                script.parts = bytes.map(|byte| Part::of(vec![*byte])).collect();
                script.bounds = Bounds::Chunked;
                script.flushes_each = true;
            }
            Quirk::OneWrite => script.parts = vec![Part::of(script.body())],
            Quirk::EarlyHints => {
                let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
                script.interim = hint.repeat(2);
            }
            Quirk::Trailers => {
                script.bounds = Bounds::Chunked;
                script.headers.push(("trailer", "x-words, x-end".to_owned()));
                script.trailers = "x-words: 60\r\nx-end: yes\r\n";
            }
            Quirk::UntilClose => script.bounds = Bounds::Close,
            Quirk::Missing(bytes) => {
                script.bounds = Bounds::Stated { missing: bytes };
                script.finish = Finish::Torn;
            }
            Quirk::Surplus => {
                script.bounds = Bounds::Stated { missing: 0 };
                script.surplus = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            }
            Quirk::Linger => {
                script.bounds = Bounds::Chunked;
                script.finish = Finish::Lingers;
            }
            Quirk::DeadPool => script.finish = Finish::DiesAtNext,
        }
    }
}

fn pause_before(script: &mut Script, part: usize, wait: Duration) {
    if let Some(part) = script.parts.get_mut(part) {
        part.pause = wait;
    }
}

fn cut(script: &mut Script, words: usize) {
    let lost: Vec<Part> = script.parts.drain(script.start_of_word(words)..).collect();
    if let Bounds::Stated { missing } = &mut script.bounds {
        *missing += lost.iter().map(|part| part.bytes.len()).sum::<usize>();
    }
    script.finish = Finish::Torn;
}

fn enlarge(script: &mut Script, size: usize) {
    let length = script.parts.iter().map(|part| part.bytes.len()).sum::<usize>();
    if script.is_stream() || length >= size {
        return;
    }
    let again = format!(" {ANSWER}");
    let text = again.repeat((size - length).div_ceil(again.len()));
    let end = script.parts.iter().rposition(|part| part.is_token).map_or(script.parts.len(), |last| last + 1);
    script.parts.insert(end, Part::of(text.into_bytes()));
}

fn compress(script: &mut Script, coding: Coding) {
    if !script.is_stream() {
        script.parts = vec![Part::of(script.body())];
    }
    match coding.compress(&mut script.parts) {
        Ok(()) => script.headers.push(("content-encoding", coding.name().to_owned())),
        // In memory it can't fail but for want of it.
        Err(error) => log::error!("cannot compress an answer: {error}"),
    }
}
