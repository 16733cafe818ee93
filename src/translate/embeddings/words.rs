//! Values that both readers here take, and a word on what is wrong with them.

use crate::translate::peek::BadBody;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

/// A text, borrowed where it has no escapes, inside an option or a list too.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Words<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Of a field: what is wrong with it.
pub(super) fn bad(field: impl Display, why: impl Display) -> BadBody {
    BadBody(format!("`{field}` {why}"))
}

/// Reads a body; one that can't be read is read again, to name the field.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    serde_json::from_slice(body).map_err(|error| {
        let reader = &mut serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, T>(reader) {
            Err(error) if error.path().iter().len() > 0 => {
                bad(error.path(), format_args!("is not as it should be: {}", error.inner()))
            }
            _ => BadBody(format!("the body is not as it should be: {error}")),
        }
    })
}

/// The length of a vector. ProtoJSON has numbers as strings too.
pub(super) fn dimensions(raw: Option<&RawValue>, field: impl Display) -> Result<Option<u64>, BadBody> {
    let Some(raw) = raw else { return Ok(None) };
    let number = raw.get().trim_matches('"').parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| bad(field, "must be a whole number above 0"))
}

/// A text with something in it.
pub(super) fn text<'a>(raw: &'a RawValue, field: impl Display) -> Result<Cow<'a, str>, BadBody> {
    match serde_json::from_str(raw.get()) {
        Ok(Words(text)) if text.is_empty() => Err(bad(field, "must not be empty")),
        Ok(Words(text)) => Ok(text),
        Err(error) => Err(bad(field, format_args!("is not as it should be: {error}"))),
    }
}

/// A vector's list of numbers, if it looks like one.
pub(super) fn vector(raw: &RawValue) -> Option<&RawValue> {
    raw.get().starts_with('[').then_some(raw)
}
