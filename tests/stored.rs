//! Requests that refer to what one account has: they go there, or nowhere.

use crate::support::{Client, Gateway, Provider, Response, eventually_within, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Options, Simulator};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

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

/// How long a credential file that is gone may still be used: they are looked at every five seconds.
const NOTICED: Duration = Duration::from_secs(15);

#[test]
fn an_answer_whose_account_is_gone_is_asked_of_nobody_else_even_where_one_is_left() {
    // Takes any key.
    let simulator = Simulator::start(Options::default()).expect("a simulator on a free port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("spare.json");
    std::fs::write(&file, r#"{"provider": "p", "api_key": "spare-key"}"#).expect("a file");
    let gateway = Gateway::start(&format!(
        "auth_dir: {}\nproviders:\n  p: {{format: openai, base_url: \"{}\", api_key: inline-key, models: [{MODEL}], responses: true}}\n",
        folder.path().display(),
        simulator.base_url()
    ));
    let client = gateway.client();
    let key = || {
        let last = simulator.transcript().pop().expect("a request");
        last.header("authorization").expect("a key").trim_start_matches("Bearer ").to_owned()
    };
    let mut ids = BTreeMap::new();
    for _ in 0..2 {
        let (id, _) = made(&ask(&client, &json!({})).expect(200));
        ids.insert(key(), id);
    }
    let going_on = |key: &str| json!({"previous_response_id": ids[key]});
    std::fs::remove_file(&file).expect("removed");
    // 503 is for the one that is on its way just then.
    let refused = eventually_within(NOTICED, "the account is gone", || {
        let answer = ask(&client, &going_on("spare-key"));
        assert!(answer.status != 200 || key() == "spare-key", "nobody else is asked: {}", answer.text());
        (answer.status == 400).then_some(answer)
    });
    let asked = simulator.transcript().len();
    assert!(refused.text().contains("the account that made what this request refers to"));
    let again = ask(&client, &going_on("spare-key")).expect(400);
    assert_eq!(again.header("x-cliproxy-error"), Some("unsupported_feature"));
    assert_eq!(simulator.transcript().len(), asked, "nobody else is asked");
    ask(&client, &going_on("inline-key")).expect(200);
    assert_eq!(key(), "inline-key");
}

/// The ids of the items of an answer, whole or as a stream.
fn items(answer: &Response) -> Vec<String> {
    let text = answer.text();
    // A stream's last event holds the whole answer.
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
    let answer: Value = serde_json::from_str(data.unwrap_or(text.as_str())).expect("JSON");
    let answer = if answer["response"].is_object() { &answer["response"] } else { &answer };
    let items = answer["output"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn by(answer: &Response) -> String {
    answer.header("x-cliproxy-provider").expect("a provider").to_owned()
}

/// A follow-up that names items instead of saying them.
fn naming<'i>(items: impl IntoIterator<Item = &'i String>) -> Value {
    let hello = json!({"role": "user", "content": "Hello"});
    let references = items.into_iter().map(|id| json!({"type": "item_reference", "id": id}));
    references.chain([hello]).collect()
}

#[test]
fn items_that_are_named_instead_of_said_are_asked_for_where_they_were_made() {
    let (first, second) = accounts();
    let gateway = before(&first, &second);
    let client = gateway.client();
    let mut makers = Vec::new();
    for stream in [false, true] {
        let mut made = Vec::new();
        for _ in 0..2 {
            let thinking = json!({"stream": stream, "reasoning": {"effort": "high"}});
            let answer = ask(&client, &thinking).expect(200);
            let (maker, items) = (by(&answer), items(&answer));
            assert!(
                matches!(&items[..], [a, b] if a.starts_with("rs_") && b.starts_with("msg_")),
                "{items:?}"
            );
            for _ in 0..20 {
                let more = json!({"stream": stream, "input": naming(&items)});
                assert_eq!(by(&ask(&client, &more).expect(200)), maker);
            }
            made.push((maker, items));
        }
        for pair in [[0, 1], [1, 0]] {
            let items = pair.iter().flat_map(|at| &made[*at].1);
            let more = json!({"stream": stream, "input": naming(items)});
            assert_eq!(by(&ask(&client, &more).expect(200)), made[pair[1]].0, "the newest counts");
        }
        makers.extend(made.into_iter().map(|(maker, _)| maker));
    }
    makers.sort();
    makers.dedup();
    assert_eq!(makers, ["first", "second"], "both make answers");
}

/// Requests that refer to what nobody here saw being made.
fn unknown() -> [Value; 5] {
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]);
    [
        json!({"previous_response_id": "resp_elsewhere"}),
        json!({"conversation": "conv_1"}),
        json!({"input": file}),
        json!({"input": naming([&"msg_elsewhere".to_owned()])}),
        json!({"input": naming([&"msg_elsewhere".to_owned()]), "stream": true}),
    ]
}

#[test]
fn what_nobody_here_saw_being_made_is_asked_of_the_same_account_each_time() {
    let (first, second) = accounts();
    let (one, two) = (first.yaml_with("first", &LINES), second.yaml_with("second", &LINES));
    let mut asked = Vec::new();
    for providers in [one.clone() + &two, two + &one] {
        let gateway = Gateway::start(&format!("providers:\n{providers}"));
        for more in unknown().iter().cycle().take(20) {
            asked.push(by(&ask(&gateway.client(), more).expect(200)));
            // Others' turns between them change nothing.
            ask(&gateway.client(), &json!({})).expect(200);
        }
    }
    asked.dedup();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let gateway = before(&first, &second);
    for named in ["first", "second"] {
        for mut more in unknown() {
            more["model"] = json!(format!("{named}/{MODEL}"));
            assert_eq!(by(&ask(&gateway.client(), &more).expect(200)), named);
        }
    }
}

#[test]
fn the_clients_of_several_accounts_are_spread_over_them() {
    let (first, second) = accounts();
    let names: Vec<String> = (0..16).map(|number| format!("client-{number}")).collect();
    let keys: Vec<String> =
        names.iter().map(|name| format!("{{key: key-of-{name}, name: {name}}}")).collect();
    let auth = format!(
        "server:\n  host: 127.0.0.1\n  port: {{port}}\n  auth:\n    api_keys: [{}]\n",
        keys.join(", ")
    );
    let providers = first.yaml_with("first", &LINES) + &second.yaml_with("second", &LINES);
    let gateway = Gateway::start(&format!("{auth}providers:\n{providers}"));
    for name in &names {
        let body = json!({"model": MODEL, "input": "Hello", "conversation": "conv_1"});
        gateway
            .client()
            .post("/v1/responses")
            .bearer(&format!("key-of-{name}"))
            .json(&body)
            .send()
            .expect(200);
    }
    assert!(!first.asked().is_empty() && !second.asked().is_empty());
}

#[test]
fn what_the_account_does_not_have_is_told_in_its_own_words_and_nobody_else_is_asked() {
    let (first, second) = accounts();
    let (first, second) = (first.failing_with(404), second.failing_with(404));
    let gateway = before(&first, &second);
    for more in unknown() {
        let answer = ask(&gateway.client(), &more).expect(404);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"), "{}", answer.text());
    }
    let asked = [first.asked().len(), second.asked().len()];
    assert!(asked == [0, 5] || asked == [5, 0], "{asked:?}");
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
    // Where each of them is sent with what nobody made.
    let own = ["ann-key", "bob-key"].map(|key| by(&ask(key, json!({"conversation": "conv_1"})).expect(200)));
    for (key, own) in ["ann-key", "bob-key"].into_iter().zip(own) {
        let other = if key == "ann-key" { "bob-key" } else { "ann-key" };
        for (maker, store) in [(other, true), (key, false)] {
            // Both accounts make some.
            for _ in 0..4 {
                let (id, _) = made(&ask(maker, json!({"store": store})).expect(200));
                assert_eq!(by(&ask(key, json!({"previous_response_id": id})).expect(200)), own);
            }
        }
    }
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
            assert!(answer.text().contains("the one account that should have what this request refers to"));
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
        let translating = nowhere(Dialect::OpenAi, "translating", &["models: [m]"]);
        let ask = |providers: &str| {
            let gateway = Gateway::start(&format!("providers:\n{providers}"));
            let client = gateway.client();
            client.post(path).header("anthropic-version", "2023-06-01").json(&body).send()
        };
        ask(&(here.clone() + &translating)).expect(200);
        let other = Provider::of(dialect);
        let both = here + &other.yaml_with("there", &["models: [m]"]);
        let asked = [(); 3].map(|()| by(&ask(&both).expect(200)));
        assert!(asked.iter().all(|it| *it == asked[0]), "{dialect}: {asked:?}");
    }
}
