//! Estimates, and the header that marks them: of tokens that no provider of the model counts, by what the
//! request says. Who imitates OpenAI's Responses API may lack its counting, which shows only when it is asked.

use super::call::Call;
use super::context::Context;
use super::reply;
use super::routes::{Endpoint, Subject};
use crate::translate::count;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use pingora::protocols::http::ServerSession;

/// Says that a figure of the answer is the gateway's estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-cliproxy-estimated");

/// Whether the endpoint counts the tokens of a request, and nothing else.
pub fn is_count(endpoint: &Endpoint) -> bool {
    endpoint.subject == Some(Subject::Count)
}

/// Whether a provider's status says that it doesn't count at all.
pub fn is_missing(endpoint: &Endpoint, status: StatusCode) -> bool {
    is_count(endpoint) && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// Marks an answer whose tokens are an estimate.
pub fn mark(headers: &mut HeaderMap) {
    headers.insert(ESTIMATED, HeaderValue::from_static("tokens"));
}

/// Answers with the estimate.
///
/// # Errors
/// When the client is gone.
pub async fn estimate(
    session: &mut ServerSession,
    context: &mut Context,
    call: &Call,
) -> pingora::Result<()> {
    let answer = count::write_answer(call.api(), call.estimated_tokens());
    let mut header = reply::header(StatusCode::OK.as_u16(), 4);
    mark(&mut header.headers);
    context.settlement.answered(StatusCode::OK.as_u16(), None);
    reply::json(session, context, header, answer.into()).await
}
