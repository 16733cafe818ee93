//! One attempt: one request to one provider, up to the header of its answer.
//!
//! Decides nothing about other candidates. An attempt is settled exactly once; one that is dropped
//! unsettled was cancelled.

use super::upstream::Upstream;
use crate::domain::ErrorClass;
use crate::observe::events::{AttemptFailed, AttemptSucceeded};
use crate::providers::credential::Entry;
use crate::providers::provider::Permit;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, RetryType};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Informational answers (1xx) that are read over before an upstream is given up.
const MAX_INFORMATIONAL: usize = 8;
/// How Pingora begins to say how much of an answer's header had come, and what it says for none.
const BYTES_READ: &str = "bytes already read: ";
const NO_BYTES_READ: &str = "bytes already read: 0";
/// How much of a body is written between two looks for an early answer.
const SLICE: usize = 64 << 10;
/// Further addresses of a provider that an attempt connects to when the first doesn't answer.
const MAX_ADDRESSES: usize = 3;

/// An attempt under way, and what it holds.
pub struct Attempt {
    /// Who is asked.
    pub upstream: Arc<Upstream>,
    /// With which credential.
    pub credential: Arc<Entry>,
    /// For which model, by the provider's name.
    pub model: Arc<str>,
    /// Since when.
    pub started: Instant,
    request_id: HeaderValue,
    settled: bool,
    took: Option<Duration>,
    permit: Option<Permit>,
}

impl Attempt {
    /// Begins an attempt.
    pub fn begin(
        upstream: Arc<Upstream>,
        credential: Arc<Entry>,
        model: Arc<str>,
        permit: Permit,
        request_id: HeaderValue,
        now: Instant,
    ) -> Attempt {
        Attempt {
            upstream,
            credential,
            model,
            started: now,
            request_id,
            settled: false,
            took: None,
            permit: Some(permit),
        }
    }

    /// How long it has taken so far, or took.
    pub fn took(&self) -> Duration {
        self.took.unwrap_or_else(|| self.started.elapsed())
    }

    /// The provider's part is over, and its place free, however long the client takes.
    fn end(&mut self) -> Duration {
        self.permit = None;
        *self.took.insert(self.started.elapsed())
    }

    /// It was answered, whole.
    pub fn succeed(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let took = self.end();
        self.upstream.succeeded();
        AttemptSucceeded {
            provider: self.upstream.provider.name(),
            credential: self.credential.label(),
            model: &self.model,
            request_id: self.request_id.to_str().unwrap_or_default(),
            duration: took,
        }
        .emit(&self.upstream.meters);
    }

    /// It failed. `reason` is for operators and names no secret.
    pub fn fail(&mut self, class: ErrorClass, status: Option<u16>, reason: &str) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let took = self.end();
        self.upstream.failed(class, format!("{class}: {reason}"), self.started + took);
        AttemptFailed {
            provider: self.upstream.provider.name(),
            credential: self.credential.label(),
            model: &self.model,
            request_id: self.request_id.to_str().unwrap_or_default(),
            class,
            status,
            duration: took,
            internal: reason,
        }
        .emit(&self.upstream.meters);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.fail(ErrorClass::Cancelled, None, "dropped before its end");
    }
}

/// What goes to a provider.
pub struct Outgoing {
    /// The header, ready to be written.
    pub header: RequestHeader,
    /// The body, ready to be written.
    pub body: Bytes,
}

/// A provider's answer, its header read.
pub struct Answer {
    /// The connection, for the body.
    pub session: HttpSession,
    /// The header.
    pub header: ResponseHeader,
    /// Where the connection goes back to.
    pub peer: HttpPeer,
    /// Whether it came before the request was sent to its end; the connection is of no further use then.
    pub is_early: bool,
}

/// A provider's error answer, kept until it is decided whose words the client gets.
pub struct Refusal {
    /// Its header.
    pub header: ResponseHeader,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Broken {
    /// What kind of failure.
    pub class: ErrorClass,
    /// In words, for operators.
    pub reason: String,
}

impl Broken {
    /// A failure of the connection, classified by what Pingora says of it.
    pub fn from_pingora(error: &Error) -> Broken {
        let class = match error.etype() {
            ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout => ErrorClass::Timeout,
            _ => ErrorClass::Transport,
        };
        Broken { class, reason: error.to_string() }
    }
}

/// Sends the request and reads the answer's header.
///
/// A pooled connection that turns out dead before a byte of the answer costs nothing: the request is sent
/// once more, on a fresh connection.
///
/// # Errors
/// When there is no connection, or no answer on it within `header_timeout`.
pub async fn send(
    upstream: &Upstream,
    mut peer: HttpPeer,
    outgoing: &Outgoing,
    header_timeout: Duration,
) -> Result<Answer, Broken> {
    let pool = peer.group_key;
    let mut may_retry = true;
    loop {
        let (mut session, reused) = connect(upstream, &mut peer).await?;
        session.set_read_timeout(Some(header_timeout));
        // An upstream that reads nothing for so long may have answered; see `converse`.
        session.set_write_timeout(Some(upstream.provider.definition.timeouts.header.get()));
        match converse(&mut session, outgoing).await {
            Ok((header, is_early)) => {
                peer.group_key = pool;
                return Ok(Answer { session, header, peer, is_early });
            }
            Err(error) if reused && may_retry && is_dead_connection(&error) => {
                may_retry = false;
                // The next pooled connection may be dead as well; a key that nobody else has makes it a
                // fresh one. Of HTTP/2, Pingora keeps no closed ones, and finds one by its key when it
                // comes back.
                if session.as_http1().is_some() {
                    peer.group_key = fastrand::u64(..);
                }
            }
            Err(error) => return Err(Broken::from_pingora(&error)),
        }
    }
}

/// Connects, trying the provider's other addresses where one doesn't answer.
async fn connect(upstream: &Upstream, peer: &mut HttpPeer) -> Result<(HttpSession, bool), Broken> {
    let mut last = match upstream.connector.get_http_session(peer).await {
        Ok(connected) => return Ok(connected),
        Err(error) => error,
    };
    // Asked for only now: each asking moves the provider's rotation of addresses on.
    let first = peer._address.as_inet().copied();
    let others = upstream.provider.addresses().filter(|address| Some(*address) != first);
    for address in others.take(MAX_ADDRESSES) {
        peer._address = address.into();
        match upstream.connector.get_http_session(peer).await {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(Broken::from_pingora(&last))
}

/// Whether the connection was already gone, so that the provider hasn't answered, and can't have read all of
/// the request. Pingora says `ReusedOnly` after a part of an answer's header too, and tells the two apart in
/// its words only.
pub(super) fn is_dead_connection(error: &Error) -> bool {
    let nothing_read = || {
        error.context.as_ref().is_none_or(|words| {
            !words.as_str().contains(BYTES_READ) || words.as_str().contains(NO_BYTES_READ)
        })
    };
    match error.retry {
        RetryType::Decided(is_safe) => is_safe || *error.etype() == ErrorType::WriteError,
        RetryType::ReusedOnly => nothing_read(),
    }
}

/// Writes the request and reads the header of the answer; says whether that came early.
async fn converse(session: &mut HttpSession, outgoing: &Outgoing) -> pingora::Result<(ResponseHeader, bool)> {
    match write(session, outgoing).await {
        Ok(Sent::Whole(None)) => Ok((read_header(session).await?, false)),
        Ok(Sent::Whole(Some(header))) => Ok((header, false)),
        Ok(Sent::Partly(refusal)) => Ok((refusal, true)),
        // An upstream that answers early may close its reading side; without an answer that is an error.
        Err(error) => read_header(session).await.map(|header| (header, true)).map_err(|_| error),
    }
}

/// Writes the request, slice by slice. A refusal that comes before the end is given at once: its sender may
/// not read on. One session can't read while it writes, so that the look is between the slices.
async fn write(session: &mut HttpSession, outgoing: &Outgoing) -> pingora::Result<Sent> {
    session.write_request_header(Box::new(outgoing.header.clone())).await?;
    let mut rest = outgoing.body.clone();
    let mut early = None;
    while rest.len() > SLICE {
        session.write_request_body(rest.split_to(SLICE), false).await?;
        if early.is_some() || session.as_http1().is_none() {
            continue;
        }
        // Reading a header is cancel-safe: what has come is kept for the next read.
        match read_header(session).now_or_never().transpose()? {
            // One who has begun to answer well still wants the rest.
            Some(header) if header.status.is_success() => early = Some(header),
            Some(refusal) => return Ok(Sent::Partly(refusal)),
            None => {}
        }
    }
    session.write_request_body(rest, true).await?;
    session.finish_request_body().await?;
    Ok(Sent::Whole(early))
}

/// How much of a request was sent, and what had been answered by then.
enum Sent {
    /// All of it.
    Whole(Option<ResponseHeader>),
    /// Part of it: the answer needs no more.
    Partly(ResponseHeader),
}

/// Reads over 1xx answers up to the final header. Only HTTP/1.1 shows them; a second read of an HTTP/2
/// header would panic in Pingora.
async fn read_header(session: &mut HttpSession) -> pingora::Result<ResponseHeader> {
    for _ in 0..MAX_INFORMATIONAL {
        if let Err(mut error) = session.read_response_header().await {
            // Whoever has said anything, perhaps in an earlier look, has the request.
            if session.response_header().is_some() {
                error.set_retry(false);
            }
            return Err(error);
        }
        let Some(header) = session.response_header() else { break };
        if header.status == StatusCode::SWITCHING_PROTOCOLS {
            return Error::e_explain(
                ErrorType::InvalidHTTPHeader,
                "a switch of protocols that nobody asked for",
            );
        }
        if !header.status.is_informational() || session.as_http1().is_none() {
            return Ok(header.clone());
        }
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "no final answer after many informational ones")
}
