//! The router as its callers see it.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::routes::PROVIDER;
use super::*;

/// The gateway of the guide's example.
struct Guide {
    draining: bool,
    available: usize,
}

impl View for Guide {
    fn health(&self) -> Health {
        Health {
            draining: self.draining,
            uptime: Duration::from_millis(90_900),
            providers_total: 2,
            providers_available: self.available,
        }
    }

    fn providers(&self) -> Vec<ProviderView> {
        let provider = ProviderView {
            name: "openai".to_owned(),
            status: ProviderHealth::Unhealthy,
            in_cooldown: true,
            last_check: Some(UNIX_EPOCH + Duration::from_secs(1_771_542_000)),
            uptime_percent: 95.0,
            requests_last_minute: 0,
            errors_last_minute: 10,
            average_latency: Duration::ZERO,
            consecutive_failures: 10,
            last_error: Some("server_error".to_owned()),
            credentials: vec![],
            in_flight: 0,
        };
        let claude = ProviderView {
            name: "claude".to_owned(),
            status: ProviderHealth::Healthy,
            in_cooldown: false,
            uptime_percent: 99.9,
            requests_last_minute: 100,
            errors_last_minute: 0,
            average_latency: Duration::from_millis(450),
            consecutive_failures: 0,
            last_error: None,
            credentials: vec![CredentialView { label: "main".to_owned(), status: "ok" }],
            in_flight: 3,
            ..provider.clone()
        };
        let never_probed = ProviderView {
            name: "new".to_owned(),
            status: ProviderHealth::Unknown,
            last_check: None,
            ..claude.clone()
        };
        vec![claude, provider, never_probed]
    }
}

fn operations(view: Guide) -> Operations {
    let metrics = Arc::new(Metrics::new(VERSION).unwrap());
    Operations::new(Arc::new(view), metrics, &config::Api::default(), &config::Metrics::default())
}

fn usual() -> Operations {
    operations(Guide { draining: false, available: 2 })
}

/// A call from this machine.
fn call(operations: &Operations, method: &str, target: &str) -> Response {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:8317"))]);
    operations.dispatch(&Request {
        method: &method.parse().unwrap(),
        path,
        query,
        authority: None,
        headers: &headers,
        from: "127.0.0.1".parse().ok(),
        on: Port::Gateway,
        body: b"",
    })
}

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn providers_are_shown_as_in_the_guide() {
    let response = call(&usual(), "GET", "/v0/operations/providers/status");
    assert_eq!((response.status, response.content_type), (StatusCode::OK, "application/json"));
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    let guide = concat!(
        r#"{"providers":{"claude":{"status":"healthy","in_cooldown":false,"#,
        r#""last_check":"2026-02-19T23:00:00Z","uptime_percent":99.9,"requests_last_minute":100,"#,
        r#""errors_last_minute":0,"average_latency_ms":450,"consecutive_failures":0,"last_error":null,"#,
        r#""credentials":[{"label":"main","status":"ok"}],"in_flight":3},"#,
        r#""openai":{"status":"unhealthy","in_cooldown":true,"last_check":"2026-02-19T23:00:00Z","#,
        r#""uptime_percent":95.0,"requests_last_minute":0,"errors_last_minute":10,"average_latency_ms":0,"#,
    );
    assert!(text.starts_with(guide), "{text}");
}

#[test]
fn a_provider_that_was_never_probed_has_no_last_check() {
    let providers = body(&call(&usual(), "GET", "/v0/operations/providers/status"));
    assert_eq!(providers["providers"]["new"]["status"], "unknown");
    assert_eq!(providers["providers"]["new"]["last_check"], Json::Null);
}

#[test]
fn one_provider_is_shown_alone_and_an_unknown_one_names_the_known() {
    let one = body(&call(&usual(), "GET", "/v0/operations/providers/claude/status"));
    assert_eq!(one["average_latency_ms"], 450);
    let unknown = call(&usual(), "GET", "/v0/operations/providers/nope/status");
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let message = body(&unknown)["error"]["message"].as_str().map(str::to_owned).unwrap();
    assert!(message.contains("claude, openai, new"), "{message}");
}

#[test]
fn health_says_how_the_process_is() {
    for (draining, available, status, word) in [
        (false, 2, 200, "healthy"),
        (false, 1, 200, "degraded"),
        (false, 0, 200, "degraded"),
        (true, 2, 503, "draining"),
    ] {
        let response = call(&operations(Guide { draining, available }), "GET", "/health");
        assert_eq!(response.status, status);
        assert_eq!(
            body(&response),
            json!({
                "status": word, "version": VERSION, "uptime_seconds": 90,
                "providers": {"total": 2, "available": available},
            })
        );
    }
}

#[test]
fn readiness_is_about_the_process_unless_providers_are_asked_for() {
    for (draining, available, target, status) in [
        (false, 2, "/ready", 200),
        (false, 0, "/ready", 200),
        (false, 0, "/ready?providers=0", 200),
        (false, 0, "/ready?x&providers=1", 503),
        (false, 1, "/ready?providers=1", 200),
        (true, 2, "/ready", 503),
    ] {
        let response = call(&operations(Guide { draining, available }), "GET", target);
        assert_eq!(response.status, status, "{target} {draining} {available}");
    }
}

#[test]
fn metrics_are_where_they_are_configured_and_nowhere_else() {
    let mut operations = usual();
    let response = call(&operations, "GET", "/metrics");
    assert_eq!((response.status, response.content_type), (StatusCode::OK, Metrics::CONTENT_TYPE));
    assert!(String::from_utf8_lossy(&response.body).contains("cliproxy_build_info"));

    operations.metrics_path = Some("/internal/metrics".to_owned());
    assert_eq!(call(&operations, "GET", "/internal/metrics").status, 200);
    assert_eq!(call(&operations, "GET", "/metrics").status, 404);
    assert!(operations.owns("/internal/metrics") && !operations.owns("/metrics"));

    operations.metrics_path = None;
    assert_eq!(call(&operations, "GET", "/metrics").status, 404);
}

#[test]
fn an_unknown_path_lists_the_known_ones() {
    for path in
        ["/v0/operations", "/v0/operations/", "/v0/operations/nope", "/v0/operations/providers//status"]
    {
        let response = call(&usual(), "GET", path);
        assert_eq!(response.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(body(&response)["error"]["code"], "not_found");
        assert_eq!(response.headers["x-cliproxy-error"], "not_found");
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(text.contains("GET /v0/operations/providers/status"), "{text}");
    }
}

#[test]
fn a_wrong_method_says_which_is_right() {
    for path in ["/health", "/metrics", "/v0/operations/providers/status"] {
        let response = call(&usual(), "POST", path);
        assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers[header::ALLOW], "GET, HEAD");
        assert_eq!(call(&usual(), "HEAD", path).status, 200);
    }
}

#[test]
fn strangers_learn_nothing_of_what_there_is() {
    let headers = HeaderMap::new();
    for path in ["/v0/operations/providers/status", "/v0/operations/nope", "/v0/operations"] {
        let response = usual().dispatch(&Request {
            method: &Method::POST,
            path,
            query: None,
            authority: None,
            headers: &headers,
            from: "203.0.113.9".parse().ok(),
            on: Port::Operations,
            body: b"",
        });
        assert_eq!(response.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[test]
fn the_gateway_keeps_its_own_paths() {
    let operations = usual();
    for path in ["/health", "/ready", "/metrics", "/v0/operations", "/v0/operations/x"] {
        assert!(operations.owns(path), "{path}");
    }
    for path in ["/", "/v1/models", "/v0/operationsx", "/healthz", "/health/", "//health"] {
        assert!(!operations.owns(path), "{path}");
    }
}

#[test]
fn every_route_is_found_by_its_own_path() {
    for route in ROUTES {
        let path = route.path.replace(PROVIDER, "claude");
        assert_eq!(call(&usual(), route.method.as_str(), &path).status, 200, "{path}");
        assert!(!route.purpose.is_empty() && usual().owns(&path));
    }
}

proptest! {
    #[test]
    fn no_request_breaks_it(
        method in "[A-Z]{1,8}",
        start in prop::sample::select(vec!["", "/", "/health", "/ready", "/v0/operations", "/v0/operations/providers/"]),
        rest in "\\PC{0,20}",
        query in prop::option::of("\\PC{0,20}"),
        headers in prop::collection::vec(("[a-z-]{1,16}", prop::collection::vec(0x20u8..0x7f, 0..20)), 0..4),
        bearer in prop::option::of(prop::collection::vec(0x80u8..=0xff, 0..8)),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), HeaderValue::from_bytes(&value)) {
                map.append(name, value);
            }
        }
        if let Some(Ok(value)) = bearer.map(|bytes| HeaderValue::from_bytes(&bytes)) {
            map.append(header::AUTHORIZATION, value);
        }
        let path = format!("{start}{rest}");
        let response = usual().dispatch(&Request {
            method: &method.parse().unwrap(),
            path: &path,
            query: query.as_deref(),
            authority: None,
            headers: &map,
            from: "127.0.0.1".parse().ok(),
            on: Port::Operations,
            body: b"",
        });
        prop_assert!(response.status.as_u16() < 500, "{} {}", method, path);
    }
}
