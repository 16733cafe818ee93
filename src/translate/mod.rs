//! Dialects on the wire: what a body says about itself, how its usage is read, how our errors look in it.
//!
//! Bytes in, bytes out. Nothing here reads a socket, a clock or a setting, and nothing knows which
//! provider or client a body belongs to. Requests and answers of one dialect pass byte for byte; of those this room only
//! looks into, and makes the edits that DECISIONS allows: the model's name, `stream_options.include_usage`, and what a vendor would
//! refuse of [`foreign_thoughts`]. What only its maker has is known by its [`references`].
//!
//! Between dialects it translates, hub and spoke: [`chat`], [`responses`], [`messages`] and [`generate`] each read and
//! write their own words, and meet in [`canonical`]. What isn't a conversation has a room of its own: [`embeddings`].

mod answers;
mod arguments;
pub mod canonical;
pub mod chat;
mod choice;
pub mod count;
mod cuts;
pub mod decoding;
mod disguise;
pub mod edit;
mod elements;
pub mod embeddings;
pub mod error;
pub mod event_stream;
pub mod features;
mod field;
pub mod foreign_thoughts;
pub mod frames;
pub mod generate;
pub mod hosted;
pub mod json;
mod media;
mod members;
pub mod messages;
pub mod model_list;
pub mod multipart;
mod names;
mod openai;
pub mod peek;
mod pieces;
pub mod places;
pub mod prefill;
pub mod question;
mod ranges;
mod reader;
pub mod references;
pub mod responses;
mod room;
mod schemas;
pub mod sides;
mod signature;
pub mod signs;
pub mod spoilt;
pub mod text;
pub mod translation;
mod unknown;
pub mod usage;
pub mod verbatim;
