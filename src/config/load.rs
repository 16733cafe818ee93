//! From a path and an environment to a configuration, or to all that is wrong with it.

use super::{Config, Inactive, cross, inactive, leniency, variables, yaml};
use crate::settings::{Entry, Node, Problem, Problems, Setting, Severity, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// How a variable is looked up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables that stand for a key which the file leaves out.
const DEFAULTS_FROM_ENVIRONMENT: &[(&[&str], &str)] = &[
    (&["server", "host"], "CLIPROXY_HOST"),
    (&["server", "operations", "api", "token"], "CLIPROXY_OPERATIONS_TOKEN"),
    (&["auth_dir"], "CLIPROXY_AUTH_DIR"),
    (&["state_dir"], "CLIPROXY_STATE_DIR"),
];

/// What helps who has no configuration.
const WHERE_TO_LOOK: &str = "A configuration is named by --config or $CLIPROXY_CONFIG; without, conf/config.yaml and \
    /config/config.yaml are looked for. `cliproxy demo` needs none.";

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// What the operator should know about it, in the order of the file.
    pub warnings: Vec<Problem>,
    /// What it asks for and this release doesn't do.
    pub inactive: Vec<Inactive>,
    /// The providers whose keys come from variables that are all unset: without a key from elsewhere
    /// they can't serve, even where nothing else says that they need one.
    pub keyless: BTreeSet<String>,
}

/// The environment of this process.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where the configuration is: `given`, else `$CLIPROXY_CONFIG`, else `conf/config.yaml`, else
/// `/config/config.yaml`.
pub fn locate(given: Option<PathBuf>, environment: Environment<'_>) -> PathBuf {
    const HERE: &str = "conf/config.yaml";
    const IN_THE_IMAGE: &str = "/config/config.yaml";
    given
        .or_else(|| environment("CLIPROXY_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(if Path::new(HERE).exists() { HERE } else { IN_THE_IMAGE }))
}

/// Reads and checks the configuration in that file.
///
/// # Errors
/// All problems at once, warnings among them, in the order of the file.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    match read(path) {
        Ok(text) => load_text(&text, environment),
        Err(message) => Err(vec![no_place(whole_file(message))]),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(yaml::MAX_BYTES + 1).unwrap_or(u64::MAX);
    std::fs::File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)).map_err(|error| {
        match error.kind() {
            ErrorKind::NotFound => format!("there is no such file. {WHERE_TO_LOOK}"),
            _ => format!("can't be read: {error}"),
        }
    })?;
    if bytes.len() > yaml::MAX_BYTES {
        return Err(format!("is larger than {} bytes", yaml::MAX_BYTES));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// A file that isn't there has no lines.
fn no_place(problem: Problem) -> Problem {
    Problem { line: 0, column: 0, ..problem }
}

fn whole_file(message: String) -> Problem {
    Problem { path: String::new(), line: 1, column: 1, message, severity: Severity::Error, unset: None }
}

/// Checks a configuration that has been read already.
///
/// # Errors
/// As [`load`].
pub fn load_text(text: &str, environment: Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    // What a variable holds may stand in a message in the place of a name: no message repeats it.
    let told = RefCell::new(BTreeSet::new());
    let remember = |name: &str| {
        let value = environment(name);
        told.borrow_mut().extend(value.clone());
        value
    };
    let mut problems = Problems::new();
    let read = check_text(text, &remember, &mut problems);
    told.take().iter().for_each(|value| problems.mask(value));
    match read.filter(|_| !problems.has_errors()) {
        Some(loaded) => Ok(Loaded { warnings: problems.into_sorted(), ..loaded }),
        None => Err(problems.into_sorted()),
    }
}

fn check_text(text: &str, environment: Environment<'_>, problems: &mut Problems) -> Option<Loaded> {
    let mut root = parse(text, environment, problems)?;
    for (path, variable) in DEFAULTS_FROM_ENVIRONMENT {
        if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
            put_if_absent(&mut root, path, value);
        }
    }
    let mut config = Config::read(&root, problems)?;
    config.metrics.host.get_or_insert(config.server.host);
    cross::credentials_from_environment(&mut config, &root, environment, problems);
    cross::check(&config, &root, problems);
    leniency::apply(&config, problems);
    let (inactive, keyless) = (inactive::inactive(&config, &root), cross::keyless(&config, &root));
    Some(Loaded { config, warnings: Vec::new(), inactive, keyless })
}

/// A text as nodes, variables expanded: for `load_text`, and for the credential files of `auth_dir`.
pub fn parse(text: &str, environment: Environment<'_>, problems: &mut Problems) -> Option<Node> {
    match yaml::parse(text) {
        Ok(mut root) => {
            variables::expand(&mut root, environment, problems);
            Some(root)
        }
        Err(error) => {
            problems.error_at_place(error.line, error.column, error.message);
            None
        }
    }
}

/// Gives the key at `path` a value from the environment, unless the file has one, or has no place for it.
fn put_if_absent(node: &mut Node, path: &[&str], text: String) {
    let place = (node.line, node.column);
    let Some((key, below)) = path.split_first() else {
        if node.is_null() {
            node.value = Value::Scalar { text, quoted: true, expanded: true };
        }
        return;
    };
    if node.is_null() {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else { return };
    let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
        let (line, column) = place;
        let value = Node { line, column, value: Value::Null };
        entries.push(Entry { key: (*key).to_owned(), line, column, value });
        entries.len() - 1
    });
    if let Some(entry) = entries.get_mut(index) {
        put_if_absent(&mut entry.value, below, text);
    }
}
