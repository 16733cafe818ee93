//! Settings made of others: optional ones, lists and maps.

use super::{Node, Problems, Setting, Shape, Value};
use std::collections::BTreeMap;
use std::ops::Deref;

impl<T: Setting> Setting for Option<T> {
    const FORM: &'static str = T::FORM;

    fn read(node: &Node, problems: &mut Problems) -> Option<Option<T>> {
        if node.is_null() { Some(None) } else { T::read(node, problems).map(Some) }
    }

    fn write(&self) -> Node {
        self.as_ref().map_or_else(|| Node::written(Value::Null), T::write)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

/// What can be read of a list is kept, so that one bad item hides no other problem.
impl<T: Setting> Setting for Vec<T> {
    const FORM: &'static str = "a list";

    fn read(node: &Node, problems: &mut Problems) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            problems.unexpected(node, Self::FORM, node.kind());
            return None;
        };
        let read = |(index, item)| problems.at_index(index, |problems| T::read(item, problems));
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    fn write(&self) -> Node {
        Node::written(Value::List(self.iter().map(T::write).collect()))
    }

    fn shape() -> Shape {
        Shape::List(T::shape)
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    const FORM: &'static str = "a map";

    fn read(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, T>> {
        let Value::Map(entries) = &node.value else {
            problems.unexpected(node, Self::FORM, node.kind());
            return None;
        };
        let mut map = BTreeMap::new();
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in entries {
            problems.at_key(&entry.key, |problems| {
                if let Some(first) = lines.insert(&entry.key, entry.line) {
                    let message = format!("is given twice, first in line {first}");
                    return problems.error_at_place(entry.line, entry.column, message);
                }
                if let Some(value) = T::read(&entry.value, problems) {
                    map.insert(entry.key.clone(), value);
                }
            });
        }
        Some(map)
    }

    fn write(&self) -> Node {
        super::declare::write_map(self.iter().map(|(key, value)| (key.as_str(), value.write())))
    }

    fn shape() -> Shape {
        Shape::Map(T::shape)
    }
}

/// A list that may also be written as its only item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> OneOrMany<T> {
        OneOrMany(Vec::new())
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Setting> Setting for OneOrMany<T> {
    const FORM: &'static str = T::FORM;

    fn read(node: &Node, problems: &mut Problems) -> Option<OneOrMany<T>> {
        match &node.value {
            Value::List(_) => Vec::read(node, problems).map(OneOrMany),
            _ => T::read(node, problems).map(|one| OneOrMany(vec![one])),
        }
    }

    fn write(&self) -> Node {
        self.0.write()
    }

    fn shape() -> Shape {
        Vec::<T>::shape()
    }
}
