//! `cliproxy serve`: the gateway in the foreground.

use super::EXIT_FAILURE;
use super::check::{self, EXIT_BAD_CONFIG};
use crate::app::{self, App, Parts};
use crate::config::{self, Loaded};
use crate::observe::logging;
use std::io::{self, Write};
use std::path::PathBuf;

/// Serves until the process is told to stop; the exit status is returned.
pub fn run(path: Option<PathBuf>) -> u8 {
    let path = config::locate(path, &config::process_environment);
    match config::load(&path, &config::process_environment) {
        Ok(loaded) => {
            start_logging(&loaded);
            for problem in &loaded.warnings {
                log::warn!("{}:{problem}", path.display());
            }
            for part in &loaded.inactive {
                log::warn!("{}: {}", part.path, part.sentence);
            }
            serve(loaded)
        }
        refused => {
            // With stderr gone, too, there is nobody left to tell.
            let _ = check::write_report(&mut io::stderr().lock(), &path, &refused, false, false);
            EXIT_BAD_CONFIG
        }
    }
}

/// Starts logging as the configuration says.
pub fn start_logging(loaded: &Loaded) {
    if let Err(why) = logging::init(&loaded.config.logging) {
        // With stderr gone, too, there is nobody left to tell.
        let _ = writeln!(io::stderr(), "logging can't start: {why}");
    }
}

/// Builds and runs the gateway.
pub fn serve(loaded: Loaded) -> u8 {
    let done = app::prepare_process().and_then(|()| App::build(loaded, Parts::default())?.run());
    let status = match done {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            EXIT_FAILURE
        }
    };
    logging::flush();
    status
}
