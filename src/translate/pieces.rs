//! Pieces of JSON that more than one dialect takes: borrowed texts, and values that have two forms. Knows no field by
//! name.

use super::reader::FORMS;
use super::verbatim::{Verbatim, is_slow};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A text, borrowed where it has no escapes. In an option or a list `Cow` alone would always copy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A text with something in it.
pub(super) fn filled(text: Option<Str<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Str(text)| text).filter(|text| !text.is_empty())
}

/// A text, or the other form that a field has: the list of its parts, or an object that says more.
#[derive(Debug)]
pub(super) enum TextOr<'a, T> {
    /// The short form.
    Text(Verbatim<'a>),
    /// The long one.
    Other(T),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if is_slow() {
            return deserializer.deserialize_any(Forms(PhantomData));
        }
        deserializer.deserialize_newtype_struct(FORMS, Forms(PhantomData))
    }
}

struct Forms<'a, T>(PhantomData<TextOr<'a, T>>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Forms<'a, T> {
    type Value = TextOr<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or the longer form of this field")
    }

    fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<Self::Value, D::Error> {
        Verbatim::of(<&RawValue>::deserialize(text)?).map(TextOr::Text)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        match json.get().as_bytes().first() {
            Some(b'"') => Verbatim::of(json).map(TextOr::Text),
            Some(b'[' | b'{') => {
                serde_json::from_str(json.get()).map(TextOr::Other).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("neither form")),
        }
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(Verbatim::from(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(Verbatim::from(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::deserialize(List(list)).map(TextOr::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(TextOr::Other)
    }
}

/// A list that is nothing else. Serde would take its elements for an object's members.
struct List<A>(A);

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for List<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.0)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &"an object"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A text or a list; where only the vendor's own tools may say something else, that too, and nobody looks into it.
#[derive(Debug)]
pub(super) enum Listed<'a, T> {
    Text(Verbatim<'a>),
    List(Vec<T>),
    Other,
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Listed<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if is_slow() {
            return deserializer.deserialize_any(TextOrList(PhantomData));
        }
        deserializer.deserialize_newtype_struct(FORMS, TextOrList(PhantomData))
    }
}

struct TextOrList<'a, T>(PhantomData<Listed<'a, T>>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for TextOrList<'a, T> {
    type Value = Listed<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list")
    }

    fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<Self::Value, D::Error> {
        Verbatim::of(<&RawValue>::deserialize(text)?).map(Listed::Text)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        match json.get().as_bytes().first() {
            Some(b'"') => Verbatim::of(json).map(Listed::Text),
            Some(b'[') => serde_json::from_str(json.get()).map(Listed::List).map_err(D::Error::custom),
            _ => Ok(Listed::Other),
        }
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Listed::Text(Verbatim::from(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Listed::Text(Verbatim::from(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Listed::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Listed::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Listed::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Listed::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Listed::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Listed::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Listed::Other)
    }
}

/// JSON, in about so much room.
///
/// # Errors
/// When a value can't be written.
pub(super) fn written<T: Serialize>(value: &T, room: usize) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(room);
    serde_json::to_writer(&mut out, value)?;
    Ok(out)
}

/// Appends JSON. What is written here are texts, numbers and JSON that was checked, which always can be, and a vector
/// takes them all.
pub(super) fn push<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}
