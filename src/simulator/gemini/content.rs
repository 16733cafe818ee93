//! Content: the answer, whole or as the responses of a stream.

use super::super::check::seal;
use super::super::prompt::Prompt;
use super::super::reply::{Events, Piece, Refusal, Reply, Template};
use super::super::route::Call;
use super::super::turn::{Stop, THOUGHT, ToolCall, Turn};
use super::prompt;
use serde_json::{Value, json};

/// An answer to be written.
struct Content<'a> {
    call: &'a Call<'a>,
    input: usize,
    turn: Turn,
}

/// The signature of the one thought there is.
pub(super) fn signature() -> String {
    seal(THOUGHT)
}

impl<'a> Content<'a> {
    fn of(call: &'a Call<'a>) -> Result<Content<'a>, Refusal> {
        let prompt: Prompt<'_> = prompt::read(call.parameter, &call.json)?;
        Ok(Content { call, input: prompt.tokens(), turn: Turn::of(&prompt) })
    }

    /// Calls finish as an answer does: the vendor has no word of its own for them.
    fn finish_reason(&self) -> &'static str {
        match self.turn.stop {
            Stop::Limit => "MAX_TOKENS",
            // What refuses is the vendor's filter, without a word.
            Stop::Refusal => "SAFETY",
            Stop::End | Stop::Sequence(_) | Stop::Calls => "STOP",
        }
    }

    /// A response with these parts; the last one says why it is over and what went out.
    fn response(&self, parts: &[Value], is_last: bool) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        let output = if is_last { self.turn.tokens() } else { 0 };
        let mut usage = json!({
            "promptTokenCount": self.input,
            "totalTokenCount": self.input + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.input}],
        });
        if is_last {
            candidate["finishReason"] = self.finish_reason().into();
            usage["candidatesTokenCount"] = self.turn.said_tokens().into();
            if self.turn.thought.is_some() {
                usage["thoughtsTokenCount"] = self.turn.thought_tokens().into();
            }
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.call.parameter,
            "responseId": self.call.id,
        })
    }

    /// The thought, if the client wants to see it.
    fn thought(&self) -> Option<Value> {
        let is_shown = self.call.json["generationConfig"]["thinkingConfig"]["includeThoughts"] == true;
        self.turn.thought.filter(|_| is_shown).map(|thought| json!({"text": thought, "thought": true}))
    }

    /// The last text and the calls. A thought's signature is on the first call, else on the text.
    fn last_parts(&self, text: Option<&str>) -> Vec<Value> {
        let text = text.map(|text| json!({"text": text}));
        let call = |call: &ToolCall| json!({"functionCall": {"name": call.name, "args": call.arguments}});
        let mut parts: Vec<Value> = text.into_iter().chain(self.turn.calls.iter().map(call)).collect();
        let signed = parts.len() - self.turn.calls.len().max(1).min(parts.len());
        if let (Some(part), Some(_)) = (parts.get_mut(signed), self.turn.thought) {
            part["thoughtSignature"] = signature().into();
        }
        parts
    }

    fn whole(self) -> Reply {
        let text = self.turn.has_text().then_some(&*self.turn.speech.text);
        let parts: Vec<Value> = self.thought().into_iter().chain(self.last_parts(text)).collect();
        Reply::json(200, &self.response(&parts, true)).saying(self.turn.speech.text)
    }

    /// The responses of a stream in order, as JSON texts: the thought, a word each, the last with the calls.
    fn responses(&self) -> Vec<String> {
        let template = Template::new(&self.response(&[json!({"text": Template::GAP})], false));
        let mut words: Vec<&str> = self.turn.speech.pieces().collect();
        // The last word comes with the end, unless calls do. With nothing left to say, the end still comes.
        let last = self.turn.has_text() && self.turn.calls.is_empty();
        let last = last.then(|| words.pop().unwrap_or_default());
        let thought = self.thought().map(|thought| self.response(&[thought], false).to_string());
        let words = words.into_iter().map(|word| template.with(word));
        let end = self.response(&self.last_parts(last), true).to_string();
        thought.into_iter().chain(words).chain([end]).collect()
    }
}

pub(super) fn generate(call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(Content::of(call)?.whole())
}

pub(super) fn stream(call: &Call<'_>) -> Result<Reply, Refusal> {
    Ok(streamed(call, Content::of(call)?.responses(), true))
}

/// What a prompt gets that the vendor's filter stops: an answer without candidates.
pub(in crate::simulator) fn blocked(call: &Call<'_>) -> Result<Reply, Refusal> {
    let input = prompt::read(call.parameter, &call.json)?.tokens();
    let response = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": input, "totalTokenCount": input},
        "modelVersion": call.parameter,
        "responseId": call.id,
    });
    if !call.request.path.ends_with(":streamGenerateContent") {
        return Ok(Reply::json(200, &response));
    }
    Ok(streamed(call, vec![response.to_string()], false))
}

/// Responses one after the other: with `alt=sse` events, else one JSON array that grows.
fn streamed(call: &Call<'_>, responses: Vec<String>, are_tokens: bool) -> Reply {
    if call.request.parameter("alt") == Some("sse") {
        let mut events = Events::with_crlf();
        for response in responses {
            events.push(None, &response, are_tokens);
        }
        return Reply::events(events);
    }
    let mut array: Vec<Piece> = Vec::new();
    for response in responses {
        let before = if array.is_empty() { "[" } else { ",\r\n" };
        array.push(Piece { bytes: [before, &response].concat().into_bytes(), is_token: are_tokens });
    }
    array.push(Piece { bytes: b"]".to_vec(), is_token: false });
    Reply::pieces("application/json; charset=UTF-8", array)
}
