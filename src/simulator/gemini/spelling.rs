//! The two spellings of Gemini's names: `inlineData` and `inline_data`. The API reads both, as all of Google's do
//! (protobuf's JSON mapping), and its own SDK mixes them in one request.

use serde_json::{Map, Value};

/// Members whose content is the client's own, names included.
const OPAQUE: [&str; 7] =
    ["args", "default", "example", "labels", "parametersJsonSchema", "response", "responseJsonSchema"];

/// The member whose names are the client's own, but not what stands under them.
const NAMED: &str = "properties";

/// Spells all of Gemini's names in a request in camel case.
pub(in crate::simulator) fn to_camel_case(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(to_camel_case),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains('_')) {
                let renamed = std::mem::take(members).into_iter();
                *members = renamed.map(|(name, value)| (camel_case(&name), value)).collect::<Map<_, _>>();
            }
            for (name, value) in members {
                match value {
                    _ if OPAQUE.contains(&name.as_str()) => {}
                    Value::Object(named) if name == NAMED => named.values_mut().for_each(to_camel_case),
                    _ => to_camel_case(value),
                }
            }
        }
        _ => {}
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel + letters.as_str()
    })
}

/// The name as errors spell it.
pub(super) fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_vendors_names_are_respelt_and_the_clients_are_not() {
        let mut body = json!({
            "generation_config": {"response_schema": {"any_of": [{"properties": {"my_city": {"max_length": 3}}}]}},
            "contents": [{"parts": [{"function_call": {"name": "my_tool", "args": {"my_city": {"a_b": 1}}}}]}],
        });
        to_camel_case(&mut body);
        let expected = json!({
            "generationConfig": {"responseSchema": {"anyOf": [{"properties": {"my_city": {"maxLength": 3}}}]}},
            "contents": [{"parts": [{"functionCall": {"name": "my_tool", "args": {"my_city": {"a_b": 1}}}}]}],
        });
        assert_eq!(body, expected);
        assert_eq!(
            (snake_case("inlineData"), camel_case("top_k")),
            ("inline_data".to_owned(), "topK".to_owned())
        );
    }
}
