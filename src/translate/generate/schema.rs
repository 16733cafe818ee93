//! JSON schema, cleaned of what Gemini's own schemas don't have.
//!
//! References are put in where they stand, a constant is a list of one word, alternatives with nothing are nullable.
//! What says less afterwards is a loss, and named; what never bound a model (titles of drafts, examples, a ban on
//! members that nobody declared) goes without a word. Arguments are sent by this form, not as `parametersJsonSchema`,
//! because models before 2.5 and Vertex know only this one.
//!
//! Bounded: [`MAX_DEPTH`] levels, [`MAX_NODES`] schemas, and [`MAX_REFERRED`] bytes put in for references, which multiply,
//! and as the description of each of several alternatives. Source: Gemini API reference, `Schema`.

mod node;
mod references;

use self::node::{Node, Reading};
use crate::translate::features::Feature;
use crate::translate::members::{push_comma, push_name, push_text, text};
use crate::translate::sides::Written;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// The deepest nesting that is written.
const MAX_DEPTH: usize = 32;
/// The most schemas that one may hold, references put in.
const MAX_NODES: usize = 2_000;
/// The most that is put in where it doesn't stand itself, in bytes: far beyond any schema that a model could follow.
const MAX_REFERRED: usize = 256 << 10;

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
    let node = cleaner.reading.node(schema);
    let is_bare = node.properties.is_empty()
        && node.alternatives.is_empty()
        && node.items.is_none()
        && node.values.is_none()
        && node.types.iter().all(|name| name == "object");
    if !is_bare {
        cleaner.write(node, None);
    }
    if cleaner.reading.has_lost {
        written.lose(Feature::SchemaBounds);
    }
    if is_bare { None } else { RawValue::from_string(cleaner.out).ok() }
}

/// A schema on its way out.
struct Cleaner<'s> {
    reading: Reading<'s>,
    out: String,
}

impl<'s> Cleaner<'s> {
    fn new(root: &'s RawValue) -> Cleaner<'s> {
        Cleaner { reading: Reading::of(root), out: String::with_capacity(root.get().len()) }
    }

    fn write(&mut self, node: Node<'s>, described: Option<&'s RawValue>) {
        let references = node.references;
        self.reading.depth += 1;
        if self.reading.depth > MAX_DEPTH || self.reading.nodes > MAX_NODES {
            self.reading.has_lost = true;
            self.out.push_str(r#"{"type":"OBJECT"}"#);
        } else if node.alternatives.len() > 1 {
            self.write_alternatives(node);
        } else {
            self.write_plain(node, described);
        }
        self.reading.depth -= 1;
        self.reading.inside.truncate(self.reading.inside.len().saturating_sub(references));
    }

    fn write_child(&mut self, schema: &'s RawValue) {
        let node = self.reading.node(schema);
        self.write(node, None);
    }

    /// Vertex takes nothing beside `anyOf`: a description goes into each alternative that has none.
    fn write_alternatives(&mut self, node: Node<'s>) {
        let described = node.kept.iter().find(|(name, _)| name == "description").map(|(_, value)| *value);
        self.reading.has_lost |=
            node.kept.iter().any(|(name, _)| !matches!(name.as_ref(), "description" | "title" | "default"));
        self.out.push_str(r#"{"anyOf":["#);
        for schema in node.alternatives {
            push_comma(&mut self.out);
            let mut child = self.reading.node(schema);
            child.is_nullable |= node.is_nullable;
            if child.types.is_empty() && child.alternatives.is_empty() {
                child.types.clone_from(&node.types);
            }
            let has_own = child.kept.iter().any(|(name, _)| name == "description");
            let described = described.filter(|text| !has_own && self.reading.may_repeat(text));
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
                self.reading.has_lost = true;
            }
        }
        for (name, value) in &node.kept {
            push_name(&mut self.out, name);
            self.out.push_str(value.get());
        }
        if let Some(described) = described {
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
                self.reading.has_lost = true;
                Some(Cow::Borrowed(implied))
            }
            _ => None,
        }
    }

    fn write_types(&mut self, node: &Node<'s>) {
        self.reading.has_lost |= node.values.is_some() || node.format.is_some();
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
            self.reading.has_lost = true;
            return;
        }
        let texts: Vec<Cow<'_, str>> = values
            .iter()
            .filter(|value| value.get() != "null")
            .map(|value| text(value).unwrap_or_else(|| value.get().into()))
            .collect();
        let is_word = |value: &&RawValue| value.get() == "null" || value.get().starts_with('"');
        // An empty word is refused.
        self.reading.has_lost |= !values.iter().all(is_word) || texts.iter().any(|text| text.is_empty());
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
                self.reading.has_lost = true;
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

#[cfg(test)]
mod tests;
