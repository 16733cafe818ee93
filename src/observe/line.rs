//! How a log record becomes a line: JSON, or text in which `grep level=error` works.
//!
//! It writes straight into the buffer that it is given, allocating nothing, and knows no event: fields
//! come as key-values, in order, and a key with a dot (`tokens.input`) opens a nested object in JSON.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::time::SystemTime;

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde::Serializer;

use super::config::Format;
use crate::domain::wall_clock;

/// The name that our own records' targets begin with.
pub(super) const OURS: &str = env!("CARGO_PKG_NAME");

/// How lines of that format are written.
pub(super) fn writer<W: Write>(format: Format) -> fn(&mut W, &Record<'_>, SystemTime) -> io::Result<()> {
    match format {
        Format::Json => write_json,
        Format::Text => write_text,
    }
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The target, where it says more than that the record is ours.
fn foreign_target<'a>(record: &Record<'a>) -> Option<&'a str> {
    let target = record.target();
    let root = target.split("::").next().unwrap_or(target);
    (root != OURS).then_some(target)
}

fn write_json<W: Write>(out: &mut W, record: &Record<'_>, at: SystemTime) -> io::Result<()> {
    out.write_all(b"{\"timestamp\":\"")?;
    wall_clock::write_rfc3339(out, at)?;
    write!(out, "\",\"level\":\"{}\",\"msg\":", level_name(record.level()))?;
    json_display(out, record.args())?;
    if let Some(target) = foreign_target(record) {
        out.write_all(b",\"target\":")?;
        json_str(out, target)?;
    }
    let mut fields = JsonFields { out, group: None };
    record.key_values().visit(&mut fields).map_err(io::Error::other)?;
    let end: &[u8] = if fields.group.is_some() { b"}}\n" } else { b"}\n" };
    out.write_all(end)
}

fn write_text<W: Write>(out: &mut W, record: &Record<'_>, at: SystemTime) -> io::Result<()> {
    out.write_all(b"timestamp=")?;
    wall_clock::write_rfc3339(out, at)?;
    write!(out, " level={} msg=", level_name(record.level()))?;
    text_display(out, record.args())?;
    if let Some(target) = foreign_target(record) {
        out.write_all(b" target=")?;
        text_str(out, target)?;
    }
    record.key_values().visit(&mut TextFields(out)).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

/// A JSON string.
fn json_str<W: Write>(out: &mut W, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// The same, escaped piece by piece as it is displayed.
fn json_display<W: Write>(out: &mut W, text: &dyn Display) -> io::Result<()> {
    serde_json::Serializer::new(out).collect_str(text).map_err(io::Error::from)
}

/// A bare word, or a JSON string where it would not be one word.
fn text_str<W: Write>(out: &mut W, text: &str) -> io::Result<()> {
    if !text.is_empty() && is_bare(text) { out.write_all(text.as_bytes()) } else { json_str(out, text) }
}

/// The same. Displays it twice, since collecting it to look at it would allocate.
fn text_display<W: Write>(out: &mut W, text: &dyn Display) -> io::Result<()> {
    let mut seen = Seen { anything: false };
    let bare = fmt::Write::write_fmt(&mut seen, format_args!("{text}")).is_ok() && seen.anything;
    if bare { write!(out, "{text}") } else { json_display(out, text) }
}

fn is_bare(text: &str) -> bool {
    text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '=' | '"' | '\\'))
}

/// Refuses what can't stand unquoted.
struct Seen {
    anything: bool,
}

impl fmt::Write for Seen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.anything |= !text.is_empty();
        if is_bare(text) { Ok(()) } else { Err(fmt::Error) }
    }
}

struct JsonFields<'a, 'kvs, W> {
    out: &'a mut W,
    /// The nested object that is open.
    group: Option<Key<'kvs>>,
}

impl<'kvs, W: Write> VisitSource<'kvs> for JsonFields<'_, 'kvs, W> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.name(&key).map_err(unwritten)?;
        self.group = split(key.as_str()).0.is_some().then_some(key);
        value.visit(OneValue { out: self.out, format: Format::Json })
    }
}

impl<W: Write> JsonFields<'_, '_, W> {
    /// Everything of a field that comes before its value.
    fn name(&mut self, key: &Key<'_>) -> io::Result<()> {
        let open = self.group.as_ref().and_then(|open| split(open.as_str()).0);
        let (group, name) = split(key.as_str());
        if open.is_some() && open != group {
            self.out.write_all(b"}")?;
        }
        self.out.write_all(b",")?;
        if let Some(group) = group.filter(|_| open != group) {
            json_str(self.out, group)?;
            self.out.write_all(b":{")?;
        }
        json_str(self.out, name)?;
        self.out.write_all(b":")
    }
}

/// `tokens.input` is `input` in `tokens`.
fn split(key: &str) -> (Option<&str>, &str) {
    key.split_once('.').map_or((None, key), |(group, name)| (Some(group), name))
}

struct TextFields<'a, W>(&'a mut W);

impl<'kvs, W: Write> VisitSource<'kvs> for TextFields<'_, W> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.write_all(b" ").map_err(unwritten)?;
        text_str(self.0, key.as_str()).map_err(unwritten)?;
        self.0.write_all(b"=").map_err(unwritten)?;
        value.visit(OneValue { out: self.0, format: Format::Text })
    }
}

/// Writes a value; the two formats differ in strings only.
struct OneValue<'a, W> {
    out: &'a mut W,
    format: Format,
}

impl<W: Write> OneValue<'_, W> {
    fn literal(&mut self, value: impl Display) -> Result<(), kv::Error> {
        write!(self.out, "{value}").map_err(unwritten)
    }
}

impl<'v, W: Write> VisitValue<'v> for OneValue<'_, W> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        match self.format {
            Format::Json => json_display(self.out, &value),
            Format::Text => text_display(self.out, &value),
        }
        .map_err(unwritten)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        match self.format {
            Format::Json => json_str(self.out, value),
            Format::Text => text_str(self.out, value),
        }
        .map_err(unwritten)
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.literal(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.literal(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if value.is_finite() { self.literal(value) } else { self.visit_null() }
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.literal(value)
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.literal("null")
    }
}

/// `kv::Error` can't carry a cause without another feature of `log`; writing to memory doesn't fail.
fn unwritten(_: io::Error) -> kv::Error {
    kv::Error::msg("a field could not be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ErrorClass, TokenUsage};
    use crate::observe::Status;
    use crate::observe::events::{Audit, RequestSettled};
    use log::kv::Source;
    use serde_json::Value as Json;
    use std::time::{Duration, UNIX_EPOCH};

    /// The guide's example, on one line.
    const GUIDE: &str = concat!(
        r#"{"timestamp":"2026-02-19T23:00:00Z","level":"info","msg":"request_success","provider":"claude","#,
        r#""model":"claude-3-5-sonnet","request_id":"req-123","latency_ms":450,"tokens":{"input":100,"output":50}"#,
    );

    fn settled() -> RequestSettled<'static> {
        RequestSettled {
            provider: "claude",
            model: "claude-3-5-sonnet",
            request_id: "req-123",
            client: "team-a",
            status: Status::Success,
            http_status: 200,
            error: None,
            code: None,
            internal: "",
            duration: Duration::from_millis(450),
            ttft: None,
            tokens: TokenUsage { input: 100, output: 50, ..TokenUsage::default() },
            usage_estimated: false,
            attempts: 1,
            cache: "miss",
            stream: false,
            recovered_from: "",
        }
    }

    fn write(format: Format, target: &str, level: Level, message: &str, fields: &dyn Source) -> String {
        let mut out = Vec::new();
        let at = UNIX_EPOCH + Duration::from_secs(1_771_542_000);
        let mut record = Record::builder();
        record.level(level).target(target).key_values(&fields);
        writer(format)(&mut out, &record.args(format_args!("{message}")).build(), at).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json(message: &str, fields: &dyn Source) -> String {
        write(Format::Json, "cliproxy::event", Level::Info, message, fields)
    }

    #[test]
    fn a_request_is_logged_as_in_the_guide() {
        let line = json("request_success", &settled());
        let rest = line.strip_prefix(GUIDE).expect(&line);
        assert_eq!(
            rest,
            concat!(
                r#","client":"team-a","http_status":200,"attempts":1,"stream":false,"cache":"miss"}"#,
                "\n"
            )
        );
        let parsed: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["tokens"], serde_json::json!({"input": 100, "output": 50}));
    }

    #[test]
    fn all_token_kinds_are_in_one_object() {
        let tokens = TokenUsage { input: 1, cache_read: 2, cache_write: 3, output: 4, reasoning: 5 };
        let line = json("request_success", &RequestSettled { tokens, ..settled() });
        let parsed: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(
            parsed["tokens"],
            serde_json::json!({"input": 1, "output": 4, "cache_read": 2, "cache_write": 3, "reasoning": 5})
        );
        assert_eq!(line.matches("tokens").count(), 1);
    }

    #[test]
    fn grep_finds_errors_in_text() {
        let failed =
            RequestSettled { status: Status::Error, error: Some(ErrorClass::RateLimit), ..settled() };
        let line = write(Format::Text, "cliproxy::event", Level::Error, "request_error", &failed);
        assert!(
            line.starts_with(concat!(
                "timestamp=2026-02-19T23:00:00Z level=error msg=request_error provider=claude ",
                "model=claude-3-5-sonnet request_id=req-123 latency_ms=450 tokens.input=100 tokens.output=50 "
            )),
            "{line}"
        );
        assert!(line.ends_with(" error_type=rate_limit\n"), "{line}");
    }

    #[test]
    fn an_audit_line_has_the_fields_of_the_specification() {
        let from = "127.0.0.1".parse().ok();
        let audit = Audit { who: "token", action: "cooldown", target: "claude", from, result: "ok" };
        let parsed: Json = serde_json::from_str(&json("audit", &audit)).unwrap();
        for (key, value) in [
            ("event", "audit"),
            ("who", "token"),
            ("action", "cooldown"),
            ("target", "claude"),
            ("from", "127.0.0.1"),
            ("result", "ok"),
        ] {
            assert_eq!(parsed[key], value);
        }
    }

    #[test]
    fn no_text_can_break_out_of_its_line_or_field() {
        let nasty = "a\"b\\c\nlevel=error \u{1b}[31m\0 ü";
        let event = RequestSettled { internal: nasty, ..settled() };
        for format in [Format::Json, Format::Text] {
            let line = write(format, "x", Level::Info, nasty, &event);
            assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
            assert!(!line.trim_end().contains(char::is_control), "{line}");
        }
        let parsed: Json = serde_json::from_str(&json(nasty, &event)).unwrap();
        assert_eq!(parsed["msg"], nasty);
        assert_eq!(parsed["internal"], nasty);
    }

    #[test]
    fn other_crates_take_the_same_form() {
        let fields: [(&str, Value<'_>); 4] = [
            ("ratio", Value::from(0.5)),
            ("nan", Value::from(f64::NAN)),
            ("nested.deep.er", Value::from(-1)),
            ("nothing", Value::null()),
        ];
        let line = write(Format::Json, "pingora_core::server", Level::Warn, "Bye now", &fields);
        let parsed: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!({
                "timestamp": "2026-02-19T23:00:00Z", "level": "warn", "msg": "Bye now",
                "target": "pingora_core::server", "ratio": 0.5, "nan": null, "nested": {"deep.er": -1},
                "nothing": null,
            })
        );
        let line = write(Format::Text, "pingora_core::server", Level::Warn, "Bye now", &fields);
        assert_eq!(
            line,
            "timestamp=2026-02-19T23:00:00Z level=warn msg=\"Bye now\" target=pingora_core::server \
             ratio=0.5 nan=null nested.deep.er=-1 nothing=null\n"
        );
    }

    #[test]
    fn an_empty_text_is_still_a_value() {
        let line = write(Format::Text, "cliproxy", Level::Info, "", &[("key", "")]);
        assert_eq!(line, "timestamp=2026-02-19T23:00:00Z level=info msg=\"\" key=\"\"\n");
    }
}
