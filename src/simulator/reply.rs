//! An answer before it is on the wire: what the dialects make, and what faults change.

use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// Stands for the word in the one rendering that all token events of a stream share.
/// A string of this one control character, as JSON escapes it, is nowhere else in an answer.
const SLOT: &str = "\"\\u0001\"";

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    /// The words of the answer that a whole body has, where faults find them; none in most.
    pub(super) text: Cow<'static, str>,
}

/// What an answer carries.
pub(super) enum Content {
    /// A body sent at once.
    Whole(Vec<u8>),
    /// A body sent piece by piece.
    Pieces(Vec<Piece>),
    /// No body: the connection becomes a WebSocket whose messages are sent back.
    WebSocket,
}

/// A part of a stream that is written at once: one event, mostly.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Whether it carries a token, for which the pace asks the client to wait.
    pub(super) is_token: bool,
}

impl Reply {
    pub(super) fn json(status: u16, value: &Value) -> Reply {
        Reply::whole(status, "application/json", value.to_string().into_bytes())
    }

    pub(super) fn whole(status: u16, media_type: &'static str, body: Vec<u8>) -> Reply {
        let headers = vec![("content-type", media_type.to_owned())];
        Reply { status, headers, content: Content::Whole(body), text: "".into() }
    }

    pub(super) fn pieces(media_type: &'static str, pieces: Vec<Piece>) -> Reply {
        let headers = vec![("content-type", media_type.to_owned()), ("cache-control", "no-cache".to_owned())];
        Reply { status: 200, headers, content: Content::Pieces(pieces), text: "".into() }
    }

    pub(super) fn events(events: Events) -> Reply {
        Reply::pieces("text/event-stream; charset=utf-8", events.pieces)
    }

    /// The same, with the words of the answer that its body has.
    pub(super) fn saying(self, text: Cow<'static, str>) -> Reply {
        Reply { text, ..self }
    }
}

/// Server-sent events in the making.
pub(super) struct Events {
    pieces: Vec<Piece>,
    line_end: &'static str,
}

impl Events {
    pub(super) fn new() -> Events {
        Events { pieces: Vec::new(), line_end: "\n" }
    }

    /// With CRLF line ends, as Google sends them.
    pub(super) fn with_crlf() -> Events {
        Events { pieces: Vec::new(), line_end: "\r\n" }
    }

    /// An event that carries no token.
    pub(super) fn event(&mut self, name: Option<&str>, data: &impl Serialize) {
        self.push(name, &json_text(data), false);
    }

    /// An event that carries a token.
    pub(super) fn token(&mut self, name: Option<&str>, data: &impl Serialize) {
        self.push(name, &json_text(data), true);
    }

    /// An event whose data is no JSON, such as OpenAI's end marker.
    pub(super) fn text(&mut self, data: &str) {
        self.push(None, data, false);
    }

    /// A token event that differs from others in one word only.
    pub(super) fn word(&mut self, template: &Template, name: Option<&str>, word: &str) {
        self.push(name, &template.with(word), true);
    }

    /// The bytes of all events.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.pieces.into_iter().flat_map(|piece| piece.bytes).collect()
    }

    /// An event, rendered already.
    pub(super) fn push(&mut self, name: Option<&str>, data: &str, is_token: bool) {
        let mut bytes = Vec::with_capacity(data.len() + name.map_or(0, str::len) + 20);
        if let Some(name) = name {
            bytes.extend_from_slice(b"event: ");
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(self.line_end.as_bytes());
        }
        bytes.extend_from_slice(b"data: ");
        bytes.extend_from_slice(data.as_bytes());
        bytes.extend_from_slice(self.line_end.as_bytes());
        bytes.extend_from_slice(self.line_end.as_bytes());
        self.pieces.push(Piece { bytes, is_token });
    }
}

/// JSON rendered once, with a gap for a word. Sixty events cost sixty copies, not sixty renderings.
pub(super) struct Template {
    before: String,
    after: String,
}

impl Template {
    /// What marks the gap in the JSON that a template is made of.
    pub(super) const GAP: &'static str = "\u{1}";

    /// A template of JSON that has [`Template::GAP`] as one of its strings.
    pub(super) fn new(json: &Value) -> Template {
        let text = json.to_string();
        let (before, after) = text.split_once(SLOT).unwrap_or((&text, ""));
        Template { before: before.to_owned(), after: after.to_owned() }
    }

    /// The JSON with that word.
    pub(super) fn with(&self, word: &str) -> String {
        if word.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            return [&*self.before, &json_text(&word), &self.after].concat();
        }
        [&self.before, "\"", word, "\"", &self.after].concat()
    }
}

/// Why a request is turned down, before a dialect puts it into its own shape.
pub(super) struct Refusal {
    pub(super) status: u16,
    /// OpenAI's `code`; the other dialects have none.
    pub(super) code: Option<&'static str>,
    /// OpenAI's `param`: the field that is wrong. The other dialects name it in the message.
    pub(super) param: Option<String>,
    pub(super) message: Cow<'static, str>,
    /// Seconds until the client may come back.
    pub(super) retry_after: Option<u64>,
    /// The same to the millisecond, where that is another time.
    pub(super) retry_after_ms: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            status,
            code: None,
            param: None,
            message: message.into(),
            retry_after: None,
            retry_after_ms: None,
        }
    }

    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(400, message)
    }
}

fn json_text(data: &impl Serialize) -> String {
    // What dialects render has string keys throughout, so that it can't fail.
    serde_json::to_string(data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_has_one_gap() {
        let template = Template::new(&json!({"text": Template::GAP, "model": "\u{1}\u{2}x"}));
        let filled: Value = serde_json::from_str(&template.with(" acorn")).unwrap();
        assert_eq!(filled["model"], "\u{1}\u{2}x");
        assert_eq!(filled["text"], " acorn");
        let odd = " \"acorn\"\\\n";
        let filled: Value = serde_json::from_str(&template.with(odd)).unwrap();
        assert_eq!(filled["text"], odd);
    }

    #[test]
    fn events_are_framed_with_either_line_end() {
        let framed = |mut events: Events| {
            events.event(Some("ping"), &json!({}));
            String::from_utf8(events.pieces.remove(0).bytes).unwrap()
        };
        assert_eq!(framed(Events::new()), "event: ping\ndata: {}\n\n");
        assert_eq!(framed(Events::with_crlf()), "event: ping\r\ndata: {}\r\n\r\n");
    }
}
