//! The two macros: `settings!` declares a struct of keys, `choices!` an enum of words.

use super::{Entry, Node, Problems, Setting, Shape, Value, nearest};
use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// One declared key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The first line of its doc.
    pub doc: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// The default as it would be written; nothing for a required key, `null` for none.
    pub default: fn() -> Option<Node>,
    /// What is below it.
    pub shape: fn() -> Shape,
}

/// The keys of one map while they are read.
pub struct Fields<'a>(&'a Node);

impl<'a> Fields<'a> {
    /// Opens a map, reporting keys that are unknown or given twice. An empty value is an empty map.
    pub fn open(node: &'a Node, known: &[&str], form: &str, problems: &mut Problems) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            if node.is_null() {
                return Some(Fields(node));
            }
            problems.unexpected(node, form, node.kind());
            return None;
        };
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                report_unknown(entry, known, problems);
            } else if let Some(first) = lines.insert(&entry.key, entry.line) {
                let message = format!("is given twice, first in line {first}");
                problems.at_key(&entry.key, |at| at.error_at_place(entry.line, entry.column, message));
            }
        }
        Some(Fields(node))
    }

    /// The value of a key that may be left out.
    pub fn optional<T: Setting>(&self, key: &str, problems: &mut Problems) -> Option<T> {
        let node = self.0.get(key)?;
        problems.at_key(key, |problems| T::read(node, problems))
    }

    /// The value of a key that must be given.
    pub fn required<T: Setting>(&self, key: &str, problems: &mut Problems) -> Option<T> {
        if self.0.get(key).is_none() {
            let missing = format!("is required: {}", T::FORM);
            problems.error_at(self.0, key, missing);
        }
        self.optional(key, problems)
    }

    /// Holds a number to its range.
    pub fn bounded<T: Count>(
        &self,
        (key, range_text): (&str, &str),
        value: &Option<T>,
        range: impl RangeBounds<u64>,
        problems: &mut Problems,
    ) {
        if value.as_ref().and_then(T::count).is_some_and(|count| !range.contains(&count)) {
            problems.error_at(self.0, key, format!("must be within {range_text}"));
        }
    }
}

/// Keys that don't look like one are not repeated: a key in the wrong place may be a secret.
fn report_unknown(entry: &Entry, known: &[&str], problems: &mut Problems) {
    const LONGEST_NAME: usize = 40;
    let named = entry.key.len() <= LONGEST_NAME
        && entry.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !named {
        let message = "there is a key here that is not a setting's name";
        return problems.error_at_place(entry.line, entry.column, message);
    }
    let message = match nearest(&entry.key, known.iter().copied()) {
        Some(near) => format!("is not a known key; did you mean `{near}`?"),
        None => format!("is not a known key; known here: {}", known.join(", ")),
    };
    problems.at_key(&entry.key, |at| at.error_at_place(entry.line, entry.column, message));
}

/// A number, given or not, that a range can hold.
pub trait Count {
    /// The number, if there is one.
    fn count(&self) -> Option<u64>;
}

impl Count for u32 {
    fn count(&self) -> Option<u64> {
        Some(u64::from(*self))
    }
}

impl Count for u64 {
    fn count(&self) -> Option<u64> {
        Some(*self)
    }
}

impl Count for usize {
    fn count(&self) -> Option<u64> {
        u64::try_from(*self).ok()
    }
}

impl<T: Count> Count for Option<T> {
    fn count(&self) -> Option<u64> {
        self.as_ref().and_then(T::count)
    }
}

/// A map as it would be written.
pub(crate) fn write_map<'a>(entries: impl Iterator<Item = (&'a str, Node)>) -> Node {
    let entry = |(key, value): (&str, Node)| Entry { key: key.to_owned(), line: 0, column: 0, value };
    Node::written(Value::Map(entries.map(entry).collect()))
}

/// Reads one word out of a closed list, naming the nearest.
pub(crate) fn read_word<T: Copy>(
    node: &Node,
    words: &[(T, &'static str)],
    form: &str,
    problems: &mut Problems,
) -> Option<T> {
    let Value::Scalar { text, expanded, .. } = &node.value else {
        problems.unexpected(node, form, node.kind());
        return None;
    };
    if let Some((value, _)) = words.iter().find(|(_, word)| word == text) {
        return Some(*value);
    }
    match nearest(text, words.iter().map(|(_, word)| *word)).filter(|_| !expanded) {
        Some(near) => {
            let found = node.describe();
            problems.error(node, format!("{found} is not known; did you mean `{near}`?"));
        }
        None => problems.unexpected(node, form, &node.describe()),
    }
    None
}

/// Declares a struct of settings: docs, type and default of each key, once.
///
/// ```text
/// settings! {
///     /// What the section is about.
///     pub struct Retry {
///         required {                        // keys that must be given; such a struct has no `Default`
///             /// First line: meaning and unit.
///             name: String,
///         }
///         /// A default of the type's own (`None`, an empty list, another section).
///         backoff: Backoff,
///         /// A default, and the range that a number must be within.
///         max_attempts: u32 = 4 => 1..=20,
///     }
///     or text Self::named;                  // a plain text is read by this: fn(&str) -> Self
///     check Self::check;                    // across keys: fn(&self, &Node, &mut Problems)
/// }
/// ```
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            required { $($required:tt)* }
            $($optional:tt)*
        }
        $($hooks:tt)*
    ) => {
        $crate::settings::settings! { @struct [$(#[$meta])*] $name { $($required)* } { $($optional)* } $($hooks)* }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $ty:ty $(= $default:expr)? $(=> $range:expr)?),* $(,)?
        }
        $($hooks:tt)*
    ) => {
        $crate::settings::settings! {
            @struct [$(#[$meta])*] $name {}
            { $($(#[doc = $doc])+ $field: $ty $(= $default)? $(=> $range)?),* } $($hooks)*
        }
        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $crate::settings::settings!(@default $($default)?)),* }
            }
        }
    };
    (
        @struct [$(#[$meta:meta])*] $name:ident
        { $($(#[doc = $rdoc:literal])+ $rfield:ident: $rty:ty),* $(,)? }
        { $($(#[doc = $doc:literal])+ $field:ident: $ty:ty $(= $default:expr)? $(=> $range:expr)?),* $(,)? }
        $(or text $text:path;)?
        $(check $check:path;)?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $rdoc])+ pub $rfield: $rty,)*
            $($(#[doc = $doc])+ pub $field: $ty,)*
        }

        impl $name {
            /// Its keys, in the order of declaration.
            pub const KEYS: &'static [$crate::settings::Key] = &[
                $($crate::settings::Key {
                    name: stringify!($rfield),
                    doc: $crate::settings::settings!(@first $($rdoc)+),
                    required: true,
                    default: || None,
                    shape: <$rty as $crate::settings::Setting>::shape,
                },)*
                $($crate::settings::Key {
                    name: stringify!($field),
                    doc: $crate::settings::settings!(@first $($doc)+),
                    required: false,
                    default: || {
                        let default: $ty = $crate::settings::settings!(@default $($default)?);
                        Some($crate::settings::Setting::write(&default))
                    },
                    shape: <$ty as $crate::settings::Setting>::shape,
                },)*
            ];
        }

        impl $crate::settings::Setting for $name {
            const FORM: &'static str = concat!("a map of settings" $(, $crate::settings::settings!(@or $text))?);

            fn read(
                node: &$crate::settings::Node,
                problems: &mut $crate::settings::Problems,
            ) -> Option<$name> {
                $(if let Some(text) = node.as_text().filter(|text| !text.is_empty()) {
                    return Some($text(text));
                })?
                let known = [$(stringify!($rfield),)* $(stringify!($field),)*];
                let fields = $crate::settings::Fields::open(node, &known, Self::FORM, problems)?;
                $(let $rfield = fields.required(stringify!($rfield), problems);)*
                $(let $field: Option<$ty> = fields.optional(stringify!($field), problems);
                $(fields.bounded((stringify!($field), stringify!($range)), &$field, $range, problems);)?)*
                let read = $name {
                    $($rfield: $rfield?,)*
                    $($field: $field.unwrap_or_else(|| $crate::settings::settings!(@default $($default)?)),)*
                };
                $($check(&read, node, problems);)?
                Some(read)
            }

            fn write(&self) -> $crate::settings::Node {
                let entries = [
                    $((stringify!($rfield), $crate::settings::Setting::write(&self.$rfield)),)*
                    $((stringify!($field), $crate::settings::Setting::write(&self.$field)),)*
                ];
                $crate::settings::write_map(entries.into_iter())
            }

            fn shape() -> $crate::settings::Shape {
                $crate::settings::Shape::Keys(Self::KEYS)
            }
        }
    };
    (@default $default:expr) => { $default };
    (@default) => { Default::default() };
    (@first $first:literal $($rest:literal)*) => { $first };
    (@or $text:path) => { " or a text" };
}
pub(crate) use settings;

/// Declares an enum whose variants are the words that a key accepts; the first is the default.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl $name {
            /// Every choice, the default first.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word in the configuration.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::ALL[0]
            }
        }

        impl $crate::settings::Setting for $name {
            const FORM: &'static str = concat!("one of:" $(, " ", $word)+);

            fn read(
                node: &$crate::settings::Node,
                problems: &mut $crate::settings::Problems,
            ) -> Option<$name> {
                const WORDS: &[($name, &str)] = &[$(($name::$variant, $word)),+];
                $crate::settings::read_word(node, WORDS, Self::FORM, problems)
            }

            fn write(&self) -> $crate::settings::Node {
                $crate::settings::Node::text(self.name())
            }
        }
    };
}
pub(crate) use choices;
