//! Answers that go on as they come: cut into frames, metered on the way, committed with their first content.
//!
//! Budget per frame: one scan for its end and a few substring searches; no copy where a read holds whole frames.

use super::plain::is_blocked;
use super::recovery::{Joined, Recovery};
use super::{Answer, BYTES_PER_TOKEN, Broken, Failed, Meter, Relayed, Way};
use super::{answer_header, client_gone, say_truncated, settle_usage};
use crate::domain::{Dialect, ErrorClass, TokenUsage};
use crate::gateway::context::Held;
use crate::gateway::limits::Kept;
use crate::gateway::{mask, reply};
use crate::providers::classify::error_inside;
use crate::translate::frames::{self, Frames, Framing};
use crate::translate::signs::Signs;
use crate::translate::usage::Frame;
use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{HeaderValue, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;
use serde::de::IgnoredAny;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// What is held back of a stream before its first content; with more, or no room, the header goes out without.
const MAX_HELD: usize = 1 << 20;
/// How long a provider may take to end the message of an answer that has said its end marker.
const AFTER_THE_END: Duration = Duration::from_secs(1);
/// The same, where only the reason for finishing was said: usage and the marker may follow.
const AFTER_THE_FINISH: Duration = Duration::from_secs(5);

/// Relays a stream to the client.
pub async fn stream(way: &mut Way<'_>, framing: Framing, recovery: &mut Recovery, answer: Answer) -> Relayed {
    let settings = &way.context.snapshot.settings;
    let frames = Frames::new(framing, settings.streaming.max_event_size.as_usize());
    let content = Content::Frames(framing, frames);
    let meter = Meter::stream(way.call.dialect(), framing);
    // An array has no place for the comment that tells a client who went on.
    let recovery = (framing == Framing::Events).then_some(recovery);
    Stream::new(way, content, meter, recovery).run(answer, None).await
}

/// Relays a plain answer that is too long to be held back, of which `first` was read already, and `kept`.
pub(super) async fn unread(way: &mut Way<'_>, answer: Answer, first: Bytes, kept: Kept) -> Relayed {
    let meter = Meter::plain(way.call.dialect());
    let mut stream = Stream::new(way, Content::Unread, meter, None);
    stream.kept = kept;
    stream.run(answer, Some(first)).await
}

/// What goes by.
enum Content {
    /// Frames, looked into.
    Frames(Framing, Frames),
    /// Bytes that nobody looks into.
    Unread,
}

/// How a stream ended, as far as the provider is concerned.
enum End {
    /// The message was ended.
    Clean,
    /// The connection broke, or a deadline passed.
    Broken(Broken),
    /// The provider said that it failed, in this frame.
    Error(ErrorClass, Bytes),
    /// The provider that was to go on with a broken stream says something else.
    Differs,
}

/// Whether a stream goes on after what was just passed on.
enum Step {
    On,
    Ended(End),
}

/// An answer on its way.
struct Stream<'s, 'r> {
    way: &'s mut Way<'r>,
    content: Content,
    meter: Meter,
    signs: Signs,
    hides_usage: bool,
    /// What was read before the commit.
    held: SmallVec<[Bytes; 2]>,
    /// The room for it.
    kept: Kept,
    is_committed: bool,
    /// Whether the prompt was refused by policy, which takes the place of all content.
    is_blocked: bool,
    recovery: Option<&'s mut Recovery>,
    /// When the whole stream must be over.
    over_by: Option<Instant>,
    relayed: u64,
}

impl<'s, 'r> Stream<'s, 'r> {
    fn new(
        way: &'s mut Way<'r>,
        content: Content,
        meter: Meter,
        recovery: Option<&'s mut Recovery>,
    ) -> Stream<'s, 'r> {
        let total = way.upstream.provider.definition.timeouts.stream_total.get();
        Stream {
            signs: Signs::new(way.call.api()),
            hides_usage: way.call.hides_usage(),
            held: SmallVec::new(),
            kept: Kept::default(),
            // A stream that is gone on with has its header out.
            is_committed: recovery.as_ref().is_some_and(|recovery| recovery.has_begun()),
            is_blocked: false,
            over_by: total.and_then(|total| Instant::now().checked_add(total.get())),
            relayed: 0,
            way,
            content,
            meter,
            recovery,
        }
    }

    async fn run(mut self, mut answer: Answer, first: Option<Bytes>) -> Relayed {
        self.way.context.settlement.stream = matches!(self.content, Content::Frames(..));
        if let Some(first) = first {
            self.held.push(first);
            if self.commit(&answer).await.is_err() {
                return self.left();
            }
        }
        let end = loop {
            let now = Instant::now();
            let limit = self.limit();
            if limit.is_some_and(|limit| now >= limit) {
                // Said here, too: a provider that is always ready would never let the alarm be heard.
                break End::Broken(self.late());
            }
            let due = now + self.patience();
            self.way.alarm.set(limit.map_or(due, |limit| due.min(limit)));
            let read = tokio::select! {
                biased;
                read = answer.read() => read,
                () = client_gone(self.way.session) => return self.left(),
                () = self.way.alarm.rings() => Err(self.late()),
            };
            match read {
                Ok(Some(chunk)) => match self.pass(&chunk, &answer).await {
                    Ok(Step::On) => {}
                    Ok(Step::Ended(end)) => break end,
                    Err(_) => return self.left(),
                },
                Ok(None) => break End::Clean,
                Err(broken) => break End::Broken(broken),
            }
        };
        self.conclude(end, answer).await
    }

    /// How long the next bytes may take. Any byte, that of a comment too, starts it anew.
    fn patience(&self) -> Duration {
        let timeouts = &self.way.upstream.provider.definition.timeouts;
        if self.signs.is_ended() {
            AFTER_THE_END
        } else if self.is_complete() {
            AFTER_THE_FINISH.min(timeouts.idle.get())
        } else if self.signs.has_content() || !matches!(self.content, Content::Frames(..)) {
            timeouts.idle.get()
        } else {
            timeouts.first_token.get()
        }
    }

    /// When the stream must have come to its commit, or to its end.
    fn limit(&self) -> Option<Instant> {
        if self.is_committed { self.over_by } else { Some(self.way.deadline) }
    }

    fn late(&self) -> Broken {
        let is_over = self.limit().is_some_and(|limit| Instant::now() >= limit);
        let reason = match (is_over, self.is_committed, self.signs.has_content()) {
            (true, true, _) => "the stream took too long",
            (true, false, _) => "no content before the time was over",
            (false, _, true) => "the stream fell silent",
            (false, _, false) => "no content in time",
        };
        Broken { class: ErrorClass::Timeout, reason: reason.to_owned() }
    }

    /// Sends on what was read, looked into on the way; holds it back as long as it says nothing.
    async fn pass(&mut self, chunk: &Bytes, answer: &Answer) -> pingora::Result<Step> {
        let (out, end) = self.look_into(chunk);
        if self.is_committed {
            self.send(out).await?;
        } else if !out.is_empty() {
            self.held.push(out);
            if self.signs.has_content() || !self.may_hold() {
                self.commit(answer).await?;
            }
        }
        Ok(end.map_or(Step::On, Step::Ended))
    }

    /// Whether what is held back may be, and there is room for it.
    fn may_hold(&mut self) -> bool {
        let length = self.held.iter().map(Bytes::len).sum();
        let has_room = |held: &Held| self.kept.hold(length, &held.body);
        length <= MAX_HELD && self.way.context.held.as_ref().is_none_or(has_room)
    }

    /// What may go on of what was read, and whether the provider's own words end it there.
    fn look_into(&mut self, chunk: &Bytes) -> (Bytes, Option<End>) {
        let Content::Frames(_, frames) = &mut self.content else { return (chunk.clone(), None) };
        let (meter, signs, hides_usage) = (&mut self.meter, &mut self.signs, self.hides_usage);
        let recovery = &mut self.recovery;
        let mut end = None;
        // What was put together anew, where a broken stream is gone on with.
        let mut joined = BytesMut::new();
        let out = frames.push(chunk, |frame| {
            if end.is_some() {
                return false;
            }
            signs.see(frame);
            if signs.is_error()
                && let Some(class) = error_inside(&frames::data(frame))
            {
                end = Some(End::Error(class, Bytes::copy_from_slice(frame)));
                return false;
            }
            let is_shown = meter.see(frame) == Frame::Content || !hides_usage;
            let Some(recovery) = recovery.as_mut().filter(|recovery| recovery.is_on()) else {
                return is_shown;
            };
            match recovery.see(frame, signs.is_finished() || signs.is_ended()) {
                Joined::Apart => is_shown,
                Joined::Swallowed => false,
                Joined::With(bytes) => {
                    joined.extend_from_slice(&bytes);
                    false
                }
                Joined::Differs => {
                    end = Some(End::Differs);
                    false
                }
            }
        });
        if frames.has_unread()
            && let Some(recovery) = recovery
            && !recovery.give_up()
        {
            return (Bytes::new(), Some(End::Differs));
        }
        if joined.is_empty() {
            return (out, end);
        }
        joined.extend_from_slice(&out);
        (joined.freeze(), end)
    }

    /// Sends the header and what was held back: from here on the answer is this provider's.
    async fn commit(&mut self, answer: &Answer) -> pingora::Result<()> {
        let Way { session, context, .. } = &mut *self.way;
        let mut header = answer_header(context, answer);
        reply::common(context, &mut header.headers);
        if session.req_header().version == Version::HTTP_11 {
            header.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        } else if session.as_http1().is_some() {
            // Its end is the connection's.
            session.set_keepalive(None);
        }
        reply::write_header(session, context, header).await?;
        context.settlement.header_sent(answer.header().status.as_u16());
        self.is_committed = true;
        context.course.committed();
        self.let_go_of_the_question();
        self.is_blocked = self.way.call.dialect() == Dialect::Gemini
            && self.held.iter().any(|held| is_blocked(self.way.call, &frames::data(held)));
        for held in std::mem::take(&mut self.held) {
            self.send(held).await?;
        }
        self.kept = Kept::default();
        Ok(())
    }

    /// A long prompt is most of what an open stream takes. Only whoever is to go on with a broken one needs it.
    fn let_go_of_the_question(&mut self) {
        if self.recovery.as_ref().is_some_and(|recovery| recovery.is_on()) {
            return;
        }
        self.way.call.let_go();
        if let Some(held) = &mut self.way.context.held {
            held.body.give_back();
        }
    }

    async fn send(&mut self, out: Bytes) -> pingora::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        self.way.context.settlement.first_content();
        self.relayed += out.len() as u64;
        self.way.session.write_response_body(out, false).await
    }

    /// Ends the client's answer as the provider's ended.
    async fn conclude(mut self, end: End, answer: Answer) -> Relayed {
        let rest = self.rest();
        match end {
            End::Clean if self.is_whole(rest.is_some()) => self.finish(answer, rest, true).await,
            // What it had to say it has said; only the connection can't be used again.
            End::Broken(_) if self.is_complete() => self.finish(answer, rest, false).await,
            End::Clean => {
                if let Some((class, body)) = self.error_in_one_piece(rest) {
                    return Relayed::Failed(Box::new(Failed::inside(class, answer.decoded_header(), body)));
                }
                self.truncated("the stream ended before its end").await
            }
            End::Differs => self.truncated("the provider that was to go on says something else").await,
            End::Broken(broken) => self.break_off(broken).await,
            End::Error(class, frame) => self.fail(class, frame, answer.decoded_header()).await,
        }
    }

    async fn truncated(self, reason: &str) -> Relayed {
        self.break_off(Broken { class: ErrorClass::Truncated, reason: reason.to_owned() }).await
    }

    /// What was held of a frame that nothing ended: none if it is torn. An event that only lacks its empty line is
    /// looked into like any other; what is behind the last element of a JSON array is its end.
    fn rest(&mut self) -> Option<Bytes> {
        let Content::Frames(framing, frames) = &mut self.content else { return Some(Bytes::new()) };
        let rest = frames.finish();
        if *framing == Framing::Elements || rest.trim_ascii().is_empty() {
            return Some(rest);
        }
        let data = frames::data(&rest);
        let is_whole = data.as_ref() == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(&data).is_ok();
        if !is_whole {
            return None;
        }
        self.signs.see(&rest);
        let is_shown = self.meter.see(&rest) == Frame::Content || !self.hides_usage;
        Some(if is_shown { rest } else { Bytes::new() })
    }

    /// An error that came instead of a JSON array of answers.
    fn error_in_one_piece(&mut self, rest: Option<Bytes>) -> Option<(ErrorClass, Bytes)> {
        let is_array = matches!(self.content, Content::Frames(Framing::Elements, _));
        if self.is_committed || !is_array {
            return None;
        }
        self.held.extend(rest);
        let body: Bytes = self.held.concat().into();
        Some((error_inside(&body)?, body))
    }

    /// Whether the stream has said that the answer is complete, and the client has all of it. Of several answers
    /// that come one after the other, the first ends before the next is heard of: only the end marker ends these.
    fn is_complete(&self) -> bool {
        let has_caught_up = self.recovery.as_ref().is_none_or(|recovery| recovery.has_caught_up());
        has_caught_up && (self.signs.is_ended() || self.signs.is_finished() && !self.way.call.wants_several())
    }

    /// Whether all of the answer came, now that its message was ended: the stream has said so itself, where its
    /// API does.
    fn is_whole(&self, is_rest_whole: bool) -> bool {
        match &self.content {
            Content::Frames(..) => {
                self.is_complete() || is_rest_whole && !self.way.call.api().marks_its_end()
            }
            Content::Unread => true,
        }
    }

    /// Sends what is left and ends the message, in bounded time: a client that has stopped reading would
    /// hold it for ever otherwise.
    async fn finish(mut self, answer: Answer, rest: Option<Bytes>, is_reusable: bool) -> Relayed {
        let ended = async {
            if !self.is_committed {
                self.commit(&answer).await?;
            }
            self.send(rest.unwrap_or_default()).await?;
            reply::end(self.way.session, self.way.context).await
        };
        if ended.await.is_err() {
            return self.left();
        }
        self.settle(true);
        if is_reusable {
            answer.release().await;
        }
        Relayed::Whole(self.is_blocked.then_some(ErrorClass::ContentFilter))
    }

    /// The provider said in the stream that it failed.
    async fn fail(mut self, class: ErrorClass, frame: Bytes, header: ResponseHeader) -> Relayed {
        if !self.is_committed {
            return Relayed::Failed(Box::new(Failed::inside(class, header, Failed::data_of(&frame))));
        }
        if !class.is_client_fault() {
            let reason = format!("said in its stream: {class}");
            return self.break_off(Broken { class: ErrorClass::Truncated, reason }).await;
        }
        // Why the client's request can't be answered is the client's to know.
        self.settle(false);
        let event = mask::secrets(self.way.context, frame);
        let _ = self.way.session.write_response_body(event, false).await;
        let reason = format!("refused in its stream: {class}");
        Relayed::Truncated(Broken { class, reason })
    }

    /// The provider broke off: another may answer instead, or go on, and if not, the client is told.
    async fn break_off(mut self, broken: Broken) -> Relayed {
        if !self.is_committed {
            return Relayed::failed(broken);
        }
        self.settle(false);
        let truncated = Broken { class: ErrorClass::Truncated, reason: broken.reason };
        let provider = self.way.upstream.provider.name();
        if self.recovery.as_mut().is_some_and(|recovery| recovery.broke_off(provider)) {
            return Relayed::failed(truncated);
        }
        if matches!(self.content, Content::Frames(Framing::Events, _)) {
            say_truncated(self.way.session, self.way.call).await;
        }
        Relayed::Truncated(truncated)
    }

    fn left(mut self) -> Relayed {
        self.settle(false);
        Relayed::ClientGone
    }

    /// What was used is settled however the stream ends. Where nothing is reported, a frame counts as a
    /// token, which is how models stream. So it does where the end was not reached: Anthropic counts its
    /// output last, and begins with a count of next to nothing.
    fn settle(&mut self, is_whole: bool) {
        let output = match self.content {
            Content::Frames(..) => self.meter.frames(),
            Content::Unread => self.relayed / BYTES_PER_TOKEN,
        };
        match self.meter.reported() {
            Some(tokens) if !is_whole && tokens.output < output => {
                self.way.context.settlement.used(TokenUsage { output, ..tokens }, true);
            }
            _ => settle_usage(self.way.context, self.way.call, &self.meter, output),
        }
    }
}
