//! What an answer repeats of its request, and what else of it an answer depends on.
//!
//! Values are repeated as they came, but for line breaks between tokens, which a server-sent event can't hold.

use super::items::extend;
use crate::translate::json;
use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Range;

/// A member that an answer repeats.
struct Repeated {
    name: &'static str,
    /// What the answer has where the request has none.
    absent: &'static [u8],
}

/// The table of those, of names and what stands for those that aren't there.
macro_rules! repeated {
    ($($name:literal: $absent:literal,)*) => {
        [$(Repeated { name: $name, absent: concat!("\"", $name, "\":", $absent, ",").as_bytes() }),*]
    };
}

/// All that is repeated. Sampling that the client left to the provider is `null`: the API's own defaults are those of
/// OpenAI's models.
const REPEATED: [Repeated; 13] = repeated! {
    "instructions": "null",
    "max_output_tokens": "null",
    "max_tool_calls": "null",
    "metadata": "{}",
    "parallel_tool_calls": "true",
    "prompt_cache_key": "null",
    "reasoning": "{\"effort\":null,\"summary\":null}",
    "safety_identifier": "null",
    "temperature": "null",
    "text": "{\"format\":{\"type\":\"text\"}}",
    "tool_choice": "\"auto\"",
    "tools": "[]",
    "top_p": "null",
};

/// Room for names and usual values of all that is repeated.
const ROOM: usize = 512;

/// What asks for signatures, in `include`.
const SIGNATURES: &str = "reasoning.encrypted_content";

/// What an answer has of its request.
#[derive(Debug)]
pub(super) struct Echo {
    /// Members, each with a comma behind it.
    pub(super) members: Vec<u8>,
    /// The model asked for, as JSON; empty if there is none.
    pub(super) model: Vec<u8>,
    /// Whether thoughts come with what their maker wants back.
    pub(super) gives_signatures: bool,
    /// Whether thoughts are to be told as summaries.
    pub(super) sums_up: bool,
}

impl Echo {
    /// Of a request that was read, and so is well-formed, with the place of its longest member.
    pub(super) fn of(body: &[u8], longest: &Range<usize>) -> Echo {
        let [include, model, repeated @ ..] = found(body, longest);
        let length = |at: &Option<&[u8]>| at.map_or(0, <[u8]>::len);
        let mut members = Vec::with_capacity(ROOM + repeated.iter().map(length).sum::<usize>());
        for (Repeated { name, absent }, at) in REPEATED.iter().zip(repeated) {
            let Some(value) = at.filter(|value| *value != b"null") else {
                members.extend_from_slice(absent);
                continue;
            };
            extend(&mut members, &[b"\"", name.as_bytes(), b"\":"]);
            let from = members.len();
            members.extend_from_slice(value);
            if memchr::memchr2(b'\n', b'\r', value).is_some() {
                let breaks = members[from..].iter_mut().filter(|byte| b"\r\n".contains(byte));
                breaks.for_each(|byte| *byte = b' ');
            }
            members.push(b',');
        }
        let gives_signatures = include.is_some_and(asks_for_signatures);
        let at = REPEATED.iter().position(|it| it.name == "reasoning");
        let sums_up = at.and_then(|at| repeated[at]).is_some_and(asks_for_summaries);
        Echo { members, model: model.unwrap_or_default().to_vec(), gives_signatures, sums_up }
    }
}

/// `include`, `model`, and all that is repeated.
fn found<'b>(body: &'b [u8], longest: &Range<usize>) -> [Option<&'b [u8]>; REPEATED.len() + 2] {
    let mut names = ["include", "model", "", "", "", "", "", "", "", "", "", "", "", "", ""];
    for (name, repeated) in names[2..].iter_mut().zip(REPEATED) {
        *name = repeated.name;
    }
    json::members_beside(body, longest, names).map(|at| body.get(at?))
}

/// By today's name or by the older one.
fn asks_for_summaries(reasoning: &[u8]) -> bool {
    let asked = json::members(reasoning, ["summary", "generate_summary"]).unwrap_or_default();
    asked.into_iter().flatten().any(|at| &reasoning[at] != b"null")
}

fn asks_for_signatures(include: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Names<'a>(#[serde(borrow)] Vec<Cow<'a, str>>);

    serde_json::from_slice(include).is_ok_and(|Names(names)| names.iter().any(|name| name == SIGNATURES))
}
