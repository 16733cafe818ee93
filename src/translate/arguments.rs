//! The arguments of a call: the text of a JSON object, kept as it came. None at all, as some send it, are an empty one.

use super::json;
use memchr::memchr2;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// No arguments.
const NONE: &str = "{}";

/// The arguments that a client sends back, or a provider gives whole.
///
/// # Errors
/// When they are no JSON object: what is wrong, as the end of a sentence.
pub(super) fn read(text: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
    if text.trim_ascii().is_empty() {
        return Ok(Cow::Borrowed(NONE));
    }
    match json::members(text.as_bytes(), []) {
        Ok([]) => Ok(text),
        Err(fault) => Err(format!("must be the text of a JSON object: it {fault}")),
    }
}

/// The arguments as the object itself; `None` for what is none.
pub(super) fn raw(text: &str) -> Option<&RawValue> {
    object(if text.trim_ascii().is_empty() { NONE } else { text })
}

/// A text as the JSON object that it is; `None` for what is something else.
pub(super) fn object(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok().filter(|raw: &&RawValue| raw.get().starts_with('{'))
}

/// The text of JSON in one line, as a server-sent event has to have it. Lines end between tokens only.
pub(super) fn in_one_line(json: &RawValue) -> Cow<'_, RawValue> {
    if memchr2(b'\n', b'\r', json.get().as_bytes()).is_none() {
        return Cow::Borrowed(json);
    }
    RawValue::from_string(json.get().replace(['\n', '\r'], " ")).map_or(Cow::Borrowed(json), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        for (text, expected) in [
            ("", Some("{}")),
            (" ", Some("{}")),
            ("{\"a\": 1 }", Some("{\"a\": 1 }")),
            (" {}", Some(" {}")),
            ("[]", None),
            ("null", None),
            ("{\"a\":", None),
            ("{} {}", None),
        ] {
            assert_eq!(read(text.into()).ok().as_deref(), expected, "{text:?}");
            assert_eq!(raw(text).map(RawValue::get), expected.map(str::trim), "{text:?}");
        }
        assert!(object("").is_none());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = read("[1]".into()).expect_err("no object");
        assert_eq!(why, "must be the text of a JSON object: it must be a JSON object");
    }

    #[test]
    fn nesting_is_bounded() {
        for (depth, is_read) in [(json::MAX_DEPTH, true), (json::MAX_DEPTH + 1, false)] {
            let text = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
            assert_eq!(read(text.into()).is_ok(), is_read, "{depth}");
        }
    }
}
