//! What requests used, and where it can be read: metrics, log, status.

use crate::support::{
    Canned, Event, Gateway, Metrics, Provider, Question, Response, eventually, logged, status,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Latency, Options, Received};
use serde_json::{Value, json};
use std::time::Duration;

/// The words of the simulated answer, and the tokens that "Hello" comes to.
const OUTPUT: f64 = 60.0;
const INPUT: f64 = 2.0;

fn gateway_of(provider: &Provider) -> Gateway {
    Gateway::start(&format!(
        "providers:\n{}",
        provider.yaml_with("claude", &["models: [m, status-400, status-500]"])
    ))
}

fn tokens(metrics: &Metrics, kind: &str) -> f64 {
    metrics.of(&format!(r#"cliproxy_tokens_total{{provider="claude",model="m",type="{kind}"}}"#))
}

#[test]
fn answers_of_each_dialect_are_metered_streamed_or_not() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = gateway_of(&provider);
        let plain = Question::new(dialect, "m");
        for (number, question) in [plain.clone(), plain.streamed()].iter().enumerate() {
            let answer = question.to(&gateway.client()).send().expect(200);
            let requests = number + 1;
            let metrics = Metrics::after(&gateway, u32::try_from(requests).expect("few"));
            let times = |tokens: f64| tokens * f64::from(u32::try_from(requests).expect("few"));
            assert_eq!(tokens(&metrics, "input"), times(INPUT), "{dialect}");
            assert_eq!(tokens(&metrics, "output"), times(OUTPUT), "{dialect}");
            let line = logged(&gateway, "request_success", requests).remove(number);
            assert_eq!(line["tokens"], json!({"input": 2, "output": 60}), "{dialect}: {line}");
            assert_eq!(line["request_id"].as_str(), answer.header("x-request-id"));
            assert_eq!(line["usage_estimated"], Value::Null, "the provider said so: {line}");
        }
    }
}

#[test]
fn the_log_line_is_the_guides() {
    let provider = Provider::anthropic();
    let gateway = gateway_of(&provider);
    let question = Question::new(Dialect::Anthropic, "m");
    question.to(&gateway.client()).header("x-request-id", "req-123").send().expect(200);
    let line = logged(&gateway, "request_success", 1).remove(0);
    assert_eq!(line["level"], "info");
    assert_eq!((&line["provider"], &line["model"]), (&json!("claude"), &json!("m")));
    assert_eq!(line["request_id"], "req-123");
    assert!(line["timestamp"].as_str().is_some_and(|at| at.len() == 20 && at.ends_with('Z')), "{line}");
    assert!(line["latency_ms"].is_u64(), "{line}");
    let output = gateway.output();
    let raw = output.lines().find(|line| line.contains("request_success")).expect("the line");
    let guide = ["timestamp", "level", "msg", "provider", "model", "request_id", "latency_ms", "tokens"];
    let places: Vec<_> = guide.iter().map(|field| raw.find(&format!("\"{field}\":"))).collect();
    assert!(places.is_sorted() && places[0] == Some(1), "in the guide's order: {raw}");
    for secret in [provider.key(), "Hello", "acorn"] {
        assert!(!output.contains(secret), "neither keys nor words are logged: {secret}");
    }
}

fn openai_stream(gateway: &Gateway, options: Option<Value>) -> (Response, Vec<Event>) {
    let mut body = Question::new(Dialect::OpenAi, "m").streamed().body();
    if let Some(options) = options {
        body["stream_options"] = options;
    }
    let answer = gateway.client().post("/v1/chat/completions").json(&body).send().expect(200);
    let events = Event::all(&answer.body);
    (answer, events)
}

fn has_usage(event: &Event) -> bool {
    serde_json::from_str::<Value>(&event.data).is_ok_and(|data| !data["usage"].is_null())
}

fn asked_for_usage(provider: &Provider) -> Vec<bool> {
    let asked = |received: &Received| received.json()["stream_options"]["include_usage"] == true;
    provider.asked().iter().map(asked).collect()
}

#[test]
fn usage_is_asked_of_openai_and_kept_from_a_client_that_did_not() {
    let provider = Provider::openai();
    let gateway = gateway_of(&provider);
    let streamed = Question::new(Dialect::OpenAi, "m").streamed();
    for options in [None, Some(json!({"include_usage": false})), Some(json!({})), Some(Value::Null)] {
        let (answer, events) = openai_stream(&gateway, options.clone());
        assert_eq!(streamed.words_of(&events), ANSWER);
        assert!(!answer.text().contains("usage"), "{options:?}: not even `null`");
        let with_choices = |event: &Event| event.data == "[DONE]" || event.json()["choices"][0].is_object();
        assert!(events.iter().all(with_choices), "{options:?}: no extra chunk");
        assert_eq!(events.last().map(|event| event.data.as_str()), Some("[DONE]"));
    }
    assert_eq!(asked_for_usage(&provider), [true; 4]);
    assert_eq!(tokens(&Metrics::after(&gateway, 4), "output"), 4.0 * OUTPUT);
}

#[test]
fn a_client_that_asked_for_usage_gets_it() {
    let provider = Provider::openai();
    let gateway = gateway_of(&provider);
    let (_, events) = openai_stream(&gateway, Some(json!({"include_usage": true})));
    let usage: Vec<&Event> = events.iter().filter(|event| has_usage(event)).collect();
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].json()["usage"]["completion_tokens"], 60);
    let pending = events.iter().filter(|event| event.data.contains(r#""usage":null"#)).count();
    assert_eq!(pending + 2, events.len(), "all but usage itself and the end mark say that it comes");
    assert_eq!(tokens(&Metrics::after(&gateway, 1), "output"), OUTPUT);
}

#[test]
fn of_a_provider_of_another_dialect_a_client_hears_of_usage_only_if_it_asked() {
    for dialect in [Dialect::Anthropic, Dialect::Gemini] {
        let provider = Provider::of(dialect);
        let gateway = gateway_of(&provider);
        let (_, events) = openai_stream(&gateway, None);
        assert!(events.iter().all(|event| !event.data.contains("\"usage\"")), "{dialect}");
        assert_eq!(events.last().map(|event| event.data.as_str()), Some("[DONE]"));
        let (_, events) = openai_stream(&gateway, Some(json!({"include_usage": true})));
        let chunks: Vec<Value> = events.iter().filter(|it| it.data != "[DONE]").map(Event::json).collect();
        let (last, others) = chunks.split_last().expect("chunks");
        assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{dialect}");
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(60)));
        assert_eq!(tokens(&Metrics::after(&gateway, 2), "output"), 2.0 * OUTPUT, "{dialect}");
    }
}

#[test]
fn a_gemini_stream_as_a_json_array_is_metered() {
    let provider = Provider::gemini();
    let gateway = gateway_of(&provider);
    let body = Question::new(Dialect::Gemini, "m").body();
    let answer =
        gateway.client().post("/v1beta/models/m:streamGenerateContent").json(&body).send().expect(200);
    let elements = answer.json();
    let elements = elements.as_array().expect("an array");
    let word =
        |element: &Value| element["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
    assert_eq!(elements.iter().filter_map(word).collect::<String>(), ANSWER);
    let metrics = Metrics::after(&gateway, 1);
    assert_eq!((tokens(&metrics, "input"), tokens(&metrics, "output")), (INPUT, OUTPUT));
    assert_eq!(logged(&gateway, "request_success", 1)[0]["stream"], true);
}

#[test]
fn an_answer_too_long_to_be_held_is_metered_by_what_it_says_at_its_end() {
    let picture = "QUJD".repeat(3 << 20);
    for (dialect, body, expected) in [
        (
            Dialect::Gemini,
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{picture}"}}}}]}},
                "finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":1300}},"responseId":"r"}}"#
            ),
            json!({"input": 9, "output": 1300}),
        ),
        (
            Dialect::OpenAi,
            format!(
                r#"{{"choices":[{{"index":0,"message":{{"content":"{picture}"}},"finish_reason":"stop"}}],
                "usage":{{"prompt_tokens":7,"completion_tokens":5}}}}"#
            ),
            json!({"input": 7, "output": 5}),
        ),
    ] {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        let provider = Canned::answering(format!("{head}: {}\r\n\r\n{body}", body.len()));
        let gateway =
            Gateway::start(&format!("providers:\n{}", provider.yaml("p", dialect, &["models: [m]"])));
        let answer = Question::new(dialect, "m").ask(&gateway).expect(200);
        assert_eq!(answer.body.len(), body.len());
        let line = &logged(&gateway, "request_success", 1)[0];
        assert_eq!((&line["tokens"], &line["usage_estimated"]), (&expected, &Value::Null), "{line}");
    }
}

#[test]
fn embeddings_are_metered() {
    let provider = Provider::openai();
    let gateway = gateway_of(&provider);
    let body = json!({"model": "m", "input": "Hello"});
    gateway.client().post("/v1/embeddings").json(&body).send().expect(200);
    let metrics = Metrics::after(&gateway, 1);
    assert_eq!((tokens(&metrics, "input"), tokens(&metrics, "output")), (INPUT, 0.0));
}

#[test]
fn the_guides_metrics_have_their_names_and_labels() {
    let provider = Provider::openai();
    let gateway = gateway_of(&provider);
    for model in ["m", "status-500"] {
        Question::new(Dialect::OpenAi, model).to(&gateway.client()).send();
    }
    let metrics = Metrics::after(&gateway, 2);
    for series in [
        r#"cliproxy_requests_total{provider="claude",model="m",status="success"}"#,
        r#"cliproxy_errors_total{provider="claude",error_type="server_error"}"#,
        r#"cliproxy_tokens_total{provider="claude",model="m",type="input"}"#,
        r#"cliproxy_tokens_total{provider="claude",model="m",type="output"}"#,
        r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="0.5"}"#,
        r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="1"}"#,
        r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="+Inf"}"#,
    ] {
        assert!(metrics.has(series), "{series}");
    }
    assert_eq!(metrics.of(r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="+Inf"}"#), 2.0);
}

#[test]
fn the_status_has_the_last_minutes_figures() {
    let latency = Latency::Fixed(Duration::from_millis(50));
    let provider = Provider::with(Dialect::OpenAi, Options { latency, ..Options::default() });
    let gateway = gateway_of(&provider);
    let ask = |model: &str| Question::new(Dialect::OpenAi, model).to(&gateway.client()).send().status;
    assert_eq!([ask("m"), ask("m"), ask("status-400")], [200, 200, 400]);
    let figures = eventually("three requests", || {
        Some(status(&gateway, "claude")).filter(|figures| figures["requests_last_minute"] == 3)
    });
    assert_eq!(figures["errors_last_minute"], 0, "a client's fault is none of the provider's");
    let latency = figures["average_latency_ms"].as_u64().expect("whole milliseconds");
    assert!((50..2_000).contains(&latency), "{figures}");

    assert_eq!(ask("status-500"), 500);
    let figures = eventually("four requests", || {
        Some(status(&gateway, "claude")).filter(|figures| figures["requests_last_minute"] == 4)
    });
    assert!(figures["errors_last_minute"].as_u64() >= Some(1), "{figures}");
    assert_eq!(figures["average_latency_ms"], latency, "failures don't flatter the mean");
    assert_eq!(figures["in_cooldown"], false);
    for field in ["status", "uptime_percent"] {
        assert!(!figures[field].is_null(), "{field}: {figures}");
    }
    assert!(figures.get("last_check").is_some());
}
