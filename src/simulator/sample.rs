//! JSON made after a schema: what a simulated model fills in, the same each time.
//!
//! Reads the schemas of all vendors: types in either case, `$ref` into the schema itself, `nullable`.

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Levels of a schema that are filled in; a schema that refers to itself ends there.
const MAX_DEPTH: usize = 8;

/// A string, wherever the schema has no say in it.
const STRING: &str = "acorn";

/// A number, likewise.
const NUMBER: i64 = 7;

/// A value that follows the schema: the first of an `enum`, every property of an object, one item of an array.
pub(super) fn sample(schema: &Value) -> Value {
    made(schema, schema, MAX_DEPTH)
}

fn made(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let inner = |schema: &Value| made(schema, root, depth - 1);
    if let Some(target) = schema["$ref"].as_str().and_then(|name| root.pointer(name.strip_prefix('#')?)) {
        return inner(target);
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema[*name].get(0)) {
        return inner(first);
    }
    let is_object = || schema["properties"].is_object();
    match type_of(schema).as_deref() {
        Some("object") => object(schema, inner),
        None if is_object() => object(schema, inner),
        Some("array") => json!([inner(&schema["items"])]),
        Some("integer" | "number") => number(schema),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => STRING.into(),
    }
}

/// The type, in lower case; of several the first.
fn type_of(schema: &Value) -> Option<String> {
    let stated = &schema["type"];
    stated.as_str().or_else(|| stated[0].as_str()).map(str::to_ascii_lowercase)
}

fn object(schema: &Value, inner: impl Fn(&Value) -> Value) -> Value {
    let properties = schema["properties"].as_object();
    let filled: Map<_, _> =
        properties.into_iter().flatten().map(|(name, schema)| (name.clone(), inner(schema))).collect();
    filled.into()
}

/// Seven, or what is nearest to it within the bounds.
fn number(schema: &Value) -> Value {
    let bound = |name: &str| schema[name].as_i64();
    let least = bound("minimum").unwrap_or(NUMBER).max(NUMBER);
    bound("maximum").map_or(least, |most| least.min(most)).into()
}

/// JSON with a space after each comma and colon, as models write it, so that it has pieces to be streamed in.
pub(super) fn spaced(value: &Value) -> String {
    let mut text = Vec::new();
    // Into memory, with string keys: it can't fail.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced));
    String::from_utf8(text).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_follows_its_schema() {
        let schema = json!({
            "type": "object",
            "$defs": {"Unit": {"enum": ["celsius", "kelvin"]}},
            "properties": {
                "city": {"type": "string"},
                "days": {"type": ["integer", "null"], "maximum": 3},
                "hours": {"type": "number", "minimum": 12},
                "unit": {"$ref": "#/$defs/Unit"},
                "places": {"type": "array", "items": {"properties": {"name": {"type": "STRING"}}}},
                "exact": {"type": "BOOLEAN"},
                "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
        });
        let expected = json!({
            "city": "acorn", "days": 3, "hours": 12, "unit": "celsius", "places": [{"name": "acorn"}],
            "exact": true, "either": 7,
        });
        assert_eq!(sample(&schema), expected);
        assert_eq!(sample(&json!({})), "acorn");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(spaced(&sample(&schema)).ends_with(r#"{"next": null}}}}"#), "{}", sample(&schema));
    }

    #[test]
    fn spaces_follow_commas_and_colons_alone() {
        let value = json!({"a": [1, "b,c:d"], "e": {}});
        assert_eq!(spaced(&value), r#"{"a": [1, "b,c:d"], "e": {}}"#);
    }
}
