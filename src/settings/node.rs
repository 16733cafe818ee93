//! A parsed value that still knows where it stood.

/// A value with the place of its first character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Line, from 1; 0 for a value that no file holds.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The value.
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A text; numbers and booleans are typed by who reads them.
    Scalar {
        /// The text, variables expanded.
        text: String,
        /// Whether it was written in quotes.
        quoted: bool,
        /// Whether any of it came from the environment, so that no message may repeat it.
        expanded: bool,
    },
    /// A text with variables that are not set.
    Unset {
        /// Their names; none if what is wrong with them has been reported already.
        variables: Vec<String>,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; duplicate keys are all here.
    Map(Vec<Entry>),
}

/// One key of a map, with its own place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A value that no file holds.
    pub fn written(value: Value) -> Node {
        Node { line: 0, column: 0, value }
    }

    /// A text that no file holds.
    pub fn text(text: impl Into<String>) -> Node {
        Node::written(Value::Scalar { text: text.into(), quoted: false, expanded: false })
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The first entry of that key, unless its value is nothing.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
            .filter(|node| !node.is_null())
    }

    /// The value at that key, or the whole where it has no such key: where to point to.
    pub fn at(&self, key: &str) -> &Node {
        self.get(key).unwrap_or(self)
    }

    /// What kind of thing it is, for "expected …, found …".
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { expanded: true, .. } => "the text of a variable",
            Value::Scalar { .. } => "a text",
            Value::Unset { .. } => "an unset variable",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The same, with the text itself if it is short and did not come from the environment.
    pub fn describe(&self) -> String {
        const LONGEST_QUOTE: usize = 40;
        match &self.value {
            Value::Scalar { text, expanded: false, .. } if text.len() <= LONGEST_QUOTE => {
                format!("`{}`", text.escape_debug())
            }
            _ => self.kind().to_owned(),
        }
    }
}
