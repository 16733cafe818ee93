//! What one schema says, whichever of its parts says so: references and alternatives of one are followed.

use super::references::References;
use super::{MAX_DEPTH, MAX_NODES, MAX_REFERRED, TYPES};
use crate::translate::members::{Members, elements, text};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What both have, by the same name and with the same meaning, and what its value must be: Gemini refuses a request
/// for another, whatever other validators make of it.
const KEPT: [(&str, Value); 13] = [
    ("title", Value::Text),
    ("description", Value::Text),
    ("default", Value::Any),
    ("minItems", Value::Count),
    ("maxItems", Value::Count),
    ("minLength", Value::Count),
    ("maxLength", Value::Count),
    ("minProperties", Value::Count),
    ("maxProperties", Value::Count),
    ("minimum", Value::Number),
    ("maximum", Value::Number),
    ("pattern", Value::Text),
    ("propertyOrdering", Value::List),
];

/// What a member's value is.
#[derive(Clone, Copy)]
enum Value {
    Any,
    Text,
    Number,
    /// A whole number of at least 0.
    Count,
    List,
}

impl Value {
    fn is(self, value: &RawValue) -> bool {
        let value = value.get();
        match self {
            Value::Any => true,
            Value::Text => value.starts_with('"'),
            Value::Number => value.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
            Value::Count => value.parse::<u64>().is_ok(),
            Value::List => value.starts_with('['),
        }
    }
}

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

/// What one schema says, whichever of its parts says so.
#[derive(Default)]
pub(super) struct Node<'s> {
    pub(super) types: Vec<Cow<'s, str>>,
    pub(super) is_nullable: bool,
    pub(super) kept: Vec<(Cow<'s, str>, &'s RawValue)>,
    pub(super) format: Option<Cow<'s, str>>,
    pub(super) values: Option<Vec<&'s RawValue>>,
    pub(super) properties: Vec<(Cow<'s, str>, &'s RawValue)>,
    pub(super) required: Vec<Cow<'s, str>>,
    pub(super) items: Option<&'s RawValue>,
    pub(super) alternatives: Vec<&'s RawValue>,
    /// How many references it stands behind.
    pub(super) references: usize,
}

/// A schema being read, a node at a time.
pub(super) struct Reading<'s> {
    targets: References<'s>,
    /// What was put in for references so far, and as descriptions of alternatives, in bytes.
    referred: usize,
    /// The references that are being put in, one in another.
    pub(super) inside: Vec<Cow<'s, str>>,
    pub(super) nodes: usize,
    pub(super) depth: usize,
    pub(super) has_lost: bool,
}

impl<'s> Reading<'s> {
    /// Of which nothing was read.
    pub(super) fn of(root: &'s RawValue) -> Reading<'s> {
        let targets = References::of(root);
        Reading { targets, referred: 0, inside: Vec::new(), nodes: 0, depth: 0, has_lost: false }
    }

    /// Everything that a schema says, references followed.
    pub(super) fn node(&mut self, schema: &'s RawValue) -> Node<'s> {
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
            other => match KEPT.iter().find(|(kept, _)| *kept == other) {
                Some((_, kind)) if !kind.is(value) => self.has_lost = true,
                Some(_) if node.kept.iter().any(|(known, _)| *known == name) => {}
                Some(_) => node.kept.push((name, value)),
                None => {
                    node.is_nullable |= other == "nullable" && value.get() == "true";
                    self.has_lost |= !SILENT.contains(&other) && other != "type";
                }
            },
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
                Some((standard, _)) if node.types.iter().any(|known| known == standard) => {}
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
        let is_followed = |target: &Cow<'_, str>| !self.inside.contains(target) && self.nodes < MAX_NODES;
        let target = target.filter(is_followed);
        let found = target.as_ref().and_then(|target| self.targets.find(target));
        match (target, found.filter(|found| self.may_repeat(found))) {
            (Some(target), Some(found)) => {
                self.inside.push(target);
                node.references += 1;
                self.gather(found, node);
            }
            // It goes round, or nowhere, or leads to too much.
            _ => {
                self.has_lost = true;
                if node.types.is_empty() {
                    node.types.push(Cow::Borrowed("object"));
                }
            }
        }
    }

    /// Whether there is room for what stands elsewhere too; takes it. What there is none for is lost.
    pub(super) fn may_repeat(&mut self, text: &RawValue) -> bool {
        let has_room = text.get().len() <= MAX_REFERRED - self.referred;
        if has_room {
            self.referred += text.get().len();
        }
        self.has_lost |= !has_room;
        has_room
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
}
