//! Counts of tokens that no provider of the model can give: estimated by the length of the request, and marked.

use super::call::Call;
use super::context::Context;
use super::relay::BYTES_PER_TOKEN;
use super::reply;
use super::routes::Endpoint;
use crate::domain::Dialect;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use pingora::protocols::http::ServerSession;
use serde_json::json;

/// Says that a figure of the answer is the gateway's estimate.
const ESTIMATED: HeaderName = HeaderName::from_static("x-cliproxy-estimated");

/// Whether the endpoint counts the tokens of a request, and nothing else.
pub fn is_count(endpoint: &Endpoint) -> bool {
    matches!(endpoint.path, "messages/count_tokens" | "countTokens")
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
    let tokens = (call.body_length() as u64).div_ceil(BYTES_PER_TOKEN);
    let count = match call.dialect() {
        Dialect::Gemini => json!({"totalTokens": tokens}),
        Dialect::OpenAi | Dialect::Anthropic => json!({"input_tokens": tokens}),
    };
    let mut header = reply::header(StatusCode::OK.as_u16(), 4);
    header.headers.insert(ESTIMATED, HeaderValue::from_static("tokens"));
    context.settlement.answered(StatusCode::OK.as_u16(), None);
    reply::json(session, context, header, count.to_string().into()).await
}
