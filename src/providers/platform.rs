//! Who runs a vendor's models: the vendor itself, or a cloud that hosts them under addresses and proofs of its own.
//!
//! One row of facts per platform, in the methods of [`Platform`]. What it changes of a body is
//! [`crate::translate::hosted`]'s; this module must not know credentials.

use crate::translate::hosted::Changes;

/// Google's global endpoint, which belongs to no region.
const GLOBAL: &str = "global";

/// Who runs the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Whoever made the API, or speaks it.
    Own,
    /// Google Vertex AI, with Google's models.
    Vertex,
    /// Google Vertex AI, with Anthropic's models.
    VertexAnthropic,
    /// Amazon Bedrock, with Anthropic's models.
    Bedrock,
}

/// How a platform wants to know who asks, where it isn't by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By a key only.
    Key,
    /// By the token of a Google service account, or by a key.
    ServiceAccount,
    /// By a signature with AWS keys, or by a key.
    Aws,
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An answer.
    Answer,
    /// An answer as a stream.
    Stream,
    /// How many tokens the request has.
    Count,
}

impl Platform {
    /// How it wants to know who asks.
    pub const fn identity(self) -> Identity {
        match self {
            Platform::Own => Identity::Key,
            Platform::Vertex | Platform::VertexAnthropic => Identity::ServiceAccount,
            Platform::Bedrock => Identity::Aws,
        }
    }

    /// Whether its addresses have a region.
    pub const fn has_regions(self) -> bool {
        !matches!(self, Platform::Own)
    }

    /// Whether its addresses have a project.
    pub const fn has_projects(self) -> bool {
        matches!(self, Platform::Vertex | Platform::VertexAnthropic)
    }

    /// The service's name in AWS's signatures.
    pub const fn aws_service(self) -> &'static str {
        "bedrock"
    }

    /// Where it is, without a path; `None` where that is no question of regions.
    pub fn origin(self, region: &str) -> Option<String> {
        Some(match (self, region) {
            (Platform::Own, _) => return None,
            (Platform::Bedrock, _) if region.starts_with("cn-") => {
                format!("https://bedrock-runtime.{region}.amazonaws.com.cn")
            }
            (Platform::Bedrock, _) => format!("https://bedrock-runtime.{region}.amazonaws.com"),
            (_, GLOBAL) => "https://aiplatform.googleapis.com".to_owned(),
            // Several regions under one name.
            (_, "us" | "eu") => format!("https://aiplatform.{region}.rep.googleapis.com"),
            _ => format!("https://{region}-aiplatform.googleapis.com"),
        })
    }

    /// The path that its addresses begin with.
    pub fn base_path(self, project: &str, region: &str) -> String {
        let publisher = match self {
            Platform::Own | Platform::Bedrock => return String::new(),
            Platform::Vertex => "google",
            Platform::VertexAnthropic => "anthropic",
        };
        format!("/v1/projects/{project}/locations/{region}/publishers/{publisher}")
    }

    /// Whether it has what is called so in the API of its dialect: the path below the version, or Gemini's verb.
    pub fn has_endpoint(self, endpoint: &str) -> bool {
        match self {
            Platform::Own => true,
            Platform::Vertex => {
                matches!(endpoint, "generateContent" | "streamGenerateContent" | "countTokens")
            }
            Platform::VertexAnthropic => matches!(endpoint, "messages" | "messages/count_tokens"),
            Platform::Bedrock => endpoint == "messages",
        }
    }

    /// The path below the base for what is asked of a model, whose name comes escaped for a path; `None` where the path
    /// is that of the dialect.
    pub fn path(self, model: &str, wish: Wish) -> Option<String> {
        let verb = match (self, wish) {
            (Platform::Own | Platform::Vertex, _) => return None,
            (Platform::VertexAnthropic, Wish::Count) => {
                return Some("/models/count-tokens:rawPredict".to_owned());
            }
            (Platform::VertexAnthropic, Wish::Stream) => ":streamRawPredict",
            (Platform::VertexAnthropic, Wish::Answer) => ":rawPredict",
            (Platform::Bedrock, Wish::Stream) => "/invoke-with-response-stream",
            (Platform::Bedrock, Wish::Answer | Wish::Count) => "/invoke",
        };
        let models = if self == Platform::Bedrock { "model" } else { "models" };
        Some(format!("/{models}/{model}{verb}"))
    }

    /// What it wants to be different in a body of Anthropic's API.
    pub const fn changes(self, wish: Wish) -> Option<Changes> {
        match (self, wish) {
            (Platform::Own | Platform::Vertex, _) => None,
            // Its path names no model.
            (Platform::VertexAnthropic, Wish::Count) => Some(Changes { without: &[], version: VERTEX }),
            (Platform::VertexAnthropic, _) => Some(Changes { without: &["model"], version: VERTEX }),
            (Platform::Bedrock, _) => Some(Changes { without: &["model", "stream"], version: BEDROCK }),
        }
    }

    /// Whether a slash in a model's name, such as that of an ARN, must be escaped in its paths, and all else that may
    /// be.
    pub const fn escapes_all(self) -> bool {
        matches!(self, Platform::Bedrock)
    }
}

/// The version of Anthropic's API on Vertex AI.
const VERTEX: &str = "vertex-2023-10-16";
/// The same on Bedrock.
const BEDROCK: &str = "bedrock-2023-05-31";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_has_its_addresses() {
        let cases = [
            (Platform::Own, "x", None),
            (Platform::Vertex, "us-central1", Some("https://us-central1-aiplatform.googleapis.com")),
            (Platform::Vertex, "global", Some("https://aiplatform.googleapis.com")),
            (Platform::VertexAnthropic, "eu", Some("https://aiplatform.eu.rep.googleapis.com")),
            (Platform::Bedrock, "eu-west-1", Some("https://bedrock-runtime.eu-west-1.amazonaws.com")),
            (Platform::Bedrock, "cn-north-1", Some("https://bedrock-runtime.cn-north-1.amazonaws.com.cn")),
        ];
        for (platform, region, origin) in cases {
            assert_eq!(platform.origin(region).as_deref(), origin, "{platform:?} {region}");
        }
        let path = "/v1/projects/p/locations/global/publishers/google";
        assert_eq!(Platform::Vertex.base_path("p", "global"), path);
        assert_eq!(Platform::Bedrock.base_path("p", "r"), "");
    }

    #[test]
    fn each_wish_has_its_path() {
        let cases = [
            (Platform::VertexAnthropic, Wish::Answer, Some("/models/c@1:rawPredict")),
            (Platform::VertexAnthropic, Wish::Stream, Some("/models/c@1:streamRawPredict")),
            (Platform::VertexAnthropic, Wish::Count, Some("/models/count-tokens:rawPredict")),
            (Platform::Bedrock, Wish::Answer, Some("/model/c@1/invoke")),
            (Platform::Bedrock, Wish::Stream, Some("/model/c@1/invoke-with-response-stream")),
            (Platform::Vertex, Wish::Stream, None),
        ];
        for (platform, wish, path) in cases {
            assert_eq!(platform.path("c@1", wish).as_deref(), path, "{platform:?} {wish:?}");
        }
    }
}
