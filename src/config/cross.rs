//! What one room's settings say of another's: names that must exist, ports that must differ, files to be read.

use super::{Config, Environment};
use crate::alerts::config::Notifications;
use crate::domain::Secret;
use crate::observe::UNROUTED;
use crate::providers::config::{Model, Provider};
use crate::providers::presets::{CloudKey, PRESETS, Preset};
use crate::settings::{Node, Problems, Value, nearest};
use std::collections::BTreeSet;
use std::path::Path;

/// Gives each provider without a credential the one that its preset's variables hold, and says which have none.
pub(super) fn credentials_from_environment(
    config: &mut Config,
    root: &Node,
    environment: Environment<'_>,
    problems: &mut Problems,
) {
    for (name, provider) in &mut config.providers {
        let Some(preset) = provider.preset(name).filter(|preset| preset.needs_key()) else { continue };
        at(root, &["providers", name], problems, |node, problems| {
            cloud_from_environment(preset, provider, environment, |key| !key.is_credential());
            if CREDENTIALS.iter().any(|key| node.get(key).is_some()) {
                return;
            }
            let variable = preset.key_variable;
            let value = environment(variable).filter(|value| !variable.is_empty() && !value.is_empty());
            if value.as_ref().is_some_and(|value| !can_be_sent(value)) {
                let message = format!(
                    "${variable} begins or ends with white space, or has a character that no header can carry"
                );
                return problems.error(node, message);
            }
            provider.api_key = value.map(Secret::new);
            if provider.api_key.is_none() {
                cloud_from_environment(preset, provider, environment, CloudKey::is_credential);
            }
            if provider.aws_keys().is_some_and(|keys| !keys.can_be_sent()) {
                let message = "the variables of its AWS keys have a character that no header can carry";
                return problems.error(node, message);
            }
            if !provider.has_credential() && provider.enabled {
                problems.warning(node, no_credential(preset));
            }
        });
    }
}

/// The keys that are, or begin, a credential.
const CREDENTIALS: [&str; 4] = ["api_key", "api_keys", "service_account_file", "aws_access_key_id"];

/// Fills what the configuration leaves out of a cloud's keys from the variables that the cloud's own tools read.
fn cloud_from_environment(
    preset: &Preset,
    provider: &mut Provider,
    environment: Environment<'_>,
    is_wanted: fn(CloudKey) -> bool,
) {
    for (key, variables) in preset.cloud_variables().iter().filter(|(key, _)| is_wanted(*key)) {
        let values = variables.iter().filter_map(|variable| environment(variable));
        let Some(value) = values.into_iter().find(|value| !value.is_empty()) else { continue };
        match key {
            CloudKey::Region => drop(provider.region.get_or_insert(value)),
            CloudKey::Project => drop(provider.project.get_or_insert(value)),
            CloudKey::ServiceAccountFile => provider.service_account_file = Some(value.into()),
            CloudKey::AwsAccessKeyId => provider.aws_access_key_id = Some(Secret::new(value)),
            CloudKey::AwsSecretAccessKey => provider.aws_secret_access_key = Some(Secret::new(value)),
            CloudKey::AwsSessionToken => provider.aws_session_token = Some(Secret::new(value)),
        }
    }
}

/// "has no key: set OPENAI_API_KEY or `api_key`; …".
fn no_credential(preset: &Preset) -> String {
    let of_cloud = preset.cloud_variables().iter().filter(|(key, _)| key.is_credential());
    let of_cloud =
        of_cloud.filter_map(|(_, variables)| variables.first().copied()).take(2).collect::<Vec<_>>();
    let variables = if of_cloud.is_empty() { preset.key_variable.to_owned() } else { of_cloud.join(" and ") };
    let key = if preset.has_projects() {
        "service_account_file"
    } else if of_cloud.is_empty() {
        "api_key"
    } else {
        "aws_access_key_id"
    };
    format!("has no key: set {variables} or `{key}`; it is left out unless `auth_dir` has one")
}

/// Whether a key arrives as it is in a header: those read from files and variables like to end in a line break.
fn can_be_sent(key: &str) -> bool {
    key.trim() == key && !key.chars().any(char::is_control)
}

/// The providers that were given keys, none of which is set.
pub(super) fn keyless(config: &Config, root: &Node) -> BTreeSet<String> {
    let providers = root.at("providers");
    let was_given = |name: &str| {
        let is_empty = |keys: &Node| keys.value == Value::List(Vec::new());
        let several = |node: &Node| node.get("api_keys").is_some_and(|keys| !is_empty(keys));
        let given = |node: &Node| {
            node.get("api_key").is_some() || node.get("aws_access_key_id").is_some() || several(node)
        };
        providers.get(name).is_some_and(given)
    };
    let without = config.providers.iter().filter(|(_, provider)| !provider.has_credential());
    without.map(|(name, _)| name.clone()).filter(|name| was_given(name)).collect()
}

/// The longest name of a provider.
const MAX_NAME: usize = 64;
/// Label values that are no provider.
const RESERVED_NAMES: [&str; 1] = [UNROUTED];
/// Paths that metrics can't be put on.
const TAKEN_PATHS: [&str; 6] = ["/health", "/ready", "/dashboard", "/v0", "/v1", "/providers"];

/// Runs every check.
pub(super) fn check(config: &Config, root: &Node, problems: &mut Problems) {
    providers(config, root, problems);
    models(config, root, problems);
    client_keys(config, root, problems);
    alerts(config, root, problems);
    ports(config, root, problems);
    files(config, root, problems);
}

/// Runs `run` with the node at the path, or with the nearest one above it that the file has.
fn at<T>(
    node: &Node,
    path: &[&str],
    problems: &mut Problems,
    run: impl FnOnce(&Node, &mut Problems) -> T,
) -> T {
    match path.split_first() {
        None => run(node, problems),
        Some((key, below)) => {
            let found = match (&node.value, key.parse::<usize>()) {
                (Value::List(items), Ok(index)) => items.get(index).map(|item| (item, Some(index))),
                // A key with an empty value is pointed to as well.
                _ => node.entries().iter().find(|entry| entry.key == *key).map(|entry| (&entry.value, None)),
            };
            match found {
                Some((item, Some(index))) => {
                    problems.at_index(index, |problems| at(item, below, problems, run))
                }
                Some((value, None)) => problems.at_key(key, |problems| at(value, below, problems, run)),
                None => problems.at_key(key, |problems| at(node, below, problems, run)),
            }
        }
    }
}

fn error(root: &Node, path: &[&str], problems: &mut Problems, message: String) {
    at(root, path, problems, |node, problems| problems.error(node, message));
}

fn warning(root: &Node, path: &[&str], problems: &mut Problems, message: String) {
    at(root, path, problems, |node, problems| problems.warning(node, message));
}

/// "there is no provider `opnai`; did you mean `openai`?"
fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
    format!("there is no {kind} `{name}`{}", near.unwrap_or_default())
}

fn provider_names(config: &Config) -> impl Iterator<Item = &str> {
    config.providers.keys().map(String::as_str)
}

fn providers(config: &Config, root: &Node, problems: &mut Problems) {
    if config.providers.is_empty() {
        warning(root, &["providers"], problems, "there are none: no request can be served".to_owned());
    }
    for (name, provider) in &config.providers {
        let path = ["providers", name.as_str()];
        at(root, &path, problems, |node, problems| {
            let missing = |key: &str| node.get(key).is_none();
            match provider.preset(name) {
                Some(preset) if preset.has_regions() => cloud(name, preset, provider, node, problems),
                Some(preset) if preset.base_url.is_empty() && missing("base_url") => {
                    problems.error(node, format!("`{name}` needs its own `base_url`"));
                }
                None if missing("format") || missing("base_url") => {
                    let near = nearest(name, PRESETS.iter().map(|preset| preset.name));
                    let near = near.map(|near| format!("; or did you mean `{near}`?")).unwrap_or_default();
                    problems.error(
                        node,
                        format!("`{name}` is no preset: it needs `format` and `base_url`{near}"),
                    );
                }
                _ => {}
            }
        });
        if !is_name(name) {
            let message = format!(
                "a provider's name has letters, digits, dots, dashes and underscores, at most {MAX_NAME} of them"
            );
            error(root, &path, problems, message);
        }
        if RESERVED_NAMES.contains(&name.as_str()) {
            error(root, &path, problems, "this name stands for something else in metrics".to_owned());
        }
        if has_duplicates(provider.models.iter().map(Model::client_name)) {
            error(
                root,
                &[path[0], path[1], "models"],
                problems,
                "two models have the same name for clients".to_owned(),
            );
        }
    }
}

/// What a cloud's addresses are made of.
fn cloud(name: &str, preset: &Preset, provider: &Provider, node: &Node, problems: &mut Problems) {
    let variables = |wanted: CloudKey| {
        let row = preset.cloud_variables().iter().find(|(key, _)| *key == wanted);
        row.and_then(|(_, variables)| variables.first().copied()).unwrap_or_default()
    };
    match &provider.region {
        None => {
            let variable = variables(CloudKey::Region);
            problems.error_at(node, "region", format!("`{name}` needs it, or the variable {variable}"));
        }
        Some(region) if node.get("region").is_none() && !Provider::is_cloud_name(region) => {
            let variable = variables(CloudKey::Region);
            problems.error(node, format!("the variable {variable} holds no region"));
        }
        Some(_) => {}
    }
    let has_path = provider.base_url.as_ref().is_some_and(|url| !url.path.is_empty());
    if preset.has_projects()
        && provider.project.is_none()
        && provider.service_account_file.is_none()
        && !has_path
    {
        let variable = variables(CloudKey::Project);
        let message =
            format!("`{name}` needs it, or the variable {variable}, or a `service_account_file` that has it");
        problems.error_at(node, "project", message);
    }
    if node.get("project").is_none()
        && provider.project.as_ref().is_some_and(|it| !Provider::is_cloud_name(it))
    {
        let variable = variables(CloudKey::Project);
        problems.error(node, format!("the variable {variable} holds no project"));
    }
}

fn has_duplicates<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    names.any(|name| !seen.insert(name))
}

fn models(config: &Config, root: &Node, problems: &mut Problems) {
    for (name, route) in &config.models {
        for (index, target) in route.targets.iter().enumerate() {
            let index = index.to_string();
            let path = ["models", name, "targets", &index, "provider"];
            match config.providers.get(&target.provider) {
                None => {
                    let message = unknown("provider", &target.provider, provider_names(config));
                    error(root, &path, problems, message);
                }
                Some(provider) if !provider.enabled => {
                    let message = format!("the provider `{}` is switched off", target.provider);
                    warning(root, &path, problems, message);
                }
                Some(_) => {}
            }
        }
        for (index, fallback) in route.fallbacks.iter().enumerate() {
            let index = index.to_string();
            let path = ["models", name, "fallbacks", &index];
            if fallback == name {
                error(root, &path, problems, "a model can't fall back to itself".to_owned());
            } else if !is_served(config, fallback) {
                let message = unknown("model", fallback, served_names(config));
                error(root, &path, problems, message);
            }
        }
        if route.targets.is_empty() && route.fallbacks.is_empty() {
            error(root, &["models", name], problems, "needs `targets` or `fallbacks`".to_owned());
        }
    }
}

/// All names that are written somewhere.
fn served_names(config: &Config) -> impl Iterator<Item = &str> {
    let listed = config.providers.values().flat_map(|provider| &provider.models);
    config.models.keys().map(String::as_str).chain(listed.map(Model::client_name))
}

/// Whether a client could ask for that model.
fn is_served(config: &Config, model: &str) -> bool {
    let recognises = |(name, provider): (&String, &Provider)| {
        provider.models.is_empty() && provider.preset(name).is_some_and(|preset| preset.recognises(model))
    };
    let names_provider = |name: &str| config.providers.contains_key(name);
    served_names(config).any(|name| name == model)
        || config.providers.iter().any(recognises)
        || model.split_once('/').is_some_and(|(provider, _)| names_provider(provider))
}

fn client_keys(config: &Config, root: &Node, problems: &mut Problems) {
    let keys = &config.server.auth.api_keys;
    if keys.is_empty() && !config.server.host.is_loopback() && !config.server.auth.allow_anonymous {
        let message =
            "there are none, and the address isn't loopback: every request for a model is answered 401";
        warning(root, &["server", "auth", "api_keys"], problems, message.to_owned());
    }
    for (index, key) in keys.iter().enumerate() {
        let earlier = keys.get(..index).unwrap_or_default();
        let position = index.to_string();
        let path = |last| ["server", "auth", "api_keys", position.as_str(), last];
        if let Some(name) = key.name.as_ref().filter(|_| earlier.iter().any(|other| other.name == key.name)) {
            error(root, &path("name"), problems, format!("another key is named `{name}` too"));
        }
        if key.key.as_ref().is_some_and(|key| !can_be_sent(key.expose())) {
            let message = "begins or ends with white space, or has a character that no header can carry";
            error(root, &path("key"), problems, message.to_owned());
        }
        if key.key.is_some() && earlier.iter().any(|other| other.key == key.key) {
            error(root, &path("key"), problems, "another client has the same key".to_owned());
        }
        for provider in key.passthrough.iter().filter(|name| !config.providers.contains_key(*name)) {
            let message = unknown("provider", provider, provider_names(config));
            error(root, &path("passthrough"), problems, message);
        }
    }
}

fn alerts(config: &Config, root: &Node, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for (index, rule) in config.alerts.rules.iter().enumerate() {
        let position = index.to_string();
        let path = |last| ["alerts", "rules", position.as_str(), last];
        if !names.insert(&rule.name) {
            error(root, &path("name"), problems, format!("another rule is named `{}` too", rule.name));
        }
        for channel in rule.notifications.iter() {
            let message = if !Notifications::CHANNELS.contains(&channel.as_str()) {
                unknown("channel", channel, Notifications::CHANNELS)
            } else if !config.notifications.is_active(channel) {
                format!("the channel `{channel}` is not configured, or inactive")
            } else {
                continue;
            };
            warning(root, &path("notifications"), problems, message);
        }
    }
}

/// Whether a provider can be called this: the name stands in paths, headers, labels and log lines.
fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn ports(config: &Config, root: &Node, problems: &mut Problems) {
    let (server, metrics) = (&config.server, &config.metrics);
    let overlapping = metrics
        .host
        .is_none_or(|host| host == server.host || host.is_unspecified() || server.host.is_unspecified());
    if metrics.enabled && metrics.port == server.port && overlapping {
        error(root, &["metrics", "port"], problems, "is the gateway's own port too".to_owned());
    }
    let is_taken = |taken: &&&str| metrics.path == ***taken || metrics.path.starts_with(&format!("{taken}/"));
    if let Some(taken) = TAKEN_PATHS.iter().find(is_taken) {
        error(root, &["metrics", "path"], problems, format!("{taken} is something else's path"));
    }
}

fn files(config: &Config, root: &Node, problems: &mut Problems) {
    let mut must_exist = |path: &[&str], file: Option<&Path>| {
        if let Some(file) = file.filter(|file| !file.is_file()) {
            error(root, path, problems, format!("there is no file {}", file.display()));
        }
    };
    if let Some(tls) = &config.server.tls {
        must_exist(&["server", "tls", "cert_file"], Some(&tls.cert_file));
        must_exist(&["server", "tls", "key_file"], Some(&tls.key_file));
    }
    for (name, provider) in config.providers.iter().filter(|(_, provider)| provider.enabled) {
        let name = name.as_str();
        must_exist(&["providers", name, "ca_file"], provider.ca_file.as_deref());
        must_exist(&["providers", name, "client_cert_file"], provider.client_cert_file.as_deref());
        must_exist(&["providers", name, "client_key_file"], provider.client_key_file.as_deref());
        must_exist(&["providers", name, "service_account_file"], provider.service_account_file.as_deref());
    }
}
