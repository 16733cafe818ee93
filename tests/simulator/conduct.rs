//! How a simulated provider behaves: pace, limits, keys, faults, and what it tells of it.

use crate::support::{BodyEnd, Client, Provider, Question, Request};
use cliproxy::domain::{Dialect, Secret};
use cliproxy::simulator::{ANSWER, Behaviour, Ending, Latency, Options, Received, Simulator};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);
const CHAT: &str = "/v1/chat/completions";

fn start(options: Options) -> (Simulator, Client) {
    let simulator = Simulator::start(options).expect("a free port");
    let client = Client::new(simulator.address());
    (simulator, client)
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A good question in each dialect: its path and body.
fn questions(model: &str) -> [(Dialect, String, Value); 3] {
    let mut anthropic = chat(model);
    anthropic["max_tokens"] = 100.into();
    let gemini = json!({"contents": [{"parts": [{"text": "Hello"}]}]});
    [
        (Dialect::OpenAi, CHAT.to_owned(), chat(model)),
        (Dialect::Anthropic, "/v1/messages".to_owned(), anthropic),
        (Dialect::Gemini, format!("/v1beta/models/{model}:generateContent"), gemini),
    ]
}

/// Asks with the header that Anthropic wants and the others ignore.
fn ask<'a>(client: &'a Client, path: &str, body: &Value) -> Request<'a> {
    client.post(path).header("anthropic-version", "2023-06-01").json(body)
}

#[test]
fn a_stream_keeps_the_pace() {
    let interval = Duration::from_millis(30);
    let (_simulator, client) = start(Options { token_interval: interval, ..Options::default() });
    let mut body = chat("m");
    body["stream"] = true.into();
    body["max_tokens"] = 10.into();
    let begun = Instant::now();
    let mut stream = client.post(CHAT).json(&body).open();
    let first = stream.next_event().expect("an event");
    let events = stream.events();
    assert!(first.at < begun + interval * 9, "the first event does not wait for the last");
    assert!(events[events.len() - 1].at >= begun + interval * 9, "nine gaps between ten words");
}

#[test]
fn latency_comes_before_the_header_of_inference_only() {
    let latency = Duration::from_millis(300);
    let (_simulator, client) = start(Options { latency: Latency::Fixed(latency), ..Options::default() });
    let begun = Instant::now();
    client.post(CHAT).json(&chat("m")).open();
    assert!(begun.elapsed() >= latency);

    let begun = Instant::now();
    client.get("/v1/models").send().expect(200);
    assert!(begun.elapsed() < latency);
}

#[test]
fn a_model_named_slow_takes_its_time() {
    let (_simulator, client) = start(Options::default());
    let begun = Instant::now();
    client.post(CHAT).json(&chat("slow-60ms")).send().expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_model_named_status_gets_it_in_the_vendors_shape() {
    let (_simulator, client) = start(Options::default());
    for status in [400, 401, 429, 500, 503, 529] {
        for (dialect, path, body) in questions(&format!("status-{status}")) {
            let error = ask(&client, &path, &body).send().expect(status).json();
            match dialect {
                Dialect::OpenAi => assert!(error["error"]["type"].is_string(), "{error}"),
                Dialect::Anthropic => assert_eq!(error["type"], "error", "{error}"),
                Dialect::Gemini => assert_eq!(error["error"]["code"], status, "{error}"),
            }
        }
    }
}

#[test]
fn beyond_the_rate_limit_each_vendor_says_when_to_come_back() {
    let (_simulator, client) = start(Options { rate_limit: Some(2), ..Options::default() });
    client.get("/v1/models").send().expect(200);
    for remaining in ["1", "0"] {
        let answer = client.post(CHAT).json(&chat("m")).send().expect(200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(remaining));
    }
    for (dialect, path, body) in questions("m") {
        let answer = ask(&client, &path, &body).send().expect(429);
        client.post(&path).header("anthropic-version", "2023-06-01").json(&body).send().expect(429);
        let retry_after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        let error = answer.json();
        match dialect {
            Dialect::OpenAi => {
                assert!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
                assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
                assert_eq!(error["error"]["code"], "rate_limit_exceeded");
            }
            Dialect::Anthropic => {
                assert!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)));
                assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), Some("0"));
                assert!(
                    answer.header("anthropic-ratelimit-requests-reset").is_some_and(|at| at.ends_with('Z'))
                );
                assert_eq!(error["error"]["type"], "rate_limit_error");
            }
            Dialect::Gemini => {
                assert_eq!(retry_after, None, "Google tells in the body");
                let detail = &error["error"]["details"][0];
                assert_eq!(detail["@type"], "type.googleapis.com/google.rpc.RetryInfo");
                assert!(detail["retryDelay"].as_str().is_some_and(|delay| delay.ends_with('s')));
            }
        }
    }
}

#[test]
fn a_key_is_taken_where_its_dialect_has_it() {
    let (_simulator, client) =
        start(Options { api_keys: vec![Secret::new("k1"), Secret::new("k2")], ..Options::default() });
    let named = |dialect, key: &str| match dialect {
        Dialect::OpenAi => ("authorization", format!("Bearer {key}")),
        Dialect::Anthropic => ("x-api-key", key.to_owned()),
        Dialect::Gemini => ("x-goog-api-key", key.to_owned()),
    };
    for (dialect, path, body) in questions("m") {
        let request = || ask(&client, &path, &body);
        for key in ["k1", "k2"] {
            let (name, value) = named(dialect, key);
            request().header(name, &value).send().expect(200);
        }
        let (name, value) = named(dialect, "k3");
        let (missing, wrong) = (request().send(), request().header(name, &value).send());
        let statuses = if dialect == Dialect::Gemini { (403, 400) } else { (401, 401) };
        assert_eq!((missing.status, wrong.status), statuses, "{dialect}");
        assert!(!wrong.text().contains("k3"), "a key is never repeated");
    }
    let gemini = "/v1beta/models/m:generateContent?key=k2";
    client.post(gemini).json(&json!({"contents": [{"parts": [{"text": "Hello"}]}]})).send().expect(200);
}

#[test]
fn a_provider_that_fails_first_recovers_and_answers_probes_meanwhile() {
    let provider = Provider::openai().failing_first(2, 503);
    let client = provider.client();
    let ask = || client.post(CHAT).bearer(provider.key()).json(&chat("m")).send().status;
    assert_eq!(ask(), 503);
    client.get("/v1/models").bearer(provider.key()).send().expect(200);
    assert_eq!([ask(), ask(), ask()], [503, 200, 200]);
}

#[test]
fn a_provider_that_always_fails_fails_probes_too_until_it_is_healed() {
    let provider = Provider::anthropic().failing_with(529);
    let client = provider.client();
    client.request("HEAD", "/").send().expect(529);
    let error = client.post("/v1/messages").send().expect(529).json();
    assert_eq!(error["error"]["type"], "overloaded_error");
    provider.set_behaviour(Behaviour::Normal);
    client.get("/v1/models").bearer(provider.key()).send().expect(200);
}

#[test]
fn refused_and_reset_connections_break_before_a_header() {
    let refusing = Provider::gemini().refusing();
    assert!(refusing.client().get("/v1beta/models").try_send().is_err());
    assert_eq!((refusing.accepted_connections(), refusing.requests()), (1, 0));

    let resetting = Provider::gemini().resetting();
    let error = resetting.client().get("/v1beta/models").try_send().expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(matches!(resetting.transcript()[0].ending, Ending::Broken(_)));
}

#[test]
fn the_transcript_tells_what_came_and_how_it_ended() {
    let provider = Provider::openai();
    let client = provider.client();
    client.post(&format!("{CHAT}?x=1")).bearer(provider.key()).header("X-Own", "1").json(&chat("m")).send();
    client.get("/v1/models").send().expect(401);
    let answered = |ending: Ending| match ending {
        Ending::Answered(status, _) => Some(status),
        Ending::Open | Ending::ClientClosed(_) | Ending::Broken(_) => None,
    };
    assert!(provider.wait_until(|received| received.iter().all(|one| answered(one.ending).is_some()), LIMIT));
    let received = provider.transcript();
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("POST", CHAT));
    assert_eq!((received[0].query.as_str(), received[0].header("x-own")), ("x=1", Some("1")));
    assert_eq!(received[0].json(), chat("m"));
    assert_eq!((received[0].connection, received[1].connection), (1, 1));
    assert_eq!(received.iter().map(|one| answered(one.ending)).collect::<Vec<_>>(), [Some(200), Some(401)]);
}

#[test]
fn a_client_that_vanishes_is_noticed_before_the_header_and_in_a_stream() {
    let options = Options { token_interval: Duration::from_secs(60), ..Options::default() };
    let (simulator, client) = start(options);
    let mut body = chat("m");
    body["stream"] = true.into();
    let mut stream = client.post(CHAT).json(&body).open();
    stream.next_event().expect("the first event");
    assert_eq!(simulator.open_connections(), 1);
    stream.vanish();

    let slow = chat("slow-60s").to_string();
    let raw = client
        .raw(format!("POST {CHAT} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{slow}", slow.len()));
    assert!(simulator.wait_until(|received| received.len() == 2, LIMIT));
    drop(raw);

    assert!(simulator.wait_until(|received| received.iter().all(Received::client_closed), LIMIT));
}

#[test]
fn stopping_breaks_open_streams() {
    let options = Options { token_interval: Duration::from_secs(60), ..Options::default() };
    let (simulator, client) = start(options);
    let mut body = chat("m");
    body["stream"] = true.into();
    let mut stream = client.post(CHAT).json(&body).open();
    stream.next_event().expect("the first event");
    let address = simulator.address();
    drop(simulator);
    stream.events();
    assert_eq!(stream.end(), Some(BodyEnd::Aborted));
    assert!(Client::new(address).get("/v1/models").try_send().is_err());
}

#[test]
fn an_answer_names_the_simulator_in_header_and_id() {
    let (_simulator, client) = start(Options { name: "east".to_owned(), threads: 2, ..Options::default() });
    let answer = client.post(CHAT).json(&chat("m")).send().expect(200);
    assert_eq!((answer.header("x-simulator"), answer.header("x-request-id")), (Some("east"), Some("east-1")));
    assert_eq!(answer.json()["id"], "chatcmpl-east-1");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], ANSWER);
}

#[test]
fn unknown_paths_and_methods_are_refused_in_the_dialect_they_seem_to_be_in() {
    let (_simulator, client) = start(Options::default());
    assert!(client.get("/v1/nothing").send().expect(404).json()["error"]["type"].is_string());
    assert_eq!(client.get("/v1/messages").send().expect(405).json()["type"], "error");
    assert_eq!(client.get("/v1beta/nothing").send().expect(404).json()["error"]["status"], "NOT_FOUND");
}

#[test]
fn a_model_named_cut_breaks_after_so_many_words_streamed_or_not() {
    let (simulator, _) = start(Options::default());
    let begin: String = ANSWER.split_inclusive(' ').take(3).collect();
    for dialect in Dialect::ALL {
        let question = Question::new(dialect, "cut-3");
        let client = Client::new(simulator.address());
        let torn = question.to(&client).send().expect(200);
        assert_eq!(torn.end, BodyEnd::Aborted, "{dialect}");
        assert!(torn.text().ends_with(begin.trim_end()), "{dialect}: {}", torn.text());
        let question = question.streamed();
        let torn = question.to(&client).send().expect(200);
        assert_eq!(torn.end, BodyEnd::Aborted, "{dialect}");
        assert_eq!(question.words(&torn), begin.trim_end(), "{dialect}");
    }
    assert!(simulator.transcript().iter().all(|received| matches!(received.ending, Ending::Broken(_))));
}

#[test]
fn a_model_named_large_repeats_itself() {
    let (_simulator, client) = start(Options::default());
    for dialect in Dialect::ALL {
        let question = Question::new(dialect, "large-64K");
        let answer = question.to(&client).send().expect(200);
        assert!((64 << 10..65 << 10).contains(&answer.body.len()), "{dialect}: {}", answer.body.len());
        let words = question.words(&answer);
        assert_eq!(words, vec![ANSWER; words.len().div_ceil(ANSWER.len() + 1)].join(" "), "{dialect}");
    }
}
