//! What a request body says about itself, read without building it.
//!
//! Budget: one pass over the body, no allocation but the model's name.

use super::edit::Edit;
use super::references::{self, Reference};
use super::signs::Api;
use super::{json, places};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// What is read. Gemini takes either name of its configuration.
const MEMBERS: [&str; 6] =
    ["model", "stream", "stream_options", "n", "generationConfig", "generation_config"];

/// The same, with what refers to something that only its maker has.
const ALL_MEMBERS: [&str; MEMBERS.len() + references::NAMES.len()] = {
    let mut names = [""; MEMBERS.len() + references::NAMES.len()];
    let (own, others) = names.split_at_mut(MEMBERS.len());
    own.copy_from_slice(&MEMBERS);
    others.copy_from_slice(&references::NAMES);
    names
};

/// What the gateway must know of a JSON request before it can choose a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model asked for; `None` where the body has none: Gemini has it in the path, and some endpoints have a default.
    pub model: Option<Arc<str>>,
    /// Whether the client asked for a stream in the body.
    pub stream: bool,
    /// Whether the client asked for more than one answer: by OpenAI's `n`, several prompts in a list, or Gemini's
    /// `candidateCount`.
    pub several: bool,
    /// Where the longest member of the body has its value: who looks for others passes over it.
    pub longest: Range<usize>,
    model_at: Option<ModelAt>,
    usage_ask: Option<Edit>,
    kept: references::Places,
}

/// Where a model's name is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ModelAt {
    /// In place of what stands there.
    Value(Range<usize>),
    /// In a member that isn't there yet.
    New(First),
}

/// Where an object's first member is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    at: usize,
    /// Whether it is the only one.
    is_only: bool,
}

/// Why a body can't be served: what the client reads, naming the field where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBody(pub String);

impl From<json::Fault> for BadBody {
    fn from(fault: json::Fault) -> BadBody {
        BadBody(format!("the body {fault}"))
    }
}

impl Peek {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// When it isn't UTF-8, isn't a JSON object, nests deeper than [`json::MAX_DEPTH`], names one of the fields
    /// read here twice, or gives one of them the wrong type.
    pub fn read(body: &[u8]) -> Result<Peek, BadBody> {
        check_utf8(body)?;
        let json::Outline { members, longest } =
            json::outline(body, ALL_MEMBERS).map_err(|fault| named(fault, body))?;
        let [model_at, stream, options, n, config, snake_config, kept @ ..] = members;
        let text = |at: &Range<usize>| &body[at.clone()];
        let stream = match stream.as_ref().map(text) {
            None | Some(b"false" | b"null") => false,
            Some(b"true") => true,
            Some(_) => return Err(BadBody("`stream` must be true or false".to_owned())),
        };
        let named = model_at.as_ref().map(text).filter(|name| *name != b"null");
        let model = named.map(model_name).transpose()?;
        let model_at = model_at.map(ModelAt::Value).or_else(|| First::of(body, 0).map(ModelAt::New));
        let several = n.is_some_and(|at| is_several(text(&at)))
            || kept[references::PROMPT].as_ref().is_some_and(|at| has_several_prompts(text(at)))
            || config.or(snake_config).is_some_and(|at| has_several_candidates(text(&at)));
        let usage_ask = usage_ask(body, options)?;
        Ok(Peek { model, stream, several, longest, model_at, usage_ask, kept })
    }

    /// What the members of the body refer to that only its maker has, in that API.
    pub fn reference(&self, api: Api, body: &[u8]) -> Option<Reference> {
        references::in_members(api, body, &self.kept)
    }

    /// The edit that has the body name this model, and no other.
    pub fn rename_model(&self, name: &str) -> Option<Edit> {
        let name = serde_json::Value::from(name);
        Some(match self.model_at.as_ref()? {
            ModelAt::Value(at) => Edit { at: at.clone(), with: name.to_string().into() },
            ModelAt::New(first) => first.insert(format!(r#""model":{name}"#), format!(r#""model":{name},"#)),
        })
    }

    /// The edit that asks an OpenAI provider for usage in a stream; `None` if the client asked itself.
    pub fn ask_for_usage(&self) -> Option<Edit> {
        if self.stream { self.usage_ask.clone() } else { None }
    }
}

fn check_utf8(body: &[u8]) -> Result<(), BadBody> {
    // Most bodies are ASCII, and that is seen at a glance.
    if body.is_ascii() {
        return Ok(());
    }
    std::str::from_utf8(body).map(|_| ()).map_err(|error| {
        let byte = error.valid_up_to();
        let place = match places::of_offset(body, byte) {
            place if place.is_empty() => "the body".to_owned(),
            place => format!("`{place}`"),
        };
        BadBody(format!("{place} is not valid UTF-8 (byte {byte} of the body); send JSON in UTF-8"))
    })
}

/// The fault of a body; where it nests too deep, by the field that does.
fn named(fault: json::Fault, body: &[u8]) -> BadBody {
    match fault {
        json::Fault::TooDeep => BadBody(format!("`{}` {fault}", places::too_deep(body))),
        fault => fault.into(),
    }
}

fn model_name(raw: &[u8]) -> Result<Arc<str>, BadBody> {
    match json::text(raw) {
        Some(name) if !name.trim().is_empty() => Ok(name.into()),
        _ => Err(BadBody("`model` must be a non-empty string".to_owned())),
    }
}

/// Whether a number of answers is another than one. Whether it is a good number is the provider's to say.
fn is_several(number: &[u8]) -> bool {
    !matches!(number, b"1" | b"null")
}

/// Whether a `prompt` is a list of more than one. A list of numbers is one prompt, in tokens.
fn has_several_prompts(prompt: &[u8]) -> bool {
    let Some(list) = prompt.strip_prefix(b"[").map(<[u8]>::trim_ascii_start) else { return false };
    if !list.starts_with(b"\"") && !list.starts_with(b"[") {
        return false;
    }
    let mut elements = serde_json::Deserializer::from_slice(list).into_iter::<IgnoredAny>();
    elements.next();
    list.get(elements.byte_offset()..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b","))
}

/// Whether a `generationConfig` asks for several; as ProtoJSON, it may be written in either case.
fn has_several_candidates(config: &[u8]) -> bool {
    json::members(config, ["candidateCount", "candidate_count"])
        .is_ok_and(|counts| counts.into_iter().flatten().any(|at| is_several(&config[at])))
}

/// What must change so that `stream_options.include_usage` is true.
fn usage_ask(body: &[u8], options: Option<Range<usize>>) -> Result<Option<Edit>, BadBody> {
    let Some(options) = options else {
        let only = r#""stream_options":{"include_usage":true}"#;
        let first = r#""stream_options":{"include_usage":true},"#;
        return Ok(First::of(body, 0).map(|place| place.insert(only, first)));
    };
    let text = &body[options.clone()];
    if text == b"null" {
        return Ok(Some(Edit { at: options, with: Cow::Borrowed(r#"{"include_usage":true}"#) }));
    }
    let Ok([asked]) = json::members(text, ["include_usage"]) else {
        return Err(BadBody("`stream_options` must be an object".to_owned()));
    };
    let Some(asked) = asked else {
        let place = First::of(body, options.start);
        return Ok(place.map(|place| place.insert(r#""include_usage":true"#, r#""include_usage":true,"#)));
    };
    let at = options.start + asked.start..options.start + asked.end;
    Ok((&body[at.clone()] != b"true").then_some(Edit { at, with: Cow::Borrowed("true") }))
}

impl First {
    /// In the object that opens at or after `from`.
    fn of(body: &[u8], from: usize) -> Option<First> {
        let at = from + body[from..].iter().position(|byte| *byte == b'{')? + 1;
        Some(First { at, is_only: body[at..].trim_ascii_start().starts_with(b"}") })
    }

    /// The edit that puts a member there: one of these, as it is the only one or the first.
    fn insert(self, only: impl Into<Cow<'static, str>>, first: impl Into<Cow<'static, str>>) -> Edit {
        Edit { at: self.at..self.at, with: if self.is_only { only.into() } else { first.into() } }
    }
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
    fn a_model_that_is_not_named_can_be() {
        for (body, expected) in [
            (r#" { "input": "x" }"#, json!({"model": "m", "input": "x"})),
            (r#"{"input":"x","model" : null}"#, json!({"model": "m", "input": "x"})),
            ("{ }", json!({"model": "m"})),
        ] {
            assert_eq!(Peek::read(body.as_bytes()).expect("readable").model, None, "{body}");
            assert_eq!(edited(body, |peek| peek.rename_model("m").into_iter().collect()), expected);
        }
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
    fn more_than_one_answer_is_seen_in_every_form() {
        for (body, several) in [
            (r#"{}"#, false),
            (r#"{"n":null}"#, false),
            (r#"{"n":1}"#, false),
            (r#"{"n":2}"#, true),
            (r#"{"prompt":"a, b"}"#, false),
            (r#"{"prompt":[]}"#, false),
            (r#"{"prompt":["a, b"]}"#, false),
            (r#"{"prompt":[ "a\"" , "b"]}"#, true),
            // One prompt, and two, of tokens.
            (r#"{"prompt":[1,2]}"#, false),
            (r#"{"prompt":[[1,2]]}"#, false),
            (r#"{"prompt":[[1,2],[3]]}"#, true),
            (r#"{"generationConfig":null}"#, false),
            (r#"{"generationConfig":{"seed":2}}"#, false),
            (r#"{"generationConfig":{"candidateCount":1}}"#, false),
            (r#"{"generationConfig":{"seed":1,"candidateCount": 2}}"#, true),
            (r#"{"generation_config":{"candidate_count":2}}"#, true),
        ] {
            assert_eq!(Peek::read(body.as_bytes()).expect("readable").several, several, "{body}");
        }
    }

    #[test]
    fn bad_bodies_say_what_is_wrong() {
        let deep = format!(r#"{{"model":"m","x":{}}}"#, "[".repeat(10_000));
        for (body, words) in [
            (&b"\xff\xfe"[..], "the body is not valid UTF-8"),
            (b"{\"a\":[\"\xff\"]}", "`a[0]` is not valid UTF-8 (byte 7 of the body)"),
            (b"", "not valid JSON"),
            (b"[]", "must be a JSON object"),
            (br#"{"model":"m""#, "line 1 column 12"),
            (br#"{"model":"a","model":"b"}"#, "duplicate field `model`"),
            (br#"{"model":7}"#, "`model` must be"),
            (br#"{"model":" "}"#, "`model` must be"),
            (br#"{"model":"m","stream":"yes"}"#, "`stream` must be"),
            (br#"{"model":"m","stream_options":[]}"#, "`stream_options` must be"),
            (deep.as_bytes(), "`x[0][0][0][0][0][0][0]…` nests deeper than 256"),
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
