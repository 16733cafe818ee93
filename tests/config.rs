//! What a configuration file may say, what is said about a bad one, and that the reference file tells the truth.

mod broken;
mod reference;

use cliproxy::config::{Config, Loaded, effective, load, load_text};
use cliproxy::domain::Secret;
use cliproxy::settings::{Problem, Severity};
use proptest::prelude::*;
use std::path::Path;

const SECRET: &str = "hunter2-very-secret";

/// An environment that holds a secret or two.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "LEAK" | "OPENAI_API_KEY" => SECRET,
        "EMPTY" => "",
        "PORT" => "9999",
        _ => return None,
    };
    Some(value.to_owned())
}

fn nothing_set(_: &str) -> Option<String> {
    None
}

fn loaded(text: &str) -> Loaded {
    load_text(text, &environment).unwrap_or_else(|problems| panic!("{text}\n{}", listed(&problems)))
}

fn refused(text: &str) -> Vec<Problem> {
    load_text(text, &environment).err().unwrap_or_else(|| panic!("this loads:\n{text}"))
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn guide_blocks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/guide");
    let mut blocks = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect::<Vec<_>>();
    blocks.sort();
    blocks
}

#[test]
fn every_block_of_the_guide_loads_as_it_stands() {
    let blocks = guide_blocks();
    assert_eq!(blocks.len(), 21);
    for (path, block) in blocks {
        let problems = load_text(&block, &nothing_set).err().unwrap_or_default();
        assert_eq!(problems, [], "{path}");
    }
}

#[test]
fn all_blocks_of_the_guide_load_as_one_file() {
    let mut whole = serde_yaml::Value::Mapping(serde_yaml::Mapping::new());
    for (_, block) in guide_blocks() {
        merge(&mut whole, serde_yaml::from_str(&block).unwrap());
    }
    let text = serde_yaml::to_string(&whole).unwrap();
    let config = load_text(&text, &nothing_set).map_err(|problems| listed(&problems)).unwrap().config;
    assert_eq!(config.providers["claude"].quota.as_ref().unwrap().limit.whole(), Some(1_000_000));
    assert_eq!(config.providers["gemini"].priority, 2);
    assert_eq!(config.alerts.rules.len(), 4);
    assert_eq!(config.server.failover.peers.len(), 3);
    assert_eq!(config.server.operations.connection_pool.idle_conn_timeout.to_string(), "90s");
}

fn merge(into: &mut serde_yaml::Value, from: serde_yaml::Value) {
    match (into, from) {
        (serde_yaml::Value::Mapping(into), serde_yaml::Value::Mapping(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_yaml::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[test]
fn every_broken_configuration_says_what_is_wrong_and_where() {
    let mut failures = Vec::new();
    for (text, expected) in broken::TABLE {
        let problems = refused(text);
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let found = errors.map(|problem| (problem.path.as_str(), problem.line, problem.message.as_str()));
        let found = found.collect::<Vec<_>>();
        let fits = |((path, line, fragment), found): (&(&str, usize, &str), &(&str, usize, &str))| {
            *path == found.0 && *line == found.1 && found.2.contains(fragment)
        };
        if found.len() != expected.len() || !expected.iter().zip(&found).all(fits) {
            failures.push(format!("{text}\nexpected {expected:#?}\nfound {found:#?}\n"));
        }
        let said = listed(&problems);
        assert!(!said.contains(SECRET) && !said.contains("sk-"), "a secret is told: {said}");
    }
    assert!(broken::TABLE.len() >= 50);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_provider_with_a_preset_needs_no_more_than_its_name() {
    let config = loaded("providers:\n  openai:\n").config;
    let provider = &config.providers["openai"];
    assert_eq!(provider.keys().map(Secret::expose).collect::<Vec<_>>(), [SECRET]);
    assert_eq!((provider.priority, provider.weight, provider.enabled), (100, 1, true));
}

#[test]
fn a_provider_whose_variables_are_all_unset_is_known_as_keyless() {
    let names = |text| loaded(text).keyless.into_iter().collect::<Vec<_>>();
    assert_eq!(names("providers: {openai: {api_key: '${UNSET}'}, ollama: }"), ["openai"]);
    assert_eq!(names("providers: {ollama: {api_keys: ['${UNSET}', '${EMPTY}']}}"), ["ollama"]);
    assert_eq!(
        names("providers: {openai: {api_keys: ['${UNSET}', a]}, ollama: {api_keys: []}}"),
        Vec::<String>::new()
    );
}

#[test]
fn an_empty_file_is_all_defaults() {
    let loaded = loaded("");
    assert_eq!(loaded.config.server, Config::default().server);
    assert_eq!(loaded.inactive, []);
    assert_eq!(loaded.warnings.len(), 1, "that there are no providers");
}

/// Each row: a file, the path of its only warning, and a part of the message.
const WARNINGS: &[(&str, &str, &str)] = &[
    (
        "providers: {openai: {api_key: '${UNSET}'}}",
        "providers.openai.api_key",
        "UNSET is not set: the provider starts",
    ),
    (
        "providers: {openai: {api_keys: [a, '${UNSET}']}}",
        "providers.openai.api_keys[1]",
        "the provider starts without",
    ),
    ("providers: {openai: {api_key: '${EMPTY}'}}", "providers.openai.api_key", "EMPTY is not set"),
    ("providers: {claude: }", "providers.claude", "has no key: set ANTHROPIC_API_KEY"),
    (
        "providers: {openai: , claude: {enabled: false, headers: {x-a: '${UNSET}'}}}",
        "providers.claude.headers.x-a",
        "nothing uses it now",
    ),
    (
        "providers: {openai: }\nnotifications: {slack: {webhook_url: '${UNSET}'}}",
        "notifications.slack.webhook_url",
        "the channel is inactive",
    ),
    (
        "providers: {openai: }\nmetrics: {enabled: false, token: '${UNSET}'}",
        "metrics.token",
        "nothing uses it now",
    ),
    (
        "providers: {openai: }\nserver: {failover: {secret: '${UNSET}'}}",
        "server.failover.secret",
        "nothing uses it",
    ),
    ("providers: {openai: }\nstate: {url: '${UNSET}'}", "state.url", "nothing uses it now"),
    (
        "providers: {openai: }\nalerts: {rules: [{name: a, condition: b, notifications: slakc}]}",
        "alerts.rules[0].notifications",
        "there is no channel `slakc`; did you mean `slack`?",
    ),
    (
        "providers: {openai: }\nalerts: {rules: [{name: a, condition: b, notifications: [email]}]}",
        "alerts.rules[0].notifications",
        "not configured",
    ),
    (
        "providers: {openai: , claude: {enabled: false}}\nmodels: {a: {targets: [{provider: claude}]}}",
        "models.a.targets[0].provider",
        "switched off",
    ),
];

#[test]
fn what_the_gateway_can_do_without_is_a_warning() {
    for (text, path, fragment) in WARNINGS {
        let warnings = loaded(text).warnings;
        assert_eq!(warnings.len(), 1, "{text}\n{}", listed(&warnings));
        assert_eq!(warnings[0].path, *path);
        assert!(warnings[0].message.contains(fragment), "{}", warnings[0]);
        assert_eq!(warnings[0].severity, Severity::Warning);
    }
}

#[test]
fn variables_expand_and_never_become_yaml() {
    let host = |value: &str| {
        let text = format!("providers: {{openai: {{headers: {{x-a: '{value}'}}}}}}");
        loaded(&text).config.providers["openai"].headers["x-a"].expose().to_owned()
    };
    assert_eq!(host("a-${PORT}-${PORT}"), "a-9999-9999");
    assert_eq!(host("${UNSET:-b}"), "b");
    assert_eq!(host("${EMPTY:-c:d}"), "c:d");
    assert_eq!(host("$${PORT} $5 $"), "${PORT} $5 $");
    let injected = |name: &str| (name == "A").then(|| "x\"}, port: 1, y: {".to_owned());
    let config = load_text("server: {auth: {api_keys: ['${A}']}}", &injected).unwrap().config;
    let key = config.server.auth.api_keys[0].key.clone();
    assert_eq!(key.unwrap().expose(), "x\"}, port: 1, y: {");
    let torn = |name: &str| (name == "A").then(|| "key\r\n".to_owned());
    let problems = load_text("server: {auth: {api_keys: ['${A}']}}", &torn).unwrap_err();
    assert!(problems.iter().any(|problem| problem.message.contains("white space")), "{problems:?}");
    assert_eq!(loaded("server: {port: '${PORT}'}").config.server.port.0, 9999);
}

#[test]
fn the_environment_stands_for_what_the_file_leaves_out() {
    let set = |name: &str| match name {
        "CLIPROXY_HOST" => Some("0.0.0.0".to_owned()),
        "CLIPROXY_STATE_DIR" => Some("/state".to_owned()),
        "CLIPROXY_OPERATIONS_TOKEN" => Some("token".to_owned()),
        _ => None,
    };
    let config = load_text("state_dir: ./here", &set).unwrap().config;
    assert_eq!(config.server.host.to_string(), "0.0.0.0");
    assert_eq!(config.metrics.host, Some(config.server.host));
    assert_eq!(config.state_dir, Path::new("./here"));
    assert_eq!(config.server.operations.api.token.unwrap().expose(), "token");
}

#[test]
fn what_this_release_does_not_do_yet_is_listed_when_it_is_asked_for() {
    let paths = |text| loaded(text).inactive.iter().map(|part| part.path).collect::<Vec<_>>();
    assert_eq!(paths("providers: {openai: }"), Vec::<&str>::new());
    assert_eq!(paths("server: {operations: {cache: {enabled: false}}}"), Vec::<&str>::new());
    assert_eq!(paths("server: {operations: {cache: {enabled: true}}}"), ["server.operations.cache"]);
    assert_eq!(paths("providers: {openai: {quota: {limit: 5}}}"), ["providers.*.quota"]);
}

#[test]
fn the_effective_configuration_masks_secrets_and_loads_again() {
    let text = "server: {auth: {api_keys: [sk-client, {key: sk-other, name: b}]}}\nproviders: {openai: {priority: 7}}";
    let config = loaded(text).config;
    let printed = effective(&config);
    assert!(!printed.contains(SECRET) && !printed.contains("sk-"), "{printed}");
    assert!(printed.contains("api_key: '***'") && printed.contains("priority: 7\n"), "{printed}");
    // Two masked client keys would be the same key twice, so this one has none.
    let one = loaded("providers: {openai: {priority: 7, weight: 3}}").config;
    let again = loaded(&effective(&one)).config;
    assert_eq!(effective(&again), effective(&one));
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_its_own() {
    let problems = load(Path::new("/nowhere/config.yaml"), &nothing_set).unwrap_err();
    assert!(problems[0].message.starts_with("there is no such file"), "{}", problems[0]);
}

fn anything_like_yaml() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("server:"),
        Just("providers:"),
        Just("auth:"),
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("- "),
        Just("&a "),
        Just("*a"),
        Just("${"),
        Just("}"),
        Just(":-"),
        Just("{"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just(">\n"),
        Just("? "),
        Just(": "),
        Just("#"),
        Just("---\n"),
        Just("!x "),
        Just("port: 0"),
        Just("api_keys:"),
        Just("\t"),
        Just("é"),
        Just("%YAML 1.2\n"),
        Just("<<: "),
        Just("\r\n"),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    // A failure becomes a row or a test with a name, not a seed in a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_loaded_or_refused_at_a_line_that_exists(text in prop_oneof![any::<String>(), anything_like_yaml()]) {
        let problems = match load_text(&text, &environment) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        let lines = text.split('\n').count();
        for problem in problems {
            prop_assert!((1..=lines).contains(&problem.line), "{problem} of {lines} lines in {text:?}");
        }
    }
}
