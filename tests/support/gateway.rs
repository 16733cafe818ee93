//! The gateway as its users run it: the binary, a config file, a clean environment.

use super::client::Client;
use super::ports::free_port;
use super::provider::Provider;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a gateway may take until it is healthy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How often we look.
const POLL: Duration = Duration::from_millis(10);

/// A gateway about to be started.
#[must_use]
pub struct Launch {
    /// What it serves with; none for the demo, which brings its own.
    yaml: Option<String>,
    port: Option<u16>,
    variables: Vec<(String, String)>,
    stderr: Option<Stdio>,
}

impl Launch {
    /// With that configuration. `{port}` and `{metrics_port}` stand for free ports; a configuration without
    /// a `server:` or a `metrics:` section gets one with the port in it.
    pub fn new(yaml: &str) -> Launch {
        Launch { yaml: Some(yaml.to_owned()), ..Launch::demo() }
    }

    /// `cliproxy demo`, on free ports.
    pub fn demo() -> Launch {
        Launch { yaml: None, port: None, variables: Vec::new(), stderr: None }
    }

    /// On that port instead of a free one.
    pub fn port(mut self, port: u16) -> Launch {
        self.port = Some(port);
        self
    }

    /// With that environment variable, beside `PATH`.
    pub fn variable(mut self, name: &str, value: &str) -> Launch {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With its stderr there instead of in [`Gateway::output`].
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Launch {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts it, and waits until it is healthy.
    #[track_caller]
    pub fn start(self) -> Gateway {
        let mut gateway = self.spawn();
        gateway.wait_healthy();
        gateway
    }

    /// Starts it without waiting, as tests of failing starts do.
    pub fn spawn(self) -> Gateway {
        let (port, metrics_port) = (self.port.unwrap_or_else(free_port), free_port());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cliproxy"));
        match &self.yaml {
            Some(yaml) => {
                let config = folder.path().join("config.yaml");
                std::fs::write(&config, with_ports(yaml, port, metrics_port)).expect("a config file");
                command.args(["serve", "--config"]).arg(config);
            }
            None => {
                let ports = [("--port", port), ("--operations-port", metrics_port)];
                command.arg("demo").args(ports.map(|(name, port)| format!("{name}={port}")));
            }
        }
        let output = |name: &str| File::create(folder.path().join(name)).expect("an output file");
        let child = command
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables)
            .stdout(output("stdout"))
            .stderr(self.stderr.unwrap_or_else(|| output("stderr").into()))
            .spawn()
            .expect("the gateway's binary");
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Gateway { child, exit: None, folder, address: at(port), metrics_address: at(metrics_port) }
    }
}

fn with_ports(yaml: &str, port: u16, metrics_port: u16) -> String {
    let has = |section: &str| yaml.lines().any(|line| line.starts_with(section));
    let mut text = String::new();
    if !has("server:") {
        text += "server: {host: 127.0.0.1, port: {port}}\n";
    }
    if !has("metrics:") {
        text += "metrics: {port: {metrics_port}}\n";
    }
    text += yaml;
    text.replace("{port}", &port.to_string()).replace("{metrics_port}", &metrics_port.to_string())
}

/// A gateway process. Dropping it kills it; a failing test prints its output.
pub struct Gateway {
    child: Child,
    exit: Option<ExitStatus>,
    folder: TempDir,
    address: SocketAddr,
    metrics_address: SocketAddr,
}

impl Gateway {
    /// Starts one with that configuration: see [`Launch::new`].
    #[track_caller]
    pub fn start(yaml: &str) -> Gateway {
        Launch::new(yaml).start()
    }

    /// Starts one with that provider only, under the name `only`, for `models` (a line of its entry).
    #[track_caller]
    pub fn before(provider: &Provider, models: &str) -> Gateway {
        Gateway::start(&format!("providers:\n{}", provider.yaml_with("only", &[models])))
    }

    /// Where clients call it: `http://127.0.0.1:20000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port of [`Gateway::url`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A client of the gateway.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A client of the operations API on the metrics port.
    pub fn operations(&self) -> Client {
        Client::new(self.metrics_address)
    }

    /// The configuration file, to be changed for a reload.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Replaces the configuration on disk, on the ports that it has.
    pub fn rewrite_config(&self, yaml: &str) {
        let text = with_ports(yaml, self.address.port(), self.metrics_address.port());
        std::fs::write(self.config(), text).expect("a config file");
    }

    /// All that it wrote to stdout and stderr.
    pub fn output(&self) -> String {
        let read = |name: &str| std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        ["stdout", "stderr"].map(|name| String::from_utf8_lossy(&read(name)).into_owned()).concat()
    }

    /// How much memory the process has at this moment, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS")
    }

    /// The most that it has had at any moment, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM")
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a running process");
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(key, _)| *key == name).expect("a line on its memory");
        value.trim_end_matches("kB").trim().parse().expect("a number of KiB")
    }

    /// Sends a signal, by its name without SIG: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("/bin/kill").args(["-s", name, &pid]).status().expect("/bin/kill");
        assert!(status.success(), "SIG{name} could not be sent to {pid}");
    }

    /// Waits for its end. The code of a process killed by a signal is 128 and the signal's number.
    #[track_caller]
    pub fn wait_exit(&mut self, timeout: Duration) -> i32 {
        let until = Instant::now() + timeout;
        loop {
            if let Some(status) = self.exited() {
                return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            }
            assert!(Instant::now() < until, "the gateway still runs after {timeout:?}");
            sleep(POLL);
        }
    }

    #[track_caller]
    fn wait_healthy(&mut self) {
        let until = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.exited() {
                panic!("the gateway ended at its start: {status}");
            }
            let health = self.client().get("/health").try_send();
            let is_healthy = health.as_ref().is_ok_and(|response| response.status == 200);
            // The operations port may open a moment after the gateway's.
            if is_healthy && TcpStream::connect(self.metrics_address).is_ok() {
                return;
            }
            assert!(Instant::now() < until, "the gateway is not healthy after {START_LIMIT:?}: {health:?}");
            sleep(POLL);
        }
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().expect("the gateway is our child");
        }
        self.exit
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.exited().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the gateway on {} wrote:\n{}---", self.address, self.output());
        }
    }
}
