//! Gemini's `generateContent` and `streamGenerateContent`, to the hub and back: a client's requests and a provider's
//! answers are read, a provider's requests and a client's answers written.
//!
//! Knows Gemini's words and the hub's, and no other dialect. Budget: 15 µs for a request of 2 KB read and written, 2 µs
//! for an event of a stream.

mod answer;
mod calls;
mod config;
mod decoder;
mod encoder;
mod finish;
mod foreign_thoughts;
mod lenient;
mod models;
mod openapi;
mod parts;
mod read;
mod said;
mod schema;
mod tools;
mod unsigned_calls;
mod wire;
mod write;

use super::names::Rule;

pub use answer::{read_answer, write_answer};
pub use decoder::Decoder;
pub use encoder::{Encoder, MAX_ARGUMENTS};
pub use foreign_thoughts::without_foreign;
pub use read::read;
pub use unsigned_calls::{wants_signatures, with_signatures};
pub use write::write;

/// What names of functions can be sent. Newer references allow 128 letters and colons; what older models take is safe.
/// Source: Gemini API reference, `FunctionDeclaration.name`.
const NAMES: Rule = Rule { marks: b".", begins_with_letter: true };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Part;
    use crate::translate::sides::Target;
    use proptest::prelude::*;
    use serde_json::json;

    const TARGET: Target<'static> = Target { model: "gemini-2.5-flash", max_output_tokens: None };

    #[test]
    fn a_request_written_and_read_again_means_the_same() {
        let body = json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"fileData": {"mimeType": "image/png", "fileUri": "https://a.b/c"}}]},
                {"role": "model", "parts": [{"text": "Hm", "thought": true, "thoughtSignature": "YQ=="}, {"text": "So"},
                    {"functionCall": {"id": "1", "name": "f", "args": {"b": [1.0], "a": "é\n"}}, "thoughtSignature": "Yg=="},
                    {"functionCall": {"id": "2", "name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "2", "name": "f", "response": {"error": "no"}}},
                    {"functionResponse": {"id": "1", "name": "f", "response": {"result": 1}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "f", "description": "D",
                "parameters": "SCHEMA"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {"temperature": 0.5, "topK": 3, "maxOutputTokens": 4096, "stopSequences": ["x"], "seed": 7,
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
                "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": true}},
        })
        .to_string();
        // A value of serde_json would not keep the order of members.
        let schema =
            r#"{"type":"OBJECT","properties":{"b":{"type":"STRING","nullable":true}},"required":["b"]}"#;
        let body = body.replace(r#""SCHEMA""#, schema);
        let first = read(body.as_bytes()).expect("a request");
        let written = write(&first, &TARGET).expect("written");
        let second = read(&written.body).expect("a request");
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        assert_eq!((written.lost.len(), written.renamed.len()), (0, 0));
        let again = write(&second, &TARGET).expect("written").body;
        assert_eq!(String::from_utf8(again), String::from_utf8(written.body));
    }

    proptest! {
        #[test]
        fn ids_and_arguments_stay_byte_for_byte(ids in prop::collection::btree_set("[a-zA-Z0-9_-]{1,12}", 1..5), value in "\\PC{0,20}") {
            let arguments = format!(r#"{{ "a":{} , "n": 1.50e1}}"#, json!(value));
            let calls: Vec<_> =
                ids.iter().map(|id| format!(r#"{{"functionCall":{{"id":"{id}","name":"f","args":{arguments}}}}}"#)).collect();
            let results: Vec<_> =
                ids.iter().rev().map(|id| format!(r#"{{"functionResponse":{{"id":"{id}","name":"f","response":{{}}}}}}"#)).collect();
            let body = format!(
                r#"{{"contents":[{{"role":"model","parts":[{}]}},{{"parts":[{}]}}]}}"#,
                calls.join(","),
                results.join(",")
            );
            let first = read(body.as_bytes()).expect("a request");
            let written = write(&first, &TARGET).expect("written");
            let second = read(&written.body).expect("a request");
            prop_assert_eq!(&second.turns[1..], &first.turns[..]);
            for part in &second.turns[1].parts {
                let Part::Call(call) = part else { panic!("{part:?}") };
                prop_assert_eq!(call.arguments.as_ref(), arguments.as_str());
            }
        }
    }
}
