//! Every fault there is.
//!
//! Rows `fault-s01` to `fault-s16` are the scenarios of a public crash test for gateways, in its order.

use super::super::answer::ANSWER_WORDS;
use super::When::{Always, Once, Prefilled, Within};
use super::bend::{Bend, Inside, Quirk};
use super::coding::Coding;
use super::complaint::Complaint;
use super::{Act, Asked, HangUp, Scenario, When};
use crate::domain::{Period, Size};
use std::time::Duration;

/// The largest answer that is made, in bytes.
const MAX_LARGE: usize = 64 << 20;

/// Bytes that the one large event has on top.
const PADDING: usize = 5 << 20;

/// Bytes by which a stated length is wrong.
const EXCESS: usize = 64;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A row that is asked for by its name.
const fn row(name: &'static str, does: &'static str, acts: &'static [(When, Act)]) -> Scenario {
    Scenario { name, does, asked: Asked::ByName(acts) }
}

/// A row whose name the client completes.
const fn choice(
    name: &'static str,
    does: &'static str,
    prefix: &'static str,
    read: fn(&str) -> Option<Act>,
) -> Scenario {
    Scenario { name, does, asked: Asked::ByPrefix(prefix, read) }
}

/// A row that serves every request in the same bad way.
macro_rules! bent {
    ($name:literal, $does:literal, $bend:expr) => {
        row($name, $does, &[(Always, Act::Bend($bend))])
    };
}

/// A row that refuses every request.
macro_rules! refused {
    ($name:literal, $does:literal, $complaint:expr) => {
        row($name, $does, &[(Always, Act::Refuse($complaint))])
    };
}

/// Every fault there is. Where a row says "once", each distinct request counts for itself.
pub static SCENARIOS: &[Scenario] = &[
    choice(
        "status-<code>",
        "answers that status (400 to 599) in the vendor's error shape",
        "status-",
        |code| {
            let code = code.parse().ok().filter(|status| (400..600).contains(status));
            code.map(|status| Act::Refuse(Complaint::Status(status)))
        },
    ),
    choice("slow-<time>", "waits that long before the header, then answers", "slow-", |time| {
        Period::parse(time).map(|wait| Act::Bend(Bend::Delay(wait.get())))
    }),
    choice(
        "cut-<words>",
        "breaks the connection after that many words of the answer, streamed or not",
        "cut-",
        |words| {
            words.parse().ok().filter(|words| *words < ANSWER_WORDS).map(|words| Act::Bend(Bend::Cut(words)))
        },
    ),
    choice(
        "large-<size>",
        "repeats its words until a plain answer has that size (up to 64M)",
        "large-",
        |size| {
            let size = Size::parse(size).map(Size::as_usize).filter(|size| *size <= MAX_LARGE);
            size.map(|size| Act::Bend(Bend::Enlarge(size)))
        },
    ),
    // The crash test.
    row("fault-s01", "429 with retry-after: 2, once", &[(Once, Act::Refuse(Complaint::Throttled(2)))]),
    refused!("fault-s02", "429 for ever, without a word on when to come back", Complaint::RateLimited),
    row("fault-s03", "500, once", &[(Once, Act::Refuse(Complaint::Status(500)))]),
    refused!("fault-s04", "503 for ever", Complaint::Status(503)),
    row("fault-s05", "resets the connection before the header, once", &[(Once, Act::Reset)]),
    row("fault-s06", "never answers", &[(Always, Act::Ignore)]),
    bent!("fault-s07", "sends the header at once and nothing else for 20 s", Bend::HeaderFirst(seconds(20))),
    bent!("fault-s08", "breaks the connection after 40 words", Bend::Cut(40)),
    bent!(
        "fault-s09",
        "stalls for 30 s after 20 words, then goes on",
        Bend::Stall { words: 20, wait: seconds(30) }
    ),
    bent!("fault-s10", "the tenth event of a stream is broken JSON", Bend::BreakEvent(10)),
    bent!(
        "fault-s11",
        "a stream ends without finish reason and end marker, in order for HTTP",
        Bend::Unfinished
    ),
    bent!("fault-s11-finished", "a stream has a finish reason but no end marker", Bend::Unmarked),
    refused!("fault-s12", "400: the prompt exceeds the model's context", Complaint::ContextLength),
    row(
        "fault-s13",
        "the content filter refuses (400; Gemini: an answer without candidates)",
        &[(Always, Act::Filter)],
    ),
    row(
        "fault-s14",
        "breaks the connection after 40 words, once; 400 for a prefilled answer",
        &[(Prefilled, Act::Refuse(Complaint::Prefill)), (Once, Act::Bend(Bend::Cut(40)))],
    ),
    row(
        "fault-s15",
        "503 for 60 s from the first request on, then healthy",
        &[(Within(seconds(60)), Act::Refuse(Complaint::Status(503)))],
    ),
    refused!("fault-s16", "500 for ever", Complaint::Status(500)),
    row(
        "no-prefill",
        "400 for a prefilled answer, else healthy",
        &[(Prefilled, Act::Refuse(Complaint::Prefill))],
    ),
    // Refusals.
    refused!("fault-403", "403 in the vendor's words", Complaint::Forbidden),
    refused!("fault-404-model", "404 in the vendor's words: there is no such model", Complaint::UnknownModel),
    row(
        "fault-early-400",
        "400 as soon as the model's name is read, then reads on and closes",
        &[(Always, Act::RefuseEarly(Complaint::Status(400), HangUp::Patiently))],
    ),
    row(
        "fault-early-close",
        "503 as soon as the model's name is read, then closes",
        &[(Always, Act::RefuseEarly(Complaint::Status(503), HangUp::AtOnce))],
    ),
    // Errors inside an answer of 200.
    bent!("fault-error-in-200", "the vendor's error as the body of a 200", Bend::Fail(Inside::Body)),
    bent!("fault-error-first", "the vendor's error as a stream's first event", Bend::Fail(Inside::First)),
    bent!(
        "fault-error-after-role",
        "the vendor's error after a stream's opening event",
        Bend::Fail(Inside::Opened)
    ),
    bent!("fault-error-late", "the vendor's error after 20 words of a stream", Bend::Fail(Inside::After(20))),
    // What events look like.
    bent!("fault-crlf", "CRLF ends the lines of a stream", Bend::Crlf),
    bent!("fault-comments", "comments between the events of a stream", Bend::Comment),
    bent!("fault-big-event", "one event of 5 MB (a plain answer: 5 MB more)", Bend::Pad(PADDING)),
    // How the bytes come.
    bent!("fault-header-bytes", "the header byte by byte", Bend::Quirk(Quirk::HeaderByByte)),
    bent!("fault-split-1", "the body byte by byte, each a chunk", Bend::Quirk(Quirk::BodyByByte)),
    bent!("fault-one-read", "everything in one write", Bend::Quirk(Quirk::OneWrite)),
    bent!("fault-slow-drip", "one word per second, streamed or not", Bend::Drip(seconds(1))),
    bent!("fault-1xx", "103 twice before the answer", Bend::Quirk(Quirk::EarlyHints)),
    bent!("fault-trailers", "chunks, and trailers after them", Bend::Quirk(Quirk::Trailers)),
    bent!(
        "fault-close",
        "no length and no chunks: the body ends with the connection",
        Bend::Quirk(Quirk::UntilClose)
    ),
    bent!(
        "fault-short-length",
        "closes 64 bytes before the stated length",
        Bend::Quirk(Quirk::Missing(EXCESS))
    ),
    bent!(
        "fault-long-length",
        "sends more bytes than stated, and keeps the connection",
        Bend::Quirk(Quirk::Surplus)
    ),
    bent!(
        "fault-linger",
        "sends all but the end of the chunked body, and keeps the connection",
        Bend::Quirk(Quirk::Linger)
    ),
    bent!(
        "fault-dead-pool",
        "keeps the connection and closes it when the next request comes",
        Bend::Quirk(Quirk::DeadPool)
    ),
    bent!("fault-gzip", "gzip, although nobody asked for it", Bend::Compress(Coding::Gzip)),
    bent!("fault-deflate", "deflate, although nobody asked for it", Bend::Compress(Coding::Deflate)),
    bent!("fault-zstd", "zstd, although nobody asked for it", Bend::Compress(Coding::Zstd)),
    bent!("fault-br", "brotli, although nobody asked for it", Bend::Compress(Coding::Brotli)),
];
