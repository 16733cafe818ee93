//! The rows beyond the crash test: errors inside a 200, odd HTTP, encodings, refusals of other kinds.

use super::row::{Layout, Outcome, Row, Who};
use super::row::{answer, broken_after, given_up, refusal, row, same};
use Layout::{Alone, Equal, Lower};
use Who::{First, Other};
use cliproxy::domain::ErrorClass::{Auth, InvalidRequest, ModelNotFound, Overloaded, Timeout, Truncated};

/// The first provider's answer, at once.
const FINE: Outcome = answer(First, &[]);

/// A row of oddities that neither the client nor anybody's figures notice, on a connection that is used again.
const fn unnoticed(fault: &'static str) -> Row {
    Row { times: 2, ..same(fault, Alone, FINE) }
}

/// Errors inside a 200, and refusals of other kinds.
pub const REFUSED: &[Row] = &[
    // Errors inside a 200.
    same("fault-error-in-200", Equal, answer(Other, &[Overloaded])),
    same("fault-error-in-200", Lower, answer(Other, &[Overloaded; 2])),
    same("fault-error-in-200", Alone, refusal([503; 3], &[Overloaded; 4])),
    same("fault-error-first", Equal, answer(Other, &[Overloaded])),
    same("fault-error-first", Lower, answer(Other, &[Overloaded; 2])),
    same("fault-error-after-role", Equal, answer(Other, &[Overloaded])),
    same("fault-error-after-role", Lower, answer(Other, &[Overloaded; 2])),
    row("fault-error-late", Lower, FINE, broken_after(20)),
    // Refusals of other kinds.
    same("fault-403", Equal, answer(Other, &[Auth])),
    same("fault-403", Lower, answer(Other, &[Auth])),
    same("fault-403", Alone, given_up(502, "upstream_credentials_exhausted", &[Auth])),
    same("fault-404-model", Equal, answer(Other, &[ModelNotFound])),
    same("fault-404-model", Lower, answer(Other, &[ModelNotFound])),
    same("fault-404-model", Alone, refusal([404; 3], &[ModelNotFound])),
    same("fault-early-400", Lower, refusal([400; 3], &[InvalidRequest])),
    same("fault-early-400", Alone, refusal([400; 3], &[InvalidRequest])),
    same("fault-early-close", Lower, answer(Other, &[Overloaded; 2])),
    same("fault-early-close", Equal, answer(Other, &[Overloaded])),
];

/// Good answers in odd shapes.
pub const ODD: &[Row] = &[
    // Events.
    unnoticed("fault-crlf"),
    unnoticed("fault-comments"),
    row("fault-big-event", Lower, FINE, FINE),
    // Bytes, and how they are told apart.
    unnoticed("fault-header-bytes"),
    unnoticed("fault-split-1"),
    unnoticed("fault-one-read"),
    unnoticed("fault-1xx"),
    unnoticed("fault-trailers"),
    unnoticed("fault-close"),
    unnoticed("fault-long-length"),
    unnoticed("fault-dead-pool"),
    row("fault-short-length", Equal, answer(Other, &[Truncated]), FINE),
    row("fault-short-length", Alone, given_up(503, "upstream_unavailable", &[Truncated; 4]), FINE),
    row("fault-linger", Lower, answer(Other, &[Timeout]).patience("total", 5), FINE),
    row("fault-slow-drip", Lower, FINE, FINE.patience("idle", 20)),
    // Encodings.
    unnoticed("fault-gzip"),
    unnoticed("fault-deflate"),
    unnoticed("fault-zstd"),
    unnoticed("fault-br"),
];
