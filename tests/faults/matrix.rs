//! The one runner of the matrix: asks all cases, 64 at a time, and tells all that was not as it should be.

use super::case::{Case, MARK, Mix, Pair, Seen};
use super::check;
use super::row::{Row, Who};
use crate::support::{Gateway, Launch, Metrics, Provider, eventually};
use cliproxy::domain::Dialect;
use cliproxy::simulator::Options;
use serde_json::Value;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Cases at one time.
const AT_ONCE: usize = 64;

/// Asks all cases of these rows of one gateway, whose faults take that share of their time.
#[track_caller]
pub fn run(rows: &[Row], mix: Mix, stream_recovery: &str, scale: f64) {
    let start = Instant::now();
    let pairs = Dialect::ALL.map(|dialect| {
        let provider = || Provider::with(dialect, Options { time_scale: scale, ..Options::default() });
        Pair { dialect, first: provider(), other: provider() }
    });
    let cases = Case::all(rows, mix);
    let gateway = gateway(&cases, &pairs, stream_recovery, scale);
    let ready = start.elapsed();
    let seen = ask_all(&cases, &gateway);
    let requests: u32 = cases.iter().map(|case| case.row.times).sum();
    let account = Account::of(&gateway, &pairs, requests);
    let mut problems = Vec::new();
    for (case, seen) in cases.iter().zip(seen) {
        let told = |problem: String| format!("{}: {problem}", case.told());
        match seen {
            Ok(seen) => problems.extend(check::case(case, &seen, &account, scale).into_iter().map(told)),
            Err(panic) => problems.push(told(panic)),
        }
    }
    if gateway.output().contains("panicked") {
        problems.push("the gateway panicked".to_owned());
    }
    let times = format!("ready after {ready:.1?}, done after {:.1?}", start.elapsed());
    let count = cases.len();
    assert!(
        problems.is_empty(),
        "{} problems of {count} cases ({times}):\n{}",
        problems.len(),
        problems.join("\n")
    );
    eprintln!("{count} cases, {mix:?}, recovery {stream_recovery}, times {scale}: {times}");
}

/// A gateway with the providers of all cases.
fn gateway(cases: &[Case], pairs: &[Pair], stream_recovery: &str, scale: f64) -> Gateway {
    let entries: String = cases.iter().map(|case| case.yaml(pairs, scale)).collect();
    let yaml = format!(
        "server:\n  host: 127.0.0.1\n  port: {{port}}\n  operations:\n    retry: {{stream_recovery: {stream_recovery}}}\n    connection_pool: {{max_idle_conns: 100000}}\nproviders:\n{entries}"
    );
    Launch::new(&yaml).start()
}

/// What the clients saw, case by case, or why a client fell.
fn ask_all(cases: &[Case], gateway: &Gateway) -> Vec<Result<Vec<Seen>, String>> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, case)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(number).map(|case| (number, case))
                } {
                    let seen = catch_unwind(AssertUnwindSafe(|| case.ask(gateway.client())));
                    let seen = seen.map_err(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        text.unwrap_or_else(|| "the client fell".to_owned())
                    });
                    results.lock().unwrap().push((number, seen));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, seen)| seen).collect()
}

/// A request as it arrived at a provider.
pub struct Asked {
    pub at: Instant,
    /// Bytes of its body.
    pub length: usize,
}

/// What everybody says of what happened, once all is over.
pub struct Account {
    /// What was counted, series by series.
    pub metrics: Metrics,
    /// The last line of the log about each request.
    pub log: HashMap<String, Vec<Value>>,
    /// How each provider was asked, by the mark of the question.
    asked: HashMap<(String, Who), Vec<Asked>>,
}

impl Account {
    fn of(gateway: &Gateway, pairs: &[Pair], requests: u32) -> Account {
        // A request is counted before its line is written.
        let lines = eventually("a line of the log for each request", || {
            let output = gateway.output();
            let parsed = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let is_last =
                |line: &Value| line["msg"].as_str().is_some_and(|text| text.starts_with("request_"));
            let lines: Vec<Value> = parsed.filter(is_last).collect();
            (lines.len() >= requests as usize).then_some(lines)
        });
        let mut log: HashMap<String, Vec<Value>> = HashMap::new();
        for line in lines {
            log.entry(line["request_id"].as_str().unwrap_or_default().to_owned()).or_default().push(line);
        }
        let metrics = Metrics::read(gateway);
        Account { metrics, log, asked: asked(pairs) }
    }

    /// How that provider of the case was asked, in order.
    pub fn asked(&self, case: &Case, who: Who) -> &[Asked] {
        self.asked.get(&(case.name.clone(), who)).map_or(&[], Vec::as_slice)
    }
}

fn asked(pairs: &[Pair]) -> HashMap<(String, Who), Vec<Asked>> {
    let mut asked: HashMap<(String, Who), Vec<Asked>> = HashMap::new();
    for (pair, who) in pairs.iter().flat_map(|pair| Who::BOTH.map(|who| (pair, who))) {
        for received in pair.of(who).asked() {
            let mark = received.header(MARK).unwrap_or_default().to_owned();
            asked
                .entry((mark, who))
                .or_default()
                .push(Asked { at: received.at, length: received.body.len() });
        }
    }
    asked
}
