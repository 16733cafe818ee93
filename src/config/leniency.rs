//! Which unset variables are no more than a warning.
//!
//! A missing key of a provider or channel must not keep the gateway down, and neither must a variable that
//! only a part needs which is switched off or referred to by nothing. Any other unset variable is an error.

use super::Config;
use crate::failover::config::Mode;
use crate::settings::{Node, Problems, Setting, Severity, Value};
use crate::store::config::Backend;

/// Keys that the value of another key makes meaningless.
type Idle = (&'static str, fn(&Config) -> bool);
const IDLE: &[Idle] = &[
    ("state.url", |config| config.state.backend == Backend::Embedded),
    ("server.failover.peers", |config| config.server.failover.mode == Mode::ActivePassive),
    ("server.failover.backup_url", |config| config.server.failover.mode == Mode::ActiveActive),
    ("server.failover.backup_api_key", |config| config.server.failover.mode == Mode::ActiveActive),
];

/// Turns each unset variable that nothing depends on into a warning that says what follows from it.
pub(super) fn apply(config: &Config, problems: &mut Problems) {
    let (idle, provider_keys) = (idle_parts(config), provider_keys(config));
    let is_in = |path: &str, parts: &[String]| parts.iter().any(|part| is_within(path, part));
    for problem in problems.iter_mut().filter(|problem| problem.unset.is_some()) {
        let consequence = if is_in(&problem.path, &idle) {
            "nothing uses it now"
        } else if is_in(&problem.path, &provider_keys) {
            "the provider starts without this key"
        } else if is_within(&problem.path, "notifications") {
            "the channel is inactive"
        } else {
            continue;
        };
        problem.severity = Severity::Warning;
        problem.message = format!("{}: {consequence}", problem.message);
    }
}

fn is_within(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The paths of each provider's keys.
fn provider_keys(config: &Config) -> Vec<String> {
    let mut path = Problems::new();
    let mut of = |name: &String, key| {
        path.at_key("providers", |path| {
            path.at_key(name, |path| path.at_key(key, |path| path.path().to_owned()))
        })
    };
    let keys = ["api_key", "api_keys", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
    config.providers.keys().flat_map(|name| keys.map(|key| of(name, key))).collect()
}

/// The paths of all parts that are switched off, or meaningless as things are.
fn idle_parts(config: &Config) -> Vec<String> {
    let mut idle = Vec::new();
    disabled_parts(&config.write(), &mut Problems::new(), &mut idle);
    idle.extend(IDLE.iter().filter(|(_, is_idle)| is_idle(config)).map(|(path, _)| (*path).to_owned()));
    idle
}

fn disabled_parts(node: &Node, path: &mut Problems, found: &mut Vec<String>) {
    let off = Node::text("false");
    if node.get("enabled").is_some_and(|enabled| enabled.value == off.value) {
        found.push(path.path().to_owned());
    }
    for entry in node.entries().iter().filter(|entry| matches!(entry.value.value, Value::Map(_))) {
        path.at_key(&entry.key, |path| disabled_parts(&entry.value, path, found));
    }
}
