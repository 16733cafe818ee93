//! The schemas of one request: what a client may give as one, and how much of them there may be.
//!
//! Who has to say a schema in other words goes through it level by level, and passes over what is in a level to find its
//! end. So each byte is passed over as often as it is deep, which is 32 times at most, and there is a bound on the bytes
//! of all schemas: together 16 MiB, which cost a few hundredths of a second.

use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most that all schemas of a request have, in bytes: those of some hundred tools, and more than most models could
/// read.
pub(super) const MAX_BYTES: usize = 512 << 10;

/// Room for the schemas of a request.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(MAX_BYTES)
    }
}

impl Room {
    /// Takes a schema in.
    ///
    /// # Errors
    /// When it is none, or one too many: the end of a sentence about its field.
    pub(super) fn take<'a>(&mut self, schema: &'a RawValue) -> Result<Cow<'a, RawValue>, &'static str> {
        if !schema.get().starts_with('{') {
            return Err("must be a JSON schema, an object");
        }
        let left = self.0.checked_sub(schema.get().len());
        self.0 = left
            .ok_or("brings the schemas of this request to more than 512 KiB; send fewer, or smaller ones")?;
        Ok(Cow::Borrowed(schema))
    }
}

#[cfg(test)]
mod tests {
    use super::super::peek::BadBody;
    use super::super::question::read;
    use super::super::signs::Api;
    use super::*;

    /// A schema of that many bytes.
    fn schema(bytes: usize) -> String {
        format!(r#"{{"title":"{}"}}"#, "x".repeat(bytes - r#"{"title":""}"#.len()))
    }

    #[test]
    fn the_schemas_of_a_request_have_room_up_to_the_bound_and_one_byte_more_is_refused() {
        let chat = |schema: &str| {
            format!(r#"{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}"#)
        };
        let responses = |schema: &str| format!(r#"{{"type":"function","name":"f","parameters":{schema}}}"#);
        let messages = |schema: &str| format!(r#"{{"name":"f","input_schema":{schema}}}"#);
        let standard =
            |schema: &str| format!(r#"{{"functionDeclarations":[{{"name":"f","parameters":{schema}}}]}}"#);
        let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
        let (input, contents) = (r#""input":"hi""#, r#""contents":{"parts":{"text":"hi"}}"#);
        type Tool<'t> = &'t dyn Fn(&str) -> String;
        let rows: [(Api, &str, Tool<'_>, &str); 4] = [
            (Api::Completions, hi, &chat, "function.parameters"),
            (Api::Responses, input, &responses, "parameters"),
            (Api::Messages, hi, &messages, "input_schema"),
            (Api::Generate, contents, &standard, "functionDeclarations[0].parameters"),
        ];
        for (api, said, tool, field) in rows {
            let refusal = |bytes| {
                let tools = [tool(&schema(100)), tool(&schema(bytes - 100))].join(",");
                let body = format!(r#"{{{said},"max_tokens":1,"tools":[{tools}]}}"#);
                read(api, body.as_bytes()).err().map(|BadBody(why)| why)
            };
            assert_eq!(refusal(MAX_BYTES), None, "{api:?}");
            let why = refusal(MAX_BYTES + 1).expect("refused");
            assert!(why.starts_with(&format!("`tools[1].{field}` brings the schemas")), "{why}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_schema() {
        let given: &RawValue = serde_json::from_str("[]").expect("JSON");
        assert_eq!(Room::default().take(given).map(|_| ()), Err("must be a JSON schema, an object"));
    }
}
