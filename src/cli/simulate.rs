//! `cliproxy simulate`: a simulated provider in the foreground.

use crate::domain::{Period, Secret};
use crate::simulator::{Behaviour, Latency, Options, SCENARIOS, run as serve};
use std::io::{self, Write};
use std::net::SocketAddr;

/// What the command takes.
#[derive(Debug, clap::Args)]
#[command(about = "Run a simulated LLM provider", after_help = scenarios())]
pub struct SimulateArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Sent as x-simulator, and used in the ids of answers
    #[arg(long, default_value = "simulator", value_parser = name)]
    name: String,
    /// Threads that serve
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Wait before each answer: 50ms, 50ms..200ms, or p50=300ms,p99=2s
    #[arg(long, default_value = "0ms")]
    latency: Latency,
    /// Wait before each further token of a stream, such as 20ms
    #[arg(long, default_value = "0ms", value_parser = period)]
    token_interval: Period,
    /// Multiply the times of the fault-… models by this, such as 0.01
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,
    /// Requests that each minute may bring; 429 beyond
    #[arg(long)]
    rate_limit: Option<u32>,
    /// Answer everything with this status and the vendor's error
    #[arg(long, value_parser = clap::value_parser!(u16).range(400..600))]
    status: Option<u16>,
    /// The key to ask for; without it any will do
    #[arg(long, env = "CLIPROXY_SIMULATE_API_KEY", hide_env_values = true, value_parser = secret)]
    api_key: Option<Secret>,
    /// Makes the drawn latencies repeatable
    #[arg(long)]
    seed: Option<u64>,
}

/// Serves until the process is told to stop. Returns the exit code.
pub fn run(args: SimulateArgs) -> u8 {
    let listen = args.listen;
    // What is a secret is not shown, not even to who set it.
    let key = if args.api_key.is_some() { "YOUR-KEY" } else { "any" };
    match serve(args.into(), |address| announce(address, key, &mut io::stdout().lock())) {
        Ok(()) => 0,
        Err(error) => {
            // With stderr gone, too, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "cannot serve on {listen}: {error}");
            1
        }
    }
}

impl From<SimulateArgs> for Options {
    fn from(args: SimulateArgs) -> Options {
        Options {
            listen: args.listen,
            name: args.name,
            threads: args.threads,
            latency: args.latency,
            token_interval: args.token_interval.get(),
            time_scale: args.time_scale,
            rate_limit: args.rate_limit,
            api_keys: args.api_key.into_iter().collect(),
            behaviour: args.status.map_or(Behaviour::Normal, Behaviour::Status),
            // It may run for days: nobody reads a transcript here.
            records: false,
            seed: args.seed,
            ..Options::default()
        }
    }
}

/// Tells where it listens and how to try it. A closed stdout is no reason not to serve.
fn announce(address: SocketAddr, key: &str, out: &mut impl Write) {
    let _ = write!(
        out,
        "simulated provider on http://{address}

OpenAI:
  curl http://{address}/v1/chat/completions -H 'content-type: application/json' -H 'authorization: Bearer {key}' \\
    -d '{{\"model\": \"gpt-4o-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'
Anthropic:
  curl http://{address}/v1/messages -H 'content-type: application/json' -H 'x-api-key: {key}' \\
    -H 'anthropic-version: 2023-06-01' \\
    -d '{{\"model\": \"claude-sonnet-4-5\", \"max_tokens\": 100, \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'
Gemini:
  curl http://{address}/v1beta/models/gemini-2.5-flash:generateContent -H 'content-type: application/json' \\
    -H 'x-goog-api-key: {key}' -d '{{\"contents\": [{{\"parts\": [{{\"text\": \"Hello\"}}]}}]}}'
As a provider of the gateway:
  providers:
    simulated: {{format: openai, base_url: \"http://{address}\", api_key: {key}, models: [gpt-4o-mini]}}

{}",
        scenarios()
    );
    let _ = out.flush();
}

fn scenarios() -> String {
    let mut text = "Models that go wrong:\n".to_owned();
    let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    for scenario in SCENARIOS {
        text += &format!("  {:<width$}  {}\n", scenario.name, scenario.does);
    }
    text
}

/// A name that can stand in a header.
fn name(text: &str) -> Result<String, String> {
    let fits =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("give letters, digits and -_. only".to_owned()) }
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| format!("give {}", Period::FORM))
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.000_001..=1_000_000.0).contains(scale));
    scale.ok_or_else(|| "give a number from 0.000001 to 1000000".to_owned())
}

fn secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("the key is empty".to_owned()) } else { Ok(Secret::new(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn parsed(args: &[&str]) -> Result<SimulateArgs, clap::Error> {
        let command = SimulateArgs::augment_args(clap::Command::new("simulate").no_binary_name(true));
        SimulateArgs::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    #[test]
    fn every_option_reaches_the_simulator() {
        let args = ["--listen=127.0.0.1:0", "--latency=1ms..2ms", "--token-interval=3ms", "--rate-limit=4"];
        let more = ["--status=503", "--seed=5", "--api-key=k", "--name=n", "--threads=2", "--time-scale=0.5"];
        let options: Options = parsed(&[&args[..], &more[..]].concat()).expect("good arguments").into();
        assert_eq!(options.latency, "1ms..2ms".parse().expect("a latency"));
        assert_eq!(options.token_interval.as_millis(), 3);
        assert_eq!((options.rate_limit, options.seed), (Some(4), Some(5)));
        assert_eq!((options.behaviour, options.threads), (Behaviour::Status(503), 2));
        assert_eq!(options.time_scale, 0.5);
        assert_eq!((options.listen.port(), options.name.as_str()), (0, "n"));
        assert_eq!(options.api_keys, [Secret::new("k")]);
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in [
            "--latency=fast",
            "--token-interval=3",
            "--status=200",
            "--listen=here",
            "--api-key=",
            "--name=a b",
            "--time-scale=0",
            "--time-scale=inf",
        ] {
            assert!(parsed(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_announcement_has_a_curl_for_each_dialect() {
        let mut out = Vec::new();
        announce(SocketAddr::from(([127, 0, 0, 1], 9100)), "YOUR-KEY", &mut out);
        let text = String::from_utf8(out).expect("text");
        for path in ["/v1/chat/completions", "/v1/messages", ":generateContent", "status-<code>"] {
            assert!(text.contains(path), "{path}");
        }
        assert_eq!(text.matches("YOUR-KEY").count(), 4, "in each curl, and in the provider's entry");
    }
}
