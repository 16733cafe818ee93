//! A JSON text, checked and looked into in one pass, without building it.
//!
//! Checks the whole grammar (RFC 8259) and how deeply the text nests, and finds the values of some of an object's
//! members. What is found must be what everybody else finds: escaped names are understood, and a member that is
//! there twice is a fault. Whether strings are UTF-8 is not checked here.
//!
//! Budget: 1 to 2 instructions per byte of text, 20 per escape; `cargo bench --bench parts peek` shows the time.

mod fault;
mod marks;
#[cfg(test)]
mod tests;

pub(super) use self::fault::Expected;
pub use self::fault::Fault;
use self::marks::{BLOCK, IS_SHORT_ESCAPE, length_of_short, marks, padded_block};
use std::borrow::Cow;
use std::ops::Range;

/// The deepest nesting that is passed on. Far beyond any tool schema, far below what breaks a parser's stack.
pub const MAX_DEPTH: usize = 256;

/// Where the values of these members lie in an object's text.
///
/// # Errors
/// When the text isn't an object, nests too deep, or has one of these members twice.
pub fn members<const N: usize>(
    text: &[u8],
    names: [&'static str; N],
) -> Result<[Option<Range<usize>>; N], Fault> {
    outline(text, names).map(|outline| outline.members)
}

/// What an object is made of, as far as anybody asks.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline<const N: usize> {
    /// Where the members that were asked for have their values.
    pub members: [Option<Range<usize>>; N],
    /// Where the longest member has its value, whatever its name.
    pub longest: Range<usize>,
}

/// The same, and where its longest member has its value.
///
/// # Errors
/// The same.
pub fn outline<const N: usize>(text: &[u8], names: [&'static str; N]) -> Result<Outline<N>, Fault> {
    let mut scan = Scan::of(text);
    let mut found = [const { None }; N];
    let mut twice = None;
    let mut longest = 0..0;
    let looked = scan.root(|scan, name, value| {
        if value.len() > longest.len() {
            longest = value.clone();
        }
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
        (Ok(true), None) => Ok(Outline { members: found, longest }),
    }
}

/// The values of these members of an object that was looked through before, without another look into the value that is
/// known to lie there, its longest ([`outline`]); the last one of each name.
pub fn members_beside<const N: usize>(
    text: &[u8],
    known: &Range<usize>,
    names: [&'static str; N],
) -> [Option<Range<usize>>; N] {
    let mut scan = Scan::of(text);
    let mut found = [const { None }; N];
    if scan.next() != Some(b'{') {
        return found;
    }
    scan.skip();
    let value = |scan: &mut Scan<'_>, depth| {
        if scan.at != known.start {
            return scan.value(depth);
        }
        scan.at = known.end;
        Ok(())
    };
    // An object without members has nothing to be found.
    let _ = scan.members(1, value, |scan, name, value| {
        if let Some(index) = scan.position(&names, name)? {
            found[index] = Some(value);
        }
        Ok(())
    });
    found
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
    let looked = scan.members(1, Scan::value, |scan, name, value| {
        if let Some(index) = scan.position(&names, name)? {
            is_twice |= found[index].replace(value).is_some();
        }
        Ok(())
    });
    (looked.is_ok() && !is_twice && scan.next().is_none()).then_some(found)
}

/// Where the value of a member lies that is in the beginning of an object's text, whatever follows.
pub fn early_member(text: &[u8], name: &str) -> Option<Range<usize>> {
    let mut scan = Scan::of(text);
    let mut found = None;
    // It is over where the member is found, or where the text breaks off.
    let _ = scan.root(|scan, member, value| match scan.position(&[name], member)? {
        None => Ok(()),
        Some(_) => {
            found = Some(value);
            Err(Expected::End)
        }
    });
    found
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
        self.members(depth, Self::value, member)
    }

    /// The same from a member on, of which the next byte should be the first; what passes over the values is given.
    fn members(
        &mut self,
        depth: usize,
        mut pass: impl FnMut(&mut Self, usize) -> Result<(), Expected>,
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
            pass(self, depth)?;
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
        'blocks: loop {
            let begin = self.at;
            let rest = self.text.get(begin..).unwrap_or_default();
            let padded;
            let block = match rest.first_chunk() {
                Some(block) => block,
                None => {
                    padded = padded_block(rest);
                    &padded
                }
            };
            let mut marks = marks(block);
            while marks != 0 {
                let offset = marks.trailing_zeros() as usize % BLOCK;
                match (block[offset], block.get(offset + 1)) {
                    (b'"', _) => {
                        self.at = begin + offset + 1;
                        return Ok(is_plain);
                    }
                    // A letter that is escaped marks nothing.
                    (b'\\', Some(letter)) if IS_SHORT_ESCAPE[usize::from(*letter)] => {
                        marks &= !(0b11 << offset);
                        is_plain = false;
                    }
                    _ => {
                        self.at = begin + offset;
                        self.at += self.escape()?;
                        is_plain = false;
                        continue 'blocks;
                    }
                }
            }
            self.at = begin + BLOCK;
        }
    }

    /// The length of the escape that stands there.
    fn escape(&self) -> Result<usize, Expected> {
        match self.text.get(self.at) {
            Some(b'\\') => self.length_of_escape().ok_or(Expected::Escape),
            Some(_) => Err(Expected::Escape),
            None => Err(Expected::Quote),
        }
    }

    fn length_of_escape(&self) -> Option<usize> {
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
