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
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            output: self.output + other.output,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}

impl TokenUsage {
    /// The larger of each kind, where what is told grows: Anthropic reports input first and output last, Gemini the whole
    /// so far each time.
    pub fn larger(self, other: TokenUsage) -> TokenUsage {
        TokenUsage {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// All tokens that went in, cached or not.
    pub const fn input_total(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    /// All tokens, in and out.
    pub const fn total(&self) -> u64 {
        self.input_total() + self.output
    }
}
