//! OpenAI's Responses API, as clients speak it.
//!
//! Only this side is translated: a provider that has the API is asked in it, and what it says is passed on byte for
//! byte. So requests are read here and answers are written, and neither the other way; but for requests whose tokens are
//! to be counted, which the vendor does in this API alone.
//!
//! Nothing is stored: an answer says `store: false`, and a request that refers to an earlier one is noted as
//! [`super::features::Feature::StoredConversation`], which no translation can serve.
//!
//! Source of every shape: OpenAI's API reference, "Responses", and the types of its Python SDK 3.54.

mod answer;
mod content;
mod counted;
mod echo;
mod fault;
mod foreign_thoughts;
mod frames;
mod input;
mod items;
mod read;
mod response;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use super::openai::NAMES;

pub use answer::write_answer;
pub use counted::write_count;
pub use fault::{error_event, number_of};
pub use foreign_thoughts::without_foreign;
pub use read::read;
pub use stream::{Encoder, MAX_KEPT};
