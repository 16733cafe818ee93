//! What a configuration may ask for and this release doesn't do yet. `serve` prints it: nothing pretends.
//!
//! One table; the release that brings a part deletes its row.

use super::Config;
use crate::balance::config::{Overflow, StrategyName};
use crate::settings::{Node, Value};
use crate::store::config::Backend;

/// A part that is configured and has no effect yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inactive {
    /// The key path; `*` stands for any name or index.
    pub path: &'static str,
    /// What doesn't happen, as a sentence.
    pub sentence: &'static str,
}

struct Row {
    path: &'static str,
    /// Whether what is written at the path asks for anything.
    asks: fn(&Config) -> bool,
    sentence: &'static str,
}

const fn row(path: &'static str, asks: fn(&Config) -> bool, sentence: &'static str) -> Row {
    Row { path, asks, sentence }
}

fn always(_: &Config) -> bool {
    true
}

const TABLE: &[Row] = &[
    row("server.auth.api_keys.*.rate_limit", always, "Clients are not rate limited yet."),
    row("server.auth.api_keys.*.budget", always, "Clients' budgets are not held yet."),
    row("server.failover", |c| c.server.failover.enabled, "No other gateway is asked yet."),
    row(
        "server.operations.cooldown",
        |c| c.server.operations.cooldown.enabled,
        "Providers don't cool down yet.",
    ),
    row("providers.*.cooldown", always, "Providers don't cool down yet."),
    row(
        "server.operations.load_balancing.strategy",
        |c| c.server.operations.load_balancing.strategy != StrategyName::RoundRobin,
        "Providers are chosen by round_robin for now.",
    ),
    row(
        "server.operations.load_balancing.overflow",
        |c| c.server.operations.load_balancing.overflow == Overflow::Queue,
        "Requests don't queue yet: the next tier takes them.",
    ),
    row(
        "server.operations.load_balancing.session_affinity",
        |c| c.server.operations.load_balancing.session_affinity.enabled,
        "Conversations don't stay on a provider yet.",
    ),
    row(
        "server.operations.health_check",
        |c| c.server.operations.health_check.enabled,
        "Providers are not probed yet.",
    ),
    row("providers.*.health_check", always, "Providers are not probed yet."),
    row(
        "server.operations.self_healing",
        |c| c.server.operations.self_healing.enabled,
        "Nothing heals by itself yet.",
    ),
    row(
        "server.operations.batch_processing",
        |c| c.server.operations.batch_processing.enabled,
        "Nothing is batched yet.",
    ),
    row("server.operations.cache", |c| c.server.operations.cache.enabled, "Answers are not cached yet."),
    row(
        "server.operations.hedge",
        |c| c.server.operations.hedge.enabled,
        "Slow requests get no second attempt yet.",
    ),
    row("state_dir", always, "Nothing is kept across a restart yet."),
    row("providers.*.quota", always, "Quotas are not counted yet."),
    row("providers.*.cost_per_1k_tokens", always, "Costs are not counted yet."),
    row("providers.*.models.*.cost_per_1k_tokens", always, "Costs are not counted yet."),
    row(
        "models.*.rewrite_model",
        |c| c.models.values().any(|route| route.rewrite_model),
        "Answers name the model that gave them, not the client's name for it, for now.",
    ),
    row("providers.*.proxy_url", always, "Providers are reached directly, not through a proxy, for now."),
    row("state", |c| c.state.backend == Backend::Redis, "State is not shared through Redis yet."),
    row("logging.output", always, "The log goes to standard error for now."),
    row(
        "logging.rotation",
        |c| c.logging.rotation.enabled && c.logging.output.is_some(),
        "Log files don't rotate yet.",
    ),
    row("logging.audit_output", always, "Audit lines go to the log for now."),
    row(
        "logging.content",
        |c| c.logging.content.name() != "off",
        "Prompts and answers are not written anywhere yet.",
    ),
    row("tracing", |c| c.tracing.enabled, "No spans are sent yet."),
    row(
        "alerts.rules",
        |c| c.alerts.enabled && !c.alerts.rules.is_empty(),
        "Alert rules are not evaluated yet.",
    ),
    row("notifications", always, "No messages are sent yet."),
];

/// What of the configuration has no effect yet. Only what the file itself asks for is listed, no defaults.
pub(super) fn inactive(config: &Config, root: &Node) -> Vec<Inactive> {
    let asked = |row: &&Row| (row.asks)(config) && is_written(root, row.path);
    TABLE.iter().filter(asked).map(|row| Inactive { path: row.path, sentence: row.sentence }).collect()
}

fn is_written(node: &Node, path: &str) -> bool {
    let (step, below) = path.split_once('.').unwrap_or((path, ""));
    match (&node.value, step) {
        (Value::Null, _) => false,
        (_, "") => true,
        (Value::List(items), "*") => items.iter().any(|item| is_written(item, below)),
        (Value::Map(entries), "*") => entries.iter().any(|entry| is_written(&entry.value, below)),
        _ => node.get(step).is_some_and(|found| is_written(found, below)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Setting, Shape};

    fn is_declared(shape: Shape, path: &str) -> bool {
        let (step, below) = path.split_once('.').unwrap_or((path, ""));
        match shape {
            _ if path.is_empty() => true,
            Shape::Keys(keys) => keys.iter().any(|key| key.name == step && is_declared((key.shape)(), below)),
            Shape::List(item) | Shape::Map(item) => step == "*" && is_declared(item(), below),
            Shape::Scalar => false,
        }
    }

    #[test]
    fn every_row_names_a_key_that_exists() {
        for row in TABLE {
            assert!(is_declared(Config::shape(), row.path), "{}", row.path);
        }
        assert!(!is_declared(Config::shape(), "server.nothing"));
    }
}
