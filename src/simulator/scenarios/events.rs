//! What goes wrong with the events of a stream: their JSON, their lines, their order.

use super::super::reply::Events;
use super::super::route;
use super::super::script::{Bounds, Part, Script};
use super::bend::{Inside, Scene};
use super::complaint::Complaint;
use crate::domain::Dialect;
use serde_json::Value;

/// What the last event of a stream has, where it says no more than that it is the last.
const END_MARKERS: [&[u8]; 2] = [b"[DONE]", b"message_stop"];

/// Breaks the JSON of one event, counted from 1; its framing stays.
pub(super) fn break_json(script: &mut Script, event: usize) {
    if !script.is_stream() {
        return;
    }
    if let Some(part) = script.parts.get_mut(event.saturating_sub(1))
        && let Some((start, end)) = json(&part.bytes)
    {
        part.bytes.drain(start + (end - start) / 2..end);
    }
}

/// Takes away all that follows the last word, and the finish reason where it came with that word.
pub(super) fn unfinish(script: &mut Script) {
    if !script.is_stream() {
        script.bounds = Bounds::Close;
        return;
    }
    let Some(last) = script.parts.iter().rposition(|part| part.is_token) else { return };
    script.parts.truncate(last + 1);
    edit(&mut script.parts[last], |event| {
        if let Some(candidate) = event.pointer_mut("/candidates/0").and_then(Value::as_object_mut) {
            candidate.remove("finishReason");
        }
    });
}

/// Takes away the event that only says that the stream is over.
pub(super) fn unmark(script: &mut Script) {
    if !script.is_stream() {
        script.bounds = Bounds::Close;
        return;
    }
    let is_marker =
        |part: &Part| END_MARKERS.iter().any(|marker| memchr::memmem::find(&part.bytes, marker).is_some());
    if script.parts.last().is_some_and(is_marker) {
        script.parts.pop();
    }
}

/// Puts the vendor's error into an answer of 200, which ends there.
pub(super) fn fail(script: &mut Script, inside: Inside, scene: &Scene<'_>) {
    let refusal = Complaint::Overloaded.refusal(scene.dialect, "", scene.options);
    let error = route::error(scene.dialect, &refusal, scene.id);
    let at = match inside {
        Inside::After(_) if !script.is_stream() => return,
        _ if !script.is_stream() => None,
        Inside::Body => None,
        Inside::First => Some(0),
        // Gemini's streams open with a word: before that.
        Inside::Opened => Some(usize::from(!script.parts.first().is_some_and(|part| part.is_token))),
        Inside::After(words) => Some(script.start_of_word(words)),
    };
    let Some(at) = at else {
        script.become_whole("application/json", error.to_string().into_bytes());
        return;
    };
    script.parts.truncate(at);
    let bytes = if script.has_events() {
        let mut events = if scene.dialect == Dialect::Gemini { Events::with_crlf() } else { Events::new() };
        events.event((scene.dialect == Dialect::Anthropic).then_some("error"), &error);
        events.into_bytes()
    } else {
        let before = if at == 0 { "[" } else { ",\r\n" };
        [before, &error.to_string(), "]"].concat().into_bytes()
    };
    script.parts.push(Part::of(bytes));
}

/// Ends all lines with CRLF.
pub(super) fn crlf(script: &mut Script) {
    if !script.has_events() {
        return;
    }
    for part in &mut script.parts {
        let mut bytes = Vec::with_capacity(part.bytes.len() + 8);
        for byte in part.bytes.drain(..) {
            if byte == b'\n' && bytes.last() != Some(&b'\r') {
                bytes.push(b'\r');
            }
            bytes.push(byte);
        }
        part.bytes = bytes;
    }
}

/// Puts a comment before each event.
pub(super) fn comment(script: &mut Script) {
    if !script.has_events() {
        return;
    }
    for part in &mut script.parts {
        let is_crlf = part.bytes.ends_with(b"\r\n");
        let comment: &[u8] = if is_crlf { b": still here\r\n\r\n" } else { b": still here\n\n" };
        part.bytes.splice(0..0, comment.iter().copied());
    }
}

/// Gives the tenth word's event, or a plain answer, a field of that size that nobody knows.
pub(super) fn pad(script: &mut Script, size: usize) {
    const WORD: usize = 9;
    let at = if script.is_stream() { script.start_of_word(WORD) } else { 0 };
    let Some(part) = script.parts.get_mut(at) else { return };
    if let Some(brace) = memchr::memchr(b'{', &part.bytes) {
        let field = ["\"padding\":\"", &"x".repeat(size), "\","].concat();
        part.bytes.splice(brace + 1..=brace, field.into_bytes());
    }
}

/// Where the JSON of an event begins and ends.
fn json(bytes: &[u8]) -> Option<(usize, usize)> {
    Some((memchr::memchr(b'{', bytes)?, memchr::memrchr(b'}', bytes)? + 1))
}

/// Changes the JSON of an event.
fn edit(part: &mut Part, change: impl FnOnce(&mut Value)) {
    let Some((start, end)) = json(&part.bytes) else { return };
    if let Ok(mut event) = serde_json::from_slice::<Value>(&part.bytes[start..end]) {
        change(&mut event);
        part.bytes.splice(start..end, event.to_string().into_bytes());
    }
}
