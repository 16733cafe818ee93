//! A whole answer, as a Response object.

use super::stream::Encoder;
use crate::translate::canonical::{Answer, Event, Part};
use crate::translate::sides::Asked;
use std::borrow::Cow;

/// Writes an answer. It is made of the items that a stream of the same parts would end with, under the same ids.
pub fn write_answer(answer: &Answer<'_>, asked: &Asked<'_>) -> Vec<u8> {
    let mut whole = Encoder::silent(asked);
    let mut put = |event: Event<'_>| whole.put(&event, &mut Vec::new());
    put(Event::Start { id: borrowed(&answer.id), model: borrowed(&answer.model) });
    for part in &answer.parts {
        match part {
            Part::Text(text) => put(Event::Text(text.text.plain())),
            Part::Refusal(text) => put(Event::Refusal(borrowed(text))),
            Part::Thought(thought) => {
                let signature = thought.signature.clone();
                if !thought.text.is_empty() {
                    put(Event::Thought(borrowed(&thought.text)));
                }
                let event = if thought.is_redacted { Event::Redacted } else { Event::ThoughtSignature };
                if let Some(signature) = signature {
                    put(event(signature));
                }
            }
            Part::Call(call) => {
                let (id, name) = (borrowed(&call.id), borrowed(&call.name));
                put(Event::Call { id, name, signature: call.signature.clone() });
                put(Event::Arguments(borrowed(&call.arguments)));
            }
            // The API has no place for media in an answer, and a model gives no results.
            Part::Media(_) | Part::Result(_) => {}
        }
    }
    put(Event::Usage(answer.usage));
    put(Event::Finish(answer.finish.clone()));
    whole.into_response()
}

fn borrowed(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}
