//! Gemini's own schemas, a part of OpenAPI's with types in capitals, brought to JSON schema.
//!
//! Source: Gemini API reference, `Schema`; JSON Schema, draft 2020-12.

use crate::translate::field::bad;
use crate::translate::members::{Members, elements, push_comma, push_name, push_text, text};
use crate::translate::peek::BadBody;
use crate::translate::schemas::Room;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The deepest nesting of a schema that is read.
pub(super) const MAX_DEPTH: usize = 32;

/// Members with two names, the second being the standard's.
const NAMES: [(&str, &str); 9] = [
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("prefix_items", "prefixItems"),
    ("additional_properties", "additionalProperties"),
];

/// Members whose numbers ProtoJSON writes as strings.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// Members that mean nothing to anybody else.
const OWN: [&str; 4] = ["nullable", "propertyOrdering", "property_ordering", "example"];

/// The schema in the standard's words. `field` is where it stands.
///
/// # Errors
/// When it is no schema, there is no room for it, or it nests deeper than [`MAX_DEPTH`].
pub(super) fn standard<'a>(
    schema: &'a RawValue,
    room: &mut Room,
    field: impl Fn() -> String,
) -> Result<Cow<'a, RawValue>, BadBody> {
    let given = as_it_is(schema, room, &field)?;
    let mut out = String::with_capacity(schema.get().len() + 64);
    write(schema, &mut out, 0).ok_or_else(|| bad(field(), "must be a schema, and not a deep one"))?;
    if out == schema.get() {
        return Ok(given);
    }
    let owned = RawValue::from_string(out).map_err(|_| bad(field(), "must be a schema"))?;
    Ok(Cow::Owned(owned))
}

/// A schema that is in the standard's words already. `field` is where it stands.
///
/// # Errors
/// When it is no object, or there is no room for it.
pub(super) fn as_it_is<'a>(
    schema: &'a RawValue,
    room: &mut Room,
    field: impl Fn() -> String,
) -> Result<Cow<'a, RawValue>, BadBody> {
    room.take(schema).map_err(|why| bad(field(), why))
}

fn write(schema: &RawValue, out: &mut String, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let members = Members::of(schema)?;
    let may_be_null = members.get("nullable").is_some_and(|value| value.get() == "true");
    out.push('{');
    for (name, value) in &members.0 {
        let name = NAMES.iter().find(|(own, _)| own == name).map_or(name.as_ref(), |(_, standard)| *standard);
        match name {
            "type" => write_type(value, may_be_null, out)?,
            "properties" => {
                push_name(out, name);
                out.push('{');
                for (property, schema) in &Members::of(value)?.0 {
                    push_name(out, property);
                    write(schema, out, depth + 1)?;
                }
                out.push('}');
            }
            "items" => {
                push_name(out, name);
                write(value, out, depth + 1)?;
            }
            "additionalProperties" if value.get().starts_with('{') => {
                push_name(out, name);
                write(value, out, depth + 1)?;
            }
            "anyOf" | "prefixItems" => {
                push_name(out, name);
                out.push('[');
                for schema in elements(value)? {
                    push_comma(out);
                    write(schema, out, depth + 1)?;
                }
                let has_own_type = members.get("type").is_some();
                if name == "anyOf" && may_be_null && !has_own_type {
                    push_comma(out);
                    out.push_str(r#"{"type":"null"}"#);
                }
                out.push(']');
            }
            "enum" if may_be_null => {
                let values = value.get().strip_suffix(']')?;
                push_name(out, name);
                out.push_str(values);
                push_comma(out);
                out.push_str("null]");
            }
            // That a word is of a list is what the list says.
            "format" if value.get() == "\"enum\"" => {}
            count if COUNTS.contains(&count) => {
                push_name(out, count);
                out.push_str(value.get().trim_matches('"'));
            }
            own if OWN.contains(&own) => {}
            other => {
                push_name(out, other);
                out.push_str(value.get());
            }
        }
    }
    out.push('}');
    Some(())
}

fn write_type(value: &RawValue, may_be_null: bool, out: &mut String) -> Option<()> {
    let Some(name) = text(value) else {
        // A list is the standard's already.
        push_name(out, "type");
        out.push_str(value.get());
        return Some(());
    };
    if name == "TYPE_UNSPECIFIED" {
        return Some(());
    }
    push_name(out, "type");
    let name = name.to_ascii_lowercase();
    if may_be_null {
        out.push('[');
        push_text(out, &name);
        out.push_str(r#","null"]"#);
    } else {
        push_text(out, &name);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard_of(schema: &str) -> Result<String, BadBody> {
        let raw: &RawValue = serde_json::from_str(schema).expect("JSON");
        standard(raw, &mut Room::default(), || "x".to_owned()).map(|schema| schema.get().to_owned())
    }

    #[test]
    fn types_are_written_small_and_nullable_is_a_type() {
        for (given, expected) in [
            (r#"{"type":"STRING"}"#, r#"{"type":"string"}"#),
            (r#"{"type":"string", "title":"A"}"#, r#"{"type":"string","title":"A"}"#),
            (r#"{"nullable":true,"type":"INTEGER"}"#, r#"{"type":["integer","null"]}"#),
            (
                r#"{"type":"STRING","format":"enum","enum":["a"],"nullable":true}"#,
                r#"{"type":["string","null"],"enum":["a",null]}"#,
            ),
            (
                r#"{"any_of":[{"type":"STRING"}],"nullable":true}"#,
                r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            ),
            (
                r#"{"type":"OBJECT","properties":{"type":{"type":"ARRAY","min_items":"1","items":{"type":"NUMBER"}}},
                "required":["type"],"propertyOrdering":["type"]}"#,
                r#"{"type":"object","properties":{"type":{"type":"array","minItems":1,"items":{"type":"number"}}},"required":["type"]}"#,
            ),
            (r#"{"type":["string","null"]}"#, r#"{"type":["string","null"]}"#),
            (r#"{"type":"TYPE_UNSPECIFIED"}"#, "{}"),
        ] {
            assert_eq!(standard_of(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_by_name() {
        for schema in ["[]", "1", r#"{"properties":[]}"#, r#"{"items":"x"}"#, r#"{"anyOf":{}}"#] {
            assert!(standard_of(schema).is_err_and(|BadBody(why)| why.contains("`x`")), "{schema}");
        }
    }

    #[test]
    fn the_deepest_schema_is_read_and_one_deeper_is_not() {
        for (depth, is_read) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let schema = format!("{}{{}}{}", r#"{"items":"#.repeat(depth), "}".repeat(depth));
            assert_eq!(standard_of(&schema).is_ok(), is_read, "{depth}");
        }
    }
}
