//! A client's request, to the hub's.

use super::input::Input;
use super::wire::{Body, Choice, Format, Item, Reasoning as Thinking, Tool as AnyTool};
use crate::translate::canonical::{Output, Part, Request, Tool, ToolChoice};
use crate::translate::features::{Feature, Features};
use crate::translate::field::{bad, parse, parse_at};
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Listed, Str};
use crate::translate::{choice, openai};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What asks for the probabilities of tokens, in `include`.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Service tiers that ask for nothing special.
const USUAL_TIERS: [&str; 2] = ["auto", "default"];

/// Reads a request.
///
/// `max_tool_calls` is of no consequence: it counts calls of tools that OpenAI runs, and those are refused.
/// `store` is noted if it is asked for by word; that it is the default changes nothing until a later request refers to
/// this answer, which is refused.
///
/// # Errors
/// When it isn't JSON of that shape, calls are without result or results without call, arguments are no JSON object,
/// or base64 is none. The message names the field.
pub fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let mut body: Body<'_> = parse(body)?;
    let mut input = Input::new(features(&body));
    input.system.extend(body.instructions.take().map(|text| Part::text(text.0)));
    take(&mut input, body.input.take())?;

    let mut tools = Vec::new();
    for (index, tool) in body.tools.take().into_iter().flatten().enumerate() {
        tools.extend(tool_of(tool, || format!("tools[{index}]"), &mut input.features)?);
    }
    for (item, added) in std::mem::take(&mut input.tools) {
        for (index, tool) in added.into_iter().enumerate() {
            tools.extend(tool_of(tool, || format!("input[{item}].tools[{index}]"), &mut input.features)?);
        }
    }
    let tool_choice =
        body.tool_choice.map(|choice| choose(choice, &mut tools, &mut input.features)).transpose()?;
    let format = body.text.and_then(|text| text.format);
    let output = output(format, &mut input.features)?;
    let thinking = body.reasoning.as_ref();
    let effort = thinking.and_then(|thinking| thinking.effort.as_ref());
    let reasoning = effort.map(|Str(effort)| openai::reasoning(effort)).transpose();
    let reasoning = reasoning.map_err(|why| bad("reasoning.effort", why))?;
    let shows_thoughts = thinking.is_some_and(|it| it.summary.is_some() || it.generate_summary.is_some());
    let features = input.features;
    let mut request = Request {
        system: std::mem::take(&mut input.system),
        unanswered: input.settle()?,
        turns: input.finish(),
        tools,
        tool_choice: tool_choice.unwrap_or_default(),
        parallel_tool_calls: body.parallel_tool_calls,
        max_output_tokens: body.max_output_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        output,
        reasoning,
        shows_thoughts,
        user: body.safety_identifier.or(body.user).map(|user| user.0),
        streams: body.stream.unwrap_or_default(),
        features,
        ..Request::default()
    };
    request.note_settings();
    Ok(request)
}

/// Takes the input, without which only a stored conversation can go on.
fn take<'a>(input: &mut Input<'a>, given: Option<Listed<'a, Item<'a>>>) -> Result<(), BadBody> {
    match given {
        Some(Listed::Text(text)) => input.say(text),
        Some(Listed::List(items)) => {
            for (index, item) in items.into_iter().enumerate() {
                input.take(index, item)?;
            }
        }
        None if input.features.contains(Feature::StoredConversation) => {}
        None => return Err(bad("input", "is missing")),
        Some(Listed::Other) => return Err(bad("input", "must be a string or a list of items")),
    }
    Ok(())
}

/// What the request's own members ask for that not everybody has.
fn features(body: &Body<'_>) -> Features {
    let is_empty = |raw: &RawValue| raw.get().trim_start_matches('{').trim_ascii_start() == "}";
    let includes_logprobs = body.include.iter().flatten().any(|Str(name)| name == LOGPROBS);
    let tier = body.service_tier.as_ref().map(|tier| tier.0.as_ref());
    let is_other = |text: &Option<Str<'_>>, usual: &str| text.as_ref().is_some_and(|text| text.0 != usual);
    let thinking = body.reasoning.as_ref();
    let thinks_otherwise = thinking
        .is_some_and(|it: &Thinking<'_>| is_other(&it.mode, "standard") || is_other(&it.context, "auto"));
    let others = [
        &body.context_management,
        &body.prompt_cache_key,
        &body.prompt_cache_options,
        &body.prompt_cache_retention,
        &body.image,
        &body.access_programs,
    ];
    let asked = [
        (body.previous_response_id.is_some(), Feature::StoredConversation),
        (body.conversation.is_some(), Feature::StoredConversation),
        (body.prompt.is_some(), Feature::StoredConversation),
        (body.background == Some(true), Feature::StoredConversation),
        // The provider's own filter, whose verdict would be part of the answer.
        (body.moderation.is_some(), Feature::ServerTools),
        (includes_logprobs || body.top_logprobs.is_some_and(|count| count > 0), Feature::Logprobs),
        (body.metadata.is_some_and(|labels| !is_empty(labels)), Feature::Labels),
        (body.store == Some(true), Feature::Labels),
        (tier.is_some_and(|tier| !USUAL_TIERS.contains(&tier)), Feature::ServiceTier),
        (body.text.as_ref().is_some_and(|text| text.verbosity.is_some()), Feature::Verbosity),
        (is_other(&body.truncation, "disabled"), Feature::Other),
        (thinks_otherwise, Feature::Other),
        (others.iter().any(|other| other.is_some()), Feature::Other),
    ];
    let mut features = Features::NONE;
    for (is_asked, feature) in asked {
        features.insert_if(is_asked, feature);
    }
    features
}

/// A function; `None` for a tool of another kind, which is noted.
fn tool_of<'a>(
    tool: AnyTool<'a>,
    place: impl Fn() -> String,
    features: &mut Features,
) -> Result<Option<Tool<'a>>, BadBody> {
    match tool.kind.as_ref().map_or("", |kind| &kind.0) {
        "function" => {}
        "custom" => {
            features.insert(Feature::CustomTools);
            return Ok(None);
        }
        "" => return Err(bad(format_args!("{}.type", place()), "is missing")),
        _ => {
            features.insert(Feature::ServerTools);
            return Ok(None);
        }
    }
    let name = tool.name.map(|name| name.0).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad(format_args!("{}.name", place()), "is missing"))?;
    if tool.parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
        return Err(bad(format_args!("{}.parameters", place()), "must be a JSON schema"));
    }
    let description = tool.description.map(|text| text.0);
    Ok(Some(Tool {
        name,
        description,
        parameters: tool.parameters.map(Cow::Borrowed),
        strict: tool.strict,
        ends_cache: false,
    }))
}

/// The choice.
fn choose<'a>(
    choice: &'a RawValue,
    tools: &mut Vec<Tool<'a>>,
    features: &mut Features,
) -> Result<ToolChoice<'a>, BadBody> {
    if choice.get().starts_with('"') {
        let Str(word) = parse_at("tool_choice", choice.get())?;
        return choice_of(&word, "tool_choice");
    }
    let choice: Choice<'a> = parse_at("tool_choice", choice.get())?;
    match choice.kind.as_ref() {
        "function" => {
            let name = choice.name.ok_or_else(|| bad("tool_choice.name", "is missing"))?;
            Ok(ToolChoice::One(name.0))
        }
        "allowed_tools" => {
            let mut allowed = Vec::new();
            for (index, tool) in choice.tools.unwrap_or_default().into_iter().enumerate() {
                let tool = tool_of(tool, || format!("tool_choice.tools[{index}]"), features)?;
                allowed.extend(tool.map(|tool| (index, tool.name)));
            }
            let field = |index| format!("tool_choice.tools[{index}].name");
            choice::keep_listed(tools, &allowed, *features, field)?;
            choice_of(choice.mode.as_ref().map_or("auto", |mode| &mode.0), "tool_choice.mode")
        }
        kind => {
            let is_custom = kind == "custom";
            features.insert(if is_custom { Feature::CustomTools } else { Feature::ServerTools });
            Ok(ToolChoice::Auto)
        }
    }
}

fn choice_of<'a>(word: &str, field: &str) -> Result<ToolChoice<'a>, BadBody> {
    openai::choice(word).ok_or_else(|| bad(field, "must be auto, required or none, or name a tool"))
}

fn output<'a>(format: Option<Format<'a>>, features: &mut Features) -> Result<Output<'a>, BadBody> {
    let Some(format) = format else { return Ok(Output::Text) };
    match format.kind.as_ref() {
        "text" => Ok(Output::Text),
        "json_object" => Ok(Output::Json),
        "json_schema" => {
            features.insert_if(format.description.is_some(), Feature::Other);
            let schema = format.schema.filter(|schema| schema.get().starts_with('{'));
            let schema = schema.ok_or_else(|| bad("text.format.schema", "must be a JSON schema"))?;
            Ok(Output::Schema {
                name: format.name.map(|name| name.0),
                schema: Cow::Borrowed(schema),
                strict: format.strict,
            })
        }
        _ => Err(bad("text.format.type", "must be text, json_object or json_schema")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Effort, Reasoning};
    use crate::translate::openai::EFFORTS;
    use crate::translate::signs::Api;

    fn of(members: &str) -> Request<'static> {
        let body = format!(r#"{{"model":"m",{members}}}"#).leak();
        read(body.as_bytes()).unwrap_or_else(|BadBody(why)| panic!("{body}: {why}"))
    }

    #[test]
    fn a_word_for_word_request_is_read_whole() {
        let request = of(
            r#""input":"hi","instructions":"Be \"kind\"","max_output_tokens":9,"temperature":1.5,
            "top_p":0.5,"stream":true,"parallel_tool_calls":true,"user":"u","safety_identifier":"s",
            "tool_choice":"required","text":{"format":{"type":"json_object"},"verbosity":"low"},
            "reasoning":{"effort":"high","summary":"auto"},
            "tools":[{"type":"function","name":"f","description":"d","parameters":{"type": "object"},"strict":true}]"#,
        );
        assert_eq!(request.system, [Part::text("Be \"kind\"")]);
        assert_eq!(request.turns.len(), 1);
        assert_eq!(request.turns[0].parts, [Part::text("hi")]);
        assert_eq!(
            (request.max_output_tokens, request.temperature, request.top_p),
            (Some(9), Some(1.5), Some(0.5))
        );
        assert_eq!((request.streams, request.parallel_tool_calls), (true, Some(true)));
        assert_eq!(request.user.as_deref(), Some("s"));
        assert_eq!(request.tool_choice, ToolChoice::Any);
        assert!(matches!(request.output, Output::Json));
        assert_eq!(
            (request.reasoning, request.shows_thoughts),
            (Some(Reasoning::Effort(Effort::High)), true)
        );
        let tool = &request.tools[0];
        assert_eq!((&*tool.name, tool.description.as_deref(), tool.strict), ("f", Some("d"), Some(true)));
        assert_eq!(tool.parameters.as_deref().map(RawValue::get), Some(r#"{"type": "object"}"#));
    }

    #[test]
    fn what_is_null_is_not_asked_for() {
        let request = of(
            r#""input":[],"instructions":null,"tools":null,"tool_choice":null,"text":null,"include":null,
            "reasoning":{"effort":null,"summary":null},"previous_response_id":null,"conversation":null,"prompt":null,
            "metadata":null,"user":null,"store":null,"stream":null,"background":false,"truncation":"disabled",
            "service_tier":"auto","top_logprobs":0"#,
        );
        assert_eq!(request.features, Features::NONE);
        assert!(request.turns.is_empty() && request.system.is_empty() && request.reasoning.is_none());
        assert!(!request.shows_thoughts);
    }

    #[test]
    fn each_feature_is_noted_by_what_asks_for_it() {
        for (members, feature) in [
            (r#""previous_response_id":"resp_1""#, Feature::StoredConversation),
            (r#""conversation":"conv_1""#, Feature::StoredConversation),
            (r#""prompt":{"id":"p"}"#, Feature::StoredConversation),
            (r#""input":"x","background":true"#, Feature::StoredConversation),
            (r#""input":[{"type":"item_reference","id":"i"}]"#, Feature::StoredConversation),
            (r#""input":[{"id":"i"}]"#, Feature::StoredConversation),
            (r#""input":[{"type":"compaction","encrypted_content":"x"}]"#, Feature::StoredConversation),
            (
                r#""input":[{"type":"custom_tool_call","call_id":"c","name":"n","input":"x"}]"#,
                Feature::CustomTools,
            ),
            (
                r#""input":[{"type":"shell_call_output","call_id":"c","output":[{"stdout":"x"}]}]"#,
                Feature::ServerTools,
            ),
            (r#""input":[{"type":"tool_search_call","arguments":{"q":1}}]"#, Feature::ServerTools),
            (r#""input":[{"type":"computer_call_output","output":{"image_url":"x"}}]"#, Feature::ServerTools),
            (
                r#""input":[{"type":"mcp_list_tools","tools":[{"name":"x","input_schema":{}}]}]"#,
                Feature::ServerTools,
            ),
            (r#""input":"x","tools":[{"type":"web_search"}]"#, Feature::ServerTools),
            (r#""input":"x","tools":[{"type":"custom","name":"x"}]"#, Feature::CustomTools),
            (r#""input":"x","tool_choice":{"type":"web_search_preview"}"#, Feature::ServerTools),
            (r#""input":"x","tool_choice":{"type":"custom","name":"x"}"#, Feature::CustomTools),
            (r#""input":"x","moderation":{"model":"m"}"#, Feature::ServerTools),
            (r#""input":"x","include":["message.output_text.logprobs"]"#, Feature::Logprobs),
            (r#""input":"x","top_logprobs":1"#, Feature::Logprobs),
            (
                r#""input":"x","tools":[{"type":"function","name":"f"}],"parallel_tool_calls":false"#,
                Feature::SerialCalls,
            ),
            (r#""input":"x","user":"u""#, Feature::User),
            (r#""input":"x","safety_identifier":"u""#, Feature::User),
            (r#""input":"x","metadata":{"a":"b"}"#, Feature::Labels),
            (r#""input":"x","store":true"#, Feature::Labels),
            (r#""input":"x","service_tier":"flex""#, Feature::ServiceTier),
            (r#""input":"x","text":{"verbosity":"high"}"#, Feature::Verbosity),
            (r#""input":"x","truncation":"auto""#, Feature::Other),
            (r#""input":"x","reasoning":{"mode":"pro"}"#, Feature::Other),
            (r#""input":"x","reasoning":{"context":"all_turns"}"#, Feature::Other),
            (r#""input":"x","prompt_cache_key":"k""#, Feature::Other),
        ] {
            let mut expected = Features::NONE;
            expected.insert(feature);
            assert_eq!(of(members).features, expected, "{members}");
        }
        for harmless in [
            r#""metadata":{ }"#,
            r#""store":false"#,
            r#""max_tool_calls":3"#,
            r#""include":["x"]"#,
            r#""parallel_tool_calls":false"#,
        ] {
            assert_eq!(of(&format!(r#""input":"x",{harmless}"#)).features, Features::NONE, "{harmless}");
        }
    }

    #[test]
    fn every_effort_has_its_worth() {
        for (name, reasoning) in EFFORTS {
            let request = of(&format!(r#""input":"x","reasoning":{{"effort":"{name}"}}"#));
            assert_eq!((request.reasoning, request.shows_thoughts), (Some(reasoning), false));
        }
    }

    #[test]
    fn of_allowed_tools_the_others_are_taken_away() {
        let tools = r#""input":"x","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]"#;
        let names = |request: &Request<'_>| -> Vec<String> {
            request.tools.iter().map(|tool| tool.name.clone().into_owned()).collect()
        };
        let allowed = |mode: &str| {
            of(&format!(
                r#"{tools},"tool_choice":{{"type":"allowed_tools","mode":"{mode}","tools":[{{"type":"function","name":"g"}}]}}"#
            ))
        };
        assert_eq!(
            (names(&allowed("auto")), allowed("auto").tool_choice),
            (vec!["g".to_owned()], ToolChoice::Auto)
        );
        assert_eq!(allowed("required").tool_choice, ToolChoice::Any);
        let one = of(&format!(r#"{tools},"tool_choice":{{"type":"function","name":"g"}}"#));
        assert_eq!((names(&one).len(), one.tool_choice), (2, ToolChoice::One("g".into())));
        assert_eq!(of(&format!(r#"{tools},"tool_choice":"none""#)).tool_choice, ToolChoice::None);
    }

    #[test]
    fn tools_that_come_with_the_input_are_tools() {
        let request = of(
            r#""input":[{"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"g"}]}],
            "tools":[{"type":"function","name":"f","parameters":null}]"#,
        );
        let names: Vec<_> = request.tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["f", "g"]);
        assert!(request.tools[0].parameters.is_none());
    }

    #[test]
    fn a_schema_is_kept_as_it_came() {
        let request = of(
            r#""input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{ "a":1.0 },"strict":true}}"#,
        );
        let Output::Schema { name, schema, strict } = request.output else { panic!("a schema") };
        assert_eq!((name.as_deref(), schema.get(), strict), (Some("n"), r#"{ "a":1.0 }"#, Some(true)));
    }

    /// Each body is refused, with these words.
    #[track_caller]
    fn refuses(bodies: &[(&str, &str)]) {
        for (body, message) in bodies {
            assert_eq!(read(body.as_bytes()).map(|_| ()), Err(BadBody((*message).to_owned())), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_of_the_client_repeated() {
        refuses(&[
            ("[]", "the body is not a JSON object"),
            ("{", "the body is not JSON (line 1, column 1)"),
            (r#"{"input":"x"} x"#, "the body is not JSON (line 1, column 15)"),
            (r#"{"model":"m"}"#, "`input` is missing"),
            (r#"{"input":5}"#, "`input` must be a string or a list of items"),
            (r#"{"input":["secret"]}"#, "`input[0]` must be an object"),
            (r#"{"input":"x","input":"y"}"#, "`input` is there twice"),
            (r#"{"input":[{}]}"#, "`input[0].type` is missing"),
            (r#"{"input":"x","temperature":"secret"}"#, "`temperature` must be a number"),
            (r#"{"input":"x","max_output_tokens":-1}"#, "`max_output_tokens` must be a whole number"),
            (r#"{"input":"x","stream":"secret"}"#, "`stream` must be true or false"),
            (r#"{"input":"x","tools":{}}"#, "`tools` must be a list"),
            (r#"{"input":"x","tools":[{"name":"f"}]}"#, "`tools[0].type` is missing"),
            (r#"{"input":"x","tools":[{"type":"function"}]}"#, "`tools[0].name` is missing"),
            (
                r#"{"input":"x","tools":[{"type":"function","name":"f","parameters":[]}]}"#,
                "`tools[0].parameters` must be a JSON schema",
            ),
            (
                r#"{"input":"x","tool_choice":"secret"}"#,
                "`tool_choice` must be auto, required or none, or name a tool",
            ),
            (r#"{"input":"x","tool_choice":{"type":"function"}}"#, "`tool_choice.name` is missing"),
            (r#"{"input":"x","tool_choice":{}}"#, "`tool_choice.type` is missing"),
            (
                r#"{"input":"x","tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"secret"}]}}"#,
                "`tool_choice.tools[0].name` is none of `tools`",
            ),
            (r#"{"input":"x","tool_choice":5}"#, "`tool_choice` must be an object"),
            (
                r#"{"input":"x","text":{"format":{"type":"secret"}}}"#,
                "`text.format.type` must be text, json_object or json_schema",
            ),
            (
                r#"{"input":"x","text":{"format":{"type":"json_schema","schema":1}}}"#,
                "`text.format.schema` must be a JSON schema",
            ),
            (
                r#"{"input":"x","reasoning":{"effort":"secret"}}"#,
                "`reasoning.effort` must be one of none, minimal, low, medium, high, xhigh, max",
            ),
        ]);
        assert!(read(b"{\"input\":\"\xff\"}").is_err());
    }

    #[test]
    fn what_is_wrong_with_an_item_is_named_by_its_place() {
        refuses(&[
            (
                r#"{"input":[{"role":"secret","content":"x"}]}"#,
                "`input[0].role` must be user, assistant, system or developer",
            ),
            (r#"{"input":[{"role":"user"}]}"#, "`input[0].content` must be a string or a list of parts"),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":5}]}]}"#,
                "`input[0].content[0].text` must be a string",
            ),
            (
                r#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
                    {"role":"user","content":"x"}]}"#,
                "`input[0].call_id` has no function_call_output; send the result of every call",
            ),
            (
                r#"{"input":[{"type":"function_call_output","call_id":"secret","output":"x"}]}"#,
                "`input[0].call_id` is that of no earlier function_call",
            ),
            (r#"{"input":[{"type":"function_call_output","output":"x"}]}"#, "`input[0].call_id` is missing"),
            (
                r#"{"input":[{"type":"function_call","call_id":"c","arguments":"{}"}]}"#,
                "`input[0].name` is missing",
            ),
            (
                r#"{"input":[{"type":"reasoning","summary":"x"}]}"#,
                "`input[0].summary` must be a list of parts",
            ),
        ]);
    }

    #[test]
    fn who_can_serve_is_the_tables_to_say() {
        let request = of(r#""input":"x","metadata":{"a":"b"},"previous_response_id":"r""#);
        assert_eq!(request.features.refused_by(Api::Completions), Some("stored conversations"));
        assert_eq!(request.features.dropped_by(Api::Messages).collect::<Vec<_>>(), ["metadata"]);
    }
}
