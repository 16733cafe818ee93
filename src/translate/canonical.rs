//! The hub between dialects: one request, one answer, one event of a stream, whatever vendor's words they came in.
//!
//! A dialect reads its own requests into [`Request`] and writes provider's requests from it; it reads a provider's
//! answers into [`Answer`] or [`Event`]s and writes the client's from them. No dialect knows another. What a request asks
//! for that not everybody has is noted in [`Request::features`], and [`super::features`] says who can't have it.
//!
//! Texts are borrowed from the body where it has no escapes in them. Ids, arguments, signatures and schemas are kept as
//! they came, byte for byte; nothing is invented here.

use super::features::{Feature, Features};
use super::peek::BadBody;
use super::signs::Api;
use super::verbatim::Verbatim;
use crate::domain::TokenUsage;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a client asks of a model.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// What the model is told before all turns, in order. Texts only.
    pub system: Vec<Part<'a>>,
    /// The conversation. Neighbours may have the same speaker; who wants them to alternate merges them.
    pub turns: Vec<Turn<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it may, must or must not.
    pub tool_choice: ToolChoice<'a>,
    /// Whether it may call several at once; `None` where the client doesn't say.
    pub parallel_tool_calls: Option<bool>,
    /// The most that may be said, thinking included.
    pub max_output_tokens: Option<u64>,
    /// As OpenAI has it: 0 to 2.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling from so many tokens.
    pub top_k: Option<u64>,
    /// For answers that can be had again.
    pub seed: Option<i64>,
    /// As OpenAI has it: -2 to 2.
    pub presence_penalty: Option<f64>,
    /// As OpenAI has it: -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Texts before which the model stops.
    pub stop: Vec<Cow<'a, str>>,
    /// The form of the answer.
    pub output: Output<'a>,
    /// How much it may think; `None` where the client doesn't say.
    pub reasoning: Option<Reasoning>,
    /// Whether the client wants to see what it thinks.
    pub shows_thoughts: bool,
    /// Who the client's own user is, by a name that says nothing.
    pub user: Option<Cow<'a, str>>,
    /// Whether the answer is to come as a stream.
    pub streams: bool,
    /// What is asked for that not every dialect has.
    pub features: Features,
    /// Of calls that stand last: that they have no results, as the client is told who wants an answer to that. Who has
    /// tokens counted may stop anywhere.
    pub unanswered: Option<Box<BadBody>>,
}

impl Request<'_> {
    /// Notes which of the settings that were read not every dialect has.
    pub fn note_settings(&mut self) {
        let penalties = [self.presence_penalty, self.frequency_penalty];
        let is_serial = self.parallel_tool_calls == Some(false) && !self.tools.is_empty();
        for (is_asked, feature) in [
            (self.top_k.is_some(), Feature::TopK),
            (self.seed.is_some(), Feature::Seed),
            (penalties.iter().flatten().any(|penalty| *penalty != 0.0), Feature::Penalties),
            (is_serial, Feature::SerialCalls),
            (self.stop.len() > 4, Feature::FiveStops),
            (self.stop.len() > 5, Feature::SixStops),
            (self.user.is_some(), Feature::User),
        ] {
            self.features.insert_if(is_asked, feature);
        }
    }

    /// Whether there is nothing in it that any model could answer: no dialect takes an empty conversation, nor a system
    /// prompt without a word as the whole of one.
    pub fn is_silent(&self) -> bool {
        let is_wordless = |part: &Part<'_>| matches!(part, Part::Text(text) if text.text.is_empty());
        let mut said = self.turns.iter().flat_map(|turn| &turn.parts);
        self.system.iter().all(is_wordless) && said.all(|part| matches!(part, Part::Thought(_)))
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The user, and the tools that answer the model.
    User,
    /// The model.
    Model,
}

/// What one says before the other goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    /// Who.
    pub speaker: Speaker,
    /// What, in order.
    pub parts: Vec<Part<'a>>,
}

/// A piece of what is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Words.
    Text(Text<'a>),
    /// A picture, a document, a sound.
    Media(Media<'a>),
    /// The model calls a tool.
    Call(Call<'a>),
    /// What a tool gave.
    Result(CallResult<'a>),
    /// What the model thought.
    Thought(Thought<'a>),
    /// The model's words why it doesn't answer, where a dialect tells these apart.
    Refusal(Cow<'a, str>),
}

impl<'a> Part<'a> {
    /// Words and nothing else about them.
    pub fn text(text: impl Into<Verbatim<'a>>) -> Part<'a> {
        Part::Text(Text { text: text.into(), ends_cache: false })
    }
}

/// Words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a> {
    /// The words.
    pub text: Verbatim<'a>,
    /// Whether everything up to here is to be cached by the provider.
    pub ends_cache: bool,
}

/// What is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// What it is.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: Source<'a>,
    /// The name of its file, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// Whether everything up to here is to be cached by the provider.
    pub ends_cache: bool,
}

impl<'a> Media<'a> {
    /// A medium of which nothing else is known.
    pub fn new(kind: MediaKind, source: Source<'a>) -> Media<'a> {
        Media { kind, source, name: None, ends_cache: false }
    }
}

/// What a medium is, by which it is told where dialects differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A document, such as a PDF.
    Document,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
}

/// Where a medium's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// Here, in base64 with padding (RFC 4648, section 4), checked.
    Inline {
        /// The media type, such as `image/png`.
        media_type: Cow<'a, str>,
        /// The bytes.
        data: Cow<'a, str>,
    },
    /// Somewhere that the provider fetches. The gateway never does.
    Url {
        /// Where.
        url: Cow<'a, str>,
        /// The media type, if it was said.
        media_type: Option<Cow<'a, str>>,
    },
    /// Here, as words: a document of plain text.
    Text(Cow<'a, str>),
}

/// The model calls a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// What its result refers to.
    pub id: Cow<'a, str>,
    /// The tool.
    pub name: Cow<'a, str>,
    /// A JSON object, as its text came.
    pub arguments: Cow<'a, str>,
    /// What its maker wants back with it.
    pub signature: Option<Signature<'a>>,
    /// Whether everything up to here is to be cached by the provider.
    pub ends_cache: bool,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult<'a> {
    /// The call that it answers. One of an earlier turn, which was checked.
    pub id: Cow<'a, str>,
    /// The tool, found by the call.
    pub name: Cow<'a, str>,
    /// Texts and media.
    pub content: Vec<Part<'a>>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Whether everything up to here is to be cached by the provider.
    pub ends_cache: bool,
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought<'a> {
    /// In words, which may be a summary; empty where they are kept from us.
    pub text: Cow<'a, str>,
    /// What its maker wants back with it.
    pub signature: Option<Signature<'a>>,
    /// Whether the signature is all there is: Anthropic's redacted thinking.
    pub is_redacted: bool,
}

/// Bytes that say nothing to anybody but their maker, to whom alone they go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Whose they are.
    pub maker: Api,
    /// As they came.
    pub text: Cow<'a, str>,
}

/// What the model may call.
#[derive(Clone, Debug)]
pub struct Tool<'a> {
    /// By this name.
    pub name: Cow<'a, str>,
    /// To what end.
    pub description: Option<Cow<'a, str>>,
    /// The JSON schema of its arguments, as it came, but for Gemini's own words, which are brought to the standard's;
    /// `None` for a tool that takes none.
    pub parameters: Option<Cow<'a, RawValue>>,
    /// Whether arguments have to follow the schema to the letter.
    pub strict: Option<bool>,
    /// Whether everything up to here is to be cached by the provider.
    pub ends_cache: bool,
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// It may; what holds where the client doesn't say.
    #[default]
    Auto,
    /// It must call one.
    Any,
    /// It must not.
    None,
    /// It must call this one.
    One(Cow<'a, str>),
}

/// The form of an answer.
#[derive(Clone, Debug, Default)]
pub enum Output<'a> {
    /// As the model likes.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// What the client calls it.
        name: Option<Cow<'a, str>>,
        /// The JSON schema, as it came, but for Gemini's own words, which are brought to the standard's.
        schema: Cow<'a, RawValue>,
        /// Whether to the letter.
        strict: Option<bool>,
    },
}

/// How much a model may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// Not at all.
    Off,
    /// So hard.
    Effort(Effort),
    /// For so many tokens.
    Budget(u64),
    /// As it sees fit: Anthropic's adaptive thinking, Gemini's budget of -1.
    Dynamic,
}

/// How hard a model thinks. Source: OpenAI's `reasoning_effort`; Anthropic's `effort` has the last three and `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// A lot.
    High,
    /// As hard as it can.
    Max,
}

/// Below so many tokens nobody thinks (Anthropic's least `budget_tokens`).
pub const MIN_BUDGET: u64 = 1_024;

impl Effort {
    /// Every effort with its budget in tokens. Vendors say no such thing; these are the steps that their own guides
    /// suggest, doubled from the least that Anthropic takes.
    const BUDGETS: [(Effort, u64); 5] = [
        (Effort::Minimal, MIN_BUDGET),
        (Effort::Low, 2_048),
        (Effort::Medium, 8_192),
        (Effort::High, 16_384),
        (Effort::Max, 32_768),
    ];

    /// The tokens that it is worth.
    pub fn budget(self) -> u64 {
        Effort::BUDGETS.iter().find(|(effort, _)| *effort == self).map_or(MIN_BUDGET, |(_, budget)| *budget)
    }

    /// The least effort that is worth so many tokens.
    pub fn of_budget(budget: u64) -> Effort {
        let enough = Effort::BUDGETS.iter().find(|(_, worth)| *worth >= budget);
        enough.map_or(Effort::Max, |(effort, _)| *effort)
    }
}

impl Reasoning {
    /// The tokens to think for where an answer may take `limit` in all; `None` for no thinking, which is also what less
    /// than [`MIN_BUDGET`] comes to. Something has to be left to answer with: half of the limit, unless the client has
    /// shared it out itself.
    pub fn budget_within(self, limit: Option<u64>) -> Option<u64> {
        let wanted = match self {
            Reasoning::Off => return None,
            Reasoning::Effort(effort) => effort.budget(),
            Reasoning::Budget(budget) => budget,
            Reasoning::Dynamic => Effort::Medium.budget(),
        };
        let is_shared_out = |limit: &u64| matches!(self, Reasoning::Budget(budget) if budget < *limit);
        let most = limit.filter(|limit| !is_shared_out(limit)).map(|limit| limit / 2);
        let budget = most.map_or(wanted, |most| wanted.min(most));
        (budget >= MIN_BUDGET).then_some(budget)
    }

    /// The effort that comes nearest; `None` for no thinking, or for what is left to the model.
    pub fn effort(self) -> Option<Effort> {
        match self {
            Reasoning::Off | Reasoning::Dynamic => None,
            Reasoning::Effort(effort) => Some(effort),
            Reasoning::Budget(budget) => Some(Effort::of_budget(budget)),
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    /// The provider's id of it; empty where it has none.
    pub id: Cow<'a, str>,
    /// The model, by the provider's name.
    pub model: Cow<'a, str>,
    /// What the model says, thinks and calls, in order.
    pub parts: Vec<Part<'a>>,
    /// Why it stopped.
    pub finish: Finish<'a>,
    /// What it took.
    pub usage: TokenUsage,
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish<'a> {
    /// It had said all.
    Stop,
    /// It came to one of the texts that it was to stop at; which one, where the provider says so.
    StopSequence(Option<Cow<'a, str>>),
    /// It had said as much as it may.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// It was stopped, or refused.
    ContentFilter,
}

/// What a stream says next. Pieces of one part follow each other; another kind of piece, or another beginning, ends it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'e> {
    /// The answer begins: its id and its model. Comes once, before all others.
    Start {
        /// The provider's id of it; empty where it has none.
        id: Cow<'e, str>,
        /// The model, by the provider's name.
        model: Cow<'e, str>,
    },
    /// Words.
    Text(Cow<'e, str>),
    /// Thoughts.
    Thought(Cow<'e, str>),
    /// The signature of the thought that came last.
    ThoughtSignature(Signature<'e>),
    /// A thought that is kept from us; its signature is all there is.
    Redacted(Signature<'e>),
    /// Words why the model doesn't answer.
    Refusal(Cow<'e, str>),
    /// A call of a tool begins.
    Call {
        /// What its result refers to.
        id: Cow<'e, str>,
        /// The tool.
        name: Cow<'e, str>,
        /// What its maker wants back with it.
        signature: Option<Signature<'e>>,
    },
    /// A piece of the JSON text of the arguments of the call that began last.
    Arguments(Cow<'e, str>),
    /// What the answer took so far. Each is the whole, not what is new; the larger of each figure is true.
    Usage(TokenUsage),
    /// The model stopped. Usage may still follow.
    Finish(Finish<'e>),
    /// The stream is at its end, in order. Comes once, after all others.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_silent_until_somebody_says_something() {
        let turn = |part| Turn { speaker: Speaker::Model, parts: vec![part] };
        let thought = Part::Thought(Thought::default());
        for (system, turns, is_silent) in [
            (vec![], vec![], true),
            (vec![], vec![turn(thought)], true),
            (vec![], vec![turn(Part::text(""))], false),
            (vec![Part::text("Be brief.")], vec![], false),
            (vec![Part::text("")], vec![], true),
        ] {
            let request = Request { system, turns, ..Request::default() };
            assert_eq!(request.is_silent(), is_silent, "{request:?}");
        }
    }

    #[test]
    fn budgets_and_efforts_are_two_names_of_one_thing() {
        for (effort, budget) in Effort::BUDGETS {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
            assert_eq!(
                Effort::of_budget(budget + 1),
                Effort::BUDGETS.iter().map(|(it, _)| *it).find(|it| *it > effort).unwrap_or(Effort::Max)
            );
        }
        assert_eq!(Reasoning::Dynamic.effort(), None);
    }

    #[test]
    fn thinking_leaves_half_of_the_limit_to_the_answer_and_is_off_below_the_least() {
        for (reasoning, limit, budget) in [
            (Reasoning::Off, None, None),
            (Reasoning::Effort(Effort::High), None, Some(16_384)),
            (Reasoning::Effort(Effort::High), Some(8_192), Some(4_096)),
            (Reasoning::Effort(Effort::Low), Some(2_048), Some(1_024)),
            (Reasoning::Effort(Effort::Low), Some(2_047), None),
            (Reasoning::Budget(1_023), None, None),
            (Reasoning::Budget(1_024), None, Some(1_024)),
            (Reasoning::Budget(1_024), Some(1_025), Some(1_024)),
            (Reasoning::Budget(1_024), Some(1_024), None),
            (Reasoning::Budget(4_096), Some(4_096), Some(2_048)),
            (Reasoning::Dynamic, None, Some(8_192)),
        ] {
            assert_eq!(reasoning.budget_within(limit), budget, "{reasoning:?} {limit:?}");
        }
    }
}
