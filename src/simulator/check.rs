//! What several vendors check alike: names, numbers, base64, schemas.
//!
//! How a flaw is told is each vendor's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// JSON Schema's types (draft 2020-12, validation, section 6.1.1).
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Members of a schema that hold one schema.
const INNER: [&str; 3] = ["items", "additionalProperties", "not"];

/// Members of a schema that hold a list of schemas.
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];

/// Members of a schema that hold schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// Whether a name has from one to `max` characters, all of them ASCII letters, digits or `more`.
pub(super) fn is_name(name: &str, max: usize, more: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    !name.is_empty() && name.len() <= max && name.chars().all(fits)
}

pub(super) fn is_base64(text: &str) -> bool {
    !text.is_empty() && STANDARD.decode(text).is_ok()
}

pub(super) fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// Whether a number is below the range (`Less`), in it, or above it.
pub(super) fn place(number: f64, (least, most): (f64, f64)) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if number < least {
        Less
    } else if number > most {
        Greater
    } else {
        Equal
    }
}

/// What is wrong with a JSON schema, if anything is: `look` at each schema in it, from the outside in. A path
/// such as `properties.city` goes with it.
pub(super) fn find_in_schema(
    schema: &Value,
    path: &str,
    look: &impl Fn(&Value, &str) -> Option<String>,
) -> Option<String> {
    let Some(members) = schema.as_object() else {
        return if schema.is_boolean() { None } else { Some(format!("{path}: a schema is an object")) };
    };
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    look(schema, path).or_else(|| {
        members.iter().find_map(|(name, value)| match value {
            _ if INNER.contains(&name.as_str()) => find_in_schema(value, &below(name), look),
            Value::Array(items) if LISTS.contains(&name.as_str()) => {
                items.iter().find_map(|item| find_in_schema(item, &below(name), look))
            }
            Value::Object(inner) if NAMED.contains(&name.as_str()) => {
                inner.iter().find_map(|(property, value)| {
                    find_in_schema(value, &below(&format!("{name}.{property}")), look)
                })
            }
            _ => None,
        })
    })
}

/// What makes a schema no JSON Schema: types that there aren't, an empty `enum`.
pub(super) fn no_json_schema(schema: &Value, path: &str) -> Option<String> {
    let types = match &schema["type"] {
        Value::Array(types) => types.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let is_type = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
    if let Some(odd) = types.iter().find(|name| !is_type(name)) {
        return Some(format!("{path}: {odd} is no type"));
    }
    let is_empty = schema["enum"].as_array().is_some_and(Vec::is_empty);
    is_empty.then(|| format!("{path}: an empty enum"))
}

/// What stands for a vendor's seal on something that a client has to send back as it came.
pub(super) fn seal(text: &str) -> String {
    STANDARD.encode(Sha256::digest(["sealed by the simulator: ", text].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_has_its_bounds() {
        assert!(is_name(&"n".repeat(64), 64, "") && !is_name(&"n".repeat(65), 64, ""));
        assert!(is_name("a_b-c", 9, "_-") && !is_name("a.b", 9, "_-") && !is_name("", 9, "_-"));
        assert!(!is_name("ä", 9, ""));
    }

    #[test]
    fn base64_and_urls_are_told_from_other_text() {
        assert!(is_base64("aGk=") && !is_base64("aGk") && !is_base64("a b=") && !is_base64(""));
        assert!(is_http_url("https://x/y.png") && !is_http_url("ftp://x") && !is_http_url("https://"));
    }

    #[test]
    fn a_flaw_is_found_wherever_it_is() {
        let found = |schema: Value| find_in_schema(&schema, "", &no_json_schema);
        assert_eq!(
            found(json!({"type": "object", "properties": {"type": {"type": ["string", "null"]}}})),
            None
        );
        let upper = json!({"properties": {"city": {"anyOf": [{"type": "STRING"}]}}});
        assert_eq!(found(upper).as_deref(), Some("properties.city.anyOf: \"STRING\" is no type"));
        assert!(found(json!({"items": {"enum": []}})).is_some());
        assert!(
            found(json!({"items": 1})).is_some() && found(json!({"additionalProperties": false})).is_none()
        );
    }
}
