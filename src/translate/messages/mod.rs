//! Anthropic's Messages, to the hub and back.
