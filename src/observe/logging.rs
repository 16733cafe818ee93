//! Starts the log: which records are written, and where to.
//!
//! It sits on `env_logger` behind the `log` facade, so that records of other crates take the same form
//! as ours. Which form that is, `line` decides. A line is formatted by whoever logs and written by a thread
//! of its own, which `queue` keeps apart: a log that nobody reads must not stop a request.

use std::io;
use std::time::Duration;

use env_logger::{Builder, Target};
use log::{LevelFilter, Record};

use super::config::{Format, Level, Logging};
use super::line::{self, OURS};
use super::queue::{MAX_BYTES, MAX_LINES, Queue};
use crate::domain::wall_clock;

/// The variable that overrides the configured level, in `env_logger`'s syntax.
const OVERRIDE: &str = "RUST_LOG";

/// How long the end of the process may wait for a log that nobody reads.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The lines on their way to standard error. Static as the logger is that `log` keeps.
static QUEUE: Queue = Queue::new(MAX_LINES, MAX_BYTES);

/// Starts logging to standard error. Other crates' records are written from `warn` on (from `info` on
/// at level `debug`): theirs are about sockets, ours about requests. `RUST_LOG`, if set, decides instead.
///
/// # Errors
/// If the process logs already, or no thread can be started.
pub fn init(config: &Logging) -> io::Result<()> {
    let filters = std::env::var(OVERRIDE).unwrap_or_default();
    builder(config, &filters).target(Target::Pipe(Box::new(&QUEUE))).try_init().map_err(io::Error::other)?;
    let format = config.format;
    let write = move || QUEUE.write_to(io::stderr(), |count| drop_notice(format, count));
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
    // Nothing is refused by a buffer in memory.
    let _ = line::writer(format)(&mut line, &record.args(message).build(), wall_clock::now());
    line
}

fn builder(config: &Logging, filters: &str) -> Builder {
    let mut builder = Builder::new();
    if filters.is_empty() {
        let (ours, others) = levels(config.level);
        builder.filter_level(others).filter_module(OURS, ours);
    } else {
        builder.parse_filters(filters);
    }
    let write = line::writer(config.format);
    builder.format(move |buffer, record| write(buffer, record, wall_clock::now()));
    builder
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
    use log::Log;

    /// What is left of records of these targets and levels.
    fn heard(level: Level, filters: &str, records: &[(&str, log::Level)]) -> Vec<String> {
        let (reader, pipe) = io::pipe().unwrap();
        let logger = builder(&Logging { level, format: Format::Text, ..Logging::default() }, filters)
            .target(Target::Pipe(Box::new(pipe)))
            .build();
        for (target, level) in records {
            logger.log(&Record::builder().level(*level).target(target).args(format_args!("m")).build());
        }
        drop(logger);
        let text = io::read_to_string(reader).unwrap();
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
