//! Answers that are no stream: held back until they are complete, up to a bound.

use super::{Answer, BYTES_PER_TOKEN, Broken, Call, Context, Meter, Relayed, ServerSession, Upstream};
use super::{answer_header, client_gone, settle_usage, stream};
use crate::domain::ErrorClass;
use crate::gateway::{mask, reply};
use bytes::{Bytes, BytesMut};
use pingora::http::ResponseHeader;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How much of an error answer is read.
const MAX_ERROR_BODY: usize = 1 << 20;
/// How long an error answer's body is waited for: failover should not hang on the words of a refusal.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// What was read of a body.
enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// The first part of one that is longer than the limit.
    Part(Bytes),
}

/// Gives a plain answer to the client, if it is complete by the deadline.
pub async fn plain(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
    upstream: &Upstream,
    deadline: Instant,
    mut answer: Answer,
) -> Relayed {
    let limit = context.snapshot.settings.retry.max_buffered_response.as_usize();
    let gathered = tokio::select! {
        biased;
        gathered = timeout_at(deadline, gather(&mut answer, limit)) => gathered,
        () = client_gone(session) => return Relayed::ClientGone,
    };
    let body = match gathered {
        Ok(Ok(Gathered::Whole(body))) => body,
        Ok(Ok(Gathered::Part(part))) => {
            return stream::unread(session, context, call, upstream, answer, part).await;
        }
        Ok(Err(broken)) => return Relayed::Uncommitted(broken),
        Err(_) => {
            let reason = "the answer was not complete in time".to_owned();
            return Relayed::Uncommitted(Broken { class: ErrorClass::Timeout, reason });
        }
    };
    let mut meter = Meter::plain(call.dialect());
    meter.see(&body);
    settle_usage(context, call, &meter, body.len() as u64 / BYTES_PER_TOKEN);
    context.settlement.first_content();
    let header = answer_header(context, &answer.header);
    // The provider's part is done, however long the client takes to read.
    answer.release(upstream).await;
    if let Some(attempt) = &mut context.attempt {
        attempt.succeed();
    }
    let sent = async { reply::whole(session, context, header?, body).await };
    if sent.await.is_err() { Relayed::ClientGone } else { Relayed::Whole }
}

/// The body of an error answer, as far as it is worth reading; empty if it doesn't come in time.
pub async fn error_body(answer: &mut Answer) -> Bytes {
    match tokio::time::timeout(ERROR_BODY_WAIT, gather(answer, MAX_ERROR_BODY)).await {
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
    let header = answer_header(context, header)?;
    reply::whole(session, context, header, body).await
}

/// Reads an answer's body up to `limit` bytes. A body that came in one read is not copied.
async fn gather(answer: &mut Answer, limit: usize) -> Result<Gathered, Broken> {
    let Some(first) = answer.read().await? else {
        return Ok(Gathered::Whole(Bytes::new()));
    };
    let mut body: Option<BytesMut> = None;
    let mut length = first.len();
    while length <= limit {
        let Some(chunk) = answer.read().await? else {
            return Ok(Gathered::Whole(body.map_or(first, BytesMut::freeze)));
        };
        let body = body.get_or_insert_with(|| BytesMut::from(&first[..]));
        body.extend_from_slice(&chunk);
        length = body.len();
    }
    Ok(Gathered::Part(body.map_or(first, BytesMut::freeze)))
}
