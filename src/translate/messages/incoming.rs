//! The shapes of a client's request as they come: every member that is looked at, and nothing decided about it.
//!
//! Blocks are one flat shape for all their types, because a tagged enum would copy each of them first. Source:
//! Anthropic's reference of the Messages API, and the types of its SDKs for Python from 0.x to 2.12.

use crate::translate::elements;
use crate::translate::pieces::{Listed, Str};
use crate::translate::verbatim::Verbatim;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

const _: () = elements::fit::<Message<'_>>();
const _: () = elements::fit::<Block<'_>>();
const _: () = elements::fit::<Tool<'_>>();

/// Words, or blocks. What only the vendor's own tools give may be something else.
pub(super) type Content<'a> = Listed<'a, Block<'a>>;

/// What is only asked whether it is there, and not `null`.
type Mark = Option<IgnoredAny>;

#[derive(Debug, Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<Message<'a>>,
    #[serde(borrow)]
    pub(super) system: Option<Content<'a>>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    #[serde(borrow)]
    pub(super) stop_sequences: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) tool_choice: Option<ToolChoice<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Thinking<'a>>,
    #[serde(borrow)]
    pub(super) output_config: Option<OutputConfig<'a>>,
    /// Where the form of the answer stood before it moved to `output_config`.
    #[serde(borrow)]
    pub(super) output_format: Option<Format<'a>>,
    #[serde(borrow)]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Str<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) container: Mark,
    pub(super) mcp_servers: Option<Vec<IgnoredAny>>,
    pub(super) cache_control: Mark,
    pub(super) context_management: Mark,
    pub(super) inference_geo: Mark,
    pub(super) speed: Mark,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) content: Content<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<Verbatim<'a>>,
    #[serde(borrow)]
    pub(super) source: Option<Place<'a>>,
    #[serde(borrow)]
    pub(super) title: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) context: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_use_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    pub(super) is_error: Option<bool>,
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
    /// A list of quotations, or whether the model is to make some.
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
    pub(super) cache_control: Mark,
    pub(super) transformations: Mark,
}

/// The `source` of a block: of a medium an object, of a search result a name.
#[derive(Debug)]
pub(super) enum Place<'a> {
    Name,
    Source(Box<Source<'a>>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Source<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) media_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) description: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) input_schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    pub(super) defer_loading: Option<bool>,
    pub(super) input_examples: Mark,
    pub(super) allowed_callers: Mark,
    pub(super) cache_control: Mark,
}

#[derive(Debug, Deserialize)]
pub(super) struct ToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Option<Str<'a>>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Thinking<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) budget_tokens: Option<u64>,
    #[serde(borrow)]
    pub(super) display: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(borrow)]
    pub(super) effort: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) format: Option<Format<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Format<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) user_id: Option<Str<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Place<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Place<'a>, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Place<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a string")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Place<'de>, E> {
                Ok(Place::Name)
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Place<'de>, A::Error> {
                let source = Source::deserialize(MapAccessDeserializer::new(object))?;
                Ok(Place::Source(Box::new(source)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
