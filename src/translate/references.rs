//! What a request refers to that only its maker has: an earlier answer, a conversation, a file, a cached prompt.
//!
//! Decides whether there is such a reference, and what of an answer another may refer to. Who made what is not known here.
//! Sources: OpenAI's reference of Responses, Anthropic's of Messages and the Files API, Gemini's of caching and files.

use super::features::{Feature, Features};
use super::signs::Api;
use super::{frames, json, reader};
use memchr::memmem;
use serde::Deserialize;
use std::borrow::Cow;
use std::iter;
use std::ops::Range;

/// That a request refers to such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// The ids of what answers are made of, or of one, the newest first. Empty if it is something else.
    pub made: Vec<String>,
}

/// The most items of an answer that can be referred to.
pub const MAX_ITEMS: usize = 64;

/// What stands in `input` for an item of an earlier answer.
const ITEM_REFERENCE: &str = r#""item_reference""#;

/// Members of a request that refer to such, and in which API.
const MEMBERS: [(&str, Api); 6] = [
    ("previous_response_id", Api::Responses),
    ("conversation", Api::Responses),
    ("prompt", Api::Responses),
    ("container", Api::Messages),
    ("cachedContent", Api::Generate),
    ("cached_content", Api::Generate),
];

/// The one of them whose older namesake is a text to be completed.
pub(super) const PROMPT: usize = 2;
const _: () = assert!(matches!(NAMES[PROMPT].as_bytes(), b"prompt"));

/// The names of these members.
pub(super) const NAMES: [&str; MEMBERS.len()] = {
    let mut names = [""; MEMBERS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = MEMBERS[at].0;
        at += 1;
    }
    names
};

/// Where these members' values lie in a body.
pub(super) type Places = [Option<Range<usize>>; NAMES.len()];

/// What stands in what is said where that refers to such.
const MARKS: [(Api, &str); 7] = [
    (Api::Completions, r#""file_id""#),
    (Api::Completions, r#""audio""#),
    (Api::Responses, r#""file_id""#),
    (Api::Responses, ITEM_REFERENCE),
    (Api::Messages, r#""file_id""#),
    (Api::Generate, r#""fileUri""#),
    (Api::Generate, r#""file_uri""#),
];

/// What the members of a request refer to.
pub(super) fn in_members(api: Api, body: &[u8], places: &Places) -> Option<Reference> {
    let of_api = MEMBERS.iter().zip(places).filter(|((_, of), _)| *of == api);
    let mut given = of_api.filter_map(|((name, _), at)| Some((*name, body.get(at.clone()?)?)));
    given.find_map(|(name, value)| {
        let id = json::text(value).or_else(|| {
            let [id] = json::members(value, ["id"]).ok()?;
            json::text(value.get(id?)?)
        });
        let id = id.filter(|id| !id.is_empty())?;
        let is_answer = name == NAMES[0];
        Some(Reference { made: is_answer.then(|| id.into_owned()).into_iter().collect() })
    })
}

/// The items of earlier answers that stand in what is said by their ids alone. Costs a search where there are none.
pub fn items_said(api: Api, body: &[u8]) -> Option<Reference> {
    if api != Api::Responses || memmem::find(body, ITEM_REFERENCE.as_bytes()).is_none() {
        return None;
    }
    let [input] = json::members(body, ["input"]).ok()?;
    let items: Vec<Item<'_>> = reader::read_bytes(body.get(input?)?).ok()?;
    let referred = items.into_iter().rev().filter(|item| item.kind.as_deref() == Some("item_reference"));
    let made: Vec<String> = referred.filter_map(|item| item.id.map(Cow::into_owned)).collect();
    (!made.is_empty()).then_some(Reference { made })
}

/// An item of a conversation, as far as it says which it is.
#[derive(Deserialize)]
struct Item<'t> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'t, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'t, str>>,
}

/// Whether what is said may refer to such; it surely doesn't if not. Costs two searches.
pub fn may_be_said(api: Api, body: &[u8]) -> bool {
    let mut marks = MARKS.iter().filter(|(of, _)| *of == api);
    marks.any(|(_, mark)| memmem::find(body, mark.as_bytes()).is_some())
}

/// What is referred to in what is said, by what was noted of it.
pub fn said(features: Features) -> Option<Reference> {
    let stored = [Feature::ProviderState, Feature::StoredConversation];
    stored.into_iter().any(|feature| features.contains(feature)).then(Reference::default)
}

/// What a later request may refer to of an answer of the Responses API: its id, and those of its first [`MAX_ITEMS`]
/// items. Nothing if it isn't kept.
pub fn made(answer: &[u8]) -> Vec<String> {
    let Ok([Some(id), store, output]) = json::members(answer, ["id", "store", "output"]) else {
        return Vec::new();
    };
    let is_kept = store.is_none_or(|at| &answer[at] != b"false");
    let Some(id) = json::text(&answer[id]).filter(|_| is_kept) else { return Vec::new() };
    let items: Vec<Item<'_>> =
        output.and_then(|at| serde_json::from_slice(&answer[at]).ok()).unwrap_or_default();
    let ids = items.into_iter().filter_map(|item| item.id).take(MAX_ITEMS);
    iter::once(id).chain(ids).map(Cow::into_owned).collect()
}

/// The id of an answer that is too long to be held, as those with pictures are, by its beginning: the id comes early.
pub fn id_at_start(answer: &[u8]) -> Option<String> {
    json::text(&answer[json::early_member(answer, "id")?]).map(Cow::into_owned)
}

/// What a later request may refer to of an answer, by an event that says how it stands; `None` for any other.
pub fn made_in_event(frame: &[u8]) -> Option<Vec<String>> {
    let data = frames::data(frame);
    let [response] = json::members(&data, ["response"]).ok()?;
    Some(made(&data[response?]))
}

#[cfg(test)]
mod tests {
    use super::super::peek::Peek;
    use super::super::question;
    use super::*;

    fn reference(api: Api, body: &str) -> Option<Reference> {
        let peek = Peek::read(body.as_bytes()).expect("JSON");
        let said = || {
            may_be_said(api, body.as_bytes())
                .then(|| question::read(api, body.as_bytes()).expect(body).features)
        };
        let by_id = peek.reference(api, body.as_bytes()).or_else(|| items_said(api, body.as_bytes()));
        by_id.or_else(|| super::said(said()?))
    }

    fn to(made: &[&str]) -> Option<Reference> {
        Some(Reference { made: made.iter().map(|id| (*id).to_owned()).collect() })
    }

    #[test]
    fn a_reference_is_seen_wherever_its_api_has_it() {
        let said = |api, content: &str| match api {
            Api::Generate => format!(r#"{{"contents":{{"parts":[{content}]}}}}"#),
            Api::Responses => format!(r#"{{"input":[{{"role":"user","content":[{content}]}}]}}"#),
            _ => format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":[{content}]}}]}}"#),
        };
        for body in [
            r#""input":"x""#,
            r#""input":"x","previous_response_id":null"#,
            r#""conversation":"","prompt":{}"#,
        ] {
            assert_eq!(reference(Api::Responses, &format!("{{{body}}}")), None, "{body}");
        }
        assert_eq!(reference(Api::Responses, r#"{"previous_response_id":"resp_1"}"#), to(&["resp_1"]));
        for (api, body) in [
            (Api::Responses, r#"{"conversation":"conv_1"}"#.to_owned()),
            (Api::Responses, r#"{"conversation":{"id":"conv_1"}}"#.to_owned()),
            (Api::Responses, r#"{"prompt":{"id":"p"}}"#.to_owned()),
            (Api::Responses, said(Api::Responses, r#"{"type":"input_file","file_id":"f"}"#)),
            (Api::Completions, said(Api::Completions, r#"{"type":"file","file":{"file_id":"f"}}"#)),
            (Api::Completions, r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#.to_owned()),
            (Api::Messages, r#"{"container":"c"}"#.to_owned()),
            (
                Api::Messages,
                said(Api::Messages, r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#),
            ),
            (Api::Generate, r#"{"cachedContent":"cachedContents/x"}"#.to_owned()),
            (Api::Generate, r#"{"cached_content":"cachedContents/x"}"#.to_owned()),
            (
                Api::Generate,
                said(
                    Api::Generate,
                    r#"{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x"}}"#,
                ),
            ),
        ] {
            assert_eq!(reference(api, &body), to(&[]), "{body}");
        }
        // Another API's word, a tool's, and an address that everybody can fetch.
        for (api, body) in [
            (
                Api::Completions,
                r#"{"messages":[{"role":"user","content":"x"}],"conversation":"c"}"#.to_owned(),
            ),
            (
                Api::Completions,
                r#"{"messages":[{"role":"user","content":"\"file_id\""}],"prompt":"x"}"#.to_owned(),
            ),
            (
                Api::Responses,
                r#"{"input":"x","tools":[{"type":"function","name":"f","parameters":{"file_id":{}}}]}"#
                    .to_owned(),
            ),
            (
                Api::Generate,
                said(
                    Api::Generate,
                    r#"{"fileData":{"fileUri":"https://example.org/x.pdf","mimeType":"application/pdf"}}"#,
                ),
            ),
        ] {
            assert_eq!(reference(api, &body), None, "{body}");
        }
    }

    #[test]
    fn items_are_referred_to_by_their_ids_the_newest_first() {
        let message = r#"{"role":"user","content":"\"item_reference\""}"#;
        let call = r#"{"type":"function_call_output","id":"fco_1","call_id":"c","output":"x"}"#;
        let items = r#"{"type":"item_reference","id":"rs_1"},{"id":"msg_1","type":"item_reference"}"#;
        let body = format!(r#"{{"input":[{message},{items},{call}]}}"#);
        assert_eq!(reference(Api::Responses, &body), to(&["msg_1", "rs_1"]));
        let body = format!(r#"{{"previous_response_id":"resp_1","input":[{items}]}}"#);
        assert_eq!(reference(Api::Responses, &body), to(&["resp_1"]), "the answer says it");
        for body in [
            format!(r#"{{"input":[{message}]}}"#),
            r#"{"input":"\"item_reference\""}"#.to_owned(),
            r#"{"input":"x","metadata":{"id":"item_reference"}}"#.to_owned(),
            r#"{"input":[{"type":"item_reference"}]}"#.to_owned(),
            r#"{"input":[{"type":"item_reference","id":7}]}"#.to_owned(),
            r#"{"input":{"type":"item_reference","id":"x"}}"#.to_owned(),
        ] {
            assert_eq!(items_said(Api::Responses, body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn as_many_items_of_an_answer_are_remembered_as_there_may_be_and_no_more() {
        for (count, remembered) in [(MAX_ITEMS, MAX_ITEMS), (MAX_ITEMS + 1, MAX_ITEMS)] {
            let items: Vec<String> = (0..count).map(|at| format!(r#"{{"id":"msg_{at}"}}"#)).collect();
            let answer = format!(r#"{{"id":"resp_1","output":[{}]}}"#, items.join(","));
            assert_eq!(made(answer.as_bytes()).len(), 1 + remembered);
        }
    }

    #[test]
    fn an_answer_can_be_referred_to_unless_it_is_not_stored() {
        let whole = |more: &str| {
            let output =
                r#"[{"type":"reasoning","id":"rs_1","summary":[{"id":"no"}]},{"type":"x"},{"id":"msg_1"}]"#;
            made(format!(r#"{{"id":"resp_1","output":{output}{more}}}"#).as_bytes())
        };
        assert_eq!(whole(""), ["resp_1", "rs_1", "msg_1"]);
        assert_eq!(whole(r#","store":true"#), ["resp_1", "rs_1", "msg_1"]);
        assert_eq!(whole(r#","store":false"#), [""; 0]);
        assert_eq!(made(br#"{"id":"resp_1","output":"x"}"#), ["resp_1"]);
        let start = |text: &str| id_at_start(text.as_bytes());
        assert_eq!(
            start("{\n  \"id\" : \"resp_1\",\n  \"output\": [{\"result\":\"iVBO").as_deref(),
            Some("resp_1")
        );
        for other in ["", "{", r#"{"id":"resp"#, r#"{"id":7,"x":"y"}"#, r#"{"x":[{"id":"y"},"#] {
            assert_eq!(start(other), None, "{other}");
        }
        let event = |data: &str| made_in_event(format!("event: x\ndata: {data}\n\n").as_bytes());
        let made = |more: &str| {
            event(&format!(r#"{{"type":"response.created","response":{{"id":"resp_2"{more}}}}}"#))
        };
        assert_eq!(made(""), Some(vec!["resp_2".to_owned()]));
        let items = made(r#","output":[{"id":"msg_2"}]"#);
        assert_eq!(items, Some(vec!["resp_2".to_owned(), "msg_2".to_owned()]));
        assert_eq!(made(r#","store":false"#), Some(Vec::new()));
        assert_eq!(event(r#"{"type":"response.output_text.delta","delta":"x"}"#), None);
    }
}
