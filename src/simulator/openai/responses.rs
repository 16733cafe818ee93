//! The Responses API: one message of text, whole or as its sequence of events.

use super::super::answer::{Speech, input_tokens, text_bytes};
use super::super::reply::{Events, Refusal, Reply};
use super::super::route::{Call, missing, word_limit};
use serde_json::{Value, json};

struct Response<'a> {
    call: &'a Call<'a>,
    model: &'a str,
    input: usize,
    speech: Speech,
}

pub(super) fn respond(call: &Call<'_>) -> Result<Reply, Refusal> {
    let input = &call.json["input"];
    if input.is_null() {
        return Err(missing("input"));
    }
    let response = Response {
        call,
        model: call.required_text("model")?,
        input: input_tokens(text_bytes(input) + text_bytes(&call.json["instructions"])),
        speech: Speech::of(word_limit(&call.json["max_output_tokens"])?),
    };
    Ok(if call.wants_stream() {
        response.stream()
    } else {
        Reply::json(200, &response.finished()).saying(response.speech.text)
    })
}

impl Response<'_> {
    /// `completed`, or `incomplete` where a limit cut the answer.
    fn status(&self) -> &'static str {
        if self.speech.is_cut { "incomplete" } else { "completed" }
    }

    fn item_id(&self) -> String {
        format!("msg_{}", self.call.id)
    }

    fn item(&self, status: &str, content: &[Value]) -> Value {
        json!({
            "id": self.item_id(),
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        })
    }

    fn part(text: &str) -> Value {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    }

    fn finished_item(&self) -> Value {
        self.item(self.status(), &[Self::part(self.speech.text)])
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
            "reasoning": {"effort": null, "summary": null},
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
        let usage = json!({
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.speech.words,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.input + self.speech.words,
        });
        self.response(self.status(), &[self.finished_item()], &usage)
    }

    fn stream(&self) -> Reply {
        let mut stream = Numbered { events: Events::new(), next: 0 };
        let begun = self.response("in_progress", &[], &Value::Null);
        let place = json!({"item_id": self.item_id(), "output_index": 0, "content_index": 0});
        let at = |name: &str, value: Value| {
            let mut event = place.clone();
            event[name] = value;
            event
        };
        let text = self.speech.text;

        stream.event("response.created", json!({"response": begun}));
        stream.event("response.in_progress", json!({"response": begun}));
        let item = self.item("in_progress", &[]);
        stream.event("response.output_item.added", json!({"output_index": 0, "item": item}));
        stream.event("response.content_part.added", at("part", Self::part("")));
        for word in self.speech.pieces() {
            let mut event = at("delta", word.into());
            event["logprobs"] = json!([]);
            stream.token("response.output_text.delta", event);
        }
        let mut done = at("text", text.into());
        done["logprobs"] = json!([]);
        stream.event("response.output_text.done", done);
        stream.event("response.content_part.done", at("part", Self::part(text)));
        let item = self.finished_item();
        stream.event("response.output_item.done", json!({"output_index": 0, "item": item}));
        let last = if self.speech.is_cut { "response.incomplete" } else { "response.completed" };
        stream.event(last, json!({"response": self.finished()}));
        Reply::events(stream.events)
    }
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

    fn numbered(&mut self, kind: &str, mut event: Value) -> Value {
        event["type"] = kind.into();
        event["sequence_number"] = self.next.into();
        self.next += 1;
        event
    }
}
