//! The servers that are compared: how each is configured and started, with one worker thread, before one
//! upstream.

use crate::ask::Connection;
use crate::figures::{BASE, OURS};
use crate::message::{self, CLIENT_KEY, Model};
use crate::process::Process;
use cliproxy::cli::memory::LIMITS as ALLOCATION;
use cliproxy::domain::Dialect;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a server may take to answer; under valgrind it takes a while.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pingora's stock loop and nothing else.
    Bare,
    /// Ours, with all that it does for a request.
    Gateway,
    /// nginx, if it is installed.
    Nginx,
    /// HAProxy, if it is installed.
    Haproxy,
}

impl Kind {
    /// All of them, the base first.
    pub const ALL: [Kind; 4] = [Kind::Bare, Kind::Gateway, Kind::Nginx, Kind::Haproxy];

    /// As the tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bare => BASE,
            Kind::Gateway => OURS,
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        }
    }
}

/// Where the servers live.
pub struct Site {
    /// The folder of the bench's own binaries, and the gateway's.
    pub binaries: PathBuf,
    /// The folder of configurations and logs, which are left there to be looked at.
    pub scratch: PathBuf,
    /// The mock upstream.
    pub upstream: SocketAddr,
    /// The command that starts a server on its core, if it has one.
    pub before_servers: Vec<String>,
}

impl Site {
    /// The servers that there are on this machine.
    pub fn kinds(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.program(*kind).exists()).collect()
    }

    fn program(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Bare => self.binaries.join("bare"),
            Kind::Gateway => self.binaries.join("cliproxy"),
            Kind::Nginx => installed("nginx"),
            Kind::Haproxy => installed("haproxy"),
        }
    }

    fn command(&self, kind: Kind, listen: SocketAddr) -> io::Result<Command> {
        let mut command = Command::new(self.program(kind));
        let config = |name: &str, text: String| -> io::Result<PathBuf> {
            let path = self.scratch.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let upstream = self.upstream;
        match kind {
            Kind::Bare => command.args([listen.to_string(), upstream.to_string()]),
            Kind::Gateway => {
                let text = gateway_config(listen, upstream, &self.scratch)?;
                command.args(["serve", "--config"]).arg(config("gateway.yaml", text)?)
            }
            Kind::Nginx => {
                let path = config("nginx.conf", nginx_config(listen, upstream, &self.scratch))?;
                command.args(["-e", "stderr", "-c"]).arg(path)
            }
            Kind::Haproxy => {
                command.arg("-db").arg("-f").arg(config("haproxy.cfg", haproxy_config(listen, upstream))?)
            }
        };
        Ok(command)
    }

    /// Starts a server, and waits until it answers.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn start(&self, kind: Kind) -> Result<Server, Box<dyn Error>> {
        let wrapper: Vec<_> = self.before_servers.iter().map(String::as_str).collect();
        self.start_under(kind, &wrapper)
    }

    /// The same under another program, such as valgrind, with its arguments.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn start_under(&self, kind: Kind, wrapper: &[&str]) -> Result<Server, Box<dyn Error>> {
        let address = free_address()?;
        let mut command = self.command(kind, address)?;
        if let Some((program, arguments)) = wrapper.split_first() {
            let mut wrapped = Command::new(program);
            wrapped.args(arguments).arg(command.get_program()).args(command.get_args());
            command = wrapped;
        }
        // As the gateway sets them for itself, by beginning once more, where valgrind would not follow it.
        if matches!(kind, Kind::Bare | Kind::Gateway) {
            command.envs(ALLOCATION);
        }
        let log = self.scratch.join(format!("{}.log", kind.name()));
        let process = Process::start(&mut command, &log)?;
        let mut server = Server { kind, address, process, log };
        server.wait_ready()?;
        Ok(server)
    }
}

/// A server that answers.
pub struct Server {
    /// Which.
    pub kind: Kind,
    /// Where.
    pub address: SocketAddr,
    /// Its process.
    pub process: Process,
    /// What it has written.
    pub log: PathBuf,
}

impl Server {
    fn wait_ready(&mut self) -> Result<(), Box<dyn Error>> {
        let request = message::request(self.address, Model::Plain, 200);
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let asked = Connection::open(self.address).and_then(|mut connection| connection.ask(&request));
            match asked {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline || !self.process.is_running() => {
                    let (name, log) = (self.kind.name(), self.log.display());
                    return Err(format!("{name} does not answer: {error}; see {log}").into());
                }
                Err(_) => pause(Duration::from_millis(20)),
            }
        }
    }
}

/// Blocks, which nothing but the bench itself waits for.
#[allow(clippy::disallowed_methods, reason = "no worker thread is blocked here")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// An address of this machine on which nobody listens.
///
/// # Errors
/// When there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Where a program is, or would be.
pub fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|file| file.exists()).unwrap_or_else(|| PathBuf::from(name))
}

/// What an operator would have on: a client key, two providers for each model, prices, metrics, the log, and as many idle
/// connections as nginx keeps: else one provider alone would open one for every few requests.
fn gateway_config(listen: SocketAddr, upstream: SocketAddr, scratch: &Path) -> io::Result<String> {
    let (host, port, metrics) = (listen.ip(), listen.port(), free_address()?.port());
    let models = |dialect| Model::ALL.map(|model| model.of(dialect)).join(", ");
    let (openai, anthropic, gemini) =
        (models(Dialect::OpenAi), models(Dialect::Anthropic), models(Dialect::Gemini));
    let scratch = scratch.display();
    Ok(format!(
        "server:\n  host: {host}\n  port: {port}\n  threads: 1\n  \
           auth: {{api_keys: [{{name: bench, key: {CLIENT_KEY}}}]}}\n  \
           operations: {{connection_pool: {{max_idle_conns: 1024, max_idle_conns_per_host: 128}}}}\n\
         auth_dir: {scratch}/auths\nstate_dir: {scratch}/state\n\
         metrics: {{enabled: true, port: {metrics}}}\nlogging: {{level: info, format: json}}\n\
         providers:\n  \
           one: &one\n    format: openai\n    base_url: http://{upstream}/v1\n    api_key: sk-bench-upstream\n    \
             models: [{openai}]\n    cost_per_1k_tokens: {{input: 0.003, output: 0.015}}\n  \
           two: *one\n  \
           three: &three\n    format: anthropic\n    base_url: http://{upstream}\n    api_key: sk-bench-upstream\n    \
             models: [{anthropic}]\n    cost_per_1k_tokens: {{input: 0.003, output: 0.015}}\n  \
           four: *three\n  \
           five: &five\n    format: gemini\n    base_url: http://{upstream}\n    api_key: sk-bench-upstream\n    \
             models: [{gemini}]\n    cost_per_1k_tokens: {{input: 0.003, output: 0.015}}\n  \
           six: *five\n"
    ))
}

/// As it is configured before streams; no access log, bodies of 200 KB in memory.
fn nginx_config(listen: SocketAddr, upstream: SocketAddr, scratch: &Path) -> String {
    let scratch = scratch.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {scratch}/nginx-{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {scratch}/nginx.pid;\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n{paths}  access_log off;\n  keepalive_requests 100000000;\n  client_max_body_size 64m;\n  \
           client_body_buffer_size 512k;\n  \
           upstream mock {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}\n  \
           server {{\n    listen {listen};\n    location / {{\n      proxy_pass http://mock;\n      \
             proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n    \
           }}\n  }}\n}}\n"
    )
}

fn haproxy_config(listen: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 8192\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  timeout server 600s\n  \
           http-reuse always\n  option http-no-delay\n\
         frontend in\n  bind {listen}\n  default_backend mock\n\
         backend mock\n  server mock {upstream}\n"
    )
}
