//! Reasoning of others that comes back in a conversation, on its way to the API's own maker.
//!
//! The vendor refuses a signature that it didn't make, and its newer models a call of theirs without one. A client has
//! signatures of others from us, and calls that nobody signed, where another provider answered. Source: Gemini API
//! guide "Thought signatures".

use super::models;
use super::write::UNSIGNED;
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
/// A call, likewise.
const CALL: [&str; 2] = ["functionCall", "function_call"];

/// The edits that take such reasoning out of a request, and say of unsigned calls that they may be so; none where all
/// is as the model takes it.
///
/// Costs a search where there is neither, one or two more before a model that wants signatures, and a look at every part
/// where such a one has called tools.
pub fn without_foreign(body: &[u8], model: &str) -> Vec<Edit> {
    let is_in_it = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    let wants_signatures = models::family(model).needs_signatures && CALL.iter().any(|name| is_in_it(name));
    if !wants_signatures && !is_in_it(OURS_ENCODED) {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    // A body that can't be read is its provider's to judge.
    let request: Request<'_> = reader::read(text).unwrap_or_default();
    let counted = request.counted.and_then(|counted| counted.contents);
    let mut cutting = Cutting { text, wants_signatures, has_called: false, edits: Vec::new() };
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
    wants_signatures: bool,
    /// Whether the turn has a call already: of several the first alone is signed. A turn may come in several contents.
    has_called: bool,
    edits: Vec<Edit>,
}

impl<'t> Cutting<'t> {
    /// Whether a content goes, because nothing else is in it.
    fn content(&mut self, content: &'t RawValue) -> bool {
        let Some(content) = Members::of(content) else { return false };
        if content.get("role").and_then(text).as_deref() != Some("model") {
            self.has_called = false;
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
        let signed = SIGNATURE.iter().find_map(|name| members.get(name));
        let signature = signed.and_then(text).filter(|signature| !signature.is_empty());
        let is_unsigned = signature.is_none();
        let is_foreign =
            signature.is_some_and(|it| signature::unwrap(it, Api::Generate).0.maker != Api::Generate);
        let is_call = CALL.iter().any(|name| members.get(name).is_some());
        let is_first = is_call && !std::mem::replace(&mut self.has_called, true);
        if is_foreign && (is_thought(&members) || is_only_signed(&members)) {
            return true;
        }
        if is_first && self.wants_signatures && (is_foreign || is_unsigned) {
            let value = format!("\"{UNSIGNED}\"");
            self.edits.extend(cuts::set(self.text, part, SIGNATURE[0], signed, &value));
        } else if let Some(signed) = signed.filter(|_| is_foreign) {
            self.edits.extend(cuts::member(self.text, part, &members, signed));
        }
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

    const OLD: &str = "gemini-2.5-flash";
    const NEW: &str = "gemini-3-pro";
    /// `cliproxy/messages/c2ln`
    const FOREIGN: &str = r#""thoughtSignature": "Y2xpcHJveHkvbWVzc2FnZXMvYzJsbg==""#;
    const CALLED: &str = r#""functionCall":{"name":"f","args":{"a" : 1.0}}"#;

    #[track_caller]
    fn expect(model: &str, contents: &str, expected: &str) {
        let body = |contents: &str| {
            format!(r#"{{"x":1.0, "contents" : {contents},"generationConfig":{{"seed":1e0}} }}"#)
        };
        let asked = Bytes::from(body(contents));
        let written = edit::apply(&asked, without_foreign(&asked, model));
        assert_eq!(String::from_utf8_lossy(&written), body(expected));
        let edits = without_foreign(&written, model);
        assert_eq!(edits, [], "what was made is as the model takes it");
    }

    #[test]
    fn thoughts_of_others_go_and_their_words_stay_to_the_byte() {
        for model in [OLD, NEW] {
            expect(
                model,
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
            expect(
                model,
                &format!("[{other}, {thought},{thought}, {other}]"),
                &format!("[{other}, {other}]"),
            );
        }
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
            expect(OLD, &untouched, &untouched);
            expect(NEW, &untouched, &untouched);
        }
        assert_eq!(without_foreign(b"{\"contents\":[Y2xpcHJveHkv", NEW), []);
    }

    #[test]
    fn the_first_call_of_a_turn_is_signed_where_the_model_wants_it() {
        let skip = format!(r#""thoughtSignature":"{UNSIGNED}""#);
        let asked = |call: &str| {
            format!(
                r#"[{{"parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{{{call}}}, {{{CALLED}}}]}},
                {{"role":"model","parts":[{{{CALLED}}}]}},{{"role":"user","parts":[]}},{{"role":"model","parts":[{{{call}}}]}}]"#
            )
        };
        let own = format!(r#"{CALLED},"thoughtSignature":"CiQB""#);
        for (call, old, new) in [
            (CALLED.to_owned(), CALLED.to_owned(), format!("{skip},{CALLED}")),
            (
                format!("{CALLED}, {FOREIGN}"),
                CALLED.to_owned(),
                format!(r#"{CALLED}, "thoughtSignature": "{UNSIGNED}""#),
            ),
            (own.clone(), own.clone(), own),
        ] {
            expect(OLD, &asked(&call), &asked(&old));
            expect(NEW, &asked(&call), &asked(&new));
        }
    }

    #[test]
    fn a_request_to_be_counted_may_have_it_all_one_level_down() {
        let thought = format!(r#"{{"role":"model","parts":[{{"thought":true,{FOREIGN}}}]}}"#);
        let body =
            Bytes::from(format!(r#"{{"generateContentRequest":{{"model":"m","contents":[{thought}]}}}}"#));
        let written = edit::apply(&body, without_foreign(&body, OLD));
        assert_eq!(written, r#"{"generateContentRequest":{"model":"m","contents":[]}}"#);
    }
}
