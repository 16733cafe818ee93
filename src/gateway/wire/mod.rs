//! The wire to a provider: connect, send a request, read the answer's header and then its body.
//!
//! What Pingora's own loop does for others is done here for the exchange: other addresses, one free retry
//! past a dead pooled connection, answers that come early, informational ones. Decides nothing about other
//! candidates, and nothing about what an answer means.

mod broken;
mod gathering;
mod h2;
pub mod idle;
mod link;

pub use broken::Broken;

use super::upstream::Upstream;
use crate::domain::ErrorClass;
use crate::providers::platform::Platform;
use crate::translate::decoding::Decoder;
use crate::translate::event_stream::{self, EventStream};
use crate::translate::frames::Framing;
use crate::translate::translation::{self, TooLong};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use link::Link;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::{Error, ErrorType, RetryType};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// Informational answers (1xx) that are read over before an upstream is given up.
const MAX_INFORMATIONAL: usize = 8;
/// How Pingora begins to say how much of an answer's header had come, and what it says for none.
const BYTES_READ: &str = "bytes already read: ";
const NO_BYTES_READ: &str = "bytes already read: 0";
/// How it says that an HTTP/2 stream ended before its answer's header.
const NO_H2_HEADER: &str = "while reading h2 header";
/// How much of a body is written between two looks for an early answer.
const SLICE: usize = 64 << 10;
/// How often a request may meet a shared HTTP/2 connection that has just gone bad. Such a one leaves the pool, so
/// that the next try is on another; all of a pool rarely go bad unnoticed.
const MAX_STALE: usize = 3;

/// What goes to a provider.
pub struct Outgoing {
    /// The header, ready to be written.
    pub header: Box<RequestHeader>,
    /// The body, ready to be written.
    pub body: Bytes,
}

/// A provider's answer, its header read.
pub struct Answer {
    link: Link,
    /// Whether it came before the request was sent to its end; the connection is of no further use then.
    pub is_early: bool,
    /// What undoes the codings of the body, which nobody asked for; the header doesn't name them any more.
    decoder: Option<Decoder>,
    /// What reads Bedrock's streams, and the header that is theirs as the events which come out of it.
    unframing: Option<Box<(EventStream, ResponseHeader)>>,
    /// What puts a stream into the client's words.
    translation: Option<Box<translation::Stream>>,
}

impl Answer {
    fn new(link: Link, is_early: bool) -> Answer {
        let mut answer = Answer { link, is_early, decoder: None, unframing: None, translation: None };
        let codings = codings(answer.header());
        answer.decoder = codings.and_then(|codings| Decoder::for_header(&codings).ok()).flatten();
        if answer.link.platform() == Platform::Bedrock {
            answer.unframing =
                as_events(answer.header()).map(|header| Box::new((EventStream::default(), header)));
        }
        answer
    }

    /// The header. One that names a coding does so although [`Answer::read`] may undo it.
    pub fn header(&self) -> &ResponseHeader {
        // There is always one: an answer is made when its header has been read.
        static NONE: LazyLock<ResponseHeader> =
            LazyLock::new(|| http::Response::new(()).into_parts().0.into());
        match &self.unframing {
            Some(unframing) => &unframing.1,
            None => self.link.response_header().unwrap_or(&NONE),
        }
    }

    /// The header without the coding that [`Answer::read`] undoes, for keeping beside the body.
    pub fn decoded_header(&self) -> ResponseHeader {
        let mut header = self.header().clone();
        if self.is_decoded() {
            header.remove_header(&CONTENT_ENCODING);
        }
        header
    }

    /// Whether the connection says where the body ends, whatever the header says.
    pub fn is_framed(&self) -> bool {
        self.link.is_h2()
    }

    /// Whether the body comes decoded, so that the client must not hear of the coding.
    pub fn is_decoded(&self) -> bool {
        self.decoder.is_some()
    }

    /// Whether the body is in a coding that is unknown here. What is plain can still be passed on, its header
    /// with it, to a client who may know better; a stream, which has to be understood, can't.
    pub fn is_opaque(&self) -> bool {
        codings(self.header()).is_some_and(|codings| Decoder::for_header(&codings).is_err())
    }

    /// From here on a stream is read in the client's words.
    pub fn translate(&mut self, translation: translation::Stream) {
        self.translation = Some(Box::new(translation));
    }

    /// What puts the stream into the client's words, if that has to be done.
    pub fn translation(&self) -> Option<&translation::Stream> {
        self.translation.as_deref()
    }

    /// How the client's stream is framed, where the provider's is put into other words.
    pub fn framing(&self) -> Option<Framing> {
        self.translation().map(translation::Stream::framing)
    }

    /// What the client still has to be told so that its stream ends in order, where the provider's has come to its
    /// finish and no further.
    pub fn wind_up(&mut self) -> Bytes {
        self.translation.as_mut().map_or_else(Bytes::new, |translation| translation.finish())
    }

    /// What a client is told, in events of its own API, whose stream broke off for the reason in an error's body; `None`
    /// where that body is all there is to say.
    pub fn fail(&mut self, error: &[u8]) -> Option<Bytes> {
        self.translation.as_mut()?.fail(error)
    }

    /// The next piece of the body, decoded and in the client's words; `None` once it is complete. It is empty where what
    /// came says nothing by itself: a part of an event, a ping, or what is held back. Cancel-safe.
    ///
    /// # Errors
    /// When the connection breaks; when the body is not what its header says, or can't be translated; when the provider
    /// says in a stream that is translated that it failed. How long it may take is the caller's to say.
    pub async fn read(&mut self) -> Result<Option<Bytes>, Broken> {
        self.check()?;
        let piece = self.piece().await?;
        let Some(translation) = &mut self.translation else { return Ok(piece) };
        if let Some(piece) = piece {
            let translated = translation.push(&piece);
            return translated.map(Some).map_err(|TooLong| Broken::truncated("an event that is too long"));
        }
        match translation.finish() {
            nothing if nothing.is_empty() => self.check().map(|()| None),
            rest => Ok(Some(rest)),
        }
    }

    /// Whether what was read of a stream that is translated can go on.
    fn check(&self) -> Result<(), Broken> {
        let Some(translation) = &self.translation else { return Ok(()) };
        if translation.error().is_some() {
            return Err(Broken::truncated("the provider said in its stream that it failed"));
        }
        translation.spoilt().map_or(Ok(()), |spoilt| Err(Broken::by(spoilt, ErrorClass::Truncated)))
    }

    /// The next piece of the body, as events if it is a stream.
    async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        if let Some(unframing) = &self.unframing {
            unframing.0.check()?;
        }
        let piece = self.decoded().await?;
        let Some(unframing) = &mut self.unframing else { return Ok(piece) };
        match piece {
            Some(piece) => Ok(Some(unframing.0.push(&piece))),
            None => {
                unframing.0.finish()?;
                Ok(None)
            }
        }
    }

    /// The next piece of the body, decoded.
    async fn decoded(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                // Before a piece is taken, so that none is lost to a cancellation.
                tokio::task::consume_budget().await;
                let piece = decoder.pull()?;
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
            let read = async { self.link.session()?.read_response_body().await };
            let read = read.await.map_err(|error| Broken::in_body(&error))?;
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

    /// Gives the connection back to the pool, if the answer was read to its end. What is left of an HTTP/1.1
    /// answer would be taken for the next one.
    pub async fn release(&mut self) {
        let is_over = !self.is_early && self.link.session().is_ok_and(HttpSession::response_done);
        self.link.release(is_over).await;
    }
}

/// The header of an answer in Bedrock's framing, as that of the events which are in it; `None` of any other.
fn as_events(header: &ResponseHeader) -> Option<ResponseHeader> {
    let media_type = header.headers.get(CONTENT_TYPE)?.as_bytes();
    if !media_type.starts_with(event_stream::MEDIA_TYPE.as_bytes()) {
        return None;
    }
    let mut header = header.clone();
    header.remove_header(&CONTENT_LENGTH);
    header.insert_header(CONTENT_TYPE, HeaderValue::from_static("text/event-stream")).ok()?;
    Some(header)
}

/// The content codings of an answer, in one list.
fn codings(header: &ResponseHeader) -> Option<String> {
    let lines: Vec<&str> =
        header.headers.get_all(CONTENT_ENCODING).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Why there is no answer yet.
pub enum Unanswered {
    /// The connection was no good, for which the provider can't be blamed: the request is to be sent once more,
    /// to this address.
    Unsent(SocketAddr),
    /// There will be none.
    Broken(Broken),
}

/// Sends the request and reads the answer's header, in as much time as the caller gives.
///
/// # Errors
/// When there is no connection, or no answer on it. A pooled connection that turns out dead before a byte of the
/// answer costs nothing: the request is to be sent once more, on a fresh connection. So it is where an HTTP/2
/// provider says that it didn't look at it. `retries` counts these.
pub async fn send(
    upstream: &Arc<Upstream>,
    address: SocketAddr,
    outgoing: Outgoing,
    retries: usize,
) -> Result<Answer, Unanswered> {
    // Behind a dead pooled connection the next may be dead as well.
    let pooled = if retries == 0 { Link::pooled(upstream, address) } else { None };
    let mut link = match pooled {
        Some(link) => link,
        // Boxed, since it is large, and rare.
        None => Box::pin(Link::connect(upstream, address)).await.map_err(Unanswered::Broken)?,
    };
    let error = match converse(&mut link, outgoing).await {
        Ok(is_early) => return Ok(Answer::new(link, is_early)),
        Err(error) => error,
    };
    if retries >= free_retries(&link, &error) {
        return Err(Unanswered::Broken(Broken::from_pingora(&error)));
    }
    link.retire(prefers_h1(&error));
    Err(Unanswered::Unsent(link.address()))
}

/// How many tries the provider can't be blamed for, and hasn't begun to answer, a request may have that
/// failed like this.
fn free_retries(link: &Link, error: &Error) -> usize {
    match (link.is_h2(), link.is_reused()) {
        (true, true) if is_dead_connection(error) => MAX_STALE,
        (false, true) if is_dead_connection(error) => 1,
        // Refused unseen, or not in this version.
        (true, _) if matches!(error.retry, RetryType::Decided(true)) => 1,
        _ => 0,
    }
}

/// Whether the provider can't go on with HTTP/2, though it agreed on it.
fn prefers_h1(error: &Error) -> bool {
    matches!(error.etype(), ErrorType::H2Downgrade | ErrorType::InvalidH2)
}

/// Whether the connection was already gone, so that the provider hasn't answered, and can't have read all of
/// the request. Pingora says `ReusedOnly` after a part of an answer's header too, and tells the two apart in
/// its words only.
pub fn is_dead_connection(error: &Error) -> bool {
    let says = |words: &str| error.context.as_ref().is_some_and(|context| context.as_str().contains(words));
    match error.retry {
        // Over TLS, it can't tell a connection of HTTP/2 that was just closed from one that breaks the protocol.
        RetryType::Decided(is_safe) => match error.etype() {
            ErrorType::WriteError => true,
            ErrorType::ReadError => is_safe || says(NO_H2_HEADER) || is_end(error) && says(NO_BYTES_READ),
            _ => is_safe,
        },
        RetryType::ReusedOnly => !says(BYTES_READ) || says(NO_BYTES_READ),
    }
}

/// Whether a connection of TLS ended without its good-bye, as one does that is only closed.
fn is_end(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof)
}

/// Writes the request and reads the header of the answer; says whether that came early.
async fn converse(link: &mut Link, outgoing: Outgoing) -> pingora::Result<bool> {
    let session = match link.session()? {
        HttpSession::H2(session) => return Box::pin(h2::converse(session, outgoing)).await,
        session => session,
    };
    match write(session, outgoing).await {
        Ok(Sent::Whole { is_answered: true }) => Ok(false),
        Ok(Sent::Whole { is_answered: false }) => read_header(session).await.map(|()| false),
        Ok(Sent::Partly) => Ok(true),
        // An upstream that answers early may close its reading side; without an answer that is an error.
        Err(error) => read_header(session).await.map(|()| true).map_err(|_| error),
    }
}

/// Writes the request, slice by slice. A refusal that comes before the end is given at once: its sender may
/// not read on. One session can't read while it writes, so that the look is between the slices.
async fn write(session: &mut HttpSession, outgoing: Outgoing) -> pingora::Result<Sent> {
    session.write_request_header(outgoing.header).await?;
    let mut rest = outgoing.body;
    let mut is_answered = false;
    while rest.len() > SLICE {
        session.write_request_body(rest.split_to(SLICE), false).await?;
        if is_answered {
            continue;
        }
        // Reading a header is cancel-safe: what has come is kept for the next read.
        is_answered = read_header(session).now_or_never().transpose()?.is_some();
        // One who has begun to answer well still wants the rest.
        let is_good = |header: &ResponseHeader| header.status.is_success();
        if is_answered && !session.response_header().is_some_and(is_good) {
            return Ok(Sent::Partly);
        }
    }
    session.write_request_body(rest, true).await?;
    session.finish_request_body().await?;
    Ok(Sent::Whole { is_answered })
}

/// How much of a request was sent, and what had been answered by then.
enum Sent {
    /// All of it.
    Whole {
        /// Whether the header of the answer was read meanwhile.
        is_answered: bool,
    },
    /// Part of it: the answer, whose header was read, needs no more.
    Partly,
}

/// Reads over 1xx answers up to the final header of HTTP/1.1. (HTTP/2 doesn't show them, and Pingora panics
/// when a header of it is read a second time.)
async fn read_header(session: &mut HttpSession) -> pingora::Result<()> {
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
        if !header.status.is_informational() {
            return Ok(());
        }
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "no final answer after many informational ones")
}
