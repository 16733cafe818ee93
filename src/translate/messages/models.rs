//! What Anthropic's models take, as far as their names tell.
//!
//! A name that has no version of Claude's is taken for a model of somebody who speaks this dialect as it once was: what
//! came later to it isn't asked of it. Sources: Anthropic, "Adaptive thinking", "Structured outputs", "What's new in
//! Claude 4.7", and its notes on migrating to Claude 4.1, which first refused `temperature` beside `top_p`.

use super::thinking::Generation;

/// What models differ in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) generation: Generation,
    /// Whether it takes `top_p` beside `temperature`.
    pub(super) samples_by_both: bool,
    /// Whether its answer can be held to a schema by `output_config.format`.
    pub(super) has_output_format: bool,
}

const fn model(generation: Generation, samples_by_both: bool, has_output_format: bool) -> Model {
    Model { generation, samples_by_both, has_output_format }
}

/// The first version of each kind, the later first.
static VERSIONS: [((u32, u32), Model); 4] = [
    ((4, 7), model(Generation::EffortsOnly, false, true)),
    ((4, 6), model(Generation::Efforts, false, true)),
    ((4, 5), model(Generation::Budgets, false, true)),
    ((4, 1), model(Generation::Budgets, false, false)),
];

/// Those before, and whoever else speaks this dialect.
static OTHERS: Model = model(Generation::Budgets, true, false);

/// The lines of models that have versions, and those that began after the last change.
const LINES: [&str; 3] = ["opus-", "sonnet-", "haiku-"];
const LATER_LINES: [&str; 2] = ["claude-fable", "claude-mythos"];

impl Model {
    /// What a model takes, whatever stands around its name, as in `us.anthropic.claude-opus-4-7-v1`. Models that Anthropic
    /// named by another pattern, before Claude 4, have the version in front.
    pub(super) fn of(name: &str) -> &'static Model {
        if LATER_LINES.iter().any(|line| name.contains(line)) {
            return &VERSIONS[0].1;
        }
        let behind = LINES.iter().find_map(|line| name.split_once(line)).map(|(_, version)| version);
        let version = behind.filter(|_| name.contains("claude")).and_then(version);
        let known = version.and_then(|version| VERSIONS.iter().find(|(first, _)| version >= *first));
        known.map_or(&OTHERS, |(_, model)| model)
    }
}

/// The version at the beginning of a text, such as `4-7` or `5`. A date is none.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|it: char| !it.is_ascii_digit());
    let mut next = || numbers.next().filter(|it| (1..=2).contains(&it.len())).and_then(|it| it.parse().ok());
    Some((next()?, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_tells_what_it_takes() {
        let since = |version| VERSIONS.iter().find(|(first, _)| *first == version).map(|(_, model)| model);
        for (name, version) in [
            ("claude-3-7-sonnet-20250219", None),
            ("claude-sonnet-4-20250514", None),
            ("claude-opus-4-1-20250805", Some((4, 1))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-opus-4-5", Some((4, 5))),
            ("claude-opus-4-6", Some((4, 6))),
            ("anthropic/claude-sonnet-4.6", Some((4, 6))),
            ("us.anthropic.claude-opus-4-7-v1:0", Some((4, 7))),
            ("claude-sonnet-5", Some((4, 7))),
            ("claude-opus-5-5", Some((4, 7))),
            ("claude-fable-5-2", Some((4, 7))),
            ("claude-mythos-preview", Some((4, 7))),
            ("kimi-k3", None),
            ("opus-9", None),
            ("claude-opus-", None),
            ("", None),
        ] {
            assert_eq!(Model::of(name), version.and_then(since).unwrap_or(&OTHERS), "{name}");
        }
    }
}
