//! From bytes to typed JSON, and of what can't be served which field is wrong and how: never what the client wrote
//! there.
//!
//! A field is named by the way to it, as in `messages[2].content[0].text`. Who knows where they stand says [`bad`]; who
//! doesn't gives a [`Fault`], to which those further out add where it was. Costs a request that can be read nothing:
//! only one that can't is read a second time, for the way.

use super::elements;
use super::peek::BadBody;
use super::places;
use super::reader::{self, Unreadable};
use super::verbatim::slowly;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt::Display;

/// What serde expects where it has Rust's words for it, and how we say it.
const EXPECTED: [(&str, &str); 7] = [
    ("struct", "an object"),
    ("a map", "an object"),
    ("a sequence", "a list"),
    ("a boolean", "true or false"),
    ("u64", "a whole number"),
    ("i64", "a whole number"),
    ("f64", "a number"),
];

/// What readers of ours, and serde, say that they expect in words that a client understands.
const PLAIN: [&str; 4] = ["a ", "an ", "one of ", "`"];

/// Of a field: what is wrong with it, as the end of a sentence.
pub(super) fn bad(field: impl Display, why: impl Display) -> BadBody {
    BadBody(format!("`{field}` {why}"))
}

/// A field, as the way to it from where one stands, and what is wrong with it: the end of a sentence.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    why: String,
}

impl Fault {
    /// Of that field.
    pub(super) fn at(path: impl Into<String>, why: impl Into<String>) -> Fault {
        Fault { path: path.into(), why: why.into() }
    }

    /// Of a field that has to be there.
    pub(super) fn missing(path: &str) -> Fault {
        Fault::at(path, "is missing")
    }

    /// The same, seen from further out.
    pub(super) fn within(self, outer: impl Into<String>) -> Fault {
        Fault { path: joined(outer.into(), &self.path), why: self.why }
    }
}

impl From<Fault> for BadBody {
    fn from(fault: Fault) -> BadBody {
        bad(fault.path, fault.why)
    }
}

/// A way, and one that goes on from where it ends.
fn joined(mut outer: String, inner: &str) -> String {
    if !outer.is_empty() && !inner.is_empty() && !inner.starts_with('[') {
        outer.push('.');
    }
    outer.push_str(inner);
    outer
}

/// Reads a body.
///
/// # Errors
/// When it isn't JSON, or not as it should be.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    let text = std::str::from_utf8(body)
        .map_err(|error| BadBody(format!("the body is not valid UTF-8 (byte {})", error.valid_up_to())))?;
    parse_at("", text)
}

/// Reads a value that is to be found at `root`, which is empty for the body itself.
///
/// # Errors
/// When it isn't JSON, or not as it should be.
pub(super) fn parse_at<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Result<T, BadBody> {
    reader::read(json).map_err(|unreadable| match unreadable {
        Unreadable::TooMany(at) => too_many(root, json, at),
        Unreadable::List(at) => no_list(root, json, at),
        Unreadable::Json(error) => slowly(|| explain::<T>(root, json)).unwrap_or_else(|| not_json(&error)),
    })
}

/// Names the first element that is one too many.
fn too_many(root: &str, json: &str, at: usize) -> BadBody {
    let path = joined(root.to_owned(), &places::of_offset(json.as_bytes(), at));
    let most = elements::most(json.len());
    bad(path, format_args!("is one element too many: a body of this length may have {most} in all its lists"))
}

/// Names the list that should be an object.
fn no_list(root: &str, json: &str, at: usize) -> BadBody {
    let path = joined(root.to_owned(), &places::of_offset(json.as_bytes(), at));
    if path.is_empty() { no_object() } else { bad(path, "must be an object") }
}

/// What is wrong with a value that is JSON by its grammar and yet can't be read. Sources: the errors of `serde_json`.
const UNREADABLE: [(&str, &str); 3] = [
    ("hex escape", "has half of a surrogate pair, which is no character"),
    ("number out of range", "is a number out of all range"),
    ("recursion limit", "nests too deep; flatten it"),
];

/// Names the value that nobody can read, if the text is JSON.
fn unreadable(root: &str, json: &str, error: &serde_json::Error) -> Option<BadBody> {
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let lines = json.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line = lines.map(str::len).sum::<usize>();
    // The column is behind what was read last.
    let way = places::of_offset(json.as_bytes(), (line + error.column()).saturating_sub(1));
    let path = joined(root.to_owned(), &way);
    let message = error.to_string();
    let known = UNREADABLE.iter().find(|(theirs, _)| message.contains(theirs));
    let why = known.map_or("has a value of the wrong type", |(_, why)| why);
    Some(if path.is_empty() { BadBody(format!("the body {why}")) } else { bad(path, why) })
}

/// Reads once more to see where it went wrong; `None` if it isn't JSON.
fn explain<'a, T: Deserialize<'a>>(root: &str, json: &'a str) -> Option<BadBody> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let error = serde_path_to_error::deserialize::<_, T>(&mut reader).err()?;
    if !error.inner().is_data() {
        return unreadable(root, json, error.inner());
    }
    // What is unknown of a way is told by a question mark, and no way at all by a dot.
    let path = error.path().to_string();
    let path = joined(root.to_owned(), path.trim_end_matches('?').trim_end_matches('.'));
    let message = error.inner().to_string();
    let member = |prefix: &str| Some(joined(path.clone(), message.strip_prefix(prefix)?.split('`').next()?));
    if let Some(field) = member("duplicate field `") {
        return Some(bad(field, "is there twice"));
    }
    if let Some(field) = member("missing field `") {
        return Some(bad(field, "is missing"));
    }
    Some(match expected(&message) {
        _ if path.is_empty() => no_object(),
        Some(expected) => bad(path, format_args!("must be {expected}")),
        None => bad(path, "has a value of the wrong type"),
    })
}

fn no_object() -> BadBody {
    BadBody("the body is not a JSON object".to_owned())
}

/// What serde says that it expected. It says so last, behind what was there instead.
fn expected(message: &str) -> Option<&str> {
    let (_, expected) = message.rsplit_once("expected ")?;
    let expected = expected.split(" at line ").next()?;
    let ours = EXPECTED.iter().find(|(theirs, _)| expected.starts_with(theirs)).map(|(_, ours)| *ours);
    ours.or_else(|| PLAIN.iter().any(|start| expected.starts_with(start)).then_some(expected))
}

fn not_json(error: &serde_json::Error) -> BadBody {
    BadBody(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::super::pieces::{Listed, Str, TextOr};
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only whether it can be read matters")]
    struct Body<'a> {
        #[serde(borrow)]
        name: Str<'a>,
        count: Option<u64>,
        share: Option<f64>,
        is_so: Option<bool>,
        #[serde(borrow)]
        inner: Option<TextOr<'a, Box<Body<'a>>>>,
        #[serde(borrow)]
        list: Option<Listed<'a, Body<'a>>>,
        speaker: Option<Speaker>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Speaker {
        User,
        Model,
    }

    fn complaint(body: &str) -> String {
        let BadBody(why) = parse::<Body<'_>>(body.as_bytes()).expect_err(body);
        why
    }

    #[test]
    fn the_field_is_named_and_what_it_must_be_and_never_what_is_there() {
        for (body, expected) in [
            ("", "the body is not JSON (line 1, column 0)"),
            ("{", "the body is not JSON (line 1, column 1)"),
            (r#"{"name":"x"} secret"#, "the body is not JSON (line 1, column 14)"),
            ("[]", "the body is not a JSON object"),
            (r#""secret""#, "the body is not a JSON object"),
            ("{}", "`name` is missing"),
            (r#"{"name":"x","name":"y"}"#, "`name` is there twice"),
            (r#"{"name":7}"#, "`name` must be a string"),
            (r#"{"name":"x","count":-1}"#, "`count` must be a whole number"),
            (r#"{"name":"x","share":"secret, expected more"}"#, "`share` must be a number"),
            (r#"{"name":"x","is_so":"secret"}"#, "`is_so` must be true or false"),
            (r#"{"name":"x","inner":7}"#, "`inner` must be a string, or the longer form of this field"),
            (r#"{"name":"x","inner":{"name":"x","inner":{}}}"#, "`inner.inner.name` is missing"),
            (r#"{"name":"x","list":["secret"]}"#, "`list[0]` must be an object"),
            (r#"{"name":"x","list":[["secret"]]}"#, "`list[0]` must be an object"),
            (r#"{"name":"x","inner":["secret"]}"#, "`inner` must be an object"),
            (r#"["secret"]"#, "the body is not a JSON object"),
            (r#"{"name":"x","list":[{"name":"x"},{"name":{}}]}"#, "`list[1].name` must be a string"),
            (r#"{"name":"x","speaker":"secret"}"#, "`speaker` must be `user` or `model`"),
            (r#"{"name":"x","speaker":7}"#, "`speaker` has a value of the wrong type"),
            (r#"{"name":"\ud800"}"#, "`name` has half of a surrogate pair, which is no character"),
            (
                "{\"name\":\"x\",\n\"list\":[{\"name\":\"\\udc00\"}]}",
                "`list[0].name` has half of a surrogate pair, which is no character",
            ),
            (r#"{"name":"x","share":1e999}"#, "`share` is a number out of all range"),
        ] {
            assert_eq!(complaint(body), expected, "{body}");
        }
        let BadBody(why) = parse::<Body<'_>>(b"{\"name\":\"\xff\"}").expect_err("no UTF-8");
        assert_eq!(why, "the body is not valid UTF-8 (byte 9)");
    }

    #[test]
    fn a_value_within_a_body_is_named_by_where_it_stands() {
        let complaint = |json| parse_at::<Body<'_>>("root", json).map(|_| ()).expect_err(json).0;
        assert_eq!(complaint("7"), "`root` must be an object");
        assert_eq!(complaint("{}"), "`root.name` is missing");
        let BadBody(why) = parse_at::<Vec<u64>>("root", "[true]").expect_err("no number");
        assert_eq!(why, "`root[0]` must be a whole number");
        let BadBody(why) = parse_at::<Vec<f64>>("root", "[1e999]").expect_err("no number");
        assert_eq!(why, "`root[0]` is a number out of all range");
    }

    #[test]
    fn a_fault_is_named_by_where_it_was_on_the_way_out() {
        let fault =
            Fault::missing("data").within("source").within("[3]").within("content").within("messages[0]");
        assert_eq!(BadBody::from(fault), bad("messages[0].content[3].source.data", "is missing"));
        assert_eq!(BadBody::from(Fault::at("", "is bad").within("content")), bad("content", "is bad"));
    }
}
