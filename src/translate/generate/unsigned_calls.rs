//! Calls in a client's own request that Gemini didn't sign, before a model that wants its signatures.
//!
//! It refuses the first call of a step without one, be it that another provider called, or that the client has lost it, and
//! takes a word in its place. Only the turn in work is looked at: it begins with what the user said last, results of
//! tools aside. Source: Gemini API guide "Thought signatures".

use super::lenient::Many;
use super::models;
use super::write::UNSIGNED;
use crate::translate::edit::{Edit, span};
use crate::translate::members;
use crate::translate::pieces::Str;
use crate::translate::reader;
use crate::translate::signature;
use crate::translate::signs::Api;
use memchr::memmem;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A call's member, by both of its names.
const CALL: [&str; 2] = [r#""functionCall""#, r#""function_call""#];

/// Whether a model refuses its calls without their signatures.
pub fn wants_signatures(model: &str) -> bool {
    models::family(model).needs_signatures
}

/// The edits that say of calls that they may be unsigned. Signatures of others are taken for none; they are to be cut
/// out, and aren't here.
pub fn with_signatures(body: &[u8]) -> Vec<Edit> {
    if !CALL.iter().any(|name| memmem::find(body, name.as_bytes()).is_some()) {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let request: Request<'_> = reader::read(text).unwrap_or_default();
    let counted = request.counted.unwrap_or_default();
    [request.contents, counted.contents].iter().flat_map(|contents| signed(text, &contents.0)).collect()
}

/// The same of one conversation.
fn signed(text: &str, contents: &[Content<'_>]) -> Vec<Edit> {
    let mut edits = Vec::new();
    // Of calls made at once the first alone is signed, though they may come in several contents.
    let mut has_called = false;
    let begin = contents.iter().rposition(Content::begins_turn).unwrap_or(0);
    for content in &contents[begin..] {
        if !content.is_models() {
            has_called = false;
            continue;
        }
        let call = content.parts.0.iter().find(|part| part.is_call());
        if let Some(call) = call.filter(|_| !std::mem::replace(&mut has_called, true)) {
            edits.extend(call.signed(text));
        }
    }
    edits
}

#[derive(Default, Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    contents: Many<Content<'a>>,
    /// Where a request that is to be counted may have everything.
    #[serde(borrow, rename = "generateContentRequest", alias = "generate_content_request")]
    counted: Option<Counted<'a>>,
}

#[derive(Default, Deserialize)]
struct Counted<'a> {
    #[serde(borrow, default)]
    contents: Many<Content<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    role: Option<Str<'a>>,
    #[serde(borrow, default)]
    parts: Many<Part<'a>>,
}

impl Content<'_> {
    fn is_models(&self) -> bool {
        self.role.as_ref().is_some_and(|Str(role)| role == "model")
    }

    /// Whether the user speaks, and doesn't only answer calls.
    fn begins_turn(&self) -> bool {
        let parts = &self.parts.0;
        let has = |what: fn(&Part<'_>) -> bool| parts.iter().any(what);
        !self.is_models() && has(|part| part.text.is_some()) && !has(|part| part.function_response.is_some())
    }
}

/// A part, as far as it matters to calls.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    text: Option<IgnoredAny>,
    thought: Option<bool>,
    #[serde(borrow, alias = "function_call")]
    function_call: Option<&'a RawValue>,
    #[serde(alias = "function_response")]
    function_response: Option<IgnoredAny>,
    #[serde(borrow, alias = "thought_signature", default, deserialize_with = "present")]
    thought_signature: Option<&'a RawValue>,
}

/// A member that is there, and be it `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Part<'_> {
    /// Whether it is a call that stays: a thought of others doesn't.
    fn is_call(&self) -> bool {
        self.function_call.is_some() && !(self.thought == Some(true) && self.signer() == Signer::Other)
    }

    fn signer(&self) -> Signer {
        let signature = self.thought_signature.and_then(members::text).filter(|text| !text.is_empty());
        match signature.map(|text| signature::unwrap(text, Api::Generate).0.maker) {
            None => Signer::Nobody,
            Some(Api::Generate) => Signer::Gemini,
            Some(_) => Signer::Other,
        }
    }

    /// What gives it a signature, if it has none that stays.
    fn signed(&self, text: &str) -> Option<Edit> {
        let signer = self.signer();
        if signer == Signer::Gemini {
            return None;
        }
        if let Some(empty) = self.thought_signature.filter(|_| signer == Signer::Nobody) {
            return Some(Edit { at: span(text, empty.get())?, with: format!("\"{UNSIGNED}\"").into() });
        }
        let end = span(text, self.function_call?.get())?.end;
        Some(Edit { at: end..end, with: format!(",\"thoughtSignature\":\"{UNSIGNED}\"").into() })
    }
}

/// Whose signature a part has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signer {
    Gemini,
    Other,
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;

    const CALL: &str = r#""functionCall":{"name":"f","args":{"a" : 1.0}}"#;
    const ASKED: &str = r#"{"parts":[{"text":"a"}]}"#;
    const ANSWERED: &str = r#"{"role":"user","parts":[{"functionResponse":{"name":"f"}}]}"#;

    #[track_caller]
    fn expect(contents: &str, expected: &str) {
        let body = |contents: &str| {
            Bytes::from(format!(r#"{{"x":1.0, "contents" : {contents},"generationConfig":{{"seed":1e0}} }}"#))
        };
        let written = edit::apply(&body(contents), with_signatures(&body(contents)));
        assert_eq!(written, body(expected));
        assert_eq!(with_signatures(&written), [], "once");
    }

    fn said(parts: &str) -> String {
        format!(r#"{{"role":"model","parts":[{parts}]}}"#)
    }

    fn skip() -> String {
        format!(r#""thoughtSignature":"{UNSIGNED}""#)
    }

    #[test]
    fn the_first_call_of_a_step_is_signed_and_no_other() {
        let skip = skip();
        let step = |call: &str| {
            let at_once = format!(r#"{{"text":"Let me look."}},{{{call}}}, {{{CALL}}}"#);
            format!("{},{},{ANSWERED}", said(&at_once), said(&format!("{{{CALL}}}")))
        };
        for (call, expected) in [
            (CALL.to_owned(), format!("{CALL},{skip}")),
            (format!(r#""thoughtSignature":"",{CALL}"#), format!("{skip},{CALL}")),
            (format!(r#"{CALL},"thoughtSignature":null"#), format!("{CALL},{skip}")),
            (
                format!(r#"{CALL}, "thoughtSignature":"CiQB""#),
                format!(r#"{CALL}, "thoughtSignature":"CiQB""#),
            ),
            (
                format!(r#""thought_signature":"CiQB",{CALL}"#),
                format!(r#""thought_signature":"CiQB",{CALL}"#),
            ),
        ] {
            let body = |call: &str| format!("[{ASKED},{},{}]", step(call), step(call));
            expect(&body(&call), &body(&expected));
        }
    }

    #[test]
    fn turns_that_are_over_are_nobodys_business_and_answers_of_tools_begin_none() {
        let (call, signed) = (said(&format!("{{{CALL}}}")), said(&format!("{{{CALL},{}}}", skip())));
        expect(
            &format!("[{ASKED},{call},{ANSWERED},{ASKED}]"),
            &format!("[{ASKED},{call},{ANSWERED},{ASKED}]"),
        );
        let noted = r#"{"parts":[{"function_response":{"name":"f"}},{"text":"by the way"}]}"#;
        for answer in [ANSWERED, noted] {
            expect(
                &format!("[{ASKED},{call},{ANSWERED},{ASKED},{call},{answer},{call}]"),
                &format!("[{ASKED},{call},{ANSWERED},{ASKED},{signed},{answer},{signed}]"),
            );
        }
        expect(&call, &signed);
    }

    #[test]
    fn what_is_no_call_of_the_models_stays_as_it_is() {
        for untouched in [
            format!(r#"[{{"role":"user","parts":[{{{CALL}}}]}}]"#),
            said(r#"{"functionCall":null,"text":"a"}"#),
            said(r#"{"text":"\"functionCall\": \"functionCall\""},{"text":"functionCall"}"#),
            format!("[1,{}]", said(&format!("{{{CALL}}}"))),
            said(r#"{"functionCall":"#),
        ] {
            expect(&untouched, &untouched);
        }
    }

    #[test]
    fn a_request_to_be_counted_may_have_it_all_one_level_down() {
        let body = |call: &str| {
            Bytes::from(format!(r#"{{"generateContentRequest":{{"contents":[{}]}}}}"#, said(call)))
        };
        let asked = body(&format!("{{{CALL}}}"));
        assert_eq!(edit::apply(&asked, with_signatures(&asked)), body(&format!("{{{CALL},{}}}", skip())));
    }
}
