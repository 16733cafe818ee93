//! Token counts: asked of whoever counts, in its own words; estimated and marked where nobody does.

use crate::support::{Canned, Client, Gateway, Provider, Request, expect_error};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

fn before(provider: &Provider) -> Gateway {
    Gateway::before(provider, "models: [m]")
}

/// Words that come to ten tokens in every simulated provider: forty bytes, the system's included.
const SYSTEM: &str = "Answer in one word.";
const WORDS: &str = "How many tokens is this?";
const TOKENS: u64 = (SYSTEM.len() + WORDS.len()).div_ceil(4) as u64;

/// Who may ask for a count, with the question and the place of the number.
struct Asker {
    dialect: Dialect,
    path: &'static str,
    body: Value,
    number: &'static str,
}

fn askers() -> [Asker; 4] {
    let contents = json!([{"role": "user", "parts": [{"text": WORDS}]}]);
    let instruction = json!({"parts": [{"text": SYSTEM}]});
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let [anthropic, openai, gemini] = [Dialect::Anthropic, Dialect::OpenAi, Dialect::Gemini];
    [
        Asker {
            dialect: anthropic,
            path: "/v1/messages/count_tokens",
            body: json!({"model": "m", "system": SYSTEM, "tools": tools,
                "messages": [{"role": "user", "content": WORDS}]}),
            number: "input_tokens",
        },
        Asker {
            dialect: openai,
            path: "/v1/responses/input_tokens",
            body: json!({"model": "m", "instructions": SYSTEM, "input": WORDS}),
            number: "input_tokens",
        },
        Asker {
            dialect: gemini,
            path: "/v1beta/models/m:countTokens",
            body: json!({"generateContentRequest": {"model": "models/m", "systemInstruction": instruction,
                "contents": contents, "generationConfig": {"temperature": 1.5, "maxOutputTokens": 5}}}),
            number: "totalTokens",
        },
        Asker {
            dialect: gemini,
            path: "/v1beta/models/m:countTokens",
            body: json!({"contents": [{"role": "user", "parts": [{"text": format!("{SYSTEM}{WORDS}")}]}]}),
            number: "totalTokens",
        },
    ]
}

impl Asker {
    fn ask<'c>(&self, client: &'c Client) -> Request<'c> {
        client.post(self.path).header("anthropic-version", "2023-06-01").json(&self.body)
    }
}

#[test]
fn who_counts_is_asked_in_its_own_words() {
    for asker in askers() {
        for providers in [Dialect::Anthropic, Dialect::Gemini] {
            let provider = Provider::of(providers);
            let gateway = before(&provider);
            let answer = asker.ask(&gateway.client()).send().expect(200);
            assert_eq!(answer.json()[asker.number], TOKENS, "{} before {providers}", asker.path);
            assert_eq!(answer.header("x-cliproxy-estimated"), None);
            assert_eq!(answer.header("x-cliproxy-provider"), Some("only"));
            let asked = provider.asked();
            let path = match providers {
                Dialect::Gemini => "/v1beta/models/m:countTokens",
                _ => "/v1/messages/count_tokens",
            };
            assert_eq!((asked.len(), &*asked[0].path), (1, path));
            if providers == Dialect::Anthropic && asker.dialect != providers {
                let body: Value = serde_json::from_slice(&asked[0].body).expect("JSON");
                let names: Vec<_> = body.as_object().expect("an object").keys().collect();
                // The vendor refuses here whatever says how to answer.
                let known = ["model", "messages", "system", "tools"];
                assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
            }
        }
    }
}

#[test]
fn an_openai_provider_that_has_the_responses_api_counts_in_it() {
    for asker in askers() {
        let provider = Provider::openai();
        let entry = provider.yaml_with("only", &["models: [m]", "responses: true"]);
        let gateway = Gateway::start(&format!("providers:\n{entry}"));
        let answer = asker.ask(&gateway.client()).send().expect(200);
        assert_eq!(answer.json()[asker.number], TOKENS, "{}", asker.path);
        assert_eq!(answer.header("x-cliproxy-estimated"), None);
        let asked = provider.asked();
        assert_eq!((asked.len(), &*asked[0].path), (1, "/v1/responses/input_tokens"));
    }
}

#[test]
fn one_that_turns_out_not_to_count_is_estimated_for_or_another_counts() {
    let lacking = || {
        Canned::answering(
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nnot found",
        )
    };
    let lines = ["api_key: k", "models: [m]", "responses: true", "priority: 1"];
    for asker in askers() {
        let first = lacking();
        let alone = Gateway::start(&format!("providers:\n{}", first.yaml("only", Dialect::OpenAi, &lines)));
        let answer = asker.ask(&alone.client()).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"), "{}", asker.path);
        assert_eq!(first.heads().len(), 1);
        let (first, second) = (lacking(), Provider::gemini());
        let both = Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml("first", Dialect::OpenAi, &lines),
            second.yaml_with("second", &["models: [m]", "priority: 2"]),
        ));
        let answer = asker.ask(&both.client()).send().expect(200);
        assert_eq!(
            (&answer.json()[asker.number], answer.header("x-cliproxy-estimated")),
            (&json!(TOKENS), None)
        );
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    }
}

#[test]
fn an_openai_provider_counts_nothing_and_the_estimate_says_so() {
    for asker in askers() {
        let provider = Provider::openai();
        let gateway = before(&provider);
        let answer = asker.ask(&gateway.client()).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"), "{}", asker.path);
        let body = answer.json();
        // Words and tools, and nothing of the JSON around them.
        let tools = if asker.dialect == Dialect::Anthropic { "f{\"type\":\"object\"}".len() } else { 0 };
        assert_eq!(body[asker.number], (SYSTEM.len() + WORDS.len() + tools).div_ceil(4), "{body}");
        if asker.dialect == Dialect::OpenAi {
            assert_eq!(body["object"], "response.input_tokens");
        }
        assert!(provider.asked().is_empty());
    }
}

#[test]
fn what_only_its_own_provider_understands_is_estimated_elsewhere() {
    let provider = Provider::gemini();
    let gateway = before(&provider);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": WORDS}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let client = gateway.client();
    let request = client.post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01");
    let answer = request.json(&body).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"));
    assert!(provider.asked().is_empty());
}

#[test]
fn another_provider_counts_where_the_first_fails() {
    let (first, second) = (Provider::anthropic().failing_with(503), Provider::gemini());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}{}",
        first.yaml_with("first", &["models: [m]", "priority: 1"]),
        Provider::openai().yaml_with("never", &["models: [m]", "priority: 1"]),
        second.yaml_with("second", &["models: [m]", "priority: 2"]),
    ));
    for asker in askers() {
        let answer = asker.ask(&gateway.client()).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{}", asker.path);
        assert_eq!(answer.json()[asker.number], TOKENS);
    }
}

#[test]
fn a_provider_that_answers_no_number_has_not_counted() {
    let provider = Canned::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"totalTokens\":null} ",
    );
    let gateway = Gateway::start(&format!(
        "providers:\n{}",
        provider.yaml("only", Dialect::Gemini, &["api_key: k", "models: [m]"])
    ));
    let [asker, ..] = askers();
    let answer = asker.ask(&gateway.client()).send();
    assert!(answer.status >= 500, "{}", answer.text());
}

#[test]
fn a_count_of_what_makes_no_sense_is_refused_by_the_name_of_its_field() {
    for (provider, number) in [(Dialect::OpenAi, 0), (Dialect::Gemini, 0), (Dialect::Anthropic, 2)] {
        let provider = Provider::of(provider);
        let gateway = before(&provider);
        let asker = &askers()[number];
        let (member, field) = match number {
            0 => ("messages", "messages[0].role"),
            _ => ("generateContentRequest", "generateContentRequest.contents[0].role"),
        };
        let mut body = asker.body.clone();
        body[member] = match number {
            0 => json!([{"role": "narrator", "content": "x"}]),
            _ => json!({"contents": [{"role": "narrator", "parts": []}]}),
        };
        let client = gateway.client();
        let request = client.post(asker.path).header("anthropic-version", "2023-06-01");
        let answer = request.json(&body).send();
        expect_error(&answer, asker.dialect, 400, "invalid_request", field);
        assert!(provider.asked().is_empty());
        asker.ask(&gateway.client()).send().expect(200);
    }
}

#[test]
fn a_provider_with_the_responses_api_counts_for_its_own_clients() {
    let body = r#"{"object":"response.input_tokens","input_tokens":7}"#;
    let provider = Canned::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let lines = ["api_key: k", "models: [m]", "responses: true"];
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml("only", Dialect::OpenAi, &lines)));
    let [_, asker, ..] = askers();
    let answer = asker.ask(&gateway.client()).send().expect(200);
    assert_eq!((answer.text().as_str(), answer.header("x-cliproxy-estimated")), (body, None));
    assert!(provider.heads()[0].starts_with("post /v1/responses/input_tokens http/1.1\r\n"));
}
