//! Which headers cross the gateway, both ways. Two tables; nothing else decides it.

use crate::domain::Dialect;
use http::header::{self, GetAll, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use pingora::http::{RequestHeader, ResponseHeader};

const fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// What of a client's request goes on to a provider: the name, and the dialect it belongs to (`None`: all).
///
/// An allowlist, so that keys, cookies, the client's organisation and its address can't leak by omission.
static UPSTREAM: [(HeaderName, Option<Dialect>); 13] = [
    (header::CONTENT_TYPE, None),
    (header::ACCEPT, None),
    (header::ACCEPT_LANGUAGE, None),
    (name("idempotency-key"), None),
    (name("traceparent"), None),
    (name("tracestate"), None),
    (name("openai-beta"), Some(Dialect::OpenAi)),
    (name("x-stainless-helper-method"), Some(Dialect::OpenAi)),
    (name("http-referer"), Some(Dialect::OpenAi)),
    (name("x-title"), Some(Dialect::OpenAi)),
    (name("anthropic-version"), Some(Dialect::Anthropic)),
    (name("anthropic-beta"), Some(Dialect::Anthropic)),
    (name("x-goog-api-client"), Some(Dialect::Gemini)),
];

/// What of a provider's answer stays here: hop-by-hop headers (RFC 9110, section 7.6.1), framing that we
/// write ourselves, and what speaks of our account or of the provider's own edge.
static NOT_DOWNSTREAM: [&str; 21] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "server",
    "via",
    "x-request-id",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "access-control-allow-origin",
    "access-control-allow-credentials",
];

/// What begins so speaks for us: a provider can't say it.
const OURS: &str = "x-cliproxy-";

/// What of a pass-through request stays here, since the stock loop keeps what we don't remove: the client's
/// keys, its organisation, where it is and how it came to us.
static NOT_UPSTREAM_IN_PASSTHROUGH: [&str; 24] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "cookie",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "via",
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "proxy-authorization",
    "proxy-connection",
];

/// And what begins so: `x-forwarded-for`, `-host`, `-port`, …, and words between gateways.
static NOT_UPSTREAM_PREFIXES: [&str; 2] = ["x-forwarded", OURS];

/// Copies what may go on of a client's headers into those for a provider.
pub fn copy_upstream(dialect: Dialect, client: &HeaderMap, request: &mut HeaderMap) {
    let nominated = nominated(client);
    for (name, value) in client {
        let row = UPSTREAM.iter().find(|(allowed, _)| allowed == name);
        let is_for_dialect = row.is_some_and(|(_, owner)| owner.is_none_or(|owner| owner == dialect));
        if is_for_dialect && !is_nominated(name, nominated.as_ref()) {
            request.append(name, value.clone());
        }
    }
}

/// Takes out of a pass-through request what must not reach the provider.
pub fn strip_passthrough(request: &mut RequestHeader) {
    let stays = |name: &&HeaderName| {
        let name = name.as_str();
        NOT_UPSTREAM_IN_PASSTHROUGH.contains(&name)
            || NOT_UPSTREAM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let stay: Vec<HeaderName> = request.headers.keys().filter(stays).cloned().collect();
    for name in &stay {
        request.remove_header(name);
    }
}

/// The header of a provider's answer as far as it may go on, with room for more.
pub fn downstream(upstream: &ResponseHeader, room: usize) -> Parts {
    let (mut header, ()) = http::Response::new(()).into_parts();
    header.status = upstream.status;
    header.headers.reserve(upstream.headers.len() + room);
    let nominated = nominated(&upstream.headers);
    for (name, value) in &upstream.headers {
        if goes_downstream(name, nominated.as_ref()) {
            header.headers.append(name, value.clone());
        }
    }
    header
}

/// Takes out of a pass-through answer what must not reach the client, but for what frames the message.
pub fn strip_downstream(response: &mut ResponseHeader) {
    static FRAMING: [HeaderName; 4] =
        [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::CONTENT_LENGTH];
    let nominated = nominated(&response.headers);
    let stays = |name: &&HeaderName| !FRAMING.contains(name) && !goes_downstream(name, nominated.as_ref());
    let stay: Vec<HeaderName> = response.headers.keys().filter(stays).cloned().collect();
    for name in &stay {
        response.remove_header(name);
    }
}

fn goes_downstream(name: &HeaderName, nominated: Option<&GetAll<'_, HeaderValue>>) -> bool {
    let text = name.as_str();
    !NOT_DOWNSTREAM.contains(&text) && !text.starts_with(OURS) && !is_nominated(name, nominated)
}

/// What `Connection` names, if it is there, which it seldom is.
fn nominated(headers: &HeaderMap) -> Option<GetAll<'_, HeaderValue>> {
    headers.contains_key(header::CONNECTION).then(|| headers.get_all(header::CONNECTION))
}

/// Whether `Connection` names this header as meant for one hop only.
fn is_nominated(name: &HeaderName, connection: Option<&GetAll<'_, HeaderValue>>) -> bool {
    let Some(connection) = connection else { return false };
    connection
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|nominated| nominated.trim().eq_ignore_ascii_case(name.as_str()))
}

/// The length of all header names and values, for the limit on them.
pub fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_dialects_own_headers_go_up() {
        let client = headers(&[
            ("authorization", "Bearer ours"),
            ("cookie", "c=1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("openai-organization", "org"),
            ("anthropic-beta", "b"),
            ("openai-beta", "o"),
            ("accept", "*/*"),
        ]);
        let mut request = HeaderMap::new();
        copy_upstream(Dialect::Anthropic, &client, &mut request);
        let mut names: Vec<_> = request.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "anthropic-beta"]);
    }

    #[test]
    fn what_the_client_means_for_one_hop_stays_and_all_values_of_the_rest_go() {
        let client = headers(&[
            ("connection", "Accept-Language, x-title"),
            ("connection", "traceparent"),
            ("accept-language", "en"),
            ("traceparent", "t"),
            ("openai-beta", "a"),
            ("openai-beta", "b"),
        ]);
        let mut request = HeaderMap::new();
        copy_upstream(Dialect::OpenAi, &client, &mut request);
        assert_eq!(request, headers(&[("openai-beta", "a"), ("openai-beta", "b")]));
    }

    #[test]
    fn hop_by_hop_and_nominated_headers_stay() {
        let mut upstream = ResponseHeader::build_no_case(200, None).expect("a response");
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a"),
            ("anthropic-organization-id", "o"),
            ("request-id", "req_1"),
            ("x-ratelimit-remaining-tokens", "5"),
        ] {
            upstream.insert_header(name, value).expect("a header");
        }
        let response = downstream(&upstream, 0);
        let mut names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["request-id", "x-ratelimit-remaining-tokens"]);
    }
}
