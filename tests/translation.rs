//! A client of one dialect before providers of another: the same answer, in the client's words.

use crate::support::{
    BodyEnd, Event, Gateway, Metrics, Provider, Question, assert_whole, error_message, expect_error, logged,
};
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

/// Every client before every provider of another dialect.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let pair = |client| Dialect::ALL.into_iter().map(move |provider| (client, provider));
    Dialect::ALL.into_iter().flat_map(pair).filter(|(client, provider)| client != provider)
}

fn before(provider: &Provider) -> Gateway {
    Gateway::before(provider, "models: [m]")
}

#[test]
fn every_client_gets_the_whole_answer_of_every_provider() {
    for (clients, providers) in pairs() {
        let provider = Provider::of(providers);
        let gateway = before(&provider);
        let plain = Question::new(clients, "m");
        let mut questions = vec![plain.clone(), plain.clone().streamed()];
        if clients == Dialect::Gemini {
            questions.push(plain.streamed().in_an_array());
        }
        for (number, question) in (1..).zip(&questions) {
            let answer = question.to(&gateway.client()).send().expect(200);
            assert_whole(question, &answer);
            assert_eq!(answer.header("x-cliproxy-model"), Some("m"));
            assert_eq!(answer.header("x-cliproxy-dropped"), None, "{clients} to {providers}");
            Metrics::after(&gateway, number);
        }
        for line in logged(&gateway, "request_success", questions.len()) {
            assert_eq!(line["tokens"]["output"], 60, "{clients} to {providers}: {line}");
            assert_eq!(line["usage_estimated"], Value::Null);
        }
    }
}

#[test]
fn what_a_provider_has_no_words_for_is_left_out_and_named() {
    let provider = Provider::openai();
    let gateway = before(&provider);
    let mut body = Question::new(Dialect::Anthropic, "m").body();
    body["top_k"] = 5.into();
    body["temperature"] = json!(0.5);
    let client = gateway.client();
    let answer =
        client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body).send().expect(200);
    assert_eq!(answer.header("x-cliproxy-dropped"), Some("top_k"));
    let asked: Value = serde_json::from_slice(&provider.asked()[0].body).expect("JSON");
    assert_eq!((&asked["temperature"], &asked["top_k"]), (&json!(0.5), &Value::Null));
}

#[test]
fn what_nobody_can_be_asked_for_is_named_and_nobody_is_asked() {
    for (clients, providers) in pairs() {
        let provider = Provider::of(providers);
        let gateway = before(&provider);
        let question = Question::new(clients, "m");
        let mut body = question.body();
        match clients {
            Dialect::OpenAi => body["n"] = 2.into(),
            Dialect::Anthropic => {
                body["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
            }
            Dialect::Gemini => body["cachedContent"] = "cachedContents/1".into(),
        }
        let client = gateway.client();
        let answer = question.unasked(&client).json(&body).send();
        let words = match clients {
            Dialect::OpenAi => "more than one answer",
            Dialect::Anthropic => "tools run by the provider",
            Dialect::Gemini => "files kept by the provider",
        };
        let told = format!(
            "no provider of model `m` supports {words} in a request like this; leave it out, or use a model whose \
             provider does"
        );
        expect_error(&answer, clients, 400, "unsupported_feature", &told);
        assert!(provider.asked().is_empty());
    }
}

/// Which pictures a provider looks at is known where they are written, and so only when it is its turn.
#[test]
fn what_one_provider_has_no_words_for_is_asked_of_the_next() {
    let (claude, gemini) = (Provider::of(Dialect::Anthropic), Provider::of(Dialect::Gemini));
    let providers = [("first", &claude), ("second", &gemini)]
        .map(|(name, provider)| provider.yaml_with(name, &["models: [m]"]))
        .concat();
    let gateway = Gateway::start(&format!("providers:\n{providers}"));
    let mut body = Question::new(Dialect::OpenAi, "m").body();
    body["messages"][0]["content"] = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/heic;base64,AAAA"}},
    ]);
    let client = gateway.client();
    for _ in 0..4 {
        client.post("/v1/chat/completions").json(&body).send().expect(200);
    }
    assert_eq!((claude.asked().len(), gemini.asked().len()), (0, 4));
}

#[test]
fn who_stops_at_no_text_is_not_asked_to() {
    let (thinks, stops) = (Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        thinks.yaml_with("thinks", &["models: [o4-mini, gpt-5]", "priority: 1"]),
        stops.yaml_with("stops", &["models: [{name: gpt-4o, alias: o4-mini}]", "priority: 2"]),
    ));
    let client = gateway.client();
    for (model, status) in [("o4-mini", 200), ("gpt-5", 400)] {
        let body = json!({"model": model, "max_tokens": 99, "stop_sequences": ["nothing"],
            "messages": [{"role": "user", "content": "a"}]});
        let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
        let answer = request.send().expect(status);
        let told = "this provider's model can't be told where to stop";
        assert_eq!(answer.text().contains(told), status == 400, "{}", answer.text());
    }
    assert_eq!((thinks.asked().len(), stops.asked().len()), (0, 1));
}

#[test]
fn a_request_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    for (clients, providers) in pairs() {
        let provider = Provider::of(providers);
        let gateway = before(&provider);
        let question = Question::new(clients, "m");
        let mut body = question.body();
        let field = match clients {
            Dialect::OpenAi => {
                body["messages"][0]["role"] = "narrator".into();
                "messages[0].role"
            }
            Dialect::Anthropic => {
                body["messages"][0]["content"] =
                    json!([{"type": "tool_result", "tool_use_id": "nobody", "content": "x"}]);
                "messages[0].content[0]"
            }
            Dialect::Gemini => {
                body["contents"][0]["parts"] =
                    json!([{"inlineData": {"mimeType": "image/png", "data": "%%"}}]);
                "contents[0].parts[0]"
            }
        };
        let client = gateway.client();
        let answer = question.unasked(&client).json(&body).send();
        expect_error(&answer, clients, 400, "invalid_request", field);
        assert!(provider.asked().is_empty());
        question.to(&gateway.client()).send().expect(200);
    }
}

#[test]
fn a_client_of_the_responses_api_is_served_by_whoever_has_the_model() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = before(&provider);
        for streams in [false, true] {
            let body = json!({"model": "m", "input": "hello", "stream": streams});
            let answer = gateway.client().post("/v1/responses").json(&body).send().expect(200);
            assert_eq!(answer.end, BodyEnd::Clean);
            let response = if streams {
                let events = Event::all(&answer.body);
                let numbers: Vec<u64> = events
                    .iter()
                    .map(|event| event.json()["sequence_number"].as_u64().expect("a number"))
                    .collect();
                assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
                events.last().expect("an event").json()["response"].clone()
            } else {
                answer.json()
            };
            assert_eq!(response["status"], "completed", "{dialect}");
            assert_eq!(response["output"][0]["content"][0]["text"], cliproxy::simulator::ANSWER);
            assert_eq!(response["usage"]["output_tokens"], 60);
        }
    }
}

#[test]
fn a_conversation_that_comes_back_to_anthropic_leaves_the_signatures_of_others_behind() {
    let provider = Provider::anthropic();
    let gateway = Gateway::before(&provider, "models: [claude-sonnet-4-5]");
    let client = gateway.client();
    let thinking = json!({"model": "claude-sonnet-4-5", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "a"}]});
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&thinking);
    // The provider knows its own signatures, and refuses others.
    let own = request.send().expect(200).json()["content"][0].clone();
    let signature = own["signature"].as_str().expect("a signature");
    for (signature, stays) in [(signature, true), ("cliproxy:generate:c2lnbmVk", false), ("", false)] {
        let thought = json!({"type": "thinking", "thinking": own["thinking"], "signature": signature});
        let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "c"},
        ]});
        let client = gateway.client();
        let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
        assert_eq!(request.send().expect(200).json()["content"][0]["text"], cliproxy::simulator::ANSWER);
        let asked = provider.asked().pop().expect("asked");
        let asked = String::from_utf8_lossy(&asked.body).into_owned();
        assert_eq!(asked.contains("\"thinking\""), stays, "{asked}");
        assert!(!asked.contains("cliproxy:"));
    }
}

#[test]
fn reasoning_of_others_stays_behind_where_a_conversation_goes_on_at_openai() {
    for begun in [Dialect::Anthropic, Dialect::Gemini] {
        let (first, second) = (Provider::of(begun), Provider::openai());
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml_with("first", &["models: [a]"]),
            second.yaml_with("second", &["models: [gpt-5-mini]", "responses: true"])
        ));
        let client = gateway.client();
        let ask = |body: Value| client.post("/v1/responses").json(&body).send();
        let tool =
            json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}});
        for include in [json!([]), json!(["reasoning.encrypted_content"])] {
            let body = |model: &str, input: Value| {
                json!({"model": model, "input": input, "include": include, "tools": [tool],
                    "reasoning": {"effort": "low", "summary": "auto"}})
            };
            let said = ask(body("a", "call f".into())).expect(200).json()["output"].clone();
            let mut input = vec![json!({"role": "user", "content": "call f"})];
            input.extend(said.as_array().expect("items").iter().cloned());
            let call_id = input.last().expect("a call")["call_id"].clone();
            input.push(json!({"type": "function_call_output", "call_id": call_id, "output": "noon"}));
            let answer = ask(body("gpt-5-mini", input.clone().into())).expect(200);
            assert_eq!(answer.header("x-cliproxy-dropped"), Some("thinking"));
            let asked: Value =
                serde_json::from_slice(&second.asked().pop().expect("asked").body).expect("JSON");
            input.retain(|item| item["type"] != "reasoning");
            assert_eq!(asked["input"], Value::from(input));
            // What the provider itself has thought goes on with it.
            let own = answer.json()["output"].as_array().expect("items").clone();
            assert_eq!(own[0]["type"], "reasoning");
            let mut input = vec![json!({"role": "user", "content": "Hello"})];
            input.extend(own);
            let answer = ask(body("gpt-5-mini", input.clone().into())).expect(200);
            assert_eq!(answer.header("x-cliproxy-dropped"), None);
        }
    }
}

#[test]
fn a_model_newer_than_all_we_know_is_asked_as_the_newest_of_these() {
    let provider = Provider::openai();
    let gateway = Gateway::before(&provider, "models: [gpt-6]");
    let body = json!({"model": "gpt-6", "max_tokens": 3000, "messages": [{"role": "user", "content": "a"}],
        "thinking": {"type": "enabled", "budget_tokens": 2048}});
    let client = gateway.client();
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
    assert_eq!(request.send().expect(200).header("x-cliproxy-dropped"), None);
    let asked: Value = serde_json::from_slice(&provider.asked().pop().expect("asked").body).expect("JSON");
    assert_eq!((&asked["max_completion_tokens"], &asked["reasoning_effort"]), (&json!(3000), &json!("low")));
}

#[test]
fn a_failure_keeps_its_class_and_its_words_across_dialects() {
    for (clients, providers) in pairs() {
        let provider = Provider::of(providers);
        let gateway = Gateway::before(&provider, "models: [status-400, status-404]");
        for (model, status) in [("status-400", 400), ("status-404", 404)] {
            for question in Question::both_ways(clients, model) {
                let answer = question.to(&gateway.client()).send();
                assert_eq!(answer.status, status, "{clients} before {providers}: {}", answer.text());
                assert!(!error_message(clients, &answer.json()).is_empty());
            }
        }
    }
}

#[test]
fn tokens_that_nobody_counts_are_estimated() {
    let provider = Provider::openai();
    let gateway = before(&provider);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(400)}]});
    let client = gateway.client();
    let answer =
        client.post("/v1/messages/count_tokens").header("anthropic-version", "2023-06-01").json(&body);
    let answer = answer.send().expect(200);
    assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"));
    let tokens = answer.json()["input_tokens"].as_u64().expect("a number");
    assert!((100..130).contains(&tokens), "{tokens}");
    let body = json!({"contents": [{"parts": [{"text": "x".repeat(400)}]}]});
    let answer = gateway.client().post("/v1beta/models/m:countTokens").json(&body).send().expect(200);
    assert!(answer.json()["totalTokens"].as_u64().is_some_and(|tokens| (100..130).contains(&tokens)));
    assert!(provider.asked().is_empty());
}
