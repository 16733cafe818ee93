//! Why Gemini stopped, and what it took, both ways.
//!
//! Sources: Gemini API reference, `FinishReason` and `UsageMetadata`; the types of Google's SDK 3.4.

use crate::domain::TokenUsage;
use crate::translate::canonical::Finish;
use serde::Serialize;

/// What a reason of the provider's means.
enum Means {
    Finish(Finish<'static>),
    /// The model meant to call and couldn't: what there is of the answer isn't what it would have said.
    Broken,
}

const LENGTH: Means = Means::Finish(Finish::Length);
const FILTER: Means = Means::Finish(Finish::ContentFilter);
const STOP: Means = Means::Finish(Finish::Stop);

/// What Gemini says where a call's arguments are no JSON object.
pub(super) const MALFORMED: &str = "MALFORMED_FUNCTION_CALL";

/// Gemini's reasons. A word that isn't known is taken for the usual end.
const REASONS: [(&str, Means); 21] = [
    ("STOP", STOP),
    ("OTHER", STOP),
    ("MAX_TOKENS", LENGTH),
    ("CONTINUATION", LENGTH),
    ("SAFETY", FILTER),
    ("RECITATION", FILTER),
    ("LANGUAGE", FILTER),
    ("BLOCKLIST", FILTER),
    ("PROHIBITED_CONTENT", FILTER),
    ("SPII", FILTER),
    ("MODEL_ARMOR", FILTER),
    ("IMAGE_SAFETY", FILTER),
    ("IMAGE_PROHIBITED_CONTENT", FILTER),
    ("IMAGE_RECITATION", FILTER),
    ("ESCALATION", FILTER),
    ("PUP_LIMITED_DISABLED", FILTER),
    (MALFORMED, Means::Broken),
    ("UNEXPECTED_TOOL_CALL", Means::Broken),
    ("TOO_MANY_TOOL_CALLS", Means::Broken),
    ("MISSING_THOUGHT_SIGNATURE", Means::Broken),
    ("MALFORMED_RESPONSE", Means::Broken),
];

/// What is meant by a reason; `None` where the model didn't stop, but failed. One that has called says that it has said
/// all, and waits.
pub(super) fn read(reason: &str, has_called: bool) -> Option<Finish<'static>> {
    let known = REASONS.iter().find(|(name, _)| *name == reason);
    match known.map_or(&STOP, |(_, means)| means) {
        Means::Broken => None,
        Means::Finish(Finish::Stop) if has_called => Some(Finish::ToolCalls),
        Means::Finish(finish) => Some(finish.clone()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_failed_is_no_end() {
        for reason in [MALFORMED, "UNEXPECTED_TOOL_CALL"] {
            assert_eq!((read(reason, false), read(reason, true)), (None, None));
        }
        assert_eq!(read("STOP", true), Some(Finish::ToolCalls));
        assert_eq!(read("MAX_TOKENS", true), Some(Finish::Length));
        assert_eq!(read("BRAND_NEW", false), Some(Finish::Stop));
    }
}
