//! Instructions per request and per event, counted by valgrind: the same on every run and every machine, so
//! that a small step in the wrong direction shows where CPU time is too noisy to tell.

use crate::ask::Connection;
use crate::figures::{OURS, Rounds, Target};
use crate::message::{Model, request};
use crate::sections::{Outcome, SMALL};
use crate::servers::{Kind, Site};
use std::error::Error;

/// What is counted: its name, the model asked, how many such units an answer has, and requests in the shorter
/// and the longer of the two runs. Their difference has no start-up and no end in it.
const COUNTED: [(&str, Model, u64, [u64; 2], Target); 2] = [
    ("request of 2 KB", Model::Plain, 1, [500, 1_500], Target::SmallRequestInstructions),
    ("relayed event", Model::Stream, 501, [1, 3], Target::EventInstructions),
];

/// Counts the instructions of the bare loop and the gateway, user mode only.
///
/// # Errors
/// When valgrind fails.
pub fn instructions(site: &Site) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::default();
    for (name, model, units, runs, target) in COUNTED {
        let mut rounds = Rounds::new(format!("instructions per {name}"));
        for kind in [Kind::Bare, Kind::Gateway] {
            let [few, many] = runs;
            let counted = count(site, kind, model, many)? - count(site, kind, model, few)?;
            rounds.add(kind.name(), counted as f64 / ((many - few) * units) as f64);
        }
        outcome.measured.push((target, rounds.ratio(OURS)));
        outcome.tables.push(rounds.table());
    }
    Ok(outcome)
}

/// The instructions of a whole run with so many requests.
fn count(site: &Site, kind: Kind, model: Model, requests: u64) -> Result<i64, Box<dyn Error>> {
    let profile = format!("{}/callgrind.{}-{}-{requests}", site.scratch.display(), kind.name(), model.name());
    let wrapper = ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={profile}")];
    let mut server = site.start_under(kind, &wrapper)?;
    let request = request(server.address, model, SMALL);
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
