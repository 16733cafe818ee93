//! The simulator keeps its own promises: what every other test rests on.

mod anthropic;
mod conduct;
mod gemini;
mod openai;
mod wire;
