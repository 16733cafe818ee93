//! Google Vertex AI, with Gemini's models and Anthropic's, asked with a service account.

use super::google::{Google, Mood, PRESETS};
use crate::support::{
    Authority, Gateway, Launch, Metrics, Provider, Question, assert_whole, error_message, eventually,
    expect_error, status,
};
use cliproxy::domain::Dialect;
use serde_json::json;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

fn before(google: &Google, preset: &str, models: &str) -> Gateway {
    Gateway::start(&format!("providers:\n{}", google.yaml(preset, &[&format!("models: [{models}]")])))
}

#[test]
fn every_client_is_served_with_one_token() {
    for (preset, _) in PRESETS {
        let google = Google::start();
        let gateway = before(&google, preset, "m@1");
        for dialect in Dialect::ALL {
            for question in Question::both_ways(dialect, "m@1") {
                let answer = question.to(&gateway.client()).send();
                assert_whole(&question, &answer);
                assert_eq!(answer.header("x-cliproxy-provider"), Some(preset));
            }
        }
        assert_eq!(google.asked_for_tokens(), 1);
    }
}

#[test]
fn an_alias_and_the_clients_query_arrive_as_the_cloud_wants_them() {
    let google = Google::start();
    let entries = google.yaml("vertex", &["models: [{name: gemini-2.5-flash, alias: fast}]"])
        + &google.yaml("vertex-anthropic", &["models: [{name: claude-sonnet-4-5@20250929, alias: smart}]"]);
    let gateway = Gateway::start(&format!("providers:\n{entries}"));
    let question = Question::new(Dialect::Gemini, "fast").streamed();
    assert_whole(&question, &question.to(&gateway.client()).send());
    let body = Question::new(Dialect::Anthropic, "smart").body();
    let client = gateway.client();
    client
        .post("/v1/messages?beta=true")
        .header("anthropic-version", "2023-06-01")
        .json(&body)
        .send()
        .expect(200);
    let base = "/v1/projects/acme-1/locations/us-central1/publishers";
    let paths: Vec<String> = google.server.seen("/v1/").into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            format!("{base}/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
            format!("{base}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"),
        ]
    );
}

#[test]
fn what_geminis_own_api_takes_and_the_cloud_does_not_is_put_right() {
    let google = Google::start();
    let gateway = before(&google, "vertex", "m");
    let client = gateway.client();
    let call = json!({"functionCall": {"id": "call_1", "name": "f", "args": {}}});
    let result = json!({"functionResponse": {"id": "call_1", "name": "f", "response": {"x": 1}}});
    let body = json!({"contents": [
        {"parts": [{"text": "Hello"}]}, {"role": "model", "parts": [call]}, {"parts": [result]},
    ]});
    client.post("/v1beta/models/m:generateContent").json(&body).send().expect(200);
    let calls = json!([{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    ]});
    client.post("/v1/chat/completions").json(&body).send().expect(200);
}

#[test]
fn tokens_are_counted_by_the_cloud() {
    let google = Google::start();
    let gateway = before(&google, "vertex-anthropic", "m");
    let client = gateway.client();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    let answer =
        client.post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01").json(&body).send();
    let answer = answer.expect(200);
    assert_eq!(answer.header("x-cliproxy-estimated"), None);
    assert!(answer.json()["input_tokens"].as_u64().is_some_and(|count| count > 0));

    let gateway = before(&google, "vertex", "m");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
    let answer = gateway.client().post("/v1beta/models/m:countTokens").json(&body).send().expect(200);
    assert!(answer.json()["totalTokens"].as_u64().is_some_and(|count| count > 0));
    let body = json!({"content": {"parts": [{"text": "Hello"}]}});
    let answer = gateway.client().post("/v1beta/models/m:embedContent").json(&body).send();
    expect_error(&answer, Dialect::Gemini, 400, "unsupported_feature", "has the endpoint `embedContent`");
}

#[test]
fn many_who_come_before_the_first_token_wait_for_the_same_one() {
    let google = Google::with(Mood::Slow(Duration::from_millis(1500)), Duration::from_secs(3600));
    let gateway = before(&google, "vertex", "m");
    scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                let question = Question::new(Dialect::Gemini, "m");
                assert_whole(&question, &question.to(&gateway.client()).send());
            });
        }
    });
    assert_eq!(google.asked_for_tokens(), 1);
}

#[test]
fn tokens_are_renewed_before_they_end_and_nobody_notices() {
    let google = Google::with(Mood::Well, Duration::from_secs(4));
    let gateway = before(&google, "vertex", "m");
    let question = Question::new(Dialect::Gemini, "m");
    let until = Instant::now() + Duration::from_secs(7);
    while Instant::now() < until {
        let answer = question.to(&gateway.client()).send();
        assert_whole(&question, &answer);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
        sleep(Duration::from_millis(50));
    }
    let asked = google.asked_for_tokens();
    assert!((2..=4).contains(&asked), "{asked} tokens in 7 s that live for 4");
}

#[test]
fn a_refused_account_is_a_refused_credential() {
    let google = Google::with(Mood::Refusing, Duration::from_secs(3600));
    let gateway = before(&google, "vertex", "m");
    for dialect in Dialect::ALL {
        let answer = Question::new(dialect, "m").to(&gateway.client()).send();
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.header("x-cliproxy-error"), Some("upstream_credentials_exhausted"));
        error_message(dialect, &answer.json());
    }
    eventually("why, in the log", || {
        gateway.output().contains("invalid_grant: Invalid grant: account not found").then_some(())
    });
    assert!(!gateway.output().contains("PRIVATE KEY") && !gateway.output().contains("eyJ"));
    let credentials = status(&gateway, "vertex")["credentials"].clone();
    assert!(credentials.to_string().contains("no_token"), "{credentials}");

    let other = Provider::gemini();
    let entries =
        google.yaml("vertex", &["models: [m]", "priority: 1"]) + &other.yaml_with("other", &["models: [m]"]);
    let gateway = Gateway::start(&format!("providers:\n{entries}"));
    for question in Question::both_ways(Dialect::Anthropic, "m") {
        let answer = question.to(&gateway.client()).send();
        assert_whole(&question, &answer);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("other"));
    }
}

#[test]
fn while_no_token_is_to_be_had_the_old_one_serves_then_others_do_and_then_it_is_back() {
    let google = Google::with(Mood::Well, Duration::from_secs(4));
    let other = Provider::gemini();
    let entries =
        google.yaml("vertex", &["models: [m]", "priority: 1"]) + &other.yaml_with("other", &["models: [m]"]);
    let gateway = Gateway::start(&format!("providers:\n{entries}"));
    let question = Question::new(Dialect::Gemini, "m");
    let ask = || {
        let answer = question.to(&gateway.client()).send();
        assert_whole(&question, &answer);
        answer.header("x-cliproxy-provider").unwrap_or_default().to_owned()
    };
    let begun = Instant::now();
    assert_eq!(ask(), "vertex");
    google.be(Mood::Down);
    sleep(Duration::from_millis(3300).saturating_sub(begun.elapsed()));
    assert_eq!(ask(), "vertex", "its token is good for a while yet");
    eventually("another provider", || (ask() == "other").then_some(()));
    google.be(Mood::Well);
    eventually("it is back", || (ask() == "vertex").then_some(()));
}

#[test]
fn a_key_file_in_the_folder_of_credentials_is_taken_as_google_issues_it() {
    let google = Google::start();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(google.key_file(), folder.path().join("acme.json")).expect("a copy");
    let entries = google.yaml_without_key("vertex", &["project: acme-1", "models: [m]"])
        + &google.yaml_without_key("vertex-anthropic", &["project: acme-1", "models: [c]"]);
    let yaml = format!("auth_dir: {}\nproviders:\n{entries}", folder.path().display());
    let gateway = Launch::new(&yaml).start();
    for (model, dialect) in [("m", Dialect::Gemini), ("c", Dialect::Anthropic)] {
        let question = Question::new(dialect, model);
        assert_whole(&question, &question.to(&gateway.client()).send());
    }
}

#[test]
fn what_google_says_in_anthropics_place_is_understood_and_put_into_the_clients_words() {
    let google = Google::start();
    let gateway = before(&google, "vertex-anthropic", "unknown, limited, status-400");
    for dialect in Dialect::ALL {
        for (model, expected) in [("unknown", 404), ("limited", 429), ("status-400", 400)] {
            let answer = Question::new(dialect, model).to(&gateway.client()).send();
            assert_eq!(answer.status, expected, "{model}: {}", answer.text());
            error_message(dialect, &answer.json());
        }
    }
    let metrics = Metrics::after(&gateway, 9);
    let errors = |kind: &str| {
        metrics.of(&format!("cliproxy_errors_total{{provider=\"vertex-anthropic\",error_type=\"{kind}\"}}"))
    };
    assert!(errors("rate_limit") >= 3.0 && errors("model_not_found") >= 1.0, "{:?}", metrics.counted());
}

#[test]
fn a_cloud_can_be_called_directly() {
    let google = Google::start();
    let yaml = format!(
        "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: client-key, passthrough: [vertex]}}]}}\nproviders:\n{}",
        google.yaml("vertex", &[])
    );
    let gateway = Launch::new(&yaml).start();
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
    let client = gateway.client();
    let request = client.post("/providers/vertex/models/m:generateContent").bearer("client-key").json(&body);
    assert!(request.send().expect(200).text().contains("candidates"));
}

#[test]
fn tokens_come_over_tls_from_whom_the_provider_trusts_and_from_nobody_else() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let question = Question::new(Dialect::Gemini, "m");
    for (issuer, is_trusted) in [(&authority, true), (&stranger, false)] {
        let google = Google::over_tls(issuer.server(&issuer.issue(&["127.0.0.1"]), &["http/1.1"]));
        let ca_file = format!("ca_file: {}", authority.ca_file().display());
        let entry = google.yaml("vertex", &[&ca_file, "models: [m]"]);
        let gateway = Gateway::start(&format!("providers:\n{entry}"));
        let answer = question.to(&gateway.client()).send();
        if is_trusted {
            assert_whole(&question, &answer);
            assert_eq!(google.asked_for_tokens(), 1);
        } else {
            expect_error(&answer, Dialect::Gemini, 502, "upstream_credentials_exhausted", "");
            assert!(google.server.seen("/").is_empty(), "no claim was sent");
            eventually("why, in the log", || gateway.output().contains("ertificate").then_some(()));
        }
    }
}

#[test]
fn a_key_file_that_is_none_is_named_and_nothing_starts() {
    let google = Google::start();
    for (change, why) in
        [("client_email", "lacks `client_email`"), ("type", "is not the key file of a Google")]
    {
        let mut key = google.key_json();
        key[change] = serde_json::Value::Null;
        std::fs::write(google.key_file(), key.to_string()).expect("a file");
        let yaml = format!("providers:\n{}", google.yaml("vertex", &[]));
        let mut gateway = Launch::new(&yaml).spawn();
        assert_ne!(gateway.wait_exit(Duration::from_secs(10)), 0);
        let said = gateway.output();
        assert!(said.contains("providers.vertex.service_account_file") && said.contains(why), "{said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}
