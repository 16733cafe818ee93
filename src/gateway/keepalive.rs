//! Signs of life for the client of a silent stream, so that nobody between takes the connection for dead.
//!
//! Once something has gone out, a comment after each `streaming.keepalive` of silence. Before, the header is held back, so
//! that another provider may still answer or the client get a true error; but not for longer than
//! `streaming.keepalive_before_commit`: then a header of 200 and comments go out, others may still answer, and what
//! fails in the end is said in an event.
//!
//! Comments are lines that begin with a colon (WHATWG HTML, section 9.2.6, which suggests one about every 15 s). Other
//! streams than those of events have no place for any.

use super::config::Streaming;
use super::context::Context;
use super::reply;
use crate::domain::Period;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use pingora::protocols::http::ServerSession;
use std::time::{Duration, Instant};

/// The comment.
const COMMENT: &[u8] = b": keep-alive\n\n";

/// When the client of a stream of events is to get a sign of life.
#[derive(Default)]
pub struct KeepAlive {
    due: Option<Instant>,
    every: Option<Duration>,
    has_opened: bool,
}

impl KeepAlive {
    /// For a request that came at `started`.
    pub fn new(settings: &Streaming, started: Instant) -> KeepAlive {
        let before = settings.keepalive_before_commit.get().map(Period::get);
        let due = before.and_then(|before| started.checked_add(before));
        KeepAlive { due, every: settings.keepalive.get().map(Period::get), has_opened: false }
    }

    /// Whether the header has gone out before there was anything to say.
    pub fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// Something has gone out at this time.
    pub fn heard(&mut self, now: Instant) {
        self.due = self.every.and_then(|every| now.checked_add(every));
    }

    /// When one that waits until `limit` has to do something: a sign of life before, or give up then. Both share the
    /// attempt's one alarm.
    pub fn due_or(&self, limit: Instant) -> Instant {
        self.due.map_or(limit, |due| due.min(limit))
    }
}

/// Gives the client a sign of life, which may be the header of its answer.
///
/// # Errors
/// When the client is gone.
pub async fn beat(session: &mut ServerSession, context: &mut Context) -> pingora::Result<()> {
    if context.settlement.http_status().is_none() {
        open(session, context).await?;
        context.keepalive.has_opened = true;
    }
    session.write_response_body(Bytes::from_static(COMMENT), false).await?;
    context.keepalive.heard(Instant::now());
    Ok(())
}

/// Begins an answer that nobody has given yet.
async fn open(session: &mut ServerSession, context: &mut Context) -> pingora::Result<()> {
    let mut header = reply::header(StatusCode::OK.as_u16(), 4);
    header.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    header.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply::begin(session, context, header).await
}
