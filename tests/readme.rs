//! README.md tells the truth: its configurations load, its commands exist, its metrics are the metrics.

use crate::support::{Gateway, Provider};
use clap::Parser as _;
use cliproxy::cli::Cli;
use cliproxy::config::load_text;
use cliproxy::observe::METRICS;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// README.md's promise: it can be read at one sitting.
const MAX_LINES: usize = 150;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

/// The code blocks of that language.
fn blocks(language: &str) -> Vec<String> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in readme().lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(begins), None) => open = Some((begins == language, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text));
            }
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(!blocks.is_empty(), "README.md has no block of {language}");
    blocks
}

/// Every line of its shell blocks.
fn commands() -> Vec<String> {
    blocks("sh").concat().lines().map(str::to_owned).collect()
}

fn check(yaml: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("mine.yaml");
    std::fs::write(&config, yaml).expect("a config file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cliproxy"));
    command.arg("--config").arg(config).arg("check").env_clear();
    for key in [
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GEMINI_API_KEY",
        "TEAM_A_KEY",
        "OPENAI_KEY_1",
        "OPENAI_KEY_2",
    ] {
        command.env(key, format!("value-of-{key}"));
    }
    command.output().expect("the binary")
}

#[test]
fn every_configuration_loads_without_a_word() {
    for yaml in blocks("yaml") {
        let output = check(&yaml);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{yaml}\n{said}");
        assert!(said.ends_with(": no problems\n") && said.lines().count() == 1, "{yaml}\n{said}");
    }
}

#[test]
fn the_first_configuration_is_three_providers_with_keys_from_the_environment() {
    let yaml = blocks("yaml").remove(0);
    let with_key = |name: &str| name.ends_with("_API_KEY").then(|| "a-key".to_owned());
    let loaded = load_text(&yaml, &with_key).expect("loads");
    assert_eq!(loaded.config.providers.keys().collect::<Vec<_>>(), ["claude", "gemini", "openai"]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    for variable in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"] {
        let without = |name: &str| with_key(name).filter(|_| name != variable);
        let warnings = load_text(&yaml, &without).expect("loads").warnings;
        assert!(
            matches!(&warnings[..], [one] if one.to_string().contains("no key")),
            "{variable}: {warnings:?}"
        );
        assert!(readme().contains(variable), "{variable}");
    }
}

#[test]
fn the_two_commands_come_first() {
    assert_eq!(commands()[..2], ["cargo run --locked -- demo", "cargo test --locked"]);
}

#[test]
fn every_command_of_the_binary_exists() {
    let mut found = 0;
    for command in commands() {
        let Some(arguments) = command.strip_prefix("cargo run --locked -- ") else { continue };
        found += 1;
        let parsed = Cli::try_parse_from(std::iter::once("cliproxy").chain(arguments.split_whitespace()));
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
    }
    assert!(found >= 3, "{found}");
}

#[test]
fn every_curl_is_answered() {
    let provider = Provider::openai();
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml_with("own", &["models: [m]"])));
    let mut found = 0;
    for command in commands() {
        let unquoted = command.replace('\'', "");
        let Some(url) = unquoted.strip_prefix("curl http://localhost:") else { continue };
        found += 1;
        let (port, path) = url.split_at(4);
        let client = if port == "8317" { gateway.client() } else { gateway.operations() };
        assert!(["8317", "9090"].contains(&port), "{command}");
        client.get(path).send().expect(200);
    }
    assert!(found >= 4, "{found}");
}

#[test]
fn the_table_of_metrics_is_the_catalogue() {
    let text = readme();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `cliproxy_")?.strip_suffix(" |"));
    let told: BTreeMap<String, Vec<&str>> = rows
        .map(|row| row.split_once("` | ").or(row.split_once("` |")).expect("name and labels"))
        .map(|(name, labels)| {
            let labels = labels
                .split(", ")
                .map(|label| label.trim_matches(['`', ' ']))
                .filter(|label| !label.is_empty());
            (format!("cliproxy_{name}"), labels.collect())
        })
        .collect();
    let ours = METRICS.iter().filter(|metric| metric.name.starts_with("cliproxy_"));
    assert_eq!(told, ours.map(|metric| (metric.name.to_owned(), metric.labels.to_vec())).collect());
}

#[test]
fn every_sdk_has_its_line() {
    let python = blocks("python").concat();
    for call in ["openai.OpenAI(", "anthropic.Anthropic(", "genai.Client("] {
        let line = python.lines().find(|line| line.contains(call)).unwrap_or_else(|| panic!("{call}"));
        assert!(line.contains("base_url") && line.contains("http://127.0.0.1:8317"), "{line}");
    }
}

#[test]
fn every_file_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "conf/config.yaml",
        "CHANGELOG.md",
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
        "docker-compose.yml",
        "grafana",
        "tests/sdk",
    ] {
        assert!(readme().contains(file) && root.join(file).exists(), "{file}");
    }
    assert!(readme().lines().count() < MAX_LINES, "under {MAX_LINES} lines");
}
