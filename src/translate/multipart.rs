//! The `model` field of a `multipart/form-data` body (OpenAI's audio and image uploads).
//!
//! Source: RFC 7578 and RFC 2046, section 5.1.

use super::edit::Edit;
use super::peek::BadBody;
use memchr::memmem;
use std::ops::Range;

/// The largest `model` value that is read.
const MAX_MODEL_BYTES: usize = 256;
/// The most parts that are looked through.
const MAX_PARTS: usize = 1_000;

/// The model of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name; `None` where there is no such field.
    pub name: Option<String>,
    place: Place,
}

/// Where the name is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In place of what stands there.
    Value(Range<usize>),
    /// In a field in front of all others, which begins so.
    New { at: usize, delimiter: String },
}

impl Model {
    /// The edit that has the form name this model, and no other.
    pub fn rename(&self, name: &str) -> Edit {
        match &self.place {
            Place::Value(at) => Edit { at: at.clone(), with: name.to_owned().into() },
            Place::New { at, delimiter } => {
                let header = "Content-Disposition: form-data; name=\"model\"";
                let with = format!("{delimiter}\r\n{header}\r\n\r\n{name}\r\n");
                Edit { at: *at..*at, with: with.into() }
            }
        }
    }
}

/// The model that a multipart body names.
///
/// # Errors
/// When the content type has no boundary, the body no part, or a part named `model` no text, or one that is too long.
pub fn model(content_type: &str, body: &[u8]) -> Result<Model, BadBody> {
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
    let Some(value) = found else {
        let first = starts.first().copied();
        let at = first.ok_or_else(|| {
            BadBody("the multipart body has no field `model`, nor any other; check its boundary".to_owned())
        })?;
        return Ok(Model { name: None, place: Place::New { at, delimiter } });
    };
    let name = body
        .get(value.clone())
        .filter(|text| !text.is_empty() && text.len() <= MAX_MODEL_BYTES)
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or_else(|| BadBody("the form field `model` must be a model's name".to_owned()))?;
    Ok(Model { name: Some(name.to_owned()), place: Place::Value(value) })
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
    use crate::translate::edit;
    use bytes::Bytes;

    const TYPE: &str = "multipart/form-data; boundary=\"XyZ\"";

    #[test]
    fn the_model_field_is_found_behind_a_binary_file() {
        let body = b"--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\x00name=\"model\"\xff\r\n\
            --XyZ\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XyZ--\r\n";
        let model = model(TYPE, body).expect("found");
        assert_eq!(model.name.as_deref(), Some("whisper-1"));
        let renamed = renamed(&model, body);
        assert!(renamed.windows(10).any(|it| it == b"\r\n\r\nmine\r\n") && renamed.len() == body.len() - 5);
    }

    fn renamed(model: &Model, body: &[u8]) -> Vec<u8> {
        edit::apply(&Bytes::copy_from_slice(body), vec![model.rename("mine")]).to_vec()
    }

    #[test]
    fn a_form_that_names_no_model_can_be_given_one() {
        let rest = "--XyZ\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--XyZ--\r\n";
        for before in ["", "a preamble, which nobody reads\r\n"] {
            let body = format!("{before}{rest}");
            let nameless = model(TYPE, body.as_bytes()).expect("a form");
            assert_eq!(nameless.name, None);
            let field = "--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmine\r\n";
            let named = renamed(&nameless, body.as_bytes());
            assert_eq!(String::from_utf8_lossy(&named), format!("{before}{field}{rest}"));
            assert_eq!(model(TYPE, &named).expect("a form").name.as_deref(), Some("mine"));
        }
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
        assert!(model(TYPE, body(MAX_PARTS).as_bytes()).is_ok_and(|model| model.name.is_none()));
        let why = model(TYPE, body(MAX_PARTS + 1).as_bytes()).expect_err("too many").0;
        assert!(why.contains("more than"));
    }

    #[test]
    fn what_is_no_form_or_names_its_model_badly_is_refused() {
        let field = |name: &str| {
            format!("--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{name}\r\n--XyZ--")
        };
        let (longest, too_long) = ("x".repeat(MAX_MODEL_BYTES), "x".repeat(MAX_MODEL_BYTES + 1));
        assert!(model(TYPE, field(&longest).as_bytes()).is_ok_and(|model| model.name == Some(longest)));
        for (content_type, body) in [
            ("multipart/form-data", field("m")),
            (TYPE, String::new()),
            (TYPE, field("")),
            (TYPE, field(&too_long)),
        ] {
            assert!(model(content_type, body.as_bytes()).is_err(), "{body}");
        }
    }
}
