//! YAML, as nodes that know their places.
//!
//! The bounds are far above any real configuration; they keep a bomb of aliases, or of brackets, small.

use crate::settings::{Entry, Node, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// The most values in a file, each alias counting as what it stands for.
pub const MAX_NODES: usize = 100_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// Why a text is not a configuration in YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Parses one document. An empty one is [`Value::Null`].
///
/// # Errors
/// The first thing that is not YAML, or that is more than the bounds allow.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    // The parser's places at the end of a text can be past its last line.
    let last_line = text.lines().count().max(1);
    let mut builder = Builder { last_line, ..Builder::default() };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                let place = *error.marker();
                let line = place.line().clamp(1, last_line);
                let message = format!("this is not YAML: {}", error.info());
                return Err(SyntaxError { line, column: place.col() + 1, message });
            }
        }
    }
    Ok(builder.root.unwrap_or(Node { line: 1, column: 1, value: Value::Null }))
}

/// A list or map that is not complete.
struct Open {
    node: Node,
    anchor: usize,
    /// Values inside, for the bound on aliases.
    size: usize,
    /// The key whose value comes next.
    key: Option<(String, usize, usize)>,
}

/// A complete value, for aliases to it, and how many values it holds.
type Anchored = (Node, usize);

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
    last_line: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let place = (span.start.line().clamp(1, self.last_line), span.start.col() + 1);
        let node = |value| Node { line: place.0, column: place.1, value };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    refuse(place, "a configuration is one document, without `---`")
                } else {
                    Ok(())
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_ref(), place)?;
                self.complete(node(scalar(text.into_owned(), style)), anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_ref(), place)?;
                self.push(node(Value::List(Vec::new())), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_ref(), place)?;
                self.push(node(Value::Map(Vec::new())), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.complete(open.node, open.anchor, open.size + 1),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                // The copy keeps the places of the original: that is where its problems are.
                Some((copy, size)) => {
                    self.count(size, place)?;
                    self.place(copy, size)
                }
                None => refuse(place, "an alias can't stand for something that it is part of"),
            },
        }
    }

    fn push(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        let place = (node.line, node.column);
        if self.open.len() >= MAX_DEPTH {
            return refuse(place, format!("more than {MAX_DEPTH} levels of nesting"));
        }
        if self.open.last().is_some_and(|open| open.key.is_none() && matches!(open.node.value, Value::Map(_)))
        {
            return refuse(place, "a key must be a plain text");
        }
        self.open.push(Open { node, anchor, size: 0, key: None });
        Ok(())
    }

    fn complete(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), SyntaxError> {
        self.count(1, (node.line, node.column))?;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.place(node, size)
    }

    fn count(&mut self, nodes: usize, place: (usize, usize)) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES { refuse(place, format!("more than {MAX_NODES} values")) } else { Ok(()) }
    }

    /// Puts a complete value where it belongs: root, list item, key or value.
    fn place(&mut self, node: Node, size: usize) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size += size;
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, line, column))) => {
                entries.push(Entry { key, line, column, value: node });
            }
            (_, _) => {
                let (line, column) = (node.line, node.column);
                match node.value {
                    Value::Scalar { text, .. } => open.key = Some((text, line, column)),
                    _ => return refuse((line, column), "a key must be a plain text"),
                }
            }
        }
        Ok(())
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text, quoted, expanded: false }
}

fn check_tag(tag: Option<&Cow<'_, Tag>>, place: (usize, usize)) -> Result<(), SyntaxError> {
    if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
        return refuse(place, "tags of one's own have no meaning here");
    }
    Ok(())
}

fn refuse<T>((line, column): (usize, usize), message: impl Into<String>) -> Result<T, SyntaxError> {
    Err(SyntaxError { line, column, message: message.into() })
}
