//! What others have thought in a client's own request to Gemini: its vendor refuses a signature that it didn't make.

use crate::translate::cuts;
use crate::translate::edit::Edit;
use crate::translate::members::{Members, elements, text};
use crate::translate::reader;
use crate::translate::signature::{self, OURS_ENCODED};
use crate::translate::signs::Api;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A signature beside what it signs, by both of its names.
const SIGNATURE: [&str; 2] = ["thoughtSignature", "thought_signature"];

/// The edits that take such thoughts out of a request, and the signatures of others from what else they said; none where
/// there are none, which costs a search.
pub fn without_foreign(body: &[u8]) -> Vec<Edit> {
    if memmem::find(body, OURS_ENCODED.as_bytes()).is_none() {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let request: Request<'_> = reader::read(text).unwrap_or_default();
    let counted = request.counted.and_then(|counted| counted.contents);
    let mut cutting = Cutting { text, edits: Vec::new() };
    for contents in [request.contents, counted].into_iter().flatten() {
        let goes: Vec<bool> = contents.iter().map(|content| cutting.content(content)).collect();
        cutting.edits.extend(cuts::elements(text, &contents, &goes));
    }
    cutting.edits
}

#[derive(Default, Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    contents: Option<Vec<&'a RawValue>>,
    /// Where a request that is to be counted may have everything.
    #[serde(borrow, rename = "generateContentRequest", alias = "generate_content_request")]
    counted: Option<Counted<'a>>,
}

#[derive(Deserialize)]
struct Counted<'a> {
    #[serde(borrow)]
    contents: Option<Vec<&'a RawValue>>,
}

/// A conversation that edits are found in.
struct Cutting<'t> {
    text: &'t str,
    edits: Vec<Edit>,
}

impl<'t> Cutting<'t> {
    /// Whether a content goes, because nothing else is in it.
    fn content(&mut self, content: &'t RawValue) -> bool {
        let Some(content) = Members::of(content) else { return false };
        if content.get("role").and_then(text).as_deref() != Some("model") {
            return false;
        }
        let Some(parts) = content.get("parts").and_then(elements) else { return false };
        let goes: Vec<bool> = parts.iter().map(|part| self.part(part)).collect();
        if !goes.is_empty() && goes.iter().all(|goes| *goes) {
            return true;
        }
        self.edits.extend(cuts::elements(self.text, &parts, &goes));
        false
    }

    /// Whether a part goes: a thought of others, or their signature alone.
    fn part(&mut self, part: &'t RawValue) -> bool {
        let Some(members) = Members::of(part) else { return false };
        let Some(signed) = SIGNATURE.iter().find_map(|name| members.get(name)) else { return false };
        let is_foreign =
            text(signed).is_some_and(|it| signature::unwrap(it, Api::Generate).0.maker != Api::Generate);
        if !is_foreign {
            return false;
        }
        if is_thought(&members) || is_only_signed(&members) {
            return true;
        }
        self.edits.extend(cuts::member(self.text, part, &members, signed));
        false
    }
}

fn is_thought(part: &Members<'_>) -> bool {
    part.get("thought").is_some_and(|thought| thought.get() == "true")
}

/// Whether a part says nothing beside its signature.
fn is_only_signed(part: &Members<'_>) -> bool {
    let says = |name: &str, value: &RawValue| match name {
        "text" => value.get() != "\"\"",
        "thought" => false,
        _ => !SIGNATURE.contains(&name),
    };
    !part.0.iter().any(|(name, value)| says(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::edit;
    use bytes::Bytes;

    /// `cliproxy/messages/c2ln`
    const FOREIGN: &str = r#""thoughtSignature": "Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg==""#;

    #[track_caller]
    fn expect(contents: &str, expected: &str) {
        let body = |contents: &str| {
            format!(r#"{{"x":1.0, "contents" : {contents},"generationConfig":{{"seed":1e0}} }}"#)
        };
        let asked = Bytes::from(body(contents));
        let written = edit::apply(&asked, without_foreign(&asked));
        assert_eq!(String::from_utf8_lossy(&written), body(expected));
        let edits = without_foreign(&written);
        assert_eq!(edits, [], "what was made is as the model takes it");
    }

    #[test]
    fn thoughts_of_others_go_and_their_words_stay_to_the_byte() {
        expect(
            &format!(
                r#"[{{"role":"user","parts":[{{"text":"Y2xpcHJveHkv"}}]}},
                {{"role":"model","parts":[ {{"text":"Hm","thought":true,{FOREIGN}}} , {{"text":"a\u00e9","new":[ ]}},
                  {{"text":"","thought_signature":"Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg"}}, {{{FOREIGN}, "text":"b"}}]}}]"#
            ),
            r#"[{"role":"user","parts":[{"text":"Y2xpcHJveHkv"}]},
                {"role":"model","parts":[ {"text":"a\u00e9","new":[ ]}, { "text":"b"}]}]"#,
        );
        let thought = format!(r#"{{"role":"model","parts":[{{"thought":true,"text":"Hm",{FOREIGN}}}]}}"#);
        let other = r#"{"parts":[{"text":"a"}]}"#;
        expect(&format!("[{other}, {thought},{thought}, {other}]"), &format!("[{other}, {other}]"));
    }

    #[test]
    fn what_the_maker_signed_or_nobody_stays() {
        let own = r#"{"role":"model","parts":[{"thought":true,"text":"Hm"},{"text":"a","thoughtSignature":"CiQB"}]}"#;
        for untouched in [
            format!("[{own}]"),
            r#"[{"role":"model","parts":[{"text":"Y2xpcHJveHkv","thoughtSignature":"Y2xpcHJveHkv"}]}]"#
                .to_owned(),
            format!(r#"{{"role":"model","parts":{{{FOREIGN}}}}}"#),
            format!(r#"[{{"role":"user","parts":[{{"text":"a",{FOREIGN}}}]}}, 1, {{"role":"model"}}]"#),
        ] {
            expect(&untouched, &untouched);
        }
        assert_eq!(without_foreign(b"{\"contents\":[Y2xpcHJveHkv"), []);
    }

    #[test]
    fn a_request_to_be_counted_may_have_it_all_one_level_down() {
        let thought = format!(r#"{{"role":"model","parts":[{{"thought":true,{FOREIGN}}}]}}"#);
        let body =
            Bytes::from(format!(r#"{{"generateContentRequest":{{"model":"m","contents":[{thought}]}}}}"#));
        let written = edit::apply(&body, without_foreign(&body));
        assert_eq!(written, r#"{"generateContentRequest":{"model":"m","contents":[]}}"#);
    }
}
