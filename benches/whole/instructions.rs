//! Instructions per request and per event, counted by valgrind: the same on every run and every machine, so
//! that a small step in the wrong direction shows where CPU time is too noisy to tell.

use crate::ask::Connection;
use crate::figures::{OURS, Rounds, Target};
use crate::message::{Model, request_of};
use crate::sections::{LARGE, Outcome, SMALL};
use crate::servers::{Kind, Site};
use crate::translated::{PAIRS, PASSED, Pair};
use crate::upstream::EVENTS;
use std::error::Error;

/// One thing that is counted.
#[derive(Clone, Copy)]
struct Counted {
    name: &'static str,
    model: Model,
    body_bytes: usize,
    /// How many of it an answer has.
    per_answer: u64,
    /// Requests in a shorter and in a longer run: their difference has no start-up and no end in it.
    runs: [u64; 2],
    target: Option<Target>,
}

const COUNTED: [Counted; 3] = [
    Counted {
        name: "request of 2 KB",
        model: Model::Plain,
        body_bytes: SMALL,
        per_answer: 1,
        runs: [300, 1_000],
        target: Some(Target::SmallRequestInstructions),
    },
    Counted {
        name: "request of 200 KB",
        model: Model::Plain,
        body_bytes: LARGE,
        per_answer: 1,
        runs: [50, 150],
        target: None,
    },
    Counted {
        name: "relayed event",
        model: Model::Stream,
        body_bytes: SMALL,
        per_answer: EVENTS,
        runs: [1, 3],
        target: Some(Target::EventInstructions),
    },
];

/// Has the C library copy memory with plain loops: valgrind takes each byte of a `rep movsb` for an instruction.
const NO_REP: &str = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// Counts the instructions of the bare loop and the gateway, user mode only.
///
/// # Errors
/// When valgrind fails.
pub fn instructions(site: &Site) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::default();
    for counted in COUNTED {
        let mut rounds = Rounds::new(format!("instructions per {}", counted.name));
        for kind in [Kind::Bare, Kind::Gateway] {
            rounds.add(kind.name(), per_one(site, kind, &counted, PAIRS[0])?);
        }
        outcome.measured.extend(counted.target.map(|target| (target, rounds.ratio(OURS))));
        outcome.tables.push(rounds.table());
    }
    let [small, _, event] = COUNTED;
    for (counted, target) in [(small, Some(Target::TranslatedInstructions)), (event, None)] {
        let mut rounds = Rounds::beside(PASSED, format!("instructions of the {OURS} per {}", counted.name));
        for pair in PAIRS {
            rounds.add(pair.name, per_one(site, Kind::Gateway, &counted, pair)?);
        }
        outcome.measured.extend(target.map(|target| (target, rounds.worst_ratio())));
        outcome.tables.push(rounds.table());
    }
    Ok(outcome)
}

/// The instructions of one more of what is counted.
fn per_one(site: &Site, kind: Kind, counted: &Counted, pair: Pair) -> Result<f64, Box<dyn Error>> {
    let [few, many] = counted.runs;
    let instructions = count(site, kind, counted, pair, many)? - count(site, kind, counted, pair, few)?;
    Ok(instructions as f64 / ((many - few) * counted.per_answer) as f64)
}

/// The instructions of a whole run with so many requests.
fn count(
    site: &Site,
    kind: Kind,
    counted: &Counted,
    pair: Pair,
    requests: u64,
) -> Result<i64, Box<dyn Error>> {
    let name = format!("{}-{}-{}", kind.name(), pair.name, counted.name).replace(' ', "-");
    let profile = format!("{}/callgrind.{name}-{requests}", site.scratch.display());
    let wrapper = ["env", NO_REP, "valgrind", "--tool=callgrind", &format!("--callgrind-out-file={profile}")];
    let mut server = site.start_under(kind, &wrapper)?;
    let request = request_of(pair.client, pair.provider, server.address, counted.model, counted.body_bytes);
    let mut connection = Connection::open(server.address)?;
    for _ in 0..requests {
        connection.ask(&request)?;
    }
    drop(connection);
    // The stock server sleeps for minutes on SIGTERM.
    server.process.end(if kind == Kind::Gateway { "TERM" } else { "INT" })?;
    let text = std::fs::read_to_string(&profile)?;
    let total =
        text.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.split_ascii_whitespace().next()?.parse().ok());
    total.ok_or_else(|| format!("no total in {profile}").into())
}
