//! The settings of log and traces.

use crate::domain::{Period, Ratio, Size};
use crate::settings::{Node, Problems, Url, choices, settings};
use std::path::PathBuf;

choices! {
    /// How much is logged.
    pub enum Level {
        /// What happens.
        Info = "info",
        /// What happens, step by step.
        Debug = "debug",
        /// What an operator should look at.
        Warn = "warn",
        /// What went wrong.
        Error = "error",
    }
}

impl Level {
    /// What the `log` facade calls it.
    pub const fn filter(self) -> log::LevelFilter {
        match self {
            Level::Debug => log::LevelFilter::Debug,
            Level::Info => log::LevelFilter::Info,
            Level::Warn => log::LevelFilter::Warn,
            Level::Error => log::LevelFilter::Error,
        }
    }
}

choices! {
    /// How a log line is written.
    pub enum Format {
        /// One JSON object.
        Json = "json",
        /// `key=value` pairs.
        Text = "text",
    }
}

choices! {
    /// Of which requests prompts and answers are written to a file of their own.
    pub enum Content {
        /// None.
        Off = "off",
        /// Those that failed.
        Errors = "errors",
        /// All.
        All = "all",
    }
}

settings! {
    /// The log.
    #[derive(Eq)]
    pub struct Logging {
        /// debug, info, warn or error; default info.
        level: Level,
        /// json or text (`key=value`); default json.
        format: Format,
        /// The file it goes to; default: standard error.
        output: Option<PathBuf>,
        /// The file that writes through the operations API go to as well; default: none.
        audit_output: Option<PathBuf>,
        /// Prompts and answers, to a file of their own: off, errors or all; default off.
        content: Content,
        /// That file; default: none.
        content_output: Option<PathBuf>,
        /// When a file is put aside for a new one.
        rotation: Rotation,
    }
    check Self::check;
}

impl Logging {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.content != Content::Off && node.get("content_output").is_none() {
            problems.error_at(node, "content_output", "is required with `content`");
        }
    }
}

settings! {
    /// When a log file is put aside for a new one.
    #[derive(Eq)]
    pub struct Rotation {
        /// Whether it ever is; default true.
        enabled: bool = true,
        /// The size at which it is; default 100M.
        max_size: Size = Size::from_mib(100),
        /// How long old files are kept; default 30d.
        max_age: Period = Period::from_days(30),
        /// How many old files are kept; default 10.
        max_backups: u32 = 10,
    }
}

choices! {
    /// What spans are sent to.
    pub enum Exporter {
        /// An OpenTelemetry collector.
        Otlp = "otlp",
        /// Jaeger, at its collector or its OTLP address.
        Jaeger = "jaeger",
        /// Zipkin.
        Zipkin = "zipkin",
    }
}

choices! {
    /// How OTLP is spoken.
    pub enum Protocol {
        /// Over HTTP, as protobuf.
        Http = "http",
        /// Over gRPC.
        Grpc = "grpc",
    }
}

settings! {
    /// Traces.
    pub struct Tracing {
        /// Whether spans are sent; default false.
        enabled: bool = false,
        /// otlp, jaeger or zipkin; default otlp.
        exporter: Exporter,
        /// How OTLP is spoken, http or grpc; default: grpc on port 4317, else http.
        protocol: Option<Protocol>,
        /// Where spans are sent; default: none, required when enabled.
        endpoint: Option<Url>,
        /// The name of this service in traces; default cliproxyapi++.
        service_name: String = "cliproxyapi++".to_owned(),
        /// The share of requests that is traced, where the caller didn't decide; default 0.1.
        sample_rate: Ratio = Ratio::from_thousandths(100),
    }
    check Self::check;
}

impl Tracing {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if self.enabled && node.get("endpoint").is_none() {
            problems.error_at(node, "endpoint", "is required with `enabled: true`");
        }
    }
}
