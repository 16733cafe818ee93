//! How a log record becomes a line: JSON, or text in which `grep level=error` works.
//!
//! It writes straight into the buffer that it is given, allocating nothing else, and knows no event: fields
//! come as key-values, in order, and a key with a dot (`tokens.input`) opens a nested object in JSON. No line
//! has a line end but its own, which the queue counts on. Budget: 4,800 instructions for a request's line.

use std::fmt::{self, Display};
use std::io::Write;
use std::time::SystemTime;

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use super::config::Format;
use super::json;
use crate::domain::wall_clock;

/// The name that our own records' targets begin with.
pub(super) const OURS: &str = env!("CARGO_PKG_NAME");

/// Appends a record's line, end and all.
pub(super) type WriteLine = fn(&mut Vec<u8>, &Record<'_>, SystemTime);

/// How lines of that format are written.
pub(super) const fn writer(format: Format) -> WriteLine {
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
    let is_ours = target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    (!is_ours).then_some(target)
}

fn write_json(out: &mut Vec<u8>, record: &Record<'_>, at: SystemTime) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    out.extend_from_slice(&wall_clock::rfc3339_bytes(at));
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(level_name(record.level()).as_bytes());
    out.extend_from_slice(b"\",\"msg\":");
    match record.args().as_str() {
        Some(message) => json::string(out, message),
        None => json::display(out, record.args()),
    }
    let foreign_target = foreign_target(record);
    if let Some(target) = foreign_target {
        out.extend_from_slice(b",\"target\":");
        json::string(out, target);
    }
    let mut fields = JsonFields { out, group: None, keys_are_ours: foreign_target.is_none() };
    // Ours refuses nothing; a source that gives up has its line end there.
    let _ = record.key_values().visit(&mut fields);
    let end: &[u8] = if fields.group.is_some() { b"}}\n" } else { b"}\n" };
    out.extend_from_slice(end);
}

fn write_text(out: &mut Vec<u8>, record: &Record<'_>, at: SystemTime) {
    out.extend_from_slice(b"timestamp=");
    out.extend_from_slice(&wall_clock::rfc3339_bytes(at));
    out.extend_from_slice(b" level=");
    out.extend_from_slice(level_name(record.level()).as_bytes());
    out.extend_from_slice(b" msg=");
    text_display(out, record.args());
    if let Some(target) = foreign_target(record) {
        out.extend_from_slice(b" target=");
        text_str(out, target);
    }
    let _ = record.key_values().visit(&mut TextFields(out));
    out.push(b'\n');
}

/// A bare word, or a JSON string where it would not be one word.
fn text_str(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() && is_bare(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        json::string(out, text);
    }
}

/// The same. Displays it twice, since collecting it to look at it would allocate.
fn text_display(out: &mut Vec<u8>, text: &dyn Display) {
    let mut seen = Seen { anything: false };
    let bare = fmt::Write::write_fmt(&mut seen, format_args!("{text}")).is_ok() && seen.anything;
    if bare { unescaped(out, text) } else { json::display(out, text) }
}

/// As it is displayed.
fn unescaped(out: &mut Vec<u8>, text: &dyn Display) {
    // Memory refuses nothing; what can't be displayed ends where it failed.
    let _ = write!(out, "{text}");
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

struct JsonFields<'a, 'kvs> {
    out: &'a mut Vec<u8>,
    /// The nested object that is open: a key that names it, and the length of its name in there.
    group: Option<(Key<'kvs>, usize)>,
    /// Whether the keys are in this crate's source, where none needs an escape.
    keys_are_ours: bool,
}

impl<'kvs> VisitSource<'kvs> for JsonFields<'_, 'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        // `tokens.input` is `input` in `tokens`.
        let dot = key.as_str().bytes().position(|byte| byte == b'.');
        self.name(key.as_str(), dot);
        self.group = dot.map(|dot| (key, dot));
        value.visit(OneValue { out: self.out, format: Format::Json })
    }
}

impl JsonFields<'_, '_> {
    /// Everything of a field that comes before its value.
    fn name(&mut self, key: &str, dot: Option<usize>) {
        let open = self.group.as_ref().map(|(key, dot)| &key.as_str()[..*dot]);
        let group = dot.map(|dot| &key[..dot]);
        if open.is_some() && open != group {
            self.out.push(b'}');
        }
        self.out.extend_from_slice(b",\"");
        if let Some(group) = group.filter(|_| open != group) {
            self.key(group);
            self.out.extend_from_slice(b"\":{\"");
        }
        self.key(dot.map_or(key, |dot| &key[dot + 1..]));
        self.out.extend_from_slice(b"\":");
    }

    fn key(&mut self, key: &str) {
        if self.keys_are_ours {
            debug_assert!(json::is_plain(key.as_bytes()), "{key:?} needs an escape");
            self.out.extend_from_slice(key.as_bytes());
        } else {
            json::escaped(self.out, key);
        }
    }
}

struct TextFields<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push(b' ');
        text_str(self.0, key.as_str());
        self.0.push(b'=');
        value.visit(OneValue { out: self.0, format: Format::Text })
    }
}

/// Writes a value; the two formats differ in strings only.
struct OneValue<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
}

impl<'v> VisitValue<'v> for OneValue<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        match self.format {
            Format::Json => json::display(self.out, &value),
            Format::Text => text_display(self.out, &value),
        }
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        match self.format {
            Format::Json => json::string(self.out, value),
            Format::Text => text_str(self.out, value),
        }
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        json::integer(self.out, value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        json::integer(self.out, value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if !value.is_finite() {
            return self.visit_null();
        }
        unescaped(self.out, &value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }
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
        writer(format)(&mut out, &record.args(format_args!("{message}")).build(), at);
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
    fn a_key_of_another_crate_cannot_break_out_of_its_line() {
        let key = "a\":1,\n\"b.c\\";
        let line = write(Format::Json, "elsewhere", Level::Warn, "m", &[(key, 1)]);
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
        let parsed: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["a\":1,\n\"b"]["c\\"], 1, "{line}");
    }

    #[test]
    fn an_empty_text_is_still_a_value() {
        let line = write(Format::Text, "cliproxy", Level::Info, "", &[("key", "")]);
        assert_eq!(line, "timestamp=2026-02-19T23:00:00Z level=info msg=\"\" key=\"\"\n");
    }
}
