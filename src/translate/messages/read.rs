//! A client's request, into the hub's.
//!
//! Decides what every setting means; [`super::conversation`] reads what is said. Source: Anthropic's reference of
//! `POST /v1/messages`. Every member that the SDKs have ever sent is taken, those that the newest no longer have too.

use super::conversation::Conversation;
use super::incoming::{Body, Format, OutputConfig, Thinking, Tool, ToolChoice};
use super::words;
use crate::translate::canonical::{self, Output, Reasoning, Request};
use crate::translate::features::{Feature, Features};
use crate::translate::field::{Fault, parse};
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Str, filled};
use std::borrow::Cow;

/// Reads a client's request.
///
/// # Errors
/// When it isn't a request of this API; the fault names the field, such as `messages[2].content`.
pub fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    Ok(request(parse(body)?)?)
}

fn request(body: Body<'_>) -> Result<Request<'_>, Fault> {
    let mut features = features_of(&body);
    let mut request = Request {
        max_output_tokens: body.max_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        stop: body.stop_sequences.unwrap_or_default().into_iter().map(|it| it.0).collect(),
        user: body.metadata.and_then(|it| it.user_id).map(|it| it.0),
        streams: body.stream.unwrap_or_default(),
        ..Request::default()
    };
    for (index, tool) in body.tools.unwrap_or_default().into_iter().enumerate() {
        let tool = read_tool(tool, &mut features).map_err(|it| it.within(format!("tools[{index}]")))?;
        request.tools.extend(tool);
    }
    if let Some(choice) = body.tool_choice {
        request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|is_serial| !is_serial);
        request.tool_choice = tool_choice(choice).map_err(|it| it.within("tool_choice"))?;
    }
    let (effort, format) = match body.output_config {
        Some(OutputConfig { effort, format }) => (effort, format),
        None => (None, None),
    };
    request.shows_thoughts = body.thinking.as_ref().is_some_and(shows_thoughts);
    request.reasoning = reasoning(body.thinking, effort, &mut features)?;
    let (path, format) = match format {
        Some(format) => ("output_config.format", Some(format)),
        None => ("output_format", body.output_format),
    };
    request.output =
        format.as_ref().map(output).transpose().map_err(|it| it.within(path))?.unwrap_or_default();
    let mut conversation = Conversation::new(features);
    if let Some(system) = body.system {
        conversation.add_system(system).map_err(|it| it.within("system"))?;
    }
    conversation.add(body.messages)?;
    conversation.finish(&mut request);
    request.note_settings();
    Ok(request)
}

/// What stands beside the conversation and isn't everybody's.
fn features_of(body: &Body<'_>) -> Features {
    let tier = body.service_tier.as_ref().map(|it| it.0.as_ref());
    let is_elsewhere =
        body.context_management.is_some() || body.inference_geo.is_some() || body.speed.is_some();
    let mut features = Features::NONE;
    for (is_asked, feature) in [
        (tier.is_some_and(|tier| tier != "auto"), Feature::ServiceTier),
        (body.container.is_some(), Feature::ProviderState),
        (body.mcp_servers.as_ref().is_some_and(|it| !it.is_empty()), Feature::ServerTools),
        (body.cache_control.is_some(), Feature::CacheMarks),
        (is_elsewhere, Feature::Other),
    ] {
        features.insert_if(is_asked, feature);
    }
    features
}

/// A tool that the client runs; `None` for one that only the vendor knows, which its type says.
fn read_tool<'a>(tool: Tool<'a>, features: &mut Features) -> Result<Option<canonical::Tool<'a>>, Fault> {
    if tool.kind.is_some_and(|kind| kind.0 != "custom") {
        features.insert(Feature::ServerTools);
        return Ok(None);
    }
    let has_more =
        tool.defer_loading == Some(true) || tool.input_examples.is_some() || tool.allowed_callers.is_some();
    features.insert_if(has_more, Feature::Other);
    features.insert_if(tool.cache_control.is_some(), Feature::CacheMarks);
    let name = filled(tool.name).ok_or_else(|| Fault::missing("name"))?;
    let schema = tool.input_schema.ok_or_else(|| Fault::missing("input_schema"))?;
    if !schema.get().starts_with('{') {
        return Err(Fault::at("input_schema", "must be a JSON object"));
    }
    Ok(Some(canonical::Tool {
        name,
        description: tool.description.map(|it| it.0),
        parameters: Some(Cow::Borrowed(schema)),
        strict: tool.strict,
        ends_cache: tool.cache_control.is_some(),
    }))
}

fn tool_choice(choice: ToolChoice<'_>) -> Result<canonical::ToolChoice<'_>, Fault> {
    match choice.kind.as_ref() {
        "auto" => Ok(canonical::ToolChoice::Auto),
        "any" => Ok(canonical::ToolChoice::Any),
        "none" => Ok(canonical::ToolChoice::None),
        "tool" => filled(choice.name).map(canonical::ToolChoice::One).ok_or_else(|| Fault::missing("name")),
        _ => Err(Fault::at("type", "must be auto, any, tool or none")),
    }
}

/// Thinking shows unless the client would rather have it left out. Whether it does where nothing is said is up to the
/// model; older ones, whose clients know no `display`, show it.
fn shows_thoughts(thinking: &Thinking<'_>) -> bool {
    let is_omitted = thinking.display.as_ref().is_some_and(|it| it.0 == "omitted");
    matches!(thinking.kind.as_ref(), "enabled" | "adaptive") && !is_omitted
}

/// A budget is the plainest word; an effort says how much where thinking is left to the model.
fn reasoning(
    thinking: Option<Thinking<'_>>,
    effort: Option<Str<'_>>,
    features: &mut Features,
) -> Result<Option<Reasoning>, Fault> {
    let effort =
        match effort {
            None => None,
            Some(name) => Some(words::effort(&name.0).ok_or_else(|| {
                Fault::at("output_config.effort", "must be low, medium, high, xhigh or max")
            })?),
        };
    let Some(thinking) = thinking else { return Ok(effort.map(Reasoning::Effort)) };
    match thinking.kind.as_ref() {
        "enabled" => {
            let budget = thinking.budget_tokens.ok_or_else(|| Fault::missing("thinking.budget_tokens"))?;
            Ok(Some(Reasoning::Budget(budget)))
        }
        "adaptive" => Ok(Some(effort.map_or(Reasoning::Dynamic, Reasoning::Effort))),
        // An effort without thinking is about the answer, and others have no such thing.
        "disabled" | "between_tools" => {
            features.insert_if(effort.is_some(), Feature::Other);
            Ok(Some(Reasoning::Off))
        }
        _ => Err(Fault::at("thinking.type", "must be enabled, adaptive, between_tools or disabled")),
    }
}

fn output<'a>(format: &Format<'a>) -> Result<Output<'a>, Fault> {
    if format.kind != "json_schema" {
        return Err(Fault::at("type", "must be json_schema"));
    }
    let schema = format.schema.filter(|it| it.get().starts_with('{'));
    let schema = schema.ok_or_else(|| Fault::at("schema", "must be a JSON object"))?;
    // What it says is kept to the letter, and there is no other way here.
    Ok(Output::Schema { name: None, schema: Cow::Borrowed(schema), strict: Some(true) })
}
