//! The input's items, in order, to the turns of a conversation.
//!
//! OpenAI lists what one turn of the model is made of as items of their own: its reasoning, its message, its calls.
//! They become one turn again. A result stands directly behind the turn that called for it, wherever in the input it
//! was, for nobody but OpenAI takes it from elsewhere; each call has one, or the body is bad.

use super::content::{self, Place, Voice};
use super::wire::{Item, Piece, Tool};
use crate::translate::arguments;
use crate::translate::canonical::{Call, CallResult, Part, Signature, Speaker, Thought, Turn};
use crate::translate::features::{Feature, Features};
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Listed, Str, filled};
use crate::translate::signature::{self, Bearer};
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use std::borrow::Cow;
use std::collections::HashMap;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Call,
    Output,
    Reasoning,
    /// Tools that are there from here on, and for us from the beginning.
    Tools,
    /// What only OpenAI itself can serve.
    Foreign(Feature),
}

/// Kinds by their types. Any other type is a tool's that OpenAI runs: it has more than twenty of them, and adds some
/// each year.
const KINDS: [(&str, Kind); 11] = [
    ("message", Kind::Message),
    ("function_call", Kind::Call),
    ("function_call_output", Kind::Output),
    ("reasoning", Kind::Reasoning),
    ("additional_tools", Kind::Tools),
    ("custom_tool_call", Kind::Foreign(Feature::CustomTools)),
    ("custom_tool_call_output", Kind::Foreign(Feature::CustomTools)),
    ("item_reference", Kind::Foreign(Feature::StoredConversation)),
    ("compaction", Kind::Foreign(Feature::StoredConversation)),
    ("compaction_trigger", Kind::Foreign(Feature::StoredConversation)),
    ("configuration_update", Kind::Foreign(Feature::StoredConversation)),
];

/// Whose a message is, by its role.
const ROLES: [(&str, Voice); 4] = [
    ("user", Voice::User),
    ("assistant", Voice::Model),
    ("system", Voice::System),
    ("developer", Voice::System),
];

/// A call that waits for its result, or has it.
struct Pending<'a> {
    item: usize,
    turn: usize,
    name: Cow<'a, str>,
    is_answered: bool,
}

/// What has been read of the input.
#[derive(Default)]
pub(super) struct Input<'a> {
    pub(super) system: Vec<Part<'a>>,
    pub(super) tools: Vec<(usize, Vec<Tool<'a>>)>,
    pub(super) features: Features,
    turns: Vec<Turn<'a>>,
    calls: Vec<Pending<'a>>,
    /// The last call of an id.
    by_id: HashMap<Cow<'a, str>, usize>,
    /// Results, with the turn that called for them.
    results: Vec<(usize, Part<'a>)>,
    /// What the next call is signed with.
    call_signature: Option<Signature<'a>>,
}

impl<'a> Input<'a> {
    /// Nothing yet, of a request that asks for these beside its input.
    pub(super) fn new(features: Features) -> Input<'a> {
        Input { features, ..Input::default() }
    }

    /// Takes an input that is all one text.
    pub(super) fn say(&mut self, text: Verbatim<'a>) {
        self.turns.push(Turn { speaker: Speaker::User, parts: vec![Part::text(text)] });
    }

    /// Takes the next item.
    pub(super) fn take(&mut self, at: usize, item: Item<'a>) -> Result<(), BadBody> {
        match kind(&item).ok_or_else(|| bad(format_args!("input[{at}].type"), "is missing"))? {
            Kind::Message => self.message(at, item),
            Kind::Call => self.call(at, item),
            Kind::Output => self.output(at, item),
            Kind::Reasoning => self.reasoning(at, item),
            Kind::Tools => {
                self.tools.push((at, item.tools.unwrap_or_default()));
                Ok(())
            }
            Kind::Foreign(feature) => {
                self.features.insert(feature);
                Ok(())
            }
        }
    }

    /// What is wrong with a call that has no result: nothing, if it waits for none yet because its turn stands last.
    pub(super) fn settle(&self) -> Result<Option<Box<BadBody>>, BadBody> {
        let Some(call) = self.calls.iter().find(|call| !call.is_answered) else { return Ok(None) };
        let why = bad(
            format_args!("input[{}].call_id", call.item),
            "has no function_call_output; send the result of every call",
        );
        let is_last = call.turn + 1 == self.turns.len();
        let has_results = self.results.iter().any(|(turn, _)| *turn == call.turn);
        if is_last && !has_results { Ok(Some(Box::new(why))) } else { Err(why) }
    }

    /// The turns, each that calls followed by one of its results.
    pub(super) fn finish(mut self) -> Vec<Turn<'a>> {
        if self.results.is_empty() {
            return self.turns;
        }
        self.results.sort_by_key(|(turn, _)| *turn);
        let mut turns = Vec::with_capacity(self.turns.len() + self.calls.len());
        let mut results = self.results.into_iter().peekable();
        for (index, turn) in self.turns.into_iter().enumerate() {
            turns.push(turn);
            let of_this = std::iter::from_fn(|| results.next_if(|(turn, _)| *turn == index));
            let parts: Vec<_> = of_this.map(|(_, part)| part).collect();
            if !parts.is_empty() {
                turns.push(Turn { speaker: Speaker::User, parts });
            }
        }
        turns
    }

    fn message(&mut self, at: usize, item: Item<'a>) -> Result<(), BadBody> {
        let role = item.role.as_ref().map_or("", |role| &role.0);
        let (_, voice) = ROLES.iter().find(|(name, _)| *name == role).ok_or_else(|| {
            bad(format_args!("input[{at}].role"), "must be user, assistant, system or developer")
        })?;
        let place = Place { item: at, member: "content" };
        let parts = content::parts(item.content, *voice, place, &mut self.features)?;
        match voice {
            _ if parts.is_empty() => {}
            Voice::System => self.system.extend(parts),
            Voice::User | Voice::Tool => self.turns.push(Turn { speaker: Speaker::User, parts }),
            Voice::Model => {
                // Two messages in a row were two turns; one behind thoughts or calls belongs to theirs.
                let is_another = |part: &Part<'_>| matches!(part, Part::Text(_) | Part::Refusal(_));
                if self.turns.last().and_then(|turn| turn.parts.last()).is_some_and(is_another) {
                    self.turns.push(Turn { speaker: Speaker::Model, parts });
                } else {
                    self.models_parts().extend(parts);
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, at: usize, item: Item<'a>) -> Result<(), BadBody> {
        let id = needed(item.call_id, at, "call_id")?;
        let name = needed(item.name, at, "name")?;
        let arguments = match item.arguments {
            Some(Listed::Text(text)) => arguments::read(text.into_plain()),
            _ => Err("must be the text of a JSON object".to_owned()),
        };
        let arguments = arguments.map_err(|why| bad(format_args!("input[{at}].arguments"), why))?;
        let signature = self.call_signature.take();
        let call = Call { id: id.clone(), name: name.clone(), arguments, signature, ends_cache: false };
        self.models_parts().push(Part::Call(call));
        let turn = self.turns.len() - 1;
        self.by_id.insert(id, self.calls.len());
        self.calls.push(Pending { item: at, turn, name, is_answered: false });
        Ok(())
    }

    fn output(&mut self, at: usize, item: Item<'a>) -> Result<(), BadBody> {
        let id = needed(item.call_id, at, "call_id")?;
        let place = Place { item: at, member: "output" };
        let content = content::parts(item.output, Voice::Tool, place, &mut self.features)?;
        let wrong = |why| bad(format_args!("input[{at}].call_id"), why);
        let call = self.by_id.get(&id).and_then(|call| self.calls.get_mut(*call));
        let call = call.ok_or_else(|| wrong("is that of no earlier function_call"))?;
        if std::mem::replace(&mut call.is_answered, true) {
            return Err(wrong("has a result already"));
        }
        let name = call.name.clone();
        let result = CallResult { id, name, content, is_error: false, ends_cache: false };
        self.results.push((call.turn, Part::Result(result)));
        Ok(())
    }

    fn reasoning(&mut self, at: usize, item: Item<'a>) -> Result<(), BadBody> {
        // Models whose reasoning is open have it in `content`; a summary of that is less.
        let raw = words(item.content, at, "content")?;
        let text = if raw.is_empty() { words(item.summary, at, "summary")? } else { raw };
        let given = filled(item.encrypted_content).map(|text| signature::unwrap(text, Api::Responses));
        let (signature, is_redacted) = match given {
            // Its own vendor alone can read it, who isn't asked in translation.
            Some((Signature { maker: Api::Responses, .. }, _)) => {
                self.features.insert(Feature::ForeignThoughts);
                (None, false)
            }
            Some((signature, Bearer::Call)) => {
                self.call_signature = Some(signature);
                (None, false)
            }
            Some((signature, bearer)) => (Some(signature), bearer == Bearer::Redacted),
            None => (None, false),
        };
        if signature.is_some() || !text.is_empty() {
            self.models_parts().push(Part::Thought(Thought { text, signature, is_redacted }));
        }
        Ok(())
    }

    /// What the model says in the turn that is under way, or in a new one.
    fn models_parts(&mut self) -> &mut Vec<Part<'a>> {
        // A result ends the turn that called for it, though it isn't among the turns yet.
        let is_answered = self.results.last().is_some_and(|(turn, _)| turn + 1 == self.turns.len());
        let goes_on = self.turns.last().is_some_and(|turn| turn.speaker == Speaker::Model) && !is_answered;
        if !goes_on {
            self.turns.push(Turn { speaker: Speaker::Model, parts: Vec::new() });
        }
        let last = self.turns.len() - 1;
        &mut self.turns[last].parts
    }
}

/// What an item is; `None` if it doesn't say. Messages and references may leave out their type.
fn kind(item: &Item<'_>) -> Option<Kind> {
    let Some(Str(name)) = &item.kind else {
        return if item.role.is_some() {
            Some(Kind::Message)
        } else {
            item.id.map(|_| Kind::Foreign(Feature::StoredConversation))
        };
    };
    let known = KINDS.iter().find(|(kind, _)| kind == name).map(|(_, kind)| *kind);
    Some(known.unwrap_or(Kind::Foreign(Feature::ServerTools)))
}

fn needed<'a>(text: Option<Str<'a>>, at: usize, member: &str) -> Result<Cow<'a, str>, BadBody> {
    filled(text).ok_or_else(|| bad(format_args!("input[{at}].{member}"), "is missing"))
}

/// The words of reasoning, paragraph by paragraph; a single one, as ours are, is kept to the byte.
fn words<'a>(list: Option<Listed<'a, Piece<'a>>>, at: usize, member: &str) -> Result<Cow<'a, str>, BadBody> {
    let pieces = match list {
        None => return Ok(Cow::Borrowed("")),
        Some(Listed::List(pieces)) => pieces,
        Some(Listed::Text(_) | Listed::Other) => {
            return Err(bad(format_args!("input[{at}].{member}"), "must be a list of parts"));
        }
    };
    let mut all = Cow::Borrowed("");
    for text in pieces.into_iter().filter_map(|piece| piece.text).map(Verbatim::into_plain) {
        if all.is_empty() {
            all = text;
        } else {
            let all = all.to_mut();
            all.push_str("\n\n");
            all.push_str(&text);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::translate::canonical::Request;
    use crate::translate::signs::Api;

    fn of(items: &str) -> Result<Request<'static>, BadBody> {
        read(format!(r#"{{"input":[{items}]}}"#).leak().as_bytes())
    }

    fn call(id: &str) -> String {
        format!(
            r#"{{"type":"function_call","id":"fc_1","call_id":"{id}","name":"f{id}","arguments":"{{}}"}}"#
        )
    }

    fn output(id: &str) -> String {
        format!(r#"{{"type":"function_call_output","call_id":"{id}","output":"of {id}"}}"#)
    }

    fn says(role: &str, text: &str) -> String {
        format!(r#"{{"role":"{role}","content":"{text}"}}"#)
    }

    /// The conversation in short: who, and what.
    fn told(items: &[String]) -> Vec<String> {
        let request = of(&items.join(",")).expect("good");
        let part = |part: &Part<'_>| match part {
            Part::Text(text) => text.text.plain().into_owned(),
            Part::Call(call) => format!("call {}", call.id),
            Part::Result(result) => format!("result {} {}", result.id, result.name),
            Part::Thought(thought) => format!("thought {}", thought.text),
            other => format!("{other:?}"),
        };
        let turns = request.turns.iter();
        turns
            .map(|turn| {
                format!("{:?}: {}", turn.speaker, turn.parts.iter().map(part).collect::<Vec<_>>().join(", "))
            })
            .collect()
    }

    #[test]
    fn what_one_turn_is_made_of_becomes_one_turn_and_instructions_come_before_all() {
        let reasoning = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]}"#;
        let items = [
            says("user", "a"),
            reasoning.to_owned(),
            says("assistant", "b"),
            call("1"),
            call("2"),
            output("2"),
            output("1"),
            says("developer", "d"),
            says("assistant", "e"),
            says("assistant", "f"),
            says("user", "g"),
        ];
        assert_eq!(
            told(&items),
            [
                "User: a",
                "Model: thought hm, b, call 1, call 2",
                "User: result 2 f2, result 1 f1",
                "Model: e",
                "Model: f",
                "User: g"
            ]
        );
        assert_eq!(of(&items.join(",")).expect("good").system, [Part::text("d")]);
    }

    #[test]
    fn a_result_stands_behind_the_turn_that_called_wherever_it_came() {
        let late =
            [call("1"), says("user", "wait"), call("2"), output("2"), says("assistant", "b"), output("1")];
        assert_eq!(
            told(&late),
            [
                "Model: call 1",
                "User: result 1 f1",
                "User: wait",
                "Model: call 2",
                "User: result 2 f2",
                "Model: b"
            ]
        );
        let in_turn = [call("1"), output("1"), call("2"), output("2")];
        assert_eq!(
            told(&in_turn),
            ["Model: call 1", "User: result 1 f1", "Model: call 2", "User: result 2 f2"]
        );
    }

    #[test]
    fn an_id_that_is_used_again_is_that_of_its_last_call_and_has_one_result_each() {
        let twice = [call("1"), output("1"), call("1"), output("1")];
        assert_eq!(told(&twice).len(), 4);
        let BadBody(why) = of(&[call("1"), output("1"), output("1")].join(",")).expect_err("two results");
        assert_eq!(why, "`input[2].call_id` has a result already");
        let BadBody(why) = of(&[output("1"), call("1")].join(",")).expect_err("too early");
        assert_eq!(why, "`input[0].call_id` is that of no earlier function_call");
    }

    #[test]
    fn arguments_are_kept_to_the_byte_and_must_be_an_object() {
        let item = |arguments: &str| {
            let text = serde_json::Value::from(arguments);
            let call = format!(r#"{{"type":"function_call","call_id":"c","name":"f","arguments":{text}}}"#);
            of(&format!("{call},{}", output("c")))
        };
        for (arguments, kept) in [
            (r#"{ "a" : 1.0e2, "b":"\u00e9\n" }"#, r#"{ "a" : 1.0e2, "b":"\u00e9\n" }"#),
            ("", "{}"),
            (" ", "{}"),
        ] {
            let request = item(arguments).expect("good");
            let Part::Call(call) = &request.turns[0].parts[0] else { panic!("a call") };
            assert_eq!(call.arguments, kept);
        }
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(300), "]".repeat(300));
        for arguments in ["[]", "null", "5", "{", "{}{}", "{'a':1}", &deep] {
            let BadBody(why) = item(arguments).expect_err(arguments);
            assert!(why.starts_with("`input[0].arguments` must be the text of a JSON object"), "{why}");
        }
        let BadBody(why) =
            of(r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#).expect_err("no text");
        assert_eq!(why, "`input[0].arguments` must be the text of a JSON object");
    }

    #[test]
    fn a_thought_goes_back_to_its_maker_and_openais_own_to_nobody() {
        let item = |content: &str| {
            format!(
                r#"{{"type":"reasoning","id":"rs_1","summary":[{{"type":"summary_text","text":"a"}}],"encrypted_content":{content}}}"#
            )
        };
        for (content, signature, is_foreign) in [
            ("null", None, false),
            (r#""""#, None, false),
            (r#""gAAAA""#, None, true),
            (r#""cliproxy:messages:s:1""#, Some((Api::Messages, "s:1")), false),
            (r#""cliproxy:completions:s""#, Some((Api::Completions, "s")), false),
        ] {
            let request = of(&item(content)).expect("good");
            let Part::Thought(thought) = &request.turns[0].parts[0] else { panic!("a thought") };
            let found = thought.signature.as_ref().map(|it| (it.maker, &*it.text));
            assert_eq!((&*thought.text, found), ("a", signature), "{content}");
            assert_eq!(request.features.contains(Feature::ForeignThoughts), is_foreign, "{content}");
        }
    }

    #[test]
    fn thoughts_without_words_are_redacted_signatures_of_calls_or_nothing() {
        let item = |content: &str| {
            format!(r#"{{"type":"reasoning","id":"r","summary":[],"encrypted_content":"{content}"}}"#)
        };
        let request = of(&item("cliproxy:messages-redacted:x")).expect("good");
        let signature = Some(Signature { maker: Api::Messages, text: "x".into() });
        let redacted = Thought { text: "".into(), signature, is_redacted: true };
        assert_eq!(request.turns[0].parts, [Part::Thought(redacted)]);
        assert!(of(&item("gAAAA")).expect("good").turns.is_empty());
        let request =
            of(&[item("cliproxy:generate-call:x"), call("1"), call("2"), output("1"), output("2")].join(","))
                .expect("good");
        let signatures: Vec<_> = request.turns[0]
            .parts
            .iter()
            .map(|part| match part {
                Part::Call(call) => call.signature.as_ref().map(|it| it.text.to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(signatures, [Some("x".to_owned()), None]);
    }

    #[test]
    fn paragraphs_of_reasoning_are_one_thought_and_raw_reasoning_comes_first() {
        let summary = r#""summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}]"#;
        let text = |item: String| match &of(&item).expect("good").turns[0].parts[0] {
            Part::Thought(thought) => thought.text.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(format!(r#"{{"type":"reasoning","id":"r",{summary}}}"#)), "a\n\nb");
        let raw = r#""content":[{"type":"reasoning_text","text":"raw"}]"#;
        assert_eq!(text(format!(r#"{{"type":"reasoning","id":"r",{summary},{raw}}}"#)), "raw");
    }
}
