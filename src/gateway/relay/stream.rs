//! Answers that go on as they come: committed with their header, cut into frames, metered on the way.
//!
//! Budget per frame: one scan for its end and one for `"usage`; no copy where a read holds whole frames.

use super::{Answer, BYTES_PER_TOKEN, Broken, Call, Context, Meter, Relayed, ServerSession, Upstream};
use super::{answer_header, client_gone, settle_usage};
use crate::domain::{ErrorClass, ErrorCode, Failure, TokenUsage};
use crate::gateway::reply;
use crate::translate;
use crate::translate::frames::{Frames, Framing};
use crate::translate::signs::{Api, Signs};
use crate::translate::usage::Frame;
use bytes::Bytes;
use http::Version;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;

/// Relays a stream to the client.
pub async fn stream(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    upstream: &Upstream,
    framing: Framing,
    answer: Answer,
) -> Relayed {
    let max_event = context.snapshot.settings.streaming.max_event_size.as_usize();
    let content = Content::Frames(framing, Frames::new(framing, max_event));
    let meter = Meter::stream(call.dialect(), framing);
    let hides_usage = call.hides_usage();
    let signs = Signs::new(Api::of(call.dialect(), call.endpoint.path));
    let stream = Stream { session, context, call, upstream, meter, content, hides_usage, signs, relayed: 0 };
    stream.run(answer, None).await
}

/// Relays a plain answer that is too long to be held back, of which `first` was read already.
pub(super) async fn unread(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    upstream: &Upstream,
    answer: Answer,
    first: Bytes,
) -> Relayed {
    let meter = Meter::plain(call.dialect());
    let content = Content::Unread;
    let signs = Signs::new(Api::Other);
    let stream =
        Stream { session, context, call, upstream, meter, content, hides_usage: false, signs, relayed: 0 };
    stream.run(answer, Some(first)).await
}

/// What goes by.
enum Content {
    /// Frames, looked into.
    Frames(Framing, Frames),
    /// Bytes that nobody looks into.
    Unread,
}

/// How far a stream came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Early,
}

/// A committed answer on its way.
struct Stream<'r> {
    session: &'r mut ServerSession,
    context: &'r mut Context,
    call: &'r Call,
    upstream: &'r Upstream,
    meter: Meter,
    content: Content,
    hides_usage: bool,
    /// Whether any of the answer has come, or only words before it.
    signs: Signs,
    relayed: u64,
}

impl Stream<'_> {
    async fn run(mut self, mut answer: Answer, first: Option<Bytes>) -> Relayed {
        self.context.settlement.stream = matches!(self.content, Content::Frames(..));
        if self.open(&answer.header).await.is_err() {
            return self.left();
        }
        if let Some(first) = first
            && self.pass(&first).await.is_err()
        {
            return self.left();
        }
        let timeouts = &self.upstream.provider.definition.timeouts;
        answer.set_patience(timeouts.first_token.get());
        loop {
            let read = tokio::select! {
                biased;
                read = answer.read() => read,
                () = client_gone(self.session) => return self.left(),
            };
            match read {
                Ok(Some(chunk)) => {
                    if self.pass(&chunk).await.is_err() {
                        return self.left();
                    }
                    if self.signs.has_content() || matches!(self.content, Content::Unread) {
                        answer.set_patience(timeouts.idle.get());
                    }
                }
                Ok(None) => break,
                Err(broken) => return self.break_off(&broken).await,
            }
        }
        if self.is_torn() {
            let reason = "the stream ended in the middle of an event".to_owned();
            return self.break_off(&Broken { class: ErrorClass::Truncated, reason }).await;
        }
        if self.finish().await.is_err() {
            return self.left();
        }
        self.settle(End::Whole);
        answer.release(self.upstream).await;
        Relayed::Whole
    }

    /// Sends the header: the commit.
    async fn open(&mut self, upstream: &ResponseHeader) -> pingora::Result<()> {
        let mut header = answer_header(self.context, upstream)?;
        reply::common(self.context, &mut header)?;
        if self.session.req_header().version == Version::HTTP_11 {
            header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        } else if self.session.as_http1().is_some() {
            // Its end is the connection's.
            self.session.set_keepalive(None);
        }
        self.session.write_response_header(header).await?;
        self.context.settlement.header_sent(upstream.status.as_u16());
        Ok(())
    }

    /// Sends on what was read, looked into on the way.
    async fn pass(&mut self, chunk: &Bytes) -> pingora::Result<()> {
        let (meter, hides_usage) = (&mut self.meter, self.hides_usage);
        let out = match &mut self.content {
            Content::Frames(_, frames) => {
                let signs = &mut self.signs;
                frames.push(chunk, |frame| {
                    signs.see(frame);
                    meter.see(frame) == Frame::Content || !hides_usage
                })
            }
            Content::Unread => chunk.clone(),
        };
        self.send(out).await
    }

    /// Whether the stream ended within an event. What is behind the last element of a JSON array is its
    /// end, and an end of only line ends is none that anybody misses.
    fn is_torn(&self) -> bool {
        match &self.content {
            Content::Frames(Framing::Events, frames) => !frames.held().trim_ascii().is_empty(),
            Content::Frames(Framing::Elements, _) | Content::Unread => false,
        }
    }

    /// Sends what is left and ends the message, in bounded time: a client that has stopped reading would
    /// hold it for ever otherwise.
    async fn finish(&mut self) -> pingora::Result<()> {
        let rest = match &mut self.content {
            Content::Frames(_, frames) => frames.finish(),
            Content::Unread => Bytes::new(),
        };
        self.send(rest).await?;
        reply::end(self.session, self.context).await
    }

    async fn send(&mut self, out: Bytes) -> pingora::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        self.context.settlement.first_content();
        self.relayed += out.len() as u64;
        self.session.write_response_body(out, false).await
    }

    /// The provider broke off: the client is told in its dialect, and the message is not ended (whoever asked
    /// drops the connection), so that clients that overlook the event notice too.
    async fn break_off(mut self, broken: &Broken) -> Relayed {
        self.settle(End::Early);
        if matches!(self.content, Content::Frames(Framing::Events, _)) {
            let message = "the provider broke off in the middle of its answer; ask again";
            let failure = Failure::new(ErrorCode::UpstreamUnavailable, message);
            let event = translate::error::event(self.call.dialect(), &failure);
            // Best effort: the missing end says it too.
            let _ = self.session.write_response_body(event, false).await;
        }
        Relayed::Truncated(Broken { class: ErrorClass::Truncated, reason: broken.reason.clone() })
    }

    fn left(mut self) -> Relayed {
        self.settle(End::Early);
        Relayed::ClientGone
    }

    /// What was used is settled however the stream ends. Where nothing is reported, a frame counts as a
    /// token, which is how models stream. So it does where the end was not reached: Anthropic counts its
    /// output last, and begins with a count of next to nothing.
    fn settle(&mut self, end: End) {
        let output = match self.content {
            Content::Frames(..) => self.meter.frames(),
            Content::Unread => self.relayed / BYTES_PER_TOKEN,
        };
        match self.meter.reported() {
            Some(tokens) if end == End::Early && tokens.output < output => {
                self.context.settlement.used(TokenUsage { output, ..tokens }, true);
            }
            _ => settle_usage(self.context, self.call, &self.meter, output),
        }
    }
}
