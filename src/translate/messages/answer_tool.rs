//! An answer in JSON from a model that can't be held to a form: the tool whose arguments are the answer.
//!
//! The vendor has a place for schemas with its newer models only, and for any JSON with none. So the model has to call a
//! tool of ours, and what it calls it with comes back as the answer's text ([`crate::translate::disguise`]). Beside a
//! client's own tools it has to call one of them all: it either calls, or answers. Who is told to call a tool of the
//! client's anyway has nothing to answer yet.

use super::models::Model;
use crate::translate::canonical::{Output, Request, Speaker, ToolChoice};
use crate::translate::field::bad;
use crate::translate::members::{Members, text};
use crate::translate::peek::BadBody;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Its name, unless a tool of the client's has it.
const NAME: &str = "answer";

/// What the model is told of it.
pub(super) const PURPOSE: &str = "Gives your answer to the user. The arguments are the answer.";

/// Members that decide about the whole of a value, and that the vendor refuses at a schema's root.
const CHOICES: [&str; 5] = ["anyOf", "oneOf", "allOf", "enum", "const"];

/// The tool, and how it is chosen.
pub(super) struct AnswerTool<'w> {
    pub(super) name: Cow<'static, str>,
    /// Of its arguments.
    pub(super) schema: Cow<'w, RawValue>,
    /// Whether it has to be called, and no other may be.
    pub(super) is_alone: bool,
}

impl<'w> AnswerTool<'w> {
    /// For a request to a model, if it needs one.
    ///
    /// # Errors
    /// When the answer is to be no object, as arguments always are, or is to go on from words that stand there already:
    /// arguments begin anew.
    pub(super) fn of(request: &'w Request<'_>, model: &Model) -> Result<Option<AnswerTool<'w>>, BadBody> {
        let calls_anyway = matches!(request.tool_choice, ToolChoice::Any | ToolChoice::One(_));
        let schema = match &request.output {
            Output::Text => return Ok(None),
            Output::Schema { .. } if model.has_output_format => return Ok(None),
            _ if calls_anyway && !request.tools.is_empty() => return Ok(None),
            Output::Json => any_object()?,
            Output::Schema { schema, .. } => of_object(schema)?,
        };
        if request.turns.last().is_some_and(|turn| turn.speaker == Speaker::Model) {
            return Err(bad(
                "response_format",
                "can't be kept by this provider's model behind an assistant's turn",
            ));
        }
        let mut name = Cow::Borrowed(NAME);
        while request.tools.iter().any(|tool| tool.name == name) {
            name.to_mut().push('_');
        }
        let is_alone = request.tools.is_empty() || request.tool_choice == ToolChoice::None;
        Ok(Some(AnswerTool { name, schema, is_alone }))
    }
}

/// The schema of any object. It says that it is open: one without members reads like one of no arguments.
fn any_object<'w>() -> Result<Cow<'w, RawValue>, BadBody> {
    const ANY: &str = r#"{"type":"object","additionalProperties":true}"#;
    RawValue::from_string(ANY.to_owned()).map(Cow::Owned).map_err(|why| BadBody(why.to_string()))
}

/// The schema, which says that it is of an object.
fn of_object(schema: &RawValue) -> Result<Cow<'_, RawValue>, BadBody> {
    let wrong = || bad("response_format", "must be the schema of an object for this provider's model");
    let members = Members::of(schema).ok_or_else(wrong)?;
    match members.get("type").map(text) {
        Some(Some(kind)) if kind == "object" => Ok(Cow::Borrowed(schema)),
        None if !CHOICES.iter().any(|name| members.get(name).is_some()) => {
            let rest = schema.get().trim_start_matches('{').trim_start();
            let comma = if rest == "}" { "" } else { "," };
            let schema = format!("{{\"type\":\"object\"{comma}{rest}");
            RawValue::from_string(schema).map(Cow::Owned).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Part, Turn};

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn an_answer_that_is_begun_is_no_call() {
        let turn = |speaker| Turn { speaker, parts: vec![Part::text("{")] };
        let mut request =
            Request { output: Output::Json, turns: vec![turn(Speaker::User)], ..Request::default() };
        let model = Model::of("claude-opus-4-1");
        assert!(AnswerTool::of(&request, model).is_ok_and(|tool| tool.is_some()));
        request.turns.push(turn(Speaker::Model));
        assert!(AnswerTool::of(&request, model).is_err());
    }

    #[test]
    fn only_a_schema_of_an_object_can_be_a_tools() {
        for (schema, expected) in [
            (r#"{ "type":"object" }"#, Some(r#"{ "type":"object" }"#)),
            ("{ }", Some(r#"{"type":"object"}"#)),
            (r#"{ "properties":{}}"#, Some(r#"{"type":"object","properties":{}}"#)),
            (r##"{"$ref":"#/$defs/a"}"##, Some(r##"{"type":"object","$ref":"#/$defs/a"}"##)),
            (r#"{"type":"array"}"#, None),
            (r#"{"type":["object","null"]}"#, None),
            (r#"{"anyOf":[]}"#, None),
            (r#"{"enum":["a"]}"#, None),
            ("true", None),
        ] {
            let found = of_object(raw(schema)).ok().map(|schema| schema.get().to_owned());
            assert_eq!(found.as_deref(), expected, "{schema}");
        }
    }
}
