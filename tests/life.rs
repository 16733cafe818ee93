//! The life of the process: how it starts, what signals do, when and how it ends.

use crate::support::{BodyEnd, Gateway, Launch, Provider, Question, eventually, free_port};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Options};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// What "at once" may take on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// For what ends with a stream.
const SOON: Duration = Duration::from_secs(10);

/// A provider whose streams go on for longer than any test.
fn endless() -> Provider {
    paced(Duration::from_secs(60))
}

/// A provider that pauses so long between two words.
fn paced(token_interval: Duration) -> Provider {
    Provider::with(Dialect::OpenAi, Options { token_interval, ..Options::default() })
}

/// A gateway with further keys under `server:`.
fn gateway_with(server: &str, provider: &Provider) -> Gateway {
    Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}{server}}}\nproviders:\n{}",
        provider.yaml_with("p", &["models: [m]"])
    ))
}

fn streamed() -> Question {
    Question::new(Dialect::OpenAi, "m").streamed()
}

#[test]
fn sigterm_with_nothing_in_flight_ends_it_at_once() {
    let provider = Provider::openai();
    let mut gateway = gateway_with("", &provider);
    let client = gateway.client();
    // Connections that were used and are kept, on both sides, are nothing in flight.
    streamed().to(&client).send().expect(200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

#[test]
fn sigint_ends_it_as_sigterm_does() {
    let mut gateway = gateway_with("", &Provider::openai());
    gateway.signal("INT");
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

#[test]
fn sigterm_lets_an_open_stream_finish_and_then_ends_it() {
    let provider = paced(Duration::from_millis(5));
    let mut gateway = gateway_with("", &provider);
    let mut answer = streamed().to(&gateway.client()).open();
    let mut events = vec![answer.next_event().expect("the stream has begun")];
    gateway.signal("TERM");
    eventually("no new connections", || gateway.client().get("/ready").try_send().is_err().then_some(()));
    events.extend(answer.events());
    assert_eq!(streamed().words_of(&events), ANSWER);
    assert_eq!(answer.end(), Some(BodyEnd::Clean));
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

#[test]
fn sigterm_lets_a_plain_answer_finish() {
    let provider = Provider::openai();
    let mut gateway =
        Gateway::start(&format!("providers:\n{}", provider.yaml_with("p", &["models: [slow-300ms]"])));
    let question = Question::new(Dialect::OpenAi, "slow-300ms");
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| question.to(&gateway.client()).send());
        eventually("it is under way", || provider.asked().pop());
        gateway.signal("TERM");
        asking.join().expect("an answer")
    });
    assert_eq!(question.words(&answer), ANSWER);
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

#[test]
fn while_it_drains_it_accepts_for_a_while_and_says_not_ready() {
    let provider = endless();
    let mut gateway = gateway_with(", shutdown_delay: 60s", &provider);
    assert_eq!(gateway.client().get("/ready").send().status, 200);
    let mut answer = streamed().to(&gateway.client()).open();
    answer.next_event().expect("the stream has begun");
    gateway.signal("TERM");
    for port in [gateway.client(), gateway.operations()] {
        eventually("not ready", || (port.get("/ready").send().status == 503).then_some(()));
        let health = port.get("/health").send().expect(503).json();
        assert_eq!(health["status"], "draining");
    }
    let mut late = streamed().to(&gateway.client()).open();
    assert_eq!((late.status, late.header("connection")), (200, Some("close")), "it still serves");
    late.next_event().expect("a word");
    gateway.signal("TERM");
    assert_ne!(gateway.wait_exit(AT_ONCE), 0, "told twice, it hurries");
}

#[test]
fn after_the_delay_it_ends_as_soon_as_nothing_is_in_flight() {
    let mut gateway = gateway_with(", shutdown_delay: 200ms", &Provider::openai());
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

#[test]
fn a_second_signal_ends_it_at_once_and_not_as_a_success() {
    for signal in ["TERM", "INT"] {
        let provider = endless();
        let mut gateway = gateway_with("", &provider);
        let mut answer = streamed().to(&gateway.client()).open();
        answer.next_event().expect("the stream has begun");
        gateway.signal(signal);
        eventually("it has begun to stop", || {
            gateway.client().get("/ready").try_send().map_or(true, |ready| ready.status == 503).then_some(())
        });
        gateway.signal(signal);
        assert_eq!(gateway.wait_exit(AT_ONCE), 143);
        answer.events();
        assert_eq!(answer.end(), Some(BodyEnd::Aborted));
    }
}

#[test]
fn a_stream_that_outlives_the_grace_period_is_cut() {
    let provider = endless();
    let mut gateway = gateway_with(", grace_period: 300ms", &provider);
    let mut answer = streamed().to(&gateway.client()).open();
    answer.next_event().expect("the stream has begun");
    gateway.signal("TERM");
    answer.events();
    assert_eq!(answer.end(), Some(BodyEnd::Aborted));
    assert_eq!(gateway.wait_exit(SOON), 0);
}

#[test]
fn other_signals_do_not_end_it() {
    let provider = Provider::openai();
    let mut gateway = gateway_with("", &provider);
    for signal in ["HUP", "USR1", "QUIT"] {
        gateway.signal(signal);
        streamed().to(&gateway.client()).send().expect(200);
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(AT_ONCE), 0);
}

/// Runs the binary in a folder until it ends by itself.
fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cliproxy"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the gateway's binary")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Wrong in two places.
const BAD: &str = "server: {prot: 1}\nproviders:\n  p: {format: latin}\n";

#[test]
fn a_bad_configuration_ends_it_with_64_and_all_that_is_wrong() {
    let mut gateway = Launch::new(BAD).spawn();
    assert_eq!(gateway.wait_exit(SOON), 64);
    let output = gateway.output();
    for told in ["server.prot", "port", "providers.p.format"] {
        assert!(output.contains(told), "{told}: {output}");
    }
}

#[test]
fn the_configuration_is_where_the_option_or_the_variable_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("option.yaml", "option: 1\n");
    write("variable.yaml", "variable: 1\n");
    std::fs::create_dir(folder.path().join("conf")).expect("a folder");
    write("conf/config.yaml", "default: 1\n");
    for (arguments, variable, told) in [
        ("--config option.yaml", "variable.yaml", "option.yaml:1"),
        ("serve --config option.yaml", "", "option.yaml:1"),
        ("serve", "variable.yaml", "variable.yaml:1"),
        ("", "variable.yaml", "variable.yaml:1"),
        ("", "", "conf/config.yaml:1"),
    ] {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let output = run(folder.path(), &arguments, &[("CLIPROXY_CONFIG", variable)]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run(folder.path(), &["--config", "nowhere.yaml"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        said(&output).contains("nowhere.yaml") && said(&output).contains("there is no such file"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_port_in_use_ends_it_with_1_and_the_keys_name() {
    let listening = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (taken, free) = (listening.local_addr().expect("its address").port(), free_port());
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (server, metrics, key) in [(taken, free, "server.port"), (free, taken, "metrics.port")] {
        let yaml = format!(
            "server: {{host: 127.0.0.1, port: {server}}}\nmetrics: {{port: {metrics}}}\n\
             providers:\n  p: {{format: openai, base_url: \"http://127.0.0.1:1\", api_key: k}}\n"
        );
        std::fs::write(folder.path().join("c.yaml"), yaml).expect("a file");
        let output = run(folder.path(), &["--config", "c.yaml"], &[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains(key) && said(&output).contains(&taken.to_string()),
            "{}",
            said(&output)
        );
    }
}
