//! Starts the log: which records are written, and where to.
//!
//! It sits on `env_logger` behind the `log` facade, so that records of other crates take the same form
//! as ours. Which form that is, `line` decides.

use env_logger::{Builder, Target};
use log::{LevelFilter, SetLoggerError};

use super::config::{Level, Logging};
use super::line::{self, OURS};
use crate::domain::wall_clock;

/// The variable that overrides the configured level, in `env_logger`'s syntax.
const OVERRIDE: &str = "RUST_LOG";

/// Starts logging to standard error. Other crates' records are written from `warn` on (from `info` on
/// at level `debug`): theirs are about sockets, ours about requests. `RUST_LOG`, if set, decides instead.
///
/// # Errors
/// If the process logs already.
pub fn init(config: &Logging) -> Result<(), SetLoggerError> {
    let filters = std::env::var(OVERRIDE).unwrap_or_default();
    builder(config, &filters).target(Target::Stderr).try_init()
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
    use crate::observe::config::Format;
    use log::{Log, Record};
    use std::io;

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
