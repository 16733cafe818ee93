//! How a stream to the client ends: as the provider's ended, with what it says of it, and what it took.

use super::stream::{Content, End, Step, Stream, Told};
use super::{Answer, BYTES_PER_TOKEN, Broken, Failed, Relayed, say_truncated, settle_usage};
use crate::domain::{ErrorClass, ErrorCode, Failure, TokenUsage};
use crate::gateway::{mask, reply, verdict};
use crate::providers::classify::error_inside;
use crate::translate;
use crate::translate::frames::{self, Framing};
use crate::translate::translation::Stream as Translated;
use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

/// The client went away.
struct Gone;

impl Stream<'_, '_> {
    /// Ends the client's answer as the provider's ended.
    pub(super) async fn conclude(&mut self, end: End, answer: &mut Answer) -> Relayed {
        let Ok(end) = self.wind_up(end, answer).await else { return self.left() };
        self.note_skipped(answer);
        let rest = self.rest();
        match end {
            End::Clean if self.is_whole(rest.is_some()) => self.finish(answer, rest, true).await,
            // What it had to say it has said; only the connection can't be used again.
            End::Broken(_) if self.is_complete() => self.finish(answer, rest, false).await,
            End::Clean => {
                if let Some((class, body)) = self.error_in_one_piece(rest) {
                    let dialect = self.way.call.dialect();
                    let failed = Failed::inside(class, answer.decoded_header(), body, dialect);
                    return Relayed::Failed(Box::new(failed));
                }
                self.truncated("the stream ended before its end", answer).await
            }
            End::Differs => {
                self.truncated("the provider that was to go on says something else", answer).await
            }
            End::Broken(broken) => self.break_off(broken, answer).await,
            End::Error(class, frame) => self.fail(class, frame, answer).await,
        }
    }

    /// Passes on what is missing of the end of a stream in other words, whose provider has come to its finish. One that
    /// was to go on with another's may turn out to end elsewhere, and then has no part in the client's answer.
    async fn wind_up(&mut self, end: End, answer: &mut Answer) -> Result<End, Gone> {
        if !self.told.is_finished || matches!(end, End::Differs) {
            return Ok(end);
        }
        let rest = answer.wind_up();
        self.told = Told::by(answer);
        if rest.is_empty() {
            return Ok(end);
        }
        match self.pass(&rest, answer).await {
            Ok(Step::On) => Ok(end),
            Ok(Step::Ended(sooner)) => Ok(sooner),
            Err(_) => Err(Gone),
        }
    }

    /// Events that can't be read are left out of a translated stream, and nothing of it shows there.
    fn note_skipped(&self, answer: &Answer) {
        let skipped = answer.translation().map_or(0, Translated::skipped);
        if skipped > 0 {
            let (provider, model) = (self.way.upstream.provider.name(), &self.way.call.model);
            log::warn!(
                "{provider}: {skipped} events of a stream of `{model}` can't be read, and were left out"
            );
        }
    }

    async fn truncated(&mut self, reason: &str, answer: &mut Answer) -> Relayed {
        self.break_off(Broken { class: ErrorClass::Truncated, reason: reason.to_owned() }, answer).await
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
        let seen = self.meter.see(&rest);
        if !self.hides_usage {
            return Some(rest);
        }
        let mut shown = BytesMut::new();
        seen.unasked().write(&rest, &mut shown);
        Some(shown.freeze())
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
    pub(super) fn is_complete(&self) -> bool {
        let has_caught_up = self.recovery.as_ref().is_none_or(|recovery| recovery.has_caught_up());
        has_caught_up
            && (self.signs.is_ended()
                || self.told.is_finished
                || self.signs.is_finished() && !self.way.call.wants_several())
    }

    /// Whether all of the answer came, now that its message was ended: the stream has said so itself, where its
    /// API does.
    fn is_whole(&self, is_rest_whole: bool) -> bool {
        match &self.content {
            Content::Frames(..) => {
                self.is_complete() || is_rest_whole && !self.way.call.api().marks_its_end()
            }
            Content::Unread(_) => true,
        }
    }

    /// Sends what is left and ends the message, in bounded time: a client that has stopped reading would
    /// hold it for ever otherwise.
    async fn finish(&mut self, answer: &mut Answer, rest: Option<Bytes>, is_reusable: bool) -> Relayed {
        if self.give_the_rest(answer, rest).await.is_err() {
            return self.left();
        }
        self.settle(true);
        if is_reusable {
            answer.release().await;
        }
        Relayed::Whole(self.is_blocked.then_some(ErrorClass::ContentFilter))
    }

    async fn give_the_rest(&mut self, answer: &Answer, rest: Option<Bytes>) -> pingora::Result<()> {
        if !self.is_committed {
            self.commit(answer).await?;
        }
        self.send(rest.unwrap_or_default()).await?;
        reply::end(self.way.session, self.way.context).await
    }

    /// The provider said in the stream that it failed.
    async fn fail(&mut self, class: ErrorClass, frame: Bytes, answer: &mut Answer) -> Relayed {
        let dialect = self.way.upstream.provider.definition.dialect;
        if !self.is_committed {
            let body = Failed::data_of(&frame);
            return Relayed::Failed(Box::new(Failed::inside(class, answer.decoded_header(), body, dialect)));
        }
        if !class.is_client_fault() {
            let reason = format!("said in its stream: {class}");
            return self.break_off(Broken { class, reason }, answer).await;
        }
        // Why the client's request can't be answered is the client's to know.
        self.settle(false);
        let clients = self.way.call.dialect();
        let is_foreign = clients != dialect || answer.translation().is_some();
        let event = if is_foreign { self.refusal(class, &frame, answer) } else { frame };
        if !event.is_empty() {
            let event = mask::secrets(self.way.context, event);
            let _ = self.way.session.write_response_body(event, false).await;
        }
        let reason = format!("refused in its stream: {class}");
        Relayed::Truncated(Broken { class, reason })
    }

    /// An error that another API's provider said in its stream, as the client can read it: nothing where its stream has no
    /// place for events.
    fn refusal(&self, class: ErrorClass, error: &[u8], answer: &mut Answer) -> Bytes {
        if matches!(self.content, Content::Frames(Framing::Elements, _)) {
            return Bytes::new();
        }
        let clients = self.way.call.dialect();
        let body = translate::error::between(clients, 200, None, error).unwrap_or_else(|| {
            let message = format!("the provider refused to go on with its answer, without a word: {class}");
            translate::error::body(clients, &Failure::new(ErrorCode::InvalidRequest, message))
        });
        let event = answer.fail(&body);
        event.unwrap_or_else(|| translate::error::event_of(self.way.call.api(), &body, self.next_number))
    }

    /// The provider broke off: another may answer instead, or go on, and if not, the client is told.
    async fn break_off(&mut self, broken: Broken, answer: &mut Answer) -> Relayed {
        if !self.is_committed {
            return Relayed::failed(broken);
        }
        self.settle(false);
        let broken = Broken { class: broken.class.after_commit(), ..broken };
        let provider = self.way.upstream.provider.name();
        if self.recovery.as_mut().is_some_and(|recovery| recovery.broke_off(provider)) {
            return Relayed::failed(broken);
        }
        if matches!(self.content, Content::Frames(Framing::Events, _)) {
            let why = verdict::broke_off(&broken);
            say_truncated(self.way.session, self.way.call, Some(answer), self.next_number, &why).await;
        }
        Relayed::Truncated(broken)
    }

    pub(super) fn left(&mut self) -> Relayed {
        self.settle(false);
        Relayed::ClientGone
    }

    /// What was used is settled however the stream ends. Where nothing is reported, a frame counts as a
    /// token, which is how models stream. So it does where the end was not reached: Anthropic counts its
    /// output last, and begins with a count of next to nothing.
    fn settle(&mut self, is_whole: bool) {
        let output = match &self.content {
            Content::Frames(..) => self.meter.frames(),
            Content::Unread(tail) => {
                self.meter.see(tail.bytes());
                self.relayed / BYTES_PER_TOKEN
            }
        };
        let reported = self.told.usage.or(self.meter.reported());
        match reported {
            Some(tokens) if !is_whole && tokens.output < output => {
                self.way.context.settlement.used(TokenUsage { output, ..tokens }, true);
            }
            _ => settle_usage(self.way.context, self.way.call, reported, output),
        }
    }
}
