//! Chat Completions, and the older Completions.

use super::super::answer::{Speech, input_tokens, pieces, text_bytes};
use super::super::prefill::prefill;
use super::super::prompt::Prompt;
use super::super::reply::{Events, Refusal, Reply, Template};
use super::super::route::{Call, missing, word_limit};
use super::super::turn::{REFUSAL, Stop, ToolCall, Turn};
use super::{prompt, strict, usage};
use crate::domain::Dialect;
use serde_json::{Map, Value, json};

/// Choices that one request may ask for.
const MAX_CHOICES: u64 = 8;

/// What both endpoints share: everything but where the text stands.
struct Completion<'a> {
    call: &'a Call<'a>,
    id: String,
    model: &'a str,
    /// The `object` of whole answers and of chunks.
    objects: [&'static str; 2],
    input: usize,
    turn: Turn,
    choices: usize,
}

/// Begins the names of models that show their reasoning, as the vendors who imitate OpenAI do.
const SHOWS_REASONING: &str = "deepseek";

pub(super) fn chat(call: &Call<'_>) -> Result<Reply, Refusal> {
    let model = call.required_text("model")?;
    let messages = call.required_list("messages")?;
    strict::check_chat(&call.json, messages)?;
    let limit = [&call.json["max_completion_tokens"], &call.json["max_tokens"]];
    let limit = limit.into_iter().find(|limit| !limit.is_null()).unwrap_or(&Value::Null);
    let prompt = Prompt {
        limit: word_limit(limit)?,
        prefill: prefill(Dialect::OpenAi, &call.json),
        ..prompt::of_chat(&call.json, messages)
    };
    let completion = Completion {
        call,
        id: format!("chatcmpl-{}", call.id),
        model,
        objects: ["chat.completion", "chat.completion.chunk"],
        input: prompt.tokens(),
        turn: Turn::of(&prompt),
        choices: choices(call)?,
    };
    Ok(if call.wants_stream() { completion.streamed_chat() } else { completion.whole_chat() })
}

pub(super) fn completion(call: &Call<'_>) -> Result<Reply, Refusal> {
    let model = call.required_text("model")?;
    let prompt = &call.json["prompt"];
    if prompt.is_null() {
        return Err(missing("prompt"));
    }
    let completion = Completion {
        call,
        id: format!("cmpl-{}", call.id),
        model,
        objects: ["text_completion", "text_completion"],
        input: input_tokens(text_bytes(prompt)),
        turn: Turn::of_speech(Speech::of(word_limit(&call.json["max_tokens"])?)),
        choices: choices(call)?,
    };
    let text = |text: &str| json!({"text": text, "logprobs": null});
    if call.wants_stream() {
        let words = completion.deltas(&text(Template::GAP), completion.turn.speech.pieces());
        Ok(completion.stream(None, words, &text("")))
    } else {
        let content = text(&completion.turn.speech.text);
        Ok(completion.whole(&content))
    }
}

fn choices(call: &Call<'_>) -> Result<usize, Refusal> {
    match (&call.json["n"], call.json["n"].as_u64()) {
        (Value::Null, _) => Ok(1),
        (_, Some(choices @ 1..=MAX_CHOICES)) => Ok(usize::try_from(choices).unwrap_or(1)),
        _ => Err(Refusal::invalid(format!("n: must be a whole number from 1 to {MAX_CHOICES}"))),
    }
}

/// What every delta of a chat stands in.
fn delta(delta: &Value) -> Value {
    json!({"delta": delta, "logprobs": null})
}

impl Completion<'_> {
    fn finish_reason(&self) -> &'static str {
        match self.turn.stop {
            // Whoever refuses has said all.
            Stop::End | Stop::Sequence(_) | Stop::Refusal => "stop",
            Stop::Limit => "length",
            Stop::Calls => "tool_calls",
        }
    }

    fn usage(&self) -> Value {
        let of_all = |tokens: usize| tokens * self.choices;
        usage(self.input, of_all(self.turn.tokens()), of_all(self.turn.thought_tokens()))
    }

    /// The thought, where the model shows it.
    fn shown_thought(&self) -> Option<&'static str> {
        self.turn.thought.filter(|_| self.model.starts_with(SHOWS_REASONING))
    }

    fn tool_call(&self, index: usize, call: &ToolCall, arguments: &str) -> Value {
        let id = format!("call_{}_{index}", self.call.id);
        json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
    }

    fn whole_chat(self) -> Reply {
        let content = self.turn.has_text().then_some(&*self.turn.speech.text);
        let refusal = self.turn.refuses().then_some(REFUSAL);
        let mut message =
            json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
        if let Some(thought) = self.shown_thought() {
            message["reasoning_content"] = thought.into();
        }
        if !self.turn.calls.is_empty() {
            let calls = self.turn.calls.iter().enumerate();
            message["tool_calls"] =
                calls.map(|(index, call)| self.tool_call(index, call, &call.text)).collect();
        }
        self.whole(&json!({"message": message, "logprobs": null}))
    }

    fn streamed_chat(self) -> Reply {
        let gap = |name: &str| {
            let mut member = json!({});
            member[name] = Template::GAP.into();
            delta(&member)
        };
        let content = if self.turn.has_text() { json!("") } else { Value::Null };
        let begin = delta(&json!({"role": "assistant", "content": content, "refusal": null}));
        let mut deltas = match self.shown_thought() {
            Some(thought) => self.deltas(&gap("reasoning_content"), pieces(thought)),
            None => Vec::new(),
        };
        deltas.extend(self.deltas(&gap("content"), self.turn.speech.pieces()));
        if self.turn.refuses() {
            deltas.extend(self.deltas(&gap("refusal"), pieces(REFUSAL)));
        }
        for (index, call) in self.turn.calls.iter().enumerate() {
            let mut begun = self.tool_call(index, call, Template::GAP);
            begun["index"] = index.into();
            deltas.extend(self.deltas(&delta(&json!({"tool_calls": [begun]})), [""].into_iter()));
            let more = json!({"index": index, "function": {"arguments": Template::GAP}});
            deltas.extend(self.deltas(&delta(&json!({"tool_calls": [more]})), pieces(&call.text)));
        }
        self.stream(Some(&begin), deltas, &delta(&json!({})))
    }

    /// An answer around choices. In chunks, `usage` is null until the last where the client asked for it.
    fn envelope(&self, object: &str, choices: &[Value], usage: Option<Value>) -> Value {
        let mut envelope = json!({
            "id": self.id,
            "object": object,
            "created": self.call.created,
            "model": self.model,
            "system_fingerprint": "fp_simulator",
            "choices": choices,
        });
        if let (Some(usage), Some(fields)) = (usage, envelope.as_object_mut()) {
            fields.insert("usage".to_owned(), usage);
        }
        envelope
    }

    /// A choice: what `content` has, with its index and finish reason.
    fn choice(&self, content: &Value, index: usize, finish_reason: Option<&str>) -> Value {
        let mut choice: Map<String, Value> = content.as_object().cloned().unwrap_or_default();
        choice.insert("index".to_owned(), index.into());
        choice.insert("finish_reason".to_owned(), finish_reason.into());
        Value::Object(choice)
    }

    fn whole(self, content: &Value) -> Reply {
        let choice = |index| self.choice(content, index, Some(self.finish_reason()));
        let choices: Vec<Value> = (0..self.choices).map(choice).collect();
        Reply::json(200, &self.envelope(self.objects[0], &choices, Some(self.usage())))
            .saying(self.turn.speech.text)
    }

    /// A chunk of one choice; `usage` is null in it where the client asked for usage.
    fn chunk(&self, content: &Value, index: usize, finish_reason: Option<&str>) -> Value {
        let choice = self.choice(content, index, finish_reason);
        self.envelope(self.objects[1], &[choice], self.wants_usage().then_some(Value::Null))
    }

    fn wants_usage(&self) -> bool {
        self.call.json["stream_options"]["include_usage"].as_bool().unwrap_or(false)
    }

    /// Chunks, as JSON texts, that differ in one piece: for each piece one of every choice.
    fn deltas<'p>(&self, content: &Value, pieces: impl Iterator<Item = &'p str>) -> Vec<String> {
        let templates: Vec<_> =
            (0..self.choices).map(|index| Template::new(&self.chunk(content, index, None))).collect();
        pieces.flat_map(|piece| templates.iter().map(move |template| template.with(piece))).collect()
    }

    /// The stream: `begin` for each choice, then the deltas, then `end` with the finish reason.
    fn stream(&self, begin: Option<&Value>, deltas: Vec<String>, end: &Value) -> Reply {
        let mut events = Events::new();
        let indexes = 0..self.choices;
        for index in indexes.clone() {
            if let Some(begin) = begin {
                events.event(None, &self.chunk(begin, index, None));
            }
        }
        for delta in deltas {
            events.push(None, &delta, true);
        }
        for index in indexes {
            events.event(None, &self.chunk(end, index, Some(self.finish_reason())));
        }
        if self.wants_usage() {
            events.event(None, &self.envelope(self.objects[1], &[], Some(self.usage())));
        }
        events.text("[DONE]");
        Reply::events(events)
    }
}
