//! What Gemini refuses of a schema: it knows a part of OpenAPI's, and nothing else.
//!
//! Source: the vendor's API reference, `Schema`, and what its API answers.

use serde_json::{Map, Value};

/// A member of a schema, and how its value is read.
const MEMBERS: &[(&str, Shape)] = &[
    ("type", Shape::Type),
    ("format", Shape::String),
    ("title", Shape::String),
    ("description", Shape::String),
    ("nullable", Shape::Any),
    ("enum", Shape::Strings),
    ("maxItems", Shape::Any),
    ("minItems", Shape::Any),
    ("properties", Shape::Named),
    ("required", Shape::Strings),
    ("minProperties", Shape::Any),
    ("maxProperties", Shape::Any),
    ("minLength", Shape::Any),
    ("maxLength", Shape::Any),
    ("pattern", Shape::String),
    ("example", Shape::Any),
    ("anyOf", Shape::List),
    ("propertyOrdering", Shape::Strings),
    ("default", Shape::Any),
    ("items", Shape::Inner),
    ("minimum", Shape::Any),
    ("maximum", Shape::Any),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Any,
    String,
    Strings,
    /// One of [`TYPES`], in either case.
    Type,
    /// A schema.
    Inner,
    /// A list of schemas.
    List,
    /// Schemas by name.
    Named,
}

const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// What a string's `format` may be.
const STRING_FORMATS: [&str; 2] = ["enum", "date-time"];

/// What is wrong with the schema at a path such as `tools[0].function_declarations[0].parameters`.
pub(super) fn flaw(schema: &Value, at: &str) -> Option<String> {
    let Some(members) = schema.as_object() else {
        return Some(format!(
            "Invalid value at '{at}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)"
        ));
    };
    members.iter().find_map(|(name, value)| member(name, value, at)).or_else(|| meaning(members, at))
}

fn member(name: &str, value: &Value, at: &str) -> Option<String> {
    let Some((_, shape)) = MEMBERS.iter().find(|(known, _)| *known == name) else {
        return Some(format!(
            "Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
        ));
    };
    let here = format!("{at}.{name}");
    let wrong = |kind: &str| Some(format!("Invalid value at '{here}' ({kind}), {value}"));
    let all_strings = || value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    match shape {
        Shape::String if !value.is_string() => wrong("TYPE_STRING"),
        Shape::Strings if !all_strings() => wrong("TYPE_STRING"),
        Shape::Type if value.is_array() => Some(format!(
            "Invalid JSON payload received. Unknown name \"type\" at '{at}': Proto field is not repeating, cannot \
             start list."
        )),
        Shape::Type if !is_type(value) => {
            wrong("type.googleapis.com/google.ai.generativelanguage.v1beta.Type")
        }
        Shape::Inner => flaw(value, &here),
        Shape::List => {
            let items = value.as_array().map_or(&[][..], Vec::as_slice);
            (0..).zip(items).find_map(|(index, item): (usize, _)| flaw(item, &format!("{here}[{index}]")))
        }
        Shape::Named => {
            let inner = value.as_object().into_iter().flatten();
            inner.into_iter().find_map(|(property, schema)| flaw(schema, &format!("{here}[{property}]")))
        }
        _ => None,
    }
}

fn is_type(value: &Value) -> bool {
    value.as_str().is_some_and(|name| TYPES.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// What members have to do with each other.
fn meaning(schema: &Map<String, Value>, at: &str) -> Option<String> {
    let is = |kind: &str| {
        let name = schema.get("type").and_then(Value::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(kind))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    if is("OBJECT") && properties.is_some_and(Map::is_empty) {
        return Some(format!(
            "* GenerateContentRequest.{at}.properties: should be non-empty for OBJECT type"
        ));
    }
    if is("ARRAY") && !schema.contains_key("items") {
        return Some(format!("* GenerateContentRequest.{at}.items: missing field."));
    }
    if schema.contains_key("enum") && !is("STRING") {
        return Some(format!("* GenerateContentRequest.{at}.enum: only allowed for STRING type"));
    }
    let format = schema.get("format").and_then(Value::as_str).filter(|_| is("STRING"));
    if format.is_some_and(|format| !STRING_FORMATS.contains(&format)) {
        return Some(format!(
            "* GenerateContentRequest.{at}.format: only 'enum' and 'date-time' are supported for STRING type"
        ));
    }
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_lost = |name: &Value| {
        !properties.is_some_and(|known| name.as_str().is_some_and(|name| known.contains_key(name)))
    };
    let lost = required.iter().position(is_lost)?;
    Some(format!("* GenerateContentRequest.{at}.required[{lost}]: property is not defined"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_known_in_either_case() {
        for (object, string) in [("object", "string"), ("OBJECT", "STRING")] {
            let schema =
                json!({"type": object, "required": ["city"], "properties": {"city": {"type": string}}});
            assert_eq!(flaw(&schema, "p"), None);
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused_wherever_it_stands() {
        for (name, value) in [
            ("$ref", json!("#/x")),
            ("additionalProperties", json!(false)),
            ("const", json!("a")),
            ("oneOf", json!([])),
            ("$defs", json!({})),
        ] {
            let mut inner = json!({"type": "string"});
            inner[name] = value;
            let schema = json!({"type": "object", "properties": {"city": {"anyOf": [inner]}}});
            let expected =
                format!("Unknown name \"{name}\" at 'p.properties[city].anyOf[0]': Cannot find field.");
            assert!(
                flaw(&schema, "p").is_some_and(|flaw| flaw.contains(&expected)),
                "{:?}",
                flaw(&schema, "p")
            );
        }
    }

    #[test]
    fn members_have_to_fit_each_other() {
        for (schema, words) in [
            (json!({"type": ["string", "null"]}), "not repeating"),
            (json!({"type": "text"}), "Type"),
            (json!({"type": "integer", "enum": ["1"]}), "only allowed for STRING"),
            (json!({"type": "string", "enum": [1]}), "TYPE_STRING"),
            (json!({"type": "string", "format": "uri"}), "only 'enum' and 'date-time'"),
            (json!({"type": "object", "properties": {}}), "should be non-empty"),
            (json!({"type": "array"}), "items: missing field"),
            (json!({"type": "object", "required": ["a"]}), "required[0]: property is not defined"),
        ] {
            assert!(flaw(&schema, "p").is_some_and(|flaw| flaw.contains(words)), "{:?}", flaw(&schema, "p"));
        }
    }
}
