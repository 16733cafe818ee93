//! Gemini's `generateContent` and `streamGenerateContent`, to the hub and back: a client's requests and a provider's
//! answers are read, a provider's requests and a client's answers written.
//!
//! Knows Gemini's words and the hub's, and no other dialect. Budget: 15 µs for a request of 2 KB read and written, 2 µs
//! for an event of a stream.

mod answer;
mod base64;
mod calls;
mod config;
mod decoder;
mod encoder;
mod finish;
mod media;
mod members;
mod models;
mod names;
mod openapi;
mod parts;
mod read;
mod said;
mod schema;
mod signature;
mod tools;
mod wire;
mod write;

pub use answer::{read_answer, write_answer};
pub use decoder::Decoder;
pub use encoder::{Encoder, MAX_ARGUMENTS};
pub use read::read;
pub use write::write;
