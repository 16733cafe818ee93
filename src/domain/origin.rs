//! Whether a request may come from a web page that has no business here.
//!
//! A gateway on loopback that serves callers without a key can be reached by every page that the user's
//! browser opens: by cross-site requests (`Origin`, `Sec-Fetch-Site`) and by DNS rebinding (a foreign
//! name in `Host` that resolves to 127.0.0.1). Sources: Fetch Metadata (W3C), RFC 6454.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use std::net::IpAddr;

/// Whether the authority (`Host`, or `:authority` in HTTP/2) names this machine's loopback.
pub fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether the request's `Host`, or its `:authority`, names this machine's loopback.
pub fn is_to_loopback(headers: &HeaderMap, uri_authority: Option<&str>) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    host.or(uri_authority).is_some_and(is_loopback_authority)
}

/// Whether a browser says that the request comes from another site than the one it goes to.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let fetch_site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    if fetch_site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let origin_authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, rest)| rest);
    origin_authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn loopback_has_many_names() {
        for name in ["localhost", "LOCALHOST:8317", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8317"] {
            assert!(is_loopback_authority(name), "{name}");
        }
        for name in
            ["", "evil.example", "localhost.evil.example", "10.0.0.1", "[::2]:1", "127.0.0.1.evil.example"]
        {
            assert!(!is_loopback_authority(name), "{name}");
        }
    }

    #[test]
    fn a_foreign_page_is_told_from_a_program_and_from_our_own_page() {
        assert!(!is_cross_site(&headers(&[("host", "localhost:8317")])));
        assert!(!is_cross_site(&headers(&[("host", "localhost:8317"), ("origin", "http://localhost:8317")])));
        assert!(!is_cross_site(&headers(&[("host", "h"), ("sec-fetch-site", "same-origin")])));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(is_cross_site(&headers(&[("host", "localhost:8317"), (name, value)])), "{name}: {value}");
        }
    }
}
