//! JSON schemas that answers are held to, as the vendor takes them.
//!
//! It holds a model to a part of the standard only, and refuses the rest: every object is closed, and bounds of numbers,
//! of lengths and of most counts can't be held. These go into the description, where a model may still heed them, which
//! is what the vendor's own SDK does; who asked for them is told. A schema that needs none of it goes as it came.
//!
//! Source: Anthropic, "Structured outputs", on limits of JSON schemas; `transform_schema` of its SDK 2.12.

use crate::translate::features::Feature;
use crate::translate::members::{Members, elements, push_comma, push_name, push_text, text};
use crate::translate::sides::Written;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The deepest nesting that is looked into. What is deeper goes as it is.
const MAX_DEPTH: usize = 32;

/// Members that hold one schema.
const INNER: [&str; 2] = ["items", "not"];

/// Members that hold a list of schemas, and what the vendor calls them.
const LISTS: [(&str, &str); 4] =
    [("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf"), ("prefixItems", "prefixItems")];

/// Members that hold schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// Members that the vendor can't hold a model to.
const UNHELD: [&str; 14] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "contains",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
];

/// Formats of strings that it can.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

const CLOSED: &str = "additionalProperties";

/// The schema in the vendor's words.
pub(super) fn held<'s>(schema: &'s RawValue, written: &mut Written) -> Cow<'s, RawValue> {
    let out = String::with_capacity(schema.get().len() + 32);
    let mut holding = Holding { out, has_changed: false, has_lost: false };
    holding.write(schema, 0);
    if holding.has_lost {
        written.lose(Feature::SchemaBounds);
    }
    let changed = holding.has_changed.then(|| RawValue::from_string(holding.out).ok()).flatten();
    changed.map_or(Cow::Borrowed(schema), Cow::Owned)
}

struct Holding {
    out: String,
    has_changed: bool,
    has_lost: bool,
}

impl Holding {
    fn write(&mut self, schema: &RawValue, depth: usize) {
        let Some(members) = Members::of(schema).filter(|_| depth < MAX_DEPTH) else {
            return self.out.push_str(schema.get());
        };
        let unheld = unheld(&members);
        self.has_changed |= !unheld.is_empty();
        self.has_lost |= !unheld.is_empty();
        let is_closed = is_object(&members);
        let mut is_described = false;
        self.out.push('{');
        for (name, value) in &members.0 {
            match name.as_ref() {
                CLOSED if is_closed => self.close(Some(*value)),
                // Of several the first counts, as of all members: what goes into each would multiply.
                "description" if is_described => {}
                "description" if !unheld.is_empty() => {
                    is_described = true;
                    self.describe(text(value).as_deref(), &unheld);
                }
                name if unheld.contains(name) => {}
                name => self.member(name, value, depth),
            }
        }
        if is_closed && members.get(CLOSED).is_none() {
            self.close(None);
        }
        if !unheld.is_empty() && !is_described {
            self.describe(None, &unheld);
        }
        self.out.push('}');
    }

    /// Lets an object have no members but those that are declared. Who declares what the others are like loses them.
    fn close(&mut self, others: Option<&RawValue>) {
        let others = others.map_or("true", RawValue::get);
        self.has_changed |= others != "false";
        self.has_lost |= others.starts_with('{');
        push_name(&mut self.out, CLOSED);
        self.out.push_str("false");
    }

    fn describe(&mut self, description: Option<&str>, unheld: &Unheld<'_>) {
        let before = description.map_or_else(String::new, |text| format!("{text}\n\n"));
        let bounds: Vec<_> = unheld.0.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        push_name(&mut self.out, "description");
        push_text(&mut self.out, &format!("{before}{{{}}}", bounds.join(", ")));
    }

    fn member(&mut self, name: &str, value: &RawValue, depth: usize) {
        if INNER.contains(&name) {
            push_name(&mut self.out, name);
            return self.write(value, depth + 1);
        }
        if let Some((_, called)) = LISTS.iter().find(|(it, _)| *it == name)
            && let Some(schemas) = elements(value)
        {
            self.has_changed |= *called != name;
            push_name(&mut self.out, called);
            self.out.push('[');
            for schema in schemas {
                push_comma(&mut self.out);
                self.write(schema, depth + 1);
            }
            return self.out.push(']');
        }
        if NAMED.contains(&name)
            && let Some(schemas) = Members::of(value)
        {
            push_name(&mut self.out, name);
            self.out.push('{');
            for (name, schema) in schemas.0 {
                push_name(&mut self.out, &name);
                self.write(schema, depth + 1);
            }
            return self.out.push('}');
        }
        push_name(&mut self.out, name);
        self.out.push_str(value.get());
    }
}

/// What of a schema the vendor can't hold a model to, each member once: a dozen and some.
struct Unheld<'s>(Vec<(&'s str, &'s str)>);

impl Unheld<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(it, _)| *it == name)
    }
}

fn unheld<'s>(members: &'s Members<'_>) -> Unheld<'s> {
    let is_unheld = |name: &str, value: &RawValue| match name {
        "minItems" => !["0", "1"].contains(&value.get()),
        "format" => !text(value).is_some_and(|format| FORMATS.contains(&format.as_ref())),
        name => UNHELD.contains(&name),
    };
    let mut unheld = Unheld(Vec::new());
    for (name, value) in members.0.iter().filter(|(name, value)| is_unheld(name, value)) {
        if !unheld.contains(name) {
            unheld.0.push((name.as_ref(), value.get()));
        }
    }
    unheld
}

fn is_object(members: &Members<'_>) -> bool {
    match members.get("type") {
        Some(kind) => {
            let names = elements(kind).unwrap_or_else(|| vec![kind]);
            names.iter().any(|name| text(name).is_some_and(|name| name == "object"))
        }
        None => members.get("properties").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(schema: &str, expected: &str, is_lost: bool) {
        let raw: &RawValue = serde_json::from_str(schema).expect("JSON");
        let mut written = Written::default();
        assert_eq!(held(raw, &mut written).get(), expected);
        assert_eq!(written.lost, if is_lost { vec!["schema"] } else { vec![] }, "{schema}");
    }

    #[test]
    fn members_that_are_there_again_and_again_dont_multiply() {
        let again = r#""description":"d","minimum":1,"#.repeat(1_000);
        expect(
            &format!(r#"{{{again}"type":"number"}}"#),
            r#"{"description":"d\n\n{minimum: 1}","type":"number"}"#,
            true,
        );
    }

    #[test]
    fn a_schema_that_is_taken_as_it_is_stays_so_to_the_byte() {
        for schema in [
            r#"{ "type": "object", "additionalProperties": false, "properties": {"b": {"type":"string","format":"date"}, "a": {}} }"#,
            r#"{"type":"array","minItems":1,"items":{"enum":[1, "two"]}}"#,
            r##"{"$ref":"#/$defs/A","$defs":{"A":{"type":["string","null"],"pattern":"^a"}}}"##,
            "true",
        ] {
            expect(schema, schema, false);
        }
    }

    #[test]
    fn every_object_is_closed_and_keeps_its_order() {
        expect(
            r#"{"type": "object", "properties": {"z": {"properties": {}}, "a": {"type": ["object", "null"]}},
                "$defs": {"D": {"type": "object"}}, "required": ["z"]}"#,
            r##"{"type":"object","properties":{"z":{"properties":{},"additionalProperties":false},"a":{"type":["object", "null"],"additionalProperties":false}},"$defs":{"D":{"type":"object","additionalProperties":false}},"required":["z"],"additionalProperties":false}"##,
            false,
        );
        expect(
            r#"{"additionalProperties":true,"type":"object"}"#,
            r#"{"additionalProperties":false,"type":"object"}"#,
            false,
        );
        expect(
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","additionalProperties":false}"#,
            true,
        );
    }

    #[test]
    fn bounds_that_cannot_be_held_are_said() {
        expect(
            r#"{"type":"integer","minimum":1,"description":"A \"day\"","maximum":7}"#,
            r#"{"type":"integer","description":"A \"day\"\n\n{minimum: 1, maximum: 7}"}"#,
            true,
        );
        expect(
            r#"{"oneOf":[{"type":"string","format":"regex"},{"type":"array","minItems":2}]}"#,
            r#"{"anyOf":[{"type":"string","description":"{format: \"regex\"}"},{"type":"array","description":"{minItems: 2}"}]}"#,
            true,
        );
        expect(r#"{"oneOf":[{}]}"#, r#"{"anyOf":[{}]}"#, false);
    }

    #[test]
    fn a_property_may_be_called_like_a_bound() {
        let schema = r#"{"type":"object","additionalProperties":false,"properties":{"minimum":{"type":"integer"}},"required":["minimum"]}"#;
        expect(schema, schema, false);
    }

    #[test]
    fn what_is_nested_too_deep_goes_as_it_is() {
        let deep = format!("{}{}{}", r#"{"not":"#.repeat(200), r#"{"type":"object"}"#, "}".repeat(200));
        expect(&deep, &deep, false);
    }
}
