//! One case of the matrix: a row in one dialect, one way, with a request of one size and framing.

use super::row::{Layout, Outcome, Row, Who};
use crate::support::{Client, Provider, Question, Response};
use cliproxy::domain::Dialect;
use std::time::{Duration, Instant};

/// Bytes of request bodies: none but the question, one more than a read, and many reads.
const SIZES: [Option<usize>; 3] = [None, Some((64 << 10) + 1), Some(1 << 20)];

/// Bytes of a chunk, where the body has no length.
const CHUNK: usize = 16 << 10;

/// Bytes that the gateway may add to a body, at most.
const MAX_ADDED: usize = 1 << 10;

/// So much more often than the other: never the other first, in as many requests as there are cases.
const PREFERRED: u32 = 1_000_000;

/// The header by which a provider's transcript tells the cases apart: one that goes on as it is.
pub const MARK: &str = "idempotency-key";

/// How long a client waits for the next bytes.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);

/// The simulated providers of one dialect: the faulty one and the good one.
pub struct Pair {
    pub dialect: Dialect,
    pub first: Provider,
    pub other: Provider,
}

impl Pair {
    pub fn of(&self, who: Who) -> &Provider {
        match who {
            Who::First => &self.first,
            Who::Other => &self.other,
        }
    }
}

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Plain,
    Stream,
    /// A stream that is one JSON array.
    Array,
}

/// Every dialect in its ways.
const WAYS: [(Dialect, Way); 7] = [
    (Dialect::OpenAi, Way::Plain),
    (Dialect::OpenAi, Way::Stream),
    (Dialect::Anthropic, Way::Plain),
    (Dialect::Anthropic, Way::Stream),
    (Dialect::Gemini, Way::Plain),
    (Dialect::Gemini, Way::Stream),
    (Dialect::Gemini, Way::Array),
];

/// What the providers of a case speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// The client's dialect.
    Same,
    /// Both the dialect that is so many after the client's.
    Foreign(usize),
    /// The first the client's, the other the one after it: a failure moves the request on to another dialect.
    Onward,
    /// The first the one after the client's, the other the client's.
    Home,
}

impl Mix {
    fn dialects(self, client: Dialect) -> [Dialect; 2] {
        let at = Dialect::ALL.into_iter().position(|dialect| dialect == client).expect("one of all");
        let after = |steps: usize| Dialect::ALL[(at + steps) % Dialect::ALL.len()];
        match self {
            Mix::Same => [client; 2],
            Mix::Foreign(steps) => [after(steps); 2],
            Mix::Onward => [client, after(1)],
            Mix::Home => [after(1), client],
        }
    }
}

/// A row, made one of its cases.
pub struct Case {
    pub row: Row,
    /// What the client speaks.
    pub dialect: Dialect,
    /// What the providers speak.
    pub providers: [Dialect; 2],
    pub way: Way,
    outcome: Outcome,
    size: Option<usize>,
    chunked: bool,
    /// The name of the model for the client, of the request, and what the providers' names begin with.
    pub name: String,
}

/// What a client saw, of one request.
pub struct Seen {
    pub answer: Response,
    pub words: String,
    pub took: Duration,
}

impl Case {
    /// All cases of these rows. Each row meets all sizes and framings, and so do each dialect and way: the pair
    /// that a case gets moves on by one from row to row.
    pub fn all(rows: &[Row], mix: Mix) -> Vec<Case> {
        let of_row = |(number, row): (usize, &Row)| {
            let row = *row;
            WAYS.into_iter().enumerate().map(move |(turn, (dialect, way))| {
                let outcome = match way {
                    Way::Plain => row.plain,
                    Way::Stream => row.stream,
                    // What is broken of a stream that is put into other words is left out, whatever it is made of.
                    Way::Array if mix.dialects(dialect)[0] != dialect => row.stream,
                    Way::Array => row.array,
                };
                let turn = (number + turn) % (2 * SIZES.len());
                let kind = format!("{:?}-{dialect}-{way:?}", row.layout).to_lowercase();
                let name = format!("{number}-{}-{kind}", row.fault);
                let (size, chunked) = (SIZES[turn / 2], turn % 2 == 1);
                let providers = mix.dialects(dialect);
                Case { row, dialect, providers, way, outcome, size, chunked, name }
            })
        };
        rows.iter().enumerate().flat_map(of_row).collect()
    }

    /// What must come of it.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether a body of that length has all that was asked. The model has a shorter name at the provider, and a
    /// stream may be asked to tell its usage, or to go on from a part of the answer.
    pub fn is_whole(&self, length: usize) -> bool {
        let lost = self.name.len() + if self.is_translated(Who::First) { MAX_ADDED } else { 0 };
        self.size.is_none_or(|size| (size - lost..size + MAX_ADDED).contains(&length))
    }

    /// Whether that provider speaks another dialect than the client.
    pub fn is_translated(&self, who: Who) -> bool {
        self.providers[who as usize] != self.dialect
    }

    /// For people.
    pub fn told(&self) -> String {
        let size = self.size.map_or("a small".to_owned(), |size| format!("a {size} byte"));
        let framing = if self.chunked { "in chunks" } else { "with a length" };
        let [first, other] = self.providers;
        format!("{}, {size} body {framing}, before {first} and {other}", self.name)
    }

    /// The name of a provider of this case.
    pub fn provider(&self, who: Who) -> String {
        format!("{}-{}", self.name, who.suffix())
    }

    /// What that provider calls the model.
    pub fn model(&self, who: Who) -> &'static str {
        match who {
            Who::First => self.row.fault,
            Who::Other => self.row.other,
        }
    }

    /// Its providers, which no other case has: what is counted of them is counted of this case.
    pub fn yaml(&self, pairs: &[Pair], scale: f64) -> String {
        let entry = |who: Who, lines: &[&str]| {
            let more = self.row.models[who as usize];
            let comma = if more.is_empty() { "" } else { ", " };
            let model = format!("models: [{{name: {}, alias: {}{comma}{more}}}]", self.model(who), self.name);
            let dialect = self.providers[who as usize];
            let pair = pairs.iter().find(|pair| pair.dialect == dialect).expect("a pair of each dialect");
            pair.of(who).yaml_with(&self.provider(who), &[&[model.as_str()], lines].concat())
        };
        let patience = self.outcome().patience.map_or(String::new(), |(key, full)| {
            format!("timeouts: {{{key}: {}ms}}", full.mul_f64(scale).as_millis())
        });
        let weight = format!("weight: {PREFERRED}");
        let first = entry(Who::First, &[&weight, "priority: 1", &patience]);
        match self.row.layout {
            Layout::Alone => first,
            Layout::Equal => first + &entry(Who::Other, &["priority: 1"]),
            Layout::Lower => first + &entry(Who::Other, &["priority: 2"]),
        }
    }

    /// Asks, as often as the row says.
    pub fn ask(&self, client: Client) -> Vec<Seen> {
        let client = client.timeout(CLIENT_PATIENCE);
        let question = Question::new(self.dialect, &self.name).saying(&self.name);
        let question = match self.way {
            Way::Plain => question,
            Way::Stream => question.streamed(),
            Way::Array => question.streamed().in_an_array(),
        };
        let question = if let Some(size) = self.size { question.of_size(size) } else { question };
        let ask = |_| {
            let request = question.unasked(&client).header("x-request-id", &self.name);
            let request = request.header(MARK, &self.name);
            let request = request.header("content-type", "application/json").body(model_first(&question));
            let request = if self.chunked { request.chunked(CHUNK) } else { request };
            let asked = Instant::now();
            let answer = request.send();
            Seen { words: words(&question, &answer), answer, took: asked.elapsed() }
        };
        (0..self.row.times).map(ask).collect()
    }
}

/// The words that came, if it is an answer.
fn words(question: &Question, answer: &Response) -> String {
    let is_json = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok();
    if is_json || answer.status == 200 { question.words(answer) } else { String::new() }
}

/// The body with the model's name before all else, as some clients write it: a provider that reads no further
/// knows enough to refuse.
fn model_first(question: &Question) -> String {
    let mut body = question.body();
    let model = body.as_object_mut().and_then(|fields| fields.remove("model"));
    let rest = body.to_string();
    model.map_or(rest.clone(), |model| format!("{{\"model\":{model},{}", &rest[1..]))
}
