//! What Gemini's models take, as far as their names tell.
//!
//! An operator may call a model whatever they like; a name that isn't known is taken for one of the 2.5 family, which
//! takes nearly everything. Sources: Gemini API guides "Thinking" (budgets up to 2.5, levels from 3 on, of which a request
//! may have one only), "Structured output" (JSON schema), "Thought signatures"; Google Cloud, "Developer's guide to
//! Gemini 3.5 Flash" (levels of 3.5 Flash, 3.1 Pro and 3.1 Flash-Lite).

use crate::translate::canonical::Effort;
use std::ops::RangeInclusive;

/// What a family of models takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// What its models' names begin with, and what else is in them.
    prefix: &'static str,
    line: &'static str,
    pub(super) thinks: Thinks,
    /// Whether it takes `responseJsonSchema`.
    pub(super) takes_json_schema: bool,
    /// Whether it refuses calls of its own that come back without their signature.
    pub(super) needs_signatures: bool,
}

/// How a model is told to think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It doesn't think.
    Never,
    /// By so many tokens, or none if it can be kept from thinking.
    Budget { range: RangeInclusive<u64>, can_stop: bool },
    /// By one of these levels, the least first. None can be kept from thinking.
    Levels(&'static [Effort]),
}

const fn before_thinking(prefix: &'static str) -> Family {
    let thinks = Thinks::Never;
    Family { prefix, line: "", thinks, takes_json_schema: false, needs_signatures: false }
}

const fn by_budget(prefix: &'static str, range: RangeInclusive<u64>, can_stop: bool) -> Family {
    let thinks = Thinks::Budget { range, can_stop };
    Family { prefix, line: "", thinks, takes_json_schema: true, needs_signatures: false }
}

const fn by_level(prefix: &'static str, line: &'static str, levels: &'static [Effort]) -> Family {
    let thinks = Thinks::Levels(levels);
    Family { prefix, line, thinks, takes_json_schema: true, needs_signatures: true }
}

/// The first that fits counts.
static FAMILIES: [Family; 9] = [
    before_thinking("gemini-1"),
    before_thinking("gemini-2.0"),
    by_budget("gemini-2.5-flash-lite", 512..=24_576, true),
    by_budget("gemini-2.5-pro", 128..=32_768, false),
    by_budget("gemini-2", 1..=24_576, true),
    by_level("gemini-3-pro", "", &[Effort::Low, Effort::High]),
    by_level("gemini-", "flash", &[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]),
    by_level("gemini-", "", &[Effort::Low, Effort::Medium, Effort::High]),
    by_budget("", 1..=24_576, true),
];

/// The family of a model, by its name, a path before it aside.
pub(super) fn family(model: &str) -> &'static Family {
    let name = model.rsplit('/').next().unwrap_or_default();
    let unknown = &FAMILIES[FAMILIES.len() - 1];
    let fits = |family: &&Family| name.starts_with(family.prefix) && name.contains(family.line);
    FAMILIES.iter().find(fits).unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_its_family() {
        assert_eq!(family("models/gemini-2.0-flash").thinks, Thinks::Never);
        let lite = Thinks::Budget { range: 512..=24_576, can_stop: true };
        assert_eq!(family("gemini-2.5-flash-lite-preview").thinks, lite);
        assert!(matches!(family("gemini-2.5-pro").thinks, Thinks::Budget { can_stop: false, .. }));
        assert_eq!(family("our-own-name").thinks, family("gemini-2.5-flash").thinks);
        for (model, count) in [
            ("gemini-3-pro-preview", 2),
            ("publishers/google/models/gemini-3.1-pro-preview", 3),
            ("gemini-3.1-flash-lite", 4),
            ("gemini-3.5-flash", 4),
            ("gemini-flash-latest", 4),
        ] {
            assert!(family(model).needs_signatures, "{model}");
            assert!(
                matches!(family(model).thinks, Thinks::Levels(levels) if levels.len() == count),
                "{model}"
            );
        }
    }

    #[test]
    fn no_family_hides_one_behind_it() {
        for (index, family) in FAMILIES.iter().enumerate() {
            let is_hidden =
                |other: &Family| other.prefix.starts_with(family.prefix) && other.line.contains(family.line);
            assert!(!FAMILIES[index + 1..].iter().any(is_hidden), "{} {}", family.prefix, family.line);
        }
    }
}
