//! What is measured, section by section. Every section visits each server in turn, round after round: the
//! machine's speed drifts, and a ratio is of neighbours in time. Where CPU is measured, each round has fresh processes:
//! where one happens to lie in memory and caches makes a tenth, for as long as it lives.

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
/// See [`SMALL`].
pub const LARGE: usize = 200 << 10;

/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(100);
/// In how many turns each server is measured in a round: the machine's speed changes within seconds, too.
const TURNS: u32 = 4;
/// Streams at a time while events are counted.
pub const STREAMS: usize = 64;
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
    /// Rounds, each with processes of its own.
    pub rounds: usize,
    /// How long each server is measured in a round.
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

/// What came of something.
pub type Done<T> = Result<T, Box<dyn Error>>;

fn start_all(site: &Site) -> Done<Vec<Server>> {
    site.kinds().into_iter().map(|kind| site.start(kind)).collect()
}

/// As tables have it.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A server, and what it is asked.
pub struct Visit<'s> {
    /// Who is visited.
    pub server: &'s Server,
    /// What each connection asks again and again.
    pub request: Vec<u8>,
    /// How many connections ask at a time.
    pub connections: usize,
}

/// What visits came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// The server's CPU time.
    cpu: Duration,
    /// What came of it.
    came: Reading,
}

impl Taken {
    /// CPU per answer, in microseconds.
    pub fn per_answer(&self) -> f64 {
        micros(self.cpu) / self.came.answers as f64
    }

    /// CPU per event, in microseconds.
    pub fn per_event(&self) -> f64 {
        micros(self.cpu) / self.came.events as f64
    }

    /// The share of the events that came together with one before them.
    fn merged(&self) -> f64 {
        1.0 - self.came.reads as f64 / self.came.events as f64
    }
}

/// Visits each in turn, several times, so long in all.
///
/// # Errors
/// When a server fails.
pub fn take_turns(runtime: &Runtime, visits: &[Visit<'_>], duration: Duration) -> Done<Vec<Taken>> {
    let mut sums = vec![Taken::default(); visits.len()];
    for _ in 0..TURNS {
        for (visit, sum) in visits.iter().zip(&mut sums) {
            runtime.block_on(take_turn(visit, duration / TURNS, sum))?;
        }
    }
    Ok(sums)
}

async fn take_turn(visit: &Visit<'_>, duration: Duration, sum: &mut Taken) -> Done<()> {
    let process = &visit.server.process;
    let mut load = Load::start(visit.server.address, visit.request.clone(), visit.connections);
    load.go_on(WARM_UP).await?;
    let (cpu, before) = (process.cpu()?, load.read());
    load.go_on(duration).await?;
    let after = load.read();
    sum.cpu += process.cpu()? - cpu;
    sum.came.answers += after.answers - before.answers;
    sum.came.events += after.events - before.events;
    sum.came.reads += after.reads - before.reads;
    Ok(())
}

/// CPU per request, of 2 KB and of 200 KB, answered in one piece.
///
/// # Errors
/// When a server can't be started, or fails.
pub fn requests(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let mut sizes = [("2 KB", SMALL), ("200 KB", LARGE)].map(|(name, size)| {
        let rounds = Rounds::new(format!("CPU per {name} request, µs"));
        (size, rounds, Rounds::new(format!("{name} requests per second")))
    });
    for _ in 0..effort.rounds {
        let servers = start_all(site)?;
        for (size, rounds, rates) in &mut sizes {
            let visit = |server| ask(server, Model::Plain, *size, effort.connections);
            let visits: Vec<_> = servers.iter().map(visit).collect();
            for (server, taken) in servers.iter().zip(take_turns(runtime, &visits, effort.duration)?) {
                rounds.add(server.kind.name(), taken.per_answer());
                rates.add(server.kind.name(), taken.came.answers as f64 / effort.duration.as_secs_f64());
            }
        }
    }
    let [(_, small, _), _] = &sizes;
    let measured = vec![(Target::SmallRequest, small.ratio(OURS))];
    let tables = sizes.iter().flat_map(|(_, rounds, rates)| [rounds.table(), rates.table()]).collect();
    Ok(Outcome { tables, measured })
}

fn ask(server: &Server, model: Model, size: usize, connections: usize) -> Visit<'_> {
    Visit { server, request: request(server.address, model, size), connections }
}

/// CPU per relayed event, of streams whose events come one by one.
///
/// # Errors
/// When a server can't be started, or fails.
pub fn events(runtime: &Runtime, site: &Site, effort: Effort) -> Done<Outcome> {
    let mut rounds = Rounds::new("CPU per relayed event, µs");
    let mut merged = Vec::new();
    for _ in 0..effort.rounds {
        let servers = start_all(site)?;
        let visit = |server| ask(server, Model::Stream, SMALL, STREAMS);
        let visits: Vec<_> = servers.iter().map(visit).collect();
        for (server, taken) in servers.iter().zip(take_turns(runtime, &visits, effort.duration)?) {
            rounds.add(server.kind.name(), taken.per_event());
            merged.push(taken.merged());
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

/// What a server took for each of many answers of a round, plain ones and short streams.
#[derive(Default)]
struct Samples {
    plain: Vec<Took>,
    stream: Vec<Took>,
}

impl Samples {
    /// Asks for a block of each at one connection.
    fn take_block(&mut self, address: SocketAddr) -> Done<()> {
        let mut connection = Connection::open(address)?;
        for (model, samples) in [(Model::Plain, &mut self.plain), (Model::Short, &mut self.stream)] {
            let request = request(address, model, SMALL);
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

/// A round of a server's times, looked at in one way.
struct Times {
    p50: f64,
    p99: f64,
    /// The per cent of them that show the step.
    stepped: f64,
}

impl Times {
    fn of(samples: &Samples, look: Look) -> Times {
        let times = look.1(samples);
        let stepped = times.iter().filter(|time| **time >= STEP).count();
        let times: Vec<_> = times.into_iter().map(micros).collect();
        Times {
            p50: quantile(&times, 0.5),
            p99: quantile(&times, 0.99),
            stepped: 100.0 * stepped as f64 / times.len() as f64,
        }
    }
}

/// Latency at one connection, beside that of the mock upstream itself.
///
/// # Errors
/// When a server can't be started, or fails.
pub fn latency(site: &Site, effort: Effort) -> Done<Outcome> {
    let servers = start_all(site)?;
    let mut visited = vec![("direct", site.upstream)];
    visited.extend(servers.iter().map(|server| (server.kind.name(), server.address)));
    let mut rounds: Vec<Vec<Samples>> = Vec::new();
    for _ in 0..effort.rounds {
        let mut round: Vec<_> = visited.iter().map(|_| Samples::default()).collect();
        for _ in 0..BLOCKS {
            for (samples, (_, address)) in round.iter_mut().zip(&visited) {
                samples.take_block(*address)?;
            }
        }
        rounds.push(round);
    }
    let (mut tables, mut worst_p99, mut worst_steps) = (Vec::new(), f64::MIN, 0.0_f64);
    for look in LOOKS {
        let title = format!("{}, µs", look.0);
        let mut table = format!(
            "{title:<34}{:>8}{:>8}{:>11}{:>11}{:>19}{:>13}\n",
            "p50", "p99", "added p50", "added p99", "spread", "40 ms steps"
        );
        for (at, (name, _)) in visited.iter().enumerate() {
            let of = |figure: fn(&Times, &Times) -> f64| -> Vec<f64> {
                let figure =
                    |round: &Vec<Samples>| figure(&Times::of(&round[at], look), &Times::of(&round[0], look));
                rounds.iter().map(figure).collect()
            };
            let (p50, p99) = (median(&of(|times, _| times.p50)), median(&of(|times, _| times.p99)));
            let added_p50 = median(&of(|times, direct| times.p50 - direct.p50));
            let added = of(|times, direct| times.p99 - direct.p99);
            let added_p99 = median(&added);
            let spread = format!("{:.0}..{:.0}", quantile(&added, 0.0), quantile(&added, 1.0));
            let steps = of(|times, _| times.stepped).iter().sum::<f64>() / rounds.len() as f64;
            let direct = of(|_, direct| direct.stepped).iter().sum::<f64>() / rounds.len() as f64;
            table += &format!(
                "  {name:<32}{p50:>8.0}{p99:>8.0}{added_p50:>11.0}{added_p99:>11.0}{spread:>19}{steps:>12.2}%\n"
            );
            if *name == OURS {
                worst_p99 = worst_p99.max(added_p99);
                worst_steps = worst_steps.max(steps - direct);
            }
        }
        tables.push(table);
    }
    Ok(Outcome { tables, measured: vec![(Target::AddedP99, worst_p99), (Target::Steps, worst_steps)] })
}

/// Memory when nothing happens, and per open stream.
///
/// # Errors
/// When a server can't be started, or fails.
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
