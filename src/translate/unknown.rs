//! Members of an object that nobody here knows, noted without a look into them.
//!
//! Serde's `flatten` would keep every member, and whatever is in it, until the known ones are told apart.

use super::pieces::Str;
use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;

/// An object, and whether it has members beside the known ones that say something.
#[derive(Debug)]
pub(super) struct Noted<T> {
    pub(super) known: T,
    pub(super) has_unknown: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Noted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut has_unknown = false;
        let known = T::deserialize(Noting { of: deserializer, has_unknown: &mut has_unknown })?;
        Ok(Noted { known, has_unknown })
    }
}

/// Reads an object, and keeps members that its type doesn't name from it.
struct Noting<'n, D> {
    of: D,
    has_unknown: &'n mut bool,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Noting<'_, D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.of.deserialize_map(Object { visitor, names, has_unknown: self.has_unknown })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.of.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Object<'n, V> {
    visitor: V,
    names: &'static [&'static str],
    has_unknown: &'n mut bool,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, of: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Known { of, names: self.names, has_unknown: self.has_unknown })
    }
}

/// The members that are known.
struct Known<'n, A> {
    of: A,
    names: &'static [&'static str],
    has_unknown: &'n mut bool,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Known<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Str(name)) = self.of.next_key()? {
            if self.names.contains(&name.as_ref()) {
                let name: CowStrDeserializer<'_, A::Error> = CowStrDeserializer::new(Cow::clone(&name));
                return seed.deserialize(name).map(Some);
            }
            *self.has_unknown |= self.of.next_value::<Option<IgnoredAny>>()?.is_some();
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.of.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader;
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body<'a> {
        #[serde(borrow, alias = "called")]
        name: Option<Str<'a>>,
    }

    #[test]
    fn what_nobody_knows_is_noted_where_it_says_something() {
        for (text, name, has_unknown) in [
            ("{}", None, false),
            (r#"{"name":"a"}"#, Some("a"), false),
            (r#"{"\u006eame":"a"}"#, Some("a"), false),
            (r#"{"called":"a","other":null}"#, Some("a"), false),
            (r#"{"other":{"name":"b","x":[1]},"name":"a"}"#, Some("a"), true),
            (r#"{"name":"a","Name":0}"#, Some("a"), true),
        ] {
            let by_us = reader::read::<Noted<Body<'_>>>(text).expect(text);
            let by_serde: Noted<Body<'_>> = serde_json::from_str(text).expect(text);
            for read in [by_us, by_serde] {
                let found = read.known.name.as_ref().map(|Str(name)| name.as_ref());
                assert_eq!((found, read.has_unknown), (name, has_unknown), "{text}");
            }
        }
        for text in [r#"{"name":"a","called":"b"}"#, "[]", "7"] {
            assert!(reader::read::<Noted<Body<'_>>>(text).is_err(), "{text}");
        }
    }
}
