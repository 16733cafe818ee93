//! Changes to an input that leave most of its JSON whole: values, members and frames are moved, doubled, left out,
//! renamed. Changed bytes alone hardly ever come past a parser.

use crate::input::HEAD;
use crate::spans::{self, Kind, Span};
use libfuzzer_sys::fuzzer_mutate;
use std::ops::Range;
use std::sync::LazyLock;

/// Names and values of all dialects, one a line in libFuzzer's own form.
const DICTIONARY: &str = include_str!("../dictionary.txt");

static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| DICTIONARY.lines().map(|line| line.trim_matches('"')).collect());

/// Values that few expect.
const ODD: [&str; 36] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1e2",
    "0.1e-400",
    "1e400",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "\"\"",
    "\" \"",
    "\"1\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud83d\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{feff}é😀\u{2028}\"",
    "\"\\\\\\\"\\n\\r\\t\"",
    "\"data: [DONE]\\n\\n\"",
    "\"data:image/png;base64,iVBORw0KGgo=\"",
    "\"data:,x\"",
    "\"https://example.com/a.png\"",
    "\"{\\\"a\\\":1}\"",
    "\"{\\\"a\\\":\"",
    "{}",
    "[]",
    "[null]",
    "{\"\":{}}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}}}",
];

/// How deep a value is put at most.
const MAX_DEPTH: usize = 300;

/// Changes the first `size` bytes; gives the new length, at most `max_size`. The same seed makes the same change.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) ^ 0x9e37_79b9_7f4a_7c15);
    // What the engine learns of comparisons it puts in by itself.
    if size <= HEAD || dice.below(4) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    if dice.below(16) == 0 {
        let at = dice.below(HEAD);
        data[at] = dice.next() as u8;
        return size;
    }
    let mut text = data[HEAD..size].to_vec();
    for _ in 0..=dice.below(3) {
        text = changed(&text, &mut dice, max_size.saturating_sub(HEAD));
    }
    let size = (HEAD + text.len()).min(max_size).min(data.len());
    data[HEAD..size].copy_from_slice(&text[..size - HEAD]);
    size
}

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_of<'o, T>(&mut self, of: &'o [T]) -> Option<&'o T> {
        if of.is_empty() { None } else { of.get(self.below(of.len())) }
    }

    /// A span of those that will do.
    fn span(&mut self, spans: &[Span], will_do: impl Fn(&Span) -> bool) -> Option<Range<usize>> {
        for _ in 0..8 {
            let span = self.one_of(spans)?;
            if will_do(span) {
                return Some(span.at.clone());
            }
        }
        None
    }

    /// A word of the dictionary.
    fn word(&mut self) -> &'static str {
        self.one_of(&WORDS).copied().unwrap_or_default()
    }
}

/// The text with another in that place.
fn put(text: &[u8], at: Range<usize>, other: &[u8]) -> Vec<u8> {
    [&text[..at.start], other, &text[at.end..]].concat()
}

/// The text with one change; the same where there is no place for it.
fn changed(text: &[u8], dice: &mut Dice, max_size: usize) -> Vec<u8> {
    let spans = spans::of(text);
    let value = |span: &Span| span.is_value();
    let made = match dice.below(13) {
        0 | 1 => dice
            .span(&spans, value)
            .map(|at| put(text, at, dice.one_of(&ODD).map_or(b"", |odd| odd.as_bytes()))),
        2 => dice.span(&spans, value).map(|at| put(text, at, format!("\"{}\"", dice.word()).as_bytes())),
        3 => dice
            .span(&spans, |span| span.kind == Kind::Name)
            .map(|at| put(text, at, format!("\"{}\"", dice.word()).as_bytes())),
        4 => dice.span(&spans, value).and_then(|at| {
            let other = dice.span(&spans, value)?;
            Some(put(text, at, &text[other]))
        }),
        5 => dice.span(&spans, Span::is_one_of_many).map(|at| put(text, with_comma(text, at), b"")),
        6 => dice.span(&spans, Span::is_one_of_many).map(|at| doubled(text, at, 1 + dice.below(2))),
        7 => dice.span(&spans, Span::is_one_of_many).map(|at| {
            let most = max_size.saturating_sub(text.len()) / (at.len() + 1);
            let usual = 1 << dice.below(12);
            let times = dice.below(most.min(usual));
            doubled(text, at, times)
        }),
        8 => dice.span(&spans, |span| span.kind == Kind::Container).map(|at| {
            let name = dice.word();
            let value = dice.one_of(&ODD).copied().unwrap_or_default();
            let more =
                if text[at.start] == b'{' { format!("\"{name}\":{value},") } else { format!("{value},") };
            put(text, at.start + 1..at.start + 1, more.as_bytes())
        }),
        9 => dice.span(&spans, value).map(|at| {
            let most = if dice.below(8) == 0 { MAX_DEPTH } else { 2 };
            let depth = 1 + dice.below(most);
            let (open, close) = if dice.below(2) == 0 { ("[", "]") } else { ("{\"a\":", "}") };
            let deep =
                [open.repeat(depth).as_bytes(), &text[at.clone()], close.repeat(depth).as_bytes()].concat();
            put(text, at, &deep)
        }),
        10 => dice.span(&spans, |span| span.kind == Kind::Frame).and_then(|at| {
            let to = dice.span(&spans, |span| span.kind == Kind::Frame)?;
            Some(put(text, to.start..to.start, &text[at]))
        }),
        11 => dice.span(&spans, |span| span.kind == Kind::Text && span.at.len() > 2).map(|at| {
            let inner = at.start + 1 + dice.below(at.len() - 1);
            let odd = dice.one_of(&["\\u00e9", "\\ud800", "é", "\\n", " ", "\\\"", ".", "😀", "\\u0000"]);
            put(text, inner..inner, odd.map_or(b"", |odd| odd.as_bytes()))
        }),
        _ => {
            let end = dice.below(text.len() + 1);
            Some(text[..end].to_vec())
        }
    };
    made.filter(|made| made.len() <= max_size).unwrap_or_else(|| text.to_vec())
}

/// A range with the comma that parts it from its neighbours.
fn with_comma(text: &[u8], at: Range<usize>) -> Range<usize> {
    if text.get(at.end) == Some(&b',') {
        at.start..at.end + 1
    } else if at.start > 0 && text[at.start - 1] == b',' {
        at.start - 1..at.end
    } else {
        at
    }
}

/// The text with that part so many times more.
fn doubled(text: &[u8], at: Range<usize>, times: usize) -> Vec<u8> {
    let is_frame = text[at.clone()].ends_with(b"\n\n");
    let mut more = Vec::new();
    for _ in 0..times {
        more.extend_from_slice(if is_frame { b"" } else { b"," });
        more.extend_from_slice(&text[at.clone()]);
    }
    put(text, at.end..at.end, &more)
}
