//! Dialects on the wire: what a body says about itself, how its usage is read, how our errors look in it.
//!
//! Bytes in, bytes out. Nothing here reads a socket, a clock or a setting, and nothing knows which
//! provider or client a body belongs to. Requests and answers of one dialect pass byte for byte; this room
//! only looks into them, and makes the two edits that DECISIONS allows (the model's name, and
//! `stream_options.include_usage`).

mod answers;
pub mod decoding;
pub mod edit;
pub mod error;
pub mod frames;
pub mod json;
pub mod model_list;
pub mod multipart;
pub mod peek;
pub mod prefill;
pub mod signs;
pub mod text;
pub mod usage;
