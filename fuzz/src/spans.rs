//! Where the values, members and frames of a text lie, as far as it looks like JSON or a stream of it.
//!
//! Forgiving: what isn't JSON has fewer spans, and that is all.

use std::ops::Range;

/// The most that is looked at.
const MOST: usize = 2_048;

/// What stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name of a member, quotes included.
    Name,
    /// A string, quotes included.
    Text,
    /// A number or a word.
    Scalar,
    /// An object or a list.
    Container,
    /// A name with its value.
    Member,
    /// Lines up to an empty one.
    Frame,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub at: Range<usize>,
}

impl Span {
    /// Whether it may stand where a value stands.
    pub fn is_value(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Scalar | Kind::Container)
    }

    /// Whether it may be there twice, or not at all.
    pub fn is_one_of_many(&self) -> bool {
        self.kind != Kind::Name
    }
}

/// All spans of a text, inner ones before outer ones.
pub fn of(text: &[u8]) -> Vec<Span> {
    let mut look = Look { text, spans: Vec::new(), open: Vec::new(), name: None };
    look.values();
    look.frames();
    look.spans
}

/// How deep the brackets of a text nest at most.
pub fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

struct Look<'t> {
    text: &'t [u8],
    spans: Vec<Span>,
    /// Where the containers that are open begin, and the name that each is the value of.
    open: Vec<(usize, Option<usize>)>,
    /// Where the name begins whose value comes next.
    name: Option<usize>,
}

impl Look<'_> {
    fn values(&mut self) {
        let mut at = 0;
        while at < self.text.len() && self.spans.len() < MOST {
            match self.text[at] {
                b'"' => at = self.string(at),
                b'{' | b'[' => {
                    self.open.push((at, self.name.take()));
                    at += 1;
                }
                b'}' | b']' => {
                    at += 1;
                    if let Some((start, name)) = self.open.pop() {
                        self.name = name;
                        self.value(Kind::Container, start..at);
                    }
                }
                byte if is_of_scalar(byte) => {
                    let length = self.text[at..].iter().take_while(|byte| is_of_scalar(**byte)).count();
                    self.value(Kind::Scalar, at..at + length);
                    at += length;
                }
                _ => at += 1,
            }
        }
    }

    /// A string that begins there; gives its end.
    fn string(&mut self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let end = (at + 1).min(self.text.len());
        if self.text[end..].trim_ascii_start().first() == Some(&b':') {
            self.spans.push(Span { kind: Kind::Name, at: start..end });
            self.name = Some(start);
        } else {
            self.value(Kind::Text, start..end);
        }
        end
    }

    fn value(&mut self, kind: Kind, at: Range<usize>) {
        if let Some(name) = self.name.take() {
            self.spans.push(Span { kind: Kind::Member, at: name..at.end });
        }
        self.spans.push(Span { kind, at });
    }

    fn frames(&mut self) {
        let mut start = 0;
        while let Some(length) = self.text[start..].windows(2).position(|pair| pair == b"\n\n") {
            if self.spans.len() >= 2 * MOST {
                break;
            }
            let end = start + length + 2;
            self.spans.push(Span { kind: Kind::Frame, at: start..end });
            start = end;
        }
    }
}

fn is_of_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)
}
