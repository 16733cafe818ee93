//! Which result belongs to which call, where a dialect's ids are optional.
//!
//! A call without an id gets one from its place in the conversation, so that it is the same each time the conversation
//! comes again. A result finds its call by id, else by name, the first first. Source: Gemini API reference,
//! `FunctionCall` and `FunctionResponse`; guide "Function calling".

use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most calls that may wait for their results at once.
pub(super) const MAX_OPEN: usize = 1_024;

/// A call that waits for its result.
struct Open<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    /// Whether the id is ours, so that no result can know it.
    is_made_up: bool,
    content: usize,
    part: usize,
}

/// The calls that wait for their results.
#[derive(Default)]
pub(super) struct Calls<'a>(Vec<Open<'a>>);

impl<'a> Calls<'a> {
    /// Takes a call that stands in that part of that content, and gives its id; `None` if [`MAX_OPEN`] wait already.
    pub(super) fn call(
        &mut self,
        (content, part): (usize, usize),
        id: Option<Cow<'a, str>>,
        name: &Cow<'a, str>,
    ) -> Option<Cow<'a, str>> {
        if self.0.len() == MAX_OPEN {
            return None;
        }
        let is_made_up = id.is_none();
        let id = id.unwrap_or_else(|| format!("call_{content}_{part}").into());
        self.0.push(Open { id: id.clone(), name: name.clone(), is_made_up, content, part });
        Some(id)
    }

    /// The id and name of the call that a result belongs to; `None` if none waits for it.
    pub(super) fn result(
        &mut self,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        let by_id = id.and_then(|id| self.0.iter().position(|open| open.id == id));
        let by_name = || {
            let name = name?;
            // An id that no call has may be one that a client made up for a call without.
            self.0.iter().position(|open| open.name == name && (id.is_none() || open.is_made_up))
        };
        let found = by_id.or_else(by_name)?;
        let open = self.0.remove(found);
        Some((open.id, open.name))
    }

    /// Says that the model goes on, or the conversation ends: nothing may wait any more.
    pub(super) fn settle(&self) -> Result<(), BadBody> {
        match self.0.first() {
            None => Ok(()),
            Some(open) => Err(bad(
                format_args!("contents[{}].parts[{}].functionCall", open.content, open.part),
                "has no functionResponse that follows it; send one for each call before the model goes on",
            )),
        }
    }
}

/// Makes up ids for the calls of an answer: other answers of a conversation have others, and the same bytes the same.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    answer: u64,
    next: usize,
}

impl Ids {
    /// Of an answer that has an id of its own, or else is known by its first bytes.
    pub(super) fn of(response_id: &str, bytes: &[u8]) -> Ids {
        let mut hasher = DefaultHasher::new();
        match response_id {
            "" => bytes.hash(&mut hasher),
            id => id.hash(&mut hasher),
        }
        Ids { answer: hasher.finish(), next: 0 }
    }

    /// The next one: letters, digits and underscores, shorter than the 40 characters that OpenAI takes.
    pub(super) fn next(&mut self) -> String {
        let id = format!("call_{:016x}_{}", self.answer, self.next);
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<'a>(found: Option<(Cow<'a, str>, Cow<'a, str>)>) -> Option<(String, String)> {
        found.map(|(id, name)| (id.into_owned(), name.into_owned()))
    }

    fn pair(id: &str, name: &str) -> Option<(String, String)> {
        Some((id.to_owned(), name.to_owned()))
    }

    #[test]
    fn a_result_finds_its_call_by_id_else_by_name_in_order() {
        let mut calls = Calls::default();
        for (part, id) in [None, Some("x"), None].into_iter().enumerate() {
            calls.call((1, part), id.map(Cow::Borrowed), &"f".into());
        }
        calls.call((1, 3), None, &"g".into());
        assert_eq!(names(calls.result(None, Some("g"))), pair("call_1_3", "g"));
        assert_eq!(names(calls.result(Some("x"), Some("other"))), pair("x", "f"));
        assert_eq!(names(calls.result(Some("unknown"), Some("f"))), pair("call_1_0", "f"));
        assert!(calls.settle().is_err_and(|BadBody(why)| why.contains("contents[1].parts[2].functionCall")));
        assert_eq!(names(calls.result(None, Some("f"))), pair("call_1_2", "f"));
        assert_eq!(names(calls.result(None, Some("f"))), None);
        assert_eq!(calls.settle(), Ok(()));
    }

    #[test]
    fn a_call_with_an_id_is_not_answered_by_another_id() {
        let mut calls = Calls::default();
        calls.call((0, 0), Some("x".into()), &"f".into());
        assert_eq!(calls.result(Some("y"), Some("f")), None);
        assert_eq!(calls.result(None, None), None);
    }

    #[test]
    fn as_many_calls_as_the_bound_wait_and_one_more_is_refused() {
        let mut calls = Calls::default();
        assert!((0..MAX_OPEN).all(|part| calls.call((0, part), None, &"f".into()).is_some()));
        assert_eq!(calls.call((0, MAX_OPEN), None, &"f".into()), None);
    }

    #[test]
    fn made_up_ids_differ_within_an_answer_and_between_answers() {
        let (mut one, mut other) = (Ids::of("r1", b"{}"), Ids::of("r2", b"{}"));
        let ids = [one.next(), one.next(), other.next()];
        assert!(ids[0] != ids[1] && ids[0] != ids[2]);
        assert_eq!(Ids::of("r1", b"other").next(), ids[0]);
        assert_ne!(Ids::of("", b"a").next(), Ids::of("", b"b").next());
        assert!(ids.iter().all(|id| id.len() < 40));
    }
}
