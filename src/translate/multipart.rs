//! The `model` field of a `multipart/form-data` body (OpenAI's audio and image uploads).
//!
//! Source: RFC 7578 and RFC 2046, section 5.1.

use super::peek::BadBody;
use memchr::memmem;
use std::ops::Range;

/// The largest `model` value that is read.
const MAX_MODEL_BYTES: usize = 256;
/// The most parts that are looked through.
const MAX_PARTS: usize = 1_000;

/// The model that a multipart body names, and where its value stands.
///
/// # Errors
/// When the content type has no boundary, or no part named `model` with a text value is found.
pub fn model(content_type: &str, body: &[u8]) -> Result<(String, Range<usize>), BadBody> {
    let missing = || BadBody("the multipart body has no `model` field; add one as a form field".to_owned());
    let boundary = boundary(content_type)
        .ok_or_else(|| BadBody("the content type has no multipart boundary".to_owned()))?;
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).take(MAX_PARTS + 1).collect();
    if starts.len() > MAX_PARTS {
        return Err(BadBody(format!("the multipart body has more than {MAX_PARTS} parts")));
    }
    let ends = starts.iter().skip(1).copied().chain([body.len()]);
    let mut found = None;
    for (start, end) in starts.iter().map(|start| start + delimiter.len()).zip(ends) {
        let Some(part) = body.get(start..end) else { break };
        let Some(header_length) = memmem::find(part, b"\r\n\r\n") else { continue };
        if !names_model(&part[..header_length]) {
            continue;
        }
        // Which of two a provider takes is anybody's guess, and a key may be allowed only one of them.
        if found.is_some() {
            return Err(BadBody("the multipart body has two `model` fields; send one".to_owned()));
        }
        found = Some(start + header_length + 4..end.saturating_sub(2));
    }
    let value = found.ok_or_else(missing)?;
    body.get(value.clone())
        .filter(|text| !text.is_empty() && text.len() <= MAX_MODEL_BYTES)
        .and_then(|text| std::str::from_utf8(text).ok())
        .map(|text| (text.to_owned(), value))
        .ok_or_else(missing)
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
    fn a_second_model_field_is_refused() {
        let field = "--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n";
        let body = format!("{field}{field}--XyZ--\r\n");
        assert!(model(TYPE, body.as_bytes()).is_err_and(|BadBody(why)| why.contains("two `model`")));
    }

    #[test]
    fn parts_are_bounded() {
        let body = |parts: usize| "--XyZ\r\n".repeat(parts);
        let why = |parts| model(TYPE, body(parts).as_bytes()).expect_err("no model in it").0;
        assert!(why(MAX_PARTS).contains("no `model` field"));
        assert!(why(MAX_PARTS + 1).contains("more than"));
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
