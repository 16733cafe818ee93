//! Words as a client wrote them, escapes and all, handed on without a look into them.
//!
//! A string is the same JSON in every dialect. To decode it and to encode it again is most of what a long prompt would
//! cost; nearly nobody needs to know what it says.
//!
//! What can't be read is read a second time to say where it went wrong (`slowly`): then nothing is skipped, so that the
//! reader knows at each byte where it stands.

use super::pieces::Str;
use memchr::memmem::Finder;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::LazyLock;

/// What an escape by a character's number begins with.
const CODE: &str = r"\u";

/// Finds those.
static CODES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CODE));

thread_local! {
    static IS_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// Reads without handing anything on unread.
pub(super) fn slowly<T>(read: impl FnOnce() -> T) -> T {
    let before = IS_SLOW.replace(true);
    let result = read();
    IS_SLOW.set(before);
    result
}

/// Whether nothing is to be handed on unread.
pub(super) fn is_slow() -> bool {
    IS_SLOW.get()
}

/// Words.
#[derive(Clone, Debug)]
pub enum Verbatim<'a> {
    /// The text of a JSON string, with its quotes.
    Json(&'a RawValue),
    /// The words themselves.
    Plain(Cow<'a, str>),
}

impl<'a> Verbatim<'a> {
    /// The words of a string.
    ///
    /// # Errors
    /// When it is no string, or none that can be decoded.
    pub(super) fn of<E: Error>(json: &'a RawValue) -> Result<Verbatim<'a>, E> {
        if !json.get().starts_with('"') {
            return Err(E::custom("no string"));
        }
        if may_have_surrogates(json.get()) {
            return serde_json::from_str(json.get()).map(Verbatim::Plain).map_err(E::custom);
        }
        Ok(Verbatim::Json(json))
    }

    /// The words themselves, which may have to be decoded.
    pub fn plain(&self) -> Cow<'_, str> {
        match self {
            Verbatim::Json(json) => decoded(json),
            Verbatim::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// The same, of words that are needed no more as they were.
    pub fn into_plain(self) -> Cow<'a, str> {
        match self {
            Verbatim::Json(json) => decoded(json),
            Verbatim::Plain(text) => text,
        }
    }

    /// The same words, borrowed from here.
    pub fn borrowed(&self) -> Verbatim<'_> {
        match self {
            Verbatim::Json(json) => Verbatim::Json(json),
            Verbatim::Plain(text) => Verbatim::Plain(Cow::Borrowed(text)),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Verbatim::Json(json) => inner(json).is_empty(),
            Verbatim::Plain(text) => text.is_empty(),
        }
    }

    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        match self {
            // What begins with a letter is not, and that is nearly all.
            Verbatim::Json(json) if begins_with_a_word(inner(json)) => false,
            words => words.plain().trim().is_empty(),
        }
    }

    /// Whether they may begin with that, white space aside; `false` for those that surely don't.
    pub(super) fn may_begin_with(&self, first: char) -> bool {
        match self {
            Verbatim::Json(json) => inner(json).starts_with([first, ' ', '\\']),
            Verbatim::Plain(text) => text.trim_start().starts_with(first),
        }
    }

    /// About as many bytes as they have.
    pub fn len(&self) -> usize {
        match self {
            Verbatim::Json(json) => inner(json).len(),
            Verbatim::Plain(text) => text.len(),
        }
    }
}

fn begins_with_a_word(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// What stands between the quotes.
fn inner(json: &RawValue) -> &str {
    json.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// A string that was looked at when it was read can always be decoded.
fn decoded(json: &RawValue) -> Cow<'_, str> {
    let text = inner(json);
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(serde_json::from_str(json.get()).unwrap_or_default())
}

/// Whether some escape may be half of a character beyond the 65,536 first, which has to have its other half.
fn may_have_surrogates(json: &str) -> bool {
    let json = json.as_bytes();
    CODES.find_iter(json).any(|at| matches!(json.get(at + CODE.len()), Some(b'd' | b'D')))
}

impl<'de: 'a, 'a> Deserialize<'de> for Verbatim<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if is_slow() {
            return Str::deserialize(deserializer).map(|Str(text)| Verbatim::Plain(text));
        }
        Verbatim::of(<&RawValue>::deserialize(deserializer)?)
    }
}

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Verbatim::Json(json) => json.serialize(serializer),
            Verbatim::Plain(text) => serializer.serialize_str(text),
        }
    }
}

impl Default for Verbatim<'_> {
    fn default() -> Self {
        Verbatim::Plain(Cow::Borrowed(""))
    }
}

impl PartialEq for Verbatim<'_> {
    fn eq(&self, other: &Verbatim<'_>) -> bool {
        self.plain() == other.plain()
    }
}

impl Eq for Verbatim<'_> {}

impl<'a> From<Cow<'a, str>> for Verbatim<'a> {
    fn from(text: Cow<'a, str>) -> Verbatim<'a> {
        Verbatim::Plain(text)
    }
}

impl<'a> From<&'a str> for Verbatim<'a> {
    fn from(text: &'a str) -> Verbatim<'a> {
        Verbatim::Plain(Cow::Borrowed(text))
    }
}

impl From<String> for Verbatim<'_> {
    fn from(text: String) -> Self {
        Verbatim::Plain(Cow::Owned(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::{Listed, TextOr};
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Verbatim<'_>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn words_go_on_as_they_were_written() {
        for (json, plain) in
            [(r#""""#, ""), (r#""Hi""#, "Hi"), (r#""a\/b \u00e9\n""#, "a/b é\n"), (r#""\ud83d\ude00""#, "😀")]
        {
            let words = read(json).expect(json);
            assert_eq!(words.plain(), plain);
            assert_eq!(words.is_empty(), plain.is_empty());
            assert_eq!(words.clone().into_plain(), plain);
            let written = serde_json::to_string(&words.borrowed()).expect("written");
            assert_eq!(serde_json::from_str::<String>(&written).expect("a string"), plain);
            if !json.contains("ud83d") {
                assert_eq!(written, json, "not a byte is changed");
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_and_what_is_no_string_are_refused() {
        for json in [r#""\ud800""#, r#""\uDC00 ""#, "7", "null", "[]"] {
            assert!(read(json).is_err(), "{json}");
            assert!(slowly(|| read(json)).is_err(), "{json}");
        }
    }

    #[test]
    fn blank_is_what_has_nothing_but_white_space() {
        for (json, is_blank) in
            [(r#""""#, true), (r#"" \n\u0020""#, true), (r#"" a""#, false), (r#""\u0061""#, false)]
        {
            assert_eq!(read(json).expect(json).is_blank(), is_blank, "{json}");
        }
    }

    #[test]
    fn what_surely_begins_otherwise_is_told_at_a_glance() {
        for (json, may) in [(r#""{}""#, true), (r#""\n{}""#, true), (r#"" {}""#, true), (r#""a{}""#, false)] {
            assert_eq!(read(json).expect(json).may_begin_with('{'), may, "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_string_is_the_same_unread_and_decoded(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("a string");
            let words = read(&json).expect("a string");
            prop_assert_eq!(words.plain(), text.as_str());
            prop_assert_eq!(serde_json::to_string(&words).expect("written"), json);
        }

        #[test]
        fn both_ways_of_reading_take_the_same(json in r#"(\[?"[a\\"u0d8 ]{0,8}"\]?|\[\]|\{\}|[0-9]|null)"#) {
            let is_read = || (
                read(&json).is_ok(),
                serde_json::from_str::<TextOr<'_, Vec<Str<'_>>>>(&json).is_ok(),
                serde_json::from_str::<Listed<'_, Str<'_>>>(&json).is_ok(),
            );
            prop_assert_eq!(is_read(), slowly(is_read));
        }
    }
}
