//! Requests that refer to what one account has: they go there, or nowhere.

use crate::support::{Client, Gateway, Provider, Response, expect_error, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::Options;
use serde_json::{Value, json};

const MODEL: &str = "gpt-5-mini";
const LINES: [&str; 2] = ["models: [gpt-5-mini]", "responses: true"];

/// Two accounts with OpenAI, whose answers have ids of their own.
fn accounts() -> (Provider, Provider) {
    let account =
        |name: &str| Provider::with(Dialect::OpenAi, Options { name: name.to_owned(), ..Options::default() });
    (account("one"), account("two"))
}

/// A gateway before two accounts with OpenAI.
fn before(first: &Provider, second: &Provider) -> Gateway {
    let providers = first.yaml_with("first", &LINES) + &second.yaml_with("second", &LINES);
    Gateway::start(&format!("providers:\n{providers}"))
}

fn ask(client: &Client, more: &Value) -> Response {
    let mut body = json!({"model": MODEL, "input": "Hello"});
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    client.post("/v1/responses").json(&body).send()
}

/// The id of an answer, whole or as a stream, and who made it.
fn made(answer: &Response) -> (String, String) {
    let text = answer.text();
    let (_, id) = text.split_once(r#""id":"resp_"#).expect("an id");
    let id = format!("resp_{}", id.split('"').next().expect("its end"));
    (id, answer.header("x-cliproxy-provider").expect("a provider").to_owned())
}

#[test]
fn every_follow_up_reaches_the_account_that_made_the_answer() {
    let (first, second) = accounts();
    let gateway = before(&first, &second);
    let client = gateway.client();
    let mut makers = Vec::new();
    for stream in [false, true] {
        for _ in 0..2 {
            let (mut id, maker) = made(&ask(&client, &json!({"stream": stream})).expect(200));
            for _ in 0..20 {
                let answer = ask(&client, &json!({"stream": stream, "previous_response_id": id})).expect(200);
                let (next, by) = made(&answer);
                assert_eq!(by, maker);
                id = next;
            }
            makers.push(maker);
        }
    }
    makers.sort();
    makers.dedup();
    assert_eq!(makers, ["first", "second"], "both make answers");
}

#[test]
fn an_answer_too_long_to_be_held_has_a_maker_too() {
    let (first, second) = accounts();
    let lines = ["models: [large-8M]", "responses: true"];
    let providers = first.yaml_with("first", &lines) + &second.yaml_with("second", &lines);
    let gateway = Gateway::start(&format!("providers:\n{providers}"));
    let large = json!({"model": "large-8M"});
    let answer = ask(&gateway.client(), &large).expect(200);
    assert_eq!(answer.header("content-length"), None, "relayed as it comes");
    let by = answer.header("x-cliproxy-provider").expect("a provider").to_owned();
    let from = answer.text();
    let id = from.split_once(r#""id":"resp_"#).and_then(|(_, id)| id.split('"').next()).expect("an id");
    for _ in 0..4 {
        let more = json!({"model": "large-8M", "previous_response_id": format!("resp_{id}")});
        assert_eq!(ask(&gateway.client(), &more).expect(200).header("x-cliproxy-provider"), Some(&*by));
    }
}

#[test]
fn of_two_keys_of_one_provider_the_one_that_made_the_answer_is_used() {
    let provider = Provider::openai();
    let keys = format!("api_keys: [\"{}\", \"another\"]", provider.key());
    // The other key is refused, so that only the first makes answers.
    let entry =
        provider.yaml_with("only", &LINES).replace(&format!("api_key: \"{}\"", provider.key()), &keys);
    let gateway = Gateway::start(&format!("providers:\n{entry}"));
    let client = gateway.client();
    let (mut id, _) = made(&ask(&client, &json!({})).expect(200));
    for _ in 0..6 {
        let answer = ask(&client, &json!({"previous_response_id": id})).expect(200);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
        (id, _) = made(&answer);
    }
}

#[test]
fn what_nobody_here_saw_being_made_is_refused_unless_one_account_alone_can_have_it() {
    let (first, second) = accounts();
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]);
    let references = [
        json!({"previous_response_id": "resp_elsewhere"}),
        json!({"conversation": "conv_1"}),
        json!({"input": file}),
        json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
    ];
    let both = before(&first, &second);
    for more in &references {
        let answer = ask(&both.client(), more);
        expect_error(
            &answer,
            Dialect::OpenAi,
            400,
            "unsupported_feature",
            "only the account that made it has",
        );
        let why = answer.text();
        assert!(why.contains("`first/gpt-5-mini`"), "{why}");
    }
    assert!(first.asked().is_empty() && second.asked().is_empty());
    for more in &references {
        let mut more = more.clone();
        more["model"] = json!(format!("second/{MODEL}"));
        ask(&both.client(), &more).expect(200);
    }
    assert_eq!((first.asked().len(), second.asked().len()), (0, references.len()));
    let alone = Gateway::start(&format!("providers:\n{}", first.yaml_with("first", &LINES)));
    for more in &references {
        ask(&alone.client(), more).expect(200);
    }
}

#[test]
fn what_is_not_stored_is_nobodys_and_no_client_has_anothers() {
    let (first, second) = accounts();
    let keys = "server:\n  host: 127.0.0.1\n  port: {port}\n  auth:\n    api_keys: [{key: ann-key, name: ann}, {key: bob-key, name: bob}]\n";
    let providers = first.yaml_with("first", &LINES) + &second.yaml_with("second", &LINES);
    let gateway = Gateway::start(&format!("{keys}providers:\n{providers}"));
    let client = gateway.client();
    let ask = |key: &str, more: Value| {
        let mut body = json!({"model": MODEL, "input": "Hello"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
        client.post("/v1/responses").bearer(key).json(&body).send()
    };
    let (id, _) = made(&ask("ann-key", json!({})).expect(200));
    ask("ann-key", json!({"previous_response_id": id})).expect(200);
    ask("bob-key", json!({"previous_response_id": id})).expect(400);
    let (id, _) = made(&ask("ann-key", json!({"store": false})).expect(200));
    ask("ann-key", json!({"previous_response_id": id})).expect(400);
}

#[test]
fn where_the_account_is_down_the_client_is_told_so_and_no_other_is_asked() {
    for (fails, is_ours) in [(503, false), (429, false), (0, true)] {
        let (first, second) = accounts();
        let gateway = before(&first, &second);
        let (id, maker) = made(&ask(&gateway.client(), &json!({})).expect(200));
        let (maker, other) = if maker == "first" { (first, second) } else { (second, first) };
        let maker = if is_ours { maker.refusing() } else { maker.failing_with(fails) };
        let asked = other.asked().len();
        let answer = ask(&gateway.client(), &json!({"previous_response_id": id}));
        assert!([429, 502, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
        assert!(answer.header("retry-after").is_some(), "{}", answer.text());
        assert!(answer.json()["error"]["message"].is_string());
        if is_ours {
            assert!(answer.text().contains("the one account that has what this request refers to"));
        }
        assert_eq!(other.asked().len(), asked, "nobody else is asked");
        drop(maker);
    }
}

#[test]
fn cached_prompts_and_files_of_gemini_and_anthropic_keep_the_same_rule() {
    for (dialect, path, body) in [
        (
            Dialect::Gemini,
            "/v1beta/models/m:generateContent",
            json!({"contents": [{"parts": [{"text": "Hi"}]}], "cachedContent": "cachedContents/x"}),
        ),
        (
            Dialect::Anthropic,
            "/v1/messages",
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}]}),
        ),
    ] {
        let provider = Provider::of(dialect);
        let here = provider.yaml_with("here", &["models: [m]"]);
        let there = nowhere(dialect, "there", &["models: [m]"]);
        let translating = nowhere(Dialect::OpenAi, "translating", &["models: [m]"]);
        for (providers, status) in [(here.clone() + &there, 400), (here + &translating, 200)] {
            let gateway = Gateway::start(&format!("providers:\n{providers}"));
            let client = gateway.client();
            let answer = client.post(path).header("anthropic-version", "2023-06-01").json(&body).send();
            assert_eq!(answer.status, status, "{dialect}: {}", answer.text());
        }
    }
}
