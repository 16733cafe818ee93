//! What a cloud wants of requests to an API that it hosts, and what it answers: where that differs from the API's own.
//!
//! Paths and members are facts of [`crate::providers::platform`] and [`crate::translate::hosted`]; here they meet a
//! request. For providers that host nobody's API, this costs a comparison each.

use crate::domain::Dialect;
use crate::providers::definition::Definition;
use crate::providers::platform::{Platform, Wish};
use crate::translate::hosted;
use crate::translate::peek::BadBody;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use pingora::http::ResponseHeader;
use serde_json::Value;
use std::borrow::Cow;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// What Amazon's errors are called.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// Features that are passed on of one request.
const MAX_BETAS: usize = 64;

/// Percent-encodes a model's name for a path: all but what a segment may have (RFC 3986, section 3.3), and the slash,
/// which some names have; for a cloud that wants it so, these too.
pub fn escaped(platform: Platform, model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' | b'@' | b':' if !platform.escapes_all() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Where a provider is asked: at the path of its dialect, unless its platform has another.
pub fn path<'p>(provider: &Definition, model: &str, wish: Wish, dialects: Cow<'p, str>) -> Cow<'p, str> {
    if provider.platform == Platform::Own {
        return dialects;
    }
    provider.platform.path(&escaped(provider.platform, model), wish).map_or(dialects, Cow::Owned)
}

/// Makes of a request's header and body what the provider's platform wants.
///
/// # Errors
/// When the body is no JSON object.
pub fn adapt(provider: &Definition, wish: Wish, header: &mut Parts, body: Bytes) -> Result<Bytes, BadBody> {
    let Some(changes) = provider.platform.changes(wish) else { return Ok(body) };
    if provider.platform != Platform::Bedrock {
        return hosted::change(&body, &changes, &[]);
    }
    let betas = betas(&header.headers);
    let betas: Vec<&str> = betas.iter().map(String::as_str).collect();
    let body = hosted::change(&body, &changes, &betas)?;
    header.headers.remove(ANTHROPIC_VERSION);
    header.headers.remove(ANTHROPIC_BETA);
    // What it answers in is not for the client to choose.
    header.headers.insert(ACCEPT, JSON);
    Ok(body)
}

/// The features that a client names, in one header or several.
fn betas(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(ANTHROPIC_BETA).iter().filter_map(|value| value.to_str().ok());
    let names = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names.take(MAX_BETAS).map(str::to_owned).collect()
}

/// Makes of a cloud's own error one of its dialect.
pub fn refusal(provider: &Definition, header: &mut ResponseHeader, body: Bytes) -> Bytes {
    if provider.platform != Platform::Bedrock {
        return body;
    }
    let named = header.headers.get(ERROR_TYPE).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let (status, body) = hosted::bedrock_error(Some(header.status.as_u16()), named, "", &body);
    // A status of three digits is always one, and this type a value that a header can have.
    let _ = header.set_status(status);
    let _ = header.insert_header(CONTENT_TYPE, JSON);
    header.remove_header(&CONTENT_LENGTH);
    body
}

/// Whose words an error is in: what Google says before Anthropic's models are asked is in Google's.
pub fn dialect_of_error(provider: &Definition, body: &[u8]) -> Dialect {
    let is_googles = || {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
        let error = body.get(0).unwrap_or(&body).get("error");
        error.is_some_and(|error| error.get("status").is_some_and(Value::is_string))
    };
    let may_differ = provider.platform == Platform::VertexAnthropic;
    if may_differ && is_googles() { Dialect::Gemini } else { provider.dialect }
}
