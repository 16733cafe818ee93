//! Which tools a model may call, or must: what has to hold of a choice, whoever read it.
//!
//! A tool that is to be called has to be there. Where more may be kept by the request's own provider than the request
//! says ([`Features::has_more_elsewhere`]), nobody else can tell; no other is asked then.

use super::canonical::{Request, Tool, ToolChoice};
use super::features::Features;
use super::field::bad;
use super::peek::BadBody;
use super::signs::Api;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;

/// What is wrong with the name of a tool that isn't there.
const UNKNOWN: &str = "is none of `tools`";

/// Where an API's clients say that some tool has to be called, and which.
fn fields(client: Api) -> Option<(&'static str, &'static str)> {
    match client {
        Api::Completions => Some(("tool_choice", "tool_choice.function.name")),
        Api::Responses | Api::Messages => Some(("tool_choice", "tool_choice.name")),
        Api::Generate => Some((
            "toolConfig.functionCallingConfig.mode",
            "toolConfig.functionCallingConfig.allowedFunctionNames[0]",
        )),
        Api::Other => None,
    }
}

/// Checks a request of that API.
///
/// # Errors
/// When a tool has to be called that isn't there; names the field.
pub(super) fn check(client: Api, request: &Request<'_>) -> Result<(), BadBody> {
    let Some((some, which)) = fields(client).filter(|_| !request.features.has_more_elsewhere()) else {
        return Ok(());
    };
    match &request.tool_choice {
        ToolChoice::Any if request.tools.is_empty() => {
            Err(bad(some, "asks for a tool, but there is none in `tools`"))
        }
        ToolChoice::One(name) if request.tools.iter().all(|tool| tool.name != *name) => {
            Err(bad(which, UNKNOWN))
        }
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Any | ToolChoice::One(_) => Ok(()),
    }
}

/// Takes away all tools but those of a list, of which each name stands at its index in a field.
///
/// A list of allowed tools is the same as having only these, and everybody has that; what its own vendor gains by telling
/// them apart is a cached prompt.
///
/// # Errors
/// When a name is no tool's; names the field.
pub(super) fn keep_listed<P: Display>(
    tools: &mut Vec<Tool<'_>>,
    listed: &[(usize, Cow<'_, str>)],
    features: Features,
    field: impl Fn(usize) -> P,
) -> Result<(), BadBody> {
    let known: HashSet<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let unknown = listed.iter().find(|(_, name)| !known.contains(name.as_ref()));
    if let Some((index, _)) = unknown.filter(|_| !features.has_more_elsewhere()) {
        return Err(bad(field(*index), UNKNOWN));
    }
    let listed: HashSet<&str> = listed.iter().map(|(_, name)| name.as_ref()).collect();
    tools.retain(|tool| listed.contains(tool.name.as_ref()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::features::Feature;

    fn tool(name: &'static str) -> Tool<'static> {
        Tool { name: name.into(), description: None, parameters: None, strict: None, ends_cache: false }
    }

    fn told(client: Api, tools: &[&'static str], tool_choice: ToolChoice<'static>) -> Option<String> {
        let tools = tools.iter().map(|name| tool(name)).collect();
        let request = Request { tools, tool_choice, ..Request::default() };
        check(client, &request).err().map(|BadBody(why)| why)
    }

    #[test]
    fn a_tool_that_must_be_called_is_there_or_the_field_is_named_as_the_client_knows_it() {
        for (client, some, which) in [
            (Api::Completions, "tool_choice", "tool_choice.function.name"),
            (Api::Responses, "tool_choice", "tool_choice.name"),
            (Api::Messages, "tool_choice", "tool_choice.name"),
            (
                Api::Generate,
                "toolConfig.functionCallingConfig.mode",
                "toolConfig.functionCallingConfig.allowedFunctionNames[0]",
            ),
        ] {
            let unknown = format!("`{which}` is none of `tools`");
            let none = format!("`{some}` asks for a tool, but there is none in `tools`");
            assert_eq!(told(client, &["f", "g"], ToolChoice::One("g".into())), None);
            assert_eq!(told(client, &["f", "g"], ToolChoice::One("G".into())), Some(unknown.clone()));
            assert_eq!(told(client, &[], ToolChoice::One("g".into())), Some(unknown));
            assert_eq!(told(client, &["f"], ToolChoice::Any), None);
            assert_eq!(told(client, &[], ToolChoice::Any), Some(none));
            for free in [ToolChoice::Auto, ToolChoice::None] {
                assert_eq!(told(client, &[], free), None);
            }
        }
    }

    #[test]
    fn of_tools_that_only_the_provider_knows_nobody_says_that_they_are_missing() {
        for feature in [Feature::ServerTools, Feature::CustomTools, Feature::StoredConversation] {
            let mut request = Request { tool_choice: ToolChoice::One("f".into()), ..Request::default() };
            request.features.insert(feature);
            assert_eq!(check(Api::Responses, &request), Ok(()), "{feature:?}");
            let listed = [(0, "f".into())];
            let kept = keep_listed(&mut request.tools, &listed, request.features, |_| "x");
            assert_eq!(kept, Ok(()), "{feature:?}");
        }
    }

    #[test]
    fn of_a_list_the_others_are_taken_away_and_the_first_that_is_no_tool_is_named() {
        let keep = |listed: &[(usize, Cow<'_, str>)]| {
            let mut tools = ["f", "g", "h"].map(tool).to_vec();
            keep_listed(&mut tools, listed, Features::NONE, |index| format!("list[{index}]"))?;
            Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(keep(&[(0, "h".into()), (3, "f".into())]), Ok(vec!["f".to_owned(), "h".to_owned()]));
        assert_eq!(
            keep(&[(0, "h".into()), (3, "x".into()), (4, "y".into())]),
            Err(BadBody("`list[3]` is none of `tools`".to_owned()))
        );
        assert_eq!(keep(&[]), Ok(vec![]));
    }
}
