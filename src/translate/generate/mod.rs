//! Gemini's `generateContent`, to the hub and back.
