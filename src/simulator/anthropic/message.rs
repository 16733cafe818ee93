//! Messages: the answer, whole or as its events.

use super::super::answer::pieces;
use super::super::check::seal;
use super::super::prefill::prefill;
use super::super::reply::{Events, Refusal, Reply, Template};
use super::super::route::{Call, missing, word_limit};
use super::super::turn::{REFUSAL, Stop, ToolCall, Turn};
use super::question;
use crate::domain::Dialect;
use serde_json::{Value, json};

/// A message to be written.
struct Message<'a> {
    call: &'a Call<'a>,
    model: &'a str,
    input: usize,
    turn: Turn,
}

pub(super) fn message(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (model, mut prompt) = question(call)?;
    let limit = &call.json["max_tokens"];
    if limit.is_null() {
        return Err(missing("max_tokens"));
    }
    prompt.limit = word_limit(limit)?;
    prompt.prefill = prefill(Dialect::Anthropic, &call.json);
    if prompt.prefill.as_ref().is_some_and(|said| said.ends_with(char::is_whitespace)) {
        return Err(Refusal::invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    let message = Message { call, model, input: prompt.tokens(), turn: Turn::of(&prompt) };
    Ok(if call.wants_stream() { message.stream() } else { message.whole() })
}

fn usage(input: usize, output: usize, thinking: usize) -> Value {
    json!({
        "input_tokens": input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thinking},
        "service_tier": "standard",
    })
}

impl Message<'_> {
    /// Why it stopped: the reason, and the sequence where it was one.
    fn stop(&self) -> (Option<&str>, Option<&str>) {
        match &self.turn.stop {
            Stop::End => (Some("end_turn"), None),
            Stop::Limit => (Some("max_tokens"), None),
            Stop::Sequence(sequence) => (Some("stop_sequence"), Some(sequence)),
            Stop::Calls => (Some("tool_use"), None),
            Stop::Refusal => (Some("refusal"), None),
        }
    }

    /// What is said of the reason: of a refusal why.
    fn stop_details(&self) -> Value {
        if !self.turn.refuses() {
            return Value::Null;
        }
        json!({"type": "refusal", "category": null, "explanation": REFUSAL})
    }

    /// The message around its blocks.
    fn envelope(&self, content: &[Value], stop: (Option<&str>, Option<&str>), usage: &Value) -> Value {
        json!({
            "id": format!("msg_{}", self.call.id),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop.0,
            "stop_sequence": stop.1,
            "usage": usage,
        })
    }

    /// What the client sees of the thought: nothing, if it asked for it to be left out.
    fn shown_thought(&self) -> Option<&'static str> {
        let is_omitted = self.call.json["thinking"]["display"] == "omitted";
        self.turn.thought.map(|thought| if is_omitted { "" } else { thought })
    }

    fn tool_use(&self, index: usize, call: &ToolCall, input: &Value) -> Value {
        let id = format!("toolu_{}_{index}", self.call.id);
        json!({"type": "tool_use", "id": id, "name": call.name, "input": input})
    }

    fn whole(self) -> Reply {
        let thought = self.shown_thought();
        let thought =
            thought.map(|text| json!({"type": "thinking", "thinking": text, "signature": seal(text)}));
        let text = self.turn.has_text().then(|| json!({"type": "text", "text": self.turn.speech.text}));
        let calls = self.turn.calls.iter().enumerate();
        let calls = calls.map(|(index, call)| self.tool_use(index, call, &call.arguments));
        let content: Vec<Value> = thought.into_iter().chain(text).chain(calls).collect();
        let usage = usage(self.input, self.turn.tokens(), self.turn.thought_tokens());
        let mut message = self.envelope(&content, self.stop(), &usage);
        message["stop_details"] = self.stop_details();
        Reply::json(200, &message).saying(self.turn.speech.text)
    }

    fn stream(self) -> Reply {
        let mut stream = Blocks { events: Events::new(), index: 0 };
        let begun = self.envelope(&[], (None, None), &usage(self.input, 1, 0));
        stream.event(&json!({"type": "message_start", "message": begun}));
        if let Some(thought) = self.shown_thought() {
            stream.begin(&json!({"type": "thinking", "thinking": "", "signature": ""}));
            stream.deltas("thinking_delta", "thinking", pieces(thought));
            stream.deltas("signature_delta", "signature", std::iter::once(&*seal(thought)));
            stream.end();
        }
        if self.turn.has_text() {
            stream.begin(&json!({"type": "text", "text": ""}));
            stream.deltas("text_delta", "text", self.turn.speech.pieces());
            stream.end();
        }
        for (index, call) in self.turn.calls.iter().enumerate() {
            stream.begin(&self.tool_use(index, call, &json!({})));
            let pieces = std::iter::once("").chain(pieces(&call.text));
            stream.deltas("input_json_delta", "partial_json", pieces);
            stream.end();
        }
        let (reason, sequence) = self.stop();
        stream.event(&json!({
            "type": "message_delta",
            "delta": {
                "stop_reason": reason,
                "stop_sequence": sequence,
                "stop_details": self.stop_details(),
            },
            "usage": {
                "output_tokens": self.turn.tokens(),
                "output_tokens_details": {"thinking_tokens": self.turn.thought_tokens()},
            },
        }));
        stream.event(&json!({"type": "message_stop"}));
        Reply::events(stream.events)
    }
}

/// The events of a message's blocks, one after the other.
struct Blocks {
    events: Events,
    index: usize,
}

impl Blocks {
    fn event(&mut self, data: &Value) {
        self.events.event(data["type"].as_str(), data);
    }

    fn begin(&mut self, block: &Value) {
        self.event(&json!({"type": "content_block_start", "index": self.index, "content_block": block}));
        if self.index == 0 {
            self.event(&json!({"type": "ping"}));
        }
    }

    /// Deltas of a kind, which carry a piece each under a name.
    fn deltas<'p>(&mut self, kind: &str, name: &str, pieces: impl Iterator<Item = &'p str>) {
        let mut delta = json!({"type": kind});
        delta[name] = Template::GAP.into();
        let delta =
            Template::new(&json!({"type": "content_block_delta", "index": self.index, "delta": delta}));
        for piece in pieces {
            self.events.word(&delta, Some("content_block_delta"), piece);
        }
    }

    fn end(&mut self) {
        self.event(&json!({"type": "content_block_stop", "index": self.index}));
        self.index += 1;
    }
}
