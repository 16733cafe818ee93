//! The command line: what there is to call, one file per command.

mod check;
mod demo;
pub mod memory;
mod serve;
mod simulate;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Something went wrong while running.
pub const EXIT_FAILURE: u8 = 1;

/// An LLM gateway: one address for OpenAI, Anthropic and Gemini clients.
#[derive(Debug, Parser)]
#[command(name = "cliproxy", version)]
pub struct Cli {
    /// The configuration; default: $CLIPROXY_CONFIG, conf/config.yaml, /config/config.yaml
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve,
    /// Say whether the configuration can be used, and all that is wrong with it
    Check {
        /// Take warnings for errors
        #[arg(long)]
        strict: bool,
        /// Print the configuration as it is in effect, secrets masked
        #[arg(long)]
        effective: bool,
    },
    /// Run the gateway with simulated providers: no configuration, no keys
    Demo(demo::DemoArgs),
    Simulate(simulate::SimulateArgs),
}

impl Cli {
    /// Runs the command; the exit status is returned.
    pub fn run(self) -> u8 {
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => {
                memory::limit();
                serve::run(self.config)
            }
            Command::Check { strict, effective } => check::run(self.config, strict, effective),
            Command::Demo(args) => {
                memory::limit();
                demo::run(&args)
            }
            Command::Simulate(args) => simulate::run(args),
        }
    }
}
