//! One struct per fact. `emit` moves the metrics and writes the log line, so that the two agree.
//!
//! A line's fields are visited in the order in which they are written here; a key with a dot
//! (`tokens.input`) becomes a nested object in JSON. Keys, prompts and answers are no field of any event.

use std::fmt::Arguments;
use std::net::IpAddr;
use std::time::Duration;

use log::kv::{self, Key, Source, Value, VisitSource};
use log::{Level, Record};

use super::metrics::{ProviderMeters, Status};
use crate::domain::{ErrorClass, ErrorCode, TokenUsage};

/// Where events come from, as filters such as `RUST_LOG=cliproxy::event=debug` name it.
const TARGET: &str = "cliproxy::event";

/// How much of a text is logged, in bytes: names come from clients, causes from upstreams.
const MAX_TEXT_BYTES: usize = 1024;

/// A client request is over: `request_success`, `request_error` or `request_cancelled`.
#[derive(Clone, Debug)]
pub struct RequestSettled<'a> {
    /// The provider that answered or was tried last; [`super::UNROUTED`] if none was.
    pub provider: &'a str,
    /// The upstream model; the one asked for if no provider was tried.
    pub model: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// The name of the client's key; empty for an anonymous client.
    pub client: &'a str,
    /// How it ended.
    pub status: Status,
    /// The HTTP status that the client was given, 0 if none.
    pub http_status: u16,
    /// What the last attempt met, if it failed.
    pub error: Option<ErrorClass>,
    /// Which of our own errors the client was given, if one.
    pub code: Option<ErrorCode>,
    /// What only the log may say of the error.
    pub internal: &'a str,
    /// From the request's arrival to the end of its answer.
    pub duration: Duration,
    /// From the request's arrival to the first content sent.
    pub ttft: Option<Duration>,
    /// What was used.
    pub tokens: TokenUsage,
    /// Whether `tokens` is our estimate, because the provider didn't say.
    pub usage_estimated: bool,
    /// How many attempts it took.
    pub attempts: u32,
    /// What the cache had to say: `hit`, `miss`, `bypass` or `coalesced`.
    pub cache: &'a str,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// The provider that broke off where `provider` went on with the stream; empty if none did.
    pub recovered_from: &'a str,
}

impl RequestSettled<'_> {
    /// Counts the request under the meters of its provider, and logs it.
    pub fn emit(&self, meters: &ProviderMeters) {
        meters.request(self.model, self.status, &self.tokens, self.duration);
        line(self.level(), self.message(), self);
    }

    fn message(&self) -> Arguments<'static> {
        match self.status {
            Status::Success => format_args!("request_success"),
            Status::Error => format_args!("request_error"),
            Status::Cancelled => format_args!("request_cancelled"),
        }
    }

    /// `error` is for operators to act on; what a client did wrong is a warning.
    fn level(&self) -> Level {
        let refused = (400..500).contains(&self.http_status)
            && self.error.is_none_or(|class| class.is_client_fault() || class == ErrorClass::Gateway);
        match self.status {
            Status::Success | Status::Cancelled => Level::Info,
            Status::Error if refused => Level::Warn,
            Status::Error => Level::Error,
        }
    }
}

impl Source for RequestSettled<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut fields = Fields(visitor);
        fields.text("provider", self.provider)?;
        fields.text("model", self.model)?;
        fields.text("request_id", self.request_id)?;
        fields.put("latency_ms", millis(self.duration))?;
        fields.put("tokens.input", self.tokens.input)?;
        fields.put("tokens.output", self.tokens.output)?;
        fields.unless_zero("tokens.cache_read", self.tokens.cache_read)?;
        fields.unless_zero("tokens.cache_write", self.tokens.cache_write)?;
        fields.unless_zero("tokens.reasoning", self.tokens.reasoning)?;
        fields.unless_empty("client", self.client)?;
        fields.put("http_status", self.http_status)?;
        fields.put("attempts", self.attempts)?;
        fields.put("stream", self.stream)?;
        fields.unless_empty("recovered_from", self.recovered_from)?;
        fields.text("cache", self.cache)?;
        fields.if_some("ttft_ms", self.ttft.map(millis))?;
        fields.if_some("error_type", self.error.map(ErrorClass::name))?;
        fields.if_some("error_code", self.code.map(ErrorCode::name))?;
        fields.unless_empty("internal", self.internal)?;
        fields.if_some("usage_estimated", self.usage_estimated.then_some(true))
    }
}

/// An attempt at a provider was answered. The request's own line follows, so this one is for debugging.
#[derive(Clone, Debug)]
pub struct AttemptSucceeded<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The credential's label.
    pub credential: &'a str,
    /// The upstream model.
    pub model: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// From the attempt's start to the end of the answer.
    pub duration: Duration,
}

impl AttemptSucceeded<'_> {
    /// Counts the attempt under the meters of its provider, and logs it at `debug`.
    pub fn emit(&self, meters: &ProviderMeters) {
        meters.attempt(None);
        line(Level::Debug, format_args!("attempt_success"), self);
    }
}

impl Source for AttemptSucceeded<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut fields = Fields(visitor);
        fields.text("provider", self.provider)?;
        fields.text("model", self.model)?;
        fields.text("request_id", self.request_id)?;
        fields.put("latency_ms", millis(self.duration))?;
        fields.text("credential", self.credential)
    }
}

/// An attempt at a provider failed; the request may still succeed elsewhere.
#[derive(Clone, Debug)]
pub struct AttemptFailed<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The credential's label.
    pub credential: &'a str,
    /// The upstream model.
    pub model: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// What it met.
    pub class: ErrorClass,
    /// The upstream's HTTP status, if it gave one.
    pub status: Option<u16>,
    /// From the attempt's start to its failure.
    pub duration: Duration,
    /// What only the log may say: the cause, without secrets.
    pub internal: &'a str,
}

impl AttemptFailed<'_> {
    /// Counts the attempt and the error under the meters of its provider, and logs it: at `debug` if the client is at
    /// fault, else a warning.
    pub fn emit(&self, meters: &ProviderMeters) {
        meters.attempt(Some(self.class));
        let level = if self.class.is_client_fault() { Level::Debug } else { Level::Warn };
        line(level, format_args!("attempt_failed"), self);
    }
}

impl Source for AttemptFailed<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut fields = Fields(visitor);
        fields.text("provider", self.provider)?;
        fields.text("model", self.model)?;
        fields.text("request_id", self.request_id)?;
        fields.put("latency_ms", millis(self.duration))?;
        fields.text("credential", self.credential)?;
        fields.put("error_type", self.class.name())?;
        fields.if_some("http_status", self.status)?;
        fields.unless_empty("internal", self.internal)
    }
}

/// Somebody changed something through the operations API.
#[derive(Clone, Debug)]
pub struct Audit<'a> {
    /// Who: `token`, or `trusted_network` for a caller without one.
    pub who: &'a str,
    /// What was asked for, such as `cooldown`.
    pub action: &'a str,
    /// To what, such as a provider's name; empty if to the gateway as a whole.
    pub target: &'a str,
    /// Where the caller is.
    pub from: Option<IpAddr>,
    /// What came of it: `ok` or the error's code.
    pub result: &'a str,
}

impl Audit<'_> {
    /// Logs it.
    pub fn emit(&self) {
        line(Level::Info, format_args!("audit"), self);
    }
}

impl Source for Audit<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut fields = Fields(visitor);
        fields.put("event", "audit")?;
        fields.text("who", self.who)?;
        fields.text("action", self.action)?;
        fields.text("target", self.target)?;
        fields.if_some("from", self.from.as_ref().map(Value::from_display))?;
        fields.text("result", self.result)
    }
}

/// Puts a source's fields, one after the other.
struct Fields<'a, 'kvs>(&'a mut dyn VisitSource<'kvs>);

impl<'kvs> Fields<'_, 'kvs> {
    fn put(&mut self, key: &'static str, value: impl Into<Value<'kvs>>) -> Result<(), kv::Error> {
        self.0.visit_pair(Key::from(key), value.into())
    }

    fn text(&mut self, key: &'static str, text: &'kvs str) -> Result<(), kv::Error> {
        self.put(key, &text[..text.floor_char_boundary(MAX_TEXT_BYTES)])
    }

    fn if_some(&mut self, key: &'static str, value: Option<impl Into<Value<'kvs>>>) -> Result<(), kv::Error> {
        value.map_or(Ok(()), |value| self.put(key, value))
    }

    fn unless_zero(&mut self, key: &'static str, count: u64) -> Result<(), kv::Error> {
        self.if_some(key, (count > 0).then_some(count))
    }

    fn unless_empty(&mut self, key: &'static str, text: &'kvs str) -> Result<(), kv::Error> {
        if text.is_empty() { Ok(()) } else { self.text(key, text) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `message` is one word, which `log` hands on as it is.
fn line(level: Level, message: Arguments<'_>, fields: &dyn Source) {
    if level <= log::max_level() {
        let mut record = Record::builder();
        record.level(level).target(TARGET).key_values(&fields);
        log::logger().log(&record.args(message).build());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;

    const SETTLED: RequestSettled<'_> = RequestSettled {
        provider: "claude",
        model: "m",
        request_id: "req-1",
        client: "",
        status: Status::Error,
        http_status: 0,
        error: None,
        code: None,
        internal: "",
        duration: Duration::ZERO,
        ttft: None,
        tokens: TokenUsage { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
        usage_estimated: false,
        attempts: 0,
        cache: "miss",
        stream: false,
        recovered_from: "",
    };

    #[test]
    fn an_error_is_for_operators_and_what_clients_do_wrong_is_a_warning() {
        for (http_status, error, code, level) in [
            (401, None, Some(ErrorCode::Unauthorized), Level::Warn),
            (404, Some(ErrorClass::Gateway), Some(ErrorCode::ModelNotFound), Level::Warn),
            (429, None, Some(ErrorCode::RateLimited), Level::Warn),
            (400, Some(ErrorClass::InvalidRequest), None, Level::Warn),
            (429, Some(ErrorClass::RateLimit), None, Level::Error),
            (404, Some(ErrorClass::ModelNotFound), None, Level::Error),
            (502, Some(ErrorClass::Auth), Some(ErrorCode::UpstreamCredentialsExhausted), Level::Error),
            (503, None, Some(ErrorCode::Overloaded), Level::Error),
            (200, Some(ErrorClass::Truncated), None, Level::Error),
        ] {
            let event = RequestSettled { http_status, error, code, ..SETTLED };
            assert_eq!(event.level(), level, "{http_status} {error:?} {code:?}");
        }
        assert_eq!(RequestSettled { status: Status::Cancelled, ..SETTLED }.level(), Level::Info);
    }

    #[test]
    fn a_text_is_cut_at_its_limit_and_between_characters() {
        for (text, length) in [
            ("x".repeat(MAX_TEXT_BYTES), MAX_TEXT_BYTES),
            ("x".repeat(MAX_TEXT_BYTES + 1), MAX_TEXT_BYTES),
            ("x".repeat(MAX_TEXT_BYTES - 1) + "ü", MAX_TEXT_BYTES - 1),
        ] {
            let event = RequestSettled { model: &text, ..SETTLED };
            let logged =
                event.get(Key::from("model")).and_then(|value| value.to_borrowed_str().map(str::len));
            assert_eq!(logged, Some(length));
        }
    }

    #[test]
    fn an_attempt_that_fails_counts_as_an_attempt_and_as_an_error() {
        let metrics = Metrics::new("test").unwrap();
        let meters = metrics.provider("claude", ["m"]);
        let failed = AttemptFailed {
            provider: "claude",
            credential: "main",
            model: "m",
            request_id: "req-1",
            class: ErrorClass::Timeout,
            status: None,
            duration: Duration::from_secs(1),
            internal: "no header within 60s",
        };
        failed.emit(&meters);
        AttemptFailed { class: ErrorClass::Cancelled, ..failed }.emit(&meters);
        let text = metrics.render().unwrap();
        for line in [
            r#"cliproxy_attempts_total{provider="claude",outcome="error"} 1"#,
            r#"cliproxy_attempts_total{provider="claude",outcome="cancelled"} 1"#,
            r#"cliproxy_attempts_total{provider="claude",outcome="success"} 0"#,
            r#"cliproxy_errors_total{provider="claude",error_type="timeout"} 1"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line}");
        }
    }
}
