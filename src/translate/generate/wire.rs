//! Gemini's words as they come: requests of clients and answers of providers, read leniently.
//!
//! A member's name comes in camel or snake case, as ProtoJSON has it. What follows from the words is not known here.
//! Sources: Gemini API reference, "Generating content" and "Caching" (`Content`, `Part`, `Tool`); Protocol Buffers,
//! "ProtoJSON Format".

use super::lenient::{Many, Number};
use crate::translate::elements;
use crate::translate::pieces::{Str, TextOr};
use crate::translate::verbatim::Verbatim;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

const _: () = elements::fit::<Content<'_>>();
const _: () = elements::fit::<Part<'_>>();
const _: () = elements::fit::<Tool<'_>>();
const _: () = elements::fit::<Function<'_>>();

/// `GenerateContentRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    pub(super) contents: Many<Content<'a>>,
    /// A content, or its text.
    #[serde(borrow, alias = "system_instruction")]
    pub(super) system_instruction: Option<TextOr<'a, Content<'a>>>,
    #[serde(borrow, default)]
    pub(super) tools: Many<Tool<'a>>,
    #[serde(borrow, alias = "tool_config")]
    pub(super) tool_config: Option<ToolConfig<'a>>,
    #[serde(borrow, alias = "generation_config")]
    pub(super) generation_config: Option<GenerationConfig<'a>>,
    #[serde(alias = "safety_settings")]
    pub(super) safety_settings: Option<IgnoredAny>,
    #[serde(alias = "model_armor_config")]
    pub(super) model_armor_config: Option<IgnoredAny>,
    #[serde(alias = "cached_content")]
    pub(super) cached_content: Option<IgnoredAny>,
    #[serde(alias = "service_tier")]
    pub(super) service_tier: Option<IgnoredAny>,
    pub(super) labels: Option<IgnoredAny>,
    pub(super) store: Option<IgnoredAny>,
}

/// `Content`: what one says.
#[derive(Deserialize, Default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) role: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(super) parts: Many<Part<'a>>,
}

/// `Part`: one of its members has what is said, the others say more about it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Verbatim<'a>>,
    pub(super) thought: Option<bool>,
    #[serde(borrow, alias = "thought_signature")]
    pub(super) thought_signature: Option<Str<'a>>,
    #[serde(borrow, alias = "inline_data")]
    pub(super) inline_data: Option<Blob<'a>>,
    #[serde(borrow, alias = "file_data")]
    pub(super) file_data: Option<File<'a>>,
    #[serde(borrow, alias = "function_call")]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(borrow, alias = "function_response")]
    pub(super) function_response: Option<FunctionResponse<'a>>,
    #[serde(alias = "executable_code")]
    executable_code: Option<IgnoredAny>,
    #[serde(alias = "code_execution_result")]
    code_execution_result: Option<IgnoredAny>,
    #[serde(alias = "tool_call")]
    tool_call: Option<IgnoredAny>,
    #[serde(alias = "tool_response")]
    tool_response: Option<IgnoredAny>,
    #[serde(alias = "video_metadata")]
    video_metadata: Option<IgnoredAny>,
    #[serde(alias = "media_resolution")]
    media_resolution: Option<IgnoredAny>,
}

impl Part<'_> {
    /// Whether it is of a tool that the provider itself runs.
    pub(super) fn is_of_server(&self) -> bool {
        self.executable_code.is_some()
            || self.code_execution_result.is_some()
            || self.tool_call.is_some()
            || self.tool_response.is_some()
    }

    /// Whether it says nothing that is known here: no words, no medium, no call, no result, and no signature either.
    pub(super) fn is_empty(&self) -> bool {
        let has_words = self.text.is_some() || self.thought_signature.is_some();
        let has_medium = self.inline_data.is_some() || self.file_data.is_some();
        let is_of_tool = self.function_call.is_some() || self.function_response.is_some();
        !(has_words || has_medium || is_of_tool || self.is_of_server())
    }

    /// Whether it says how its medium is to be looked at.
    pub(super) fn has_media_options(&self) -> bool {
        self.video_metadata.is_some() || self.media_resolution.is_some()
    }
}

/// `Blob`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Str<'a>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

/// `FileData`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File<'a> {
    #[serde(borrow, alias = "mime_type")]
    pub(super) mime_type: Option<Str<'a>>,
    #[serde(borrow, alias = "file_uri")]
    pub(super) file_uri: Str<'a>,
    #[serde(borrow, alias = "display_name")]
    pub(super) display_name: Option<Str<'a>>,
}

/// `FunctionCall`.
#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

/// `FunctionResponse`.
#[derive(Deserialize)]
pub(super) struct FunctionResponse<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<&'a RawValue>,
    /// Media that the tool gave.
    #[serde(borrow, default)]
    pub(super) parts: Many<Part<'a>>,
}

/// `Tool`: functions of the client's, and tools that the provider runs, whatever they are called this year.
#[derive(Default)]
pub(super) struct Tool<'a> {
    pub(super) functions: Vec<Function<'a>>,
    pub(super) has_server_tools: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Tool<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tool<'a>, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Tool<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tool")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tool<'de>, A::Error> {
                let mut tool = Tool::default();
                while let Some(Str(name)) = map.next_key()? {
                    if matches!(name.as_ref(), "functionDeclarations" | "function_declarations") {
                        tool.functions.append(&mut map.next_value::<Many<Function<'de>>>()?.0);
                    } else {
                        tool.has_server_tools |= map.next_value::<Option<IgnoredAny>>()?.is_some();
                    }
                }
                Ok(tool)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// `FunctionDeclaration`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    #[serde(borrow, alias = "parameters_json_schema")]
    pub(super) parameters_json_schema: Option<&'a RawValue>,
    pub(super) response: Option<IgnoredAny>,
    #[serde(alias = "response_json_schema")]
    pub(super) response_json_schema: Option<IgnoredAny>,
}

/// `ToolConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    #[serde(borrow, alias = "function_calling_config")]
    pub(super) function_calling_config: Option<FunctionCallingConfig<'a>>,
    #[serde(alias = "retrieval_config")]
    pub(super) retrieval_config: Option<IgnoredAny>,
}

/// `FunctionCallingConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FunctionCallingConfig<'a> {
    #[serde(borrow)]
    pub(super) mode: Option<Str<'a>>,
    #[serde(borrow, default, alias = "allowed_function_names")]
    pub(super) allowed_function_names: Option<Vec<Str<'a>>>,
}

/// `GenerationConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    pub(super) temperature: Option<Number>,
    #[serde(alias = "top_p")]
    pub(super) top_p: Option<Number>,
    #[serde(alias = "top_k")]
    pub(super) top_k: Option<Number>,
    #[serde(alias = "max_output_tokens")]
    pub(super) max_output_tokens: Option<Number>,
    #[serde(borrow, alias = "stop_sequences")]
    pub(super) stop_sequences: Option<Vec<Str<'a>>>,
    pub(super) seed: Option<Number>,
    #[serde(alias = "presence_penalty")]
    pub(super) presence_penalty: Option<Number>,
    #[serde(alias = "frequency_penalty")]
    pub(super) frequency_penalty: Option<Number>,
    #[serde(alias = "candidate_count")]
    pub(super) candidate_count: Option<Number>,
    #[serde(borrow, alias = "response_mime_type")]
    pub(super) response_mime_type: Option<Str<'a>>,
    #[serde(borrow, alias = "response_schema")]
    pub(super) response_schema: Option<&'a RawValue>,
    #[serde(borrow, alias = "response_json_schema", alias = "_responseJsonSchema")]
    pub(super) response_json_schema: Option<&'a RawValue>,
    #[serde(borrow, alias = "response_modalities")]
    pub(super) response_modalities: Option<Vec<Str<'a>>>,
    #[serde(alias = "response_logprobs")]
    pub(super) response_logprobs: Option<bool>,
    pub(super) logprobs: Option<IgnoredAny>,
    #[serde(borrow, alias = "thinking_config")]
    pub(super) thinking_config: Option<ThinkingConfig<'a>>,
    #[serde(alias = "speech_config")]
    pub(super) speech_config: Option<IgnoredAny>,
    #[serde(alias = "image_config")]
    pub(super) image_config: Option<IgnoredAny>,
    #[serde(alias = "media_resolution")]
    pub(super) media_resolution: Option<IgnoredAny>,
    #[serde(alias = "routing_config")]
    pub(super) routing_config: Option<IgnoredAny>,
}

/// `ThinkingConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig<'a> {
    #[serde(alias = "include_thoughts")]
    pub(super) include_thoughts: Option<bool>,
    #[serde(alias = "thinking_budget")]
    pub(super) thinking_budget: Option<Number>,
    #[serde(borrow, alias = "thinking_level")]
    pub(super) thinking_level: Option<Str<'a>>,
}

/// `GenerateContentResponse`, whole or one of a stream's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, alias = "prompt_feedback")]
    pub(super) prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow, alias = "usage_metadata")]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, alias = "model_version")]
    pub(super) model_version: Option<Str<'a>>,
    #[serde(borrow, alias = "response_id")]
    pub(super) response_id: Option<Str<'a>>,
}

/// `Candidate`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, alias = "finish_reason")]
    pub(super) finish_reason: Option<Str<'a>>,
    pub(super) index: Option<u64>,
}

/// `PromptFeedback`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback<'a> {
    #[serde(borrow, alias = "block_reason")]
    pub(super) block_reason: Option<Str<'a>>,
}
