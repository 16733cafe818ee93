//! What a provider was asked for otherwise than the client asked: tools by another name, and an answer as the call of a
//! tool of ours. Puts answers back into what the client expects.

use super::canonical::{Answer, Event, Finish, Part};
use super::sides::Written;
use super::verbatim::Verbatim;
use std::borrow::Cow;

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Disguise {
    /// Tools whose names had to change: as sent, and as the client calls them.
    renamed: Vec<(String, String)>,
    /// The tool whose arguments are the text of the answer.
    answers_by: Option<String>,
}

impl Disguise {
    /// Of a request that was written.
    pub(super) fn of(written: &mut Written) -> Disguise {
        Disguise { renamed: std::mem::take(&mut written.renamed), answers_by: written.answers_by.take() }
    }

    /// Takes it off a whole answer. The first call of our tool is the answer: what is called again says it anew.
    pub(super) fn undo(&self, answer: &mut Answer<'_>) {
        let (mut has_called, mut has_answered) = (false, false);
        answer.parts.retain_mut(|part| {
            let Part::Call(call) = part else { return true };
            if self.is_answer(&call.name) {
                *part = Part::text(Verbatim::Plain(std::mem::take(&mut call.arguments)));
                return !std::mem::replace(&mut has_answered, true);
            }
            has_called = true;
            call.name = self.clients_name(std::mem::take(&mut call.name));
            true
        });
        if self.answers_by.is_some() && answer.finish == Finish::ToolCalls && !has_called {
            answer.finish = Finish::Stop;
        }
    }

    fn is_answer(&self, name: &str) -> bool {
        self.answers_by.as_deref() == Some(name)
    }

    fn clients_name<'n>(&self, sent: Cow<'n, str>) -> Cow<'n, str> {
        match self.renamed.iter().find(|(name, _)| *name == sent) {
            Some((_, clients)) => Cow::Owned(clients.clone()),
            None => sent,
        }
    }
}

/// The same of a stream, event by event.
#[derive(Debug)]
pub(super) struct Undoing {
    disguise: Disguise,
    under_way: UnderWay,
    has_answered: bool,
    has_called: bool,
}

/// Which call the arguments belong to that come now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    /// One of the client's tools.
    Clients,
    /// That of our tool: the answer.
    Answer,
    /// One more of our tool, which nobody hears.
    Again,
}

impl Undoing {
    /// Of a stream that has not begun.
    pub(super) fn new(disguise: Disguise) -> Undoing {
        Undoing { disguise, under_way: UnderWay::Clients, has_answered: false, has_called: false }
    }

    /// What the client hears of an event, if anything.
    pub(super) fn undo<'e>(&mut self, event: Event<'e>) -> Option<Event<'e>> {
        Some(match event {
            Event::Call { id, name, signature } => {
                if self.disguise.is_answer(&name) {
                    let has_answered = std::mem::replace(&mut self.has_answered, true);
                    self.under_way = if has_answered { UnderWay::Again } else { UnderWay::Answer };
                    return None;
                }
                self.under_way = UnderWay::Clients;
                self.has_called = true;
                Event::Call { id, name: self.disguise.clients_name(name), signature }
            }
            Event::Arguments(text) => match self.under_way {
                UnderWay::Clients => Event::Arguments(text),
                UnderWay::Answer => Event::Text(text),
                UnderWay::Again => return None,
            },
            // It has called only to answer.
            Event::Finish(Finish::ToolCalls) if self.disguise.answers_by.is_some() && !self.has_called => {
                Event::Finish(Finish::Stop)
            }
            event => event,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::Call;

    fn disguise() -> Disguise {
        Disguise {
            renamed: vec![("f-1".to_owned(), "f 1".to_owned())],
            answers_by: Some("answer".to_owned()),
        }
    }

    /// What is heard of calls of these tools, whole and as a stream.
    fn heard(names: &[&'static str]) -> [Vec<String>; 2] {
        let call = |name: &&'static str| {
            let (id, arguments) = ("t".into(), r#"{"a":1}"#.into());
            Part::Call(Call { id, name: (*name).into(), arguments, signature: None, ends_cache: false })
        };
        let mut answer = Answer {
            parts: names.iter().map(call).collect(),
            finish: Finish::ToolCalls,
            id: "".into(),
            model: "".into(),
            usage: crate::domain::TokenUsage::default(),
        };
        disguise().undo(&mut answer);
        let mut whole: Vec<String> = answer
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => format!("text {}", text.text.plain()),
                Part::Call(call) => format!("call {} {}", call.name, call.arguments),
                other => format!("{other:?}"),
            })
            .collect();
        whole.push(format!("{:?}", answer.finish));
        let mut undoing = Undoing::new(disguise());
        let mut streamed = Vec::new();
        let mut see = |event: Event<'static>| match undoing.undo(event) {
            Some(Event::Text(text)) => streamed.push(format!("text {text}")),
            Some(Event::Call { name, .. }) => streamed.push(format!("call {name}")),
            Some(Event::Arguments(text)) => {
                streamed.last_mut().expect("a call").push_str(&format!(" {text}"));
            }
            Some(Event::Finish(finish)) => streamed.push(format!("{finish:?}")),
            _ => {}
        };
        for name in names {
            see(Event::Call { id: "t".into(), name: (*name).into(), signature: None });
            see(Event::Arguments(r#"{"a":1}"#.into()));
        }
        see(Event::Finish(Finish::ToolCalls));
        [whole, streamed]
    }

    #[test]
    fn the_call_of_our_tool_is_the_answer_and_others_are_calls_by_the_clients_names() {
        for (names, expected) in [
            (&["answer"][..], &[r#"text {"a":1}"#, "Stop"][..]),
            (&["f-1"], &[r#"call f 1 {"a":1}"#, "ToolCalls"]),
            (&["answer", "g"], &[r#"text {"a":1}"#, r#"call g {"a":1}"#, "ToolCalls"]),
            (&["answer", "answer"], &[r#"text {"a":1}"#, "Stop"]),
            (&["answer", "g", "answer"], &[r#"text {"a":1}"#, r#"call g {"a":1}"#, "ToolCalls"]),
        ] {
            for heard in heard(names) {
                assert_eq!(heard, expected);
            }
        }
    }
}
