//! Answers that are no stream: held back until they are complete, up to a bound and as long as there is room.

use super::{Answer, BYTES_PER_TOKEN, Broken, Failed, Meter, Relayed, Way};
use super::{answer_header, client_gone, header_from, may_be_referred_to, note_maker, settle_usage, stream};
use crate::domain::{Dialect, ErrorClass, TokenUsage};
use crate::gateway::call::Call;
use crate::gateway::context::Context;
use crate::gateway::limits::Kept;
use crate::gateway::{count, mask, reply};
use crate::providers::classify::{Inside, classify_inside, error_inside};
use crate::translate::references;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode};
use memchr::memmem;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use std::time::Duration;

/// How much of an error answer is read.
const MAX_ERROR_BODY: usize = 1 << 20;
/// How long an error answer's body is waited for: failover should not hang on the words of a refusal.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// What was read of a body.
enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// The first part of one that can't be held as a whole.
    Part(Bytes),
}

/// Gives a plain answer to the client, if it is complete by the deadline and no error in disguise.
pub async fn plain(way: &mut Way<'_>, answer: &mut Answer) -> Relayed {
    way.alarm.set(way.deadline);
    let settings = &way.context.snapshot.settings;
    // What can't be relayed as it comes is held for as long as an event would be.
    let limit = match way.translation {
        None => settings.retry.max_buffered_response.as_usize(),
        Some(_) => settings.streaming.max_event_size.as_usize(),
    };
    let mut kept = Kept::default();
    let body = way.context.held.as_ref().map(|held| &held.body);
    let fits = |length| length <= limit && body.is_none_or(|body| kept.hold(length, body));
    let gathered = tokio::select! {
        biased;
        gathered = gather(answer, fits) => gathered,
        () = client_gone(way.session) => return Relayed::ClientGone,
        () = way.alarm.rings() => {
            let reason = "the answer was not complete in time".to_owned();
            Err(Broken { class: ErrorClass::Timeout, reason })
        }
    };
    let body = match gathered {
        Ok(Gathered::Whole(body)) => body,
        Ok(Gathered::Part(_)) if way.translation.is_some() => {
            let reason = "an answer too long to be put into other words".to_owned();
            return Relayed::failed(Broken { class: ErrorClass::ServerError, reason });
        }
        Ok(Gathered::Part(part)) => {
            if may_be_referred_to(way.call, false) {
                note_maker(way.context, references::id_at_start(&part).as_slice());
            }
            return Box::pin(stream::unread(way, answer, part, kept)).await;
        }
        Err(broken) => return Relayed::failed(broken),
    };
    if !answer.is_framed() && is_torn(answer.header(), &body) {
        let reason = "the answer ended in the middle of its JSON".to_owned();
        return Relayed::failed(Broken { class: ErrorClass::Truncated, reason });
    }
    if let Some(class) = error_inside(&body) {
        let dialect = way.upstream.provider.definition.dialect;
        return Relayed::Failed(Box::new(Failed::inside(class, answer.decoded_header(), body, dialect)));
    }
    let is_blocked = is_blocked(way.upstream.provider.definition.dialect, &body);
    let error = is_blocked.then_some(ErrorClass::ContentFilter);
    let Some(translation) = &way.translation else {
        if is_foreign(way.call, answer.header(), &body) {
            let reason = "an answer of 200 that is no JSON object".to_owned();
            return Relayed::failed(Broken { class: ErrorClass::ServerError, reason });
        }
        let mut meter = Meter::plain(way.call.dialect());
        meter.see(&body);
        if may_be_referred_to(way.call, false) {
            note_maker(way.context, &references::made(&body));
        }
        return give(way, answer, Given { body, usage: meter.reported(), estimate: None, error }).await;
    };
    match translation.whole(&body) {
        Ok((body, usage)) => {
            let estimate = translation.estimate().filter(|_| usage.is_none());
            give(way, answer, Given { body, usage, estimate, error }).await
        }
        Err(spoilt) => Relayed::failed(Broken::by(spoilt, ErrorClass::ServerError)),
    }
}

/// A whole answer in the client's words.
struct Given {
    body: Bytes,
    /// What the provider says that it took.
    usage: Option<TokenUsage>,
    /// What it is taken to be where the provider doesn't say, and the answer does.
    estimate: Option<TokenUsage>,
    /// Its class, where it is a refusal.
    error: Option<ErrorClass>,
}

/// Commits to a whole answer.
async fn give(way: &mut Way<'_>, answer: &mut Answer, given: Given) -> Relayed {
    let Given { body, usage, estimate, error } = given;
    let Way { session, context, call, .. } = way;
    match estimate {
        Some(tokens) => context.settlement.used(tokens, true),
        None => settle_usage(context, call, usage, body.len() as u64 / BYTES_PER_TOKEN),
    }
    context.settlement.first_content();
    let mut header = answer_header(context, answer);
    if estimate.is_some() {
        count::mark(&mut header.headers);
    }
    // The provider's part is done, however long the client takes to read.
    answer.release().await;
    if let Some(attempt) = &mut context.attempt {
        match error {
            None => attempt.succeed(),
            Some(class) => attempt.fail(class, None, "the answer itself says so"),
        }
    }
    match reply::whole(session, context, header, body).await {
        Ok(()) => Relayed::Whole(error),
        Err(_) => Relayed::ClientGone,
    }
}

/// Whether Gemini refused the prompt by policy, which it says in an answer of 200 that its clients can read.
pub(super) fn is_blocked(provider: Dialect, body: &[u8]) -> bool {
    provider == Dialect::Gemini
        && memmem::find(body, b"\"blockReason\"").is_some()
        && classify_inside(body) == Some(Inside::Blocked)
}

/// Whether a body that only the connection's end delimits is JSON without its own end. Where a length or chunks
/// say how much there is, reading has failed already.
fn is_torn(header: &ResponseHeader, body: &[u8]) -> bool {
    // One in a coding that is unknown here is nothing that could be judged.
    let is_delimited = [CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_ENCODING]
        .iter()
        .any(|name| header.headers.contains_key(name));
    let is_json = || {
        let media_type = header.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        media_type.split(|byte| *byte == b';').next().is_some_and(|it| it.trim_ascii() == b"application/json")
    };
    !is_delimited && is_json() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err()
}

/// Whether an answer can be none of the API that was asked, such as the page of a proxy on the way, where its clients read
/// an object. One in a coding that is unknown here is nothing that could be judged.
fn is_foreign(call: &Call, header: &ResponseHeader, body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let begins_json = matches!(first, Some(b'{' | b'['));
    call.endpoint.subject.is_some()
        && header.status == StatusCode::OK
        && !header.headers.contains_key(CONTENT_ENCODING)
        && !begins_json
}

/// The body of an error answer, as far as it is worth reading; empty if it doesn't come in time.
pub async fn error_body(answer: &mut Answer) -> Bytes {
    match tokio::time::timeout(ERROR_BODY_WAIT, gather(answer, |length| length <= MAX_ERROR_BODY)).await {
        Ok(Ok(Gathered::Whole(body) | Gathered::Part(body))) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

/// Gives a provider's error answer to a client of the same dialect, configured secrets masked.
///
/// # Errors
/// When the client is gone.
pub async fn give_error(
    session: &mut ServerSession,
    context: &mut Context,
    header: &ResponseHeader,
    body: Bytes,
) -> pingora::Result<()> {
    let body = mask::secrets(context, body);
    let header = header_from(context, header);
    reply::whole(session, context, header, body).await
}

/// Reads an answer's body as long as what has come of it fits. A body that came in one read is not copied.
async fn gather(answer: &mut Answer, mut fits: impl FnMut(usize) -> bool) -> Result<Gathered, Broken> {
    let Some(first) = answer.read().await? else {
        return Ok(Gathered::Whole(Bytes::new()));
    };
    let mut body: Option<BytesMut> = None;
    let mut length = first.len();
    while fits(length) {
        let Some(chunk) = answer.read().await? else {
            return Ok(Gathered::Whole(body.map_or(first, BytesMut::freeze)));
        };
        let body = body.get_or_insert_with(|| BytesMut::from(&first[..]));
        body.extend_from_slice(&chunk);
        length = body.len();
    }
    Ok(Gathered::Part(body.map_or(first, BytesMut::freeze)))
}
