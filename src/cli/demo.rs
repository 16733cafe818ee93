//! `cliproxy demo`: simulated providers and the gateway in one process. No configuration, no keys.

use super::{EXIT_FAILURE, serve};
use crate::app::App;
use crate::config;
use crate::simulator::{Latency, Options, Simulator};
use std::io::{self, Write};
use std::time::Duration;

const CONFIG: &str = include_str!("demo.yaml");
/// One word every 40 ms reads like a model at work.
const TOKEN_INTERVAL: Duration = Duration::from_millis(40);
const LATENCY: &str = "150ms..400ms";

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// The gateway's port
    #[arg(long, default_value_t = 8317)]
    port: u16,
    /// The operations API's port
    #[arg(long, default_value_t = 9090)]
    operations_port: u16,
}

/// Serves until the process is told to stop; the exit status is returned.
pub fn run(args: &DemoArgs) -> u8 {
    match start(args) {
        Ok((simulators, loaded)) => {
            serve::start_logging(&loaded);
            // With stdout gone there is nobody to tell, and the demo still serves.
            let _ = announce(args, &mut io::stdout().lock());
            let status = serve::serve(loaded);
            drop(simulators);
            status
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "the demo can't start: {why}");
            EXIT_FAILURE
        }
    }
}

fn start(args: &DemoArgs) -> Result<(Vec<Simulator>, config::Loaded), String> {
    let simulators = ["openai", "anthropic", "gemini"].map(simulator);
    let simulators: Vec<Simulator> =
        simulators.into_iter().collect::<Result<_, _>>().map_err(|error: io::Error| error.to_string())?;
    let urls: Vec<String> = simulators.iter().map(Simulator::base_url).collect();
    let environment = |name: &str| match name {
        "DEMO_PORT" => Some(args.port.to_string()),
        "DEMO_OPERATIONS_PORT" => Some(args.operations_port.to_string()),
        "DEMO_OPENAI" => urls.first().cloned(),
        "DEMO_ANTHROPIC" => urls.get(1).cloned(),
        "DEMO_GEMINI" => urls.get(2).cloned(),
        _ => None,
    };
    let loaded = config::load_text(CONFIG, &environment)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    // Before anything is announced: the port may be somebody else's.
    App::check_ports(&loaded.config)
        .map_err(|error| format!("{error}; choose others with --port and --operations-port"))?;
    Ok((simulators, loaded))
}

fn simulator(name: &str) -> io::Result<Simulator> {
    Simulator::start(Options {
        name: format!("simulated-{name}"),
        latency: LATENCY.parse().unwrap_or(Latency::NONE),
        token_interval: TOKEN_INTERVAL,
        records: false,
        ..Options::default()
    })
}

fn announce(args: &DemoArgs, out: &mut impl Write) -> io::Result<()> {
    let (port, operations) = (args.port, args.operations_port);
    write!(
        out,
        r#"cliproxyapi++ demo: the gateway on http://127.0.0.1:{port}, three simulated providers behind it.
Any SDK pointed there works, with any key. Try, in another terminal:

OpenAI:
  curl -N http://127.0.0.1:{port}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model": "gpt-demo", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'

Anthropic:
  curl -N http://127.0.0.1:{port}/v1/messages -H 'content-type: application/json' \
    -H 'anthropic-version: 2023-06-01' \
    -d '{{"model": "claude-demo", "max_tokens": 100, "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'

Gemini:
  curl -N 'http://127.0.0.1:{port}/v1beta/models/gemini-demo:streamGenerateContent?alt=sse' \
    -H 'content-type: application/json' \
    -d '{{"contents": [{{"parts": [{{"text": "Hello"}}]}}]}}'

Operations:
  curl http://127.0.0.1:{port}/v0/operations/providers/status
  curl http://127.0.0.1:{operations}/metrics

Press Ctrl-C to stop.
"#
    )
}
