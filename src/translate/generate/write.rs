//! A request, written for a provider.
//!
//! Gemini wants turns to alternate, calls to be answered in the very next content, and nothing else beside the answers:
//! so what a user says beside results, pictures that a tool gave included, comes in a content behind them.

use super::NAMES;
use super::config::Config;
use super::models;
use super::said::{self, Content, FunctionCall, FunctionResponse, Given, Part};
use super::tools::{Choice, Tools};
use crate::domain::Quoted;
use crate::translate::arguments;
use crate::translate::canonical::{self, Call, CallResult, Request, Signature, Speaker, Thought, Turn};
use crate::translate::features::Feature;
use crate::translate::members::Members;
use crate::translate::peek::BadBody;
use crate::translate::pieces;
use crate::translate::room;
use crate::translate::sides::{Target, Written};
use crate::translate::signs::Api;
use crate::translate::verbatim::Verbatim;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a user says who says nothing: Gemini refuses a request without contents, and one that the model begins.
const SILENCE: &str = " ";
/// What stands in for the signature of a call that Gemini 3 didn't make, and would refuse without one. Source: Gemini API
/// guide "Thought signatures", on histories of other models.
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// `GenerateContentRequest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'w>>,
    contents: Vec<Content<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tools<'w>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Choice<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<Config<'w>>,
}

/// Writes the body of `generateContent` and `streamGenerateContent`, which are alike. Source: Gemini API reference,
/// "Generating content".
///
/// # Errors
/// When the arguments of a call are no JSON object.
pub fn write(request: &Request<'_>, target: &Target<'_>) -> Result<Written, BadBody> {
    let mut written = Written::default();
    let mut writing = Writing {
        needs_signatures: models::family(target.model).needs_signatures,
        written: &mut written,
        contents: Vec::with_capacity(request.turns.len()),
    };
    for turn in &request.turns {
        match turn.speaker {
            Speaker::Model => writing.model(turn)?,
            Speaker::User => writing.user(turn),
        }
    }
    let mut contents = writing.contents;
    if contents.first().is_none_or(|content| content.role != Some(USER)) {
        contents.insert(0, Content { role: Some(USER), parts: vec![Part::text(SILENCE)] });
    }
    let body = Body {
        system_instruction: system(request),
        contents,
        tools: Tools::of(request, &mut written),
        tool_config: Choice::of(request),
        generation_config: Config::of(request, target, &mut written),
    };
    written.body =
        pieces::written(&body, room::of_request(request)).map_err(|error| BadBody(error.to_string()))?;
    Ok(written)
}

const USER: &str = "user";
const MODEL: &str = "model";

fn system<'w>(request: &'w Request<'_>) -> Option<Content<'w>> {
    let parts: Vec<_> = request.system.iter().filter_map(words).map(Part::text).collect();
    (!parts.is_empty()).then_some(Content { role: None, parts })
}

/// The words that a part has; Gemini refuses empty ones.
fn words<'w>(part: &'w canonical::Part<'_>) -> Option<Verbatim<'w>> {
    match part {
        canonical::Part::Text(text) => Some(text.text.borrowed()),
        canonical::Part::Refusal(text) => Some(Verbatim::from(text.as_ref())),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

/// Contents on their way out.
struct Writing<'w, 'o> {
    needs_signatures: bool,
    written: &'o mut Written,
    contents: Vec<Content<'w>>,
}

impl<'w> Writing<'w, '_> {
    /// Appends what one says to what they said last, or begins anew.
    fn say(&mut self, role: &'static str, parts: Vec<Part<'w>>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(last) if last.role == Some(role) && !holds_results(last) => last.parts.extend(parts),
            _ => self.contents.push(Content { role: Some(role), parts }),
        }
    }

    fn model(&mut self, turn: &'w Turn<'_>) -> Result<(), BadBody> {
        let mut parts = Vec::with_capacity(turn.parts.len());
        let mut has_called = false;
        for part in &turn.parts {
            match part {
                canonical::Part::Text(_) | canonical::Part::Refusal(_) => {
                    parts.extend(words(part).map(Part::text));
                }
                canonical::Part::Media(media) => parts.push(self.medium(media)),
                canonical::Part::Thought(thought) => parts.extend(self.thought(thought)),
                canonical::Part::Call(call) => {
                    parts.push(self.call(call, !has_called)?);
                    has_called = true;
                }
                // The user's, and only there.
                canonical::Part::Result(_) => {}
            }
        }
        self.say(MODEL, parts);
        Ok(())
    }

    fn user(&mut self, turn: &'w Turn<'_>) {
        let (mut results, mut others) = (Vec::new(), Vec::new());
        for part in &turn.parts {
            match part {
                canonical::Part::Result(result) => {
                    results.push(self.result(result));
                    for part in &result.content {
                        if let canonical::Part::Media(media) = part {
                            others.push(self.medium(media));
                        }
                    }
                }
                canonical::Part::Media(media) => others.push(self.medium(media)),
                _ => others.extend(words(part).map(Part::text)),
            }
        }
        self.answer(results);
        self.say(USER, others);
    }

    /// Results go with results, though each may come as a turn of its own, and before all else since the call.
    fn answer(&mut self, results: Vec<Part<'w>>) {
        if results.is_empty() {
            return;
        }
        let called = self.contents.iter().rposition(|content| content.role == Some(MODEL));
        let at = called.map_or(0, |called| called + 1);
        match self.contents.get_mut(at) {
            Some(content) if holds_results(content) => content.parts.extend(results),
            _ => self.contents.insert(at, Content { role: Some(USER), parts: results }),
        }
    }

    fn medium(&mut self, media: &'w canonical::Media<'_>) -> Part<'w> {
        if media.name.is_some() {
            self.written.lose(Feature::FileNames);
        }
        said::medium(media)
    }

    fn call(&mut self, call: &'w Call<'_>, is_first: bool) -> Result<Part<'w>, BadBody> {
        let wrong =
            || BadBody(format!("the arguments of the call {} must be a JSON object", Quoted(&call.id)));
        let args = arguments::raw(&call.arguments).ok_or_else(wrong)?;
        let own = call.signature.as_ref().and_then(|signature| self.own(signature));
        // Of calls made at once the first alone is signed.
        let is_missing = own.is_none() && is_first && self.needs_signatures;
        if is_missing {
            self.written.lose(Feature::ForeignThoughts);
        }
        let thought_signature = own.or(is_missing.then_some(UNSIGNED)).map(Cow::Borrowed);
        let function_call = FunctionCall { id: &call.id, name: NAMES.sent(&call.name), args };
        Ok(Part { function_call: Some(function_call), thought_signature, ..Part::default() })
    }

    /// A thought that Gemini signed; others are none of its own.
    fn thought(&mut self, thought: &'w Thought<'_>) -> Option<Part<'w>> {
        let Some(signature) = &thought.signature else {
            self.written.lose(Feature::ForeignThoughts);
            return None;
        };
        let own = self.own(signature)?;
        let thought_signature = Some(Cow::Borrowed(own));
        let is_thought = !thought.is_redacted;
        Some(Part { thought: is_thought, thought_signature, ..Part::text(thought.text.as_ref()) })
    }

    fn own(&mut self, signature: &'w Signature<'_>) -> Option<&'w str> {
        if signature.maker != Api::Generate {
            self.written.lose(Feature::ForeignThoughts);
            return None;
        }
        Some(signature.text.as_ref())
    }

    fn result(&mut self, result: &'w CallResult<'_>) -> Part<'w> {
        let mut texts = result.content.iter().filter_map(words);
        let first = texts.next().unwrap_or_default();
        let name = if result.is_error { "error" } else { "result" };
        let response = match texts.next() {
            // An error is told by its name, which a client of Gemini's has given already.
            None => object(&first).filter(|it| !result.is_error || says_error(it.get())).map(Given::Object),
            Some(second) => {
                let mut all = first.plain().into_owned();
                for text in std::iter::once(second).chain(texts) {
                    all.push('\n');
                    all.push_str(&text.plain());
                }
                Some(Given::Words(name, all.into()))
            }
        };
        let response = response.unwrap_or(Given::Words(name, first));
        let (id, name) = (result.id.as_ref(), NAMES.sent(&result.name));
        Part { function_response: Some(FunctionResponse { id, name, response }), ..Part::default() }
    }
}

fn holds_results(content: &Content<'_>) -> bool {
    content.parts.first().is_some_and(|part| part.function_response.is_some())
}

/// The JSON object that words are, if they are one.
fn object<'w>(words: &Verbatim<'w>) -> Option<Cow<'w, RawValue>> {
    if !words.may_begin_with('{') {
        return None;
    }
    match words.clone().into_plain() {
        Cow::Borrowed(text) => arguments::object(text).map(Cow::Borrowed),
        Cow::Owned(text) => arguments::object(&text).map(|object| Cow::Owned(object.to_owned())),
    }
}

fn says_error(text: &str) -> bool {
    arguments::object(text).and_then(Members::of).is_some_and(|members| members.get("error").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{
        Effort, Media, MediaKind, Output, Part as Said, Reasoning, Source, Tool, ToolChoice,
    };
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    fn target(model: &str) -> Target<'_> {
        Target { model, max_output_tokens: None }
    }

    fn written(request: &Request<'_>) -> (Value, Vec<&'static str>) {
        written_for(request, "gemini-2.5-flash")
    }

    fn written_for(request: &Request<'_>, model: &str) -> (Value, Vec<&'static str>) {
        let written = write(request, &target(model)).expect("written");
        (serde_json::from_slice(&written.body).expect("JSON"), written.lost)
    }

    fn turn<'a>(speaker: Speaker, parts: Vec<Said<'a>>) -> Turn<'a> {
        Turn { speaker, parts }
    }

    fn call(id: &'static str, signature: Option<(Api, &'static str)>) -> Said<'static> {
        let signature = signature.map(|(maker, text)| Signature { maker, text: text.into() });
        Said::Call(Call {
            id: id.into(),
            name: "f".into(),
            arguments: r#"{"b": 1,"a":1.0}"#.into(),
            signature,
            ends_cache: false,
        })
    }

    fn result(id: &'static str, content: Vec<Said<'static>>, is_error: bool) -> Said<'static> {
        Said::Result(CallResult { id: id.into(), name: "f".into(), content, is_error, ends_cache: false })
    }

    fn image(source: Source<'static>) -> Said<'static> {
        Said::Media(Media { kind: MediaKind::Image, source, name: None, ends_cache: false })
    }

    #[test]
    fn a_request_of_only_a_system_prompt_has_a_user_who_says_nothing() {
        let request = Request { system: vec![Said::text("Be brief.")], ..Request::default() };
        let expected = json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": " "}]}],
        });
        assert_eq!(written(&request), (expected, vec![]));
    }

    #[test]
    fn neighbours_are_merged_and_results_stand_alone_right_behind_their_calls() {
        let png = || Source::Inline { media_type: "image/png".into(), data: "AAAA".into() };
        let turns = vec![
            turn(Speaker::User, vec![Said::text("a")]),
            turn(Speaker::User, vec![Said::text(""), Said::text("b")]),
            turn(Speaker::Model, vec![Said::text("c"), call("1", None), call("2", None)]),
            turn(Speaker::User, vec![Said::text("d"), result("2", vec![Said::text("{\"x\":1}")], false)]),
            turn(
                Speaker::User,
                vec![result("1", vec![Said::text("no"), image(png())], true), Said::text("e")],
            ),
        ];
        let (body, lost) = written(&Request { turns, ..Request::default() });
        let called = |id| json!({"functionCall": {"id": id, "name": "f", "args": {"b": 1, "a": 1.0}}});
        let gave = |id, response| json!({"functionResponse": {"id": id, "name": "f", "response": response}});
        assert_eq!(
            body["contents"],
            json!([
                {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
                {"role": "model", "parts": [{"text": "c"}, called("1"), called("2")]},
                {"role": "user", "parts": [gave("2", json!({"x": 1})), gave("1", json!({"error": "no"}))]},
                {"role": "user", "parts": [
                    {"text": "d"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"text": "e"},
                ]},
            ])
        );
        assert!(lost.is_empty());
    }

    #[test]
    fn arguments_are_given_on_byte_for_byte() {
        let turns = vec![turn(Speaker::Model, vec![call("1", None)])];
        let body = write(&Request { turns, ..Request::default() }, &target("x")).expect("written").body;
        let body = String::from_utf8(body).expect("text");
        assert!(body.contains(r#""args":{"b": 1,"a":1.0}}"#), "{body}");
        for arguments in ["[1]", "nothing", "{"] {
            let Said::Call(call) = call("1", None) else { panic!("a call") };
            let turns =
                vec![turn(Speaker::Model, vec![Said::Call(Call { arguments: arguments.into(), ..call })])];
            assert!(write(&Request { turns, ..Request::default() }, &target("x")).is_err(), "{arguments}");
        }
    }

    #[test]
    fn results_are_objects_whatever_the_tool_gave() {
        for (texts, is_error, expected) in [
            (vec!["{\"a\":1}"], false, json!({"a": 1})),
            (vec!["[1]"], false, json!({"result": "[1]"})),
            (vec![], false, json!({"result": ""})),
            (vec!["a", "b"], false, json!({"result": "a\nb"})),
            (vec!["no"], true, json!({"error": "no"})),
            (vec!["{\"a\":1}"], true, json!({"error": "{\"a\":1}"})),
            (vec!["{\"error\":\"no\"}"], true, json!({"error": "no"})),
        ] {
            let content = texts.iter().map(|text| Said::text(*text)).collect();
            let turns = vec![
                turn(Speaker::Model, vec![call("1", None)]),
                turn(Speaker::User, vec![result("1", content, is_error)]),
            ];
            let (body, _) = written(&Request { turns, ..Request::default() });
            let given = &body["contents"][2]["parts"][0]["functionResponse"]["response"];
            assert_eq!(*given, expected, "{texts:?}");
        }
    }

    #[test]
    fn signatures_go_back_to_their_maker_only() {
        let thought = |text: &'static str, maker, is_redacted| {
            let signature = Some(Signature { maker, text: "c2ln".into() });
            Said::Thought(Thought { text: text.into(), signature, is_redacted })
        };
        let parts = vec![
            thought("own", Api::Generate, false),
            thought("foreign", Api::Messages, false),
            Said::Thought(Thought { text: "unsigned".into(), ..Thought::default() }),
            Said::text("Hi"),
            thought("", Api::Generate, true),
            call("1", Some((Api::Generate, "Y2FsbA=="))),
            call("2", Some((Api::Messages, "foreign"))),
        ];
        let turns = vec![turn(Speaker::User, vec![Said::text("a")]), turn(Speaker::Model, parts)];
        let (body, lost) = written(&Request { turns, ..Request::default() });
        let parts = &body["contents"][1]["parts"];
        assert_eq!(parts[0], json!({"text": "own", "thought": true, "thoughtSignature": "c2ln"}));
        assert_eq!(parts[1], json!({"text": "Hi"}));
        assert_eq!(parts[2], json!({"text": "", "thoughtSignature": "c2ln"}));
        assert_eq!(parts[3]["thoughtSignature"], "Y2FsbA==");
        assert_eq!(parts[4]["thoughtSignature"], Value::Null);
        assert_eq!(lost, ["thinking"]);
    }

    #[test]
    fn gemini_3_gets_a_stand_in_where_a_call_has_no_signature_of_its_own() {
        let turns = vec![turn(Speaker::Model, vec![call("1", None), call("2", None)])];
        let request = Request { turns, ..Request::default() };
        let (body, lost) = written_for(&request, "models/gemini-3-pro-preview");
        let parts = &body["contents"][1]["parts"];
        assert_eq!(parts[0]["thoughtSignature"], UNSIGNED);
        assert_eq!(parts[1]["thoughtSignature"], Value::Null);
        assert_eq!(lost, ["thinking"]);
        assert_eq!(written(&request).0["contents"][1]["parts"][0]["thoughtSignature"], Value::Null);
    }

    fn tool(name: &'static str, schema: Option<&'static str>) -> Tool<'static> {
        let parameters =
            schema.map(|schema| Cow::Owned(RawValue::from_string(schema.to_owned()).expect("JSON")));
        Tool { name: name.into(), description: Some("D".into()), parameters, strict: None, ends_cache: false }
    }

    #[test]
    fn tools_are_declared_by_names_and_schemas_that_gemini_takes() {
        let tools = vec![
            tool(
                "get weather",
                Some(r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}}}"#),
            ),
            tool("now", Some(r#"{"type":"object","properties":{}}"#)),
        ];
        let tool_choice = ToolChoice::One("get weather".into());
        let request = Request { tools, tool_choice, ..Request::default() };
        let (body, lost) = written(&request);
        let sent = NAMES.sent("get weather").into_owned();
        assert_eq!(
            body["tools"],
            json!([{"functionDeclarations": [
                {"name": sent, "description": "D", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
                {"name": "now", "description": "D"},
            ]}])
        );
        let config = json!({"mode": "ANY", "allowedFunctionNames": [sent]});
        assert_eq!(body["toolConfig"]["functionCallingConfig"], config);
        assert_eq!(lost, ["schema"]);
        let renamed = write(&request, &target("x")).expect("written").renamed;
        assert_eq!(renamed, [(sent, "get weather".to_owned())]);
    }

    #[test]
    fn each_choice_has_its_mode_and_none_disables_tools() {
        for (tool_choice, mode) in [
            (ToolChoice::Any, json!("ANY")),
            (ToolChoice::None, json!("NONE")),
            (ToolChoice::Auto, Value::Null),
        ] {
            let request = Request { tools: vec![tool("f", None)], tool_choice, ..Request::default() };
            assert_eq!(written(&request).0["toolConfig"]["functionCallingConfig"]["mode"], mode);
        }
        let request = Request { tool_choice: ToolChoice::Any, ..Request::default() };
        assert_eq!(written(&request).0["toolConfig"], Value::Null, "nothing to choose from");
    }

    #[test]
    fn settings_have_geminis_names_and_bounds() {
        let request = Request {
            temperature: Some(0.5),
            top_p: Some(0.9),
            top_k: Some(3),
            max_output_tokens: Some(100),
            stop: vec!["x".into()],
            seed: Some(1 << 40),
            presence_penalty: Some(1.0),
            frequency_penalty: Some(-1.0),
            output: Output::Json,
            ..Request::default()
        };
        let target = Target { model: "x", max_output_tokens: Some(99) };
        let written = write(&request, &target).expect("written");
        let body: Value = serde_json::from_slice(&written.body).expect("JSON");
        assert_eq!(
            body["generationConfig"],
            json!({"temperature": 0.5, "topP": 0.9, "topK": 3, "maxOutputTokens": 99, "stopSequences": ["x"],
                "presencePenalty": 1.0, "frequencyPenalty": -1.0, "responseMimeType": "application/json"})
        );
        assert_eq!(written.lost, ["seed", "max_tokens"]);
        let request = Request { seed: Some(i64::from(i32::MAX)), ..Request::default() };
        assert_eq!(tests::written(&request).0["generationConfig"], json!({"seed": i32::MAX}));
    }

    #[test]
    fn a_schema_of_the_answer_goes_as_it_is_where_that_is_understood() {
        let schema = RawValue::from_string(r#"{"type": "object","properties":{"a":{"const":1}}}"#.into())
            .expect("JSON");
        let output = Output::Schema { name: None, schema: Cow::Borrowed(&schema), strict: None };
        let request = Request { output, ..Request::default() };
        let (body, lost) = written(&request);
        assert_eq!(body["generationConfig"]["responseJsonSchema"]["properties"]["a"], json!({"const": 1}));
        assert!(lost.is_empty());
        let (body, lost) = written_for(&request, "gemini-2.0-flash");
        let cleaned = json!({"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}});
        assert_eq!(body["generationConfig"]["responseSchema"], cleaned);
        assert_eq!(lost, ["schema"]);
    }

    #[test]
    fn thinking_is_what_the_model_can_do_of_what_is_asked() {
        let budget = |tokens: i64| json!({"thinkingBudget": tokens, "includeThoughts": true});
        let level = |name: &str| json!({"thinkingLevel": name, "includeThoughts": true});
        let (low, max) = (Reasoning::Effort(Effort::Low), Reasoning::Effort(Effort::Max));
        let medium = Reasoning::Effort(Effort::Medium);
        let reasoning = Some("thinking");
        for (model, reasoning, limit, expected, lost) in [
            ("gemini-2.5-flash", Reasoning::Off, None, json!({"thinkingBudget": 0}), None),
            ("gemini-2.5-flash", Reasoning::Dynamic, None, budget(-1), None),
            ("gemini-2.5-flash", max, None, budget(24_576), None),
            ("gemini-2.5-flash", low, Some(2_000), json!({"thinkingBudget": 0}), reasoning),
            ("gemini-2.5-pro", low, Some(3_000), budget(1_500), None),
            ("gemini-2.5-pro", Reasoning::Off, None, budget(128), reasoning),
            ("gemini-3-flash", Reasoning::Off, None, level("MINIMAL"), reasoning),
            ("gemini-3-pro", medium, None, level("HIGH"), reasoning),
            ("gemini-3.1-pro", Reasoning::Budget(8_000), None, level("MEDIUM"), None),
            ("gemini-3.5-flash", max, None, level("HIGH"), reasoning),
            ("gemini-3.5-flash", Reasoning::Dynamic, None, json!({"includeThoughts": true}), None),
            ("gemini-2.0-flash", Reasoning::Dynamic, None, Value::Null, reasoning),
            ("gemini-2.0-flash", Reasoning::Off, None, Value::Null, None),
        ] {
            let request = Request {
                reasoning: Some(reasoning),
                shows_thoughts: true,
                max_output_tokens: limit,
                ..Request::default()
            };
            let (body, found) = written_for(&request, model);
            assert_eq!(body["generationConfig"]["thinkingConfig"], expected, "{model} {reasoning:?}");
            assert_eq!(found, lost.into_iter().collect::<Vec<_>>(), "{model} {reasoning:?}");
        }
    }

    #[test]
    fn addresses_become_file_data_and_plain_documents_bytes() {
        let url = |url: &'static str| Source::Url { url: url.into(), media_type: None };
        let parts = vec![
            image(url("https://a.b/c.webp")),
            image(url("https://a.b/c")),
            image(Source::Text("Hi".into())),
        ];
        let request = Request { turns: vec![turn(Speaker::User, parts)], ..Request::default() };
        assert_eq!(
            written(&request).0["contents"][0]["parts"],
            json!([
                {"fileData": {"mimeType": "image/webp", "fileUri": "https://a.b/c.webp"}},
                {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.b/c"}},
                {"inlineData": {"mimeType": "text/plain", "data": "SGk="}},
            ])
        );
    }
}
