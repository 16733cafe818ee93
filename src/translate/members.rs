//! The members of a JSON object in their order, values unread: schemas are written anew without a tree of them, and a
//! model fills in an object's members in the order in which they are declared.

use super::pieces::Str;
use super::reader;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Names and values, in order.
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Str(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

impl<'a> Members<'a> {
    /// Of an object; `None` for another value.
    pub(super) fn of(value: &'a RawValue) -> Option<Members<'a>> {
        reader::unread(value)
    }

    /// The value of a member.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }
}

/// The elements of a list, unread; `None` for another value.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    reader::unread(value)
}

/// A string; `None` for another value.
pub(super) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Str<'_>>(value.get()).ok().map(|Str(text)| text)
}

/// Appends a string, quoted.
pub(super) fn push_text(out: &mut String, text: &str) {
    if !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A string can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Appends a comma, unless something begins here, and a name with its colon.
pub(super) fn push_name(out: &mut String, name: &str) {
    push_comma(out);
    push_text(out, name);
    out.push(':');
}

/// Appends a comma, unless something begins here.
pub(super) fn push_comma(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}
