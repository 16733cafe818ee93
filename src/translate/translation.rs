//! One request on its way from a client's API to a provider's, and its answer on the way back.
//!
//! The dialects know only the hub; who is on which side is known here alone. A stream is translated event by event, and
//! nothing of it is kept but what the client's dialect needs for its next word.

use super::canonical::{Event, Finish};
use super::disguise::{Disguise, Undoing};
use super::features::Features;
use super::frames::{self, Frames, Framing};
use super::peek::BadBody;
pub use super::question::Question;
use super::sides::{Asked, Target};
use super::signs::{self, Api};
use super::spoilt::Spoilt;
use super::{chat, count, embeddings, generate, messages, responses};
use crate::domain::{Dialect, TokenUsage};
use bytes::Bytes;
use std::ops::Range;

/// The API that a provider of that dialect is asked through for an answer.
pub fn provider_api(dialect: Dialect) -> Api {
    match dialect {
        Dialect::OpenAi => Api::Completions,
        Dialect::Anthropic => Api::Messages,
        Dialect::Gemini => Api::Generate,
    }
}

/// What the client's side of a translation depends on.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it speaks.
    pub api: Api,
    /// The request's id.
    pub request_id: String,
    /// When the request came, in seconds since 1970.
    pub created: u64,
    /// Its request.
    pub body: Bytes,
    /// Where the longest member of that has its value; `0..0` where nobody knows.
    pub longest: Range<usize>,
    /// How its stream is framed.
    pub framing: Framing,
    /// Whether it wants OpenAI's chunk of usage at the end of a stream.
    pub include_usage: bool,
}

impl Client {
    fn asked(&self) -> Asked<'_> {
        Asked {
            request_id: &self.request_id,
            created: self.created,
            body: &self.body,
            longest: &self.longest,
            framing: self.framing,
            include_usage: self.include_usage,
        }
    }
}

/// The way back for one attempt's answer.
pub struct Translation {
    client: Client,
    provider: Api,
    endpoint: &'static str,
    dropped: Vec<&'static str>,
    back: Back,
}

/// What comes back, with what has to be known for it.
enum Back {
    /// An answer, in the disguise that the request had to take on.
    Answer(Disguise),
    /// A number of tokens.
    Count,
    /// Vectors.
    Embeddings(embeddings::Back),
}

impl Translation {
    /// Puts a client's request into the provider's words; gives the body, and the way back.
    ///
    /// # Errors
    /// When the request can't be said there.
    pub fn of_request(
        question: &Question,
        client: Client,
        provider: Dialect,
        target: &Target<'_>,
    ) -> Result<(Bytes, Translation), BadBody> {
        let provider = provider_api(provider);
        let request = question.request();
        let (mut written, endpoint) = match provider {
            Api::Messages => (messages::write(request, target)?, "messages"),
            Api::Generate if request.streams => {
                (generate::write(request, target)?, "streamGenerateContent?alt=sse")
            }
            Api::Generate => (generate::write(request, target)?, "generateContent"),
            Api::Completions | Api::Responses | Api::Other => {
                (chat::write(request, target)?, "chat/completions")
            }
        };
        let dropped = dropped(request.features, provider, &written.lost);
        let back = Back::Answer(Disguise::of(&mut written));
        Ok((written.body.into(), Translation { client, provider, endpoint, dropped, back }))
    }

    /// The same of a request whose tokens are to be counted, which not every provider does in the API that it answers in.
    ///
    /// # Errors
    /// When the request can't be said there, or nobody counts there.
    pub fn of_count(
        question: &Question,
        client: Client,
        provider: Api,
        target: &Target<'_>,
    ) -> Result<(Bytes, Translation), BadBody> {
        let request = question.request();
        let (written, endpoint) = count::write(request, provider, target)?;
        let dropped = dropped(request.features, provider, &written.lost);
        Ok((written.body.into(), Translation { client, provider, endpoint, dropped, back: Back::Count }))
    }

    /// The same of a request for embeddings.
    ///
    /// # Errors
    /// When the request can't be understood, or there are no embeddings there.
    pub fn of_embeddings(
        client: Client,
        form: embeddings::Form,
        provider: Dialect,
        target: &Target<'_>,
    ) -> Result<(Bytes, Translation), BadBody> {
        let provider = provider_api(provider);
        let embeddings::Written { body, endpoint, dropped, back } =
            embeddings::write(form, &client.body, provider, target)?;
        let back = Back::Embeddings(back);
        Ok((body.into(), Translation { client, provider, endpoint, dropped, back }))
    }

    /// What of the provider's API is called: the path below the version, or Gemini's verb.
    pub fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    /// Whether the answer may come as a stream.
    pub fn may_stream(&self) -> bool {
        matches!(self.back, Back::Answer(_))
    }

    /// What the request took, by its length, where the answer doesn't say and its form wants it.
    pub fn estimate(&self) -> Option<TokenUsage> {
        match &self.back {
            Back::Embeddings(back) => Some(back.estimate()),
            Back::Answer(_) | Back::Count => None,
        }
    }

    /// What the provider doesn't hear of the request, by the names in `x-cliproxy-dropped`.
    pub fn dropped(&self) -> &[&'static str] {
        &self.dropped
    }

    /// The client's framing of a stream.
    pub fn framing(&self) -> Framing {
        self.client.framing
    }

    /// A whole answer in the client's words, and what it took, if that was said.
    ///
    /// # Errors
    /// If it can't be understood, or given on.
    pub fn whole(&self, body: &[u8]) -> Result<(Bytes, Option<TokenUsage>), Spoilt> {
        let (written, usage) = match &self.back {
            Back::Answer(disguise) => self.answer(body, disguise)?,
            Back::Count => {
                let tokens = count::read_answer(self.provider, body).ok_or(Spoilt::FOREIGN)?;
                (count::write_answer(self.client.api, tokens), None)
            }
            Back::Embeddings(back) => back.answer(body).ok_or(Spoilt::FOREIGN)?,
        };
        Ok((written.into(), usage))
    }

    fn answer(&self, body: &[u8], disguise: &Disguise) -> Result<(Vec<u8>, Option<TokenUsage>), Spoilt> {
        let mut answer = match self.provider {
            Api::Messages => messages::read_answer(body),
            Api::Generate => generate::read_answer(body),
            Api::Completions | Api::Responses | Api::Other => chat::read_answer(body),
        }?;
        disguise.undo(&mut answer);
        if self.provider == Api::Messages {
            messages::drop_cut_call(&mut answer);
        }
        let asked = self.client.asked();
        let written = match self.client.api {
            Api::Responses => responses::write_answer(&answer, &asked),
            Api::Messages => messages::write_answer(&answer, &asked),
            Api::Generate => generate::write_answer(&answer, &asked),
            Api::Completions | Api::Other => chat::write_answer(&answer, &asked),
        };
        let usage = (answer.usage != TokenUsage::default()).then_some(answer.usage);
        Ok((written, usage))
    }

    /// The way back for a stream, whose events may be so long.
    pub fn stream(self, max_event: usize) -> Stream {
        let asked = self.client.asked();
        let encoder = match self.client.api {
            Api::Responses => Encoder::Responses(responses::Encoder::new(&asked)),
            Api::Messages => Encoder::Messages(messages::Encoder::new(&asked)),
            Api::Generate => Encoder::Generate(generate::Encoder::new(&asked)),
            Api::Completions | Api::Other => Encoder::Chat(chat::Encoder::new(&asked)),
        };
        let decoder = match self.provider {
            Api::Messages => Decoder::Messages(messages::Decoder::default()),
            Api::Generate => Decoder::Generate(generate::Decoder::default()),
            Api::Completions | Api::Responses | Api::Other => Decoder::Chat(chat::Decoder::default()),
        };
        Stream {
            frames: Frames::new(Framing::Events, max_event),
            decoder,
            course: Course {
                encoder,
                undoing: Undoing::new(match self.back {
                    Back::Answer(disguise) => disguise,
                    Back::Count | Back::Embeddings(_) => Disguise::default(),
                }),
                usage: None,
                is_finished: false,
                has_content: false,
                is_blocked: false,
                error: None,
                skipped: 0,
            },
            framing: self.client.framing,
            is_over: false,
        }
    }
}

/// What a provider has to do without, by its dialect, and by what was written for it.
fn dropped(features: Features, provider: Api, lost: &[&'static str]) -> Vec<&'static str> {
    let mut dropped: Vec<_> = features.dropped_by(provider).collect();
    for name in lost {
        if !dropped.contains(name) {
            dropped.push(name);
        }
    }
    dropped
}

enum Decoder {
    Chat(chat::Decoder),
    Messages(messages::Decoder),
    Generate(generate::Decoder),
}

enum Encoder {
    Chat(chat::Encoder),
    Responses(responses::Encoder),
    Messages(messages::Encoder),
    Generate(generate::Encoder),
}

impl Decoder {
    fn spoilt(&self) -> Option<Spoilt> {
        match self {
            Decoder::Chat(decoder) => decoder.spoilt(),
            Decoder::Messages(decoder) => decoder.spoilt(),
            Decoder::Generate(decoder) => decoder.spoilt(),
        }
    }
}

impl Encoder {
    fn put(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Encoder::Chat(encoder) => encoder.put(event, out),
            Encoder::Responses(encoder) => encoder.put(event, out),
            Encoder::Messages(encoder) => encoder.put(event, out),
            Encoder::Generate(encoder) => encoder.put(event, out),
        }
    }
}

/// Why a stream can't be translated any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long to be translated")]
pub struct TooLong;

/// A stream on its way back.
pub struct Stream {
    frames: Frames,
    decoder: Decoder,
    course: Course,
    framing: Framing,
    is_over: bool,
}

/// What the client has been told.
struct Course {
    encoder: Encoder,
    undoing: Undoing,
    usage: Option<TokenUsage>,
    is_finished: bool,
    has_content: bool,
    is_blocked: bool,
    error: Option<Bytes>,
    skipped: u64,
}

impl Stream {
    /// Takes what was read of the provider's stream, and gives what the client gets for it.
    ///
    /// # Errors
    /// When an event is longer than the bound.
    pub fn push(&mut self, chunk: &Bytes) -> Result<Bytes, TooLong> {
        let mut out = Vec::new();
        let (decoder, course) = (&mut self.decoder, &mut self.course);
        self.frames.push(chunk, |frame| {
            course.see(decoder, frame, &mut out);
            false
        });
        if self.frames.has_unread() { Err(TooLong) } else { Ok(out.into()) }
    }

    /// The provider's stream is over: what the client gets for what was held of it, and to end its own. Nothing
    /// more than once.
    pub fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.is_over, true) && self.course.error.is_none() {
            let rest = self.frames.finish();
            if !rest.trim_ascii().is_empty() {
                self.course.see(&mut self.decoder, &rest, &mut out);
            }
            let course = &mut self.course;
            let put = &mut |event: Event<'_>| course.put(event, &mut out);
            match &mut self.decoder {
                Decoder::Chat(decoder) => decoder.finish(put),
                Decoder::Messages(decoder) => decoder.finish(put),
                Decoder::Generate(decoder) => decoder.finish(put),
            }
        }
        out.into()
    }

    /// Ends the client's stream because the provider broke off, for a reason that stands in an error's body, which is in
    /// the client's words; `None` where that body is all there is to say. Nothing is told after it.
    pub fn fail(&mut self, error: &[u8]) -> Option<Bytes> {
        let Encoder::Responses(encoder) = &mut self.course.encoder else { return None };
        self.is_over = true;
        let mut out = Vec::new();
        encoder.fail(error, &mut out);
        Some(out.into())
    }

    /// How the client's stream is framed.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the provider has said why the model stopped.
    pub fn is_finished(&self) -> bool {
        match &self.decoder {
            Decoder::Generate(decoder) => decoder.is_finished(),
            Decoder::Chat(_) | Decoder::Messages(_) => self.course.is_finished,
        }
    }

    /// Whether the model refused, before it had said anything.
    pub fn is_blocked(&self) -> bool {
        self.course.is_blocked
    }

    /// The error that the provider said in its stream, in its own words; nothing is translated after it.
    pub fn error(&self) -> Option<&Bytes> {
        self.course.error.as_ref()
    }

    /// What is wrong where a call in it failed, or a piece of one was lost: what the client got of the answer isn't whole,
    /// and never will be.
    pub fn spoilt(&self) -> Option<Spoilt> {
        self.decoder.spoilt()
    }

    /// What the provider says that the answer took so far.
    pub fn usage(&self) -> Option<TokenUsage> {
        self.course.usage
    }

    /// How many events were not understood, and left out.
    pub fn skipped(&self) -> u64 {
        self.course.skipped
    }
}

impl Course {
    /// Translates one frame.
    fn see(&mut self, decoder: &mut Decoder, frame: &[u8], out: &mut Vec<u8>) {
        let data = frames::data(frame);
        if data.is_empty() {
            // A comment.
            return;
        }
        if self.error.is_some() {
            return;
        }
        if signs::is_error(frame) {
            self.error = Some(Bytes::copy_from_slice(&data));
            return;
        }
        let put = &mut |event: Event<'_>| self.put(event, out);
        let is_understood = match decoder {
            Decoder::Chat(decoder) => decoder.see(&data, put),
            Decoder::Messages(decoder) => decoder.see(&data, put),
            Decoder::Generate(decoder) => decoder.see(&data, put),
        };
        self.skipped += u64::from(!is_understood);
    }

    fn put(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        let Some(event) = self.undoing.undo(event) else { return };
        let event = match event {
            Event::Usage(usage) => {
                let usage = self.usage.unwrap_or_default().larger(usage);
                self.usage = Some(usage);
                Event::Usage(usage)
            }
            Event::Finish(finish) => {
                self.is_finished = true;
                self.is_blocked = finish == Finish::ContentFilter && !self.has_content;
                Event::Finish(finish)
            }
            Event::Start { .. } | Event::End => event,
            content => {
                self.has_content = true;
                content
            }
        };
        self.encoder.put(&event, out);
    }
}
