//! What a model may call: `tools` and `toolConfig`, both ways.

use super::NAMES;
use super::wire::{self, FunctionCallingConfig, ToolConfig};
use super::{openapi, schema};
use crate::translate::canonical::{Request, Tool, ToolChoice};
use crate::translate::choice;
use crate::translate::features::Feature;
use crate::translate::field::bad;
use crate::translate::peek::BadBody;
use crate::translate::pieces::Str;
use crate::translate::schemas::Room;
use crate::translate::sides::Written;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads them into a request.
pub(super) fn read<'a>(
    request: &mut Request<'a>,
    tools: Vec<wire::Tool<'a>>,
    config: Option<ToolConfig<'a>>,
) -> Result<(), BadBody> {
    let schemas = &mut Room::default();
    for (at, tool) in tools.into_iter().enumerate() {
        request.features.insert_if(tool.has_server_tools, Feature::ServerTools);
        for (index, function) in tool.functions.into_iter().enumerate() {
            let has_answer = function.response.is_some() || function.response_json_schema.is_some();
            request.features.insert_if(has_answer, Feature::Other);
            request.tools.push(read_function(function, schemas, (at, index))?);
        }
    }
    let Some(config) = config else { return Ok(()) };
    request.features.insert_if(config.retrieval_config.is_some(), Feature::Other);
    config.function_calling_config.map_or(Ok(()), |config| read_choice(request, config))
}

fn read_function<'a>(
    function: wire::Function<'a>,
    schemas: &mut Room,
    (at, index): (usize, usize),
) -> Result<Tool<'a>, BadBody> {
    let field = |name| format!("tools[{at}].functionDeclarations[{index}].{name}");
    let parameters = match (function.parameters_json_schema, function.parameters) {
        (Some(schema), _) => Some(openapi::as_it_is(schema, schemas, || field("parametersJsonSchema"))?),
        (None, Some(schema)) => Some(openapi::standard(schema, schemas, || field("parameters"))?),
        (None, None) => None,
    };
    let description = function.description.map(|Str(text)| text);
    Ok(Tool { name: function.name.0, description, parameters, strict: None, ends_cache: false })
}

/// Modes of `FunctionCallingConfig` that leave the choice to the model. What is `VALIDATED` differs only in how well
/// arguments follow their schemas.
const FREE: [&str; 4] = ["", "MODE_UNSPECIFIED", "AUTO", "VALIDATED"];

fn read_choice<'a>(request: &mut Request<'a>, config: FunctionCallingConfig<'a>) -> Result<(), BadBody> {
    const FIELD: &str = "toolConfig.functionCallingConfig";
    let mode = config.mode.unwrap_or_default().0.to_ascii_uppercase();
    let allowed = config.allowed_function_names.unwrap_or_default();
    request.tool_choice = match (mode.as_str(), &allowed[..]) {
        ("NONE", _) => ToolChoice::None,
        ("ANY", [Str(only)]) => ToolChoice::One(only.clone()),
        ("ANY", _) => ToolChoice::Any,
        (free, _) if FREE.contains(&free) => ToolChoice::Auto,
        _ => return Err(bad(format_args!("{FIELD}.mode"), "must be AUTO, ANY, NONE or VALIDATED")),
    };
    if allowed.is_empty() || matches!(request.tool_choice, ToolChoice::None | ToolChoice::One(_)) {
        return Ok(());
    }
    let allowed: Vec<_> = allowed.into_iter().map(|Str(name)| name).enumerate().collect();
    let field = |index| format!("{FIELD}.allowedFunctionNames[{index}]");
    choice::keep_listed(&mut request.tools, &allowed, request.features, field)
}

/// `Tool`, as a provider gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tools<'r> {
    function_declarations: Vec<Function<'r>>,
}

#[derive(Serialize)]
struct Function<'r> {
    name: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Box<RawValue>>,
}

impl<'r> Tools<'r> {
    /// What a request declares; `None` where that is nothing.
    pub(super) fn of(request: &'r Request<'_>, written: &mut Written) -> Option<[Tools<'r>; 1]> {
        let declare = |tool: &'r Tool<'_>| Function {
            name: NAMES.declared(&tool.name, written),
            description: tool.description.as_deref().filter(|text| !text.is_empty()),
            parameters: tool.parameters.as_deref().and_then(|schema| schema::clean(schema, written)),
        };
        let function_declarations: Vec<_> = request.tools.iter().map(declare).collect();
        (!function_declarations.is_empty()).then_some([Tools { function_declarations }])
    }
}

/// `ToolConfig`, as a provider gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Choice<'r> {
    function_calling_config: Calling<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'r> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[Cow<'r, str>; 1]>,
}

impl<'r> Choice<'r> {
    /// What a request chooses; `None` where it leaves that to the model, or has nothing to choose from.
    pub(super) fn of(request: &'r Request<'_>) -> Option<Choice<'r>> {
        let (mode, only) = match &request.tool_choice {
            _ if request.tools.is_empty() => return None,
            ToolChoice::Auto => return None,
            ToolChoice::Any => ("ANY", None),
            ToolChoice::None => ("NONE", None),
            ToolChoice::One(name) => ("ANY", Some([NAMES.sent(name)])),
        };
        Some(Choice { function_calling_config: Calling { mode, allowed_function_names: only } })
    }
}
