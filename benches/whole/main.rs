//! What a whole request costs, beside a bare Pingora loop, nginx and HAProxy, in one run:
//! `cargo run --profile dist --package cliproxy-benches --bin whole`.
//!
//! It starts each server as a process of its own with one worker thread, all before one mock upstream, puts
//! load on them in turn and reads their CPU time and memory from the kernel. The gateway has client keys,
//! routing between two providers, prices, metering, metrics and its log on. Figures are medians over rounds,
//! ratios are to the bare loop in the same round; `--check` holds the gateway's to the targets in `figures`.
//!
//! `--only instructions` runs the gateway and the bare loop under valgrind's callgrind, and leaves its
//! profiles in the folder that is printed, for `callgrind_annotate`.

mod ask;
mod cores;
mod figures;
mod instructions;
mod load;
mod message;
mod process;
mod sections;
mod servers;
mod translated;
mod upstream;

use clap::{Parser, Subcommand, ValueEnum};
use cores::Cores;
use process::Process;
use sections::{Effort, Outcome};
use servers::{Site, free_address, installed};
use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// What a whole request costs, beside a bare Pingora loop, nginx and HAProxy.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// Rounds, each with processes of its own
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How long each server is measured in a round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Connections of the load
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Only these sections
    #[arg(long)]
    only: Vec<Section>,
    /// Fail if a target is missed
    #[arg(long)]
    check: bool,
    /// Take the binaries as they are
    #[arg(long)]
    no_build: bool,
}

/// A process that the bench starts of itself.
#[derive(Subcommand)]
enum Part {
    /// The mock upstream
    #[command(hide = true)]
    Upstream {
        /// Where it listens
        address: SocketAddr,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// CPU per request
    Requests,
    /// CPU per relayed event
    Events,
    /// Added latency at one connection
    Latency,
    /// Memory, idle and per open stream
    Memory,
    /// CPU per request and event of one dialect before a provider of another
    Translated,
    /// Instructions per request and event, under valgrind; only if asked for
    Instructions,
}

/// What runs when nothing is chosen.
const USUAL: [Section; 5] =
    [Section::Requests, Section::Events, Section::Latency, Section::Memory, Section::Translated];

/// Says that this is the program begun anew, and which cores the servers have: `taskset`'s arguments, or nothing.
const PREPARED: &str = "CLIPROXY_BENCH_SERVERS";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "to print is what it is for")]
fn say(text: &str) {
    println!("{text}");
}

/// Whether all is as it should be.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let Some(Part::Upstream { address }) = options.part {
        runtime.block_on(upstream::serve(address))?;
        return Ok(true);
    }
    let Ok(before_servers) = std::env::var(PREPARED) else { return Err(prepare().into()) };
    let program = std::env::current_exe()?;
    let binaries = program.parent().unwrap_or(Path::new(".")).to_owned();
    if !options.no_build {
        build(&binaries)?;
    }
    let scratch = binaries.join("whole-scratch");
    std::fs::create_dir_all(scratch.join("auths"))?;
    let upstream = free_address()?;
    let mock = Process::start(
        Command::new(&program).args(["upstream", &upstream.to_string()]),
        &scratch.join("upstream.log"),
    )?;
    wait_for(upstream)?;
    let before_servers = before_servers.split_ascii_whitespace().map(str::to_owned).collect();
    let site = Site { binaries, scratch, upstream, before_servers };
    let is_met = measure(&runtime, &site, options)?;
    drop(mock);
    Ok(is_met || !options.check)
}

fn measure(runtime: &Runtime, site: &Site, options: &Options) -> Result<bool, Box<dyn Error>> {
    let names: Vec<_> = site.kinds().iter().map(|kind| kind.name()).collect();
    say(&format!(
        "{}, one worker thread each; configurations and logs: {}\n",
        names.join(", "),
        site.scratch.display()
    ));
    let effort = Effort {
        rounds: options.rounds,
        duration: Duration::from_secs_f64(options.seconds),
        connections: options.connections,
    };
    let chosen = if options.only.is_empty() { &USUAL[..] } else { &options.only };
    let mut measured = Vec::new();
    for section in chosen {
        let Outcome { tables, measured: figures } = match section {
            Section::Requests => sections::requests(runtime, site, effort)?,
            Section::Events => sections::events(runtime, site, effort)?,
            Section::Latency => sections::latency(site, effort)?,
            Section::Memory => sections::memory(runtime, site, effort)?,
            Section::Translated => translated::translated(runtime, site, effort)?,
            Section::Instructions if installed("valgrind").exists() => instructions::instructions(site)?,
            Section::Instructions => return Err("instructions are counted by valgrind: install it".into()),
        };
        tables.iter().for_each(|table| say(table));
        measured.extend(figures);
    }
    let (table, is_met) = figures::verdict(&measured);
    say(&format!("the gateway's targets\n{table}"));
    Ok(is_met)
}

/// Starts this program anew, on its cores, and with as many open files as it may have: a thousand streams are more than
/// the usual limit. Comes back only if that fails.
fn prepare() -> std::io::Error {
    const RAISE: &str = r#"ulimit -Sn "$(ulimit -Hn)"; exec "$@""#;
    let cores = Cores::of_this_machine();
    say(&cores.to_string());
    let mut command = Command::new("sh");
    command.args(["-c", RAISE, "sh"]).args(cores.for_load()).args(std::env::args_os());
    command.env(PREPARED, cores.for_servers().join(" ")).exec()
}

/// Builds the gateway and the bare loop with the profile that this program was built with.
fn build(binaries: &Path) -> Result<(), Box<dyn Error>> {
    let folder = binaries.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let profile = if folder == "debug" { "dev" } else { folder };
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--locked", "--profile", profile])
        .args(["--package", "cliproxy", "--bin", "cliproxy"])
        .args(["--package", "cliproxy-benches", "--bin", "bare"]);
    // What `cargo run` says of this package would have ring's build script run anew, and Pingora built again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|of| text.starts_with(of))
        {
            command.env_remove(&name);
        }
    }
    let built = command.status()?;
    if built.success() { Ok(()) } else { Err("the servers can't be built".into()) }
}

fn wait_for(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            return Err("the mock upstream does not listen".into());
        }
        servers::pause(Duration::from_millis(10));
    }
    Ok(())
}
