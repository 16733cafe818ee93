//! What a request refers to that only its maker has: an earlier answer, a conversation, a file, a cached prompt.
//!
//! Decides whether there is such a reference, and what of an answer another may refer to. Who made what is not known here.
//! Sources: OpenAI's reference of Responses, Anthropic's of Messages and the Files API, Gemini's of caching and files.

use super::features::{Feature, Features};
use super::signs::Api;
use super::{frames, json};
use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;

/// What a request refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An answer, by its id.
    Answer(String),
    /// Something else, in words.
    Other(&'static str),
}

/// Members of a request that refer to such, in which API, and what to.
const MEMBERS: [(&str, Api, &str); 6] = [
    ("previous_response_id", Api::Responses, "an earlier answer"),
    ("conversation", Api::Responses, "a stored conversation"),
    ("prompt", Api::Responses, "a stored prompt"),
    ("container", Api::Messages, "a container"),
    ("cachedContent", Api::Generate, "a cached prompt"),
    ("cached_content", Api::Generate, "a cached prompt"),
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
    (Api::Responses, r#""item_reference""#),
    (Api::Messages, r#""file_id""#),
    (Api::Generate, r#""fileUri""#),
    (Api::Generate, r#""file_uri""#),
];

/// What the members of a request refer to.
pub(super) fn in_members(api: Api, body: &[u8], places: &Places) -> Option<Reference> {
    let of_api = MEMBERS.iter().zip(places).filter(|((_, of, _), _)| *of == api);
    let mut given = of_api.filter_map(|((name, _, what), at)| Some((*name, *what, body.get(at.clone()?)?)));
    given.find_map(|(name, what, value)| {
        let id = json::text(value).or_else(|| {
            let [id] = json::members(value, ["id"]).ok()?;
            json::text(value.get(id?)?)
        });
        let id = id.filter(|id| !id.is_empty())?;
        Some(if name == NAMES[0] { Reference::Answer(id.into_owned()) } else { Reference::Other(what) })
    })
}

/// Whether what is said may refer to such; it surely doesn't if not. Costs two searches.
pub fn may_be_said(api: Api, body: &[u8]) -> bool {
    let mut marks = MARKS.iter().filter(|(of, _)| *of == api);
    marks.any(|(_, mark)| memmem::find(body, mark.as_bytes()).is_some())
}

/// What is referred to in what is said, by what was noted of it.
pub fn said(features: Features) -> Option<Reference> {
    let kept = [Feature::ProviderState, Feature::StoredConversation];
    kept.into_iter()
        .any(|feature| features.contains(feature))
        .then_some(Reference::Other("a file, or a part of an answer"))
}

/// The id of an answer of the Responses API, if a later request may refer to it.
pub fn id_of_answer(answer: &[u8]) -> Option<String> {
    let [id, store] = json::members(answer, ["id", "store"]).ok()?;
    let is_kept = store.is_none_or(|at| &answer[at] != b"false");
    json::text(&answer[id?]).filter(|_| is_kept).map(Cow::into_owned)
}

/// The same, of the beginning of an answer that is too long to be held, as those with pictures are: the id comes early.
pub fn id_at_start(answer: &[u8]) -> Option<String> {
    json::text(&answer[json::early_member(answer, "id")?]).map(Cow::into_owned)
}

/// The same, of an event that says how its answer stands; `None` for any other.
pub fn id_in_event(frame: &[u8]) -> Option<Option<String>> {
    let data = frames::data(frame);
    let [response] = json::members(&data, ["response"]).ok()?;
    Some(id_of_answer(&data[response?]))
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
        peek.reference(api, body.as_bytes()).or_else(|| super::said(said()?))
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
        let answer = Some(Reference::Answer("resp_1".to_owned()));
        assert_eq!(reference(Api::Responses, r#"{"previous_response_id":"resp_1"}"#), answer);
        for (api, body) in [
            (Api::Responses, r#"{"conversation":"conv_1"}"#.to_owned()),
            (Api::Responses, r#"{"conversation":{"id":"conv_1"}}"#.to_owned()),
            (Api::Responses, r#"{"prompt":{"id":"p"}}"#.to_owned()),
            (Api::Responses, r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#.to_owned()),
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
            assert!(matches!(reference(api, &body), Some(Reference::Other(_))), "{body}");
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
    fn an_answer_can_be_referred_to_unless_it_is_not_stored() {
        let whole = |more: &str| {
            id_of_answer(format!(r#"{{"id":"resp_1","output":[{{"id":"x"}}]{more}}}"#).as_bytes())
        };
        assert_eq!(whole("").as_deref(), Some("resp_1"));
        assert_eq!(whole(r#","store":true"#).as_deref(), Some("resp_1"));
        assert_eq!(whole(r#","store":false"#), None);
        let start = |text: &str| id_at_start(text.as_bytes());
        assert_eq!(
            start("{\n  \"id\" : \"resp_1\",\n  \"output\": [{\"result\":\"iVBO").as_deref(),
            Some("resp_1")
        );
        for other in ["", "{", r#"{"id":"resp"#, r#"{"id":7,"x":"y"}"#, r#"{"x":[{"id":"y"},"#] {
            assert_eq!(start(other), None, "{other}");
        }
        let event = |data: &str| id_in_event(format!("event: x\ndata: {data}\n\n").as_bytes());
        let made = |more: &str| {
            event(&format!(r#"{{"type":"response.created","response":{{"id":"resp_2"{more}}}}}"#))
        };
        assert_eq!(made(""), Some(Some("resp_2".to_owned())));
        assert_eq!(made(r#","store":false"#), Some(None));
        assert_eq!(event(r#"{"type":"response.output_text.delta","delta":"x"}"#), None);
    }
}
