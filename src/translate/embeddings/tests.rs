//! Embeddings, both ways.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

const TARGET: Target<'_> = Target { model: "provider-model", max_output_tokens: None };

/// What a provider is asked, and the way back.
#[track_caller]
fn asked(form: Form, provider: Api, body: &str) -> (Value, Written) {
    let written = write(form, body.as_bytes(), provider, &TARGET).expect("a request");
    (serde_json::from_slice(&written.body).expect("JSON"), written)
}

fn why(form: Form, body: &str) -> String {
    features(form, body.as_bytes()).expect_err(body).0
}

fn text(written: &Written, answer: &str) -> String {
    String::from_utf8(written.back.answer(answer.as_bytes()).expect("understood").0).expect("UTF-8")
}

#[test]
fn one_text_of_openais_is_one_content() {
    let body = r#"{"model":"c","input":"Hi \"you\"","dimensions":3,"encoding_format":"float","user":"u"}"#;
    let (asked, written) = asked(Form::OpenAi, Api::Generate, body);
    assert_eq!(written.endpoint, "embedContent");
    assert_eq!(written.dropped, ["user"]);
    let expected = json!({
        "model": "models/provider-model",
        "content": {"parts": [{"text": "Hi \"you\""}]},
        "outputDimensionality": 3,
    });
    assert_eq!(asked, expected);
    let answer =
        text(&written, r#"{"embedding":{"values":[0.10, -1e-7,2]},"usageMetadata":{"promptTokenCount":5}}"#);
    assert_eq!(
        answer,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10, -1e-7,2]}],"model":"provider-model","usage":{"prompt_tokens":5,"total_tokens":5}}"#
    );
}

#[test]
fn a_list_of_openais_is_a_batch_in_the_same_order() {
    let (asked, written) = asked(Form::OpenAi, Api::Generate, r#"{"model":"c","input":["a","bcdef"]}"#);
    assert_eq!(written.endpoint, "batchEmbedContents");
    assert_eq!(asked["requests"][1]["content"]["parts"][0]["text"], "bcdef");
    assert_eq!(asked["requests"][0]["outputDimensionality"], Value::Null);
    let answer = text(&written, r#"{"embeddings":[{"values":[1]},{"values":[2]}]}"#);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["data"][1], json!({"object": "embedding", "index": 1, "embedding": [2]}));
    assert_eq!(answer["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}), "estimated: 1 and 5 bytes");
    assert_eq!(written.back.estimate().input, 3);
    // A list of one is a list.
    assert_eq!(
        self::asked(Form::OpenAi, Api::Generate, r#"{"input":["a"]}"#).1.endpoint,
        "batchEmbedContents"
    );
}

#[test]
fn geminis_requests_are_one_of_openais() {
    let (asked_one, one) = asked(
        Form::One,
        Api::Completions,
        r#"{"model":"models/c","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_QUERY",
            "title":"t","output_dimensionality":"3"}"#,
    );
    assert_eq!(asked_one, json!({"model": "provider-model", "input": "ab", "dimensions": 3}));
    assert_eq!((one.endpoint, &one.dropped[..]), ("embeddings", &["taskType", "title"][..]));
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,0.30]}],
        "usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    assert_eq!(
        text(&one, answer),
        r#"{"embedding":{"values":[1.0,0.30]},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#
    );

    let (asked_batch, batch) = asked(
        Form::Batch,
        Api::Completions,
        r#"{"requests":[{"model":"models/c","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},
            {"content":{"parts":[{"text":"b"}]},"embedContentConfig":{"outputDimensionality":2}}]}"#,
    );
    assert_eq!(asked_batch, json!({"model": "provider-model", "input": ["a", "b"], "dimensions": 2}));
    let answer = r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
    assert_eq!(
        text(&batch, answer),
        r#"{"embeddings":[{"values":[1]},{"values":[2]}],"usageMetadata":{"promptTokenCount":2,"totalTokenCount":2}}"#
    );
}

#[test]
fn an_answer_that_lacks_a_vector_is_none() {
    let of = |form, provider, body| asked(form, provider, body).1.back;
    let list = of(Form::OpenAi, Api::Generate, r#"{"input":["a","b"]}"#);
    for answer in [r#"{"embeddings":[{"values":[1]}]}"#, r#"{"embeddings":[{},{}]}"#, "{}", "[]", "x"] {
        assert!(list.answer(answer.as_bytes()).is_none(), "{answer}");
    }
    let one = of(Form::One, Api::Completions, r#"{"content":{"parts":[{"text":"a"}]}}"#);
    for answer in [
        r#"{"data":[]}"#,
        r#"{"data":[{"index":1,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":"AACAPw=="}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
    ] {
        assert!(one.answer(answer.as_bytes()).is_none(), "{answer}");
    }
    let base64 = of(Form::OpenAi, Api::Generate, r#"{"input":"a","encoding_format":"base64"}"#);
    for values in [r#"["1"]"#, "[null]", "[[1]]"] {
        assert!(base64.answer(format!(r#"{{"embedding":{{"values":{values}}}}}"#).as_bytes()).is_none());
    }
}

#[test]
fn what_the_other_api_lacks_is_noted() {
    let openai = |members: &str| {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        features(Form::OpenAi, body.as_bytes()).expect(members)
    };
    for (members, feature) in [
        (r#""input":[1,2]"#, Feature::TokenInput),
        (r#""input":[[1],[2,3]]"#, Feature::TokenInput),
        (r#""input":"x","user":"u""#, Feature::User),
        (r#""input":"x","input_type":"query""#, Feature::Other),
    ] {
        assert!(openai(members).contains(feature), "{members}");
    }
    let plain = openai(r#""input":"x","user":null,"input_type":null"#);
    assert_eq!(plain.refused_by(Api::Messages), Some("embeddings"));
    assert_eq!((plain.refused_by(Api::Generate), plain.dropped_by(Api::Generate).count()), (None, 0));
    let media =
        features(Form::One, br#"{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}}"#);
    assert!(media.expect("a request").refused_by(Api::Completions).is_some());
}

#[test]
fn as_many_texts_as_gemini_takes_and_one_more() {
    let refused = |texts: usize| {
        let body = json!({"input": vec!["a"; texts]}).to_string();
        let features = features(Form::OpenAi, body.as_bytes()).expect("a request");
        (features.refused_by(Api::Generate), features.refused_by(Api::Completions))
    };
    assert_eq!(refused(MAX_BATCH), (None, None));
    assert_eq!(refused(MAX_BATCH + 1), (Some("more than 100 inputs in one request"), None));
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    for (body, start) in [
        (r#"{}"#, "`input` is missing"),
        (r#"{"input":null}"#, "`input` is missing"),
        (r#"{"input":7}"#, "`input` must be"),
        (r#"{"input":[]}"#, "`input` must not be empty"),
        (r#"{"input":""}"#, "`input` must not be empty"),
        (r#"{"input":["a",""]}"#, "`input[1]` must not be empty"),
        (r#"{"input":["a",1]}"#, "`input[1]` "),
        (r#"{"input":[1,"a"]}"#, "`input[1]` must be"),
        (r#"{"input":[1,-1]}"#, "`input[1]` must be"),
        (r#"{"input":[[1],[]]}"#, "`input[1]` must be"),
        (r#"{"input":["\ud800"]}"#, "`input[0]` "),
        (r#"{"input":"a","dimensions":0}"#, "`dimensions` must be"),
        (r#"{"input":"a","dimensions":1.5}"#, "`dimensions` must be"),
        (r#"{"input":"a","encoding_format":"int8"}"#, "`encoding_format` must be"),
        (r#"{"input":"a","encoding_format":7}"#, "`encoding_format` "),
        (r#"{"input":"a","input":"b"}"#, "`input` is there twice"),
    ] {
        let why = why(Form::OpenAi, body);
        assert!(why.starts_with(start), "{body}: {why}");
    }
    for (body, start) in [
        (r#"{}"#, "`content` is missing"),
        (r#"{"content":7}"#, "`content` "),
        (r#"{"content":{"parts":[]}}"#, "`content.parts` must have"),
        (r#"{"content":{"parts":[{"text":7}]}}"#, "`content.parts[0].text` "),
        (r#"{"content":{"parts":[{"text":""}]}}"#, "`content.parts` must have"),
        (
            r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":-1}"#,
            "`outputDimensionality` must be",
        ),
    ] {
        let why = why(Form::One, body);
        assert!(why.starts_with(start), "{body}: {why}");
    }
    let part = r#""content":{"parts":[{"text":"a"}]}"#;
    for (body, start) in [
        (r#"{"requests":[]}"#.to_owned(), "`requests` must have"),
        (format!(r#"{{"requests":[{{{part}}},{{}}]}}"#), "`requests[1].content` is missing"),
        (r#"{"requests":[{"content":{"parts":7}}]}"#.to_owned(), "`requests[0].content.parts` "),
        (
            format!(r#"{{"requests":[{{{part}}},{{{part},"outputDimensionality":2}}]}}"#),
            "`requests[1].outputDimensionality` must be the same",
        ),
    ] {
        let why = why(Form::Batch, &body);
        assert!(why.starts_with(start), "{body}: {why}");
    }
}

#[test]
fn a_model_is_renamed_wherever_geminis_body_repeats_it() {
    let renamed = |body: &'static str| {
        let edits = rename_models(body.as_bytes(), "new");
        crate::translate::edit::apply(&bytes::Bytes::from_static(body.as_bytes()), edits)
    };
    for (body, expected) in [
        (r#"{"model":"models/a","content":{}}"#, r#"{"model":"models/new","content":{}}"#),
        (
            r#"{"requests":[{"model":"models/a"},{},{"model":"b"}]}"#,
            r#"{"requests":[{"model":"models/new"},{},{"model":"models/new"}]}"#,
        ),
        (
            r#"{"generateContentRequest":{"model": "models/a"}}"#,
            r#"{"generateContentRequest":{"model": "models/new"}}"#,
        ),
        (r#"{"contents":[{"model":"a"}]}"#, r#"{"contents":[{"model":"a"}]}"#),
        (r#"{"requests":7}"#, r#"{"requests":7}"#),
    ] {
        assert_eq!(renamed(body), expected);
    }
}

proptest! {
    #[test]
    fn numbers_in_base64_are_the_nearest_floats_of_their_digits(numbers in proptest::collection::vec("-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,25})?(e-?[0-9])?", 1..20)) {
        let back = asked(Form::OpenAi, Api::Generate, r#"{"input":"a","encoding_format":"base64"}"#).1;
        let answer = text(&back, &format!(r#"{{"embedding":{{"values":[{}]}}}}"#, numbers.join(", ")));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let bytes = STANDARD.decode(answer["data"][0]["embedding"].as_str().expect("text")).expect("base64");
        let floats: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().expect("four"))).collect();
        let expected: Vec<f32> = numbers.iter().map(|number| number.parse().expect("a number")).collect();
        prop_assert_eq!(floats, expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for form in [Form::OpenAi, Form::One, Form::Batch] {
            let _ = features(form, &bytes);
        }
        let _ = rename_models(&bytes, "m");
    }
}
