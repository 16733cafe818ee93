//! Parses, and says of what can't be parsed which field is wrong, never what the client wrote there.

use crate::translate::peek::BadBody;
use serde::Deserialize;
use std::fmt::Display;

/// What serde expected, and how we say it.
const EXPECTED: [(&str, &str); 6] = [
    ("a string", "a string"),
    ("a sequence", "a list"),
    ("struct", "an object"),
    ("a boolean", "true or false"),
    ("u64", "a whole number"),
    ("f64", "a number"),
];

/// Of a field: what is wrong with it.
pub(super) fn bad(field: impl Display, why: &str) -> BadBody {
    BadBody(format!("`{field}` {why}"))
}

/// Reads a value that is to be found at `root`, which is empty for the body itself.
pub(super) fn parse<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Result<T, BadBody> {
    serde_json::from_str(json).map_err(|error| explain::<T>(root, json).unwrap_or_else(|| not_json(&error)))
}

/// Reads once more to see where it went wrong; `None` if it isn't JSON.
fn explain<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Option<BadBody> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let error = serde_path_to_error::deserialize::<_, T>(&mut reader).err()?;
    let path = match (root, error.path().to_string()) {
        (root, path) if path == "." => root.to_owned(),
        ("", path) => path,
        (root, path) => format!("{root}.{path}"),
    };
    let error = error.into_inner();
    if !error.is_data() {
        return None;
    }
    let message = error.to_string();
    let member = |prefix: &str| {
        let name = message.strip_prefix(prefix)?.split('`').next()?;
        Some(if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") })
    };
    if let Some(field) = member("duplicate field `") {
        return Some(bad(field, "is there twice"));
    }
    if let Some(field) = member("missing field `") {
        return Some(bad(field, "is missing"));
    }
    let wanted = message.rsplit_once("expected ").map_or("", |(_, wanted)| wanted);
    let wanted = EXPECTED.iter().find(|(theirs, _)| wanted.starts_with(theirs)).map(|(_, ours)| *ours);
    Some(match (wanted, path.as_str()) {
        (_, "") => BadBody("the body is not a JSON object".to_owned()),
        (Some(wanted), path) => bad(path, &format!("must be {wanted}")),
        (None, path) => bad(path, "has a value of the wrong type"),
    })
}

fn not_json(error: &serde_json::Error) -> BadBody {
    BadBody(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
}
