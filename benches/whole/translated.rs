//! What it costs to put a request, its answer and each of its events into another dialect's words, beside one that is
//! passed on: all of it through the gateway, before one mock upstream.

use crate::figures::{OURS, Rounds, Target};
use crate::message::{Client, Model, request_of};
use crate::sections::{Done, Effort, Outcome, SMALL, STREAMS, Visit, take_turns};
use crate::servers::{Kind, Site};
use cliproxy::domain::Dialect;
use tokio::runtime::Runtime;

/// A client before a provider.
#[derive(Clone, Copy)]
pub struct Pair {
    /// As tables have it.
    pub name: &'static str,
    /// How the client asks.
    pub client: Client,
    /// What the provider speaks.
    pub provider: Dialect,
}

/// The pair in which nothing is to be translated.
pub const PASSED: &str = "chat to openai";

/// That pair, and others: each client and each provider at least twice.
pub const PAIRS: [Pair; 9] = [
    Pair { name: PASSED, client: Client::Chat, provider: Dialect::OpenAi },
    Pair { name: "messages to openai", client: Client::Messages, provider: Dialect::OpenAi },
    Pair { name: "generate to openai", client: Client::Generate, provider: Dialect::OpenAi },
    Pair { name: "chat to anthropic", client: Client::Chat, provider: Dialect::Anthropic },
    Pair { name: "responses to anthropic", client: Client::Responses, provider: Dialect::Anthropic },
    Pair { name: "generate to anthropic", client: Client::Generate, provider: Dialect::Anthropic },
    Pair { name: "chat to gemini", client: Client::Chat, provider: Dialect::Gemini },
    Pair { name: "responses to gemini", client: Client::Responses, provider: Dialect::Gemini },
    Pair { name: "messages to gemini", client: Client::Messages, provider: Dialect::Gemini },
];

/// CPU per request of 2 KB, and per event.
///
/// # Errors
/// When the gateway can't be started, or fails.
pub fn translated(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let mut requests = Rounds::beside(PASSED, format!("CPU of the {OURS} per 2 KB request, µs"));
    let mut events = Rounds::beside(PASSED, format!("CPU of the {OURS} per event, µs"));
    for _ in 0..effort.rounds {
        let server = site.start(Kind::Gateway)?;
        let visits = |model, connections| {
            let visit = |pair: &Pair| {
                let request = request_of(pair.client, pair.provider, server.address, model, SMALL);
                Visit { server: &server, request, connections }
            };
            PAIRS.iter().map(visit).collect::<Vec<_>>()
        };
        let taken = take_turns(runtime, &visits(Model::Plain, effort.connections), effort.duration)?;
        PAIRS.iter().zip(taken).for_each(|(pair, taken)| requests.add(pair.name, taken.per_answer()));
        let taken = take_turns(runtime, &visits(Model::Stream, STREAMS), effort.duration)?;
        PAIRS.iter().zip(taken).for_each(|(pair, taken)| events.add(pair.name, taken.per_event()));
    }
    let measured = vec![(Target::Translated, requests.worst_ratio())];
    Ok(Outcome { tables: vec![requests.table(), events.table()], measured })
}
