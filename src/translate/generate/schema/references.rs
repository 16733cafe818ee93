//! What references within one schema lead to. Source: RFC 6901.
//!
//! What a path goes through is parsed once, however many references go the same way: a schema may have as many of them as
//! its length allows.

use super::MAX_DEPTH;
use crate::translate::members::{Members, elements};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// The references of one schema.
pub(super) struct References<'s> {
    root: &'s RawValue,
    /// What has been gone through, by the path to it.
    opened: HashMap<String, Within<'s>>,
}

/// What is in a value, one level deep.
enum Within<'s> {
    Object(HashMap<Cow<'s, str>, &'s RawValue>),
    List(Vec<&'s RawValue>),
}

impl<'s> References<'s> {
    /// Of which none has been followed.
    pub(super) fn of(root: &'s RawValue) -> References<'s> {
        References { root, opened: HashMap::new() }
    }

    /// What a reference leads to; `None` for one that leads nowhere, out of the schema, or deeper than any that is
    /// written.
    pub(super) fn find(&mut self, reference: &str) -> Option<&'s RawValue> {
        let path = reference.strip_prefix('#')?;
        if path.matches('/').count() > MAX_DEPTH {
            return None;
        }
        let mut at = self.root;
        for (slash, _) in path.match_indices('/') {
            let (way, rest) = (&path[..slash], &path[slash + 1..]);
            let step = rest.split('/').next().unwrap_or_default();
            if !self.opened.contains_key(way) {
                self.opened.insert(way.to_owned(), Within::of(at)?);
            }
            at = self.opened.get(way)?.get(step)?;
        }
        Some(at)
    }
}

impl<'s> Within<'s> {
    fn of(value: &'s RawValue) -> Option<Within<'s>> {
        let Some(members) = Members::of(value) else { return elements(value).map(Within::List) };
        let mut first = HashMap::with_capacity(members.0.len());
        for (name, value) in members.0 {
            first.entry(name).or_insert(value);
        }
        Some(Within::Object(first))
    }

    fn get(&self, step: &str) -> Option<&'s RawValue> {
        match self {
            Within::Object(members) => members.get(step.replace("~1", "/").replace("~0", "~").as_str()),
            Within::List(elements) => elements.get(step.parse::<usize>().ok()?),
        }
        .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(schema: &str, reference: &str) -> Option<String> {
        let root: &RawValue = serde_json::from_str(schema).expect("JSON");
        References::of(root).find(reference).map(|found| found.get().to_owned())
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let schema = r#"{"a/b":{"~":[1,{"":2}]},"a":3,"a":4}"#;
        for (reference, expected) in [
            ("#", Some(schema)),
            ("#/a~1b/~0/0", Some("1")),
            ("#/a~1b/~0/1/", Some("2")),
            ("#/a", Some("3")),
            ("#/a/x", None),
            ("#/a~1b/~0/2", None),
            ("#/b", None),
            ("other.json#/a", None),
        ] {
            assert_eq!(found(schema, reference).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn the_deepest_path_is_followed_and_one_step_more_is_not() {
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, expected) in [(MAX_DEPTH, Some("1")), (MAX_DEPTH + 1, None)] {
            let path = format!("#{}", "/0".repeat(depth));
            assert_eq!(found(&nested(depth), &path).as_deref(), expected, "{depth}");
        }
    }

    #[test]
    fn one_way_is_gone_through_once() {
        let schema = r##"{"$defs":{"x":{},"y":{}}}"##;
        let root: &RawValue = serde_json::from_str(schema).expect("JSON");
        let mut references = References::of(root);
        for reference in ["#/$defs/x", "#/$defs/y", "#/$defs/z"] {
            references.find(reference);
        }
        assert_eq!(references.opened.len(), 2, "the root and its `$defs`");
    }
}
