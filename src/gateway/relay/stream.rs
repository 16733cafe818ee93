//! Answers that go on as they come: cut into frames, metered on the way, committed with their first content. How they
//! end is [`super::ending`]'s.
//!
//! Budget per frame: one scan for its end and a few substring searches; no copy where a read holds whole frames.

use super::plain::is_blocked;
use super::recovery::{Joined, Recovery};
use super::tail::Tail;
use super::{Answer, Broken, Meter, Relayed, Way};
use super::{answer_header, client_gone, may_be_referred_to, note_maker};
use crate::domain::{ErrorClass, TokenUsage};
use crate::gateway::context::Held;
use crate::gateway::limits::Kept;
use crate::gateway::{keepalive, reply};
use crate::providers::classify::error_inside;
use crate::translate::frames::{self, Frames, Framing, Keep};
use crate::translate::references;
use crate::translate::responses::number_of;
use crate::translate::signs::{Api, Signs};
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// What is held back of a stream before its first content; with more, or no room, the header goes out without.
const MAX_HELD: usize = 1 << 20;
/// How often the opening of a stream may repeat the request beside that: the Responses API does in its first two events.
const REPEATED: usize = 2;
/// How long a provider may take to end the message of an answer that has said its end marker.
const AFTER_THE_END: Duration = Duration::from_secs(1);
/// The same, where only the reason for finishing was said: usage and the marker may follow.
const AFTER_THE_FINISH: Duration = Duration::from_secs(5);

/// Relays a stream to the client.
pub async fn stream(
    way: &mut Way<'_>,
    framing: Framing,
    recovery: &mut Recovery,
    answer: &mut Answer,
) -> Relayed {
    let settings = &way.context.snapshot.settings;
    let frames = Frames::new(framing, settings.streaming.max_event_size.as_usize());
    let content = Content::Frames(framing, frames);
    let meter = Meter::stream(way.call.dialect(), framing);
    // An array has no place for the comment that tells a client who went on.
    let recovery = (framing == Framing::Events).then_some(recovery);
    let may_be_referred_to = may_be_referred_to(way.call, answer.translation().is_some());
    let mut stream = Stream::new(way, content, meter, recovery);
    stream.to_note = if may_be_referred_to { ToNote::Answer } else { ToNote::Nothing };
    stream.run(answer, None).await
}

/// Relays a plain answer that is too long to be held back, of which `first` was read already, and `kept`.
pub(super) async fn unread(way: &mut Way<'_>, answer: &mut Answer, first: Bytes, kept: Kept) -> Relayed {
    let meter = Meter::plain(way.call.dialect());
    let mut stream = Stream::new(way, Content::Unread(Tail::default()), meter, None);
    stream.kept = kept;
    stream.run(answer, Some(first)).await
}

/// What goes by.
pub(super) enum Content {
    /// Frames, looked into.
    Frames(Framing, Frames),
    /// Bytes that nobody looks into before the last have come.
    Unread(Tail),
}

/// How a stream ended, as far as the provider is concerned.
pub(super) enum End {
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
pub(super) enum Step {
    On,
    Ended(End),
}

/// What is known of a stream that is put into other words, and does not show in them, or not yet.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) usage: Option<TokenUsage>,
    pub(super) is_finished: bool,
    pub(super) is_blocked: bool,
}

impl Told {
    pub(super) fn by(answer: &Answer) -> Told {
        answer.translation().map_or_else(Told::default, |translation| Told {
            usage: translation.usage(),
            is_finished: translation.is_finished(),
            is_blocked: translation.is_blocked(),
        })
    }
}

/// An answer on its way.
pub(super) struct Stream<'s, 'r> {
    pub(super) way: &'s mut Way<'r>,
    pub(super) content: Content,
    pub(super) meter: Meter,
    pub(super) signs: Signs,
    pub(super) hides_usage: bool,
    /// What was read before the commit.
    pub(super) held: SmallVec<[Bytes; 2]>,
    /// The room for it.
    pub(super) kept: Kept,
    pub(super) is_committed: bool,
    /// Whether the prompt was refused by policy, which takes the place of all content.
    pub(super) is_blocked: bool,
    pub(super) recovery: Option<&'s mut Recovery>,
    /// What the provider itself says of its stream, where the client gets it in other words.
    pub(super) told: Told,
    /// When the whole stream must be over.
    pub(super) over_by: Option<Instant>,
    pub(super) relayed: u64,
    /// The number of the next event, in an API that counts them.
    pub(super) next_number: u64,
    to_note: ToNote,
}

/// What is still to come of it whose maker is to be remembered.
#[derive(Clone, Copy)]
enum ToNote {
    /// Its id, which its first event has.
    Answer,
    /// The ids of its items, which its last event has.
    Items,
    Nothing,
}

/// The error that the provider said, where the stream is put into other words and ends with it.
fn said_error(answer: &Answer) -> Option<End> {
    let error = answer.translation()?.error()?;
    // One that is called an error and has no class is one all the same.
    Some(End::Error(error_inside(error).unwrap_or(ErrorClass::ServerError), error.clone()))
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
            told: Told::default(),
            over_by: total.and_then(|total| Instant::now().checked_add(total.get())),
            relayed: 0,
            next_number: 0,
            to_note: ToNote::Nothing,
            way,
            content,
            meter,
            recovery,
        }
    }

    async fn run(&mut self, answer: &mut Answer, first: Option<Bytes>) -> Relayed {
        self.way.context.settlement.stream = matches!(self.content, Content::Frames(..));
        if let Some(first) = first {
            self.held.push(first);
            if self.commit(answer).await.is_err() {
                return self.left();
            }
        }
        let mut quiet_since = Instant::now();
        let end = loop {
            let limit = self.limit();
            if limit.is_some_and(|limit| quiet_since >= limit) {
                // Said here, too: a provider that is always ready would never let the alarm be heard.
                break End::Broken(self.late());
            }
            let silent_by = quiet_since + self.patience();
            let late_by = limit.map_or(silent_by, |limit| silent_by.min(limit));
            self.way.alarm.set(self.way.context.keepalive.due_or(late_by));
            let read = tokio::select! {
                biased;
                read = answer.read() => read,
                () = client_gone(self.way.session) => return self.left(),
                () = self.way.alarm.rings() => {
                    if Instant::now() >= late_by {
                        Err(self.late())
                    } else if keepalive::beat(self.way.session, self.way.context).await.is_ok() {
                        continue;
                    } else {
                        return self.left();
                    }
                }
            };
            quiet_since = Instant::now();
            self.told = Told::by(answer);
            let relayed = self.relayed;
            match read {
                Ok(Some(chunk)) => match self.pass(&chunk, answer).await {
                    Ok(Step::On) if self.relayed > relayed => self.way.context.keepalive.heard(quiet_since),
                    Ok(Step::On) => {}
                    Ok(Step::Ended(end)) => break end,
                    Err(_) => return self.left(),
                },
                Ok(None) => break End::Clean,
                Err(broken) => break said_error(answer).unwrap_or(End::Broken(broken)),
            }
        };
        self.conclude(end, answer).await
    }

    /// How long the next bytes may take. Any byte, that of a comment too, starts it anew.
    fn patience(&self) -> Duration {
        let timeouts = &self.way.upstream.provider.definition.timeouts;
        if self.signs.is_ended() && (self.told.is_finished || !self.signs.may_resume()) {
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
    pub(super) fn limit(&self) -> Option<Instant> {
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
    pub(super) async fn pass(&mut self, chunk: &Bytes, answer: &Answer) -> pingora::Result<Step> {
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
        length <= MAX_HELD + REPEATED * self.way.call.body_length()
            && self.way.context.held.as_ref().is_none_or(has_room)
    }

    /// What may go on of what was read, and whether the provider's own words end it there.
    fn look_into(&mut self, chunk: &Bytes) -> (Bytes, Option<End>) {
        let frames = match &mut self.content {
            Content::Frames(_, frames) => frames,
            Content::Unread(tail) => {
                tail.see(chunk);
                return (chunk.clone(), None);
            }
        };
        let (meter, signs, hides_usage) = (&mut self.meter, &mut self.signs, self.hides_usage);
        let recovery = &mut self.recovery;
        let mut next_number = (self.way.call.api() == Api::Responses).then_some(&mut self.next_number);
        let to_note = &mut self.to_note;
        let (mut end, mut made) = (None, Vec::new());
        // What was put together anew, where a broken stream is gone on with.
        let mut joined = BytesMut::new();
        let out = frames.push(chunk, |frame| {
            if end.is_some() {
                return Keep::Nothing;
            }
            signs.see(frame);
            if let Some(next) = &mut next_number
                && let Some(number) = number_of(frame)
            {
                **next = number + 1;
            }
            let is_to_be_noted = match to_note {
                ToNote::Answer => true,
                ToNote::Items => signs.is_finished(),
                ToNote::Nothing => false,
            };
            if is_to_be_noted && let Some(new) = references::made_in_event(frame) {
                let is_all = new.is_empty() || signs.is_finished();
                *to_note = if is_all { ToNote::Nothing } else { ToNote::Items };
                made.extend(new);
            }
            if signs.is_error()
                && let Some(class) = error_inside(&frames::data(frame))
            {
                end = Some(End::Error(class, Bytes::copy_from_slice(frame)));
                return Keep::Nothing;
            }
            let seen = meter.see(frame);
            let shown = if hides_usage { seen.unasked() } else { Keep::All };
            let Some(recovery) = recovery.as_mut().filter(|recovery| recovery.is_on()) else {
                return shown;
            };
            match recovery.see(frame, signs.is_finished() || signs.is_ended()) {
                Joined::Apart => shown,
                Joined::Swallowed => Keep::Nothing,
                Joined::With(bytes) => {
                    joined.extend_from_slice(&bytes);
                    Keep::Nothing
                }
                Joined::Differs => {
                    end = Some(End::Differs);
                    Keep::Nothing
                }
            }
        });
        note_maker(self.way.context, &made);
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
    pub(super) async fn commit(&mut self, answer: &Answer) -> pingora::Result<()> {
        let Way { session, context, .. } = &mut *self.way;
        if !context.keepalive.has_opened() {
            let header = answer_header(context, answer);
            reply::begin(session, context, header).await?;
        }
        self.is_committed = true;
        context.course.committed();
        self.let_go_of_the_question();
        let dialect = self.way.upstream.provider.definition.dialect;
        self.is_blocked = self.told.is_blocked
            || answer.translation().is_none()
                && self.held.iter().any(|held| is_blocked(dialect, &frames::data(held)));
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

    pub(super) async fn send(&mut self, out: Bytes) -> pingora::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        self.way.context.settlement.first_content();
        self.relayed += out.len() as u64;
        self.way.session.write_response_body(out, false).await
    }
}
