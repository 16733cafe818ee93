//! What a request body says about itself, read without building it.
//!
//! Budget: one pass of serde_json that skips what it doesn't need, one scan for depth, no allocation but
//! the model's name.

use super::depth::{self, MAX_DEPTH};
use super::edit::{Edit, span};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::ops::Range;

/// What the gateway must know of a JSON request before it can choose a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model asked for; `None` where the body has none (Gemini has it in the path).
    pub model: Option<String>,
    /// Whether the client asked for a stream in the body.
    pub stream: bool,
    /// Whether the client asked for more than one answer (`n`).
    pub several: bool,
    model_at: Option<Range<usize>>,
    usage_ask: Option<Edit>,
}

/// Why a body can't be served: what the client reads, naming the field where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBody(pub String);

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

/// Keeps `null` apart from a missing field, which serde's own `Option` does not.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Peek {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// When it isn't UTF-8, isn't a JSON object, nests deeper than [`MAX_DEPTH`], names one of the fields
    /// read here twice, or gives one of them the wrong type.
    pub fn read(body: &[u8]) -> Result<Peek, BadBody> {
        let text = std::str::from_utf8(body).map_err(|error| {
            BadBody(format!("the body is not valid UTF-8 (byte {}); send JSON in UTF-8", error.valid_up_to()))
        })?;
        if depth::is_too_deep(body) {
            return Err(BadBody(format!("the body nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        let parsed: Body<'_> = serde_json::from_str(text)
            .map_err(|error| BadBody(format!("the body is not valid JSON: {error}")))?;
        // A struct is also read from an array by serde, which no vendor means.
        if !text.trim_start().starts_with('{') {
            return Err(BadBody("the body must be a JSON object".to_owned()));
        }
        let stream = match parsed.stream.map(RawValue::get) {
            None | Some("false" | "null") => false,
            Some("true") => true,
            Some(_) => return Err(BadBody("`stream` must be true or false".to_owned())),
        };
        let model = parsed.model.map(|raw| model_name(raw.get())).transpose()?;
        let model_at = parsed.model.and_then(|raw| span(text, raw.get()));
        // Whether it is a good number is the provider's to say.
        let several = parsed.n.is_some_and(|n| !matches!(n.get(), "1" | "null"));
        let usage_ask = usage_ask(text, parsed.stream_options)?;
        Ok(Peek { model, stream, several, model_at, usage_ask })
    }

    /// The edit that gives the model another name, if the body names one.
    pub fn rename_model(&self, name: &str) -> Option<Edit> {
        let at = self.model_at.clone()?;
        Some(Edit { at, with: serde_json::Value::from(name).to_string() })
    }

    /// The edit that asks an OpenAI provider for usage in a stream; `None` if the client asked itself.
    pub fn ask_for_usage(&self) -> Option<Edit> {
        if self.stream { self.usage_ask.clone() } else { None }
    }
}

fn model_name(raw: &str) -> Result<String, BadBody> {
    match serde_json::from_str::<String>(raw) {
        Ok(name) if !name.trim().is_empty() => Ok(name),
        _ => Err(BadBody("`model` must be a non-empty string".to_owned())),
    }
}

/// What must change so that `stream_options.include_usage` is true.
fn usage_ask(text: &str, options: Option<&RawValue>) -> Result<Option<Edit>, BadBody> {
    let raw = match options.map(RawValue::get) {
        None => return Ok(insert_first(text, 0, r#""stream_options":{"include_usage":true}"#)),
        Some("null") => {
            let with = r#"{"include_usage":true}"#.to_owned();
            return Ok(options.and_then(|raw| span(text, raw.get())).map(|at| Edit { at, with }));
        }
        Some(raw) => raw,
    };
    let parsed: Option<StreamOptions<'_>> =
        if raw.starts_with('{') { serde_json::from_str(raw).ok() } else { None };
    let Some(parsed) = parsed else {
        return Err(BadBody("`stream_options` must be an object".to_owned()));
    };
    Ok(match parsed.include_usage.map(RawValue::get) {
        Some("true") => None,
        Some(other) => span(text, other).map(|at| Edit { at, with: "true".to_owned() }),
        None => span(text, raw).and_then(|at| insert_first(text, at.start, r#""include_usage":true"#)),
    })
}

/// The edit that makes `member` the first of the object that opens at or after `from`.
fn insert_first(text: &str, from: usize, member: &str) -> Option<Edit> {
    let open = from + text.get(from..)?.find('{')?;
    let is_empty = text.get(open + 1..)?.trim_start().starts_with('}');
    let comma = if is_empty { "" } else { "," };
    Some(Edit { at: open + 1..open + 1, with: format!("{member}{comma}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn edited(body: &str, edits: impl FnOnce(&Peek) -> Vec<Edit>) -> Value {
        let peek = Peek::read(body.as_bytes()).expect("readable");
        let out = edit::apply(&Bytes::copy_from_slice(body.as_bytes()), edits(&peek));
        serde_json::from_slice(&out).expect("still JSON")
    }

    #[test]
    fn model_and_stream_are_read_wherever_they_stand() {
        let peek = Peek::read(br#" {"messages":[{"model":"no"}],"stream":true,"model":"gpt-\u0034o"}"#)
            .expect("readable");
        assert_eq!(peek.model.as_deref(), Some("gpt-4o"));
        assert!(peek.stream);
    }

    #[test]
    fn the_model_is_renamed_in_place() {
        let body = r#"{"model" : "alias", "messages":[{"content":"\"model\":\"alias\""}]}"#;
        let out = edited(body, |peek| peek.rename_model("vendor/\"x\"").into_iter().collect());
        assert_eq!(out, json!({"model": "vendor/\"x\"", "messages": [{"content": "\"model\":\"alias\""}]}));
    }

    #[test]
    fn usage_is_asked_for_once_in_every_form() {
        for options in [
            "",
            r#","stream_options":null"#,
            r#","stream_options":{}"#,
            r#","stream_options":{"include_usage":false}"#,
            r#","stream_options":{ "x" : 1 }"#,
        ] {
            let body = format!(r#"{{"model":"m","stream":true{options}}}"#);
            let out = edited(&body, |peek| peek.ask_for_usage().into_iter().collect());
            assert_eq!(out["stream_options"]["include_usage"], json!(true), "{options}");
        }
        let asked =
            Peek::read(br#"{"stream":true,"stream_options":{"include_usage":true}}"#).expect("readable");
        assert_eq!(asked.ask_for_usage(), None);
        let plain = Peek::read(br#"{"model":"m"}"#).expect("readable");
        assert_eq!(plain.ask_for_usage(), None);
    }

    #[test]
    fn bad_bodies_say_what_is_wrong() {
        let deep = format!(r#"{{"model":"m","x":{}}}"#, "[".repeat(10_000));
        for (body, words) in [
            (&b"\xff\xfe"[..], "UTF-8"),
            (b"", "not valid JSON"),
            (b"[]", "must be a JSON object"),
            (br#"{"model":"m""#, "line 1 column 12"),
            (br#"{"model":"a","model":"b"}"#, "duplicate field `model`"),
            (br#"{"model":7}"#, "`model` must be"),
            (br#"{"model":" "}"#, "`model` must be"),
            (br#"{"model":"m","stream":"yes"}"#, "`stream` must be"),
            (br#"{"model":"m","stream_options":[]}"#, "`stream_options` must be"),
            (deep.as_bytes(), "deeper than 256"),
        ] {
            let BadBody(message) = Peek::read(body).expect_err("refused");
            assert!(message.contains(words), "{message:?} should contain {words:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Peek::read(&body);
        }

        #[test]
        fn edits_keep_every_other_member(text in "\\PC{0,40}", stream: bool, number: i64) {
            let body = json!({"a": text, "model": "old", "n": number, "stream": stream}).to_string();
            let out = edited(&body, |peek| peek.rename_model("new").into_iter().chain(peek.ask_for_usage()).collect());
            prop_assert_eq!(&out["a"], &json!(text));
            prop_assert_eq!(&out["n"], &json!(number));
            prop_assert_eq!(&out["model"], &json!("new"));
        }
    }
}
