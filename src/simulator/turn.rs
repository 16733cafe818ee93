//! The model's turn: what a simulated model answers to a [`Prompt`], in no vendor's words.
//!
//! A plain question gets the sixty words. What else is asked for shows in the answer, so that a test sees that
//! it arrived:
//!
//! | asked for | answered |
//! |---|---|
//! | a tool, by the word "call", or by a forced choice | calls of the tools named, else of the first |
//! | tool results in the last turn | the results' texts, then the words |
//! | JSON | JSON that follows the schema |
//! | reasoning | a thought, before anything else |
//! | images | how many were seen, then the words |
//! | a system prompt with [`ECHO`] in it | the system prompt, then the words |
//! | "20 times", in what the user said | the words so often |
//! | "refuse", in what the user said | a refusal, in the vendor's way |

use super::answer::{ANSWER, Speech, pieces};
use super::prompt::{Format, Prompt, Tool, ToolChoice};
use super::sample::{sample, spaced};
use serde_json::{Value, json};
use std::borrow::Cow;

/// What the model thinks, where it does.
pub(super) const THOUGHT: &str = "The words are in order.";

/// In what the user says, asks for a refusal.
const REFUSE: &str = "refuse";

/// What the model says when it refuses, or its vendor says of it.
pub(super) const REFUSAL: &str = "I can't help with that.";

/// In a system prompt, asks for it to be said back.
pub(super) const ECHO: &str = "echo-system";

/// How often the words are said at most.
const MAX_TIMES: usize = 1_000;

/// What the model answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) thought: Option<&'static str>,
    pub(super) speech: Speech,
    pub(super) calls: Vec<ToolCall>,
    pub(super) stop: Stop,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: Value,
    /// The arguments as the model writes them.
    pub(super) text: String,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It had said all.
    End,
    /// The limit on tokens.
    Limit,
    /// That stop sequence came.
    Sequence(String),
    /// It calls tools.
    Calls,
    /// It refuses, and says nothing else.
    Refusal,
}

impl Turn {
    /// The answer to a prompt.
    pub(super) fn of(prompt: &Prompt<'_>) -> Turn {
        let thought = prompt.thinks.then_some(THOUGHT);
        if is_to_refuse(&prompt.said) {
            let speech = Speech::limited("".into(), 0);
            return Turn { thought, speech, calls: Vec::new(), stop: Stop::Refusal };
        }
        let limit = prompt.limit.saturating_sub(thought.map_or(0, words));
        let calls = calls(prompt);
        if !calls.is_empty() {
            let text = preamble(prompt).trim_end().to_owned();
            let speech = Speech::limited(text.into(), usize::MAX);
            return Turn { thought, speech, calls, stop: Stop::Calls };
        }
        let text = text(prompt);
        let prefill = prompt.prefill.as_deref().unwrap_or_default();
        let speech = Speech::after(text, prefill, limit);
        let (speech, stop) = stopped(speech, &prompt.stop_sequences);
        Turn { thought, speech, calls, stop }
    }

    /// The answer that is a speech and nothing more.
    pub(super) fn of_speech(speech: Speech) -> Turn {
        let stop = if speech.is_cut { Stop::Limit } else { Stop::End };
        Turn { thought: None, speech, calls: Vec::new(), stop }
    }

    /// Whether there is text to send: an answer without calls has one even if nothing is left to say.
    pub(super) fn has_text(&self) -> bool {
        !self.refuses() && (self.calls.is_empty() || !self.speech.text.is_empty())
    }

    /// Whether the model refuses.
    pub(super) fn refuses(&self) -> bool {
        self.stop == Stop::Refusal
    }

    /// The tokens of the thought.
    pub(super) fn thought_tokens(&self) -> usize {
        self.thought.map_or(0, words)
    }

    /// The tokens of text and calls: one for each word, and one for each tool's name.
    pub(super) fn said_tokens(&self) -> usize {
        let refusal = if self.refuses() { words(REFUSAL) } else { 0 };
        refusal + self.speech.words + self.calls.iter().map(|call| 1 + words(&call.text)).sum::<usize>()
    }

    /// All tokens that come out.
    pub(super) fn tokens(&self) -> usize {
        self.thought_tokens() + self.said_tokens()
    }
}

/// Whether the user wants a refusal. Long prompts, of which there are many in tests of load, are searched once.
fn is_to_refuse(said: &str) -> bool {
    said.contains(REFUSE) && words_of(said).any(|word| word == REFUSE)
}

fn words(text: &str) -> usize {
    pieces(text).count()
}

/// What the model says before the words, with a space at its end if it is anything.
fn preamble(prompt: &Prompt<'_>) -> String {
    let mut said = String::new();
    let mut say = |sentence: &str| {
        said.push_str(sentence);
        said.push(' ');
    };
    if prompt.system.contains(ECHO) {
        say(&prompt.system);
    }
    if prompt.images > 0 {
        say(&format!("I saw {} image(s).", prompt.images));
    }
    if !prompt.results.is_empty() {
        say(&format!("The tools say: {}.", prompt.results.join("; ")));
    }
    said
}

fn text(prompt: &Prompt<'_>) -> Cow<'static, str> {
    let before = preamble(prompt);
    match prompt.format {
        Format::Json => spaced(&json!({"answer": sample(&Value::Null)})).into(),
        Format::Schema(schema) => spaced(&sample(schema)).into(),
        Format::Text => match (times(&prompt.said), before.is_empty()) {
            (1, true) => ANSWER.into(),
            (times, _) => (before + &vec![ANSWER; times].join(" ")).into(),
        },
    }
}

/// How often the user wants to hear the words: the number before the word "times".
fn times(said: &str) -> usize {
    let number = said.find(" times").and_then(|at| said[..at].rsplit(' ').next()?.parse().ok());
    number.map_or(1, |times: usize| times.clamp(1, MAX_TIMES))
}

/// The calls that the prompt asks for.
fn calls(prompt: &Prompt<'_>) -> Vec<ToolCall> {
    let said: Vec<&str> = if prompt.tools.is_empty() { Vec::new() } else { words_of(&prompt.said).collect() };
    let named = || prompt.tools.iter().filter(|tool| said.contains(&tool.name));
    let named_or_first =
        || if named().next().is_some() { named().collect() } else { prompt.tools.iter().take(1).collect() };
    let mut called: Vec<&Tool<'_>> = match prompt.tool_choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::One(name) => prompt.tools.iter().filter(|tool| tool.name == name).collect(),
        ToolChoice::Any => named_or_first(),
        ToolChoice::Auto if !prompt.results.is_empty() => Vec::new(),
        ToolChoice::Auto if said.iter().any(|word| word.eq_ignore_ascii_case("call")) => named_or_first(),
        ToolChoice::Auto => Vec::new(),
    };
    called.truncate(if prompt.one_call { 1 } else { usize::MAX });
    called.into_iter().map(call).collect()
}

fn call(tool: &Tool<'_>) -> ToolCall {
    // A tool without parameters is called with none.
    let arguments = if tool.schema.is_null() { json!({}) } else { sample(tool.schema) };
    ToolCall { name: tool.name.to_owned(), text: spaced(&arguments), arguments }
}

/// The words of a text, without the punctuation around them.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')))
}

/// The speech up to the first stop sequence in it, and why it ended.
fn stopped(speech: Speech, sequences: &[&str]) -> (Speech, Stop) {
    let found = |sequence: &&str| speech.text.find(*sequence).map(|at| (at, (*sequence).to_owned()));
    match sequences.iter().filter_map(found).min() {
        Some((at, sequence)) => {
            (Speech::limited(speech.text[..at].to_owned().into(), usize::MAX), Stop::Sequence(sequence))
        }
        None if speech.is_cut => (speech, Stop::Limit),
        None => (speech, Stop::End),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::answer::ANSWER_WORDS;

    fn asked(said: &str) -> Prompt<'_> {
        Prompt::new(said.len(), said.into(), usize::MAX)
    }

    fn with_tools<'a>(said: &'a str, schema: &'a Value) -> Prompt<'a> {
        let tools = ["weather", "time"].map(|name| Tool { name, schema });
        Prompt { tools: tools.into(), ..asked(said) }
    }

    fn called(prompt: &Prompt<'_>) -> Vec<String> {
        Turn::of(prompt).calls.into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn a_plain_question_gets_the_words() {
        let turn = Turn::of(&asked("Hello"));
        assert_eq!((&*turn.speech.text, turn.tokens(), turn.stop), (ANSWER, ANSWER_WORDS, Stop::End));
    }

    #[test]
    fn the_tools_that_are_named_are_called_else_the_first() {
        let schema = json!({"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}});
        assert_eq!(called(&with_tools("Call time, then weather!", &schema)), ["weather", "time"]);
        assert_eq!(called(&with_tools("call the tool", &schema)), ["weather"]);
        assert_eq!(called(&with_tools("What do you recall of the weather?", &schema)), [""; 0]);
        let prompt = with_tools("call", &schema);
        assert_eq!(Turn::of(&prompt).calls[0].text, r#"{"city": "acorn", "days": 7}"#);
        assert_eq!(
            called(&Prompt { one_call: true, ..with_tools("call time, weather", &schema) }),
            ["weather"]
        );
    }

    #[test]
    fn a_choice_rules_over_what_is_said() {
        let with = |said, tool_choice| called(&Prompt { tool_choice, ..with_tools(said, &Value::Null) });
        assert_eq!(with("call time", ToolChoice::None), [""; 0]);
        assert_eq!(with("Hello", ToolChoice::Any), ["weather"]);
        assert_eq!(with("call weather", ToolChoice::One("time")), ["time"]);
    }

    #[test]
    fn results_are_told_and_no_tool_is_called_again() {
        let results = vec!["sunny".to_owned(), "noon".to_owned()];
        let turn = Turn::of(&Prompt { results, ..with_tools("call time", &Value::Null) });
        assert_eq!(
            (turn.calls.len(), turn.speech.text),
            (0, format!("The tools say: sunny; noon. {ANSWER}").into())
        );
    }

    #[test]
    fn the_first_stop_sequence_ends_the_speech() {
        let turn = Turn::of(&Prompt { stop_sequences: vec!["badge", "anchor"], ..asked("Hello") });
        assert_eq!((&*turn.speech.text, turn.stop), ("acorn amber ", Stop::Sequence("anchor".to_owned())));
    }

    #[test]
    fn a_thought_takes_its_part_of_the_limit() {
        let turn = Turn::of(&Prompt { thinks: true, limit: 6, ..asked("Hello") });
        assert_eq!(
            (turn.thought, &*turn.speech.text, turn.stop.clone()),
            (Some(THOUGHT), "acorn", Stop::Limit)
        );
        assert_eq!((turn.thought_tokens(), turn.tokens()), (5, 6));
    }

    #[test]
    fn a_refusal_is_all_that_is_said() {
        let turn = Turn::of(&asked("Please refuse."));
        assert_eq!((turn.has_text(), &*turn.speech.text, turn.stop.clone()), (false, "", Stop::Refusal));
        assert_eq!(turn.tokens(), words(REFUSAL));
        assert_eq!(Turn::of(&asked("I refused")).stop, Stop::End);
    }

    #[test]
    fn the_words_are_said_so_often() {
        assert_eq!(Turn::of(&asked("Say it 20 times")).speech.words, 20 * ANSWER_WORDS);
        assert_eq!((times("many times"), times("0 times"), times("1001 times")), (1, 1, MAX_TIMES));
    }

    #[test]
    fn json_follows_the_schema_and_a_prefill_is_gone_on_from() {
        let schema = json!({"properties": {"city": {"type": "string"}}});
        let prompt = Prompt { format: Format::Schema(&schema), ..asked("Hello") };
        assert_eq!(Turn::of(&prompt).speech.text, r#"{"city": "acorn"}"#);
        let prompt = Prompt { prefill: Some("{".to_owned()), ..prompt };
        assert_eq!(Turn::of(&prompt).speech.text, r#""city": "acorn"}"#);
    }
}
