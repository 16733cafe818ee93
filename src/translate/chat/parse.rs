//! From bytes to typed JSON, and what is said when they aren't: the field, and what is wrong with it.

use super::super::json;
use std::borrow::Cow;

/// The arguments of a call: a JSON object as it came; none at all is an empty one, as some SDKs send it. `None` for
/// what is no object.
pub(super) fn arguments(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if text.trim_ascii().is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    is_object(&text).then_some(text)
}

/// Whether it is one, and no deeper than a body may be: some providers get it as it is, and not as a text.
fn is_object(text: &str) -> bool {
    json::members(text.as_bytes(), []).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        let deep = |depth: usize| format!("{}{{}}{}", "{\"a\":".repeat(depth - 1), "}".repeat(depth - 1));
        let (deepest, too_deep) = (deep(json::MAX_DEPTH), deep(json::MAX_DEPTH + 1));
        for (text, expected) in [
            (deepest.as_str(), Some(deepest.as_str())),
            (&too_deep, None),
            ("", Some("{}")),
            (" ", Some("{}")),
            ("{\"a\": 1 }", Some("{\"a\": 1 }")),
            (" {}", Some(" {}")),
            ("[]", None),
            ("null", None),
            ("{\"a\":", None),
            ("{} {}", None),
        ] {
            assert_eq!(arguments(text.into()).as_deref(), expected, "{text:?}");
        }
    }
}
