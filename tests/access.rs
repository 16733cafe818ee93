//! Who may call what: client keys, anonymous callers, web pages, and the operations API beside them.

use crate::support::{
    Client, Gateway, House, Launch, Metrics, Provider, Response, ask, eventually, expect_error, model_of,
    path_of, provider_of,
};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

const KEYS: &str = "  auth: {api_keys: [client-key]}\n";
const TOKEN: &str = "  operations: {api: {token: operators-token}}\n";
const STATUS: &str = "/v0/operations/providers/status";
const PAGE: &str = "https://chat.example.com";

/// A question in a dialect, with more headers.
fn ask_with(client: &Client, dialect: Dialect, headers: &[(&str, &str)]) -> Response {
    let request = ask(client, dialect, model_of(dialect));
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// A GET with these headers and no others, not even `Host`.
fn get_raw(client: &Client, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut text = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    client.raw(text + "\r\n").answer()
}

#[test]
fn a_client_key_is_taken_from_each_of_its_four_places_in_every_dialect() {
    let house = House::with(KEYS, "");
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        for (name, value) in [
            ("authorization", "Bearer client-key"),
            ("Authorization", "bearer client-key"),
            ("x-api-key", "client-key"),
            ("X-Goog-Api-Key", "client-key"),
        ] {
            ask_with(&client, dialect, &[(name, value)]).expect(200);
        }
        let path = format!("{}?key=client-key", path_of(dialect, model_of(dialect)));
        let body = crate::support::question(dialect, model_of(dialect));
        client.post(&path).header("anthropic-version", "2023-06-01").json(&body).send().expect(200);
    }
}

#[test]
fn a_wrong_key_is_refused_in_every_dialect_and_reaches_nobody() {
    let house = House::with(KEYS, "");
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        for (name, value, words) in [
            ("authorization", "Bearer client-kez", "not known"),
            ("authorization", "Bearer client-key2", "not known"),
            ("authorization", "Basic client-key", "no API key was sent"),
            ("authorization", "Bearer", "no API key was sent"),
            ("x-api-key", "", "not known"),
            ("x-api-key", "CLIENT-KEY", "not known"),
            ("cookie", "key=client-key", "no API key was sent"),
        ] {
            let answer = ask_with(&client, dialect, &[(name, value)]);
            expect_error(&answer, dialect, 401, "unauthorized", words);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(house.asked(), 0);
    expect_error(&client.get("/v1/models").send(), Dialect::OpenAi, 401, "unauthorized", "Bearer <key>");
}

#[test]
fn a_key_with_a_list_of_models_gets_and_sees_only_these() {
    let keys =
        "  auth:\n    api_keys:\n      - {key: narrow, models: [gpt-4o, gemini-2.5-flash]}\n      - wide\n";
    let house = House::with(keys, "");
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        ask(&client, dialect, model_of(dialect)).bearer("wide").send().expect(200);
        let answer = ask(&client, dialect, model_of(dialect)).bearer("narrow").send();
        if dialect == Dialect::Anthropic {
            expect_error(&answer, dialect, 403, "model_forbidden", "`claude-sonnet-4-5`");
        } else {
            answer.expect(200);
        }
    }
    assert_eq!(house.provider(Dialect::Anthropic).requests(), 1);
    let listed = |key: &str| -> Vec<String> {
        let list = client.get("/v1/models").bearer(key).send().expect(200).json();
        let ids = list["data"].as_array().expect("a list").iter().map(|model| model["id"].clone());
        ids.map(|id| id.as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(listed("narrow"), ["gpt-4o", "gemini-2.5-flash"]);
    assert_eq!(listed("wide"), ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"]);
    let hidden = client.get("/v1/models/claude-sonnet-4-5").bearer("narrow").send();
    expect_error(&hidden, Dialect::OpenAi, 404, "model_not_found", "claude-sonnet-4-5");
}

#[test]
fn a_list_of_models_is_not_escaped_by_naming_the_provider() {
    let house = House::with("  auth: {api_keys: [{key: narrow, models: [gpt-4o]}]}\n", "");
    let client = house.gateway.client();
    let name = format!("{}/{}", provider_of(Dialect::OpenAi), model_of(Dialect::OpenAi));
    let answer = ask(&client, Dialect::OpenAi, &name).bearer("narrow").send();
    expect_error(&answer, Dialect::OpenAi, 403, "model_forbidden", &name);
}

#[test]
fn a_hash_is_as_good_as_its_key_and_an_expired_key_is_none() {
    // printf client-key | sha256sum
    let hash = "8eb943e7040b69a94bf39562088223755bff4c2e7c5fc257f1e08f870fe01d35";
    let keys = format!(
        "  auth:\n    api_keys:\n      - {{key_hash: {hash}, name: hashed}}\n      - {{key: old, expires_at: 2020-01-01T00:00:00Z}}\n      - {{key: young, expires_at: 2999-01-01T00:00:00Z}}\n"
    );
    let house = House::with(&keys, "");
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        ask(&client, dialect, model_of(dialect)).bearer("client-key").send().expect(200);
        ask(&client, dialect, model_of(dialect)).bearer("young").send().expect(200);
        let expired = ask(&client, dialect, model_of(dialect)).bearer("old").send();
        expect_error(&expired, dialect, 401, "unauthorized", "expired");
        let not_the_hash = ask(&client, dialect, model_of(dialect)).bearer(hash).send();
        expect_error(&not_the_hash, dialect, 401, "unauthorized", "not known");
    }
}

#[test]
fn without_keys_a_loopback_gateway_serves_programs_and_no_pages() {
    let house = House::open();
    let client = house.gateway.client();
    for host in ["localhost", "localhost:8317", "127.0.0.1", "[::1]:8317"] {
        get_raw(&client, "/v1/models", &[("host", host)]).expect(200);
    }
    get_raw(&client, "/v1/models", &[("host", "localhost"), ("authorization", "Bearer whatever")])
        .expect(200);
    get_raw(&client, "/v1/models", &[("host", "localhost:1"), ("origin", "http://localhost:1")]).expect(200);
    for headers in [
        &[("host", "evil.example")][..],
        &[("host", "localhost.evil.example:8317")],
        &[("host", "10.0.0.1")],
        &[("host", "localhost"), ("origin", "https://evil.example")],
        &[("host", "localhost"), ("origin", "null")],
        &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
        &[("host", "localhost"), ("sec-fetch-site", "same-site")],
    ] {
        let answer = get_raw(&client, "/v1/models", headers);
        expect_error(&answer, Dialect::OpenAi, 401, "unauthorized", "server.auth.api_keys");
    }
    for dialect in Dialect::ALL {
        ask_with(&client, dialect, &[]).expect(200);
        let page = ask_with(&client, dialect, &[("origin", PAGE)]);
        expect_error(&page, dialect, 401, "unauthorized", "server.auth.api_keys");
    }
    assert_eq!(house.asked(), 3);
}

#[test]
fn without_keys_a_public_gateway_is_healthy_and_says_how_to_set_one() {
    let house = House::with("  host: 0.0.0.0\n", "metrics: {host: 127.0.0.1, port: {metrics_port}}\n");
    let client = house.gateway.client();
    client.get("/health").send().expect(200);
    client.get("/ready").send().expect(200);
    for dialect in Dialect::ALL {
        for headers in [&[][..], &[("authorization", "Bearer anything")]] {
            let answer = ask_with(&client, dialect, headers);
            expect_error(&answer, dialect, 401, "unauthorized", "server.auth.api_keys");
        }
    }
    assert_eq!(house.asked(), 0);
    eventually("it warns", || house.gateway.output().contains("the address isn't loopback").then_some(()));
}

#[test]
fn a_public_gateway_serves_everybody_only_where_that_is_meant() {
    let metrics = "metrics: {host: 127.0.0.1, port: {metrics_port}}\n";
    let house = House::with("  host: 0.0.0.0\n  auth: {allow_anonymous: true}\n", metrics);
    let client = house.gateway.client();
    for dialect in Dialect::ALL {
        ask_with(&client, dialect, &[]).expect(200);
        let page = ask_with(&client, dialect, &[("sec-fetch-site", "cross-site")]);
        expect_error(&page, dialect, 401, "unauthorized", "web pages");
    }
    get_raw(&client, "/v1/models", &[("host", "gateway.example")]).expect(200);
}

/// A preflight from a page.
fn preflight(client: &Client, origin: &str) -> Response {
    client
        .request("OPTIONS", "/v1/chat/completions")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, content-type")
        .send()
}

#[test]
fn only_allowed_pages_may_call_and_may_read_our_headers() {
    let cors = format!("{KEYS}  cors: {{allowed_origins: [\"{PAGE}\"]}}\n");
    let house = House::with(&cors, "");
    let client = house.gateway.client();
    let allowed = preflight(&client, PAGE).expect(204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("authorization, content-type"));
    assert!(allowed.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(allowed.header("vary").is_some_and(|vary| vary.contains("origin")));

    let question = |headers: &[(&str, &str)]| ask_with(&client, Dialect::OpenAi, headers);
    let good = question(&[("origin", PAGE), ("authorization", "Bearer client-key")]).expect(200);
    let error = question(&[("origin", PAGE)]).expect(401);
    for answer in [good, error] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert!(
            answer
                .header("access-control-expose-headers")
                .is_some_and(|names| names.contains("x-request-id"))
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for origin in ["https://evil.example", "null", "http://chat.example.com", "https://chat.example.com.evil"]
    {
        let refused = preflight(&client, origin).expect(403);
        assert_eq!(refused.header("access-control-allow-origin"), None);
        let unread = question(&[("origin", origin), ("authorization", "Bearer client-key")]);
        assert_eq!(unread.header("access-control-allow-origin"), None);
    }
}

#[test]
fn without_allowed_origins_no_preflight_is_granted() {
    let house = House::open();
    let refused = preflight(&house.gateway.client(), PAGE);
    expect_error(&refused, Dialect::OpenAi, 403, "forbidden", "server.cors.allowed_origins");
    assert_eq!(refused.header("access-control-allow-origin"), None);
}

#[test]
fn a_client_key_never_opens_the_operations_api() {
    let house = House::with(&format!("{KEYS}{TOKEN}"), "");
    for client in [house.gateway.client(), house.gateway.operations()] {
        for (name, value) in [
            ("authorization", "Bearer client-key"),
            ("x-api-key", "client-key"),
            ("x-api-key", "operators-token"),
            ("x-goog-api-key", "client-key"),
        ] {
            let answer = client.get(STATUS).header(name, value).send().expect(401);
            assert_eq!(answer.json()["error"]["code"], "unauthorized");
            assert!(!answer.text().contains("first"), "no provider is named");
        }
        client.get(&format!("{STATUS}?key=client-key")).send().expect(401);
        client.get(STATUS).bearer("operators-token").send().expect(200);
    }
    let answer = ask(&house.gateway.client(), Dialect::OpenAi, "gpt-4o").bearer("operators-token").send();
    expect_error(&answer, Dialect::OpenAi, 401, "unauthorized", "not known");
}

#[test]
fn the_token_is_asked_for_on_both_ports() {
    let house = House::with(TOKEN, "");
    for client in [house.gateway.client(), house.gateway.operations()] {
        for path in [STATUS, "/v0/operations/providers/first/status", "/v0/operations/nothing"] {
            let refused = client.get(path).send().expect(401);
            assert!(
                refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer"))
            );
            assert!(refused.text().contains("server.operations.api.token"));
            client.get(path).bearer("operators-tokem").send().expect(401);
            let status = if path.ends_with("nothing") { 404 } else { 200 };
            client
                .get(path)
                .bearer("operators-token")
                .header("x-forwarded-for", "203.0.113.9")
                .send()
                .expect(status);
        }
        client.get("/health").send().expect(200);
        client.get("/ready").send().expect(200);
    }
    house.gateway.operations().get("/metrics").send().expect(200);
    house.gateway.client().get("/metrics").send().expect(401);
    house.gateway.client().get("/metrics").bearer("operators-token").send().expect(200);
}

#[test]
fn without_a_token_only_local_programs_call_the_operations_api() {
    let house = House::open();
    for client in [house.gateway.client(), house.gateway.operations()] {
        client.get(STATUS).send().expect(200);
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("via", "1.1 proxy"),
            ("x-real-ip", "127.0.0.1"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let refused = client.get(STATUS).header(name, value).send().expect(403);
            assert!(refused.text().contains("server.operations.api.token"), "{name}");
        }
        get_raw(&client, STATUS, &[("host", "evil.example")]).expect(403);
    }
}

#[test]
fn an_unknown_operations_path_is_told_in_json() {
    let house = House::open();
    for client in [house.gateway.client(), house.gateway.operations()] {
        for path in [
            "/v0/operations",
            "/v0/operations/",
            "/v0/operations/nothing",
            "/v0/operations/providers//status",
        ] {
            let answer = client.get(path).send().expect(404);
            assert_eq!(answer.json()["error"]["code"], "not_found", "{path}");
        }
        let unknown = client.get("/v0/operations/providers/nobody/status").send().expect(404).json();
        assert!(
            unknown["error"]["message"].as_str().is_some_and(|text| text.contains("first, second, third"))
        );
        let wrong = client.post(STATUS).body("{}").send().expect(405);
        assert_eq!(wrong.header("allow"), Some("GET, HEAD"));
    }
    house.gateway.operations().get("/v1/models").send().expect(404);
}

#[test]
fn health_says_degraded_and_ready_can_ask_for_a_provider() {
    let provider = Provider::openai();
    let start =
        |more: &str| Launch::new(&format!("providers:\n{more}  openai: {{models: [gpt-5]}}\n")).start();
    let expect = |gateway: &Gateway, status: &str, available: u64, total: u64, ready: u16| {
        for client in [gateway.client(), gateway.operations()] {
            let health: Value = client.get("/health").send().expect(200).json();
            assert_eq!(health["status"], status, "{health}");
            assert_eq!(health["providers"], json!({"total": total, "available": available}));
            assert!(health["version"].is_string() && health["uptime_seconds"].is_u64(), "{health}");
            client.get("/ready").send().expect(200);
            client.get("/ready?providers=1").send().expect(ready);
            let head = client.request("HEAD", "/health").send().expect(200);
            assert!(head.body.is_empty());
        }
    };
    expect(&start(""), "degraded", 0, 1, 503);
    expect(&start(&provider.yaml("own")), "degraded", 1, 2, 200);
    expect(&House::open().gateway, "healthy", 3, 3, 200);
}

#[test]
fn a_provider_without_a_credential_is_named_to_the_operator_and_not_asked() {
    let gateway = Gateway::start("providers:\n  openai: {models: [gpt-5]}\n");
    let answer = ask(&gateway.client(), Dialect::OpenAi, "gpt-5").send();
    expect_error(&answer, Dialect::OpenAi, 502, "upstream_credentials_exhausted", "openai: no_credential");
}

#[test]
fn every_curl_of_the_guide_works_as_it_is_printed() {
    let house = House::open();
    let (gateway, operations) = (house.gateway.client(), house.gateway.operations());
    ask(&gateway, Dialect::OpenAi, "gpt-4o").send().expect(200);
    // A request is settled a moment after its client has the answer.
    Metrics::after(&house.gateway, 1);
    for (client, port, path, words) in [
        (&gateway, 8317, STATUS, "\"requests_last_minute\":1"),
        (&gateway, 8317, "/health", "\"status\":\"healthy\""),
        (&operations, 9090, "/metrics", "cliproxy_requests_total{"),
    ] {
        let host = format!("localhost:{port}");
        let headers = [("Host", host.as_str()), ("User-Agent", "curl/8.5.0"), ("Accept", "*/*")];
        let answer = get_raw(client, path, &headers).expect(200);
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
    }
}
