//! From a provider's answer to the client: whole where it is plain, frame by frame where it streams.
//!
//! A plain answer is held back until it is complete, so that a torn one can still move on to another
//! candidate. A stream is committed with its header. While the provider is waited for, the client is
//! watched: one that leaves ends the attempt at once.

mod plain;
mod stream;

pub use plain::{error_body, give_error, plain};
pub use stream::stream;

use super::call::Call;
use super::context::Context;
use super::reply;
use super::upstream::Upstream;
use super::wire::{Answer, Broken};
use crate::domain::TokenUsage;
use crate::translate::usage::Meter;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

/// Text bytes that make about one token, for estimates.
const BYTES_PER_TOKEN: u64 = 4;
/// Headers that an answer gets from us, at most.
const OUR_HEADERS: usize = 10;

/// How relaying ended.
#[derive(Debug)]
pub enum Relayed {
    /// The client has the whole answer.
    Whole,
    /// The client went away, perhaps with a part of the answer.
    ClientGone,
    /// The provider failed before the client saw anything.
    Uncommitted(Broken),
    /// The provider failed after the client had seen a part; the client was told.
    Truncated(Broken),
}

/// Returns when the client has gone away, never otherwise.
pub async fn client_gone(session: &mut ServerSession) {
    if session.read_body_or_idle(true).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// The header of a provider's answer as the client gets it: what may cross, and where it comes from.
///
/// # Errors
/// None in practice: every value was a header's, or is made of what may stand in one.
fn answer_header(context: &Context, upstream: &ResponseHeader) -> pingora::Result<Box<ResponseHeader>> {
    let mut header = reply::header(upstream.status.as_u16(), upstream.headers.len() + OUR_HEADERS)?;
    super::headers::copy_downstream(&upstream.headers, &mut header);
    reply::provenance(context, &mut header)?;
    Ok(header)
}

/// Records what the provider reported, or the estimate where it should have and didn't.
fn settle_usage(context: &mut Context, call: &Call, meter: &Meter, estimated_output: u64) {
    match meter.reported() {
        Some(tokens) => context.settlement.used(tokens, false),
        None if call.endpoint.generates => {
            let input = call.body_length() as u64 / BYTES_PER_TOKEN;
            let tokens = TokenUsage { input, output: estimated_output, ..TokenUsage::default() };
            context.settlement.used(tokens, true);
        }
        None => {}
    }
}
