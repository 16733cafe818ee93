//! What Gemini's models take, as far as their names tell.
//!
//! An operator may call a model whatever they like; a name that isn't known is taken for one of the 2.5 family, which
//! takes nearly everything. Sources: Gemini API guides "Thinking" (budgets), "Structured output" (JSON schema),
//! "Thought signatures".

use std::ops::RangeInclusive;

/// What a family of models takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// What its models' names begin with.
    prefix: &'static str,
    /// The tokens that it may think for; `None` for one that doesn't think.
    pub(super) budgets: Option<RangeInclusive<u64>>,
    /// Whether it can be kept from thinking.
    pub(super) can_stop: bool,
    /// Whether it knows `thinkingLevel`.
    pub(super) has_levels: bool,
    /// Whether it takes `responseJsonSchema`.
    pub(super) takes_json_schema: bool,
    /// Whether it refuses calls of its own that come back without their signature.
    pub(super) needs_signatures: bool,
}

const fn family_of(prefix: &'static str, budgets: Option<RangeInclusive<u64>>) -> Family {
    Family {
        prefix,
        budgets,
        can_stop: true,
        has_levels: false,
        takes_json_schema: true,
        needs_signatures: false,
    }
}

const fn before_thinking(prefix: &'static str) -> Family {
    Family { takes_json_schema: false, ..family_of(prefix, None) }
}

/// Longer prefixes first.
static FAMILIES: [Family; 6] = [
    before_thinking("gemini-1"),
    before_thinking("gemini-2.0"),
    family_of("gemini-2.5-flash-lite", Some(512..=24_576)),
    Family { can_stop: false, ..family_of("gemini-2.5-pro", Some(128..=32_768)) },
    Family {
        can_stop: false,
        has_levels: true,
        needs_signatures: true,
        ..family_of("gemini-3", Some(128..=32_768))
    },
    family_of("", Some(1..=24_576)),
];

/// The family of a model, by its name, a path before it aside.
pub(super) fn family(model: &str) -> &'static Family {
    let name = model.rsplit('/').next().unwrap_or_default();
    let unknown = &FAMILIES[FAMILIES.len() - 1];
    FAMILIES.iter().find(|family| name.starts_with(family.prefix)).unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_its_family() {
        assert_eq!(family("models/gemini-2.0-flash").budgets, None);
        assert_eq!(family("gemini-2.5-flash-lite-preview").budgets, Some(512..=24_576));
        assert!(!family("gemini-2.5-pro").can_stop);
        assert!(family("publishers/google/models/gemini-3.1-pro-preview").needs_signatures);
        assert_eq!(family("our-own-name"), family("gemini-2.5-flash"));
    }

    #[test]
    fn no_family_hides_one_behind_it() {
        for (index, family) in FAMILIES.iter().enumerate() {
            let behind = &FAMILIES[index + 1..];
            assert!(!behind.iter().any(|other| other.prefix.starts_with(family.prefix)), "{}", family.prefix);
        }
    }
}
