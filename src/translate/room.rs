//! About how much room a conversation takes once it is written, so that what it is written to need not grow.
//!
//! To grow is to copy: a body of 2 KB would be moved five times on its way. What is too little only grows after all.

use super::canonical::{Answer, Output, Part, Request, Source, Tool};

/// What a body has beside its conversation: model, limits, usage.
const FRAME: usize = 384;

/// What a part, a turn or a tool has beside its words: brackets, and its members' names.
const MEMBERS: usize = 64;

/// Of a request.
pub(super) fn of_request(request: &Request<'_>) -> usize {
    let turns: usize = request.turns.iter().map(|turn| MEMBERS + of_parts(&turn.parts)).sum();
    let tools: usize = request.tools.iter().map(of_tool).sum();
    let schema = match &request.output {
        Output::Schema { schema, .. } => schema.get().len(),
        Output::Text | Output::Json => 0,
    };
    FRAME + of_parts(&request.system) + turns + tools + schema
}

/// Of an answer.
pub(super) fn of_answer(answer: &Answer<'_>) -> usize {
    FRAME + of_parts(&answer.parts)
}

fn of_parts(parts: &[Part<'_>]) -> usize {
    parts.iter().map(|part| MEMBERS + of_part(part)).sum()
}

fn of_part(part: &Part<'_>) -> usize {
    match part {
        Part::Text(text) => text.text.len(),
        Part::Media(media) => match &media.source {
            Source::Inline { data, .. } => data.len(),
            Source::Url { url, .. } => url.len(),
            Source::Text(text) => text.len(),
        },
        Part::Call(call) => call.id.len() + call.name.len() + call.arguments.len(),
        Part::Result(result) => result.id.len() + of_parts(&result.content),
        Part::Thought(thought) => {
            thought.text.len() + thought.signature.as_ref().map_or(0, |signature| signature.text.len())
        }
        Part::Refusal(text) => text.len(),
    }
}

fn of_tool(tool: &Tool<'_>) -> usize {
    let description = tool.description.as_ref().map_or(0, |text| text.len());
    let parameters = tool.parameters.as_ref().map_or(0, |schema| schema.get().len());
    MEMBERS + tool.name.len() + description + parameters
}

#[cfg(test)]
mod tests {
    use super::super::question;
    use super::super::sides::Target;
    use super::super::signs::Api;
    use super::super::{chat, generate, messages};
    use super::*;

    #[test]
    fn a_usual_request_is_written_without_growing_and_without_much_to_spare() {
        let words = "What is the weather in Paris? ".repeat(60);
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":[
            {{"type":"text","text":"{words}"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}},
            {{"role":"assistant","tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"f",
            "arguments":"{{\"city\":\"Paris\"}}"}}}}]}},{{"role":"tool","tool_call_id":"call_1","content":"sunny"}}],
            "tools":[{{"type":"function","function":{{"name":"f","description":"The weather.",
            "parameters":{{"type":"object","properties":{{"city":{{"type":"string"}}}}}}}}}}]}}"#,
            "AAAA".repeat(512)
        );
        let request = question::read(Api::Completions, body.as_bytes()).expect("a request");
        let target = Target { model: "claude-sonnet-4-5", max_output_tokens: None };
        for write in [chat::write, messages::write, generate::write] {
            let (room, written) = (of_request(&request), write(&request, &target).expect("written").body);
            assert!((written.len()..written.len() * 3 / 2).contains(&room), "{room}: {}", written.len());
            assert_eq!(written.capacity(), room);
        }
    }
}
