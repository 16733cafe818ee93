//! From a provider's answer to the client: whole where it is plain, frame by frame where it streams.
//!
//! Nothing reaches the client before there is something worth committing to: a plain answer that is complete,
//! a stream's first content. Until then another candidate may answer instead. While the provider is waited
//! for, the client is watched: one that leaves ends the attempt at once.

mod ending;
mod plain;
pub mod recovery;
mod stream;
mod tail;

pub use crate::translate::usage::BYTES_PER_TOKEN;
pub use plain::{error_body, give_error, plain};
pub use stream::stream;

use super::alarm::Alarm;
use super::call::Call;
use super::context::Context;
use super::homes::Home;
use super::reply;
use super::upstream::Upstream;
use super::verdict::Failed;
use super::wire::{Answer, Broken};
use crate::domain::{ErrorClass, Failure, TokenUsage};
use crate::translate;
use crate::translate::frames::Framing;
use crate::translate::signs::Api;
use crate::translate::translation::Translation;
use crate::translate::usage::Meter;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::response::Parts;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use std::time::Instant;

/// Headers that an answer gets from us, at most.
const OUR_HEADERS: usize = 10;

/// What an answer is relayed with.
pub struct Way<'r> {
    /// The client.
    pub session: &'r mut ServerSession,
    /// The request.
    pub context: &'r mut Context,
    /// What was asked.
    pub call: &'r mut Call,
    /// Who answers.
    pub upstream: &'r Upstream,
    /// What puts a plain answer into the client's words, if that has to be done.
    pub translation: Option<Translation>,
    /// When the answer must be committed.
    pub deadline: Instant,
    /// Rings when what is waited for does not come.
    pub alarm: Alarm,
}

/// How relaying ended.
#[derive(Debug)]
pub enum Relayed {
    /// The client has the whole answer; with a class where the answer itself is a refusal, as Gemini's blocks are.
    Whole(Option<ErrorClass>),
    /// The client went away, perhaps with a part of the answer.
    ClientGone,
    /// The provider failed, and another may answer instead, or go on where it broke off.
    Failed(Box<Failed>),
    /// The provider failed after the client had seen a part; the client was told.
    Truncated(Broken),
}

impl Relayed {
    fn failed(broken: Broken) -> Relayed {
        Relayed::Failed(Box::new(Failed::of(broken)))
    }
}

/// Returns when the client has gone away, never otherwise.
pub async fn client_gone(session: &mut ServerSession) {
    if session.read_body_or_idle(true).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Tells the client of a stream, in its dialect, why it broke off: by the answer, where that knows what the client was
/// told, else in an event of that number. The message is not ended (whoever asked drops the connection), so
/// that clients that overlook the event notice too.
pub async fn say_truncated(
    session: &mut ServerSession,
    call: &Call,
    answer: Option<&mut Answer>,
    number: u64,
    why: &Failure,
) {
    let body = translate::error::body(call.dialect(), why);
    let event = answer.and_then(|answer| answer.fail(&body));
    let event = event.unwrap_or_else(|| translate::error::event_of(call.api(), &body, number));
    // Best effort: the missing end says it too.
    let _ = session.write_response_body(event, false).await;
}

/// The header of a provider's answer as the client gets it: what may cross, and where it comes from.
fn answer_header(context: &Context, answer: &Answer) -> Parts {
    let mut header = header_from(context, answer.header());
    if answer.is_decoded() {
        header.headers.remove(CONTENT_ENCODING);
    }
    if let Some(framing) = answer.framing() {
        header.headers.insert(CONTENT_TYPE, media_type(framing));
    }
    header
}

fn media_type(framing: Framing) -> HeaderValue {
    HeaderValue::from_static(match framing {
        Framing::Events => "text/event-stream",
        Framing::Elements => "application/json",
    })
}

/// The same, of a header alone.
fn header_from(context: &Context, upstream: &ResponseHeader) -> Parts {
    let mut header = super::headers::downstream(upstream, OUR_HEADERS);
    reply::provenance(context, &mut header.headers);
    header
}

/// Whether the answer to a call can be referred to later, if its provider keeps it.
fn may_be_referred_to(call: &Call, is_translated: bool) -> bool {
    call.api() == Api::Responses && call.endpoint.generates && !is_translated
}

/// Notes who made an answer, and what else of it may be referred to, by their ids.
fn note_maker(context: &Context, made: &[String]) {
    let Some(attempt) = context.attempt.as_ref().filter(|_| !made.is_empty()) else { return };
    let client = context.settlement.client.as_ref().map_or("", |client| &client.name);
    let provider = Arc::clone(attempt.upstream.provider.name());
    let home = Home { provider, credential: Arc::clone(attempt.credential.label()) };
    context.snapshot.homes.note(client, made, &home, Instant::now());
}

/// Records what the provider reported, or the estimate where it should have and didn't.
fn settle_usage(context: &mut Context, call: &Call, reported: Option<TokenUsage>, estimated_output: u64) {
    match reported {
        Some(tokens) => context.settlement.used(tokens, false),
        None if call.endpoint.generates => {
            let input = call.body_length() as u64 / BYTES_PER_TOKEN;
            let tokens = TokenUsage { input, output: estimated_output, ..TokenUsage::default() };
            context.settlement.used(tokens, true);
        }
        None => {}
    }
}
