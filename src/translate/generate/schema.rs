//! JSON schema, cleaned of what Gemini's own schemas don't have.
//!
//! References are put in where they stand, a constant is a list of one word, alternatives with nothing are nullable.
//! What says less afterwards is a loss, and named; what never bound a model (titles of drafts, examples, a ban on
//! members that nobody declared) goes without a word. Arguments are sent by this form, not as `parametersJsonSchema`,
//! because models before 2.5 and Vertex know only this one.
//!
//! Bounded: [`MAX_DEPTH`] levels and [`MAX_NODES`] schemas, for references multiply. Source: Gemini API reference,
//! `Schema`.

use crate::translate::members::{Members, elements, push_comma, push_name, push_text, text};
use crate::translate::sides::Written;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// The deepest nesting that is written.
const MAX_DEPTH: usize = 32;
/// The most schemas that one may hold, references put in.
const MAX_NODES: usize = 2_000;

/// What both have, by the same name and with the same meaning.
const KEPT: [&str; 13] = [
    "title",
    "description",
    "default",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "pattern",
    "propertyOrdering",
];

/// What binds no model, or is put in where it is meant.
const SILENT: [&str; 14] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "strict",
    "discriminator",
    "nullable",
];

/// The types, and Gemini's names of them.
const TYPES: [(&str, &str); 6] = [
    ("string", "STRING"),
    ("integer", "INTEGER"),
    ("number", "NUMBER"),
    ("boolean", "BOOLEAN"),
    ("object", "OBJECT"),
    ("array", "ARRAY"),
];

/// Formats that Gemini knows, of which types.
const FORMATS: [(&str, &str); 6] = [
    ("string", "date-time"),
    ("string", "enum"),
    ("integer", "int32"),
    ("integer", "int64"),
    ("number", "float"),
    ("number", "double"),
];

/// The schema in Gemini's words; `None` for that of an object which has no members, which Gemini doesn't take.
pub(super) fn clean(schema: &RawValue, written: &mut Written) -> Option<Box<RawValue>> {
    let mut cleaner = Cleaner::new(schema);
    let node = cleaner.node(schema);
    let is_bare = node.properties.is_empty()
        && node.alternatives.is_empty()
        && node.items.is_none()
        && node.values.is_none()
        && node.types.iter().all(|name| name == "object");
    if !is_bare {
        cleaner.write(node, None);
    }
    if cleaner.has_lost {
        written.lose("schema");
    }
    if is_bare { None } else { RawValue::from_string(cleaner.out).ok() }
}

/// What one schema says, whichever of its parts says so.
#[derive(Default)]
struct Node<'s> {
    types: Vec<Cow<'s, str>>,
    is_nullable: bool,
    kept: Vec<(Cow<'s, str>, &'s RawValue)>,
    format: Option<Cow<'s, str>>,
    values: Option<Vec<&'s RawValue>>,
    properties: Vec<(Cow<'s, str>, &'s RawValue)>,
    required: Vec<Cow<'s, str>>,
    items: Option<&'s RawValue>,
    alternatives: Vec<&'s RawValue>,
    /// How many references it stands behind.
    references: usize,
}

struct Cleaner<'s> {
    root: &'s RawValue,
    out: String,
    /// The references that are being put in, one in another.
    inside: Vec<Cow<'s, str>>,
    nodes: usize,
    depth: usize,
    has_lost: bool,
}

impl<'s> Cleaner<'s> {
    fn new(root: &'s RawValue) -> Cleaner<'s> {
        let out = String::with_capacity(root.get().len());
        Cleaner { root, out, inside: Vec::new(), nodes: 0, depth: 0, has_lost: false }
    }

    /// Everything that a schema says, references followed.
    fn node(&mut self, schema: &'s RawValue) -> Node<'s> {
        let mut node = Node::default();
        self.gather(schema, &mut node);
        self.choose_alternative(&mut node);
        node
    }

    fn gather(&mut self, schema: &'s RawValue, node: &mut Node<'s>) {
        self.nodes += 1;
        let members = Members::of(schema).filter(|_| self.depth < MAX_DEPTH);
        // `true` lets everything pass, as `{}` does.
        self.has_lost |= members.is_none() && schema.get() != "true";
        self.depth += 1;
        for (name, value) in members.map_or_else(Vec::new, |members| members.0) {
            self.member(name, value, node);
        }
        self.depth -= 1;
    }

    fn member(&mut self, name: Cow<'s, str>, value: &'s RawValue, node: &mut Node<'s>) {
        match name.as_ref() {
            "type" if node.types.is_empty() => self.types(value, node),
            "$ref" => self.reference(value, node),
            "allOf" => {
                for part in elements(value).unwrap_or_default() {
                    self.gather(part, node);
                }
            }
            "anyOf" | "oneOf" => node.alternatives.extend(elements(value).unwrap_or_default()),
            "properties" => node.properties.extend(Members::of(value).map_or_else(Vec::new, |found| found.0)),
            "required" => {
                node.required.extend(elements(value).unwrap_or_default().into_iter().filter_map(text));
            }
            "items" if node.items.is_none() => self.items(value, node),
            "enum" if node.values.is_none() => node.values = elements(value),
            "const" if node.values.is_none() => node.values = Some(vec![value]),
            "format" if node.format.is_none() => node.format = text(value),
            "additionalProperties" => self.has_lost |= value.get() != "false",
            kept if KEPT.contains(&kept) => {
                if !node.kept.iter().any(|(known, _)| *known == name) {
                    node.kept.push((name, value));
                }
            }
            silent => {
                node.is_nullable |= silent == "nullable" && value.get() == "true";
                self.has_lost |= !SILENT.contains(&silent) && silent != "type";
            }
        }
    }

    fn types(&mut self, value: &'s RawValue, node: &mut Node<'s>) {
        let names = match text(value) {
            Some(name) => vec![name],
            None => elements(value).unwrap_or_default().into_iter().filter_map(text).collect(),
        };
        for name in names {
            let lower = name.to_ascii_lowercase();
            match TYPES.iter().find(|(standard, _)| *standard == lower) {
                Some((standard, _)) => node.types.push(Cow::Borrowed(standard)),
                None if lower == "null" => node.is_nullable = true,
                None => self.has_lost = true,
            }
        }
    }

    /// Tuples have no place: their elements are taken to be like the first.
    fn items(&mut self, value: &'s RawValue, node: &mut Node<'s>) {
        match elements(value) {
            None => node.items = Some(value),
            Some(tuple) => {
                self.has_lost = true;
                node.items = tuple.first().copied();
            }
        }
    }

    fn reference(&mut self, value: &'s RawValue, node: &mut Node<'s>) {
        let target = text(value);
        let found = target.as_ref().and_then(|target| find(self.root, target));
        match (target, found) {
            (Some(target), Some(found)) if !self.inside.contains(&target) && self.nodes < MAX_NODES => {
                self.inside.push(target);
                node.references += 1;
                self.gather(found, node);
            }
            // It goes round, or nowhere.
            _ => {
                self.has_lost = true;
                if node.types.is_empty() {
                    node.types.push(Cow::Borrowed("object"));
                }
            }
        }
    }

    /// Of alternatives, nothing is none; and a single one is what the schema says itself.
    fn choose_alternative(&mut self, node: &mut Node<'s>) {
        let is_null = |schema: &&RawValue| {
            let name = Members::of(schema).and_then(|members| members.get("type").or(members.get("const")));
            name.is_some_and(|name| matches!(name.get(), "\"null\"" | "null"))
        };
        let before = node.alternatives.len();
        node.alternatives.retain(|schema| !is_null(schema));
        node.is_nullable |= node.alternatives.len() < before;
        // What has members of its own keeps these: alternatives beside them are mostly about which must be there.
        if !node.alternatives.is_empty() && (!node.properties.is_empty() || node.items.is_some()) {
            self.has_lost = true;
            node.alternatives.clear();
        }
        while let [only] = node.alternatives[..] {
            node.alternatives.clear();
            self.gather(only, node);
        }
    }

    fn write(&mut self, node: Node<'s>, described: Option<&'s RawValue>) {
        let references = node.references;
        self.depth += 1;
        if self.depth > MAX_DEPTH || self.nodes > MAX_NODES {
            self.has_lost = true;
            self.out.push_str(r#"{"type":"OBJECT"}"#);
        } else if node.alternatives.len() > 1 {
            self.write_alternatives(node);
        } else {
            self.write_plain(node, described);
        }
        self.depth -= 1;
        self.inside.truncate(self.inside.len().saturating_sub(references));
    }

    fn write_child(&mut self, schema: &'s RawValue) {
        let node = self.node(schema);
        self.write(node, None);
    }

    /// Vertex takes nothing beside `anyOf`: a description goes into each alternative that has none.
    fn write_alternatives(&mut self, node: Node<'s>) {
        let described = node.kept.iter().find(|(name, _)| name == "description").map(|(_, value)| *value);
        self.has_lost |=
            node.kept.iter().any(|(name, _)| !matches!(name.as_ref(), "description" | "title" | "default"));
        self.out.push_str(r#"{"anyOf":["#);
        for schema in node.alternatives {
            push_comma(&mut self.out);
            let mut child = self.node(schema);
            child.is_nullable |= node.is_nullable;
            if child.types.is_empty() && child.alternatives.is_empty() {
                child.types.clone_from(&node.types);
            }
            self.write(child, described);
        }
        self.out.push_str("]}");
    }

    fn write_plain(&mut self, mut node: Node<'s>, described: Option<&'s RawValue>) {
        let Some(kind) = self.kind(&node) else { return self.write_types(&node) };
        self.out.push('{');
        if let Some((_, name)) = TYPES.iter().find(|(standard, _)| *standard == kind) {
            push_name(&mut self.out, "type");
            push_text(&mut self.out, name);
        }
        if let Some(values) = node.values.take() {
            node.is_nullable |= values.iter().any(|value| value.get() == "null");
            self.write_values(&values, &kind);
        }
        if node.is_nullable {
            self.out.push_str(if self.out.ends_with('{') {
                r#""nullable":true"#
            } else {
                r#","nullable":true"#
            });
        }
        if let Some(format) = &node.format {
            if FORMATS.contains(&(kind.as_ref(), format.as_ref())) {
                push_name(&mut self.out, "format");
                push_text(&mut self.out, format);
            } else {
                self.has_lost = true;
            }
        }
        for (name, value) in &node.kept {
            push_name(&mut self.out, name);
            self.out.push_str(value.get());
        }
        if let Some(described) =
            described.filter(|_| !node.kept.iter().any(|(name, _)| name == "description"))
        {
            push_name(&mut self.out, "description");
            self.out.push_str(described.get());
        }
        match kind.as_ref() {
            "object" => self.write_properties(&node),
            "array" => self.write_items(&node),
            _ => {}
        }
        self.out.push('}');
    }

    /// The type, or what it must be by what else is said; empty for any. `None` for several.
    fn kind(&mut self, node: &Node<'s>) -> Option<Cow<'s, str>> {
        let implied = match &node.values {
            _ if !node.properties.is_empty() => "object",
            _ if node.items.is_some() => "array",
            Some(values) => values.iter().find_map(|value| type_of(value)).unwrap_or("string"),
            None => "",
        };
        match &node.types[..] {
            [] => Some(Cow::Borrowed(implied)),
            [only] => Some(only.clone()),
            several if several.iter().any(|name| name == implied) => {
                self.has_lost = true;
                Some(Cow::Borrowed(implied))
            }
            _ => None,
        }
    }

    fn write_types(&mut self, node: &Node<'s>) {
        self.has_lost |= node.values.is_some() || node.format.is_some();
        self.out.push_str(r#"{"anyOf":["#);
        for name in &node.types {
            push_comma(&mut self.out);
            let types = vec![name.clone()];
            let kept = node.kept.iter().filter(|(name, _)| name == "description").cloned().collect();
            self.write_plain(Node { types, is_nullable: node.is_nullable, kept, ..Node::default() }, None);
        }
        self.out.push_str("]}");
    }

    /// Gemini's lists are of words. A number that was one of a list would come back as a word, which the client's tool
    /// doesn't take: of other types the list is lost, the type is not.
    fn write_values(&mut self, values: &[&'s RawValue], kind: &str) {
        if kind != "string" {
            self.has_lost = true;
            return;
        }
        let texts: Vec<Cow<'_, str>> = values
            .iter()
            .filter(|value| value.get() != "null")
            .map(|value| text(value).unwrap_or_else(|| value.get().into()))
            .collect();
        let is_word = |value: &&RawValue| value.get() == "null" || value.get().starts_with('"');
        // An empty word is refused.
        self.has_lost |= !values.iter().all(is_word) || texts.iter().any(|text| text.is_empty());
        push_name(&mut self.out, "enum");
        self.out.push('[');
        for text in texts.iter().filter(|text| !text.is_empty()) {
            push_comma(&mut self.out);
            push_text(&mut self.out, text);
        }
        self.out.push(']');
    }

    fn write_properties(&mut self, node: &Node<'s>) {
        if node.properties.is_empty() {
            return;
        }
        push_name(&mut self.out, "properties");
        self.out.push('{');
        let mut declared = HashSet::new();
        for (name, schema) in &node.properties {
            if declared.insert(name) {
                push_name(&mut self.out, name);
                self.write_child(schema);
            }
        }
        self.out.push('}');
        // Gemini refuses what is required and not declared.
        let required: Vec<_> = node.required.iter().filter(|name| declared.remove(name)).collect();
        if !required.is_empty() {
            push_name(&mut self.out, "required");
            self.out.push_str(&serde_json::to_string(&required).unwrap_or_default());
        }
    }

    /// Gemini wants to know of what a list is.
    fn write_items(&mut self, node: &Node<'s>) {
        push_name(&mut self.out, "items");
        match node.items {
            Some(items) => self.write_child(items),
            None => {
                self.has_lost = true;
                self.out.push_str(r#"{"type":"STRING"}"#);
            }
        }
    }
}

/// The type of a value, as schemas call it.
fn type_of(value: &RawValue) -> Option<&'static str> {
    match value.get().as_bytes().first()? {
        b'"' => Some("string"),
        b't' | b'f' => Some("boolean"),
        b'n' | b'{' | b'[' => None,
        _ if value.get().contains(['.', 'e', 'E']) => Some("number"),
        _ => Some("integer"),
    }
}

/// What a reference within the same document leads to. Source: RFC 6901.
fn find<'s>(root: &'s RawValue, reference: &str) -> Option<&'s RawValue> {
    let path = reference.strip_prefix('#')?;
    let steps = path.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    let mut at = root;
    for step in steps {
        at = match Members::of(at) {
            Some(members) => members.get(&step)?,
            None => elements(at)?.get(step.parse::<usize>().ok()?).copied()?,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cleaned schema, and whether anything was lost.
    fn cleaned(schema: &str) -> (String, bool) {
        let raw: &RawValue = serde_json::from_str(schema).expect("JSON");
        let mut written = Written::default();
        let cleaned = clean(raw, &mut written).map_or_else(String::new, |schema| schema.get().to_owned());
        (cleaned, written.lost == ["schema"])
    }

    #[test]
    fn what_can_be_said_in_geminis_words_is_not_lost() {
        for (given, expected) in [
            (r#"{"type":"string","format":"date-time"}"#, r#"{"type":"STRING","format":"date-time"}"#),
            (r#"{"type":["string","null"],"title":"T"}"#, r#"{"type":"STRING","nullable":true,"title":"T"}"#),
            (r#"{"const":"a"}"#, r#"{"type":"STRING","enum":["a"]}"#),
            (r#"{"enum":["a",null]}"#, r#"{"type":"STRING","enum":["a"],"nullable":true}"#),
            (r#"{"type":["string","integer"]}"#, r#"{"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}"#),
            (
                r#"{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"number"}},{"type":"null"}],"description":"D"}"#,
                r#"{"anyOf":[{"type":"STRING","nullable":true,"description":"D"},{"type":"ARRAY","nullable":true,"description":"D","items":{"type":"NUMBER"}}]}"#,
            ),
            (
                r#"{"anyOf":[{"type":"integer","minimum":1},{"type":"null"}],"default":null}"#,
                r#"{"type":"INTEGER","nullable":true,"default":null,"minimum":1}"#,
            ),
            (
                r##"{"$schema":"x","type":"object","$defs":{"P":{"type":"object","properties":{"z":{"type":"number"},"a":{"type":"boolean"}},"required":["z"]}},
                "properties":{"p":{"$ref":"#/$defs/P","description":"D"},"q":{"allOf":[{"$ref":"#/$defs/P"}]}},"required":["p"],"additionalProperties":false}"##,
                r#"{"type":"OBJECT","properties":{"p":{"type":"OBJECT","description":"D","properties":{"z":{"type":"NUMBER"},"a":{"type":"BOOLEAN"}},"required":["z"]},"q":{"type":"OBJECT","properties":{"z":{"type":"NUMBER"},"a":{"type":"BOOLEAN"}},"required":["z"]}},"required":["p"]}"#,
            ),
            (
                r#"{"allOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{}},"required":["b"]}]}"#,
                r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{}},"required":["b"]}"#,
            ),
            (
                r#"{"properties":{"o":{"type":"object","properties":{}}}}"#,
                r#"{"type":"OBJECT","properties":{"o":{"type":"OBJECT"}}}"#,
            ),
            (
                r#"{"properties":{"a":true},"required":["a","gone"]}"#,
                r#"{"type":"OBJECT","properties":{"a":{}},"required":["a"]}"#,
            ),
            (r#"{"type":"object","properties":{},"additionalProperties":false}"#, ""),
            (r#"{"type":"object"}"#, ""),
            ("{}", ""),
        ] {
            assert_eq!(cleaned(given), (expected.to_owned(), false), "{given}");
        }
    }

    #[test]
    fn what_says_less_afterwards_is_named_once() {
        for (given, expected) in [
            (r#"{"type":"string","format":"email","minLength":1}"#, r#"{"type":"STRING","minLength":1}"#),
            (r#"{"type":"integer","exclusiveMinimum":0,"multipleOf":2}"#, r#"{"type":"INTEGER"}"#),
            (r#"{"type":"integer","enum":[1,2]}"#, r#"{"type":"INTEGER"}"#),
            (r#"{"enum":["a",1]}"#, r#"{"type":"STRING","enum":["a","1"]}"#),
            (r#"{"enum":["a",""]}"#, r#"{"type":"STRING","enum":["a"]}"#),
            (r#"{"const":true}"#, r#"{"type":"BOOLEAN"}"#),
            (r#"{"type":"array"}"#, r#"{"type":"ARRAY","items":{"type":"STRING"}}"#),
            (
                r#"{"items":[{"type":"string"},{"type":"number"}]}"#,
                r#"{"type":"ARRAY","items":{"type":"STRING"}}"#,
            ),
            (
                r#"{"properties":{"a":{}},"patternProperties":{}}"#,
                r#"{"type":"OBJECT","properties":{"a":{}}}"#,
            ),
            (
                r#"{"properties":{"a":{}},"additionalProperties":{"type":"string"}}"#,
                r#"{"type":"OBJECT","properties":{"a":{}}}"#,
            ),
            (
                r#"{"properties":{"a":{}},"anyOf":[{"required":["a"]},{"required":[]}]}"#,
                r#"{"type":"OBJECT","properties":{"a":{}}}"#,
            ),
            (
                r##"{"properties":{"a":{"$ref":"#/nowhere"}}}"##,
                r#"{"type":"OBJECT","properties":{"a":{"type":"OBJECT"}}}"#,
            ),
            (
                r##"{"properties":{"a":{"$ref":"https://a.b/c"}}}"##,
                r#"{"type":"OBJECT","properties":{"a":{"type":"OBJECT"}}}"#,
            ),
        ] {
            assert_eq!(cleaned(given), (expected.to_owned(), true), "{given}");
        }
    }

    #[test]
    fn references_that_go_round_end() {
        let (tree, has_lost) = cleaned(
            r##"{"$defs":{"N":{"type":"object","properties":{"v":{"type":"string"},"next":{"$ref":"#/$defs/N"}}}},"$ref":"#/$defs/N"}"##,
        );
        assert!(has_lost);
        let once = r#"{"type":"OBJECT","properties":{"v":{"type":"STRING"},"next":{"type":"OBJECT"}}}"#;
        assert_eq!(tree, once);
        assert!(cleaned(r##"{"properties":{"a":{"$ref":"#"}}}"##).1);
        assert!(cleaned(r##"{"$ref":"#"}"##).1);
        assert!(cleaned(r##"{"$defs":{"A":{"anyOf":[{"$ref":"#/$defs/A"}]}},"$ref":"#/$defs/A"}"##).1);
    }

    #[test]
    fn references_that_multiply_are_put_in_up_to_the_bound() {
        // Each of twenty holds the next twice: a million if all were put in.
        let mut schema = String::from(r#"{"$defs":{"#);
        for level in 0..20 {
            let next = level + 1;
            let pair = format!(r##"{{"a":{{"$ref":"#/$defs/D{next}"}},"b":{{"$ref":"#/$defs/D{next}"}}}}"##);
            schema.push_str(&format!(r#""D{level}":{{"type":"object","properties":{pair}}},"#));
        }
        schema.push_str(r##""D20":{"type":"string"}},"$ref":"#/$defs/D0"}"##);
        let (cleaned, has_lost) = cleaned(&schema);
        assert!(has_lost);
        let nodes = cleaned.matches("\"type\"").count();
        // A reference counts, and what it leads to.
        assert!((MAX_NODES / 2..MAX_NODES).contains(&nodes), "{nodes}");
    }

    #[test]
    fn the_deepest_schema_is_written_and_one_deeper_is_cut() {
        // The innermost is one level further in than it is nested.
        for (levels, has_lost) in [(MAX_DEPTH - 1, false), (MAX_DEPTH, true)] {
            let schema = format!(
                r#"{}{{"type":"string"}}{}"#,
                r#"{"type":"array","items":"#.repeat(levels),
                "}".repeat(levels)
            );
            assert_eq!(cleaned(&schema).1, has_lost, "{levels}");
        }
        cleaned(&format!("{}{{}}{}", r#"{"allOf":["#.repeat(100), "]}".repeat(100)));
    }

    #[test]
    fn members_keep_their_order() {
        let (cleaned, _) =
            cleaned(r#"{"properties":{"z":{"type":"string"},"a":{"type":"string"},"m":{"type":"string"}}}"#);
        let order: Vec<_> = ["\"z\"", "\"a\"", "\"m\""].iter().map(|name| cleaned.find(name)).collect();
        assert!(order.is_sorted() && order[0].is_some(), "{cleaned}");
    }

    fn any_schema() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "{}".to_owned(),
            "true".to_owned(),
            "7".to_owned(),
            r#"{"type":"string","enum":["a",1,null]}"#.to_owned(),
            r#"{"type":["integer","null"],"format":"x"}"#.to_owned(),
            r##"{"$ref":"#"}"##.to_owned(),
            r##"{"$ref":"#/properties/a"}"##.to_owned(),
        ]);
        leaf.prop_recursive(4, 30, 3, |inner| {
            let many = prop::collection::vec(inner.clone(), 0..3);
            let word = prop::sample::select(vec!["anyOf", "oneOf", "allOf", "items"]);
            prop_oneof![
                (word, many).prop_map(|(word, many)| format!(r#"{{"{word}":[{}]}}"#, many.join(","))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!(
                    r#"{{"properties":{{"a":{a},"b":{b}}},"required":["a","c"]}}"#
                )),
                inner.prop_map(|items| format!(r#"{{"type":"array","items":{items},"const":1}}"#)),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cleaned_to_what_cleaning_leaves_as_it_is(schema in any_schema()) {
            let (once, _) = cleaned(&schema);
            if !once.is_empty() {
                for word in ["$ref", "oneOf", "allOf", "const", "\"null\""] {
                    prop_assert!(!once.contains(word), "{}", once);
                }
                let (twice, _) = cleaned(&once);
                prop_assert!(twice.is_empty() || twice == once, "{} {}", once, twice);
            }
        }
    }
}
