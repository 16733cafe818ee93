//! From bytes to typed JSON, and what is said when they aren't: the field, and what is wrong with it.

use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The arguments of a call: a JSON object as it came; none at all is an empty one, as some SDKs send it. `None` for
/// what is no object.
pub(super) fn arguments(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if text.trim_ascii().is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    is_object(&text).then_some(text)
}

fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
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
            assert_eq!(arguments(text.into()).as_deref(), expected, "{text:?}");
        }
    }
}
