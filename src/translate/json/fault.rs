//! What is wrong with a JSON text, in words.

use super::MAX_DEPTH;

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

/// What isn't there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Expected {
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
    pub(super) const fn words(self) -> &'static str {
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
