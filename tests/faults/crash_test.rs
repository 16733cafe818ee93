//! The rows of the crash test, S01 to S14 and S16 of the list, without stream recovery.

use super::row::{Layout, Outcome, Row, Sees, Who};
use super::row::{answer, broken_after, given_up, refusal, row, same};
use Layout::{Alone, Equal, Lower};
use Who::{First, Other};
use cliproxy::domain::ErrorClass::{
    ContentFilter, ContextLength, Overloaded, RateLimit, ServerError, Timeout, Transport, Truncated,
};
use std::time::Duration;

/// An answer of the first provider, asked again when it wants to be: 2 s, or a little more.
const HINTED: Outcome =
    Outcome { pause: Duration::from_millis(1_800), ..answer(First, &[RateLimit]).within(5) };

/// An answer of the other provider, after a timeout of the first.
const fn left_for_another(key: &'static str) -> Outcome {
    answer(Other, &[Timeout]).patience(key, 5).within(15)
}

/// Gemini refuses a prompt inside an answer of 200, which its clients know how to read.
const FILTERED: Outcome = refusal([400, 400, 200], &[ContentFilter]);

const OVERFLOW: Outcome = refusal([400; 3], &[ContextLength]);

const GONE: &str = "upstream_unavailable";

/// What is refused before an answer begins, for a while or for ever.
pub const REFUSED: &[Row] = &[
    same("fault-s01", Equal, answer(Other, &[RateLimit])),
    same("fault-s01", Lower, HINTED),
    same("fault-s01", Alone, HINTED),
    same("fault-s02", Equal, answer(Other, &[RateLimit])),
    same("fault-s02", Lower, answer(Other, &[RateLimit])),
    same("fault-s02", Alone, refusal([429; 3], &[RateLimit; 4])),
    same("fault-s03", Equal, answer(Other, &[ServerError])),
    same("fault-s03", Lower, answer(First, &[ServerError])),
    same("fault-s03", Alone, answer(First, &[ServerError])),
    same("fault-s04", Equal, answer(Other, &[Overloaded])),
    same("fault-s04", Lower, answer(Other, &[Overloaded; 2])),
    same("fault-s04", Alone, refusal([503; 3], &[Overloaded; 4])),
    same("fault-s05", Equal, answer(Other, &[Transport])),
    same("fault-s05", Lower, answer(Other, &[Transport])),
    same("fault-s05", Alone, answer(First, &[Transport])),
    same("fault-s16", Equal, answer(Other, &[ServerError])),
    same("fault-s16", Lower, answer(Other, &[ServerError; 2])),
    same("fault-s16", Alone, refusal([500; 3], &[ServerError; 4])),
];

/// What breaks off, stalls or never begins.
pub const BROKEN: &[Row] = &[
    row("fault-s06", Equal, left_for_another("total"), left_for_another("header")),
    row("fault-s06", Lower, left_for_another("total"), left_for_another("header")),
    row(
        "fault-s06",
        Alone,
        given_up(504, "timeout", &[Timeout]).patience("total", 5).within(15),
        given_up(504, "timeout", &[Timeout]).patience("header", 5).within(15),
    ),
    row("fault-s07", Equal, answer(First, &[]), left_for_another("first_token")),
    row("fault-s07", Lower, left_for_another("total"), left_for_another("first_token")),
    row(
        "fault-s07",
        Alone,
        answer(First, &[]),
        given_up(504, "timeout", &[Timeout]).patience("first_token", 5).within(15),
    ),
    // A limit on the whole of plain answers is none for streams.
    row(
        "fault-s07",
        Alone,
        given_up(504, "timeout", &[Timeout]).patience("total", 5),
        answer(First, &[]).patience("total", 5),
    ),
    row("fault-s08", Equal, answer(Other, &[Truncated]), broken_after(40)),
    row("fault-s08", Lower, answer(Other, &[Truncated]), broken_after(40)),
    row("fault-s08", Alone, given_up(503, GONE, &[Truncated; 4]), broken_after(40)),
    row("fault-s09", Lower, left_for_another("total"), broken_after(20).patience("idle", 5).within(15)),
    row("fault-s09", Alone, answer(First, &[]), broken_after(20).patience("idle", 5).within(15)),
    // One broken element breaks an array, whoever reads it.
    row("fault-s10", Lower, answer(First, &[]), Outcome { sees: Sees::AllButOneWord, ..answer(First, &[]) })
        .array(broken_after(9)),
    row("fault-s11", Lower, answer(First, &[]), broken_after(60).within(8)),
    same("fault-s11-finished", Lower, answer(First, &[]).within(8)),
    row("fault-s14", Lower, answer(Other, &[Truncated]), broken_after(40)),
    row("fault-s14", Alone, answer(First, &[Truncated]), broken_after(40)),
];

/// What is the request's own fault.
pub const OWN_FAULT: &[Row] = &[
    Row {
        models: ["context_window: 1000", "context_window: 2000"],
        ..same("fault-s12", Equal, answer(Other, &[ContextLength]))
    },
    Row {
        models: ["context_window: 1000", "context_window: 2000"],
        ..same("fault-s12", Lower, answer(Other, &[ContextLength]))
    },
    Row { models: ["context_window: 1000", "context_window: 1000"], ..same("fault-s12", Equal, OVERFLOW) },
    same("fault-s12", Lower, OVERFLOW),
    same("fault-s12", Alone, OVERFLOW),
    same("fault-s13", Equal, FILTERED),
    same("fault-s13", Lower, FILTERED),
    same("fault-s13", Alone, FILTERED),
];

/// The faults of time, which have a run on the full scale, too.
pub const TIMED: &[&str] = &["fault-s01", "fault-s06", "fault-s07", "fault-s09", "fault-s11"];
