//! The rows with stream recovery on: what broke off is whole, or the error is as clear as without.
//!
//! Arrays are not gone on with: there is no place in them to tell the client.

use super::row::{Layout, Outcome, Row, Who};
use super::row::{answer, broken_after, given_up, recovered, row, same};
use Layout::{Alone, Equal, Lower};
use Who::{First, Other};
use cliproxy::domain::ErrorClass::{InvalidRequest, RateLimit, Timeout, Truncated};

/// What the other provider's model can.
const PREFILL: [&str; 2] = ["", "supports_prefill: true"];

/// An array that breaks off, and one that stalls.
const CUT: Outcome = broken_after(40);
const STALLED: Outcome = broken_after(20).patience("idle", 5).within(15);

/// A stream that breaks at every attempt: the client is told as if nobody had tried.
const HOPELESS: Outcome = Outcome { first: &[Truncated; 4], ..broken_after(40) };

/// As [`recovered`], by a provider that will not go on from a partial answer, and is asked to repeat it.
const REPEATED: Outcome = Outcome { other: &[InvalidRequest], ..recovered(Other, 100) };

/// What both modes have in common.
macro_rules! both_modes {
    ($($own:expr),* $(,)?) => {
        &[
            row("fault-s08", Equal, answer(Other, &[Truncated]), recovered(Other, 100)).array(CUT),
            row("fault-s08", Lower, answer(Other, &[Truncated]), recovered(Other, 100)).array(CUT),
            row("fault-s08", Alone, given_up(503, "upstream_unavailable", &[Truncated; 4]), HOPELESS).array(CUT),
            row(
                "fault-s09",
                Lower,
                answer(Other, &[Timeout]).patience("total", 5).within(15),
                recovered(Other, 80).patience("idle", 5).within(15),
            )
            .array(STALLED),
            row("fault-s11", Lower, answer(First, &[]), recovered(Other, 120)).array(broken_after(60)),
            same("fault-s11-finished", Lower, answer(First, &[])),
            row("fault-s14", Alone, answer(First, &[Truncated]), recovered(First, 100)).array(CUT),
            row("fault-error-late", Lower, answer(First, &[]), recovered(Other, 80)).array(broken_after(20)),
            // Nothing to be recovered.
            same("fault-s02", Lower, answer(Other, &[RateLimit])),
            same("fault-split-1", Lower, answer(First, &[])),
            $($own),*
        ]
    };
}

/// `retry.stream_recovery: match`.
pub const MATCH: &[Row] = both_modes![Row {
    other: "no-prefill",
    models: PREFILL,
    ..row("fault-s14", Lower, answer(Other, &[Truncated]), recovered(Other, 100)).array(CUT)
},];

/// `retry.stream_recovery: continue`.
pub const CONTINUE: &[Row] = both_modes![
    Row {
        models: PREFILL,
        ..row("fault-s08", Lower, answer(Other, &[Truncated]), recovered(Other, 60)).array(CUT)
    },
    Row {
        models: PREFILL,
        ..row("fault-s08", Equal, answer(Other, &[Truncated]), recovered(Other, 60)).array(CUT)
    },
    Row {
        models: PREFILL,
        ..row(
            "fault-s09",
            Lower,
            answer(Other, &[Timeout]).patience("total", 5).within(15),
            recovered(Other, 60).patience("idle", 5).within(15),
        )
        .array(STALLED)
    },
    Row {
        other: "no-prefill",
        models: PREFILL,
        ..row("fault-s14", Lower, answer(Other, &[Truncated]), REPEATED).array(CUT)
    },
    Row {
        other: "no-prefill",
        models: PREFILL,
        ..row("fault-s14", Equal, answer(Other, &[Truncated]), REPEATED).array(CUT)
    },
];
