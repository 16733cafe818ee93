//! OpenAI's Responses, to the hub and back.
