//! Chat Completions, and the older Completions.

use super::super::answer::{Speech, input_tokens, text_bytes};
use super::super::reply::{Events, Refusal, Reply, Template};
use super::super::route::{Call, missing, word_limit};
use super::usage;
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
    speech: Speech,
    choices: usize,
}

pub(super) fn chat(call: &Call<'_>) -> Result<Reply, Refusal> {
    let model = call.required_text("model")?;
    let messages = call.required_list("messages")?;
    let input = messages.iter().map(text_bytes).sum();
    let limit = [&call.json["max_completion_tokens"], &call.json["max_tokens"]];
    let limit = limit.into_iter().find(|limit| !limit.is_null()).unwrap_or(&Value::Null);
    let completion = Completion {
        call,
        id: format!("chatcmpl-{}", call.id),
        model,
        objects: ["chat.completion", "chat.completion.chunk"],
        input: input_tokens(input),
        speech: call.speech(Dialect::OpenAi, word_limit(limit)?),
        choices: choices(call)?,
    };
    if !call.wants_stream() {
        let message = json!({
            "role": "assistant",
            "content": completion.speech.text,
            "refusal": null,
            "annotations": [],
        });
        return Ok(completion.whole(&json!({"message": message, "logprobs": null})));
    }
    let delta = |delta: Value| json!({"delta": delta, "logprobs": null});
    Ok(completion.stream(
        Some(&delta(json!({"role": "assistant", "content": "", "refusal": null}))),
        &delta(json!({"content": Template::GAP})),
        &delta(json!({})),
    ))
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
        speech: Speech::of(word_limit(&call.json["max_tokens"])?),
        choices: choices(call)?,
    };
    let text = |text: &str| json!({"text": text, "logprobs": null});
    if call.wants_stream() {
        Ok(completion.stream(None, &text(Template::GAP), &text("")))
    } else {
        Ok(completion.whole(&text(completion.speech.text)))
    }
}

fn choices(call: &Call<'_>) -> Result<usize, Refusal> {
    match (&call.json["n"], call.json["n"].as_u64()) {
        (Value::Null, _) => Ok(1),
        (_, Some(choices @ 1..=MAX_CHOICES)) => Ok(usize::try_from(choices).unwrap_or(1)),
        _ => Err(Refusal::invalid(format!("n: must be a whole number from 1 to {MAX_CHOICES}"))),
    }
}

impl Completion<'_> {
    fn finish_reason(&self) -> &'static str {
        if self.speech.is_cut { "length" } else { "stop" }
    }

    fn usage(&self) -> Value {
        usage(self.input, self.speech.words * self.choices)
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

    fn whole(&self, content: &Value) -> Reply {
        let choice = |index| self.choice(content, index, Some(self.finish_reason()));
        let choices: Vec<Value> = (0..self.choices).map(choice).collect();
        Reply::json(200, &self.envelope(self.objects[0], &choices, Some(self.usage())))
            .saying(self.speech.text)
    }

    /// The stream: `begin` for each choice, then the words, then `end` with the finish reason.
    fn stream(&self, begin: Option<&Value>, word: &Value, end: &Value) -> Reply {
        let wants_usage = self.call.json["stream_options"]["include_usage"].as_bool().unwrap_or(false);
        let null = wants_usage.then_some(Value::Null);
        let chunk = |content: &Value, index: usize, finish_reason: Option<&str>| {
            let choice = self.choice(content, index, finish_reason);
            self.envelope(self.objects[1], &[choice], null.clone())
        };
        let mut events = Events::new();
        let indexes = 0..self.choices;
        for index in indexes.clone() {
            if let Some(begin) = begin {
                events.event(None, &chunk(begin, index, None));
            }
        }
        let templates: Vec<_> =
            indexes.clone().map(|index| Template::new(&chunk(word, index, None))).collect();
        for word in self.speech.pieces() {
            for template in &templates {
                events.word(template, None, word);
            }
        }
        for index in indexes {
            events.event(None, &chunk(end, index, Some(self.finish_reason())));
        }
        if wants_usage {
            events.event(None, &self.envelope(self.objects[1], &[], Some(self.usage())));
        }
        events.text("[DONE]");
        Reply::events(events)
    }
}
