//! The toolkit with which every room declares its settings: once, with type, default and doc line together.
//!
//! A room writes `settings! { pub struct Limits { … } }` and gets the struct, its `Default`, a reader that
//! reports every problem with its place, a writer for the effective configuration, and a table of its
//! keys for the reference file and the docs. What a value looks like is decided by its type: see [`Setting`].
//!
//! Nothing here knows YAML, files or the environment: `config` makes the [`Node`]s. Secrets are written
//! as `***`, and a text that came from the environment is never repeated in a message.

mod collections;
mod declare;
mod node;
mod price;
mod problems;
mod scalars;
mod url;

pub use collections::OneOrMany;
pub use declare::{Fields, Key};
pub(crate) use declare::{choices, read_word, settings, write_map};
pub use node::{Entry, Node, Value};
pub use problems::{Problem, Problems, Severity};
pub use scalars::{OrOff, Port, Scalar, Timestamp};
pub use url::{Scheme, Url};

/// A value that can be read from a configuration and written back.
pub trait Setting: Sized {
    /// What is expected, to complete "expected …" in messages.
    const FORM: &'static str;

    /// Reads the value, or reports why it can't.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The value as it would be written; secrets masked.
    fn write(&self) -> Node;

    /// Which keys there are below, for the reference file and the docs.
    fn shape() -> Shape {
        Shape::Scalar
    }
}

/// What is below a key.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A plain value.
    Scalar,
    /// The keys of a declared struct.
    Keys(&'static [Key]),
    /// A list of such.
    List(fn() -> Shape),
    /// A map from names that the operator chooses to such.
    Map(fn() -> Shape),
}

/// The name nearest to `name`, if one is near enough to be a slip of the keyboard: one letter in three.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes time and space by the product of the lengths.
    const LONGEST_COMPARED: usize = 64;
    let length = name.chars().count();
    let far = (length / 3).max(1).min(length.saturating_sub(1));
    known
        .into_iter()
        .filter(|candidate| name.len() <= LONGEST_COMPARED && candidate.len() <= LONGEST_COMPARED)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
