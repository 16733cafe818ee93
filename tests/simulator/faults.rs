//! Scenarios in which a request gets no answer, or not at once: what each does in each dialect.

use crate::support::{Client, Question, Response};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Options, Received, SCENARIOS, Simulator};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

fn simulator(time_scale: f64) -> Simulator {
    Simulator::start(Options { time_scale, ..Options::default() }).expect("a free port")
}

/// Asks on a connection of its own.
fn ask(simulator: &Simulator, question: &Question) -> Response {
    question.to(&Client::new(simulator.address())).send()
}

/// Every question there is for a model.
fn questions(model: &str) -> Vec<Question> {
    Dialect::ALL.into_iter().flat_map(|dialect| Question::both_ways(dialect, model)).collect()
}

/// The place of a dialect in the tables below.
fn column(dialect: Dialect) -> usize {
    Dialect::ALL.into_iter().position(|other| other == dialect).expect("one of all")
}

/// Status and words, in OpenAI's, Anthropic's and Gemini's dialect.
const REFUSALS: &[(&str, [u16; 3], [&str; 3])] = &[
    ("fault-s02", [429; 3], ["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"]),
    ("fault-s04", [503; 3], ["server_error", "api_error", "UNAVAILABLE"]),
    (
        "fault-s12",
        [400; 3],
        ["context_length_exceeded", "prompt is too long", "exceeds the maximum number of tokens"],
    ),
    (
        "fault-s13",
        [400, 400, 200],
        ["content_filter", "blocked by content filtering policy", r#""promptFeedback":{"blockReason":""#],
    ),
    ("fault-s16", [500; 3], ["server_error", "api_error", "INTERNAL"]),
    ("fault-403", [403; 3], ["unsupported_country", "permission_error", "PERMISSION_DENIED"]),
    (
        "fault-404-model",
        [404; 3],
        ["model_not_found", "model: fault-404-model", "models/fault-404-model is not found"],
    ),
    ("fault-early-400", [400; 3], ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"]),
    ("fault-early-close", [503; 3], ["server_error", "api_error", "UNAVAILABLE"]),
];

#[test]
fn what_is_refused_for_ever_is_refused_in_the_vendors_words() {
    let simulator = simulator(1.0);
    for (model, statuses, words) in REFUSALS {
        for question in questions(model) {
            let column = column(question.dialect);
            for _ in 0..2 {
                let refused = ask(&simulator, &question).expect(statuses[column]);
                assert!(refused.text().contains(words[column]), "{model}: {}", refused.text());
                assert_eq!(refused.header("retry-after"), None, "{model}");
                assert!(!refused.text().contains("retryDelay"), "{model}");
            }
        }
    }
}

#[test]
fn what_happens_once_happens_once_to_each_request() {
    let simulator = simulator(1.0);
    for (model, status) in [("fault-s01", 429), ("fault-s03", 500)] {
        for question in questions(model) {
            for question in [question.clone(), question.saying("Another")] {
                ask(&simulator, &question).expect(status);
                for _ in 0..2 {
                    assert_eq!(question.words(&ask(&simulator, &question).expect(200)), ANSWER, "{model}");
                }
            }
        }
    }
    for question in questions("fault-s05") {
        assert!(question.to(&Client::new(simulator.address())).try_send().is_err(), "{}", question.dialect);
        assert_eq!(question.words(&ask(&simulator, &question).expect(200)), ANSWER);
    }
}

#[test]
fn a_throttled_client_is_told_when_to_come_back() {
    for (scale, ms, delay) in [(1.0, None, "2s"), (0.5, Some("1000"), "1.000s")] {
        let simulator = simulator(scale);
        for question in questions("fault-s01") {
            let refused = ask(&simulator, &question).expect(429);
            if question.dialect == Dialect::Gemini {
                assert_eq!(refused.json()["error"]["details"][0]["retryDelay"], delay);
            } else {
                assert_eq!(
                    (refused.header("retry-after"), refused.header("retry-after-ms")),
                    (Some("2"), ms)
                );
            }
        }
    }
}

#[test]
fn silence_lasts_as_long_as_the_client_stays() {
    let simulator = simulator(1.0);
    for question in questions("fault-s06") {
        let impatient = Client::new(simulator.address()).timeout(Duration::from_millis(50));
        assert!(question.to(&impatient).try_send().is_err());
    }
    let all_left = |received: &[Received]| received.iter().all(Received::client_closed);
    assert!(simulator.wait_until(all_left, LIMIT));
    assert_eq!(simulator.requests(), 6);
}

#[test]
fn the_sick_one_is_well_again_after_its_time() {
    // 60 s are 300 ms here.
    let simulator = simulator(0.005);
    let begun = Instant::now();
    for question in questions("fault-s15") {
        ask(&simulator, &question).expect(503);
    }
    assert!(begun.elapsed() < Duration::from_millis(300), "six answers in that time");
    let question = Question::new(Dialect::OpenAi, "fault-s15");
    let well = loop {
        let answer = ask(&simulator, &question);
        if answer.status != 503 {
            break answer;
        }
    };
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(question.words(&well), ANSWER);
}

#[test]
fn waits_lie_where_the_scenario_has_them() {
    let simulator = simulator(0.005);
    // 20 s, 30 s and 59 s; whether the header comes first; words before the wait.
    for (model, wait, has_begun) in
        [("fault-s07", 100, ""), ("fault-s09", 150, "acorn"), ("fault-slow-drip", 295, "acorn")]
    {
        let wait = Duration::from_millis(wait);
        for question in questions(model) {
            let client = Client::new(simulator.address());
            let begun = Instant::now();
            let mut incoming = question.to(&client).open();
            let header = begun.elapsed();
            let mut body = Vec::new();
            let mut at_once = None;
            while let Some(bytes) = incoming.next_bytes() {
                if begun.elapsed() < wait {
                    at_once = Some(body.len() + bytes.len());
                }
                body.extend_from_slice(&bytes);
            }
            let what = format!("{model} in {}", question.dialect);
            assert!(header < wait && begun.elapsed() >= wait, "{what}");
            assert_eq!(at_once.is_some(), !has_begun.is_empty(), "{what}");
            let early = String::from_utf8_lossy(&body[..at_once.unwrap_or(0)]).into_owned();
            assert!(early.contains(has_begun) && !early.contains("walnut"), "{what}: {early}");
            assert!(String::from_utf8_lossy(&body).contains("walnut"), "{what}");
        }
    }
}

/// A question whose last message is the model's own, with that text.
fn prefilled(question: &Question, text: &str) -> Value {
    let mut body = question.body();
    let (list, message) = match question.dialect {
        Dialect::Gemini => ("contents", json!({"role": "model", "parts": [{"text": text}]})),
        Dialect::OpenAi | Dialect::Anthropic => ("messages", json!({"role": "assistant", "content": text})),
    };
    body[list].as_array_mut().expect("a list of messages").push(message);
    body
}

#[test]
fn a_prefilled_answer_is_gone_on_from_or_refused() {
    let simulator = simulator(1.0);
    let client = Client::new(simulator.address());
    let ask =
        |question: &Question, text: &str| question.unasked(&client).json(&prefilled(question, text)).send();
    let (begin, rest) = ANSWER.split_at(ANSWER.find(" lagoon").expect("a word of the answer"));
    for question in questions("m") {
        assert_eq!(question.words(&ask(&question, begin).expect(200)), rest);
        assert_eq!(question.words(&ask(&question, ANSWER).expect(200)), "");
        assert_eq!(question.words(&ask(&question, "Something else").expect(200)), ANSWER);
        let with_space = ask(&question, &format!("{begin} "));
        if question.dialect == Dialect::Anthropic {
            assert!(with_space.expect(400).text().contains("trailing whitespace"));
        } else {
            assert_eq!(question.words(&with_space.expect(200)), rest.trim_start());
        }
    }
    for model in ["no-prefill", "fault-s14"] {
        for question in questions(model) {
            ask(&question, begin).expect(400);
        }
    }
    for question in questions("no-prefill") {
        assert_eq!(question.words(&question.to(&client).send().expect(200)), ANSWER);
    }
}

#[test]
fn the_help_has_a_line_for_each_scenario() {
    for scenario in SCENARIOS {
        assert!(scenario.name.len() <= 24 && scenario.does.len() <= 100, "{} is too long", scenario.name);
        assert!(!scenario.does.ends_with('.'), "{}", scenario.name);
    }
}
