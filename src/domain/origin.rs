//! Whether a request may come from a web page that has no business here.
//!
//! A service on loopback that asks for no key can be reached by every page that the user's browser opens:
//! by cross-site requests (`Origin`, `Sec-Fetch-Site`) and by DNS rebinding (a foreign name in `Host` that
//! resolves to 127.0.0.1). Sources: Fetch Metadata (W3C), RFC 6454.

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::uri::Authority;
use std::net::IpAddr;

/// What `Sec-Fetch-Site` says of a request that no foreign page made.
const OWN_SITE: [&str; 2] = ["same-origin", "none"];

/// The header's value, if it is there once and is text.
pub fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether every name that the request gives us (`Host`, and the URI's authority where it has one) is
/// `localhost`, or an address that `is_ours` accepts. A page can make its own name resolve to this
/// machine, but its requests still carry that name.
pub fn is_addressed_to(
    headers: &HeaderMap,
    uri_authority: Option<&str>,
    is_ours: impl Fn(IpAddr) -> bool,
) -> bool {
    let ours = |text: &str| {
        let Ok(authority) = text.parse::<Authority>() else { return false };
        address(authority.host()).map_or_else(|| is_localhost(authority.host()), &is_ours)
    };
    let has_host = headers.contains_key(HOST);
    (has_host || uri_authority.is_some())
        && (!has_host || only(headers, HOST).is_some_and(&ours))
        && uri_authority.is_none_or(&ours)
}

/// Whether an address is this machine's loopback, in whatever clothes.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a page that we did not serve made the request.
pub fn is_foreign_page(headers: &HeaderMap, uri_authority: Option<&str>) -> bool {
    let own_site = |value: &HeaderValue| OWN_SITE.iter().any(|site| value == site);
    let us = only(headers, HOST).or(uri_authority);
    let own_origin = |value: &HeaderValue| {
        let origin = value.to_str().unwrap_or("");
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some() && authority == us
    };
    !headers.get_all("sec-fetch-site").iter().all(own_site) || !headers.get_all(ORIGIN).iter().all(own_origin)
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn loopback_has_many_names() {
        for name in ["localhost", "LOCALHOST:8317", "localhost.", "127.0.0.1", "127.9.9.9:1", "[::1]:8317"] {
            assert!(is_addressed_to(&headers(&[("host", name)]), None, is_loopback), "{name}");
            assert!(is_addressed_to(&HeaderMap::new(), Some(name), is_loopback), "{name} as authority");
        }
        for name in ["", "evil.example", "localhost.evil.example", "10.0.0.1", "[::2]:1", "127.0.0.1.evil"] {
            assert!(!is_addressed_to(&headers(&[("host", name)]), None, is_loopback), "{name}");
        }
        assert!(!is_addressed_to(&HeaderMap::new(), None, is_loopback));
        let two = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert!(!is_addressed_to(&two, None, is_loopback));
        assert!(!is_addressed_to(&headers(&[("host", "localhost")]), Some("evil.example"), is_loopback));
    }

    #[test]
    fn a_foreign_page_is_told_from_a_program_and_from_our_own_page() {
        for own in [
            &[("host", "localhost:8317")][..],
            &[("host", "localhost:8317"), ("origin", "http://localhost:8317")],
            &[("host", "h"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(!is_foreign_page(&headers(own), None), "{own:?}");
        }
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let foreign = headers(&[("host", "localhost:8317"), (name, value)]);
            assert!(is_foreign_page(&foreign, None), "{name}: {value}");
        }
    }
}
