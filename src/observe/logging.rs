//! Starts the log: which records are written, and where to.
//!
//! It is behind the `log` facade, so that records of other crates take the same form as ours. Which form that
//! is, `line` decides; which records pass, `env_filter`. A line is formatted by whoever logs and written by a
//! thread of its own, which `queue` keeps apart: a log that nobody reads must not stop a request.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::Duration;

use env_filter::Filter;
use log::{LevelFilter, Log, Metadata, Record};

use super::config::{Format, Level, Logging};
use super::line::{self, OURS, WriteLine};
use super::queue::{Bounds, Queue};
use crate::domain::wall_clock;

/// The variable that overrides the configured level, in the syntax that Rust programs share:
/// `warn,cliproxy=debug`.
const OVERRIDE: &str = "RUST_LOG";

/// How long the end of the process may wait for a log that nobody reads.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The lines on their way out. Static as the logger is that `log` keeps.
static QUEUE: Queue = Queue::new(Bounds::LOG);

/// Starts logging to standard error. Other crates' records are written from `warn` on (from `info` on
/// at level `debug`): theirs are about sockets, ours about requests. `RUST_LOG`, if set, decides instead.
///
/// # Errors
/// If the process logs already, or no thread can be started.
pub fn init(config: &Logging) -> io::Result<()> {
    init_to(config, io::stderr())
}

/// The same, to somewhere else.
///
/// # Errors
/// As [`init`]'s.
pub fn init_to(config: &Logging, out: impl Write + Send + 'static) -> io::Result<()> {
    let filters = std::env::var(OVERRIDE).unwrap_or_default();
    let logger = Logger::new(config, &filters, &QUEUE);
    let level = logger.filter.filter();
    log::set_boxed_logger(Box::new(logger)).map_err(io::Error::other)?;
    log::set_max_level(level);
    let format = config.format;
    let write = move || QUEUE.write_to(out, |count| drop_notice(format, count));
    std::thread::Builder::new().name("log".to_owned()).spawn(write)?;
    Ok(())
}

/// Waits until all that was logged so far is written, for a second at most. To be called before the process
/// ends, since the thread that writes ends with it.
pub fn flush() {
    QUEUE.wait_settled(FLUSH_LIMIT);
}

/// Lines that were lost since the process started.
pub(super) fn dropped() -> u64 {
    QUEUE.dropped()
}

/// The line that says so. No filter applies to it: it stands for lines that had passed.
fn drop_notice(format: Format, count: u64) -> Vec<u8> {
    let mut line = Vec::new();
    let mut record = Record::builder();
    record.level(log::Level::Warn).target(OURS);
    let message =
        format_args!("{count} log lines were dropped: they could not be written as fast as they came");
    line::writer(format)(&mut line, &record.args(message).build(), wall_clock::now());
    line
}

/// What `log` hands records to.
struct Logger {
    filter: Filter,
    write: WriteLine,
    queue: &'static Queue,
}

impl Logger {
    fn new(config: &Logging, filters: &str, queue: &'static Queue) -> Logger {
        let mut filter = env_filter::Builder::new();
        if filters.is_empty() {
            let (ours, others) = levels(config.level);
            filter.filter_level(others).filter_module(OURS, ours);
        } else {
            filter.parse(filters);
        }
        Logger { filter: filter.build(), write: line::writer(config.format), queue }
    }
}

thread_local! {
    /// Where this thread writes its lines, to be used again.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        // Taken, since what is displayed may log by itself; and not there in a thread that ends.
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        (self.write)(&mut line, record, wall_clock::now());
        self.queue.push(&line);
        let _ = LINE.try_with(|kept| kept.set(line));
    }

    fn flush(&self) {
        self.queue.wait_settled(FLUSH_LIMIT);
    }
}

/// The least grave levels that are written, of our own records and of others'.
fn levels(level: Level) -> (LevelFilter, LevelFilter) {
    match level {
        Level::Debug => (LevelFilter::Debug, LevelFilter::Info),
        Level::Info => (LevelFilter::Info, LevelFilter::Warn),
        Level::Warn => (LevelFilter::Warn, LevelFilter::Warn),
        Level::Error => (LevelFilter::Error, LevelFilter::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of records of these targets and levels.
    fn heard(level: Level, filters: &str, records: &[(&str, log::Level)]) -> Vec<String> {
        let queue: &'static Queue = Box::leak(Box::new(Queue::new(Bounds::LOG)));
        let logger =
            Logger::new(&Logging { level, format: Format::Text, ..Logging::default() }, filters, queue);
        for (target, level) in records {
            logger.log(&Record::builder().level(*level).target(target).args(format_args!("m")).build());
        }
        let text = String::from_utf8(queue.drained(|_| unreachable!("nothing was dropped"))).unwrap();
        let words = |line: &str| {
            line.split(' ').filter(|word| !word.starts_with("timestamp")).collect::<Vec<_>>().join(" ")
        };
        text.lines().map(words).collect()
    }

    #[test]
    fn others_speak_only_when_it_matters() {
        let records = [
            ("cliproxy::gateway", log::Level::Info),
            ("cliproxy::gateway", log::Level::Debug),
            ("pingora_core", log::Level::Info),
            ("pingora_core", log::Level::Warn),
        ];
        let ours = "level=info msg=m";
        let theirs = "level=warn msg=m target=pingora_core";
        assert_eq!(heard(Level::Info, "", &records), [ours, theirs]);
        assert_eq!(heard(Level::Error, "", &records), Vec::<String>::new());
        let all = [ours, "level=debug msg=m", "level=info msg=m target=pingora_core", theirs];
        assert_eq!(heard(Level::Debug, "", &records), all);
    }

    #[test]
    fn the_environment_decides_if_it_says_anything() {
        let records = [("cliproxy::gateway", log::Level::Info), ("pingora_core", log::Level::Debug)];
        let theirs = "level=debug msg=m target=pingora_core";
        assert_eq!(heard(Level::Info, "pingora_core=debug", &records), [theirs]);
    }
}
