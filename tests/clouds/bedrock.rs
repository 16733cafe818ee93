//! Amazon Bedrock with Anthropic's models, asked with signatures, read from its event streams.

use super::amazon::{Amazon, SECRET, TOKEN};
use crate::support::{
    BodyEnd, Gateway, Launch, Metrics, Provider, Question, assert_whole, error_message, is_error, logged,
};
use cliproxy::domain::Dialect;
use serde_json::json;

const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn before(amazon: &Amazon, models: &str) -> Gateway {
    Gateway::start(&format!("providers:\n{}", amazon.yaml("only", &[&format!("models: [{models}]")])))
}

#[test]
fn every_client_is_served() {
    let amazon = Amazon::start();
    let gateway = before(&amazon, &format!("\"{MODEL}\""));
    for dialect in Dialect::ALL {
        for question in Question::both_ways(dialect, MODEL) {
            assert_whole(&question, &question.to(&gateway.client()).send());
        }
    }
    Metrics::after(&gateway, 6);
    for line in logged(&gateway, "request_success", 6) {
        assert_eq!(line["tokens"]["output"], 60, "{line}");
        assert_eq!(line["usage_estimated"], serde_json::Value::Null);
    }
    let seen = amazon.server.seen("/model/");
    let wire = MODEL.replace(':', "%3A");
    assert_eq!(seen[0].path, format!("/model/{wire}/invoke"));
    assert_eq!(seen[1].path, format!("/model/{wire}/invoke-with-response-stream"));
    assert!(seen.iter().all(|seen| seen.header("anthropic-version").is_none()));
}

#[test]
fn an_anthropic_client_sees_an_anthropic_stream() {
    let amazon = Amazon::start();
    let gateway = before(&amazon, "m");
    let answer = Question::new(Dialect::Anthropic, "m").streamed().to(&gateway.client()).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    assert!(
        text.starts_with("event: message_start\ndata: {") && text.contains("event: message_stop\n"),
        "{text}"
    );
}

#[test]
fn beta_features_go_into_the_body_and_an_alias_is_signed_by_its_real_name() {
    let amazon = Amazon::start();
    let gateway =
        before(&amazon, "{name: \"arn:aws:bedrock:eu-west-1:1:inference-profile/x\", alias: smart}");
    let client = gateway.client();
    let body = json!({"model": "smart", "max_tokens": 1000, "stream": false, "messages": [{"role": "user", "content": "ä\u{1F600}"}]});
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01");
    let request = request.header("anthropic-beta", "context-1m-2025-08-07, interleaved-thinking-2025-05-14");
    request.json(&body).send().expect(200);
    let seen = amazon.server.seen("/model/").remove(0);
    assert_eq!(
        seen.json()["anthropic_beta"],
        json!(["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"])
    );
    assert_eq!(seen.header("anthropic-beta"), None);
    assert_eq!(seen.path, "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/invoke");
}

#[test]
fn its_errors_reach_each_client_in_its_own_words() {
    let amazon = Amazon::start();
    let gateway = before(&amazon, "throttled, broken, invalid, absent");
    for dialect in Dialect::ALL {
        for (model, status, words) in [
            ("throttled", 429, "Too many tokens"),
            ("broken", 500, "The model failed"),
            ("invalid", 400, "at least one message"),
            ("absent", 400, "model identifier is invalid"),
        ] {
            for question in Question::both_ways(dialect, model) {
                let answer = question.to(&gateway.client()).send();
                assert_eq!(answer.status, status, "{model}: {}", answer.text());
                let message = error_message(dialect, &answer.json());
                assert!(message.contains(words) || model == "broken", "{message}");
                assert!(!answer.text().contains("coral"));
            }
        }
    }
}

#[test]
fn a_throttled_bedrock_fails_over() {
    let amazon = Amazon::start();
    let other = Provider::openai();
    let models = "models: [throttled, throttled-first, corrupt-first, broken, absent, denied]";
    let entries = amazon.yaml("cloud", &[models, "priority: 1"]) + &other.yaml_with("other", &[models]);
    let gateway = Gateway::start(&format!("providers:\n{entries}"));
    for dialect in Dialect::ALL {
        for model in ["throttled", "broken", "absent", "denied"] {
            for question in Question::both_ways(dialect, model) {
                let answer = question.to(&gateway.client()).send();
                assert_whole(&question, &answer);
                assert_eq!(answer.header("x-cliproxy-provider"), Some("other"), "{model}");
            }
        }
        for model in ["throttled-first", "corrupt-first"] {
            let question = Question::new(dialect, model).streamed();
            let answer = question.to(&gateway.client()).send();
            assert_whole(&question, &answer);
            assert_eq!(answer.header("x-cliproxy-provider"), Some("other"), "{model}");
        }
    }
}

#[test]
fn a_stream_that_breaks_later_ends_with_an_error_and_uncleanly() {
    let amazon = Amazon::start();
    let gateway = before(&amazon, "torn, corrupt, throttled-later");
    for dialect in Dialect::ALL {
        for model in ["torn", "corrupt", "throttled-later"] {
            let question = Question::new(dialect, model).streamed();
            let answer = question.to(&gateway.client()).send();
            assert_eq!((answer.status, answer.end), (200, BodyEnd::Aborted), "{model}: {}", answer.text());
            let events = crate::support::Event::all(&answer.body);
            let last = events.last().expect("an event");
            assert!(is_error(dialect, &last.json()), "{dialect} {model}: {}", last.data);
        }
    }
}

#[test]
fn a_wrong_secret_is_a_refused_credential_and_no_secret_shows() {
    let amazon = Amazon::start();
    let entry = amazon.yaml_with_secret("only", "wrong-secret-0815", &["models: [m]"]);
    let gateway = Gateway::start(&format!("logging: {{level: debug}}\nproviders:\n{entry}"));
    for dialect in Dialect::ALL {
        let answer = Question::new(dialect, "m").to(&gateway.client()).send();
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.header("x-cliproxy-error"), Some("upstream_credentials_exhausted"));
        error_message(dialect, &answer.json());
    }
    let said = gateway.output();
    for secret in ["wrong-secret-0815", TOKEN, "Signature="] {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn keys_come_from_the_usual_variables_or_from_a_file_of_credentials() {
    let amazon = Amazon::start();
    let entry = amazon.yaml_without_keys("only", &["models: [m]"]);
    let question = Question::new(Dialect::Anthropic, "m").streamed();
    let gateway = Launch::new(&format!("providers:\n{entry}"))
        .variable("AWS_ACCESS_KEY_ID", super::amazon::KEY_ID)
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_SESSION_TOKEN", TOKEN)
        .start();
    assert_whole(&question, &question.to(&gateway.client()).send());

    let folder = tempfile::tempdir().expect("a folder");
    let file = format!(
        "provider: only\naws_access_key_id: {}\naws_secret_access_key: {SECRET}\naws_session_token: {TOKEN}\nlabel: filed\n",
        super::amazon::KEY_ID
    );
    std::fs::write(folder.path().join("aws.yaml"), file).expect("a file");
    let yaml = format!("auth_dir: {}\nproviders:\n{entry}", folder.path().display());
    let gateway = Gateway::start(&yaml);
    assert_whole(&question, &question.to(&gateway.client()).send());
}

#[test]
fn only_what_has_no_body_can_be_passed_through_signed() {
    let amazon = Amazon::start();
    let yaml = format!(
        "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: client-key, passthrough: [only]}}]}}\nproviders:\n{}",
        amazon.yaml("only", &[])
    );
    let gateway = Launch::new(&yaml).start();
    let client = gateway.client();
    let answer = client.get("/providers/only/guardrails").bearer("client-key").send().expect(200);
    assert_eq!(answer.json()["path"], "/guardrails");
    let answer = client.post("/providers/only/model/m/invoke").bearer("client-key").json(&json!({})).send();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("signed with their bodies"), "{}", answer.text());
}

#[test]
fn tokens_are_estimated() {
    let amazon = Amazon::start();
    let gateway = before(&amazon, "m");
    let client = gateway.client();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(400)}]});
    let request = client.post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01");
    let answer = request.json(&body).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"));
}
