//! A JSON text, checked and looked into in one pass, without building it.
//!
//! Checks the whole grammar (RFC 8259) and how deeply the text nests, and finds the values of some of an object's
//! members. What is found must be what everybody else finds: escaped names are understood, and a member that is
//! there twice is a fault. Whether strings are UTF-8 is not checked here.
//!
//! Budget: 1 to 2 instructions per byte of text, 20 per escape; `cargo bench --bench parts peek` shows the time.

use std::borrow::Cow;
use std::ops::Range;

/// The deepest nesting that is passed on. Far beyond any tool schema, far below what breaks a parser's stack.
pub const MAX_DEPTH: usize = 256;

/// How many bytes of a string are looked at together.
const BLOCK: usize = 32;

/// What is wrong with a text: the end of a sentence about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It isn't JSON. Lines and columns count from 1, columns in bytes.
    #[error("is not valid JSON: expected {expected} at line {line} column {column}")]
    Syntax {
        /// What should be there.
        expected: &'static str,
        /// In which line it should be.
        line: usize,
        /// Where in this line, or behind which last byte of the text.
        column: usize,
    },
    /// It is JSON, but another value.
    #[error("must be a JSON object")]
    NotAnObject,
    /// It nests deeper than [`MAX_DEPTH`].
    #[error("nests deeper than {MAX_DEPTH} levels; flatten it")]
    TooDeep,
    /// The member is there more than once, and readers differ in which one counts.
    #[error("has a duplicate field `{0}`")]
    Duplicate(&'static str),
}

/// Where the values of these members lie in an object's text.
///
/// # Errors
/// When the text isn't an object, nests too deep, or has one of these members twice.
pub fn members<const N: usize>(
    text: &[u8],
    names: [&'static str; N],
) -> Result<[Option<Range<usize>>; N], Fault> {
    let mut scan = Scan::of(text);
    let mut found = [const { None }; N];
    let mut twice = None;
    let looked = scan.root(|scan, name, value| {
        if let Some(index) = scan.position(&names, name)?
            && found[index].replace(value).is_some()
        {
            twice = Some(names[index]);
        }
        Ok(())
    });
    match (looked, twice) {
        (Err(expected), _) => Err(scan.fault(expected)),
        (Ok(false), _) => Err(Fault::NotAnObject),
        (Ok(true), Some(name)) => Err(Fault::Duplicate(name)),
        (Ok(true), None) => Ok(found),
    }
}

/// The same of the members from the one on whose name stands at `at`, without a look at what is before them; `None`
/// unless they are the root's, or one of these names is there twice.
///
/// If the whole is JSON, that is proof enough. A quote behind a brace or comma is no escape, and if it ended a string,
/// what follows would be read inside out and end within one. And the object that ends with the text is the root.
pub fn last_members<const N: usize>(
    text: &[u8],
    at: usize,
    names: [&'static str; N],
) -> Option<[Option<Range<usize>>; N]> {
    text.get(..at)?.trim_ascii_end().last().filter(|before| b"{,".contains(before))?;
    let mut scan = Scan { text, at };
    let mut found = [const { None }; N];
    let mut is_twice = false;
    let looked = scan.members(1, |scan, name, value| {
        if let Some(index) = scan.position(&names, name)? {
            is_twice |= found[index].replace(value).is_some();
        }
        Ok(())
    });
    (looked.is_ok() && !is_twice && scan.next().is_none()).then_some(found)
}

/// The text of a value that was found, if it is a string.
pub fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let plain = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', plain).is_none() {
        return std::str::from_utf8(plain).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(value).ok().map(Cow::Owned)
}

/// A member's name: a string, quotes and all.
struct Name {
    at: Range<usize>,
    /// Whether it stands there as it is, without an escape.
    is_plain: bool,
}

/// A look through a text, from its beginning to its end.
pub(super) struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    /// From the beginning of a text.
    pub(super) fn of(text: &'t [u8]) -> Scan<'t> {
        Scan { text, at: 0 }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Passes over the byte that is there.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// The next byte that is no white space, which is passed over.
    pub(super) fn next(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes over the whole text, and says whether it is an object.
    fn root(
        &mut self,
        member: impl FnMut(&mut Self, &Name, Range<usize>) -> Result<(), Expected>,
    ) -> Result<bool, Expected> {
        let is_object = self.next() == Some(b'{');
        if is_object {
            self.object(1, member)?;
        } else {
            self.value(0)?;
        }
        if self.next().is_some() { Err(Expected::End) } else { Ok(is_object) }
    }

    /// Passes over a value inside so many others.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Expected> {
        match self.next() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.object(depth + 1, |_, _, _| Ok(())),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(Expected::Value),
        }
    }

    /// Passes over an object, and shows where each of its members has name and value.
    fn object(
        &mut self,
        depth: usize,
        member: impl FnMut(&mut Self, &Name, Range<usize>) -> Result<(), Expected>,
    ) -> Result<(), Expected> {
        self.open(depth)?;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        self.members(depth, member)
    }

    /// The same from a member on, of which the next byte should be the first.
    fn members(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, &Name, Range<usize>) -> Result<(), Expected>,
    ) -> Result<(), Expected> {
        loop {
            if self.next() != Some(b'"') {
                return Err(Expected::Name);
            }
            let name = self.at;
            let is_plain = self.string()?;
            let name = Name { at: name..self.at, is_plain };
            if self.next() != Some(b':') {
                return Err(Expected::Colon);
            }
            self.at += 1;
            self.next();
            let value = self.at;
            self.value(depth)?;
            member(self, &name, value..self.at)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(Expected::CommaOrBrace),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Expected> {
        self.open(depth)?;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(Expected::CommaOrBracket),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, depth: usize) -> Result<(), Expected> {
        self.at += 1;
        if depth > MAX_DEPTH { Err(Expected::Flatness) } else { Ok(()) }
    }

    /// Passes over a string, from quote to quote, and says whether it is plain: without an escape.
    pub(super) fn string(&mut self) -> Result<bool, Expected> {
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        // Most strings are a word, and over before a block is worth its price.
        if let Some(length) = rest.first_chunk().and_then(length_of_short) {
            self.at += length + 1;
            return Ok(true);
        }
        self.rest_of_string()
    }

    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<bool, Expected> {
        let mut is_plain = true;
        loop {
            let block = self.at;
            let rest = self.text.get(block..).unwrap_or_default();
            let mut marks = rest.first_chunk().map_or_else(|| marks_at_end(rest), marks);
            while marks != 0 {
                let offset = marks.trailing_zeros() as usize;
                self.at += offset;
                let length = match self.text.get(self.at) {
                    Some(b'"') => {
                        self.at += 1;
                        return Ok(is_plain);
                    }
                    Some(b'\\') => self.escape().ok_or(Expected::Escape)?,
                    Some(_) => return Err(Expected::Escape),
                    None => return Err(Expected::Quote),
                };
                // What is escaped marks nothing, and may lie behind the block.
                is_plain = false;
                self.at += length;
                marks >>= offset + length;
            }
            self.at = self.at.max(block + BLOCK);
        }
    }

    /// The length of the escape that stands there, if it is one.
    fn escape(&self) -> Option<usize> {
        let letter = *self.text.get(self.at + 1)?;
        if IS_SHORT_ESCAPE[usize::from(letter)] {
            return Some(r"\n".len());
        }
        let digits = self.text.get(self.at + 2..)?.first_chunk::<4>()?;
        let is_code = letter == b'u' && digits.iter().all(u8::is_ascii_hexdigit);
        is_code.then_some(r"\uXXXX".len())
    }

    pub(super) fn number(&mut self) -> Result<(), Expected> {
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    /// Passes over one of these bytes, if it is the next.
    fn take(&mut self, any_of: &[u8]) -> bool {
        let is_next = self.text.get(self.at).is_some_and(|byte| any_of.contains(byte));
        self.at += usize::from(is_next);
        is_next
    }

    fn digits(&mut self) -> Result<(), Expected> {
        let from = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == from { Err(Expected::Digit) } else { Ok(()) }
    }

    pub(super) fn word(&mut self, word: &'static [u8]) -> Result<(), Expected> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Expected::Value);
        }
        self.at += word.len();
        Ok(())
    }

    /// Which of the names it is.
    fn position(&mut self, names: &[&str], name: &Name) -> Result<Option<usize>, Expected> {
        let quoted = &self.text[name.at.clone()];
        if name.is_plain {
            let plain = &quoted[1..quoted.len() - 1];
            return Ok(names.iter().position(|known| known.as_bytes() == plain));
        }
        let Some(text) = text(quoted) else {
            self.at = name.at.start;
            return Err(Expected::Unicode);
        };
        Ok(names.iter().position(|known| *known == text))
    }

    /// What is wrong, where the scan stands.
    #[cold]
    fn fault(&self, expected: Expected) -> Fault {
        if expected == Expected::Flatness {
            return Fault::TooDeep;
        }
        let before = &self.text[..self.at.min(self.text.len().saturating_sub(1))];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Fault::Syntax { expected: expected.words(), line, column }
    }
}

/// What isn't there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Value,
    Name,
    Unicode,
    Colon,
    CommaOrBrace,
    CommaOrBracket,
    Quote,
    Escape,
    Digit,
    End,
    Flatness,
}

impl Expected {
    const fn words(self) -> &'static str {
        match self {
            Expected::Value => "a value",
            Expected::Name => "a member's name",
            Expected::Unicode => "a name of Unicode characters",
            Expected::Colon => "`:`",
            Expected::CommaOrBrace => "`,` or `}`",
            Expected::CommaOrBracket => "`,` or `]`",
            Expected::Quote => "`\"`",
            Expected::Escape => "an escape that JSON has",
            Expected::Digit => "a digit",
            Expected::End => "the end",
            Expected::Flatness => "less depth",
        }
    }
}

/// Which letters are an escape by themselves.
static IS_SHORT_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut letters: &[u8] = b"\"\\/bfnrt";
    while let [letter, rest @ ..] = letters {
        table[*letter as usize] = true;
        letters = rest;
    }
    table
};

/// The length of a string that ends within a word, behind which its quote stands, and has no escape.
fn length_of_short(word: &[u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let text = u64::from_le_bytes(*word);
    // The borrow of a byte that is below may mark the next ones too, but only the first mark counts.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7);
    let equal = |byte: u8| below(text ^ (ONES * u64::from(byte)), 1);
    let marks = below(text, b' ') | equal(b'"') | equal(b'\\');
    let first = (marks.trailing_zeros() / u8::BITS) as usize;
    (word.get(first) == Some(&b'"')).then_some(first)
}

/// Which bytes end a string or can't just stand in one, the lowest bit being the first byte.
fn marks(block: &[u8; BLOCK]) -> u64 {
    // Plain enough for the compiler to make a few vector instructions of it.
    let mut marked = [0_u8; BLOCK];
    for (mark, byte) in marked.iter_mut().zip(block) {
        *mark = if *byte < b' ' || *byte == b'"' || *byte == b'\\' { u8::MAX } else { 0 };
    }
    let words = marked.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    if words.clone().fold(0, |any, word| any | word) == 0 {
        return 0;
    }
    words.rev().fold(0, |bits, word| bits << 8 | one_bit_each(word))
}

/// The same of less than a block; what is behind the text is marked.
#[cold]
fn marks_at_end(text: &[u8]) -> u64 {
    let mut padded = [0; BLOCK];
    padded[..text.len()].copy_from_slice(text);
    marks(&padded)
}

/// Of eight bytes that are all ones or all zeros, one bit each: the product's highest byte adds up a different bit
/// of each of them.
fn one_bit_each(word: u64) -> u64 {
    (word & 0x8040_2010_0804_0201).wrapping_mul(0x0101_0101_0101_0101) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde::{Deserialize, Deserializer};
    use serde_json::Value;
    use serde_json::value::RawValue;

    const NAMES: [&str; 2] = ["model", "n"];

    /// The same, as serde_json finds it.
    #[derive(Deserialize)]
    struct Reference<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        model: Option<&'a RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        n: Option<&'a RawValue>,
    }

    fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
        <&RawValue>::deserialize(from).map(Some)
    }

    /// What is found of [`NAMES`], ours before serde_json's; `None` where the text is refused.
    fn both(text: &str) -> [Option<[Option<Range<usize>>; 2]>; 2] {
        let start = |part: &RawValue| part.get().as_ptr() as usize - text.as_ptr() as usize;
        let span = |part: &RawValue| start(part)..start(part) + part.get().len();
        let reference: Option<Reference<'_>> = serde_json::from_str(text).ok();
        let reference = reference.filter(|_| text.trim_start().starts_with('{'));
        let reference = reference.map(|found| [found.model.map(span), found.n.map(span)]);
        [members(text.as_bytes(), NAMES).ok(), reference]
    }

    fn fault(text: &str) -> String {
        members(text.as_bytes(), NAMES).expect_err("refused").to_string()
    }

    fn nested(depth: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    }

    #[test]
    fn the_values_are_found_wherever_they_stand() {
        let text = r#" {"a":{"model":1}, "mod\u0065l" : "x\"}" ,"n":-0.5e+1 } "#;
        let [model, n] = members(text.as_bytes(), NAMES).expect("JSON");
        assert_eq!(model.map(|at| &text[at]), Some(r#""x\"}""#));
        assert_eq!(n.map(|at| &text[at]), Some("-0.5e+1"));
        assert_eq!(members(b"{}", NAMES), Ok([None, None]));
    }

    #[test]
    fn the_last_members_are_the_roots() {
        let last = |text: &str, at| last_members(text.as_bytes(), at, NAMES);
        let text = r#"{"a":{"n":1},"n":2,"model":[{}]}"#;
        assert_eq!(last(text, 13), Some([Some(27..31), Some(17..18)]));
        assert_eq!(last(text, 6), None, "a nested one");
        assert_eq!(last(r#"["n"]"#, 1), None, "no name");
        assert_eq!(last(r#"{"a":",\"n\":1"}"#, 8), None, "in a string");
        assert_eq!(last(r#"{"n":1,"\u006e":2}"#, 1), None, "twice");
        assert_eq!(last(r#"{"{":":" , ",":1}"#, 3), None, "read inside out");
        assert_eq!(last(r#"{"n":1} {}"#, 1), None, "something behind");
        assert_eq!(last(r#""n":1}"#, 0), None, "nothing before");
        assert_eq!(last("{", 2), None, "outside");
    }

    #[test]
    fn a_string_ends_at_its_quote_whatever_its_length() {
        for length in 0..3 * BLOCK {
            for end in ["", r#"\""#, r"\\", r"\u00e9", "é"] {
                let text = format!(r#"{{"model":"{}{end}","n":1}}"#, "x".repeat(length));
                let [ours, reference] = both(&text);
                assert!(ours.is_some());
                assert_eq!(ours, reference, "{text}");
                let [ours, reference] = both(&text[..text.len() - r#"","n":1}"#.len()]);
                assert_eq!((ours, reference), (None, None), "{text}, cut");
            }
        }
    }

    #[test]
    fn the_deepest_nesting_is_allowed_and_one_more_is_not() {
        assert!(members(nested(MAX_DEPTH).as_bytes(), NAMES).is_ok());
        assert_eq!(members(nested(MAX_DEPTH + 1).as_bytes(), NAMES), Err(Fault::TooDeep));
        let brackets = format!(r#"{{"a\\\"{}": "\\", "b": "{}"}}"#, "[".repeat(300), "{".repeat(300));
        assert!(members(brackets.as_bytes(), NAMES).is_ok(), "in strings they are text");
        assert_eq!(members("[".repeat(100_000).as_bytes(), NAMES), Err(Fault::TooDeep));
    }

    #[test]
    fn a_fault_says_what_is_missing_and_where() {
        for (text, words) in [
            ("", "expected a value at line 1 column 1"),
            ("{\n  \"model\" 1}", "expected `:` at line 2 column 11"),
            (r#"{"model":"m""#, "expected `,` or `}` at line 1 column 12"),
            (r#"{"a":[1 2]}"#, "expected `,` or `]` at line 1 column 9"),
            (r#"{"a":1,}"#, "expected a member's name at line 1 column 8"),
            (r#"{"a":01}"#, "expected `,` or `}` at line 1 column 7"),
            (r#"{"a":1.}"#, "expected a digit at line 1 column 8"),
            (r#"{"a":"\x"}"#, "expected an escape that JSON has at line 1 column 7"),
            ("{\"a\":\"\t\"}", "expected an escape that JSON has at line 1 column 7"),
            (r#"{"a":"b"#, "expected `\"` at line 1 column 7"),
            ("{} {}", "expected the end at line 1 column 4"),
            (r#"{"\ud800":1}"#, "expected a name of Unicode characters at line 1 column 2"),
            ("[]", "must be a JSON object"),
            (r#"{"n":1,"\u006e":2}"#, "duplicate field `n`"),
        ] {
            assert!(fault(text).ends_with(words), "{text}: {}", fault(text));
        }
    }

    /// A piece of JSON, whole or not.
    fn token() -> impl Strategy<Value = String> + Clone {
        "[\\[\\]{}:,\"\\\\ \\n\u{7f}\u{1f}é01-]|\"model\"|\"n\"|\"n\":1|\\\\u00e9|\\\\\"|null|tru|true|1\\.5|e9|a{31}"
    }

    /// An object, compact or pretty, whose members have the names that are looked for, perhaps twice.
    fn object() -> impl Strategy<Value = String> + Clone {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,70}".prop_map(Value::from),
            "[\"\\\\\n\u{0}/a]{0,40}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 24, 6, |inner| {
            let members = vec(("model|n|\\PC{0,9}", inner.clone()), 0..6);
            prop_oneof![
                vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| members.into_iter().collect())
            ]
        });
        let member = (r#""model"|"n"|"\\u006e"|"x""#, value);
        (vec(member, 0..4), any::<bool>()).prop_map(|(members, is_pretty)| {
            let shown = |(name, value): &(String, Value)| {
                if is_pretty { format!("{name}:\n{value:#}") } else { format!("{name}:{value}") }
            };
            format!("{{{}}}", members.iter().map(shown).collect::<Vec<_>>().join(","))
        })
    }

    /// A JSON text, or nearly one: tokens in a row, and objects with something cut out and something put in.
    fn text() -> impl Strategy<Value = String> {
        let changed = (object(), any::<Index>(), 0_usize..3, token()).prop_map(|(text, at, cut, put)| {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            chars.splice(at..(at + cut).min(chars.len()), put.chars());
            chars.into_iter().collect()
        });
        prop_oneof![vec(token(), 0..12).prop_map(|tokens| tokens.concat()), object(), changed]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn serde_json_takes_and_finds_the_same(text in text()) {
            let [ours, reference] = both(&text);
            prop_assert_eq!(ours, reference, "{}", text);
        }

        #[test]
        fn what_is_found_from_a_name_on_is_found_from_the_beginning(text in object()) {
            let Ok(all) = members(text.as_bytes(), NAMES) else { return Ok(()) };
            for (at, _) in text.match_indices('"') {
                for (last, all) in last_members(text.as_bytes(), at, NAMES).iter().flatten().zip(&all) {
                    prop_assert!(last.is_none() || last == all, "{}, from {}", text, at);
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(text in vec(any::<u8>(), 0..100)) {
            let _ = members(&text, NAMES);
            let _ = last_members(&text, text.len() / 2, NAMES);
            let _ = members(&[b"{\"model\":\"", &text[..]].concat(), NAMES);
        }
    }
}
