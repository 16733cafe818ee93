//! Any bytes as a request for embeddings, and as the answer to one, in each form; and as a body that names its model.
//!
//! A provider is asked for the same texts in the same order, whatever it speaks, and its vectors come back in that order
//! and digit by digit, or as the nearest floats. A model's name is changed in its places and nowhere else.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::translate::edit;
use cliproxy_fuzz::translate::embeddings::{self, Form, Written};
use cliproxy_fuzz::translate::features::Feature;
use cliproxy_fuzz::translate::sides::Target;
use cliproxy_fuzz::translate::signs::Api;
use cliproxy_fuzz::{kept, mutation, pace};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const FORMS: [Form; 3] = [Form::OpenAi, Form::One, Form::Batch];

/// Who has embeddings.
const PROVIDERS: [Api; 2] = [Api::Completions, Api::Generate];

/// The other names of a model, one of which has to be escaped.
const NAMES: [&str; 2] = ["an-other/\"model\"", "text-embedding-3-small"];

const TARGET: Target<'_> = Target { model: NAMES[0], max_output_tokens: None };

/// What clients ask whose answers are read: how, and how many vectors they want.
const QUESTIONS: [(Form, &str, usize); 6] = [
    (Form::OpenAi, r#"{"model":"m","input":"one"}"#, 1),
    (Form::OpenAi, r#"{"model":"m","input":["one","two"]}"#, 2),
    (Form::OpenAi, r#"{"model":"m","input":"one","encoding_format":"base64"}"#, 1),
    (Form::OpenAi, r#"{"model":"m","input":["one","two","three"],"encoding_format":"base64"}"#, 3),
    (Form::One, r#"{"content":{"parts":[{"text":"one"}]}}"#, 1),
    (
        Form::Batch,
        r#"{"requests":[{"content":{"parts":[{"text":"one"}]}},{"content":{"parts":[{"text":"two"}]}}]}"#,
        2,
    ),
];

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    match input.choice % 4 {
        0 | 1 => request(input.option(&FORMS), input),
        2 => answer(input),
        _ => renamed(input.text),
    }
}

fn request(form: Form, input: &Input<'_>) {
    let features = match embeddings::features(form, input.text) {
        Ok(features) => features,
        Err(why) => return kept::complaint(&why),
    };
    for &provider in ways(input.choice / 4, &PROVIDERS) {
        // Numbers of tokens go on as they are, and only where nothing has to be written.
        if features.refused_by(provider).is_some() || features.contains(Feature::TokenInput) {
            continue;
        }
        let written = asked(form, input.text, provider);
        let theirs = match written.endpoint {
            "embedContent" => Form::One,
            "batchEmbedContents" => Form::Batch,
            _ => Form::OpenAi,
        };
        assert_eq!(theirs == Form::OpenAi, provider == Api::Completions);
        if let (Some(own), Some(again)) = (said(form, input.text), said(theirs, &written.body)) {
            assert_eq!(again, own);
        }
        // Said again, for the same provider or by way of it for the other, it is what it would be at once.
        for other in PROVIDERS {
            let (again, once) = (asked(theirs, &written.body, other), asked(form, input.text, other));
            assert_eq!(text_of(&again.body), text_of(&once.body));
            assert_eq!((again.endpoint, again.back.estimate()), (once.endpoint, once.back.estimate()));
        }
    }
}

/// What a provider is asked by who knows that it can be.
fn asked(form: Form, body: &[u8], provider: Api) -> Written {
    match embeddings::write(form, body, provider, &TARGET) {
        Ok(written) => written,
        Err(why) => unreachable!("{why:?}: {}", text_of(body)),
    }
}

fn text_of(body: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// The texts of a request, as serde_json finds them; `None` if it can't read all of it.
fn said(form: Form, body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let of_parts = |content: &Value| {
        let parts = content["parts"].as_array()?;
        parts.iter().map(|part| part["text"].as_str()).collect::<Option<String>>()
    };
    match (form, &body["input"]) {
        (Form::OpenAi, Value::String(text)) => Some(vec![text.clone()]),
        (Form::OpenAi, input) => {
            input.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        }
        (Form::One, _) => Some(vec![of_parts(&body["content"])?]),
        (Form::Batch, _) => {
            body["requests"].as_array()?.iter().map(|one| of_parts(&one["content"])).collect()
        }
    }
}

/// The text as a provider's answer.
fn answer(input: &Input<'_>) {
    let (form, question, texts) = input.option(&QUESTIONS);
    for &provider in ways(input.choice / 4, &PROVIDERS) {
        let back = asked(form, question.as_bytes(), provider).back;
        let Some((body, usage)) = back.answer(input.text) else { continue };
        // A list may stand for an object, and then there is nothing by whose name it could be found.
        let Some(own) = vectors(provider, input.text) else { continue };
        assert_eq!(own.len(), texts);
        let (api, counted) = match form {
            Form::OpenAi => (Api::Completions, ["usage", "prompt_tokens"]),
            Form::One | Form::Batch => (Api::Generate, ["usageMetadata", "promptTokenCount"]),
        };
        let Some(told) = vectors(api, &body) else { unreachable!("{}", text_of(&body)) };
        if question.contains("base64") {
            assert_eq!(told.len(), texts);
            for (told, own) in told.iter().zip(own) {
                assert_eq!(floats_of_base64(told), floats(own), "{told} {own}");
            }
        } else {
            assert_eq!(told, own);
        }
        if let Ok(body) = serde_json::from_slice::<Value>(&body) {
            let tokens = usage.unwrap_or(back.estimate()).input_total();
            assert_eq!(body[counted[0]][counted[1]].as_u64(), Some(tokens));
        }
    }
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    data: Vec<Place<'a>>,
}
#[derive(Deserialize)]
struct Place<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}
#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow)]
    embedding: Option<Values<'a>>,
    #[serde(borrow)]
    embeddings: Option<Vec<Values<'a>>>,
}
#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

/// The vectors of an answer, in the order of the texts.
fn vectors(api: Api, body: &[u8]) -> Option<Vec<&str>> {
    if api == Api::Completions {
        let Listed { data } = serde_json::from_slice(body).ok()?;
        let each = data.into_iter().enumerate();
        let places: BTreeMap<usize, &RawValue> =
            each.map(|(nth, place)| (place.index.unwrap_or(nth), place.embedding)).collect();
        return Some(places.into_values().map(RawValue::get).collect());
    }
    let Given { embedding, embeddings } = serde_json::from_slice(body).ok()?;
    let all = embeddings.into_iter().flatten().chain(embedding);
    Some(all.map(|vector| vector.values.get()).collect())
}

fn floats(numbers: &str) -> Vec<u32> {
    let numbers: Vec<&RawValue> = serde_json::from_str(numbers).unwrap_or_default();
    numbers.iter().filter_map(|number| number.get().parse().ok()).map(f32::to_bits).collect()
}

fn floats_of_base64(text: &str) -> Vec<u32> {
    let bytes = STANDARD.decode(text.trim_matches('"')).unwrap_or_default();
    bytes.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

fn renamed(text: &[u8]) {
    let body = Bytes::copy_from_slice(text);
    let [one, other] = NAMES;
    let changed = |body: &Bytes, name| edit::apply(body, embeddings::rename_models(body, name));
    let once = changed(&body, one);
    assert_eq!(changed(&once, other), changed(&body, other));
    if let (Ok(before), Ok(after)) = (serde_json::from_slice(text), serde_json::from_slice(&once)) {
        same_but_names(&before, &after);
    }
}

/// Whether only names of models have become others. A list may stand for an object with its members in order, as serde
/// has it.
fn same_but_names(before: &Value, after: &Value) {
    match (before, after) {
        (_, Value::String(name)) if name.strip_prefix("models/") == Some(NAMES[0]) => {}
        (Value::Object(before), Value::Object(after)) => {
            assert!(before.keys().eq(after.keys()));
            before.iter().for_each(|(name, value)| same_but_names(value, &after[name]));
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            before.iter().zip(after).for_each(|(before, after)| same_but_names(before, after));
        }
        (before, after) => assert_eq!(before, after),
    }
}
