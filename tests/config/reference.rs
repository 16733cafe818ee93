//! The reference file says what the code says: every key, every default, and nothing else.

use super::{listed, nothing_set};
use cliproxy::config::{Config, load_text, yaml};
use cliproxy::domain::Period;
use cliproxy::settings::{Key, Node, Setting, Shape, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Each key path of a tree, `*` for names and indexes, with its values.
type Paths = BTreeMap<String, Vec<Node>>;

fn reference() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/config.yaml")).unwrap()
}

/// The reference with its examples in force: `#key` without the `#`.
fn reference_in_full() -> String {
    let uncomment = |line: &str| {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        match text.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')) {
            Some(example) => format!("{indent}{example}\n"),
            None => format!("{line}\n"),
        }
    };
    reference().lines().map(uncomment).collect()
}

/// Walks the written keys along the declared ones. Keys that are not declared are found by loading.
fn written(node: &Node, shape: Shape, path: &str, found: &mut Paths) {
    let step = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (&node.value, shape) {
        (Value::Map(entries), Shape::Keys(keys)) => {
            for key in keys {
                for entry in entries.iter().filter(|entry| entry.key == key.name) {
                    found.entry(step(key.name)).or_default().push(entry.value.clone());
                    written(&entry.value, (key.shape)(), &step(key.name), found);
                }
            }
        }
        (Value::Map(entries), Shape::Map(below)) => {
            entries.iter().for_each(|entry| written(&entry.value, below(), &step("*"), found));
        }
        (Value::List(items), Shape::List(below)) => {
            items.iter().for_each(|item| written(item, below(), &step("*"), found));
        }
        _ => {}
    }
}

fn declared(shape: Shape, path: &str, found: &mut BTreeMap<String, Key>) {
    let step = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match shape {
        Shape::Keys(keys) => {
            for key in keys {
                found.insert(step(key.name), *key);
                declared((key.shape)(), &step(key.name), found);
            }
        }
        Shape::List(below) | Shape::Map(below) => declared(below(), &step("*"), found),
        Shape::Scalar => {}
    }
}

fn declared_keys() -> BTreeMap<String, Key> {
    let mut keys = BTreeMap::new();
    declared(Config::shape(), "", &mut keys);
    keys
}

#[test]
fn the_reference_loads_without_any_variable() {
    let loaded = load_text(&reference(), &nothing_set).map_err(|problems| listed(&problems)).unwrap();
    assert!(loaded.warnings.iter().all(|warning| warning.message.contains("has no key")));
}

#[test]
fn the_reference_loads_with_all_its_examples() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.pem");
    std::fs::write(&file, "").unwrap();
    let text = reference_in_full();
    let with_files =
        text.split_whitespace().filter(|word| word.starts_with("/etc/cliproxy/")).collect::<BTreeSet<_>>();
    let text =
        with_files.iter().fold(text.clone(), |text, name| text.replace(name, &file.display().to_string()));
    let anything = |name: &str| match name {
        "SLACK_WEBHOOK_URL" | "ALERT_WEBHOOK_URL" => Some("https://hooks.example.com/1".to_owned()),
        "CLIPROXY_HOST" => None,
        name => Some(format!("value-of-{name}")),
    };
    let loaded = load_text(&text, &anything).map_err(|problems| listed(&problems)).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_reference_has_every_declared_key() {
    let (mut paths, root) = (Paths::new(), yaml::parse(&reference_in_full()).unwrap());
    written(&root, Config::shape(), "", &mut paths);
    let missing = declared_keys().into_keys().filter(|path| !paths.contains_key(path)).collect::<Vec<_>>();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_reference_gives_the_defaults_that_the_code_has() {
    let (mut paths, root) = (Paths::new(), yaml::parse(&reference_in_full()).unwrap());
    written(&root, Config::shape(), "", &mut paths);
    for (path, key) in declared_keys() {
        let default = plain(&(key.default)().unwrap_or_else(|| Node::written(Value::Null)));
        let is_example = default == "null" || default.is_empty() || !matches!((key.shape)(), Shape::Scalar);
        if is_example {
            continue;
        }
        let values =
            paths.get(&path).map(|nodes| nodes.iter().map(plain).collect::<Vec<_>>()).unwrap_or_default();
        assert!(values.contains(&default), "{path}: {values:?} in the file, {default} in the code");
    }
}

fn plain(node: &Node) -> String {
    match &node.value {
        // 60s and 1m are the same.
        Value::Scalar { text, .. } => {
            Period::parse(text).map_or_else(|| text.clone(), |period| period.to_string())
        }
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        _ => "null".to_owned(),
    }
}

#[test]
fn every_doc_line_that_gives_a_default_gives_the_right_one() {
    for (path, key) in declared_keys() {
        let default = plain(&(key.default)().unwrap_or_else(|| Node::written(Value::Null)));
        let Some((_, told)) = key.doc.rsplit_once("default ").filter(|(_, told)| !told.starts_with('`'))
        else {
            continue;
        };
        let told = told.split([',', ' ']).next().unwrap_or_default().trim_end_matches('.');
        assert_eq!(plain(&Node::text(told)), default, "{path}: {}", key.doc);
    }
}
