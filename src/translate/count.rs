//! How many tokens a request has, asked of a provider of another dialect.
//!
//! Decides what of a request is sent to be counted, finds the number in the answer, and estimates one for who has nobody
//! to ask. Who has no such endpoint is [`super::features`]' to say.
//!
//! Sources: Anthropic's reference of `POST /v1/messages/count_tokens`; Gemini API reference, "Counting tokens"; OpenAI's
//! of `POST /v1/responses/input_tokens`.

use super::canonical::{Media, MediaKind, Output, Part, Request, Source};
use super::features::Feature;
use super::json;
use super::peek::BadBody;
use super::question;
use super::sides::{Target, Written};
use super::signs::Api;
use super::usage::BYTES_PER_TOKEN;
use super::{generate, messages};
use serde_json::json;

/// The member in which Gemini is given all of a request, system prompt and tools included.
const WHOLE: &str = "generateContentRequest";

/// What says how to answer, of which there is nothing to count.
const ON_ANSWERS: [Feature; 15] = [
    Feature::TopK,
    Feature::Seed,
    Feature::Penalties,
    Feature::LogitBias,
    Feature::Logprobs,
    Feature::SeveralAnswers,
    Feature::FiveStops,
    Feature::SixStops,
    Feature::MediaOutput,
    Feature::User,
    Feature::ServiceTier,
    Feature::Labels,
    Feature::Prediction,
    Feature::Verbosity,
    Feature::EnumOutput,
];

/// Reads a client's request, but for what says how to answer, which providers that count refuse or don't look at.
///
/// # Errors
/// When it can't be understood; names the field.
pub fn read(client: Api, body: &[u8]) -> Result<Request<'_>, BadBody> {
    let mut request = match client {
        Api::Generate => generate_request(body),
        client => question::said(client, body),
    }?;
    ON_ANSWERS.iter().for_each(|feature| request.features.remove(*feature));
    request.features.insert(Feature::Counting);
    Ok(Request {
        max_output_tokens: None,
        temperature: None,
        top_p: None,
        top_k: None,
        seed: None,
        presence_penalty: None,
        frequency_penalty: None,
        stop: Vec::new(),
        user: None,
        streams: false,
        unanswered: None,
        ..request
    })
}

/// Gemini takes contents alone, or a whole request in a member of its own.
fn generate_request(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let [whole, snake, contents] = json::members(body, [WHOLE, "generate_content_request", "contents"])?;
    match (whole.or(snake), contents) {
        (None, _) => question::said(Api::Generate, body),
        (Some(_), Some(_)) => Err(BadBody(format!("`contents` must not stand beside `{WHOLE}`"))),
        (Some(at), None) => {
            question::said(Api::Generate, &body[at]).map_err(|BadBody(why)| match why.strip_prefix('`') {
                Some(path) => BadBody(format!("`{WHOLE}.{path}")),
                None => BadBody(format!("`{WHOLE}`: {why}")),
            })
        }
    }
}

/// Writes it for a provider, and says what of its API is called: the path below the version, or Gemini's verb.
///
/// # Errors
/// When it can't be said there, or the provider doesn't count.
pub fn write(
    request: &Request<'_>,
    provider: Api,
    target: &Target<'_>,
) -> Result<(Written, &'static str), BadBody> {
    match provider {
        Api::Messages => Ok((messages::write_count(request, target)?, "messages/count_tokens")),
        Api::Generate => Ok((for_gemini(request, target)?, "countTokens")),
        Api::Completions | Api::Responses | Api::Other => {
            Err(BadBody("this provider doesn't count tokens".to_owned()))
        }
    }
}

fn for_gemini(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = generate::write(request, target)?;
    let [contents, ..] = json::members(&written.body, ["contents"])?;
    // Contents alone are what every version of the endpoint takes.
    let is_alone = contents
        .as_ref()
        .is_some_and(|at| at.start == br#"{"contents":"#.len() && at.end + 1 == written.body.len());
    if !is_alone {
        let model = serde_json::Value::from(format!("models/{}", target.model));
        let inner = written.body.get(1..).unwrap_or_default();
        written.body = [format!(r#"{{"{WHOLE}":{{"model":{model},"#).as_bytes(), inner, b"}"].concat();
    }
    Ok(written)
}

/// What a picture is taken to be worth: most come to 1,000 to 1,600 at the vendors, however many bytes they have.
const TOKENS_OF_PICTURE: u64 = 1_500;
/// Characters of base64 that make about one token where it is sound, or pages: a rule of thumb.
const CHARACTERS_PER_TOKEN: u64 = 100;

/// About as many tokens as a request has, by what is said in it: not by its length, most of which a picture may be.
pub fn estimate(request: &Request<'_>) -> u64 {
    let said = request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.parts));
    let tools = request.tools.iter().map(|tool| {
        let schema = tool.parameters.as_ref().map_or(0, |schema| schema.get().len());
        tool.name.len() + tool.description.as_ref().map_or(0, |text| text.len()) + schema
    });
    let output = match &request.output {
        Output::Schema { schema, .. } => schema.get().len(),
        Output::Text | Output::Json => 0,
    };
    let mut size = Size { bytes: tools.sum::<usize>() + output, tokens: 0 };
    said.for_each(|part| size.add(part));
    (size.bytes as u64).div_ceil(BYTES_PER_TOKEN) + size.tokens
}

/// What has been seen of a request: bytes of text, and tokens of what is no text.
struct Size {
    bytes: usize,
    tokens: u64,
}

impl Size {
    fn add(&mut self, part: &Part<'_>) {
        match part {
            Part::Text(text) => self.bytes += text.text.len(),
            Part::Refusal(text) => self.bytes += text.len(),
            Part::Thought(thought) => self.bytes += thought.text.len(),
            Part::Call(call) => self.bytes += call.name.len() + call.arguments.len(),
            Part::Result(result) => result.content.iter().for_each(|part| self.add(part)),
            Part::Media(Media { kind, source, .. }) => match (kind, source) {
                (_, Source::Text(text)) => self.bytes += text.len(),
                (MediaKind::Image, _) | (_, Source::Url { .. }) => self.tokens += TOKENS_OF_PICTURE,
                (_, Source::Inline { data, .. }) => self.tokens += data.len() as u64 / CHARACTERS_PER_TOKEN,
            },
        }
    }
}

/// The number in a provider's answer, if it is one.
pub fn read_answer(provider: Api, body: &[u8]) -> Option<u64> {
    let name = if provider == Api::Generate { "totalTokens" } else { "input_tokens" };
    let [at] = json::members(body, [name]).ok()?;
    serde_json::from_slice(&body[at?]).ok()
}

/// The number in the client's words.
pub fn write_answer(client: Api, tokens: u64) -> Vec<u8> {
    let answer = match client {
        Api::Generate => json!({"totalTokens": tokens}),
        Api::Responses => json!({"object": "response.input_tokens", "input_tokens": tokens}),
        Api::Messages | Api::Completions | Api::Other => json!({"input_tokens": tokens}),
    };
    answer.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const TARGET: Target<'_> = Target { model: "m", max_output_tokens: Some(64_000) };

    fn asked(client: Api, provider: Api, body: &str) -> (Value, &'static str) {
        let request = read(client, body.as_bytes()).expect("a request");
        assert!(request.features.contains(Feature::Counting));
        let (written, endpoint) = write(&request, provider, &TARGET).expect("written");
        (serde_json::from_slice(&written.body).expect("JSON"), endpoint)
    }

    #[test]
    fn anthropic_is_asked_with_what_is_said_and_nothing_on_how_to_answer() {
        let body = r#"{"generateContentRequest":{"model":"models/x","contents":[{"parts":[{"text":"Hi"}]}],
            "systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"f"}]}],
            "generationConfig":{"temperature":1,"topP":0.5,"topK":3,"maxOutputTokens":9,"stopSequences":["x"]}}}"#;
        let (asked, endpoint) = asked(Api::Generate, Api::Messages, body);
        assert_eq!(endpoint, "messages/count_tokens");
        let mut names: Vec<_> = asked.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["messages", "model", "system", "tools"]);
        assert_eq!(asked["messages"][0]["content"][0]["text"], "Hi");
        let features = read(Api::Generate, body.as_bytes()).expect("a request").features;
        assert_eq!(features.dropped_by(Api::Messages).count(), 0);
    }

    #[test]
    fn gemini_is_asked_with_contents_alone_or_with_all_of_a_request() {
        let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
        let plain = r#"{"model":"c","messages":[{"role":"user","content":"Hi"}]}"#;
        assert_eq!(
            asked(Api::Messages, Api::Generate, plain),
            (json!({"contents": contents}), "countTokens")
        );
        let system = r#"{"model":"c","system":"Be brief.","messages":[{"role":"user","content":"Hi"}]}"#;
        let expected = json!({"generateContentRequest": {
            "model": "models/m",
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": contents,
        }});
        assert_eq!(asked(Api::Messages, Api::Generate, system).0, expected);
        let responses = r#"{"model":"c","instructions":"Be brief.","input":"Hi"}"#;
        assert_eq!(asked(Api::Responses, Api::Generate, responses).0, expected);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let why = |body: &str| read(Api::Generate, body.as_bytes()).expect_err("refused").0;
        assert!(
            why(r#"{"generateContentRequest":{"contents":[{"role":"x"}]}}"#)
                .starts_with("`generateContentRequest.contents[0].role`")
        );
        assert!(why(r#"{"generateContentRequest":7}"#).starts_with("`generateContentRequest`"));
        assert!(why(r#"{"generateContentRequest":{},"contents":[]}"#).starts_with("`contents` must not"));
        assert!(why(r#"{"contents":[{"role":"x"}]}"#).starts_with("`contents[0].role`"));
    }

    #[test]
    fn an_estimate_is_of_what_is_said_and_not_of_a_pictures_bytes() {
        let of = |content: Value| {
            let body = json!({"model": "c", "messages": [{"role": "user", "content": content}]}).to_string();
            estimate(&read(Api::Messages, body.as_bytes()).expect("a request"))
        };
        assert_eq!((of(json!("Hell")), of(json!("Hello"))), (1, 2));
        let picture = |bytes: usize| {
            let source = json!({"type": "base64", "media_type": "image/png", "data": "QUJD".repeat(bytes)});
            of(json!([{"type": "text", "text": "Hell"}, {"type": "image", "source": source}]))
        };
        assert_eq!((picture(1), picture(100_000)), (1_501, 1_501));
        let body = r#"{"model":"c","system":"12345678","messages":[{"role":"user","content":"1234"}],
            "tools":[{"name":"f","description":"123","input_schema":{"a":"b"}}]}"#;
        assert_eq!(
            estimate(&read(Api::Messages, body.as_bytes()).expect("a request")),
            3 + 4,
            "of 12 and 13 bytes"
        );
    }

    #[test]
    fn the_number_is_said_in_every_clients_words() {
        assert_eq!(read_answer(Api::Generate, br#"{"totalTokens": 7, "promptTokensDetails": []}"#), Some(7));
        assert_eq!(read_answer(Api::Messages, br#"{"input_tokens":7}"#), Some(7));
        for answer in ["{}", "[]", r#"{"input_tokens":-1}"#, r#"{"input_tokens":"7"}"#, "x"] {
            assert_eq!(read_answer(Api::Messages, answer.as_bytes()), None, "{answer}");
        }
        for client in [Api::Messages, Api::Generate] {
            assert_eq!(read_answer(client, &write_answer(client, 7)), Some(7));
        }
        let responses: Value = serde_json::from_slice(&write_answer(Api::Responses, 7)).expect("JSON");
        assert_eq!(responses, json!({"object": "response.input_tokens", "input_tokens": 7}));
    }
}
