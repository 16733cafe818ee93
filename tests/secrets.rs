//! No secret ever shows: not in the log at its most talkative, not in metrics, status or errors.

use crate::support::{Canned, Gateway, Launch, Provider, Response, ask, free_port, question};
use cliproxy::domain::Dialect;
use serde_json::json;

const CLIENT_KEY: &str = "client-key-5f1c2b";
const ECHOED_KEY: &str = "provider-key-77aa01";
const SECOND_KEY: &str = "provider-key-88bb02";
const HEADER_SECRET: &str = "header-secret-99cc03";
const TOKEN: &str = "operations-token-44dd04";
const METRICS_TOKEN: &str = "metrics-token-33ee05";
const LOST_KEY: &str = "provider-key-11ff06";

/// A provider that repeats in an error what it was sent, key and all.
fn telltale(status: u16) -> Canned {
    Canned::serving(move |stream, head| {
        let body =
            json!({"error": {"message": format!("what is this? {head}"), "type": "invalid"}}).to_string();
        let answer = format!(
            "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = std::io::Write::write_all(stream, answer.as_bytes());
    })
}

/// Asserts that none of the secrets is in the text.
#[track_caller]
fn is_clean(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{what} has {secret}: {text}");
    }
}

/// A gateway that says all it can, with a key that opens these providers.
fn gateway(opens: &str, entries: &str) -> Gateway {
    Launch::new(&format!(
        "server:\n  host: 127.0.0.1\n  port: {{port}}\n  auth: {{api_keys: [{{key: {CLIENT_KEY}, passthrough: [{opens}]}}]}}\n  \
         operations: {{api: {{token: {TOKEN}}}}}\n\
         metrics: {{port: {{metrics_port}}, token: {METRICS_TOKEN}}}\nlogging: {{level: debug}}\nproviders:\n{entries}"
    ))
    .start()
}

#[test]
fn no_secret_shows_in_log_metrics_status_or_errors() {
    let good = Provider::anthropic();
    let bad = telltale(400);
    let worse = telltale(500);
    let secrets =
        [CLIENT_KEY, ECHOED_KEY, SECOND_KEY, HEADER_SECRET, TOKEN, METRICS_TOKEN, LOST_KEY, good.key()];
    let entries = [
        good.yaml_with("good", &["models: [claude-sonnet-4-5]"]),
        bad.yaml(
            "bad",
            Dialect::OpenAi,
            &[
                &format!("api_keys: [{ECHOED_KEY}]"),
                "models: [bad]",
                &format!("headers: {{x-secret: {HEADER_SECRET}}}"),
            ],
        ),
        worse.yaml("worse", Dialect::OpenAi, &[&format!("api_key: {SECOND_KEY}"), "models: [worse]"]),
        format!(
            "  lost: {{format: openai, base_url: \"http://127.0.0.1:{}\", api_key: {LOST_KEY}, models: [lost]}}\n",
            free_port()
        ),
    ];
    let gateway = gateway("bad, worse, good", &entries.concat());
    let client = gateway.client();
    let mut answers: Vec<(String, Response)> = Vec::new();
    let mut keep = |what: &str, answer: Response| answers.push((what.to_owned(), answer));
    for model in ["bad", "worse", "lost", "nobody"] {
        for key in [CLIENT_KEY, "wrong", TOKEN] {
            keep(model, ask(&client, Dialect::OpenAi, model).bearer(key).send());
        }
        let path = format!("/v1/chat/completions?key={CLIENT_KEY}");
        keep(model, client.post(&path).json(&question(Dialect::OpenAi, model)).send());
    }
    keep("good", ask(&client, Dialect::Anthropic, "claude-sonnet-4-5").bearer(CLIENT_KEY).send().expect(200));
    keep("broken", client.post("/v1/messages").header("x-api-key", CLIENT_KEY).body("{").send().expect(400));
    for name in ["bad", "worse"] {
        let path = format!("/providers/{name}/v1/files?key={CLIENT_KEY}");
        keep("pass-through", client.get(&path).bearer(CLIENT_KEY).send());
    }
    keep(
        "pass-through",
        client
            .get("/providers/good/v1/models")
            .header("anthropic-version", "2023-06-01")
            .bearer(CLIENT_KEY)
            .send()
            .expect(200),
    );
    keep("unknown", client.get(&format!("/nothing?key={CLIENT_KEY}")).bearer(CLIENT_KEY).send().expect(404));
    for operations in [gateway.client(), gateway.operations()] {
        for path in
            ["/health", "/ready", "/metrics", "/v0/operations/providers/status", "/v0/operations/nothing"]
        {
            for token in [TOKEN, METRICS_TOKEN, CLIENT_KEY] {
                keep(path, operations.get(path).bearer(token).send());
            }
        }
    }
    assert_eq!(bad.heads().iter().filter(|head| head.contains(ECHOED_KEY)).count(), 3, "it was told its key");
    for (what, answer) in &answers {
        is_clean(what, &format!("{:?}", answer.headers), &secrets);
        is_clean(what, &answer.text(), &secrets);
    }
    let masked = answers.iter().filter(|(_, answer)| answer.text().contains("***")).count();
    assert!(masked >= 4, "{masked} errors are masked");
    is_clean("the log", &gateway.output(), &secrets);
}

#[test]
fn a_key_that_is_torn_between_two_pieces_of_a_passed_through_error_is_masked() {
    let canned = Canned::serving(|stream, _| {
        use std::io::Write;
        let (first, rest) = ECHOED_KEY.split_at(9);
        let _ = stream.write_all(b"HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\n");
        let _ = stream.write_all(format!("{:x}\r\nno: {first}\r\n", 4 + first.len()).as_bytes());
        std::thread::sleep(std::time::Duration::from_millis(50));
        let _ = stream.write_all(format!("{:x}\r\n{rest}!\r\n0\r\n\r\n", 1 + rest.len()).as_bytes());
    });
    let gateway = gateway("bad", &canned.yaml("bad", Dialect::OpenAi, &[&format!("api_key: {ECHOED_KEY}")]));
    let answer = gateway.client().get("/providers/bad/v1/files").bearer(CLIENT_KEY).send().expect(401);
    assert_eq!(answer.text(), "no: ***!");
}

#[test]
fn a_good_answer_is_given_byte_for_byte_whatever_it_says() {
    let body = format!("{{\"text\":\"{ECHOED_KEY}\"}}");
    let canned =
        Canned::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    let entry = canned.yaml("bad", Dialect::OpenAi, &[&format!("api_key: {ECHOED_KEY}"), "models: [m]"]);
    let gateway = gateway("bad", &entry);
    let client = gateway.client();
    let asked = ask(&client, Dialect::OpenAi, "m").bearer(CLIENT_KEY).send().expect(200);
    let passed = client.get("/providers/bad/v1/files").bearer(CLIENT_KEY).send().expect(200);
    assert_eq!([asked.text(), passed.text()], [body.clone(), body]);
}

#[test]
fn a_startup_that_fails_names_no_secret() {
    let yaml = format!(
        "server: {{port: {{port}}, auth: {{api_keys: [{{key: {CLIENT_KEY}, key_hash: {TOKEN}}}]}}}}\nproviders:\n  \
         own: {{format: openai, base_url: \"nowhere\", api_key: \"{ECHOED_KEY}\", headers: {{\"bad name\": {HEADER_SECRET}}}}}\n"
    );
    let mut gateway = Launch::new(&yaml).spawn();
    assert_eq!(gateway.wait_exit(std::time::Duration::from_secs(10)), 64);
    is_clean("the output", &gateway.output(), &[CLIENT_KEY, ECHOED_KEY, HEADER_SECRET]);
}
