//! The `model` field of a `multipart/form-data` body (OpenAI's audio and image uploads).
//!
//! Source: RFC 7578 and RFC 2046, section 5.1.

use super::peek::BadBody;
use memchr::memmem;
use std::ops::Range;

/// The largest `model` value that is read.
const MAX_MODEL_BYTES: usize = 256;

/// The model that a multipart body names, and where its value stands.
///
/// # Errors
/// When the content type has no boundary, or no part named `model` with a text value is found.
pub fn model(content_type: &str, body: &[u8]) -> Result<(String, Range<usize>), BadBody> {
    let missing = || BadBody("the multipart body has no `model` field; add one as a form field".to_owned());
    let boundary = boundary(content_type)
        .ok_or_else(|| BadBody("the content type has no multipart boundary".to_owned()))?;
    let delimiter = format!("--{boundary}");
    let mut parts = memmem::find_iter(body, delimiter.as_bytes()).peekable();
    while let Some(start) = parts.next() {
        let start = start + delimiter.len();
        let end = parts.peek().copied().unwrap_or(body.len());
        let Some(part) = body.get(start..end) else { break };
        let Some(header_length) = memmem::find(part, b"\r\n\r\n") else { continue };
        if !names_model(&part[..header_length]) {
            continue;
        }
        let value = start + header_length + 4..end.saturating_sub(2);
        return body
            .get(value.clone())
            .filter(|text| !text.is_empty() && text.len() <= MAX_MODEL_BYTES)
            .and_then(|text| std::str::from_utf8(text).ok())
            .map(|text| (text.to_owned(), value))
            .ok_or_else(missing);
    }
    Err(missing())
}

fn boundary(content_type: &str) -> Option<&str> {
    let (_, parameters) = content_type.split_once(';')?;
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then_some(value)
}

fn names_model(header: &[u8]) -> bool {
    let header = String::from_utf8_lossy(header);
    header
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        .flat_map(|(_, value)| value.split(';'))
        .any(|parameter| matches!(parameter.trim(), "name=\"model\"" | "name=model"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"XyZ\"";

    #[test]
    fn the_model_field_is_found_behind_a_binary_file() {
        let body = b"--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\x00name=\"model\"\xff\r\n\
            --XyZ\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XyZ--\r\n";
        let (model, at) = model(TYPE, body).expect("found");
        assert_eq!(model, "whisper-1");
        assert_eq!(&body[at], b"whisper-1");
    }

    #[test]
    fn what_has_no_model_says_so() {
        for (content_type, body) in [
            ("multipart/form-data", &b"--XyZ\r\n\r\n"[..]),
            (TYPE, b""),
            (TYPE, b"--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n--XyZ--"),
            (TYPE, b"--XyZ\r\nContent-Disposition: form-data; name=\"model\""),
            (TYPE, b"--XyZ--XyZ--XyZ"),
        ] {
            assert!(model(content_type, body).is_err());
        }
    }
}
