//! The problems of a configuration, collected with their places, all at once.

use super::Node;
use std::fmt;

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can't.
    Error,
    /// It can, and the operator should know.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key path: `server.operations.retry.max_attempts`. Empty for the file itself.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what is expected. Never a secret.
    pub message: String,
    /// Whether the configuration can be used all the same.
    pub severity: Severity,
    /// The variable that is not set, if that is all that is wrong: some parts can do without.
    pub unset: Option<String>,
}

/// `3:7: error: server.port: expected …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A problem of the file as a whole has no place in it.
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}: ", self.severity)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A collector of problems that knows the path of what is being read.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    path: String,
}

impl Problems {
    /// Nothing found yet.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Runs `read` with the path led on to `key`.
    pub fn at_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Problems) -> T) -> T {
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        let step = match (plain, self.path.is_empty()) {
            (true, true) => key.to_owned(),
            (true, false) => format!(".{key}"),
            (false, _) => format!("[{key:?}]"),
        };
        self.at_step(&step, read)
    }

    /// Runs `read` with the path led on to a list's item.
    pub fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Problems) -> T) -> T {
        self.at_step(&format!("[{index}]"), read)
    }

    fn at_step<T>(&mut self, step: &str, read: impl FnOnce(&mut Problems) -> T) -> T {
        let parent = self.path.len();
        self.path.push_str(step);
        let result = read(self);
        self.path.truncate(parent);
        result
    }

    /// Reports an error at a node.
    pub fn error(&mut self, node: &Node, message: impl Into<String>) {
        self.report(Severity::Error, (node.line, node.column), message.into());
    }

    /// Reports an error at one key of a map.
    pub fn error_at(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        self.at_key(key, |problems| problems.error(node.at(key), message));
    }

    /// Reports an error at a place.
    pub fn error_at_place(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.report(Severity::Error, (line, column), message.into());
    }

    /// Reports a warning at a node.
    pub fn warning(&mut self, node: &Node, message: impl Into<String>) {
        self.report(Severity::Warning, (node.line, node.column), message.into());
    }

    /// Reports a warning at one key of a map.
    pub fn warning_at(&mut self, node: &Node, key: &str, message: impl Into<String>) {
        self.at_key(key, |problems| problems.warning(node.at(key), message));
    }

    /// Reports that a node is not of the form that is expected there, but what was `found`.
    pub fn unexpected(&mut self, node: &Node, form: &str, found: &str) {
        let super::Value::Unset { variables } = &node.value else {
            return self.error(node, format!("expected {form}, found {found}"));
        };
        for variable in variables {
            self.error(node, format!("the environment variable {variable} is not set"));
            if let Some(problem) = self.found.last_mut() {
                problem.unset = Some(variable.clone());
            }
        }
    }

    fn report(&mut self, severity: Severity, (line, column): (usize, usize), message: String) {
        let path = self.path.clone();
        let (line, column) = (line.max(1), column.max(1));
        self.found.push(Problem { path, line, column, message, severity, unset: None });
    }

    /// The path of what is being read.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether any of them makes the configuration unusable.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Masks a text from the environment wherever a message repeats it.
    pub fn mask(&mut self, secret: &str) {
        // A shorter one is no secret, and would be found in the words of the message.
        const SHORTEST_SECRET: usize = 6;
        if secret.len() >= SHORTEST_SECRET {
            for problem in &mut self.found {
                problem.message = problem.message.replace(secret, "***");
            }
        }
    }

    /// All of them, to look at or to weigh anew.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Problem> {
        self.found.iter_mut()
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
        self.found
    }
}
