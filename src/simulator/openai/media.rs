//! Pictures and sound: bodies that aren't JSON, and a form.

use super::super::answer::{ANSWER, input_tokens};
use super::super::reply::{Refusal, Reply};
use super::super::route::{Call, missing};
use serde_json::{Value, json};

/// A PNG of one transparent pixel, in Base64.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Pictures that one request may ask for.
const MAX_PICTURES: u64 = 10;

/// Bytes of the speech.
const SPEECH_BYTES: usize = 16 << 10;

pub(super) fn draw(call: &Call<'_>) -> Result<Reply, Refusal> {
    let prompt = call.required_text("prompt")?;
    let count = match (&call.json["n"], call.json["n"].as_u64()) {
        (Value::Null, _) => 1,
        (_, Some(count @ 1..=MAX_PICTURES)) => usize::try_from(count).unwrap_or(1),
        _ => return Err(Refusal::invalid(format!("n: must be from 1 to {MAX_PICTURES}"))),
    };
    let input = input_tokens(prompt.len());
    let usage = json!({
        "input_tokens": input,
        "input_tokens_details": {"text_tokens": input, "image_tokens": 0},
        "output_tokens": count,
        "total_tokens": input + count,
    });
    let data = vec![json!({"b64_json": PIXEL}); count];
    Ok(Reply::json(200, &json!({"created": call.created, "data": data, "usage": usage})))
}

/// Hears the fixed answer in any sound.
pub(super) fn transcribe(call: &Call<'_>) -> Result<Reply, Refusal> {
    let boundary = call.request.header("content-type").and_then(boundary);
    let boundary = boundary.ok_or_else(|| Refusal::invalid("the body must be multipart/form-data"))?;
    let body = &call.request.body[..];
    field(body, boundary, "model").ok_or_else(|| missing("model"))?;
    let sound = field(body, boundary, "file").ok_or_else(|| missing("file"))?;
    if field(body, boundary, "response_format") == Some(b"text") {
        return Ok(Reply::whole(200, "text/plain; charset=utf-8", format!("{ANSWER}\n").into_bytes()));
    }
    let input = input_tokens(sound.len());
    let output = super::super::ANSWER_WORDS;
    let usage = json!({
        "type": "tokens",
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input + output,
    });
    Ok(Reply::json(200, &json!({"text": ANSWER, "usage": usage})))
}

/// All byte values in turn: no sound, but what a text filter on the way would spoil.
pub(super) fn speak(call: &Call<'_>) -> Result<Reply, Refusal> {
    for name in ["model", "input", "voice"] {
        call.required_text(name)?;
    }
    Ok(Reply::whole(200, "audio/mpeg", (0..=u8::MAX).cycle().take(SPEECH_BYTES).collect()))
}

fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.strip_prefix("multipart/form-data")?;
    let boundary = parameters.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"'))
}

/// The content of a form's field.
fn field<'a>(body: &'a [u8], boundary: &str, name: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let named = format!("name=\"{name}\"");
    let mut starts = memchr::memmem::find_iter(body, delimiter.as_bytes());
    let mut start = starts.next()?;
    for end in starts {
        let part = &body[start + delimiter.len()..end];
        start = end;
        let Some(gap) = memchr::memmem::find(part, b"\r\n\r\n") else { continue };
        if memchr::memmem::find(&part[..gap], named.as_bytes()).is_some() {
            return part[gap + 4..].strip_suffix(b"\r\n");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_form_are_found() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\r\n\x00\r\n--b--\r\n";
        assert_eq!(field(body, "b", "model"), Some(&b"whisper-1"[..]));
        assert_eq!(field(body, "b", "file"), Some(&b"\r\n\x00"[..]));
        assert_eq!(field(body, "b", "other"), None);
        assert_eq!(boundary("multipart/form-data; charset=x; boundary=\"b\""), Some("b"));
        assert_eq!(boundary("application/json"), None);
    }
}
