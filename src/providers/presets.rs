//! What is known of providers by their name, so that `providers: {openai: }` is enough.
//!
//! One table, one row each. It knows public facts of vendors only; what an operator writes wins.

use super::platform::{Identity, Platform};
use crate::domain::Dialect;

/// How a provider wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer …`
    Bearer,
    /// `x-api-key: …` (Anthropic)
    XApiKey,
    /// `x-goog-api-key: …` (Gemini)
    XGoogApiKey,
    /// `api-key: …` (Azure)
    ApiKey,
}

impl KeyHeader {
    /// The header of providers without a preset: what their dialect's inventor uses.
    pub const fn of(dialect: Dialect) -> KeyHeader {
        match dialect {
            Dialect::OpenAi => KeyHeader::Bearer,
            Dialect::Anthropic => KeyHeader::XApiKey,
            Dialect::Gemini => KeyHeader::XGoogApiKey,
        }
    }
}

/// A provider that is known by name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The name under `providers:`.
    pub name: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// Who runs its models.
    pub platform: Platform,
    /// Where it is; empty if that differs for each customer, or by region.
    pub base_url: &'static str,
    /// The environment variable that usually holds its key; empty if there is none.
    pub key_variable: &'static str,
    /// How it wants its key.
    pub key_header: KeyHeader,
    /// Beginnings of the model names that are surely its own.
    pub model_prefixes: &'static [&'static str],
    /// Its best-known models, which have metrics of their own though no list names them.
    pub known_models: &'static [&'static str],
    /// Whether it has OpenAI's Responses API.
    pub responses: bool,
}

impl Preset {
    /// The preset of that provider name.
    pub fn of(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Whether it refuses requests without a credential.
    pub const fn needs_key(&self) -> bool {
        !self.key_variable.is_empty() || self.has_regions()
    }

    /// The variables from which the clouds' own tools take what a key of the configuration leaves out: the first that
    /// is set.
    pub const fn cloud_variables(&self) -> &'static [(CloudKey, &'static [&'static str])] {
        match self.platform.identity() {
            Identity::Key => &[],
            Identity::ServiceAccount => GOOGLES,
            Identity::Aws => AWSS,
        }
    }

    /// Whether its addresses have a region.
    pub const fn has_regions(&self) -> bool {
        self.platform.has_regions()
    }

    /// Whether its addresses have a project.
    pub const fn has_projects(&self) -> bool {
        self.platform.has_projects()
    }

    /// Whether the model is surely one of its own.
    pub fn recognises(&self, model: &str) -> bool {
        self.model_prefixes.iter().any(|prefix| model.starts_with(prefix))
    }
}

/// What of a cloud's configuration may come from the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKey {
    /// `region`.
    Region,
    /// `project`.
    Project,
    /// `service_account_file`.
    ServiceAccountFile,
    /// `aws_access_key_id`.
    AwsAccessKeyId,
    /// `aws_secret_access_key`.
    AwsSecretAccessKey,
    /// `aws_session_token`.
    AwsSessionToken,
}

impl CloudKey {
    /// Whether it is, or is part of, a credential.
    pub const fn is_credential(self) -> bool {
        !matches!(self, CloudKey::Region | CloudKey::Project)
    }
}

const GOOGLES: &[(CloudKey, &[&str])] = &[
    (CloudKey::Region, &["GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"]),
    (CloudKey::Project, &["GOOGLE_CLOUD_PROJECT"]),
    (CloudKey::ServiceAccountFile, &["GOOGLE_APPLICATION_CREDENTIALS"]),
];
const AWSS: &[(CloudKey, &[&str])] = &[
    (CloudKey::Region, &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    (CloudKey::AwsAccessKeyId, &["AWS_ACCESS_KEY_ID"]),
    (CloudKey::AwsSecretAccessKey, &["AWS_SECRET_ACCESS_KEY"]),
    (CloudKey::AwsSessionToken, &["AWS_SESSION_TOKEN"]),
];

const ANTHROPIC: Preset = Preset {
    name: "anthropic",
    dialect: Dialect::Anthropic,
    platform: Platform::Own,
    base_url: "https://api.anthropic.com",
    key_variable: "ANTHROPIC_API_KEY",
    key_header: KeyHeader::XApiKey,
    model_prefixes: &["claude-"],
    known_models: &[
        "claude-3-5-haiku-latest",
        "claude-3-5-sonnet",
        "claude-3-5-sonnet-latest",
        "claude-3-7-sonnet-latest",
        "claude-haiku-4-5",
        "claude-opus-4-1",
        "claude-opus-4-5",
        "claude-sonnet-4-5",
    ],
    responses: false,
};

const GEMINI: Preset = Preset {
    name: "gemini",
    dialect: Dialect::Gemini,
    platform: Platform::Own,
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    key_variable: "GEMINI_API_KEY",
    key_header: KeyHeader::XGoogApiKey,
    model_prefixes: &["gemini-"],
    known_models: &[
        "gemini-2.0-flash",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-2.5-pro",
        "gemini-embedding-001",
    ],
    responses: false,
};

/// A service that speaks OpenAI's Chat Completions.
const fn compatible(name: &'static str, base_url: &'static str, key_variable: &'static str) -> Preset {
    Preset {
        name,
        dialect: Dialect::OpenAi,
        platform: Platform::Own,
        base_url,
        key_variable,
        key_header: KeyHeader::Bearer,
        model_prefixes: &[],
        known_models: &[],
        responses: false,
    }
}

/// Every provider that is known by name.
pub const PRESETS: &[Preset] = &[
    ANTHROPIC,
    Preset { name: "claude", ..ANTHROPIC },
    Preset {
        model_prefixes: &[
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "text-embedding-",
            "omni-moderation-",
            "text-moderation-",
            "dall-e-",
            "whisper-",
            "tts-",
        ],
        known_models: &[
            "gpt-4.1",
            "gpt-4.1-mini",
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-5",
            "gpt-5-mini",
            "gpt-5-nano",
            "o3",
            "o4-mini",
            "text-embedding-3-large",
            "text-embedding-3-small",
        ],
        responses: true,
        ..compatible("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
    },
    GEMINI,
    Preset {
        name: "vertex",
        platform: Platform::Vertex,
        base_url: "",
        key_variable: "",
        known_models: &["gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro"],
        ..GEMINI
    },
    Preset {
        name: "vertex-anthropic",
        platform: Platform::VertexAnthropic,
        base_url: "",
        key_variable: "",
        key_header: KeyHeader::XGoogApiKey,
        known_models: &[
            "claude-haiku-4-5@20251001",
            "claude-opus-4-1@20250805",
            "claude-sonnet-4-5@20250929",
        ],
        ..ANTHROPIC
    },
    Preset {
        name: "bedrock",
        platform: Platform::Bedrock,
        base_url: "",
        key_variable: "AWS_BEARER_TOKEN_BEDROCK",
        key_header: KeyHeader::Bearer,
        model_prefixes: &[
            "anthropic.claude-",
            "us.anthropic.claude-",
            "eu.anthropic.claude-",
            "apac.anthropic.claude-",
            "global.anthropic.claude-",
        ],
        known_models: &[
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "anthropic.claude-opus-4-1-20250805-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
        ],
        ..ANTHROPIC
    },
    compatible("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    compatible("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    compatible("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    compatible("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    compatible("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    compatible("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    compatible("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    compatible("ollama", "http://127.0.0.1:11434/v1", ""),
    compatible("vllm", "http://127.0.0.1:8000/v1", ""),
    Preset { key_header: KeyHeader::ApiKey, ..compatible("azure", "", "AZURE_OPENAI_API_KEY") },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Scalar, Url};

    #[test]
    fn every_preset_has_an_address_but_azure_and_the_clouds_which_have_one_by_region() {
        for preset in PRESETS {
            let differs = preset.name == "azure" || preset.has_regions();
            assert_eq!(Url::parse(preset.base_url).is_none(), differs, "{}", preset.name);
            assert_eq!(Preset::of(preset.name).map(|found| found.base_url), Some(preset.base_url));
        }
    }

    #[test]
    fn only_the_three_vendors_and_their_clouds_recognise_models() {
        let recognised = |model| {
            PRESETS
                .iter()
                .filter(|preset| preset.recognises(model))
                .map(|preset| preset.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(recognised("claude-opus-4"), ["anthropic", "claude", "vertex-anthropic"]);
        assert_eq!(recognised("eu.anthropic.claude-opus-4-1-20250805-v1:0"), ["bedrock"]);
        assert_eq!(recognised("gpt-5"), ["openai"]);
        for model in ["o3-mini", "omni-moderation-latest", "dall-e-2", "whisper-1", "tts-1-hd"] {
            assert_eq!(recognised(model), ["openai"]);
        }
        assert_eq!(recognised("gemini-2.5-pro"), ["gemini", "vertex"]);
        assert_eq!(recognised("llama-3"), Vec::<&str>::new());
    }
}
