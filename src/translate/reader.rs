//! The reader of bodies that can be read, as nearly all can: a format of serde's over the scan of [`super::json`].
//!
//! serde_json takes some hundred instructions to pass over an escape, and can't be asked what comes next, so that a value
//! with two forms is passed over once to see which it is, and read after. A long prompt is passed over once here.
//!
//! It has the last word on two things: how many elements a text may have ([`elements`]), and that a list is no object.
//! Whatever else it doesn't take, serde_json reads, whose errors say what is wrong. That one reads slowly: it passes over nothing to read it after,
//! which at each level would begin anew, and so keeps its own bound of depth.

use super::elements;
use super::json::{Expected, MAX_DEPTH, Scan};
use super::pieces::Str;
use super::verbatim::slowly;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;
use std::fmt::Display;

/// The name by which `serde_json::value::RawValue` asks for a value's text. Should it ever be another, serde_json reads
/// what has such values, and a test fails here.
const RAW: &str = "$serde_json::private::RawValue";

/// The name by which a value is asked for that has two forms: text is told as something, by its JSON, and a list or an
/// object as what it is. Other formats tell it as a new type.
pub(super) const FORMS: &str = "$cliproxy::forms";

/// Why a text can't be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It has more elements than one of its length may; there is the first of these.
    TooMany(usize),
    /// There is a list where an object should be.
    List(usize),
    /// It isn't JSON, or not as it should be.
    Json(serde_json::Error),
}

/// Reads JSON.
///
/// # Errors
/// Where it isn't JSON, not as it should be, or has too many elements.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    match fast(text) {
        Ok(value) => Ok(value),
        Err(Unread::TooMany(at)) => Err(Unreadable::TooMany(at)),
        Err(Unread::List(at)) => Err(Unreadable::List(at)),
        Err(Unread::Otherwise) => last(text.as_bytes(), || serde_json::from_str(text)),
    }
}

/// The same of bytes.
///
/// # Errors
/// The same, and where it isn't UTF-8.
pub(super) fn read_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(_) => last(bytes, || serde_json::from_slice(bytes)),
    }
}

/// Has the reader with the last word read, who counts nothing itself.
fn last<T>(text: &[u8], read: impl FnOnce() -> serde_json::Result<T>) -> Result<T, Unreadable> {
    match elements::first_too_many(text) {
        Some(at) => Err(Unreadable::TooMany(at)),
        None => slowly(read).map_err(Unreadable::Json),
    }
}

/// The members of an object, or the elements of a list, which stay unread; `None` for another value. Text that is JSON
/// already can be read fast, or not at all.
pub(super) fn unread<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    within(usize::MAX, value.get()).ok()
}

fn fast<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unread> {
    within(elements::most(text.len()), text)
}

fn within<'a, T: Deserialize<'a>>(room: usize, text: &'a str) -> Result<T, Unread> {
    let mut reader = Reader { text, scan: Scan::of(text.as_bytes()), depth: 0, room };
    let value = T::deserialize(&mut reader)?;
    if reader.scan.next().is_none() { Ok(value) } else { Err(Unread::Otherwise) }
}

/// What can't be read here.
#[derive(Debug, thiserror::Error)]
enum Unread {
    /// For whatever reason: serde_json says which.
    #[error("can't be read")]
    Otherwise,
    /// There is the first element that is one too many.
    #[error("has too many elements")]
    TooMany(usize),
    /// There is a list in the place of an object. Serde takes its elements for the object's members, one by one, and so
    /// would serde_json: this has no second reader.
    #[error("has a list for an object")]
    List(usize),
}

impl de::Error for Unread {
    fn custom<T: Display>(_: T) -> Unread {
        Unread::Otherwise
    }
}

impl From<Expected> for Unread {
    fn from(_: Expected) -> Unread {
        Unread::Otherwise
    }
}

struct Reader<'de> {
    text: &'de str,
    scan: Scan<'de>,
    depth: usize,
    /// How many elements may still come.
    room: usize,
}

impl<'de> Reader<'de> {
    /// The text of what a scan passes over.
    fn passed(
        &mut self,
        pass: impl FnOnce(&mut Scan<'de>) -> Result<(), Expected>,
    ) -> Result<&'de str, Unread> {
        self.scan.next();
        let from = self.scan.at();
        pass(&mut self.scan)?;
        self.text.get(from..self.scan.at()).ok_or(Unread::Otherwise)
    }

    /// The text of the next value.
    fn raw(&mut self) -> Result<&'de str, Unread> {
        let depth = self.depth;
        self.passed(|scan| scan.value(depth))
    }

    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unread> {
        let mut is_plain = false;
        let json = self.passed(|scan| scan.string().map(|plain| is_plain = plain))?;
        if !is_plain {
            return visitor.visit_string(serde_json::from_str(json).map_err(|_| Unread::Otherwise)?);
        }
        visitor.visit_borrowed_str(json.get(1..json.len() - 1).ok_or(Unread::Otherwise)?)
    }

    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unread> {
        let number = self.passed(Scan::number)?;
        let is_whole = !number.contains(['.', 'e', 'E']) && number != "-0";
        if is_whole && let Ok(number) = number.parse() {
            return visitor.visit_u64(number);
        }
        if is_whole && let Ok(number) = number.parse() {
            return visitor.visit_i64(number);
        }
        let number: f64 = number.parse().map_err(|_| Unread::Otherwise)?;
        if number.is_finite() { visitor.visit_f64(number) } else { Err(Unread::Otherwise) }
    }

    /// Takes room for an element, which is next.
    fn count(&mut self) -> Result<(), Unread> {
        self.room = self.room.checked_sub(1).ok_or(Unread::TooMany(self.scan.at()))?;
        Ok(())
    }

    /// Reads a list or an object, whose bracket is next.
    fn inside<T>(
        &mut self,
        close: u8,
        read: impl FnOnce(&mut Inside<'_, 'de>) -> Result<T, Unread>,
    ) -> Result<T, Unread> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unread::Otherwise);
        }
        self.scan.skip();
        let mut inside = Inside { reader: self, close, is_first: true, is_over: false };
        let value = read(&mut inside)?;
        // Who has all that it wants doesn't ask for the end.
        if !inside.is_over && inside.goes_on()? {
            return Err(Unread::Otherwise);
        }
        self.depth -= 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        match self.scan.next() {
            Some(b'"') => self.string(visitor),
            Some(b'{') => self.inside(b'}', |inside| visitor.visit_map(inside)),
            Some(b'[') => self.inside(b']', |inside| visitor.visit_seq(inside)),
            Some(b'-' | b'0'..=b'9') => self.number(visitor),
            Some(b't') => self.passed(|scan| scan.word(b"true")).and_then(|_| visitor.visit_bool(true)),
            Some(b'f') => self.passed(|scan| scan.word(b"false")).and_then(|_| visitor.visit_bool(false)),
            Some(b'n') => self.passed(|scan| scan.word(b"null")).and_then(|_| visitor.visit_unit()),
            _ => Err(Unread::Otherwise),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        if self.scan.next() == Some(b'[') {
            return Err(Unread::List(self.scan.at()));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        if self.scan.next() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.passed(|scan| scan.word(b"null")).and_then(|_| visitor.visit_none())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        match name {
            RAW => visitor.visit_map(Raw(Some(self.raw()?))),
            FORMS if self.scan.next() == Some(b'"') => visitor.visit_some(self),
            FORMS => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        if self.scan.next() != Some(b'"') {
            return Err(Unread::Otherwise);
        }
        let Str(name) = Str::deserialize(self)?;
        visitor.visit_enum(CowStrDeserializer::new(name))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.raw().and_then(|_| visitor.visit_unit())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier
    }
}

/// What is in a list or an object, one by one.
struct Inside<'r, 'de> {
    reader: &'r mut Reader<'de>,
    close: u8,
    is_first: bool,
    is_over: bool,
}

impl Inside<'_, '_> {
    /// Whether another one follows, up to which everything is passed over.
    fn goes_on(&mut self) -> Result<bool, Unread> {
        if self.is_over {
            return Ok(false);
        }
        let next = self.reader.scan.next();
        if next == Some(self.close) {
            self.reader.scan.skip();
            self.is_over = true;
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            if next != Some(b',') {
                return Err(Unread::Otherwise);
            }
            self.reader.scan.skip();
        }
        if self.close == b']' {
            self.reader.count()?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Inside<'_, 'de> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unread> {
        if self.goes_on()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Inside<'_, 'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unread> {
        if !self.goes_on()? {
            return Ok(None);
        }
        if self.reader.scan.next() != Some(b'"') {
            return Err(Unread::Otherwise);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        if self.reader.scan.next() != Some(b':') {
            return Err(Unread::Otherwise);
        }
        self.reader.scan.skip();
        seed.deserialize(&mut *self.reader)
    }
}

/// A value's text, as `RawValue` wants to be told of it.
struct Raw<'de>(Option<&'de str>);

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unread> {
        if self.0.is_none() {
            Ok(None)
        } else {
            seed.deserialize(BorrowedStrDeserializer::new(RAW)).map(Some)
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        seed.deserialize(BorrowedStrDeserializer::new(self.0.take().ok_or(Unread::Otherwise)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::members::Members;
    use super::super::pieces::{Listed, TextOr};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Speaker {
        User,
        Model,
    }

    #[derive(Debug, Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        name: Str<'a>,
        count: Option<u64>,
        shift: Option<i64>,
        share: Option<f64>,
        is_so: Option<bool>,
        #[serde(borrow)]
        inner: Option<TextOr<'a, Box<Body<'a>>>>,
        #[serde(borrow)]
        list: Option<Listed<'a, Body<'a>>>,
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
        speaker: Option<Speaker>,
    }

    #[test]
    fn what_can_be_read_needs_no_other_reader() {
        let text = r#" {"name":"a","count":7,"shift":-7,"share":0.5,"is_so":true,"unknown":[{"a":"\u00e9"}],
            "inner":{"name":"\u0062","inner":"say \"it\"","count":null},"list":[{"name":""},{"name":"c"}],
            "raw": {"x" : [1, "\n"]} ,"speaker":"model"} "#;
        let body: Body<'_> = fast(text).expect("read");
        assert_eq!((&*body.name.0, body.count, body.shift, body.share), ("a", Some(7), Some(-7), Some(0.5)));
        assert_eq!((body.is_so, body.speaker), (Some(true), Some(Speaker::Model)));
        assert_eq!(body.raw.map(RawValue::get), Some(r#"{"x" : [1, "\n"]}"#));
        let Some(TextOr::Other(inner)) = body.inner else { panic!("an object") };
        assert_eq!(inner.name.0, "b");
        let Some(TextOr::Text(words)) = inner.inner else { panic!("a text") };
        assert_eq!(words.plain(), r#"say "it""#);
        let Some(Listed::List(list)) = body.list else { panic!("a list") };
        assert_eq!(list.len(), 2);
        let other: Body<'_> = fast(r#"{"name":"a","list":7}"#).expect("read");
        assert!(matches!(other.list, Some(Listed::Other)));
    }

    #[test]
    fn a_list_is_no_object_whichever_reader_looks() {
        for text in [
            r#" ["b"]"#,
            r#"{"name":"a","list":[ ["b"]]}"#,
            r#"{"speaker":"m\u006fdel","name":"a","list":[{"name":""},["b"]]}"#,
        ] {
            let expected = text.find(r#"["b"]"#).expect("a list");
            let unreadable = read::<Body<'_>>(text).expect_err(text);
            assert!(matches!(unreadable, Unreadable::List(at) if at == expected), "{text}: {unreadable:?}");
        }
        for text in [r#"{"name":"a","inner":["b"]}"#, r#"{"name":7,"inner":["b"]}"#] {
            assert!(read::<Body<'_>>(text).is_err(), "{text}");
        }
        let escaped: Body<'_> = fast(r#"{"speaker":"m\u006fdel","name":"a"}"#).expect("read");
        assert_eq!(escaped.speaker, Some(Speaker::Model));
    }

    #[test]
    fn numbers_are_of_the_kind_that_they_look_like() {
        for (text, value) in [
            ("0", Value::from(0)),
            ("18446744073709551615", Value::from(u64::MAX)),
            ("-9223372036854775808", Value::from(i64::MIN)),
            ("18446744073709551616", Value::from(1.844_674_407_370_955_2e19)),
            ("-0", Value::from(-0.0)),
            ("1e2", Value::from(100.0)),
        ] {
            let read: Value = fast(text).expect(text);
            assert_eq!((read.to_string(), &read), (value.to_string(), &value), "{text}");
        }
        assert!(fast::<Value>("1e999").is_err());
    }

    #[test]
    fn nobody_nests_deeper_than_a_body_may() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(fast::<de::IgnoredAny>(&nested(MAX_DEPTH)).is_ok());
        assert!(fast::<Value>(&nested(MAX_DEPTH)).is_ok());
        assert!(fast::<de::IgnoredAny>(&nested(MAX_DEPTH + 1)).is_err());
        assert!(fast::<Value>(&nested(MAX_DEPTH + 1)).is_err());
    }

    /// In the reader that has the last word, too, whatever the stack holds: a provider's answer is bounded by nobody else.
    #[test]
    fn what_is_too_deep_for_this_reader_is_no_deeper_for_the_other() {
        #[derive(Debug, Deserialize)]
        struct Block<'a> {
            #[serde(borrow)]
            content: Option<Listed<'a, Block<'a>>>,
        }
        let nested = |depth: usize| r#"{"content":["#.repeat(depth) + "{}" + &"]}".repeat(depth);
        let deep = nested(MAX_DEPTH / 2 - 1);
        assert!(matches!(read(&deep), Ok(Block { content: Some(Listed::List(_)) })));
        assert!(read::<Block<'_>>(&nested(100_000)).is_err());
    }

    #[test]
    fn who_leaves_something_unread_is_refused() {
        assert!(fast::<(u8, u8)>("[1,2]").is_ok());
        assert!(fast::<(u8, u8)>("[1,2,3]").is_err());
        assert!(fast::<(u8, u8)>("[1]").is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_read_otherwise_than_by_serde_json(
            text in r#"[\[{]?("(\\[nu"0d8]?|[a, é])*"|[\[\]{},: ]|-?[0-9]{1,3}(\.[0-9])?|true|null){0,9}[\]}]?"#
        ) {
            let (mine, theirs): (Option<Value>, Option<Value>) = (fast(&text).ok(), serde_json::from_str(&text).ok());
            prop_assert_eq!(mine, theirs);
            let unread = |members: Members<'_>| -> Vec<_> {
                members.0.into_iter().map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect()
            };
            prop_assert_eq!(fast(&text).ok().map(unread), serde_json::from_str(&text).ok().map(unread));
        }
    }
}
