//! The settings of providers: where they are, what they serve, what it costs, how long to wait.

use super::presets::{PRESETS, Preset};
use super::sigv4::AwsKeys;
use crate::cooldown::config::ProviderCooldown;
use crate::domain::{Dialect, Period, Price, Secret};
use crate::health::config::ProviderHealthCheck;
use crate::quota::config::Quota;
use crate::settings::{Node, OrOff, Problems, Url, nearest, settings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The longest name of a region or project.
const MAX_CLOUD_NAME: usize = 64;

settings! {
    /// A provider. What is left out comes from the preset of its name, if there is one.
    pub struct Provider {
        /// Whether it may serve; default true.
        enabled: bool = true,
        /// What it speaks: openai, anthropic or gemini; default: the preset's.
        format: Option<Dialect>,
        /// Another preset that it follows than that of its name, so that one may be there twice; default: its name's.
        preset: Option<String>,
        /// Where it is, with or without the version segment; default: the preset's.
        base_url: Option<Url>,
        /// Its key; default: the preset's environment variable.
        api_key: Option<Secret>,
        /// Its keys, if it has several; default: none.
        api_keys: Vec<Secret>,
        /// The cloud's region, such as us-east-1, eu-west-1 or, of Vertex AI, global; default: the cloud's variable.
        region: Option<String>,
        /// The project of Google's cloud; default: the cloud's variable, else the key file's.
        project: Option<String>,
        /// The key file of a Google service account; default: `$GOOGLE_APPLICATION_CREDENTIALS`.
        service_account_file: Option<PathBuf>,
        /// The name of an AWS access key; default: `$AWS_ACCESS_KEY_ID`.
        aws_access_key_id: Option<Secret>,
        /// Its secret; default: `$AWS_SECRET_ACCESS_KEY`.
        aws_secret_access_key: Option<Secret>,
        /// What proves a session with it; default: `$AWS_SESSION_TOKEN`, with the variables above.
        aws_session_token: Option<Secret>,
        /// The models it serves: names or maps; default: those that the preset recognises.
        models: Vec<Model>,
        /// Lower numbers are preferred; default 100.
        priority: u32 = 100,
        /// Its share among providers of the same priority; default 1.
        weight: u32 = 1,
        /// Headers added to each request; default: none.
        headers: BTreeMap<String, Secret>,
        /// How long to wait for what.
        timeouts: Timeouts,
        /// Requests at one time; default: no limit.
        max_concurrency: Option<u32> => 1..,
        /// Its allowance; default: no limit.
        quota: Option<Quota>,
        /// Dollars per thousand tokens, for models without a price of their own; default: the price table's.
        cost_per_1k_tokens: Option<Price>,
        /// How long it rests after errors.
        cooldown: ProviderCooldown,
        /// How it is probed.
        health_check: ProviderHealthCheck,
        /// Whether it has OpenAI's Responses API; default: the preset's.
        responses: Option<bool>,
        /// The `api-version` of Azure, sent with each request; default: none.
        api_version: Option<String>,
        /// Certificates to trust instead of the system's, PEM; default: the system's.
        ca_file: Option<PathBuf>,
        /// Our certificate for mutual TLS, PEM; default: none.
        client_cert_file: Option<PathBuf>,
        /// Its private key, PEM; default: none.
        client_key_file: Option<PathBuf>,
        /// The proxy on the way out: http://, https:// or socks5://; default: none.
        proxy_url: Option<Secret>,
    }
    check Self::check;
}

impl Provider {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if node.get("api_key").is_some() && !self.api_keys.is_empty() {
            problems.error_at(node, "api_keys", "give `api_key` or `api_keys`, not both");
        }
        let given = |key| node.get(key).is_some();
        if given("client_cert_file") != given("client_key_file") {
            problems.error(node, "`client_cert_file` and `client_key_file` go together");
        }
        let schemes = ["http://", "https://", "socks5://"];
        let proxied = |url: &Secret| schemes.iter().any(|scheme| url.expose().starts_with(scheme));
        if self.proxy_url.as_ref().is_some_and(|url| !proxied(url)) {
            problems.error_at(node, "proxy_url", "expected an http://, https:// or socks5:// address");
        }
        self.check_cloud(node, problems);
        self.check_sendable(node, problems);
    }

    /// What belongs to clouds.
    fn check_cloud(&self, node: &Node, problems: &mut Problems) {
        if let Some(preset) = self.preset.as_deref().filter(|name| Preset::of(name).is_none()) {
            let near = nearest(preset, PRESETS.iter().map(|preset| preset.name));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            problems.error_at(node, "preset", format!("there is no preset of that name{near}"));
        }
        for (key, value) in [("region", &self.region), ("project", &self.project)] {
            if value.as_deref().is_some_and(|value| !Provider::is_cloud_name(value)) {
                problems.error_at(node, key, "expected lower-case letters, digits and dashes");
            }
        }
        let given = |key| node.get(key).is_some();
        if given("aws_access_key_id") != given("aws_secret_access_key")
            || given("aws_session_token") && !given("aws_access_key_id")
        {
            problems.error(
                node,
                "`aws_access_key_id` and `aws_secret_access_key` go together, and `aws_session_token` with them",
            );
        }
        if self.aws_keys().is_some_and(|keys| !keys.can_be_sent()) {
            problems.error_at(
                node,
                "aws_access_key_id",
                "has a character that a header can't carry, or its token",
            );
        }
    }

    /// Whether a region or project can be called this: they become part of addresses.
    pub fn is_cloud_name(text: &str) -> bool {
        let may_be = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
        (1..=MAX_CLOUD_NAME).contains(&text.len()) && text.bytes().all(may_be)
    }

    /// The preset that it follows, under this name.
    pub fn preset(&self, name: &str) -> Option<&'static Preset> {
        Preset::of(self.preset.as_deref().unwrap_or(name))
    }

    /// Its AWS keys, if it has them.
    pub fn aws_keys(&self) -> Option<AwsKeys> {
        Some(AwsKeys {
            access_key_id: self.aws_access_key_id.as_ref()?.expose().to_owned(),
            secret_access_key: self.aws_secret_access_key.clone()?,
            session_token: self.aws_session_token.clone(),
        })
    }

    /// Whether it has a credential of any kind.
    pub fn has_credential(&self) -> bool {
        self.keys().next().is_some() || self.service_account_file.is_some() || self.aws_keys().is_some()
    }

    /// HTTP carries no line breaks, such as the one at the end of a key that was pasted from a file.
    fn check_sendable(&self, node: &Node, problems: &mut Problems) {
        let message = "has a line break or another character that a header can't carry";
        let unsendable = |secret: &Secret| http::HeaderValue::from_str(secret.expose()).is_err();
        if self.api_key.as_ref().is_some_and(unsendable) {
            problems.error_at(node, "api_key", message);
        }
        if self.api_keys.iter().any(unsendable) {
            problems.error_at(node, "api_keys", message);
        }
        let headers = node.at("headers");
        for (name, value) in &self.headers {
            let problem = if http::HeaderName::try_from(name).is_err() {
                "is not a header's name"
            } else if unsendable(value) {
                message
            } else {
                continue;
            };
            problems.at_key("headers", |at| at.error_at(headers, name, problem));
        }
    }

    /// All inline keys.
    pub fn keys(&self) -> impl Iterator<Item = &Secret> {
        self.api_key.iter().chain(&self.api_keys)
    }
}

settings! {
    /// How long to wait for a provider. See DECISIONS: streams by event, plain answers in all.
    #[derive(Eq)]
    pub struct Timeouts {
        /// For the connection, TLS included; default 5s.
        connect: Period = Period::from_secs(5),
        /// For the header of a stream; default 60s.
        header: Period = Period::from_secs(60),
        /// For the first content of a stream, restarted by any event; default 5m.
        first_token: Period = Period::from_mins(5),
        /// Between two events of a stream; default 60s.
        idle: Period = Period::from_secs(60),
        /// For the whole of a plain answer; default 10m.
        total: Period = Period::from_mins(10),
        /// For the whole of a stream; default 0 = none.
        stream_total: OrOff<Period> = OrOff::off(),
    }
}

settings! {
    /// A model that a provider serves.
    #[derive(Eq)]
    pub struct Model {
        required {
            /// The provider's name for it.
            name: String,
        }
        /// The name that clients use for it; default: the same.
        alias: Option<String>,
        /// Tokens that fit its context; default: unknown.
        context_window: Option<u64> => 1..,
        /// Tokens that it can answer with; default: unknown.
        max_output_tokens: Option<u64> => 1..,
        /// Whether it goes on from a partial answer; default false.
        supports_prefill: bool = false,
        /// Dollars per thousand tokens; default: the provider's.
        cost_per_1k_tokens: Option<Price>,
    }
    or text Self::named;
}

impl Model {
    /// A model of which only the name is known.
    pub fn named(name: &str) -> Model {
        Model {
            name: name.to_owned(),
            alias: None,
            context_window: None,
            max_output_tokens: None,
            supports_prefill: false,
            cost_per_1k_tokens: None,
        }
    }

    /// The name that clients use.
    pub fn client_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

settings! {
    /// Which providers serve a client-facing model name.
    #[derive(Eq)]
    pub struct ModelRoute {
        /// The providers, and what each calls the model; default: those that know the name.
        targets: Vec<Target>,
        /// Other client-facing names to try when all targets fail; default: none.
        fallbacks: Vec<String>,
        /// Whether answers carry the client's own name for the model; default false.
        rewrite_model: bool = false,
    }
}

settings! {
    /// One provider of a route.
    #[derive(Eq)]
    pub struct Target {
        required {
            /// The provider.
            provider: String,
        }
        /// The provider's name for the model; default: the client's name.
        model: Option<String>,
    }
}

settings! {
    /// Idle connections to providers.
    #[derive(Eq)]
    pub struct Pool {
        /// Idle connections in all; default 100.
        max_idle_conns: u32 = 100 => 1..=100_000,
        /// Idle connections per host; default 10. Of HTTP/1.1: one of HTTP/2 serves up to a hundred requests at once.
        max_idle_conns_per_host: u32 = 10 => 0..=10_000,
        /// How long a connection may stay idle; default 90s.
        idle_conn_timeout: Period = Period::from_secs(90),
    }
}
