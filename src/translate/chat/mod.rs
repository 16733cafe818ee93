//! OpenAI's Chat Completions, to the hub and back: the client's words, and those of OpenAI and of all who imitate it.
//!
//! [`read`] and [`write()`] are the request's two directions, [`read_answer`] and [`write_answer`] those of a whole
//! answer, [`Decoder`] and [`Encoder`] those of a stream. What imitators get wrong is understood where it can mean one
//! thing only; what goes out is what OpenAI's reference has. Must not know any other dialect, nor who the provider is
//! but for the name of its model.
//!
//! Source of all that is said about the dialect here: OpenAI's API reference, "Chat Completions".

mod answer;
mod conversation;
mod decoder;
mod encoder;
mod families;
mod finish;
mod message;
mod read;
mod render;
mod usage;
mod wire;
mod write;

use super::openai::NAMES;

pub use answer::{read_answer, write_answer};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use read::read;
pub use write::write;

#[cfg(test)]
mod tests;
