//! Whether a frame of a stream brings some of the answer, or only says that one will come.
//!
//! Streams open with frames that say nothing yet (OpenAI's role chunk, `response.created`, Anthropic's
//! `message_start`, pings), and a model may think long before the next. A few substring searches tell the
//! two apart, without parsing: a frame that quotes such words in a text of its own has content anyway.

use crate::domain::Dialect;
use memchr::memmem;

/// What occurs only in frames with content, text, thought or tool call alike, or in those that end one.
const fn marks(dialect: Dialect) -> &'static [&'static [u8]] {
    match dialect {
        Dialect::OpenAi => &[
            // Chat and legacy completions
            b"\"tool_calls\"",
            b"\"reasoning",
            b"\"text\":",
            b"\"finish_reason\":\"",
            b"\"finish_reason\": \"",
            // Responses
            b".delta\"",
            b".done\"",
            b"response.completed",
            b"response.incomplete",
            b"response.failed",
        ],
        Dialect::Anthropic => &[b"content_block_delta", b"message_delta", b"message_stop"],
        Dialect::Gemini => &[b"\"parts\"", b"\"finishReason\"", b"\"promptFeedback\""],
    }
}

/// Chat's `content`, which is also there while it is empty.
const CHAT_CONTENT: &[u8] = b"\"content\":";

/// Whether the frame has content.
pub fn has_content(dialect: Dialect, frame: &[u8]) -> bool {
    marks(dialect).iter().any(|mark| memmem::find(frame, mark).is_some())
        || (dialect == Dialect::OpenAi && has_chat_content(frame))
}

fn has_chat_content(frame: &[u8]) -> bool {
    memmem::find_iter(frame, CHAT_CONTENT).any(|at| {
        let value = frame[at + CHAT_CONTENT.len()..].trim_ascii_start();
        !value.starts_with(b"\"\"") && !value.starts_with(b"null") && !value.starts_with(b"[]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_and_pings_have_no_content() {
        for (dialect, frame) in [
            (
                Dialect::OpenAi,
                r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}"#,
            ),
            (
                Dialect::OpenAi,
                r#"data: {"choices":[{"delta":{"role":"assistant","content": null},"finish_reason":null}]}"#,
            ),
            (Dialect::OpenAi, r#"data: {"type":"response.created","response":{"output":[]}}"#),
            (Dialect::OpenAi, ": keep-alive"),
            (Dialect::Anthropic, r#"data: {"type":"message_start","message":{"content":[]}}"#),
            (
                Dialect::Anthropic,
                r#"data: {"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
            ),
            (Dialect::Anthropic, r#"data: {"type": "ping"}"#),
            (Dialect::Gemini, r#"data: {"usageMetadata":{"promptTokenCount":1}}"#),
        ] {
            assert!(!has_content(dialect, frame.as_bytes()), "{frame}");
        }
    }

    #[test]
    fn text_thought_tools_and_ends_have() {
        for (dialect, frame) in [
            (Dialect::OpenAi, r#"data: {"choices":[{"delta":{"content":"a"}}]}"#),
            (Dialect::OpenAi, r#"data: {"choices":[{"delta":{"reasoning_content":"a"}}]}"#),
            (Dialect::OpenAi, r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#),
            (Dialect::OpenAi, r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#),
            (Dialect::OpenAi, r#"data: {"type":"response.output_text.delta","delta":"a"}"#),
            (Dialect::OpenAi, r#"data: {"choices":[{"text":"a"}]}"#),
            (Dialect::Anthropic, r#"data: {"type":"content_block_delta","delta":{"type":"thinking_delta"}}"#),
            (Dialect::Gemini, r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#),
            (Dialect::Gemini, r#"data: {"candidates":[{"finishReason":"SAFETY"}]}"#),
        ] {
            assert!(has_content(dialect, frame.as_bytes()), "{frame}");
        }
    }
}
