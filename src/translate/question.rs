//! A client's request, understood once for all that is to be made of it.
//!
//! Decides by the client's API who reads it, and what holds of a request whoever read it; the dialects know only their
//! own words.

use super::canonical::Request;
use super::features::Features;
use super::peek::BadBody;
use super::signs::Api;
use super::{chat, choice, count, generate, messages, ranges, responses};
use bytes::Bytes;
use self_cell::self_cell;

self_cell! {
    /// A client's request, understood: read once, and put into other words for each attempt.
    pub struct Question {
        owner: Bytes,
        #[covariant]
        dependent: Request,
    }
}

impl Question {
    /// Reads a client's request. APIs that are no conversation have none. Whether it wants a stream is not always said
    /// in the body.
    ///
    /// # Errors
    /// When it can't be understood; names the field.
    pub fn read(client: Api, body: Bytes, streams: bool) -> Result<Question, BadBody> {
        Question::try_new(body, |body| Ok(Request { streams, ..read(client, body)? }))
    }

    /// The same of a request whose tokens are to be counted.
    ///
    /// # Errors
    /// When it can't be understood; names the field.
    pub fn to_be_counted(client: Api, body: Bytes) -> Result<Question, BadBody> {
        Question::try_new(body, |body| count::read(client, body))
    }

    /// What was understood.
    pub(super) fn request(&self) -> &Request<'_> {
        self.borrow_dependent()
    }

    /// About as many tokens as it has.
    pub fn estimated_tokens(&self) -> u64 {
        count::estimate(self.borrow_dependent())
    }

    /// What is asked for that not every dialect has.
    pub fn features(&self) -> Features {
        self.borrow_dependent().features
    }
}

/// Reads a client's request, and checks what holds in every API: [`Question::read`] without keeping the body.
///
/// # Errors
/// When it can't be understood, or ends where there is nothing to answer; names the field.
pub fn read(client: Api, body: &[u8]) -> Result<Request<'_>, BadBody> {
    let mut request = said(client, body)?;
    request.unanswered.take().map_or(Ok(request), |why| Err(*why))
}

/// The same of a request that wants no answer: it may end with calls that have no results yet.
///
/// # Errors
/// When it can't be understood; names the field.
pub(super) fn said(client: Api, body: &[u8]) -> Result<Request<'_>, BadBody> {
    let request = match client {
        Api::Completions => chat::read(body),
        Api::Responses => responses::read(body),
        Api::Messages => messages::read(body),
        Api::Generate => generate::read(body),
        Api::Other => Err(BadBody("the request can't be put into another provider's words".to_owned())),
    }?;
    ranges::check(client, &request)?;
    choice::check(client, &request)?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_object_of_any_api() {
        for (api, body, field) in [
            (Api::Completions, r#"{"model":"m","messages":[["user","hi"]]}"#, "`messages[0]`"),
            (
                Api::Completions,
                r#"{"messages":[{"role":"user","content":[["text","hi"]]}]}"#,
                "messages[0].content[0]`",
            ),
            (Api::Responses, r#"{"model":"m","input":[["message","user","hi"]]}"#, "`input[0]`"),
            (Api::Messages, r#"{"model":"m","max_tokens":9,"messages":[["user","hi"]]}"#, "`messages[0]`"),
            (
                Api::Messages,
                r#"{"max_tokens":9,"messages":[{"role":"user","content":"a"}],"thinking":["enabled",1024]}"#,
                "`thinking`",
            ),
            (Api::Generate, r#"{"contents":[["user",[{"text":"hi"}]]]}"#, "`contents[0]`"),
            (Api::Generate, r#"{"contents":[],"systemInstruction":["user",[]]}"#, "`systemInstruction`"),
        ] {
            let BadBody(why) = read(api, body.as_bytes()).expect_err(body);
            assert!(why.contains(field) && why.ends_with("must be an object"), "{body}: {why}");
        }
    }

    #[test]
    fn calls_may_stand_last_only_where_no_answer_is_wanted() {
        for (client, body, expected) in [
            (
                Api::Messages,
                r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}]}"#,
                "`messages` ends with the tool_use `t`; send its tool_result after it",
            ),
            (
                Api::Responses,
                r#"{"model":"m","input":[{"type":"function_call","call_id":"t","name":"f","arguments":"{}"}]}"#,
                "`input[0].call_id` has no function_call_output; send the result of every call",
            ),
            (
                Api::Generate,
                r#"{"contents":[{"role":"model","parts":[{"functionCall":{"id":"t","name":"f"}}]}]}"#,
                "`contents[0].parts[0].functionCall` has no functionResponse that follows it; send one for each \
                 call before the model goes on",
            ),
        ] {
            assert_eq!(read(client, body.as_bytes()).err(), Some(BadBody(expected.to_owned())));
            let counted = count::read(client, body.as_bytes()).expect("what can be counted");
            assert_eq!(counted.turns.len(), 1, "{body}");
        }
    }
}
