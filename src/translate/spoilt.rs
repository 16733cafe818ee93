//! Answers that can't be given on: whose fault that is, and what is wrong with them.
//!
//! Who asks again, and whom that is held against, is not decided here.

/// Who spoilt an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoilt {
    /// The provider: it isn't what its dialect has, or a piece of it is lost.
    #[error("the provider's answer is broken: {0}")]
    ByProvider(&'static str),
    /// The model: it came whole and as its dialect has it, and says what nobody can act on. Models err by chance, so that
    /// the next answer may well be a good one.
    #[error("{0}")]
    ByModel(&'static str),
}

impl Spoilt {
    /// Something else than an answer.
    pub const FOREIGN: Spoilt = Spoilt::ByProvider("it is none of its dialect");
    /// A stream in which a piece of a call can't be read, or isn't where it belongs.
    pub const TORN: Spoilt = Spoilt::ByProvider("a piece of a call is lost");
    /// A call of no tool, or with arguments that are none.
    pub const BAD_CALL: Spoilt = Spoilt::ByModel("it called a tool as nobody can");
}
