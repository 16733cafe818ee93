//! Why Gemini stopped, and what it took, both ways.
//!
//! Sources: Gemini API reference, `FinishReason` and `UsageMetadata`; the types of Google's SDK 3.4.

use crate::domain::TokenUsage;
use crate::translate::canonical::Finish;
use serde::Serialize;

/// Gemini's reasons that are neither the usual end nor a word that isn't known, which is taken for it.
const REASONS: [(&str, Finish<'static>); 17] = [
    ("MAX_TOKENS", Finish::Length),
    ("CONTINUATION", Finish::Length),
    ("SAFETY", Finish::ContentFilter),
    ("RECITATION", Finish::ContentFilter),
    ("LANGUAGE", Finish::ContentFilter),
    ("BLOCKLIST", Finish::ContentFilter),
    ("PROHIBITED_CONTENT", Finish::ContentFilter),
    ("SPII", Finish::ContentFilter),
    ("MODEL_ARMOR", Finish::ContentFilter),
    ("IMAGE_SAFETY", Finish::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", Finish::ContentFilter),
    ("IMAGE_RECITATION", Finish::ContentFilter),
    ("ESCALATION", Finish::ContentFilter),
    ("PUP_LIMITED_DISABLED", Finish::ContentFilter),
    ("OTHER", Finish::Stop),
    ("MALFORMED_FUNCTION_CALL", Finish::Stop),
    ("STOP", Finish::Stop),
];

/// What Gemini says where a call's arguments are no JSON object.
pub(super) const MALFORMED: &str = "MALFORMED_FUNCTION_CALL";

/// What is meant by a reason. A model that has called says that it has said all, and waits.
pub(super) fn read(reason: &str, has_called: bool) -> Finish<'static> {
    let known = REASONS.iter().find(|(name, _)| *name == reason);
    match known.map_or(Finish::Stop, |(_, finish)| finish.clone()) {
        Finish::Stop if has_called => Finish::ToolCalls,
        finish => finish,
    }
}

/// Gemini's reason.
pub(super) fn name(finish: &Finish<'_>) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

/// `UsageMetadata`: the prompt with what was cached, the answer without thoughts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<TokenUsage> for Usage {
    fn from(usage: TokenUsage) -> Usage {
        Usage {
            prompt_token_count: usage.input_total(),
            candidates_token_count: usage.output.saturating_sub(usage.reasoning),
            total_token_count: usage.total(),
            cached_content_token_count: usage.cache_read,
            thoughts_token_count: usage.reasoning,
        }
    }
}
