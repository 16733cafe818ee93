//! Providers over TLS: who is trusted, under which name, and who we are to them.

use crate::support::{
    Authority, Gateway, H2Provider, H2Settings, Metrics, Provider, Question, Response, assert_whole,
    expect_error, serve, status,
};
use cliproxy::domain::Dialect;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

const MODELS: &[&str] = &["models: [m]", "priority: 1"];

fn question() -> Question {
    Question::new(Dialect::OpenAi, "m")
}

fn ask(gateway: &Gateway, question: &Question) -> Response {
    question.to(&gateway.client()).send()
}

#[test]
fn certificates_that_are_not_good_for_the_provider_move_on_to_the_next() {
    let (authority, stranger, second) = (Authority::new(), Authority::new(), Provider::openai());
    let alpn = &["h2", "http/1.1"];
    let cases = [
        ("expired", authority.server(&authority.issue_expired(&["127.0.0.1"]), alpn)),
        ("another name", authority.server(&authority.issue(&["other.example"]), alpn)),
        ("a name, where an address is called", authority.server(&authority.issue(&["localhost"]), alpn)),
        ("of an unknown authority", stranger.server(&stranger.issue(&["127.0.0.1"]), alpn)),
    ];
    for (what, tls) in cases {
        let provider = H2Provider::over(tls, H2Settings::default(), serve);
        let entry = provider.yaml("only", &authority, MODELS);
        let backup = second.yaml_with("second", &["priority: 2", "models: [m]"]);
        let gateway = Gateway::start(&format!("providers:\n{entry}{backup}"));
        let answer = ask(&gateway, &question());
        assert_whole(&question(), &answer);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{what}");
        let alone = Gateway::start(&format!("providers:\n{entry}"));
        let answer = ask(&alone, &question());
        expect_error(&answer, Dialect::OpenAi, 503, "upstream_unavailable", "");
        for secret in ["127.0.0.1", "localhost", "example", &provider.port().to_string(), "ertificate"] {
            assert!(!answer.text().contains(secret), "{what}: {}", answer.text());
        }
        let said = status(&alone, "only")["last_error"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains("ertificate") || said.contains("TLS"), "{what}: operators are told: {said}");
        assert_eq!((provider.connections(), provider.requests()), (0, 0));
    }
}

/// A connection of HTTP/1.1 over TLS.
fn handshake(listener: &TcpListener, tls: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    let (stream, _) = listener.accept().expect("a connection");
    StreamOwned::new(ServerConnection::new(Arc::clone(tls)).expect("a session"), stream)
}

/// Reads one whole request of this file's.
fn read_request(stream: &mut impl Read) {
    let mut request = Vec::new();
    while !request.ends_with(br#""model":"m"}"#) {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).expect("a request");
        assert!(read > 0, "a whole request");
        request.extend_from_slice(&bytes[..read]);
    }
}

#[test]
fn a_pooled_connection_that_ends_without_a_good_bye_costs_nothing() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let authority = Authority::new();
    let tls = Arc::new(authority.server(&authority.issue(&["127.0.0.1"]), &["http/1.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let gateway = Gateway::start(&format!(
        "providers:\n  only: {{format: openai, base_url: \"https://{address}\", ca_file: {}, models: [m]}}\n",
        authority.ca_file().display()
    ));
    let serving = std::thread::spawn(move || {
        let mut first = handshake(&listener, &tls);
        read_request(&mut first);
        first.write_all(ANSWER).expect("answered");
        // All of the second request is read, so that this is no reset.
        read_request(&mut first);
        drop(first);
        let mut second = handshake(&listener, &tls);
        read_request(&mut second);
        second.write_all(ANSWER).expect("answered");
    });
    for requests in 1..=2 {
        let answer = ask(&gateway, &question()).expect(200);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
        // Once it is counted, its connection is back in the pool.
        Metrics::after(&gateway, requests);
    }
    serving.join().expect("both requests came as they should");
}

#[test]
fn a_host_is_named_in_the_handshake_and_an_address_is_not() {
    let authority = Authority::new();
    let provider = H2Provider::start(&authority, serve);
    for (host, name) in [("localhost", Some("localhost".to_owned())), ("127.0.0.1", None)] {
        let url = format!("https://{host}:{}", provider.port());
        let entry = provider.yaml_at(&url, "only", &authority, MODELS);
        let gateway = Gateway::start(&format!("providers:\n{entry}"));
        assert_whole(&question(), &ask(&gateway, &question()));
        assert_eq!(provider.names().last(), Some(&name));
    }
}

/// A gateway that lets a client call `own` directly.
fn open_to_pass_through(entry: &str) -> Gateway {
    let auth = "{api_keys: [{key: opener, passthrough: [own]}]}";
    Gateway::start(&format!("server:\n  port: {{port}}\n  auth: {auth}\nproviders:\n{entry}"))
}

#[test]
fn pass_through_trusts_the_same_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let provider = H2Provider::start(&authority, serve);
    let gateway = open_to_pass_through(&provider.yaml("own", &authority, &[]));
    let body = question().body();
    let post = |gateway: &Gateway| {
        gateway.client().post("/providers/own/v1/chat/completions").bearer("opener").json(&body).send()
    };
    for _ in 0..2 {
        assert_whole(&question(), &post(&gateway));
    }
    assert_eq!((provider.connections(), provider.requests()), (1, 2));
    let gateway = open_to_pass_through(&provider.yaml("own", &stranger, &[]));
    expect_error(&post(&gateway), Dialect::OpenAi, 503, "upstream_unavailable", "could not be reached");
    assert_eq!(provider.requests(), 2);
}

#[test]
fn a_web_socket_is_opened_in_http_1_1_although_the_provider_has_2() {
    let authority = Authority::new();
    let provider = H2Provider::start(&authority, serve);
    let gateway = open_to_pass_through(&provider.yaml("own", &authority, &[]));
    gateway.client().get("/providers/own/v1/models").bearer("opener").send().expect(200);
    let head = "GET /providers/own/v1/realtime HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer opener\r\n\
        connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut raw = gateway.client().raw(head);
    assert_eq!(raw.answer().status, 101);
    assert!(
        provider.heads().iter().any(|head| head.contains("upgrade: websocket")),
        "{:?}",
        provider.heads()
    );
}

#[test]
fn a_provider_that_wants_to_know_its_client_is_shown_our_certificate() {
    let authority = Authority::new();
    let (theirs, ours) = (authority.issue(&["127.0.0.1"]), authority.issue(&["gateway.example"]));
    let tls = authority.server_for_known_clients(&theirs, &["h2", "http/1.1"]);
    let provider = H2Provider::over(tls, H2Settings::default(), serve);
    let shown = [
        "models: [m]".to_owned(),
        format!("client_cert_file: {}", ours.cert_file.display()),
        format!("client_key_file: {}", ours.key_file.display()),
    ];
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let gateway = open_to_pass_through(&provider.yaml("own", &authority, &shown));
    let body = question().body();
    let call =
        |gateway: &Gateway, path: &str| gateway.client().post(path).bearer("opener").json(&body).send();
    let paths = ["/v1/chat/completions", "/providers/own/v1/chat/completions"];
    for path in paths {
        assert_whole(&question(), &call(&gateway, path));
    }
    let unknown = open_to_pass_through(&provider.yaml("own", &authority, MODELS));
    for path in paths {
        expect_error(&call(&unknown, path), Dialect::OpenAi, 503, "upstream_unavailable", "");
    }
    assert_eq!(provider.requests(), 2);
}
