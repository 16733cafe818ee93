//! The registry, and the handles through which requests move it.
//!
//! Looking a series up by its labels takes a lock and hashes, so it is done ahead of time: when the
//! configuration is loaded, every provider gets its [`ProviderMeters`], an immutable set of handles.
//! Budget on the request path: one hash look-up of the model's name, then atomic additions only.
//!
//! Every series of a configured provider exists from the start, at 0. A counter that first appears at 1
//! has no increase in Prometheus, so that the first error of a provider would go unseen. A provider that
//! a reload removes keeps its series until the process ends, as Prometheus expects of counters.
//!
//! Label values come from configuration and closed lists only, never from clients: a model that is
//! neither configured nor known is [`OTHER_MODEL`].

use foldhash::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use prometheus::{Opts, Registry, TextEncoder, proto};

use super::catalogue::{self, Kind, METRICS, Metric};
use super::logging;
use crate::domain::{ErrorClass, TokenUsage};

/// The `model` label of all models that are neither configured nor known.
pub const OTHER_MODEL: &str = "_other";

/// The `provider` label of requests that no provider was tried for. No provider may have this name.
pub const UNROUTED: &str = "none";

/// Models of one provider that get series of their own; those beyond are [`OTHER_MODEL`]. Each costs
/// eight series.
const MAX_MODELS_PER_PROVIDER: usize = 500;

/// How a request or an attempt ended: the `status` and `outcome` labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// With an answer.
    Success,
    /// With an error, whoever's fault.
    Error,
    /// The client went away first.
    Cancelled,
}

impl Status {
    const ALL: [Status; 3] = [Status::Success, Status::Error, Status::Cancelled];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Error => "error",
            Status::Cancelled => "cancelled",
        }
    }
}

/// The `type` label of tokens.
const TOKEN_TYPES: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

/// In the order of [`TOKEN_TYPES`].
const fn by_type(tokens: &TokenUsage) -> [u64; TOKEN_TYPES.len()] {
    [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write, tokens.reasoning]
}

/// All metrics of the process, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    families: Families,
    in_flight: IntGauge,
    unrouted: ProviderMeters,
}

/// The metrics that every provider has series of.
struct Families {
    requests: IntCounterVec,
    errors: IntCounterVec,
    tokens: IntCounterVec,
    duration: HistogramVec,
    attempts: IntCounterVec,
}

impl Metrics {
    /// The content type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// An empty registry.
    ///
    /// # Errors
    /// If the catalogue contradicts itself, which its tests rule out.
    pub fn new(version: &str) -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let families = Families::register(&registry)?;
        let in_flight = IntGauge::with_opts(options(&catalogue::IN_FLIGHT))?;
        registry.register(Box::new(in_flight.clone()))?;
        let build = IntGaugeVec::new(options(&catalogue::BUILD_INFO), catalogue::BUILD_INFO.labels)?;
        build.with_label_values(&[version]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let unrouted = families.resolve(UNROUTED, []);
        Ok(Metrics { registry, families, in_flight, unrouted })
    }

    /// The handles of a configured provider. `models` are the upstream names that are configured or
    /// known. Takes locks: call it when the configuration is loaded, not per request. Asked again for
    /// the same name it gives the same series.
    pub fn provider<'a>(&self, name: &str, models: impl IntoIterator<Item = &'a str>) -> ProviderMeters {
        self.families.resolve(name, models)
    }

    /// The handles for requests that no provider was tried for.
    pub fn unrouted(&self) -> &ProviderMeters {
        &self.unrouted
    }

    /// Counts a client request as in flight until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Client requests in flight.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or(0)
    }

    /// Everything in the Prometheus text format.
    ///
    /// # Errors
    /// If a metric can't be written, which would be a bug.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(log_dropped()?);
        families.iter_mut().for_each(as_in_the_catalogue);
        let mut text = String::new();
        TextEncoder::new().encode_utf8(&families, &mut text)?;
        Ok(text)
    }
}

impl Families {
    fn register(registry: &Registry) -> Result<Families, prometheus::Error> {
        let counter = |metric: &Metric| -> Result<IntCounterVec, prometheus::Error> {
            let family = IntCounterVec::new(options(metric), metric.labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        let duration = HistogramVec::new(histogram(&catalogue::DURATION), catalogue::DURATION.labels)?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Families {
            requests: counter(&catalogue::REQUESTS)?,
            errors: counter(&catalogue::ERRORS)?,
            tokens: counter(&catalogue::TOKENS)?,
            attempts: counter(&catalogue::ATTEMPTS)?,
            duration,
        })
    }

    fn resolve<'a>(&self, provider: &str, models: impl IntoIterator<Item = &'a str>) -> ProviderMeters {
        let model = |name: &str| ModelMeters {
            requests: Status::ALL.map(|it| self.requests.with_label_values(&[provider, name, it.name()])),
            tokens: TOKEN_TYPES.map(|kind| self.tokens.with_label_values(&[provider, name, kind])),
        };
        let own = models.into_iter().take(MAX_MODELS_PER_PROVIDER).map(|name| (name.into(), model(name)));
        ProviderMeters {
            models: Arc::new(own.collect()),
            other: model(OTHER_MODEL),
            errors: ErrorClass::ALL.map(|it| self.errors.with_label_values(&[provider, it.name()])),
            attempts: Status::ALL.map(|it| self.attempts.with_label_values(&[provider, it.name()])),
            duration: self.duration.with_label_values(&[provider]),
        }
    }
}

/// A client request in flight.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One provider's handles. Cloning shares them.
#[derive(Clone)]
pub struct ProviderMeters {
    models: Arc<HashMap<Box<str>, ModelMeters>>,
    other: ModelMeters,
    errors: [IntCounter; ErrorClass::ALL.len()],
    attempts: [IntCounter; Status::ALL.len()],
    duration: Histogram,
}

/// One model's handles.
#[derive(Clone)]
struct ModelMeters {
    requests: [IntCounter; Status::ALL.len()],
    tokens: [IntCounter; TOKEN_TYPES.len()],
}

impl ProviderMeters {
    /// A client request settled here.
    pub(super) fn request(&self, model: &str, status: Status, tokens: &TokenUsage, duration: Duration) {
        let meters = self.models.get(model).unwrap_or(&self.other);
        meters.requests[status as usize].inc();
        for (counter, count) in meters.tokens.iter().zip(by_type(tokens)) {
            counter.inc_by(count);
        }
        self.duration.observe(duration.as_secs_f64());
    }

    /// An attempt succeeded (`None`) or failed.
    pub(super) fn attempt(&self, error: Option<ErrorClass>) {
        let outcome = match error {
            None => Status::Success,
            Some(ErrorClass::Cancelled) => Status::Cancelled,
            Some(_) => Status::Error,
        };
        self.attempts[outcome as usize].inc();
        if let Some(class) = error {
            self.errors[class as usize].inc();
        }
    }
}

/// The log counts for itself, since it runs before there are metrics.
fn log_dropped() -> Result<Vec<proto::MetricFamily>, prometheus::Error> {
    let counter = IntCounter::with_opts(options(&catalogue::LOG_DROPPED))?;
    counter.inc_by(logging::dropped());
    Ok(counter.collect())
}

fn options(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn histogram(metric: &Metric) -> HistogramOpts {
    let buckets = match metric.kind {
        Kind::Histogram(buckets) => buckets,
        Kind::Counter | Kind::Gauge => &[],
    };
    HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec())
}

/// Labels in the catalogue's order (`prometheus` sorts them by name), so that a line reads, and greps,
/// as it is printed in the guide; and the catalogue's help for what `prometheus` collects by itself.
fn as_in_the_catalogue(family: &mut proto::MetricFamily) {
    let Some(row) = METRICS.iter().find(|row| row.name == family.name()) else { return };
    family.set_help(row.help.to_owned());
    for series in family.mut_metric() {
        let mut labels = series.take_label();
        labels.sort_by_key(|pair| row.labels.iter().position(|label| *label == pair.name()));
        series.set_label(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new("1.2.3").unwrap()
    }

    /// The value of the series that is written like that.
    fn value(metrics: &Metrics, series: &str) -> Option<u64> {
        let text = metrics.render().unwrap();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse().unwrap())
    }

    fn tokens(input: u64, output: u64) -> TokenUsage {
        TokenUsage { input, output, ..TokenUsage::default() }
    }

    #[test]
    fn the_lines_are_the_guides() {
        let metrics = metrics();
        let claude = metrics.provider("claude", ["claude-3-5-sonnet"]);
        claude.request("claude-3-5-sonnet", Status::Success, &tokens(50, 25), Duration::from_millis(450));
        claude.request("claude-3-5-sonnet", Status::Success, &tokens(1, 1), Duration::from_millis(900));
        claude.attempt(Some(ErrorClass::RateLimit));
        for (series, expected) in [
            (r#"cliproxy_requests_total{provider="claude",model="claude-3-5-sonnet",status="success"}"#, 2),
            (r#"cliproxy_errors_total{provider="claude",error_type="rate_limit"}"#, 1),
            (r#"cliproxy_tokens_total{provider="claude",model="claude-3-5-sonnet",type="input"}"#, 51),
            (r#"cliproxy_tokens_total{provider="claude",model="claude-3-5-sonnet",type="output"}"#, 26),
            (r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="0.5"}"#, 1),
            (r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="1"}"#, 2),
            (r#"cliproxy_request_duration_seconds_bucket{provider="claude",le="+Inf"}"#, 2),
            (r#"cliproxy_attempts_total{provider="claude",outcome="error"}"#, 1),
            (r#"cliproxy_build_info{version="1.2.3"}"#, 1),
        ] {
            assert_eq!(value(&metrics, series), Some(expected), "{series}");
        }
    }

    #[test]
    fn every_metric_of_the_catalogue_is_shown_and_none_besides() {
        let text = metrics().render().unwrap();
        let shown: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        for row in METRICS {
            assert!(shown.contains(&format!("{} {}", row.name, row.help).as_str()), "{}", row.name);
        }
        assert_eq!(shown.len(), METRICS.len());
    }

    #[test]
    fn a_configured_provider_shows_its_series_at_zero() {
        let metrics = metrics();
        let _meters = metrics.provider("openai", ["gpt-4o"]);
        for class in ErrorClass::ALL {
            let series = format!(r#"cliproxy_errors_total{{provider="openai",error_type="{class}"}}"#);
            assert_eq!(value(&metrics, &series), Some(0), "{series}");
        }
        let series = r#"cliproxy_requests_total{provider="openai",model="gpt-4o",status="error"}"#;
        assert_eq!(value(&metrics, series), Some(0));
    }

    #[test]
    fn names_that_clients_make_up_make_no_series() {
        let metrics = metrics();
        let claude = metrics.provider("claude", ["known"]);
        let before = metrics.render().unwrap().lines().count();
        for index in 0..100 {
            let made_up = format!("made-up-{index}");
            claude.request(&made_up, Status::Error, &TokenUsage::default(), Duration::ZERO);
        }
        assert_eq!(metrics.render().unwrap().lines().count(), before);
        let series = r#"cliproxy_requests_total{provider="claude",model="_other",status="error"}"#;
        assert_eq!(value(&metrics, series), Some(100));
    }

    #[test]
    fn a_provider_has_at_most_so_many_models() {
        let metrics = metrics();
        let names: Vec<String> = (0..=MAX_MODELS_PER_PROVIDER).map(|index| format!("m{index}")).collect();
        let meters = metrics.provider("big", names.iter().map(String::as_str));
        for name in &names[MAX_MODELS_PER_PROVIDER - 1..] {
            meters.request(name, Status::Success, &TokenUsage::default(), Duration::ZERO);
        }
        let requests = |model: &str| {
            let series =
                format!(r#"cliproxy_requests_total{{provider="big",model="{model}",status="success"}}"#);
            value(&metrics, &series)
        };
        assert_eq!(requests(&format!("m{}", MAX_MODELS_PER_PROVIDER - 1)), Some(1));
        assert_eq!(requests(&format!("m{MAX_MODELS_PER_PROVIDER}")), None);
        assert_eq!(requests(OTHER_MODEL), Some(1));
    }

    #[test]
    fn a_reload_goes_on_with_the_same_series() {
        let metrics = metrics();
        for _ in 0..2 {
            metrics.provider("claude", ["m"]).attempt(None);
        }
        let series = r#"cliproxy_attempts_total{provider="claude",outcome="success"}"#;
        assert_eq!(value(&metrics, series), Some(2));
    }

    #[test]
    fn in_flight_falls_when_the_guard_goes() {
        let metrics = metrics();
        let guard = metrics.enter();
        assert_eq!(value(&metrics, "cliproxy_in_flight_requests"), Some(1));
        drop(guard);
        assert_eq!(metrics.in_flight(), 0);
    }

    #[test]
    fn handles_are_indexed_as_their_words_are_listed() {
        for (index, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
        for (index, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, index);
        }
    }
}
