//! Tokens, counted the same way whatever the vendor's own habit.

/// Tokens of one answer. The kinds don't overlap, but for `reasoning`, which is a share of `output`.
///
/// OpenAI and Gemini report input with cached tokens included, Anthropic without, and Gemini reports
/// output without thoughts; the dialects' readers bring all three to this form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Input read at full price.
    pub input: u64,
    /// Input read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input written to the provider's prompt cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The share of `output` spent on reasoning.
    pub reasoning: u64,
}

impl std::ops::Add for TokenUsage {
    type Output = TokenUsage;

    fn add(self, other: TokenUsage) -> TokenUsage {
        TokenUsage {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl TokenUsage {
    /// The larger of each kind, where what is told grows: Anthropic reports input first and output last, Gemini the whole
    /// so far each time. What was cached may be told in some reports only, and counts as full input in the others: the
    /// input is what the larger whole leaves beside it.
    pub fn larger(self, other: TokenUsage) -> TokenUsage {
        let whole = self.input_total().max(other.input_total());
        let cache_read = self.cache_read.max(other.cache_read);
        let cache_write = self.cache_write.max(other.cache_write);
        TokenUsage {
            input: whole.saturating_sub(cache_read).saturating_sub(cache_write),
            cache_read,
            cache_write,
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// All tokens that went in, cached or not.
    pub const fn input_total(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All tokens, in and out.
    pub const fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_as_cached_once_is_not_counted_as_input_too() {
        let silent = TokenUsage { input: 35_227, output: 1, ..TokenUsage::default() };
        let told = TokenUsage { input: 2_715, cache_read: 32_512, output: 9, ..TokenUsage::default() };
        assert_eq!((silent.larger(told), told.larger(silent)), (told, told));
        // Anthropic's: the input first, the output last.
        let start = TokenUsage { input: 10, cache_read: 100, cache_write: 5, output: 1, reasoning: 0 };
        let end = TokenUsage { output: 20, ..TokenUsage::default() };
        assert_eq!(start.larger(end), TokenUsage { output: 20, ..start });
        assert_eq!(start.larger(TokenUsage { output: 20, ..start }), TokenUsage { output: 20, ..start });
    }

    #[test]
    fn sums_of_what_no_answer_can_take_stay_at_the_largest_there_is() {
        let most = u64::MAX;
        let usage =
            TokenUsage { input: most, cache_read: most, cache_write: 1, output: most, reasoning: most };
        assert_eq!((usage.input_total(), usage.total()), (most, most));
        assert_eq!(
            usage + TokenUsage { input: 1, cache_write: 1, ..usage },
            TokenUsage { cache_write: 2, ..usage }
        );
    }
}
