//! The `cliproxy` binary: parses the command line and runs the command.

use clap::Parser;
use cliproxy::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().run().into()
}
