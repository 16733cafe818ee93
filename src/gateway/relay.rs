//! From a provider's answer to the client: whole where it is plain, frame by frame where it streams.
//!
//! A plain answer is held back until it is complete, so that a torn one can still move on to another
//! candidate. A stream is committed with its header. While the provider is waited for, the client is
//! watched: one that leaves ends the attempt at once.

use super::attempt::{Answer, Broken};
use super::call::Call;
use super::context::Context;
use super::reply;
use crate::domain::{ErrorClass, ErrorCode, Failure, TokenUsage};
use crate::translate;
use crate::translate::frames::{Frames, Framing};
use crate::translate::usage::{Frame, Meter};
use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use std::time::Duration;

/// Text bytes that make about one token, for estimates.
const BYTES_PER_TOKEN: u64 = 4;
/// How much of an error answer is read.
const MAX_ERROR_BODY: usize = 1 << 20;

/// How relaying ended.
#[derive(Debug)]
pub enum Relayed {
    /// The client has the whole answer.
    Whole,
    /// The client went away.
    ClientGone,
    /// The provider failed before the client saw anything.
    Uncommitted(Broken),
    /// The provider failed after the client had seen a part; the client was told.
    Truncated(Broken),
}

/// What was read of a body.
pub enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// The first part of one that is longer than the limit.
    Part(Bytes),
}

/// Returns when the client has gone away, never otherwise.
pub async fn client_gone(session: &mut ServerSession) {
    if session.read_body_or_idle(true).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Reads an answer's body up to `limit` bytes.
///
/// # Errors
/// When it breaks off.
async fn gather(upstream: &mut HttpSession, limit: usize) -> Result<Gathered, Broken> {
    let broken = |error: Box<pingora::Error>| Broken::from_pingora(&error);
    let Some(first) = upstream.read_response_body().await.map_err(broken)? else {
        return Ok(Gathered::Whole(Bytes::new()));
    };
    let mut body: Option<BytesMut> = None;
    let mut length = first.len();
    while length <= limit {
        let Some(chunk) = upstream.read_response_body().await.map_err(broken)? else {
            return Ok(Gathered::Whole(body.map_or(first, BytesMut::freeze)));
        };
        let body = body.get_or_insert_with(|| BytesMut::from(&first[..]));
        body.extend_from_slice(&chunk);
        length = body.len();
    }
    Ok(Gathered::Part(body.map_or(first, BytesMut::freeze)))
}

/// The body of an error answer, as far as it is worth reading; empty if it doesn't come in time.
pub async fn error_body(answer: &mut Answer, within: Duration) -> Bytes {
    match tokio::time::timeout(within, gather(&mut answer.session, MAX_ERROR_BODY)).await {
        Ok(Ok(Gathered::Whole(body) | Gathered::Part(body))) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

/// Gives a plain answer to the client.
pub async fn plain(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    mut answer: Answer,
) -> Relayed {
    let limit = context.snapshot.settings.retry.max_buffered_response.as_usize();
    let Some(total) =
        context.attempt.as_ref().map(|attempt| attempt.upstream.provider.definition.timeouts.total.get())
    else {
        return Relayed::ClientGone;
    };
    let gathered = tokio::select! {
        biased;
        gathered = tokio::time::timeout(total, gather(&mut answer.session, limit)) => gathered,
        () = client_gone(session) => return Relayed::ClientGone,
    };
    let body = match gathered {
        Ok(Ok(Gathered::Whole(body))) => body,
        Ok(Ok(Gathered::Part(part))) => return long(session, context, call, answer, part).await,
        Ok(Err(broken)) => return Relayed::Uncommitted(broken),
        Err(_) => return Relayed::Uncommitted(slow("the answer was not complete in time")),
    };
    let mut meter = Meter::plain(call.dialect());
    meter.see(&body);
    let estimate = TokenUsage { output: body.len() as u64 / BYTES_PER_TOKEN, ..TokenUsage::default() };
    settle_usage(context, call, &meter, estimate);
    context.settlement.first_content();
    let sent = async {
        let mut header = answer_header(context, &answer.header, 0)?;
        super::headers::copy_downstream(&answer.header.headers, &mut header);
        reply::whole(session, context, header, body).await
    };
    if sent.await.is_err() {
        return Relayed::ClientGone;
    }
    release(context, answer).await;
    Relayed::Whole
}

/// Relays a plain answer that is too long to be held back.
async fn long(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    answer: Answer,
    part: Bytes,
) -> Relayed {
    let frames = None;
    let meter = Meter::plain(call.dialect());
    Stream { session, context, call, meter, frames, hides_usage: false, relayed: 0 }
        .run(answer, Some(part))
        .await
}

/// Relays a stream to the client.
pub async fn stream(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    framing: Framing,
    answer: Answer,
) -> Relayed {
    let max_event = context.snapshot.settings.streaming.max_event_size.as_usize();
    let frames = Some((framing, Frames::new(framing, max_event)));
    let meter = Meter::stream(call.dialect(), framing);
    let hides_usage = call.hides_usage();
    Stream { session, context, call, meter, frames, hides_usage, relayed: 0 }.run(answer, None).await
}

/// A committed answer on its way.
struct Stream<'r> {
    session: &'r mut ServerSession,
    context: &'r mut Context,
    call: &'r Call,
    meter: Meter,
    /// How it is cut; `None` for bytes that nobody looks into.
    frames: Option<(Framing, Frames)>,
    hides_usage: bool,
    relayed: u64,
}

impl Stream<'_> {
    async fn run(mut self, mut answer: Answer, first: Option<Bytes>) -> Relayed {
        let Some(timeouts) = self
            .context
            .attempt
            .as_ref()
            .map(|attempt| attempt.upstream.provider.definition.timeouts.clone())
        else {
            return Relayed::ClientGone;
        };
        self.context.settlement.stream = self.frames.is_some();
        if self.open(&answer.header).await.is_err() {
            return Relayed::ClientGone;
        }
        if let Some(first) = first
            && self.pass(&first).await.is_err()
        {
            return self.left();
        }
        answer.session.set_read_timeout(Some(timeouts.first_token.get()));
        loop {
            let read = tokio::select! {
                biased;
                read = answer.session.read_response_body() => read,
                () = client_gone(self.session) => return self.left(),
            };
            match read {
                Ok(Some(chunk)) => {
                    if self.pass(&chunk).await.is_err() {
                        return self.left();
                    }
                    answer.session.set_read_timeout(Some(timeouts.idle.get()));
                }
                Ok(None) => break,
                Err(error) => return self.break_off(Broken::from_pingora(&error)).await,
            }
        }
        let rest = self.frames.as_mut().map(|(_, frames)| frames.finish()).unwrap_or_default();
        if !rest.is_empty() && self.session.write_response_body(rest, false).await.is_err() {
            return self.left();
        }
        self.settle();
        release(self.context, answer).await;
        Relayed::Whole
    }

    /// Sends the header: the commit.
    async fn open(&mut self, upstream: &ResponseHeader) -> pingora::Result<()> {
        let mut header = answer_header(self.context, upstream, 2)?;
        super::headers::copy_downstream(&upstream.headers, &mut header);
        reply::common(self.context, &mut header)?;
        if self.session.req_header().version == Version::HTTP_11 {
            header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        }
        let write_timeout = self.context.snapshot.settings.limits.write_timeout.get();
        self.session.set_write_timeout(Some(write_timeout));
        self.session.write_response_header(header).await
    }

    /// Sends on what was read, looked into on the way.
    async fn pass(&mut self, chunk: &Bytes) -> pingora::Result<()> {
        let (meter, hides_usage) = (&mut self.meter, self.hides_usage);
        let out = match &mut self.frames {
            Some((_, frames)) => {
                frames.push(chunk, |frame| meter.see(frame) == Frame::Content || !hides_usage)
            }
            None => chunk.clone(),
        };
        if out.is_empty() {
            return Ok(());
        }
        self.context.settlement.first_content();
        self.relayed += out.len() as u64;
        self.session.write_response_body(out, false).await
    }

    /// The provider broke off: the client is told in its dialect, and the message is not ended.
    async fn break_off(mut self, broken: Broken) -> Relayed {
        self.settle();
        if matches!(self.frames, Some((Framing::Events, _))) {
            let failure = Failure::new(
                ErrorCode::UpstreamUnavailable,
                "the provider broke off in the middle of its answer; ask again",
            );
            let event = translate::error::event(self.call.dialect(), &failure);
            // Best effort: the abort below says it too.
            let _ = self.session.write_response_body(event, false).await;
        }
        self.session.shutdown().await;
        Relayed::Truncated(Broken { class: ErrorClass::Truncated, reason: broken.reason })
    }

    fn left(mut self) -> Relayed {
        self.settle();
        Relayed::ClientGone
    }

    /// What was used is settled however the stream ends.
    fn settle(&mut self) {
        let output = if self.frames.is_some() { self.meter.frames() } else { self.relayed / BYTES_PER_TOKEN };
        let estimate = TokenUsage { output, ..TokenUsage::default() };
        settle_usage(self.context, self.call, &self.meter, estimate);
    }
}

/// Records what the provider reported, or the estimate where it should have and didn't.
fn settle_usage(context: &mut Context, call: &Call, meter: &Meter, estimate: TokenUsage) {
    match meter.reported() {
        Some(tokens) => context.settlement.used(tokens, false),
        None if call.endpoint.generates => {
            let input = call.body_length() as u64 / BYTES_PER_TOKEN;
            context.settlement.used(TokenUsage { input, ..estimate }, true);
        }
        None => {}
    }
}

/// The header of an answer, with all that is said of where it comes from.
///
/// # Errors
/// When the model's name can't stand in a header; it is left out then.
pub fn answer_header(
    context: &mut Context,
    upstream: &ResponseHeader,
    more: usize,
) -> pingora::Result<Box<ResponseHeader>> {
    let status = upstream.status.as_u16();
    let mut header = reply::header(status, upstream.headers.len() + 8 + more)?;
    let Some(attempt) = &context.attempt else { return Ok(header) };
    let elapsed = context.settlement.started().elapsed();
    let waited = attempt.started.elapsed();
    context.settlement.upstream_time += waited;
    let overhead = elapsed.saturating_sub(context.settlement.upstream_time);
    header.insert_header(reply::PROVIDER, &**attempt.upstream.provider.name())?;
    if let Ok(model) = HeaderValue::from_str(&attempt.model) {
        header.insert_header(reply::MODEL, model)?;
    }
    header.insert_header(reply::ATTEMPTS, context.settlement.attempts)?;
    header.insert_header(reply::CACHE, HeaderValue::from_static(super::settle::CACHE_BYPASS))?;
    let timing = format!("upstream;dur={:.1}, gateway;dur={:.1}", millis(waited), millis(overhead));
    header.insert_header(reply::SERVER_TIMING, timing)?;
    Ok(header)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Gives the connection back to the pool.
pub async fn release(context: &Context, answer: Answer) {
    let Some(attempt) = &context.attempt else { return };
    let upstream = &attempt.upstream;
    upstream
        .connector
        .release_http_session(answer.session, &answer.peer, Some(upstream.idle_timeout()))
        .await;
}

fn slow(reason: &str) -> Broken {
    Broken { class: ErrorClass::Timeout, reason: reason.to_owned() }
}

/// Gives a provider's error answer to a client of the same dialect, with configured secrets masked.
///
/// # Errors
/// When the client is gone.
pub async fn error(
    session: &mut ServerSession,
    context: &mut Context,
    header: &ResponseHeader,
    body: Bytes,
) -> pingora::Result<()> {
    let body = super::mask::secrets(context, body);
    let mut answer = answer_header(context, header, 0)?;
    super::headers::copy_downstream(&header.headers, &mut answer);
    reply::whole(session, context, answer, body).await
}

/// The dialect-independent facts of an error answer, kept until it is decided who answers.
pub struct Refusal {
    /// What it was.
    pub class: ErrorClass,
    /// Its header.
    pub header: ResponseHeader,
    /// Its body.
    pub body: Bytes,
}
