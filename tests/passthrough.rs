//! `/providers/{name}/…`: anything goes, in both directions, and nothing gets out of the provider's place.

use crate::support::{Canned, Client, Gateway, Metrics, Provider, expect_error, free_port};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Options, Received};
use std::io::{Read, Write};
use std::time::Duration;

/// A provider that tells what arrived at any path.
fn echo() -> Provider {
    Provider::with(Dialect::OpenAi, Options { echo_prefix: "/".to_owned(), ..Options::default() })
}

/// A gateway before these providers, with one key that opens the one called `own` and one that opens none.
fn gateway(entries: &str) -> Gateway {
    Gateway::start(&format!(
        "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: opener, passthrough: [own]}}, plain]}}\n\
         providers:\n{entries}"
    ))
}

fn last(provider: &Provider) -> Received {
    provider.transcript().pop().expect("it was asked")
}

#[test]
fn any_method_path_and_body_reaches_the_provider_with_its_key() {
    let provider = echo();
    let gateway = gateway(&provider.yaml("own"));
    let client = gateway.client();
    for (method, body) in [
        ("GET", &b""[..]),
        ("POST", b"{\"a\":1}"),
        ("PUT", b"\x00\xff not text"),
        ("PATCH", b"x"),
        ("DELETE", b""),
        ("OPTIONS", b""),
    ] {
        let request = client.request(method, "/providers/own/v1/files/a%20b?limit=2&key=opener&after=x%2Fy");
        let answer = request.bearer("opener").body(body).send().expect(200).json();
        assert_eq!((&answer["method"], &answer["body_length"]), (&method.into(), &body.len().into()));
        let received = last(&provider);
        assert_eq!(
            (received.path.as_str(), received.query.as_str()),
            ("/v1/files/a%20b", "limit=2&after=x%2Fy")
        );
        assert_eq!(received.header("authorization"), Some(format!("Bearer {}", provider.key()).as_str()));
        assert_eq!(&received.body[..], body);
    }
    let head = client.request("HEAD", "/providers/own/v1/files").bearer("opener").send().expect(200);
    assert!(head.body.is_empty());
    client.get("/providers/own").bearer("opener").send().expect(200);
    assert_eq!(last(&provider).path, "/");
}

#[test]
fn a_megabyte_in_chunks_arrives_whole() {
    let provider = echo();
    let gateway = gateway(&provider.yaml("own"));
    let body: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
    let request = gateway.client();
    let request = request.put_chunked("/providers/own/v1/files", &body);
    assert_eq!(request, 1 << 20);
    assert_eq!(last(&provider).body, body);
}

trait Upload {
    /// Sends a body in chunks and returns the length that the provider saw.
    fn put_chunked(&self, path: &str, body: &[u8]) -> u64;
}

impl Upload for Client {
    fn put_chunked(&self, path: &str, body: &[u8]) -> u64 {
        let answer = self.request("PUT", path).bearer("opener").body(body).chunked(10_000).send();
        answer.expect(200).json()["body_length"].as_u64().unwrap_or_default()
    }
}

/// Reads until the text has these words.
#[track_caller]
fn read_until(stream: &mut impl Read, words: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(words) {
        let read = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {text:?}"));
        assert!(read > 0, "closed after {text:?}");
        text += &String::from_utf8_lossy(&buffer[..read]);
    }
    text
}

#[test]
fn bytes_flow_both_ways_before_either_side_is_done() {
    let canned = Canned::serving(|stream, _| {
        read_until(stream, "first question");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let _ = stream.write_all(b"c\r\nfirst answer\r\n");
        read_until(stream, "last question");
        let _ = stream.write_all(b"b\r\nlast answer\r\n0\r\n\r\n");
    });
    let gateway = gateway(&canned.yaml("own", Dialect::OpenAi, &["api_key: provider-key"]));
    let head = "POST /providers/own/v1/realtime HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer opener\r\n\
        transfer-encoding: chunked\r\n\r\n";
    let mut raw = gateway.client().raw(head);
    raw.write("e\r\nfirst question\r\n");
    let begun = read_until(&mut raw.stream, "first answer");
    assert!(begun.starts_with("HTTP/1.1 200") && !begun.contains("last answer"), "{begun}");
    raw.write("d\r\nlast question\r\n0\r\n\r\n");
    read_until(&mut raw.stream, "last answer");
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it() {
    let provider = echo();
    let gateway = gateway(&provider.yaml("own"));
    let head = "PUT /providers/own/v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer opener\r\n\
        content-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let mut raw = gateway.client().timeout(Duration::from_secs(3)).raw(head);
    assert_eq!(raw.answer().status, 100);
    raw.write("hello");
    assert_eq!(raw.answer().expect(200).json()["body_length"], 5);
}

#[test]
fn only_keys_that_name_the_provider_may() {
    let (provider, other) = (echo(), echo());
    let gateway = gateway(&format!("{}{}", provider.yaml("own"), other.yaml("other")));
    let client = gateway.client();
    let get = |name: &str, key: &str| client.get(&format!("/providers/{name}/v1/files")).bearer(key).send();
    get("own", "opener").expect(200);
    expect_error(&get("own", "plain"), Dialect::OpenAi, 403, "forbidden", "passthrough: [own]");
    expect_error(&get("other", "opener"), Dialect::OpenAi, 403, "forbidden", "passthrough: [other]");
    expect_error(&get("own", "wrong"), Dialect::OpenAi, 401, "unauthorized", "not known");
    for name in ["nobody", "OWN", "ow%6e", "own%2F..", ""] {
        expect_error(&get(name, "opener"), Dialect::OpenAi, 404, "not_found", "known: other, own");
    }
    assert_eq!((provider.requests(), other.requests()), (1, 0));
}

#[test]
fn anonymous_callers_may_not() {
    let provider = echo();
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("own")));
    let answer = gateway.client().get("/providers/own/v1/files").send();
    expect_error(&answer, Dialect::OpenAi, 403, "forbidden", "passthrough: [own]");
    assert_eq!(provider.requests(), 0);
}

#[test]
fn no_path_leads_out_of_the_provider() {
    let provider = echo();
    let entry =
        provider.yaml("own").replace(&provider.base_url(), &format!("{}/tenant/api", provider.base_url()));
    let gateway = gateway(&entry);
    let client = gateway.client();
    for path in [
        "/..",
        "/../admin",
        "/a/../../admin",
        "/%2e%2e/admin",
        "/%2E%2E/admin",
        "/.%2e/admin",
        "/a/..;/admin",
        "//evil.example/x",
        "/\\..\\admin",
        "/..\\admin",
        "/%5c..%5cadmin",
        "/..%2fadmin",
        "/%00",
        "/.",
    ] {
        let answer = client.get(&format!("/providers/own{path}")).bearer("opener").send();
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        // What the parser of paths refuses has no dialect.
        if !answer.body.is_empty() {
            expect_error(&answer, Dialect::OpenAi, 400, "invalid_request", "below");
        }
    }
    assert_eq!(provider.requests(), 0);
    for (path, upstream) in [
        ("/v1/files", "/tenant/api/v1/files"),
        ("/a//b", "/tenant/api/a//b"),
        ("/a%20b/c..d/.e", "/tenant/api/a%20b/c..d/.e"),
        ("/", "/tenant/api/"),
        ("?x=../..", "/tenant/api/"),
    ] {
        client.get(&format!("/providers/own{path}")).bearer("opener").send().expect(200);
        assert_eq!(last(&provider).path, upstream, "{path}");
    }
    let absolute = "GET http://localhost/providers/own/v1/files HTTP/1.1\r\nhost: localhost\r\n\
        authorization: Bearer opener\r\nconnection: close\r\n\r\n";
    client.raw(absolute).answer().expect(200);
    let received = last(&provider);
    assert_eq!(received.path, "/tenant/api/v1/files");
    assert_eq!(received.header("host"), Some(provider.address().to_string().as_str()));
}

#[test]
fn a_provider_that_is_down_is_said_to_be() {
    let entry = format!(
        "  own: {{format: openai, base_url: \"http://127.0.0.1:{}\", api_key: provider-key}}\n",
        free_port()
    );
    let gateway_to_nobody = gateway(&entry);
    let refusing = Provider::openai().refusing();
    let gateway_to_refusing = gateway(&refusing.yaml("own"));
    let resetting = Provider::openai().resetting();
    let gateway_to_resetting = gateway(&resetting.yaml("own"));
    let keyless = gateway(
        "  own: {format: openai, base_url: \"http://127.0.0.1:1\", enabled: false, api_key: provider-key}\n",
    );
    for gateway in [gateway_to_nobody, gateway_to_refusing, gateway_to_resetting, keyless] {
        let client = gateway.client();
        for method in ["GET", "POST"] {
            let answer = client.request(method, "/providers/own/v1/files").bearer("opener").send();
            expect_error(&answer, Dialect::OpenAi, 503, "upstream_unavailable", "try again later");
            assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
            assert_eq!(answer.header("connection"), Some("close"), "Pingora will not keep it open");
            assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
        }
        client.get("/v1/models").bearer("opener").send().expect(200);
    }
}

/// The value of the series of a counter with all of these labels.
fn counted(gateway: &Gateway, name: &str, labels: &[&str]) -> f64 {
    let text = gateway.operations().get("/metrics").send().expect(200).text();
    let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let matching = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn what_passes_through_is_counted_in_metrics_and_status() {
    let provider = Provider::openai();
    let gateway = gateway(&provider.yaml("own"));
    let client = gateway.client();
    let get = |path: &str| client.get(&format!("/providers/own{path}")).bearer("opener").send();
    get("/v1/files").expect(200);
    get("/v1/models").expect(200);
    let posted = client.post("/providers/own/v1/chat/completions").bearer("opener");
    posted.json(&serde_json::json!({"model": "status-500", "messages": []})).send().expect(500);
    Metrics::after(&gateway, 3);
    let own = "provider=\"own\"";
    let requests = |status: &str| counted(&gateway, "cliproxy_requests_total", &[own, status]);
    assert_eq!((requests("status=\"success\""), requests("status=\"error\"")), (2.0, 1.0));
    assert_eq!(counted(&gateway, "cliproxy_errors_total", &[own, "error_type=\"server_error\""]), 1.0);
    assert_eq!(counted(&gateway, "cliproxy_attempts_total", &[own]), 3.0);
    let status = gateway.operations().get("/v0/operations/providers/own/status").send().expect(200).json();
    assert_eq!(
        (&status["requests_last_minute"], &status["errors_last_minute"]),
        (&3.into(), &1.into()),
        "{status}"
    );
}

#[test]
fn a_clients_fault_is_not_counted_against_the_provider() {
    let provider = Provider::openai();
    let gateway = gateway(&provider.yaml("own"));
    let client = gateway.client();
    client.get("/providers/own/v1/nothing").bearer("opener").send().expect(404);
    client.post("/providers/own/v1/chat/completions").bearer("opener").body("{").send().expect(400);
    Metrics::after(&gateway, 2);
    let status = gateway.operations().get("/v0/operations/providers/own/status").send().expect(200).json();
    assert_eq!(status["errors_last_minute"], 0, "{status}");
}
