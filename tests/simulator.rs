//! The simulator keeps its own promises: what every other test rests on.

mod anthropic;
mod bends;
mod conduct;
mod faults;
mod features;
mod gemini;
mod openai;
mod quirks;
mod refusals;
mod wire;
