//! The Responses API: reasoning, a message, calls of functions, whole or as their sequence of events.

use super::super::answer::pieces;
use super::super::check::seal;
use super::super::prompt::Prompt;
use super::super::reply::{Events, Refusal, Reply};
use super::super::route::{Call, missing, word_limit};
use super::super::turn::{REFUSAL, Stop, THOUGHT, ToolCall, Turn};
use super::{prompt, strict};
use serde_json::{Value, json};

struct Response<'a> {
    call: &'a Call<'a>,
    model: &'a str,
    input: usize,
    turn: Turn,
}

/// What an answer and a count of tokens have in common: the model, and what goes in.
fn question<'a>(call: &'a Call<'_>) -> Result<(&'a str, Prompt<'a>), Refusal> {
    if call.json["input"].is_null() {
        return Err(missing("input"));
    }
    let model = call.required_text("model")?;
    strict::check_response(&call.json)?;
    Ok((model, prompt::of_response(&call.json)))
}

pub(super) fn count(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (_, prompt) = question(call)?;
    Ok(Reply::json(200, &json!({"object": "response.input_tokens", "input_tokens": prompt.tokens()})))
}

pub(super) fn respond(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (model, prompt) = question(call)?;
    let limit = word_limit(&call.json["max_output_tokens"])?;
    let prompt = Prompt { limit, ..prompt };
    let response = Response { call, model, input: prompt.tokens(), turn: Turn::of(&prompt) };
    if call.wants_stream() {
        return Ok(response.stream());
    }
    let body = response.finished();
    Ok(Reply::json(200, &body).saying(response.turn.speech.text))
}

/// One item of the output, to be written whole or as its events.
enum Item<'a> {
    Reasoning,
    Message,
    Call(usize, &'a ToolCall),
}

impl Response<'_> {
    /// `completed`, or `incomplete` where a limit cut the answer.
    fn status(&self) -> &'static str {
        if self.turn.stop == Stop::Limit { "incomplete" } else { "completed" }
    }

    fn items(&self) -> Vec<Item<'_>> {
        let reasoning = self.turn.thought.map(|_| Item::Reasoning);
        let message = (self.turn.has_text() || self.turn.refuses()).then_some(Item::Message);
        let calls = self.turn.calls.iter().enumerate().map(|(index, call)| Item::Call(index, call));
        reasoning.into_iter().chain(message).chain(calls).collect()
    }

    /// The summary of the thought, if the client wants one.
    fn summary(&self) -> Option<&'static str> {
        let is_wanted = self.call.json["reasoning"]["summary"].is_string();
        is_wanted.then_some(THOUGHT)
    }

    fn item_id(&self, item: &Item<'_>) -> String {
        match item {
            Item::Reasoning => format!("rs_{}", self.call.id),
            Item::Message => format!("msg_{}", self.call.id),
            Item::Call(index, _) => format!("fc_{}_{index}", self.call.id),
        }
    }

    /// An item that has begun and has nothing in it yet.
    fn begun_item(&self, item: &Item<'_>) -> Value {
        match item {
            Item::Reasoning => json!({"id": self.item_id(item), "type": "reasoning", "summary": []}),
            Item::Message => self.message("in_progress", &[]),
            Item::Call(index, call) => self.function_call(*index, call, "in_progress", ""),
        }
    }

    fn finished_item(&self, item: &Item<'_>) -> Value {
        match item {
            Item::Reasoning => {
                let mut reasoning = self.begun_item(item);
                reasoning["summary"] = self.summary().into_iter().map(summary_part).collect();
                let included = self.call.json["include"].as_array().map_or(&[][..], Vec::as_slice);
                if included.iter().any(|name| name == "reasoning.encrypted_content") {
                    reasoning["encrypted_content"] = seal(THOUGHT).into();
                }
                reasoning
            }
            Item::Message => self.message(self.status(), &[self.said()]),
            Item::Call(index, call) => self.function_call(*index, call, "completed", &call.text),
        }
    }

    fn message(&self, status: &str, content: &[Value]) -> Value {
        json!({
            "id": self.item_id(&Item::Message),
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        })
    }

    fn function_call(&self, index: usize, call: &ToolCall, status: &str, arguments: &str) -> Value {
        json!({
            "id": self.item_id(&Item::Call(index, call)),
            "type": "function_call",
            "status": status,
            "call_id": format!("call_{}_{index}", self.call.id),
            "name": call.name,
            "arguments": arguments,
        })
    }

    /// What the message says: its words, or why there are none.
    fn said(&self) -> Value {
        if self.turn.refuses() { refusal_part(REFUSAL) } else { Self::part(&self.turn.speech.text) }
    }

    fn part(text: &str) -> Value {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    }

    fn response(&self, status: &str, output: &[Value], usage: &Value) -> Value {
        let asked = &self.call.json;
        let or =
            |name: &str, default: Value| if asked[name].is_null() { default } else { asked[name].clone() };
        let reason =
            if status == "incomplete" { json!({"reason": "max_output_tokens"}) } else { Value::Null };
        json!({
            "id": format!("resp_{}", self.call.id),
            "object": "response",
            "created_at": self.call.created,
            "status": status,
            "error": null,
            "incomplete_details": reason,
            "instructions": asked["instructions"],
            "max_output_tokens": asked["max_output_tokens"],
            "model": self.model,
            "output": output,
            "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
            "previous_response_id": asked["previous_response_id"],
            "reasoning": {"effort": asked["reasoning"]["effort"], "summary": asked["reasoning"]["summary"]},
            "store": or("store", json!(true)),
            "temperature": or("temperature", json!(1.0)),
            "text": or("text", json!({"format": {"type": "text"}})),
            "tool_choice": or("tool_choice", json!("auto")),
            "tools": or("tools", json!([])),
            "top_p": or("top_p", json!(1.0)),
            "truncation": or("truncation", json!("disabled")),
            "usage": usage,
            "user": asked["user"],
            "metadata": or("metadata", json!({})),
        })
    }

    fn finished(&self) -> Value {
        let output = self.turn.tokens();
        let usage = json!({
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": self.turn.thought_tokens()},
            "total_tokens": self.input + output,
        });
        let items: Vec<Value> = self.items().iter().map(|item| self.finished_item(item)).collect();
        self.response(self.status(), &items, &usage)
    }

    fn stream(&self) -> Reply {
        let mut stream = Numbered { events: Events::new(), next: 0 };
        let begun = self.response("in_progress", &[], &Value::Null);
        stream.event("response.created", json!({"response": begun}));
        stream.event("response.in_progress", json!({"response": begun}));
        for (index, item) in self.items().iter().enumerate() {
            let begun = self.begun_item(item);
            stream.event("response.output_item.added", json!({"output_index": index, "item": begun}));
            let place = json!({"item_id": self.item_id(item), "output_index": index});
            match item {
                Item::Reasoning => self.summary().into_iter().for_each(|text| stream.summary(&place, text)),
                Item::Message if self.turn.refuses() => stream.refusal(&place),
                Item::Message => self.stream_text(&mut stream, &place),
                Item::Call(_, call) => stream.arguments(&place, call),
            }
            let finished = self.finished_item(item);
            stream.event("response.output_item.done", json!({"output_index": index, "item": finished}));
        }
        let last = if self.status() == "incomplete" { "response.incomplete" } else { "response.completed" };
        stream.event(last, json!({"response": self.finished()}));
        Reply::events(stream.events)
    }

    fn stream_text(&self, stream: &mut Numbered, place: &Value) {
        let text = &*self.turn.speech.text;
        let at = |more: Value| with(place, with(&json!({"content_index": 0}), more));
        stream.event("response.content_part.added", at(json!({"part": Self::part("")})));
        for word in self.turn.speech.pieces() {
            stream.token("response.output_text.delta", at(json!({"delta": word, "logprobs": []})));
        }
        stream.event("response.output_text.done", at(json!({"text": text, "logprobs": []})));
        stream.event("response.content_part.done", at(json!({"part": Self::part(text)})));
    }
}

fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// An object with the members of another.
fn with(object: &Value, more: Value) -> Value {
    let mut members = object.as_object().cloned().unwrap_or_default();
    if let Value::Object(more) = more {
        members.extend(more);
    }
    members.into()
}

/// Events that say their type and number.
struct Numbered {
    events: Events,
    next: u64,
}

impl Numbered {
    fn event(&mut self, kind: &str, event: Value) {
        let event = self.numbered(kind, event);
        self.events.event(Some(kind), &event);
    }

    fn token(&mut self, kind: &str, event: Value) {
        let event = self.numbered(kind, event);
        self.events.token(Some(kind), &event);
    }

    /// The events of a thought's summary, between those of its item.
    fn summary(&mut self, place: &Value, text: &str) {
        let at = |more: Value| with(place, with(&json!({"summary_index": 0}), more));
        self.event("response.reasoning_summary_part.added", at(json!({"part": summary_part("")})));
        for piece in pieces(text) {
            self.token("response.reasoning_summary_text.delta", at(json!({"delta": piece})));
        }
        self.event("response.reasoning_summary_text.done", at(json!({"text": text})));
        self.event("response.reasoning_summary_part.done", at(json!({"part": summary_part(text)})));
    }

    /// The events of a refusal, between those of its item.
    fn refusal(&mut self, place: &Value) {
        let at = |more: Value| with(place, with(&json!({"content_index": 0}), more));
        self.event("response.content_part.added", at(json!({"part": refusal_part("")})));
        for piece in pieces(REFUSAL) {
            self.token("response.refusal.delta", at(json!({"delta": piece})));
        }
        self.event("response.refusal.done", at(json!({"refusal": REFUSAL})));
        self.event("response.content_part.done", at(json!({"part": refusal_part(REFUSAL)})));
    }

    /// The events of a call's arguments, between those of its item.
    fn arguments(&mut self, place: &Value, call: &ToolCall) {
        for piece in pieces(&call.text) {
            self.token("response.function_call_arguments.delta", with(place, json!({"delta": piece})));
        }
        let done = json!({"name": call.name, "arguments": call.text});
        self.event("response.function_call_arguments.done", with(place, done));
    }

    fn numbered(&mut self, kind: &str, mut event: Value) -> Value {
        event["type"] = kind.into();
        event["sequence_number"] = self.next.into();
        self.next += 1;
        event
    }
}
