//! Why Gemini stopped, and what it took, both ways.
//!
//! Sources: Gemini API reference, `FinishReason` and `UsageMetadata`; the types of Google's SDK 3.4.

use crate::domain::TokenUsage;
use crate::translate::canonical::Finish;
use crate::translate::spoilt::Spoilt;
use serde::Serialize;

/// What a reason of the provider's means.
enum Means {
    Finish(Finish<'static>),
    /// The model failed, mostly at a call: what there is of the answer isn't what it would have said.
    Failed,
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
    (MALFORMED, Means::Failed),
    ("UNEXPECTED_TOOL_CALL", Means::Failed),
    ("TOO_MANY_TOOL_CALLS", Means::Failed),
    ("MISSING_THOUGHT_SIGNATURE", Means::Failed),
    ("MALFORMED_RESPONSE", Means::Failed),
];

/// What is meant by a reason. A model that has called says that it has said all, and waits.
///
/// # Errors
/// Where the model didn't stop, but failed.
pub(super) fn read(reason: &str, has_called: bool) -> Result<Finish<'static>, Spoilt> {
    let known = REASONS.iter().find(|(name, _)| *name == reason);
    match known.unwrap_or(&("", STOP)) {
        (name, Means::Failed) => Err(Spoilt::ByModel(name)),
        (_, Means::Finish(Finish::Stop)) if has_called => Ok(Finish::ToolCalls),
        (_, Means::Finish(finish)) => Ok(finish.clone()),
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
            let failed = Err(Spoilt::ByModel(reason));
            assert_eq!((read(reason, false), read(reason, true)), (failed.clone(), failed));
        }
        assert_eq!(read("STOP", true), Ok(Finish::ToolCalls));
        assert_eq!(read("MAX_TOKENS", true), Ok(Finish::Length));
        assert_eq!(read("BRAND_NEW", false), Ok(Finish::Stop));
    }
}
