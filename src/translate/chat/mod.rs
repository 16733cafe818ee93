//! OpenAI's Chat Completions, to the hub and back.
