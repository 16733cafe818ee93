//! Embeddings: clients of OpenAI's API and of Gemini's before providers of either, and nobody else's.

use crate::support::{Canned, Client, Gateway, Metrics, Provider, Response, expect_error, logged};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cliproxy::domain::Dialect;
use serde_json::{Value, json};

const TEXTS: [&str; 3] = ["one", "two", "a third \"text\" that is a little longer"];

fn before(provider: &Provider) -> Gateway {
    Gateway::before(provider, "models: [m]")
}

fn openai(client: &Client, members: &Value) -> Response {
    let mut body = json!({"model": "m"});
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    client.post("/v1/embeddings").json(&body).send()
}

fn gemini(client: &Client, verb: &str, body: &Value) -> Response {
    client.post(&format!("/v1beta/models/m:{verb}")).json(body).send()
}

fn batch(members: &Value) -> Value {
    let request = |text: &str| {
        let mut request = json!({"model": "models/m", "content": {"parts": [{"text": text}]}});
        for (name, value) in members.as_object().expect("an object") {
            request[name] = value.clone();
        }
        request
    };
    json!({"requests": TEXTS.map(request)})
}

/// What the provider itself gives for a text, asked directly: three numbers as they are written.
fn vector(provider: &Provider, dialect: Dialect, text: &str) -> String {
    let client = provider.client();
    let (request, before) = match dialect {
        Dialect::OpenAi => {
            let body = json!({"model": "m", "input": text, "dimensions": 3});
            (client.post("/v1/embeddings").json(&body), "\"embedding\":[")
        }
        Dialect::Gemini | Dialect::Anthropic => {
            let body = json!({"content": {"parts": [{"text": text}]}, "outputDimensionality": 3});
            (client.post("/v1beta/models/m:embedContent").json(&body), "\"values\":[")
        }
    };
    let answer = provider.sign(request).send().expect(200).text();
    let (_, after) = answer.split_once(before).expect("a vector");
    after.split_once(']').expect("its end").0.to_owned()
}

/// A provider, and the vectors that it gives for the texts.
fn with_vectors(dialect: Dialect) -> (Provider, Vec<String>) {
    let provider = Provider::of(dialect);
    let vectors = TEXTS.iter().map(|text| vector(&provider, dialect, text)).collect();
    (provider, vectors)
}

#[test]
fn a_client_of_openais_api_gets_the_vectors_of_a_gemini_provider_digit_by_digit() {
    let (provider, vectors) = with_vectors(Dialect::Gemini);
    let gateway = before(&provider);
    let client = gateway.client();
    let asked_before = provider.asked().len();
    let one = openai(&client, &json!({"input": TEXTS[0], "dimensions": 3})).expect(200);
    let all =
        openai(&client, &json!({"input": TEXTS, "dimensions": 3, "encoding_format": "float"})).expect(200);
    for (answer, count) in [(&one, 1), (&all, 3)] {
        let body = answer.json();
        assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!("m")));
        assert_eq!(body["data"].as_array().map(Vec::len), Some(count));
        for (index, vector) in vectors.iter().take(count).enumerate() {
            let item = format!(r#"{{"object":"embedding","index":{index},"embedding":[{vector}]}}"#);
            assert!(answer.text().contains(&item), "{item} in {}", answer.text());
        }
        assert_eq!(answer.header("x-cliproxy-dropped"), None);
        assert_eq!(answer.header("x-cliproxy-model"), Some("m"));
    }
    let paths: Vec<String> = provider.asked().into_iter().skip(asked_before).map(|it| it.path).collect();
    assert_eq!(paths, ["/v1beta/models/m:embedContent", "/v1beta/models/m:batchEmbedContents"]);
}

#[test]
fn vectors_come_in_base64_where_that_is_asked_for() {
    for dialect in [Dialect::OpenAi, Dialect::Gemini] {
        let (provider, vectors) = with_vectors(dialect);
        let gateway = before(&provider);
        let asked = json!({"input": TEXTS, "dimensions": 3, "encoding_format": "base64"});
        let answer = openai(&gateway.client(), &asked).expect(200).json();
        for (index, vector) in vectors.iter().enumerate() {
            let text = answer["data"][index]["embedding"].as_str().expect("text");
            let bytes = STANDARD.decode(text).expect("base64");
            let floats: Vec<f32> = bytes
                .chunks(4)
                .map(|four| f32::from_le_bytes(four.try_into().expect("four bytes")))
                .collect();
            let expected: Vec<f32> =
                vector.split(',').map(|number| number.trim().parse().expect("a number")).collect();
            assert_eq!(floats, expected, "{dialect}");
        }
    }
}

#[test]
fn a_client_of_geminis_api_gets_the_vectors_of_an_openai_provider() {
    let (provider, vectors) = with_vectors(Dialect::OpenAi);
    let gateway = before(&provider);
    let client = gateway.client();
    let asked_before = provider.asked().len();
    let config = json!({"taskType": "RETRIEVAL_DOCUMENT", "title": "t", "outputDimensionality": 3});
    let all = gemini(&client, "batchEmbedContents", &batch(&config)).expect(200);
    assert_eq!(all.header("x-cliproxy-dropped"), Some("taskType, title"));
    let places: Vec<_> =
        vectors.iter().map(|vector| all.text().find(&format!(r#"{{"values":[{vector}]}}"#))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {}", all.text());
    let one = json!({"content": {"parts": [{"text": TEXTS[2]}]}, "outputDimensionality": 3});
    let one = gemini(&client, "embedContent", &one).expect(200);
    assert!(
        one.text().starts_with(&format!(r#"{{"embedding":{{"values":[{}]}}"#, vectors[2])),
        "{}",
        one.text()
    );
    assert_eq!(one.json()["usageMetadata"]["promptTokenCount"], 10);
    for asked in provider.asked().into_iter().skip(asked_before) {
        assert_eq!(asked.path, "/v1/embeddings");
        let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
        assert_eq!((&body["model"], &body["dimensions"]), (&json!("m"), &json!(3)));
    }
}

#[test]
fn what_is_reported_is_counted_and_what_is_not_is_estimated_and_marked() {
    let (openais, geminis) = (Provider::openai(), Provider::gemini());
    let gateway = before(&geminis);
    let answer = openai(&gateway.client(), &json!({"input": TEXTS})).expect(200);
    // Three, three and 38 bytes.
    let tokens = 1 + 1 + 10;
    assert_eq!(answer.json()["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
    assert_eq!(answer.header("x-cliproxy-estimated"), Some("tokens"));
    Metrics::after(&gateway, 1);
    let line = logged(&gateway, "request_success", 1).remove(0);
    assert_eq!(
        (&line["tokens"]["input"], &line["usage_estimated"]),
        (&json!(tokens), &json!(true)),
        "{line}"
    );

    let gateway = before(&openais);
    let answer = gemini(&gateway.client(), "batchEmbedContents", &batch(&json!({}))).expect(200);
    assert_eq!(
        answer.json()["usageMetadata"],
        json!({"promptTokenCount": tokens, "totalTokenCount": tokens})
    );
    assert_eq!(answer.header("x-cliproxy-estimated"), None);
    Metrics::after(&gateway, 1);
    let line = logged(&gateway, "request_success", 1).remove(0);
    assert_eq!(
        (&line["tokens"]["input"], &line["usage_estimated"]),
        (&json!(tokens), &Value::Null),
        "{line}"
    );
}

#[test]
fn a_gemini_provider_answers_where_an_openai_provider_fails_and_the_other_way_round() {
    for (first, second) in [(Dialect::OpenAi, Dialect::Gemini), (Dialect::Gemini, Dialect::OpenAi)] {
        let failing = Provider::of(first).failing_with(503);
        let (answering, vectors) = with_vectors(second);
        let gateway = Gateway::start(&format!(
            "providers:\n{}{}models:\n  vectors: {{targets: [{{provider: first, model: m-1}}, {{provider: second, model: m-2}}]}}\n",
            failing.yaml_with("first", &["priority: 1"]),
            answering.yaml_with("second", &["priority: 2"]),
        ));
        let client = gateway.client();
        let body = json!({"model": "vectors", "input": TEXTS, "dimensions": 3});
        let openais = client.post("/v1/embeddings").json(&body).send().expect(200);
        let body = batch(&json!({"model": "models/vectors", "outputDimensionality": 3}));
        let geminis = client.post("/v1beta/models/vectors:batchEmbedContents").json(&body).send().expect(200);
        for answer in [openais, geminis] {
            assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
            assert_eq!(answer.header("x-cliproxy-model"), Some("m-2"));
            for vector in &vectors {
                assert!(answer.text().contains(vector), "{vector} in {}", answer.text());
            }
        }
        for (provider, model) in [(&failing, "m-1"), (&answering, "m-2")] {
            let asked = provider.asked();
            let ours = asked.iter().rev().take(2);
            for asked in ours {
                let text = format!("{} {}", asked.path, String::from_utf8_lossy(&asked.body));
                assert!(text.contains(model) && !text.contains("vectors"), "{text}");
            }
        }
    }
}

#[test]
fn who_has_no_embeddings_is_never_asked() {
    let (anthropics, geminis) = (Provider::anthropic(), Provider::gemini());
    let gateway = before(&anthropics);
    let client = gateway.client();
    let answer = openai(&client, &json!({"input": "a"}));
    expect_error(&answer, Dialect::OpenAi, 400, "unsupported_feature", "has the endpoint `embeddings`");
    let answer = gemini(&client, "embedContent", &json!({"content": {"parts": [{"text": "a"}]}}));
    expect_error(&answer, Dialect::Gemini, 400, "unsupported_feature", "has the endpoint `embedContent`");

    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        anthropics.yaml_with("first", &["models: [m]", "priority: 1"]),
        geminis.yaml_with("second", &["models: [m]", "priority: 2"]),
    ));
    let answer = openai(&gateway.client(), &json!({"input": "a"})).expect(200);
    assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
    assert!(anthropics.asked().is_empty());
}

#[test]
fn what_gemini_lacks_goes_to_who_has_it_or_nowhere() {
    let (openais, geminis) = (Provider::openai(), Provider::gemini());
    let pair = |first: &Provider, second: &Provider| {
        Gateway::start(&format!(
            "providers:\n{}{}",
            first.yaml_with("first", &["models: [m]", "priority: 1"]),
            second.yaml_with("second", &["models: [m]", "priority: 2"]),
        ))
    };
    let both = pair(&geminis, &openais);
    let alone = before(&geminis);
    for (input, words) in [
        (json!([1, 2, 3]), "input in tokens"),
        (json!([[1, 2], [3]]), "input in tokens"),
        (json!(vec!["a"; 101]), "more than 100 inputs"),
    ] {
        let asked = json!({"input": input});
        let answer = openai(&both.client(), &asked).expect(200);
        assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{words}");
        let refusal = openai(&alone.client(), &asked);
        expect_error(&refusal, Dialect::OpenAi, 400, "unsupported_feature", words);
    }
    assert!(geminis.asked().is_empty());
}

#[test]
fn an_alias_in_geminis_own_body_is_renamed_for_geminis_own_provider() {
    let provider = Provider::gemini();
    let gateway = Gateway::start(&format!(
        "providers:\n{}",
        provider.yaml_with("only", &["models: [{name: real, alias: m}]"])
    ));
    let client = gateway.client();
    gemini(&client, "batchEmbedContents", &batch(&json!({}))).expect(200);
    let one = json!({"model": "models/m", "content": {"parts": [{"text": "m"}]}});
    gemini(&client, "embedContent", &one).expect(200);
    let whole = json!({"model": "models/m", "contents": [{"parts": [{"text": "m"}]}]});
    gemini(&client, "countTokens", &json!({"generateContentRequest": whole})).expect(200);
    for asked in provider.asked() {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(asked.path.starts_with("/v1beta/models/real:"), "{}", asked.path);
        assert!(body.contains(r#""model":"models/real""#) && !body.contains("models/m"), "{body}");
    }
}

#[test]
fn an_answer_without_all_its_vectors_is_no_answer() {
    let body = r#"{"embeddings":[{"values":[1]}]}"#;
    let short = Canned::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let second = Provider::openai();
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        short.yaml("first", Dialect::Gemini, &["api_key: k", "models: [m]", "priority: 1"]),
        second.yaml_with("second", &["models: [m]", "priority: 2"]),
    ));
    let answer = openai(&gateway.client(), &json!({"input": ["a", "b"]})).expect(200);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(2));
}
