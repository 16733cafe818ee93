//! Which headers cross the gateway, both ways. Two tables; nothing else decides it.

use crate::domain::Dialect;
use http::header::{self, HeaderMap, HeaderName};
use pingora::http::{RequestHeader, ResponseHeader};

/// What of a client's request goes on to a provider: the name, and the dialect it belongs to (`None`: all).
///
/// An allowlist, so that keys, cookies, the client's organisation and its address can't leak by omission.
static UPSTREAM: [(&str, Option<Dialect>); 13] = [
    ("content-type", None),
    ("accept", None),
    ("accept-language", None),
    ("idempotency-key", None),
    ("traceparent", None),
    ("tracestate", None),
    ("openai-beta", Some(Dialect::OpenAi)),
    ("x-stainless-helper-method", Some(Dialect::OpenAi)),
    ("http-referer", Some(Dialect::OpenAi)),
    ("x-title", Some(Dialect::OpenAi)),
    ("anthropic-version", Some(Dialect::Anthropic)),
    ("anthropic-beta", Some(Dialect::Anthropic)),
    ("x-goog-api-client", Some(Dialect::Gemini)),
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

/// Copies what may go on of a client's headers into the request for a provider.
pub fn copy_upstream(dialect: Dialect, client: &HeaderMap, request: &mut RequestHeader) {
    for (name, owner) in &UPSTREAM {
        let is_for_dialect = owner.is_none_or(|owner| owner == dialect);
        if is_for_dialect && !is_nominated(name, client) {
            for value in client.get_all(*name) {
                // A value that was read from the wire is valid on the wire.
                let _ = request.append_header(*name, value.clone());
            }
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

/// Copies what may go on of a provider's answer into ours.
pub fn copy_downstream(upstream: &HeaderMap, response: &mut ResponseHeader) {
    for (name, value) in upstream {
        if goes_downstream(name, upstream) {
            let _ = response.append_header(name, value.clone());
        }
    }
}

/// Takes out of a pass-through answer what must not reach the client, but for what frames the message.
pub fn strip_downstream(response: &mut ResponseHeader) {
    const FRAMING: [&str; 4] = ["connection", "transfer-encoding", "upgrade", "content-length"];
    let stays =
        |name: &&HeaderName| !FRAMING.contains(&name.as_str()) && !goes_downstream(name, &response.headers);
    let stay: Vec<HeaderName> = response.headers.keys().filter(stays).cloned().collect();
    for name in &stay {
        response.remove_header(name);
    }
}

fn goes_downstream(name: &HeaderName, upstream: &HeaderMap) -> bool {
    let text = name.as_str();
    !NOT_DOWNSTREAM.contains(&text) && !text.starts_with(OURS) && !is_nominated(text, upstream)
}

/// Whether `Connection` names this header as meant for one hop only.
fn is_nominated(name: &str, headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|nominated| nominated.trim().eq_ignore_ascii_case(name))
}

/// The length of all header names and values, for the limit on them.
pub fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
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
        let mut request = RequestHeader::build_no_case("POST", b"/", None).expect("a request");
        copy_upstream(Dialect::Anthropic, &client, &mut request);
        let mut names: Vec<_> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "anthropic-beta"]);
    }

    #[test]
    fn hop_by_hop_and_nominated_headers_stay() {
        let upstream = headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a"),
            ("anthropic-organization-id", "o"),
            ("request-id", "req_1"),
            ("x-ratelimit-remaining-tokens", "5"),
        ]);
        let mut response = ResponseHeader::build_no_case(200, None).expect("a response");
        copy_downstream(&upstream, &mut response);
        let mut names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["request-id", "x-ratelimit-remaining-tokens"]);
    }
}
