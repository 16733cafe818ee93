//! The wire to a provider: connect, send a request, read the answer's header and then its body.
//!
//! What Pingora's own loop does for others is done here for the exchange: other addresses, one free retry
//! past a dead pooled connection, answers that come early, informational ones. Decides nothing about other
//! candidates, and nothing about what an answer means.

use super::upstream::Upstream;
use crate::domain::ErrorClass;
use crate::translate::decoding::{self, Decoder};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, RetryType};
use std::time::Duration;

/// Informational answers (1xx) that are read over before an upstream is given up.
const MAX_INFORMATIONAL: usize = 8;
/// How Pingora begins to say how much of an answer's header had come, and what it says for none.
const BYTES_READ: &str = "bytes already read: ";
const NO_BYTES_READ: &str = "bytes already read: 0";
/// How much of a body is written between two looks for an early answer.
const SLICE: usize = 64 << 10;
/// Further addresses of a provider that an attempt connects to when the first doesn't answer.
const MAX_ADDRESSES: usize = 3;

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
    /// What undoes the codings of the body, which nobody asked for; the header doesn't name them any more.
    decoder: Option<Decoder>,
}

impl Answer {
    fn new(session: HttpSession, mut header: ResponseHeader, peer: HttpPeer, is_early: bool) -> Answer {
        let decoder = codings(&header).and_then(|codings| Decoder::for_header(&codings).ok()).flatten();
        if decoder.is_some() {
            header.remove_header(&CONTENT_ENCODING);
        }
        Answer { session, header, peer, is_early, decoder }
    }

    /// Whether the body is in a coding that is unknown here. What is plain can still be passed on, its header
    /// with it, to a client who may know better; a stream, which has to be understood, can't.
    pub fn is_opaque(&self) -> bool {
        codings(&self.header).is_some_and(|codings| Decoder::for_header(&codings).is_err())
    }

    /// The next piece of the body, decoded; `None` once it is complete. Cancel-safe.
    ///
    /// # Errors
    /// When the connection breaks, or is silent for longer than [`Answer::set_patience`] allows; when the body
    /// is not what its header says.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                // Before a piece is taken, so that none is lost to a cancellation.
                tokio::task::consume_budget().await;
                let piece = decoder.pull()?;
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
            let read =
                self.session.read_response_body().await.map_err(|error| Broken::from_pingora(&error))?;
            match (&mut self.decoder, read) {
                (None, read) => return Ok(read),
                (Some(decoder), Some(chunk)) => decoder.push(chunk),
                (Some(decoder), None) => {
                    decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// How long a read may wait for the next bytes.
    pub fn set_patience(&mut self, patience: Duration) {
        self.session.set_read_timeout(Some(patience));
    }

    /// Gives the connection back to the pool, if the answer was read to its end. What is left of an HTTP/1.1
    /// answer would be taken for the next one; an HTTP/2 connection is shared, and always goes back.
    pub async fn release(mut self, upstream: &Upstream) {
        if self.session.as_http1().is_some() && (self.is_early || !self.session.response_done()) {
            return;
        }
        let idle = Some(upstream.idle_timeout());
        upstream.connector.release_http_session(self.session, &self.peer, idle).await;
    }
}

/// The content codings of an answer, in one list.
fn codings(header: &ResponseHeader) -> Option<String> {
    let lines: Vec<&str> =
        header.headers.get_all(CONTENT_ENCODING).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
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

impl From<decoding::Broken> for Broken {
    fn from(broken: decoding::Broken) -> Broken {
        Broken { class: ErrorClass::Transport, reason: broken.to_string() }
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
                return Ok(Answer::new(session, header, peer, is_early));
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
pub fn is_dead_connection(error: &Error) -> bool {
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
