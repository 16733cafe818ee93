//! Every metric there is: name, help, kind, labels. Nothing registers a metric that has no row here,
//! and README and the dashboards are checked against [`METRICS`].

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only ever rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts in buckets with these upper bounds, in seconds.
    Histogram(&'static [f64]),
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The name on the wire; `[a-z_]+`.
    pub name: &'static str,
    /// What it says, for people.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels, in the order in which they are written.
    pub labels: &'static [&'static str],
}

/// From a cached answer to the slowest reasoning model; 0.5 and 1 are the guide's.
const REQUEST_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

pub(super) const REQUESTS: Metric = Metric {
    name: "cliproxy_requests_total",
    help: "Client requests, once each, under the provider and upstream model that answered or was tried last \
           (provider \"none\": no provider was tried). status: success, error, cancelled.",
    kind: Kind::Counter,
    labels: &["provider", "model", "status"],
};

pub(super) const ERRORS: Metric = Metric {
    name: "cliproxy_errors_total",
    help: "Failed attempts by class of error, those that another provider made good included.",
    kind: Kind::Counter,
    labels: &["provider", "error_type"],
};

pub(super) const TOKENS: Metric = Metric {
    name: "cliproxy_tokens_total",
    help: "Tokens. type: input (uncached), output, cache_read, cache_write, reasoning (a share of output).",
    kind: Kind::Counter,
    labels: &["provider", "model", "type"],
};

pub(super) const DURATION: Metric = Metric {
    name: "cliproxy_request_duration_seconds",
    help: "Time from a client request's arrival to the end of its answer.",
    kind: Kind::Histogram(REQUEST_SECONDS),
    labels: &["provider"],
};

pub(super) const ATTEMPTS: Metric = Metric {
    name: "cliproxy_attempts_total",
    help: "Attempts at a provider. outcome: success, error, cancelled.",
    kind: Kind::Counter,
    labels: &["provider", "outcome"],
};

pub(super) const IN_FLIGHT: Metric = Metric {
    name: "cliproxy_in_flight_requests",
    help: "Client requests being served now.",
    kind: Kind::Gauge,
    labels: &[],
};

pub(super) const BUILD_INFO: Metric = Metric {
    name: "cliproxy_build_info",
    help: "Always 1; says which version runs.",
    kind: Kind::Gauge,
    labels: &["version"],
};

pub(super) const LOG_DROPPED: Metric = Metric {
    name: "cliproxy_log_dropped_total",
    help: "Log lines that were lost: they came faster than they could be written, or could not be written.",
    kind: Kind::Counter,
    labels: &[],
};

/// A figure of the process itself, measured when it is asked for.
const fn process(name: &'static str, help: &'static str, kind: Kind) -> Metric {
    Metric { name, help, kind, labels: &[] }
}

/// The catalogue.
pub const METRICS: &[Metric] = &[
    REQUESTS,
    ERRORS,
    TOKENS,
    DURATION,
    ATTEMPTS,
    IN_FLIGHT,
    BUILD_INFO,
    LOG_DROPPED,
    process(
        "process_cpu_seconds_total",
        "CPU time of the process, in user and system mode, in whole seconds.",
        Kind::Counter,
    ),
    process("process_resident_memory_bytes", "Memory of the process that is in RAM.", Kind::Gauge),
    process("process_virtual_memory_bytes", "Address space of the process.", Kind::Gauge),
    process("process_open_fds", "File descriptors that are open.", Kind::Gauge),
    process("process_max_fds", "File descriptors that may be open.", Kind::Gauge),
    process("process_threads", "Threads of the process.", Kind::Gauge),
    process("process_start_time_seconds", "When the process started, in Unix seconds.", Kind::Gauge),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_plain() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            for word in metric.labels.iter().chain([&metric.name]) {
                assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            }
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn counters_end_in_total_and_nothing_else_does() {
        for metric in METRICS {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        }
    }

    #[test]
    fn the_guides_metrics_have_the_guides_labels() {
        let labels = |name| METRICS.iter().find(|metric| metric.name == name).map(|metric| metric.labels);
        assert_eq!(labels("cliproxy_requests_total"), Some(&["provider", "model", "status"][..]));
        assert_eq!(labels("cliproxy_errors_total"), Some(&["provider", "error_type"][..]));
        assert_eq!(labels("cliproxy_tokens_total"), Some(&["provider", "model", "type"][..]));
        assert_eq!(labels("cliproxy_request_duration_seconds"), Some(&["provider"][..]));
    }

    #[test]
    fn the_buckets_span_a_cached_answer_to_ten_minutes() {
        assert!(REQUEST_SECONDS.is_sorted());
        assert_eq!((REQUEST_SECONDS.first(), REQUEST_SECONDS.last()), (Some(&0.05), Some(&600.0)));
        assert!(REQUEST_SECONDS.contains(&0.5) && REQUEST_SECONDS.contains(&1.0));
    }
}
