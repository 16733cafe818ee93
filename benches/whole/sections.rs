//! What is measured, section by section. Every section visits each server in turn, round after round: the
//! machine's speed drifts, and a ratio is of neighbours in time.

use crate::ask::{Connection, Took};
use crate::figures::{OURS, Rounds, Target, median, quantile};
use crate::load::{Load, Reading, open_streams};
use crate::message::{Model, request};
use crate::servers::{Server, Site, pause};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A short chat, and one with long documents in it. The second is past Pingora's retry buffer.
pub const SMALL: usize = 2 << 10;
const LARGE: usize = 200 << 10;

/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// Streams at a time while events are counted.
const STREAMS: usize = 64;
/// Reads with several events in them, from which on a figure per event would be too good.
const MAX_MERGED: f64 = 0.05;

/// Streams that are left open while memory is measured.
const OPEN_STREAMS: usize = 1_000;
/// Fresh processes per server and body: memory varies little.
const MEMORY_ROUNDS: usize = 3;
/// For a process to come to rest before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// Requests in a row at one connection before the next server's turn, and how often each has its turn in a
/// round.
const BLOCK: usize = 50;
const BLOCKS: usize = 10;
/// A delayed acknowledgement is 40 ms; what takes that long isn't the machine's noise.
const STEP: Duration = Duration::from_millis(35);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Visits to each server.
    pub rounds: usize,
    /// How long a visit is.
    pub duration: Duration,
    /// Connections of the load.
    pub connections: usize,
}

/// What came of a section: tables to print, and the figures that have targets.
#[derive(Default)]
pub struct Outcome {
    /// To be printed.
    pub tables: Vec<String>,
    /// To be judged.
    pub measured: Vec<(Target, f64)>,
}

type Done<T> = Result<T, Box<dyn Error>>;

fn start_all(site: &Site) -> Done<Vec<Server>> {
    site.kinds().into_iter().map(|kind| site.start(kind)).collect()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// CPU time of a server and what came of it, over one visit.
fn visit(
    runtime: &Runtime,
    server: &Server,
    request: Vec<u8>,
    connections: usize,
    duration: Duration,
) -> Done<(Duration, Reading)> {
    runtime.block_on(async {
        let mut load = Load::start(server.address, request, connections);
        load.go_on(WARM_UP).await?;
        let (cpu, before) = (server.process.cpu()?, load.read());
        load.go_on(duration).await?;
        let (cpu, after) = (server.process.cpu()? - cpu, load.read());
        let came = Reading {
            answers: after.answers - before.answers,
            events: after.events - before.events,
            reads: after.reads - before.reads,
        };
        Ok((cpu, came))
    })
}

/// CPU per request, of 2 KB and of 200 KB, answered in one piece.
pub fn requests(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let servers = start_all(site)?;
    let mut outcome = Outcome::default();
    for (name, size) in [("2 KB", SMALL), ("200 KB", LARGE)] {
        let mut rounds = Rounds::new(format!("CPU per {name} request, µs"));
        let mut rates = Rounds::new(format!("{name} requests per second"));
        for _ in 0..effort.rounds {
            for server in &servers {
                let request = request(server.address, Model::Plain, size);
                let (cpu, came) = visit(runtime, server, request, effort.connections, effort.duration)?;
                rounds.add(server.kind.name(), micros(cpu) / came.answers as f64);
                rates.add(server.kind.name(), came.answers as f64 / effort.duration.as_secs_f64());
            }
        }
        if size == SMALL {
            outcome.measured.push((Target::SmallRequest, rounds.ratio(OURS)));
        }
        outcome.tables.extend([rounds.table(), rates.table()]);
    }
    Ok(outcome)
}

/// CPU per relayed event, of streams whose events come one by one.
pub fn events(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let servers = start_all(site)?;
    let mut rounds = Rounds::new("CPU per relayed event, µs");
    let mut merged = Vec::new();
    for _ in 0..effort.rounds {
        for server in &servers {
            let request = request(server.address, Model::Stream, SMALL);
            let (cpu, came) = visit(runtime, server, request, STREAMS, effort.duration)?;
            rounds.add(server.kind.name(), micros(cpu) / came.events as f64);
            merged.push(1.0 - came.reads as f64 / came.events as f64);
        }
    }
    let mut table = rounds.table();
    if median(&merged) > MAX_MERGED {
        let percent = median(&merged) * 100.0;
        table +=
            &format!("  (the machine was too busy: {percent:.0}% of the events came together with others)\n");
    }
    Ok(Outcome { tables: vec![table], measured: vec![(Target::Event, rounds.ratio(OURS))] })
}

/// What a server took for each of many answers, plain ones and short streams.
struct Samples {
    name: &'static str,
    address: SocketAddr,
    plain: Vec<Took>,
    stream: Vec<Took>,
}

impl Samples {
    fn new(name: &'static str, address: SocketAddr) -> Samples {
        Samples { name, address, plain: Vec::new(), stream: Vec::new() }
    }

    /// Asks for a block of each at one connection.
    fn take_block(&mut self) -> Done<()> {
        let mut connection = Connection::open(self.address)?;
        for (model, samples) in [(Model::Plain, &mut self.plain), (Model::Short, &mut self.stream)] {
            let request = request(self.address, model, SMALL);
            for _ in 0..BLOCK {
                samples.push(connection.ask(&request)?);
            }
        }
        Ok(())
    }
}

/// One way of looking at an answer's time.
type Look = (&'static str, fn(&Samples) -> Vec<Duration>);

const LOOKS: [Look; 3] = [
    ("answer in one piece", |samples| samples.plain.iter().map(|took| took.whole).collect()),
    ("first event of a stream", |samples| samples.stream.iter().map(|took| took.first_event).collect()),
    ("end of a short stream", |samples| samples.stream.iter().map(|took| took.whole).collect()),
];

/// The per cent of them that show the step.
fn steps(times: &[Duration]) -> f64 {
    100.0 * times.iter().filter(|time| **time >= STEP).count() as f64 / times.len() as f64
}

/// Latency at one connection, beside that of the mock upstream itself.
pub fn latency(site: &Site, effort: Effort) -> Done<Outcome> {
    let servers = start_all(site)?;
    let mut all = vec![Samples::new("direct", site.upstream)];
    all.extend(servers.iter().map(|server| Samples::new(server.kind.name(), server.address)));
    for _ in 0..effort.rounds * BLOCKS {
        for samples in &mut all {
            samples.take_block()?;
        }
    }
    let mut outcome = Outcome::default();
    for (title, times) in LOOKS {
        let title = format!("{title}, µs");
        let mut table = format!(
            "{title:<34}{:>10}{:>10}{:>11}{:>11}{:>12}\n",
            "p50", "p99", "added p50", "added p99", "40 ms steps"
        );
        let direct = times(&all[0]);
        let at = |times: &[Duration], share| {
            quantile(&times.iter().map(|time| micros(*time)).collect::<Vec<_>>(), share)
        };
        for samples in &all {
            let took = times(samples);
            let (p50, p99) = (at(&took, 0.5), at(&took, 0.99));
            let (added_p50, added_p99) = (p50 - at(&direct, 0.5), p99 - at(&direct, 0.99));
            let name = samples.name;
            let stepped = steps(&took);
            table += &format!(
                "  {name:<32}{p50:>10.0}{p99:>10.0}{added_p50:>11.0}{added_p99:>11.0}{stepped:>11.2}%\n"
            );
            if name == OURS {
                outcome.measured.push((Target::AddedP99, added_p99));
                outcome.measured.push((Target::Steps, (stepped - steps(&direct)).max(0.0)));
            }
        }
        outcome.tables.push(table);
    }
    Ok(outcome)
}

/// Memory when nothing happens, and per open stream.
pub fn memory(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let mut outcome = Outcome::default();
    let mut idle = Rounds::new("memory idle, MiB");
    for (name, size) in [("2 KB", SMALL), ("200 KB", LARGE)] {
        let mut rounds = Rounds::new(format!("memory per open stream, {name} asked, KiB"));
        for _ in 0..effort.rounds.min(MEMORY_ROUNDS) {
            for kind in site.kinds() {
                let server = site.start(kind)?;
                pause(REST);
                let before = server.process.resident_kib()?;
                idle.add(kind.name(), before as f64 / 1024.0);
                let request = request(server.address, Model::Open, size);
                let streams = runtime.block_on(open_streams(server.address, request, OPEN_STREAMS))?;
                pause(REST);
                let grown = server.process.resident_kib()?.saturating_sub(before);
                rounds.add(kind.name(), grown as f64 / OPEN_STREAMS as f64);
                drop(streams);
            }
        }
        if size == SMALL {
            outcome.measured.push((Target::OpenStream, rounds.median(OURS)));
        }
        outcome.tables.push(rounds.table());
    }
    outcome.measured.push((Target::Idle, idle.median(OURS)));
    outcome.tables.push(idle.table());
    Ok(outcome)
}
