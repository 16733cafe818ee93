//! Starts the log: which records are written, and where to.
//!
//! It sits on `env_logger` behind the `log` facade, so that records of other crates take the same form
//! as ours. Which form that is, `line` decides.

use env_logger::{Builder, Target};
use log::{LevelFilter, SetLoggerError};

use super::line::{self, OURS};
use crate::domain::wall_clock;

pub use super::line::Format;

/// The variable that overrides the configured level, in `env_logger`'s syntax.
const OVERRIDE: &str = "RUST_LOG";

/// What is logged, and how it looks.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// The least grave level of our own records that is written.
    pub level: LevelFilter,
    /// What a line looks like.
    pub format: Format,
}

/// Starts logging to standard error. Other crates' records are written from `warn` on (from `info` on
/// at level `debug`): theirs are about sockets, ours about requests. `RUST_LOG`, if set, decides instead.
///
/// # Errors
/// If the process logs already.
pub fn init(options: LogOptions) -> Result<(), SetLoggerError> {
    let filters = std::env::var(OVERRIDE).unwrap_or_default();
    builder(options, &filters).target(Target::Stderr).try_init()
}

fn builder(options: LogOptions, filters: &str) -> Builder {
    let mut builder = Builder::new();
    if filters.is_empty() {
        builder.filter_level(level_of_others(options.level)).filter_module(OURS, options.level);
    } else {
        builder.parse_filters(filters);
    }
    let write = line::writer(options.format);
    builder.format(move |buffer, record| write(buffer, record, wall_clock::now()));
    builder
}

fn level_of_others(level: LevelFilter) -> LevelFilter {
    match level {
        LevelFilter::Off | LevelFilter::Error => level,
        LevelFilter::Warn | LevelFilter::Info => LevelFilter::Warn,
        LevelFilter::Debug | LevelFilter::Trace => LevelFilter::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::{Level, Log, Record};
    use std::io;

    /// What is left of records of these targets and levels.
    fn heard(level: LevelFilter, filters: &str, records: &[(&str, Level)]) -> Vec<String> {
        let (reader, pipe) = io::pipe().unwrap();
        let logger = builder(LogOptions { level, format: Format::Text }, filters)
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
            ("cliproxy::gateway", Level::Info),
            ("cliproxy::gateway", Level::Debug),
            ("pingora_core", Level::Info),
            ("pingora_core", Level::Warn),
        ];
        let ours = "level=info msg=m";
        let theirs = "level=warn msg=m target=pingora_core";
        assert_eq!(heard(LevelFilter::Info, "", &records), [ours, theirs]);
        assert_eq!(heard(LevelFilter::Error, "", &records), Vec::<String>::new());
        let all = [ours, "level=debug msg=m", "level=info msg=m target=pingora_core", theirs];
        assert_eq!(heard(LevelFilter::Debug, "", &records), all);
    }

    #[test]
    fn the_environment_decides_if_it_says_anything() {
        let records = [("cliproxy::gateway", Level::Info), ("pingora_core", Level::Debug)];
        let theirs = "level=debug msg=m target=pingora_core";
        assert_eq!(heard(LevelFilter::Info, "pingora_core=debug", &records), [theirs]);
    }
}
