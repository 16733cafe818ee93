//! A client's request, to the hub's.

use super::bad::{bad, parse};
use super::input::Input;
use super::wire::{Body, Choice, Format, Item, Listed, Reasoning as Thinking, Str, Tool as AnyTool};
use crate::translate::canonical::{Effort, Output, Part, Reasoning, Request, Tool, ToolChoice};
use crate::translate::features::{Feature, Features};
use crate::translate::peek::BadBody;
use serde_json::value::RawValue;

/// Efforts by name. Source: OpenAI's `reasoning.effort`.
const EFFORTS: [(&str, Reasoning); 7] = [
    ("none", Reasoning::Off),
    ("minimal", Reasoning::Effort(Effort::Minimal)),
    ("low", Reasoning::Effort(Effort::Low)),
    ("medium", Reasoning::Effort(Effort::Medium)),
    ("high", Reasoning::Effort(Effort::High)),
    ("xhigh", Reasoning::Effort(Effort::Max)),
    ("max", Reasoning::Effort(Effort::Max)),
];

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
    let text = std::str::from_utf8(body)
        .map_err(|error| BadBody(format!("the body is not valid UTF-8 (byte {})", error.valid_up_to())))?;
    let mut body: Body<'_> = parse("", text)?;
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
    let tool_choice = body.tool_choice.map(|choice| choose(choice, &mut tools, &mut input.features)).transpose()?;
    let (format, verbosity) = body.text.map_or((None, None), |text| (text.format, text.verbosity));
    let output = output(format, &mut input.features)?;
    let thinking = body.reasoning.as_ref();
    let reasoning = thinking.and_then(|thinking| thinking.effort.as_ref()).map(effort).transpose()?;
    let shows_thoughts =
        thinking.is_some_and(|it| it.summary.is_some() || it.generate_summary.is_some());
    let features = input.features;
    Ok(Request {
        system: std::mem::take(&mut input.system),
        turns: input.finish()?,
        tools,
        tool_choice: tool_choice.unwrap_or_default(),
        parallel_tool_calls: body.parallel_tool_calls,
        max_output_tokens: body.max_output_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        output,
        verbosity: verbosity.map(|verbosity| verbosity.0),
        reasoning,
        shows_thoughts,
        user: body.safety_identifier.or(body.user).map(|user| user.0),
        streams: body.stream.unwrap_or_default(),
        features,
        ..Request::default()
    })
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
    let thinks_otherwise = thinking.is_some_and(|it: &Thinking<'_>| {
        is_other(&it.mode, "standard") || is_other(&it.context, "auto")
    });
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
        (body.parallel_tool_calls == Some(false), Feature::SerialCalls),
        (body.safety_identifier.is_some() || body.user.is_some(), Feature::User),
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
    Ok(Some(Tool { name, description, parameters: tool.parameters, strict: tool.strict, ends_cache: false }))
}

/// The choice. Where only some tools are allowed, the others are taken away: it says the same, and everybody has it.
fn choose<'a>(
    choice: &'a RawValue,
    tools: &mut Vec<Tool<'a>>,
    features: &mut Features,
) -> Result<ToolChoice<'a>, BadBody> {
    if choice.get().starts_with('"') {
        let Str(word) = parse("tool_choice", choice.get())?;
        return choice_of(&word, "tool_choice");
    }
    let choice: Choice<'a> = parse("tool_choice", choice.get())?;
    match choice.kind.as_ref() {
        "function" => {
            let name = choice.name.ok_or_else(|| bad("tool_choice.name", "is missing"))?;
            Ok(ToolChoice::One(name.0))
        }
        "allowed_tools" => {
            let mut allowed = Vec::new();
            for (index, tool) in choice.tools.unwrap_or_default().into_iter().enumerate() {
                allowed.extend(tool_of(tool, || format!("tool_choice.tools[{index}]"), features)?);
            }
            tools.retain(|tool| allowed.iter().any(|it| it.name == tool.name));
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
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "required" => Ok(ToolChoice::Any),
        "none" => Ok(ToolChoice::None),
        _ => Err(bad(field, "must be auto, required or none, or name a tool")),
    }
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
            Ok(Output::Schema { name: format.name.map(|name| name.0), schema, strict: format.strict })
        }
        _ => Err(bad("text.format.type", "must be text, json_object or json_schema")),
    }
}

fn effort(name: &Str<'_>) -> Result<Reasoning, BadBody> {
    let known = EFFORTS.iter().find(|(effort, _)| *effort == name.0);
    let known = known.ok_or_else(|| {
        let names: Vec<_> = EFFORTS.iter().map(|(name, _)| *name).collect();
        bad("reasoning.effort", &format!("must be one of {}", names.join(", ")))
    })?;
    Ok(known.1)
}
