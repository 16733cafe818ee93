//! Who may call what.
//!
//! With a token set, the token decides, wherever the caller is. Without one, only a caller from a trusted
//! network is heard, and only if it is surely the caller itself: not somebody behind a proxy that runs
//! there (forwarding headers), and not a web page in a browser that runs there (`Origin`,
//! `Sec-Fetch-Site`, and a `Host` that a name under the page's control could resolve to us as). A client's
//! API key is not looked at: it never opens this API.

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::config::{Api, Metrics};
use super::message::{Port, Request, Response};
use crate::domain::{ErrorCode, Secret, origin};
use crate::settings::Network;

/// Headers that proxies add. A request that has one comes from somewhere else than its connection says.
const FORWARDING: [&str; 9] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-envoy-external-address",
];

/// And those whose names begin so: `x-forwarded-for`, `-host`, `-proto`, ….
const FORWARDING_PREFIX: &str = "x-forwarded";

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, since load balancers and orchestrators have no tokens.
    Anyone,
    /// Scrapers: everybody on the operations port unless there is a token for it; on the gateway port as
    /// operators, the scrapers' token being good too.
    Scraper,
    /// Operators.
    Operator,
}

/// How operators and scrapers are known.
#[derive(Clone, Debug)]
pub(super) struct AccessRules {
    /// The operators' token.
    token: Option<Secret>,
    /// The scrapers' token; good for metrics only.
    metrics_token: Option<Secret>,
    /// Where operators may call from if there is no token.
    trusted_networks: Vec<Network>,
}

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A token is set, and the request doesn't carry it.
    TokenNeeded,
    /// The caller's address is not in a trusted network.
    NotTrusted,
    /// The request came through a proxy.
    Forwarded,
    /// The request is addressed to a name that needn't be ours.
    ForeignHost,
    /// A web page of another site made the request.
    ForeignOrigin,
}

impl AccessRules {
    /// The rules that are configured.
    pub(super) fn new(api: &Api, metrics: &Metrics) -> AccessRules {
        AccessRules {
            token: api.token.clone(),
            metrics_token: metrics.token.clone(),
            trusted_networks: api.trusted_networks.clone(),
        }
    }

    /// Whether the request may have what needs that access.
    pub(super) fn check(&self, access: Access, request: &Request<'_>) -> Result<(), Refusal> {
        let (token, metrics_token) = (self.token.as_ref(), self.metrics_token.as_ref());
        match (access, request.on) {
            (Access::Anyone, _) => Ok(()),
            (Access::Scraper, Port::Operations) if metrics_token.is_none() => Ok(()),
            (Access::Scraper, _) => self.decide(&[metrics_token, token], request),
            (Access::Operator, _) => self.decide(&[token], request),
        }
    }

    /// Any of the tokens that are set; if none is, the caller's place.
    fn decide(&self, tokens: &[Option<&Secret>], request: &Request<'_>) -> Result<(), Refusal> {
        if tokens.iter().all(Option::is_none) {
            return self.trusted(request);
        }
        let shown = bearer(request.headers).ok_or(Refusal::TokenNeeded)?;
        // Every token is compared, so that the time says nothing about which one matched.
        let matches = tokens.iter().flatten().filter(|token| ***token == shown).count();
        if matches > 0 { Ok(()) } else { Err(Refusal::TokenNeeded) }
    }

    fn trusted(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let from = request.from.ok_or(Refusal::NotTrusted)?;
        if !self.trusted_networks.iter().any(|network| network.contains(from)) {
            return Err(Refusal::NotTrusted);
        }
        if request.headers.keys().any(|name| is_forwarding(name.as_str())) {
            return Err(Refusal::Forwarded);
        }
        // A caller from another trusted network has to use some address of ours, which no name stands behind.
        let is_ours = |address| origin::is_loopback(address) || !origin::is_loopback(from);
        if !origin::is_addressed_to(request.headers, request.authority, is_ours) {
            return Err(Refusal::ForeignHost);
        }
        if origin::is_foreign_page(request.headers, request.authority) {
            Err(Refusal::ForeignOrigin)
        } else {
            Ok(())
        }
    }
}

impl Refusal {
    /// The answer, which says what to do.
    pub(super) fn response(self) -> Response {
        let message = match self {
            Refusal::TokenNeeded => {
                "This needs the token of the operations API: send \"Authorization: Bearer <token>\" \
                 (server.operations.api.token, or metrics.token for metrics)."
            }
            Refusal::NotTrusted => {
                "No operations token is set, so only callers from trusted networks are answered. Set \
                 server.operations.api.token and send it as a bearer token, or add your network to \
                 server.operations.api.trusted_networks."
            }
            Refusal::Forwarded => {
                "The request came through a proxy, so its caller can't be trusted by address. Set \
                 server.operations.api.token and send it as a bearer token."
            }
            Refusal::ForeignHost => {
                "Without an operations token, requests must be addressed to localhost or an IP address. Set \
                 server.operations.api.token and send it as a bearer token."
            }
            Refusal::ForeignOrigin => {
                "Without an operations token, web pages of other sites are not answered. Set \
                 server.operations.api.token and send it as a bearer token."
            }
        };
        match self {
            Refusal::TokenNeeded => {
                let challenge = HeaderValue::from_static("Bearer realm=\"cliproxy operations\"");
                Response::error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized.name(), message)
                    .with(header::WWW_AUTHENTICATE, challenge)
            }
            Refusal::NotTrusted | Refusal::Forwarded | Refusal::ForeignHost | Refusal::ForeignOrigin => {
                Response::error(StatusCode::FORBIDDEN, ErrorCode::Forbidden.name(), message)
            }
        }
    }
}

/// The bearer token, if there is exactly one. An empty one is none, so that an empty setting opens nothing.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let text = origin::only(headers, header::AUTHORIZATION)?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token))
}

fn is_forwarding(name: &str) -> bool {
    name.starts_with(FORWARDING_PREFIX) || FORWARDING.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Scalar;
    use Refusal::{ForeignHost, ForeignOrigin, Forwarded, NotTrusted, TokenNeeded};
    use http::{HeaderName, Method};

    const OPEN: [Option<&str>; 2] = [None, None];
    const TOKEN: [Option<&str>; 2] = [Some("operator"), None];
    const METRICS_TOKEN: [Option<&str>; 2] = [None, Some("scraper")];
    const BOTH: [Option<&str>; 2] = [Some("operator"), Some("scraper")];

    const LOCAL: &str = "127.0.0.1";
    const REMOTE: &str = "203.0.113.9";
    const HOST: (&str, &str) = ("host", "localhost:8317");

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(parsed) {
            headers.append(name, value);
        }
        headers
    }

    fn verdict(
        [token, metrics_token]: [Option<&str>; 2],
        (access, on): (Access, Port),
        from: &str,
        pairs: &[(&str, &str)],
    ) -> Result<(), Refusal> {
        let rules = AccessRules {
            token: token.map(Secret::new),
            metrics_token: metrics_token.map(Secret::new),
            trusted_networks: [Api::default().trusted_networks, vec![Network::parse("10.0.0.0/8").unwrap()]]
                .concat(),
        };
        let request = Request {
            method: &Method::GET,
            path: "/",
            query: None,
            authority: None,
            headers: &headers(pairs),
            from: from.parse().ok(),
            on,
            body: b"",
        };
        rules.check(access, &request)
    }

    const OPERATOR: (Access, Port) = (Access::Operator, Port::Gateway);
    const SCRAPE: (Access, Port) = (Access::Scraper, Port::Operations);
    const SCRAPE_GATEWAY: (Access, Port) = (Access::Scraper, Port::Gateway);

    #[test]
    fn anyone_may_ask_for_health() {
        for tokens in [OPEN, BOTH] {
            let on = (Access::Anyone, Port::Gateway);
            assert_eq!(verdict(tokens, on, REMOTE, &[("x-forwarded-for", "1.2.3.4")]), Ok(()));
        }
    }

    #[test]
    fn a_token_decides_wherever_the_caller_is() {
        for (pairs, expected) in [
            (&[("authorization", "Bearer operator")][..], Ok(())),
            (&[("authorization", "bearer  operator ")], Ok(())),
            (&[("authorization", "Bearer operator"), ("x-forwarded-for", "1.2.3.4")], Ok(())),
            (&[("authorization", "Bearer operatoR")], Err(TokenNeeded)),
            (&[("authorization", "Bearer operator2")], Err(TokenNeeded)),
            (&[("authorization", "Bearer ")], Err(TokenNeeded)),
            (&[("authorization", "Basic operator")], Err(TokenNeeded)),
            (&[("authorization", "Bearer operator"), ("authorization", "Bearer x")], Err(TokenNeeded)),
            (&[("x-api-key", "operator")], Err(TokenNeeded)),
            (&[HOST], Err(TokenNeeded)),
        ] {
            for from in [LOCAL, REMOTE] {
                assert_eq!(verdict(TOKEN, OPERATOR, from, pairs), expected, "{from} {pairs:?}");
            }
        }
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        let empty = [Some(""), None];
        for pairs in [&[("authorization", "Bearer ")][..], &[("authorization", "Bearer")], &[HOST]] {
            assert_eq!(verdict(empty, OPERATOR, LOCAL, pairs), Err(TokenNeeded), "{pairs:?}");
        }
    }

    #[test]
    fn without_a_token_the_callers_place_decides() {
        for (from, pairs, expected) in [
            (LOCAL, &[HOST][..], Ok(())),
            ("::1", &[("host", "[::1]:9090")], Ok(())),
            ("::ffff:127.0.0.1", &[("host", "127.0.0.1")], Ok(())),
            ("10.1.2.3", &[("host", "10.0.0.1:8317")], Ok(())),
            (REMOTE, &[HOST], Err(NotTrusted)),
            ("not known", &[HOST], Err(NotTrusted)),
            (LOCAL, &[("authorization", "Bearer sk-client-key")], Err(ForeignHost)),
            (REMOTE, &[HOST, ("authorization", "Bearer sk-client-key")], Err(NotTrusted)),
        ] {
            assert_eq!(verdict(OPEN, OPERATOR, from, pairs), expected, "{from} {pairs:?}");
        }
    }

    #[test]
    fn whoever_comes_through_a_proxy_is_not_local() {
        let names = ["x-forwarded-for", "X-Forwarded-Host", "x-forwarded-proto", "x-forwarded"];
        for name in names.into_iter().chain(FORWARDING) {
            assert_eq!(verdict(OPEN, OPERATOR, LOCAL, &[HOST, (name, "")]), Err(Forwarded), "{name}");
        }
    }

    #[test]
    fn a_name_that_was_made_to_resolve_to_us_is_refused() {
        for host in
            ["evil.example:8317", "localhost.evil.example", "127.0.0.1.nip.example", "x@y@z", "", "10.0.0.1"]
        {
            assert_eq!(verdict(OPEN, OPERATOR, LOCAL, &[("host", host)]), Err(ForeignHost), "{host}");
        }
        let two = [HOST, ("host", "evil.example")];
        assert_eq!(verdict(OPEN, OPERATOR, LOCAL, &two), Err(ForeignHost));
        assert_eq!(verdict(OPEN, OPERATOR, "10.1.2.3", &[("host", "evil.example")]), Err(ForeignHost));
        assert_eq!(verdict(OPEN, OPERATOR, LOCAL, &[]), Err(ForeignHost));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        for (name, value, expected) in [
            ("origin", "https://evil.example", Err(ForeignOrigin)),
            ("origin", "null", Err(ForeignOrigin)),
            ("origin", "http://localhost:3000", Err(ForeignOrigin)),
            ("origin", "http://localhost:8317", Ok(())),
            ("sec-fetch-site", "cross-site", Err(ForeignOrigin)),
            ("sec-fetch-site", "same-site", Err(ForeignOrigin)),
            ("sec-fetch-site", "same-origin", Ok(())),
            ("sec-fetch-site", "none", Ok(())),
        ] {
            assert_eq!(verdict(OPEN, OPERATOR, LOCAL, &[HOST, (name, value)]), expected, "{name}: {value}");
        }
    }

    #[test]
    fn metrics_are_open_on_their_own_port_and_guarded_on_the_gateways() {
        let (scraper, operator) = (("authorization", "Bearer scraper"), ("authorization", "Bearer operator"));
        for (tokens, on, from, pairs, expected) in [
            (OPEN, SCRAPE, REMOTE, &[][..], Ok(())),
            (TOKEN, SCRAPE, REMOTE, &[], Ok(())),
            (METRICS_TOKEN, SCRAPE, LOCAL, &[HOST], Err(TokenNeeded)),
            (METRICS_TOKEN, SCRAPE, REMOTE, &[scraper], Ok(())),
            (BOTH, SCRAPE, REMOTE, &[operator], Ok(())),
            (OPEN, SCRAPE_GATEWAY, LOCAL, &[HOST], Ok(())),
            (OPEN, SCRAPE_GATEWAY, REMOTE, &[HOST], Err(NotTrusted)),
            (TOKEN, SCRAPE_GATEWAY, LOCAL, &[HOST], Err(TokenNeeded)),
            (TOKEN, SCRAPE_GATEWAY, REMOTE, &[operator], Ok(())),
            (METRICS_TOKEN, SCRAPE_GATEWAY, LOCAL, &[HOST], Err(TokenNeeded)),
            (METRICS_TOKEN, SCRAPE_GATEWAY, REMOTE, &[scraper], Ok(())),
            (BOTH, OPERATOR, LOCAL, &[HOST, scraper], Err(TokenNeeded)),
            (METRICS_TOKEN, OPERATOR, REMOTE, &[scraper], Err(NotTrusted)),
        ] {
            assert_eq!(verdict(tokens, on, from, pairs), expected, "{tokens:?} {on:?} {from} {pairs:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_get_in() {
        for refusal in [TokenNeeded, NotTrusted, Forwarded, ForeignHost, ForeignOrigin] {
            let response = refusal.response();
            let asks = response.headers.contains_key(header::WWW_AUTHENTICATE);
            assert_eq!(asks, response.status == StatusCode::UNAUTHORIZED, "{refusal:?}");
            assert!(String::from_utf8_lossy(&response.body).contains("server.operations.api.token"));
        }
    }
}
