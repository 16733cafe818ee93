//! Anthropic's Messages, to the hub and back.
//!
//! Decides what each word of this API means to others and how others' words are said in it. Must not know any other
//! dialect, nor who asks or serves. Requests: [`read`] and [`write()`]; whole answers: [`read_answer`] and
//! [`write_answer`]; streams: [`Decoder`] and [`Encoder`].
//!
//! Source of all outside rules: Anthropic's API reference of Messages, version 2023-06-01, and the types of its SDK 2.12.

mod answer;
mod answer_tool;
mod blocks;
mod conversation;
mod decoder;
mod encoder;
mod foreign_thoughts;
mod ids;
mod incoming;
mod models;
mod outgoing;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod thinking;
mod unthought_loop;
mod words;
mod write;

use super::names::Rule;

pub use answer::{drop_cut_call, read_answer, write_answer};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use foreign_thoughts::{wants_signatures, without_foreign};
pub use read::read;
pub use unthought_loop::without_budget;
pub use write::{write, write_count};

/// What names of tools can be sent. Source: Anthropic's reference of `tools` (`^[a-zA-Z0-9_-]{1,64}$`).
const NAMES: Rule = Rule { marks: b"", begins_with_letter: false };
