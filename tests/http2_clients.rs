//! Clients that speak HTTP/2, in the clear and over TLS: many streams on one connection, each on its own.

use crate::support::{
    Authority, BodyEnd, Canned, Client, Event, Gateway, H2Client, H2Whole, Launch, Metrics, Provider,
    Question, eventually, logged, status, tls_exchange,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Ending, Options};
use futures_util::future::join_all;
use h2::client::Builder;
use http::Method;
use std::time::{Duration, Instant};

/// Long enough that no test waits for it to end.
const NEVER: Duration = Duration::from_secs(60);

fn words(question: &Question, answer: &H2Whole) -> String {
    assert_eq!(
        (answer.status.as_u16(), answer.end()),
        (200, BodyEnd::Clean),
        "{}: {:?}",
        answer.text(),
        answer.error
    );
    question.words_of(&Event::all(&answer.body))
}

#[tokio::test]
async fn a_hundred_streams_on_one_connection_all_get_their_words_in_order() {
    let interval = Duration::from_millis(2);
    for dialect in Dialect::ALL {
        let provider = Provider::with(dialect, Options { token_interval: interval, ..Options::default() });
        let gateway = Gateway::before(&provider, "models: [m]");
        let client = H2Client::connect(gateway.port()).await;
        let question = Question::new(dialect, "m").streamed();
        let answers = join_all((0..100).map(|_| async { client.ask(&question).await.rest().await })).await;
        for answer in &answers {
            assert_eq!(words(&question, answer), ANSWER);
        }
        assert_eq!(provider.asked().len(), 100);
    }
}

#[tokio::test]
async fn tls_speaks_both_versions_as_its_client_likes() {
    let (authority, provider) = (Authority::new(), Provider::openai());
    let identity = authority.issue(&["127.0.0.1"]);
    let yaml = format!(
        "server:\n  port: {{port}}\n  tls: {{cert_file: {}, key_file: {}}}\nproviders:\n{}",
        identity.cert_file.display(),
        identity.key_file.display(),
        provider.yaml_with("only", &["models: [m]"])
    );
    let gateway = Launch::new(&yaml).spawn();
    eventually("it listens", || std::net::TcpStream::connect(("127.0.0.1", gateway.port())).ok());
    for question in Question::both_ways(Dialect::OpenAi, "m") {
        let answer =
            H2Client::connect_tls(gateway.port(), &authority).await.ask(&question).await.rest().await;
        assert_eq!((answer.status.as_u16(), answer.end()), (200, BodyEnd::Clean));
        assert!(answer.text().contains(ANSWER) || words(&question, &answer) == ANSWER);
    }
    let head = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for alpn in [&["http/1.1"][..], &[]] {
        let said = tls_exchange(gateway.port(), &authority, alpn, head).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{alpn:?}: {said}");
    }
    let plain = Client::new(([127, 0, 0, 1], gateway.port()).into());
    assert!(plain.get("/health").try_send().is_err(), "nothing is served in the clear");
}

#[tokio::test]
async fn short_requests_in_the_clear_are_not_taken_for_the_start_of_http_2() {
    let gateway = Gateway::before(&Provider::openai(), "models: [m]");
    // Shorter than the 24 bytes by which HTTP/2 is known.
    let answer = gateway.client().raw("GET / HTTP/1.0\r\n\r\n").answer();
    assert_eq!(answer.status, 404);
    let mut raw = gateway.client().raw("P");
    raw.write("RI");
    raw.write("NT /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(raw.answer().status, 405);
}

#[tokio::test]
async fn a_client_that_stalls_one_stream_delays_only_that_one() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [m, large-1M]");
    let client = H2Client::connect_with(
        gateway.port(),
        Builder::new().initial_window_size(16 << 10).initial_connection_window_size(8 << 20),
    )
    .await;
    let large = Question::new(Dialect::OpenAi, "large-1M");
    let mut stalled = client.ask(&large).await;
    let question = Question::new(Dialect::OpenAi, "m").streamed();
    let others = join_all((0..20).map(|_| async { client.ask(&question).await.rest().await })).await;
    for answer in &others {
        assert_eq!(words(&question, answer), ANSWER);
    }
    let first = stalled.next().await.expect("a piece").expect("no error");
    let rest = stalled.rest().await;
    assert_eq!(rest.end(), BodyEnd::Clean, "{:?}", rest.error);
    assert!(first.len() + rest.body.len() >= 1 << 20);
}

#[tokio::test]
async fn a_truncated_answer_ends_with_its_error_and_a_reset() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::before(&provider, "models: [m, cut-40]");
        let client = H2Client::connect(gateway.port()).await;
        let question = Question::new(dialect, "cut-40").streamed();
        let answer = client.ask(&question).await.rest().await;
        assert_eq!(answer.end(), BodyEnd::Aborted, "{}", answer.text());
        assert!(answer.error.as_ref().is_some_and(h2::Error::is_reset), "{:?}", answer.error);
        let said = question.words_of(&Event::all(&answer.body));
        assert_eq!(said.split(' ').count(), 40, "{said}");
        assert!(answer.text().contains("broke off"), "{}", answer.text());
        let next = Question::new(dialect, "m").streamed();
        assert_eq!(words(&next, &client.ask(&next).await.rest().await), ANSWER, "the connection goes on");
    }
}

/// How long after `vanished` the provider's last request was closed.
fn noticed_after(provider: &Provider, vanished: Instant) -> Duration {
    eventually("the provider sees the close", || match provider.asked().last().map(|asked| asked.ending) {
        Some(Ending::ClientClosed(at)) => Some(at.saturating_duration_since(vanished)),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_is_reset_is_cancelled_at_the_provider_within_100_ms() {
    let provider = Provider::with(Dialect::OpenAi, Options { token_interval: NEVER, ..Options::default() });
    let gateway = Gateway::before(&provider, "models: [m, slow-60s]");
    let client = H2Client::connect(gateway.port()).await;
    let mut requests = 0;
    let limit = Duration::from_millis(100);
    for before_the_header in [false, true] {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            requests += 1;
            let question = Question::new(Dialect::OpenAi, if before_the_header { "slow-60s" } else { "m" });
            let body = question.clone().streamed().body().to_string();
            let mut begun = client.begin(Method::POST, &question.path(), &[]).await;
            begun.write(body.as_bytes(), true).await;
            let vanished = if before_the_header {
                eventually("the provider is asked", || (provider.asked().len() == requests).then_some(()));
                begun.cancel();
                Instant::now()
            } else {
                let mut answer = begun.answer().await.expect("a header");
                answer.next().await.expect("the first word").expect("no error");
                answer.cancel();
                Instant::now()
            };
            best = best.min(noticed_after(&provider, vanished));
            if best <= limit {
                break;
            }
        }
        assert!(best <= limit, "{before_the_header}: {best:?}");
    }
    Metrics::after(&gateway, u32::try_from(requests).expect("a few"));
    logged(&gateway, "request_cancelled", requests);
    let figures = status(&gateway, "only");
    assert_eq!((&figures["errors_last_minute"], &figures["in_flight"]), (&0.into(), &0.into()), "{figures}");
}

#[tokio::test]
async fn informational_answers_are_read_over_and_trailers_do_no_harm() {
    let body = r#"{"choices":[{"message":{"content":"hi"}}]}"#;
    let answers = [
        format!(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ),
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: etag\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\netag: late\r\n\r\n",
            body.len()
        ),
    ];
    for answer in answers {
        let canned = Canned::answering(answer);
        let entry = canned.yaml("only", Dialect::OpenAi, &["models: [m]"]);
        let gateway = Gateway::start(&format!("providers:\n{entry}"));
        let client = H2Client::connect(gateway.port()).await;
        let answer = client.ask(&Question::new(Dialect::OpenAi, "m")).await.rest().await;
        assert_eq!(
            (answer.status.as_u16(), answer.end(), answer.text().as_str()),
            (200, BodyEnd::Clean, body)
        );
    }
}

#[tokio::test]
async fn refusals_are_in_the_dialect_and_leave_the_connection_open() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [m]");
    let client = H2Client::connect(gateway.port()).await;
    for (method, path, body, expected) in [
        (Method::GET, "/nothing", &b""[..], 404),
        (Method::GET, "/v1/chat/completions", b"", 405),
        (Method::POST, "/v1/chat/completions", b"{", 400),
        (Method::HEAD, "/v1/models", b"", 200),
        (Method::GET, "/v1/models", b"", 200),
        (Method::GET, "/health", b"", 200),
    ] {
        let is_head = method == Method::HEAD;
        let answer = client.send(method, path, &[], body).await.rest().await;
        assert_eq!(
            (answer.status.as_u16(), answer.end()),
            (expected, BodyEnd::Clean),
            "{path}: {:?}",
            answer.error
        );
        assert_eq!(answer.body.is_empty(), is_head, "{path}");
        assert!(
            answer.headers.get("connection").is_none() && answer.headers.get("transfer-encoding").is_none()
        );
    }
}

#[tokio::test]
async fn a_header_past_the_limit_is_refused_and_a_large_body_arrives() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [m]");
    let client = H2Client::connect(gateway.port()).await;
    let long = "x".repeat(70 << 10);
    let answer = client.send(Method::GET, "/v1/models", &[("x-long", &long)], b"").await;
    assert_eq!(answer.status.as_u16(), 431);
    // Longer than the window of a stream.
    let question = Question::new(Dialect::OpenAi, "m").of_size(5 << 20).streamed();
    assert_eq!(words(&question, &client.ask(&question).await.rest().await), ANSWER);
    let arrived = provider.asked().pop().expect("it was asked");
    let sent: serde_json::Value = serde_json::from_slice(&arrived.body).expect("JSON");
    assert_eq!(sent["messages"], question.body()["messages"]);
}

#[tokio::test]
async fn a_draining_gateway_says_so_and_ends_what_it_has() {
    let interval = Duration::from_millis(20);
    let provider =
        Provider::with(Dialect::OpenAi, Options { token_interval: interval, ..Options::default() });
    let mut gateway = Gateway::before(&provider, "models: [m]");
    let client = H2Client::connect(gateway.port()).await;
    let question = Question::new(Dialect::OpenAi, "m").streamed();
    let mut answer = client.ask(&question).await;
    let mut body = answer.next().await.expect("the first word").expect("no error").to_vec();
    gateway.signal("TERM");
    let rest = answer.rest().await;
    assert_eq!(rest.end(), BodyEnd::Clean, "{:?}", rest.error);
    body.extend_from_slice(&rest.body);
    assert_eq!(question.words_of(&Event::all(&body)), ANSWER);
    assert_eq!(gateway.wait_exit(Duration::from_secs(10)), 0);
}

#[tokio::test]
async fn pass_through_works_over_http_2_both_ways() {
    let provider =
        Provider::with(Dialect::OpenAi, Options { echo_prefix: "/".to_owned(), ..Options::default() });
    let gateway = Gateway::start(&format!(
        "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: opener, passthrough: [own]}}]}}\nproviders:\n{}",
        provider.yaml("own")
    ));
    let client = H2Client::connect(gateway.port()).await;
    let body = vec![b'x'; 300 << 10];
    let key = [("authorization", "Bearer opener")];
    let answer = client.send(Method::PUT, "/providers/own/v1/files?a=b", &key, &body).await.rest().await;
    assert_eq!((answer.status.as_u16(), answer.end()), (200, BodyEnd::Clean), "{}", answer.text());
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((&told["body_length"], &told["query"]), (&(300 << 10).into(), &"a=b".into()));
    let refused = client.send(Method::GET, "/providers/own/%2e%2e/x", &key, b"").await;
    assert_eq!(refused.status.as_u16(), 400);
}
