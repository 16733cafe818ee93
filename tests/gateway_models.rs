//! The list of models, in the shape of each dialect's clients.

use crate::support::{Client, House, Request, Response, expect_error};
use cliproxy::domain::Dialect;
use serde_json::Value;

const MODELS: [&str; 3] = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"];

/// The ways in which clients of each dialect ask: path, and the header that tells them.
const ASKING: [(Dialect, &str, &str); 4] = [
    (Dialect::OpenAi, "/v1/models", "x-nothing"),
    (Dialect::Anthropic, "/v1/models", "anthropic-version"),
    (Dialect::Gemini, "/v1/models", "x-goog-api-key"),
    (Dialect::Gemini, "/v1beta/models", "x-nothing"),
];

fn get<'c>(client: &'c Client, method: &str, path: &str, header: &str) -> Request<'c> {
    client.request(method, path).header(header, "2023-06-01")
}

fn names(dialect: Dialect, list: &Value) -> Vec<String> {
    let (items, name) = match dialect {
        Dialect::OpenAi | Dialect::Anthropic => (&list["data"], "id"),
        Dialect::Gemini => (&list["models"], "name"),
    };
    let items = items.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let named = |item: &Value| item[name].as_str().map(|name| name.trim_start_matches("models/").to_owned());
    items.iter().filter_map(named).collect()
}

#[track_caller]
fn is_a_model(dialect: Dialect, model: &Value, name: &str) {
    match dialect {
        Dialect::OpenAi => {
            assert_eq!((&model["id"], &model["object"]), (&name.into(), &"model".into()), "{model}");
            assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
        }
        Dialect::Anthropic => {
            assert_eq!((&model["id"], &model["type"]), (&name.into(), &"model".into()), "{model}");
            assert!(model["display_name"].is_string() && model["created_at"].is_string(), "{model}");
        }
        Dialect::Gemini => {
            assert_eq!(model["name"], format!("models/{name}"), "{model}");
            assert!(model["supportedGenerationMethods"].is_array(), "{model}");
        }
    }
}

#[test]
fn the_list_has_every_model_once_in_each_shape() {
    let house = House::open();
    let client = house.gateway.client();
    for (dialect, path, header) in ASKING {
        let list = get(&client, "GET", path, header).send().expect(200).json();
        assert_eq!(names(dialect, &list), MODELS, "{dialect}: {list}");
        let key = if dialect == Dialect::Gemini { "models" } else { "data" };
        for (item, name) in list[key].as_array().into_iter().flatten().zip(MODELS) {
            is_a_model(dialect, item, name);
        }
        match dialect {
            Dialect::OpenAi => assert_eq!(list["object"], "list"),
            Dialect::Anthropic => {
                assert_eq!(list["has_more"], false);
                assert_eq!((&list["first_id"], &list["last_id"]), (&MODELS[0].into(), &MODELS[2].into()));
            }
            Dialect::Gemini => {}
        }
    }
    assert!(house.providers.iter().all(|provider| provider.transcript().is_empty()), "nobody was asked");
}

#[test]
fn one_model_is_shown_in_each_shape_and_an_unknown_one_is_refused() {
    let house = House::open();
    let client = house.gateway.client();
    for (dialect, path, header) in ASKING {
        for name in MODELS {
            let model = get(&client, "GET", &format!("{path}/{name}"), header).send().expect(200).json();
            is_a_model(dialect, &model, name);
        }
        let unknown = get(&client, "GET", &format!("{path}/gpt-0"), header).send();
        expect_error(&unknown, dialect, 404, "model_not_found", "`gpt-0`");
        let slash = get(&client, "GET", &format!("{path}/"), header).send().expect(200).json();
        assert_eq!(names(dialect, &slash), MODELS);
    }
}

#[test]
fn a_model_whose_name_has_a_slash_or_a_space_is_found() {
    let alias = "models: {\"meta/llama 3\": {targets: [{provider: first, model: gpt-4o}]}}\n";
    let house = House::with("", alias);
    let client = house.gateway.client();
    for path in ["/v1/models/meta/llama%203", "/v1/models/meta%2Fllama%203", "/v1beta/models/meta/llama%203"]
    {
        let dialect = if path.starts_with("/v1beta") { Dialect::Gemini } else { Dialect::OpenAi };
        is_a_model(dialect, &client.get(path).send().expect(200).json(), "meta/llama 3");
    }
}

#[test]
fn head_has_the_header_of_get_and_no_body() {
    let house = House::open();
    let client = house.gateway.client();
    for (_, path, header) in ASKING {
        for path in [path.to_owned(), format!("{path}/gpt-4o"), format!("{path}/gpt-0")] {
            let kept = |answer: &Response| -> Vec<(String, String)> {
                let varies = ["x-request-id", "date"];
                let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
                headers.cloned().collect()
            };
            let got = get(&client, "GET", &path, header).send();
            let head = get(&client, "HEAD", &path, header).send();
            assert_eq!((head.status, &head.body[..]), (got.status, &b""[..]), "{path}");
            assert_eq!(kept(&head), kept(&got), "{path}");
            assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()), "{path}");
        }
    }
}
