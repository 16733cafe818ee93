//! A provider as the program uses it: what the operator wrote, completed by the preset of its name.
//!
//! What is typed and what is used are two types: [`super::config::Provider`] may leave almost everything out,
//! a [`Definition`] has everything. This module must not know live state.

use super::base::Base;
use super::config::{Model, Provider as Settings, Timeouts};
use super::credential::{Entry, Terms, UnsendableKey};
use super::platform::Platform;
use super::presets::{KeyHeader, Preset};
use super::routes::{Supplied, Supplier};
use super::service_account::{BadKeyFile, ServiceAccount};
use super::sigv4::AwsKeys;
use crate::domain::{Dialect, Price, Secret};
use crate::settings::{Scalar, Url};
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;
use std::sync::Arc;

/// The path of Azure's OpenAI service, which customers leave out of its address.
const AZURE_PATH: &str = "/openai";

/// Everything that is fixed about a provider.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The name under `providers:`.
    pub name: Arc<str>,
    /// The name as a header has it, if one can.
    pub name_header: Option<HeaderValue>,
    /// Whether it may serve.
    pub enabled: bool,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it is.
    pub base: Base,
    /// Who runs its models.
    pub platform: Platform,
    /// Where its platform runs them; empty where that is no question.
    pub region: String,
    /// How it wants its key.
    pub key_header: KeyHeader,
    /// Whether it refuses requests without a key.
    pub needs_key: bool,
    /// The keys of the configuration.
    pub keys: Vec<Secret>,
    /// The Google service account of the configuration.
    pub service_account: Option<ServiceAccount>,
    /// The AWS keys of the configuration.
    pub aws_keys: Option<AwsKeys>,
    /// Headers added to each request, marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The models of its list; if there are none, its preset's prefixes speak for it.
    pub models: Vec<Model>,
    /// How the names of the models begin that its preset recognises.
    pub model_prefixes: &'static [&'static str],
    /// Whether it has OpenAI's Responses API.
    pub responses: bool,
    /// Lower numbers are preferred.
    pub priority: u32,
    /// Its share among providers of the same priority.
    pub weight: u32,
    /// Requests at one time.
    pub max_concurrency: Option<u32>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Dollars per thousand tokens, for models without a price of their own.
    pub price: Option<Price>,
    /// Models that have metrics of their own, beside those that the configuration names.
    pub known_models: &'static [&'static str],
    /// Certificates to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate for mutual TLS and its private key, PEM.
    pub client_cert_and_key: Option<(PathBuf, PathBuf)>,
}

/// Why a provider can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// No `format`, and no preset of its name.
    #[error("needs a `format` (openai, anthropic or gemini): its name is not one that is known")]
    NoFormat,
    /// No `base_url`, and no preset of its name that has one.
    #[error("needs a `base_url`")]
    NoBase,
    /// No `region`, and a platform that has some.
    #[error("needs a `region`")]
    NoRegion,
    /// No `project`, and a platform that has some; the key file has none either.
    #[error("needs a `project`: its key file names none")]
    NoProject,
    /// The key file of the service account can't be used.
    #[error("service_account_file: {0}")]
    KeyFile(#[from] BadKeyFile),
    /// A header that HTTP can't carry; the value is not repeated.
    #[error("the header `{0}` can't be sent")]
    Header(String),
    /// A key that HTTP can't carry; the key is not repeated.
    #[error("a key {0}")]
    Key(#[from] UnsendableKey),
}

impl Definition {
    /// The provider of that name. Keys from the environment are in the settings already: only `config`
    /// reads it.
    ///
    /// # Errors
    /// When something is missing that neither the operator nor a preset gives, or can't be sent.
    pub fn new(name: &str, settings: &Settings) -> Result<Definition, DefinitionError> {
        let preset = settings.preset(name);
        let dialect = settings.format.or(preset.map(|p| p.dialect)).ok_or(DefinitionError::NoFormat)?;
        let of_dialect = KeyHeader::of(dialect);
        let preset_in_force = preset.filter(|p| p.dialect == dialect);
        let key_header = preset_in_force.map_or(of_dialect, |p| p.key_header);
        let platform = preset_in_force.map_or(Platform::Own, |p| p.platform);
        let account = settings
            .service_account_file
            .as_deref()
            .filter(|_| settings.enabled)
            .map(ServiceAccount::read)
            .transpose()?;
        let region = settings.region.clone().unwrap_or_default();
        if platform.has_regions() && region.is_empty() {
            return Err(DefinitionError::NoRegion);
        }
        let preset_url = || Url::parse(&platform.origin(&region).unwrap_or(preset?.base_url.to_owned()));
        let mut url = settings.base_url.clone().or_else(preset_url).ok_or(DefinitionError::NoBase)?;
        if key_header == KeyHeader::ApiKey && url.path.is_empty() {
            AZURE_PATH.clone_into(&mut url.path);
        }
        if platform.has_projects() && url.path.is_empty() {
            let of_account = account.as_ref().and_then(|account| account.project_id.clone());
            let project = settings.project.clone().or(of_account).ok_or(DefinitionError::NoProject)?;
            url.path = platform.base_path(&project, &region);
        }
        let mut base = Base::new(&url, dialect);
        if platform != Platform::Own {
            base = base.without_version();
        }
        if let Some(version) = &settings.api_version {
            base = base.with_query("api-version", version);
        }
        let keys = settings.keys().cloned().collect();
        let definition = Definition {
            name: name.into(),
            name_header: HeaderValue::from_str(name).ok(),
            enabled: settings.enabled,
            dialect,
            base,
            platform,
            region,
            key_header,
            needs_key: preset.is_some_and(Preset::needs_key),
            keys,
            service_account: account,
            aws_keys: settings.aws_keys(),
            headers: sendable(settings)?,
            models: settings.models.clone(),
            model_prefixes: preset.map_or(&[], |p| p.model_prefixes),
            responses: settings.responses.unwrap_or(preset.is_some_and(|p| p.responses)),
            priority: settings.priority,
            weight: settings.weight,
            max_concurrency: settings.max_concurrency,
            timeouts: settings.timeouts.clone(),
            price: settings.cost_per_1k_tokens,
            known_models: preset.map_or(&[], |p| p.known_models),
            ca_file: settings.ca_file.clone(),
            client_cert_and_key: settings.client_cert_file.clone().zip(settings.client_key_file.clone()),
        };
        definition.key_entries()?;
        Ok(definition)
    }

    /// The same where a key was meant to be there, such as one from a variable that is not set: without
    /// one, the provider is `no_credential`.
    pub fn requiring_key(mut self) -> Definition {
        self.needs_key = true;
        self
    }

    /// The configuration's credentials as entries of the rotation.
    pub(super) fn key_entries(&self) -> Result<Vec<Entry>, DefinitionError> {
        let keys = self.keys.iter().map(|key| Entry::key(self.key_header, key, Terms::default()));
        let mut entries = keys.collect::<Result<Vec<_>, _>>()?;
        if let Some(account) = &self.service_account {
            entries.push(Entry::service_account(account, Terms::default())?);
        }
        entries.extend(self.aws_keys.iter().map(|keys| self.aws_entry(keys, Terms::default())));
        Ok(entries)
    }

    /// AWS keys as an entry of this provider's rotation.
    pub(super) fn aws_entry(&self, keys: &AwsKeys, terms: Terms) -> Entry {
        Entry::aws(keys, &self.region, self.platform.aws_service(), terms)
    }

    /// Whether credentials of `other` may be used here as they are: same place, same way, same keys.
    pub(super) fn shares_credentials_with(&self, other: &Definition) -> bool {
        let place =
            |it: &Definition| (it.base.clone(), it.platform, it.region.clone(), it.key_header, it.needs_key);
        place(self) == place(other)
            && (&self.keys, &self.service_account, &self.aws_keys)
                == (&other.keys, &other.service_account, &other.aws_keys)
    }

    /// What the list says of a model, by the provider's own name for it.
    pub fn model(&self, upstream: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == upstream)
    }

    /// The tokens that fit a model's context, by the provider's own name for it, where the list says so. A model may
    /// be listed under several aliases, and described once.
    pub fn context_window(&self, upstream: &str) -> Option<u64> {
        self.listed(upstream).find_map(|model| model.context_window)
    }

    /// What a model can say at most, by the provider's own name for it, where the list says so.
    pub fn max_output_tokens(&self, upstream: &str) -> Option<u64> {
        self.listed(upstream).find_map(|model| model.max_output_tokens)
    }

    /// Whether a model, by the provider's own name for it, is said to go on from a partial answer.
    pub fn supports_prefill(&self, upstream: &str) -> bool {
        self.listed(upstream).any(|model| model.supports_prefill)
    }

    /// A model's entries. Searched when a request has failed: a list of hundreds needs no index for that.
    fn listed(&self, upstream: &str) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |model| model.name == upstream)
    }

    /// What the routes need to know.
    pub(super) fn supplier(&self) -> Supplier {
        let supplied = |model: &Model| Supplied {
            name: model.name.as_str().into(),
            aliases: model.alias.iter().map(|alias| alias.as_str().into()).collect(),
        };
        Supplier {
            name: Arc::clone(&self.name),
            enabled: self.enabled,
            models: self.models.iter().map(supplied).collect(),
            prefixes: self.model_prefixes,
            known: self.known_models,
        }
    }
}

/// The headers of the configuration. Any may hold a secret, so all are marked.
fn sendable(settings: &Settings) -> Result<Vec<(HeaderName, HeaderValue)>, DefinitionError> {
    let header = |(name, value): (&String, &Secret)| {
        let sendable =
            HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value.expose()).ok());
        let (parsed, mut value) = sendable.ok_or_else(|| DefinitionError::Header(name.clone()))?;
        value.set_sensitive(true);
        Ok((parsed, value))
    };
    settings.headers.iter().map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Settings {
        Settings { base_url: Url::parse(url), ..Settings::default() }
    }

    #[test]
    fn a_known_name_needs_nothing_more() {
        let claude = Definition::new("claude", &Settings::default()).unwrap();
        assert_eq!((claude.dialect, claude.key_header), (Dialect::Anthropic, KeyHeader::XApiKey));
        assert_eq!(claude.base.upstream_path("/v1/messages"), "/v1/messages");
        assert!(claude.needs_key);
    }

    #[test]
    fn what_is_written_wins() {
        let mut settings = at("http://127.0.0.1:9001");
        settings.api_key = Some(Secret::new("sk-mine"));
        settings.format = Some(Dialect::OpenAi);
        let claude = Definition::new("claude", &settings).unwrap();
        assert_eq!((claude.dialect, claude.key_header), (Dialect::OpenAi, KeyHeader::Bearer));
        assert_eq!((claude.base.port, claude.keys), (9_001, vec![Secret::new("sk-mine")]));
    }

    #[test]
    fn what_one_entry_says_of_a_model_holds_for_its_aliases() {
        let model = |alias: &str, window, prefill| Model {
            alias: Some(alias.to_owned()),
            context_window: window,
            supports_prefill: prefill,
            ..Model::named("big")
        };
        let models = vec![model("a", None, false), model("b", Some(1_000_000), true), Model::named("small")];
        let claude = Definition::new("claude", &Settings { models, ..Settings::default() }).unwrap();
        assert_eq!((claude.context_window("big"), claude.supports_prefill("big")), (Some(1_000_000), true));
        for unknown in ["small", "a", "other"] {
            assert_eq!((claude.context_window(unknown), claude.supports_prefill(unknown)), (None, false));
        }
    }

    #[test]
    fn an_unknown_name_says_what_it_lacks() {
        let error = |settings: &Settings| Definition::new("mine", settings).unwrap_err();
        assert_eq!(error(&Settings::default()), DefinitionError::NoFormat);
        let spoken = Settings { format: Some(Dialect::OpenAi), ..Settings::default() };
        assert_eq!(error(&spoken), DefinitionError::NoBase);
        assert_eq!(Definition::new("azure", &Settings::default()).unwrap_err(), DefinitionError::NoBase);
    }

    #[test]
    fn a_provider_without_preset_needs_no_key_unless_one_was_meant() {
        let settings = Settings { format: Some(Dialect::OpenAi), ..at("http://127.0.0.1:8000/v1") };
        let mine = Definition::new("mine", &settings).unwrap();
        assert!(!mine.needs_key);
        assert!(mine.requiring_key().needs_key);
        assert!(!Definition::new("ollama", &Settings::default()).unwrap().needs_key);
    }

    #[test]
    fn azure_takes_the_host_alone_and_adds_its_version() {
        let settings =
            Settings { api_version: Some("preview".to_owned()), ..at("https://x.openai.azure.com") };
        let azure = Definition::new("azure", &settings).unwrap();
        let path = azure.base.upstream_path("/v1/chat/completions");
        assert_eq!(path, "/openai/v1/chat/completions?api-version=preview");
    }

    #[test]
    fn headers_and_keys_that_cannot_be_sent_are_named_and_not_repeated() {
        let mut settings = Settings::default();
        settings.headers.insert("x-team".to_owned(), Secret::new("se\ncret"));
        let error = Definition::new("openai", &settings).unwrap_err();
        assert_eq!(error.to_string(), "the header `x-team` can't be sent");

        let settings = Settings { api_key: Some(Secret::new("se\ncret")), ..Settings::default() };
        let error = Definition::new("openai", &settings).unwrap_err();
        assert!(!error.to_string().contains("cret"), "{error}");
    }

    #[test]
    fn a_cloud_has_its_addresses_by_region_and_project() {
        let settings = |region: &str| Settings {
            region: Some(region.to_owned()),
            project: Some("acme-1".to_owned()),
            ..Settings::default()
        };
        let vertex = Definition::new("vertex", &settings("us-central1")).unwrap();
        assert_eq!(vertex.base.authority, "us-central1-aiplatform.googleapis.com");
        assert_eq!(
            vertex.base.upstream_path("/v1beta/models/m:generateContent?alt=sse&key=k"),
            "/v1/projects/acme-1/locations/us-central1/publishers/google/models/m:generateContent?alt=sse"
        );
        let bedrock = Definition::new("bedrock", &settings("eu-west-1")).unwrap();
        assert_eq!(bedrock.base.authority, "bedrock-runtime.eu-west-1.amazonaws.com");
        assert_eq!(bedrock.base.upstream_path("/model/m/invoke"), "/model/m/invoke");
        assert!(bedrock.needs_key && vertex.needs_key);

        let elsewhere = Settings {
            preset: Some("bedrock".to_owned()),
            base_url: Url::parse("http://127.0.0.1:1/proxy"),
            ..settings("r")
        };
        let elsewhere = Definition::new("second", &elsewhere).unwrap();
        assert_eq!(elsewhere.base.upstream_path("/model/m/invoke"), "/proxy/model/m/invoke");
        assert_eq!((elsewhere.platform, elsewhere.dialect), (Platform::Bedrock, Dialect::Anthropic));
    }

    #[test]
    fn a_cloud_says_what_it_lacks() {
        let nothing = Settings::default();
        let region = Settings { region: Some("r".to_owned()), ..Settings::default() };
        let missing_file = Settings { service_account_file: Some("/nowhere.json".into()), ..region.clone() };
        assert_eq!(Definition::new("bedrock", &nothing).unwrap_err(), DefinitionError::NoRegion);
        assert_eq!(Definition::new("vertex", &region).unwrap_err(), DefinitionError::NoProject);
        let error = Definition::new("vertex", &missing_file).unwrap_err();
        assert!(error.to_string().starts_with("service_account_file: can't be read"), "{error}");
    }

    #[test]
    fn credentials_are_shared_only_while_they_are_the_same() {
        let keys = |secret: &str| Settings {
            region: Some("r".to_owned()),
            aws_access_key_id: Some(Secret::new("AKID")),
            aws_secret_access_key: Some(Secret::new(secret)),
            ..Settings::default()
        };
        let bedrock = |settings: &Settings| Definition::new("bedrock", settings).unwrap();
        let old = bedrock(&keys("a"));
        assert!(old.shares_credentials_with(&bedrock(&keys("a"))));
        assert!(!old.shares_credentials_with(&bedrock(&keys("b"))));
        let moved = Settings { region: Some("s".to_owned()), ..keys("a") };
        assert!(!old.shares_credentials_with(&bedrock(&moved)));
    }
}
