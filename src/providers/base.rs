//! Where a provider is: `base_url`, and how a client's path joins it.
//!
//! Operators write the base with or without the version segment (`https://api.openai.com`,
//! `https://openrouter.ai/api/v1`), clients always send one. The base's version wins where it has one;
//! otherwise OpenAI and Anthropic get `/v1`, and Gemini keeps the client's own, which may be `/v1` or
//! `/v1beta`. This module must not know credentials, but it drops the query parameter that carries the
//! client's key, since that must never travel on.

use crate::domain::Dialect;
use crate::settings::Url;
use http::HeaderValue;

/// The query parameter in which Gemini clients send their key to us.
const CLIENT_KEY: &str = "key";

/// A `base_url`, ready to be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whether it is `https`.
    pub tls: bool,
    /// The host, in lower case and without brackets: a name or an address.
    pub host: String,
    /// The port, given or by scheme.
    pub port: u16,
    /// The `Host` header: the host, with the port where it isn't the scheme's own.
    pub authority: String,
    /// The same, ready to be sent.
    pub host_header: HeaderValue,
    /// The path as written, without a slash at its end; empty for the root.
    path: String,
    /// What is put between this path and the client's.
    version: Version,
    /// The query as written, such as Azure's `api-version=…`; empty if there is none.
    query: String,
}

/// What stands between the base's path and the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Nothing: the path has a version, or is one that takes none.
    InPath,
    /// This segment.
    Appended(&'static str),
    /// The client's own segment, this one if it has none.
    Clients(&'static str),
}

impl Base {
    /// The base at this address, for a provider of this dialect.
    pub fn new(url: &Url, dialect: Dialect) -> Base {
        let path = url.path.trim_end_matches('/');
        let authority = url.authority().to_ascii_lowercase();
        // What a URL has as authority, a header may have: visible ASCII.
        let host_header = HeaderValue::from_str(&authority).unwrap_or_else(|_| HeaderValue::from_static(""));
        Base {
            tls: url.is_tls(),
            host: url.host.to_ascii_lowercase(),
            port: url.port,
            authority,
            host_header,
            path: path.to_owned(),
            version: version_for(path, dialect),
            query: url.query.clone().unwrap_or_default(),
        }
    }

    /// The same where nothing of a version is put between its path and others, such as those of a cloud.
    pub fn without_version(mut self) -> Base {
        self.version = Version::InPath;
        self
    }

    /// The same with a query parameter for every request, unless the base has it already.
    pub fn with_query(mut self, name: &str, value: &str) -> Base {
        if parameters(&self.query).any(|parameter| parameter_name(parameter) == name) {
            return self;
        }
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        self.query.push_str(value);
        self
    }

    /// The path and query to ask the provider for, when a client asked us for this one
    /// (`/v1/chat/completions`, `/v1beta/models/x:generateContent?alt=sse`).
    pub fn upstream_path(&self, client: &str) -> String {
        let (path, query) = client.split_once('?').unwrap_or((client, ""));
        let (clients_version, rest) = split_version(path);
        let version = match self.version {
            Version::InPath => "",
            Version::Appended(own) => own,
            Version::Clients(default) => clients_version.unwrap_or(default),
        };
        let slash = if version.is_empty() { "" } else { "/" };
        self.with_queries([&self.path, slash, version, rest], query)
    }

    /// The path and query for a pass-through request, whose path is relative to the provider:
    /// `/providers/x/v1/files` asks for `/v1/files`. Confined to the base's path; `None` if it tries to
    /// leave it.
    pub fn passthrough_path(&self, client: &str) -> Option<String> {
        let (path, query) = client.split_once('?').unwrap_or((client, ""));
        if !is_confined(path) {
            return None;
        }
        let rest = if ends_with_version(&self.path) { split_version(path).1 } else { path };
        Some(self.with_queries([&self.path, "", "", rest], query))
    }

    /// The path of these parts, with the client's query (but for its key and what the base sets) and the
    /// base's.
    fn with_queries(&self, parts: [&str; 4], clients: &str) -> String {
        let has_query = !clients.is_empty() || !self.query.is_empty();
        let query_bytes = if has_query { "?&".len() + clients.len() + self.query.len() } else { 0 };
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        // Exact where there is no query, so that what it becomes needs no more memory.
        let mut path = String::with_capacity(length + query_bytes);
        path.extend(parts);
        if path.is_empty() {
            path.push('/');
        }
        if !has_query {
            return path;
        }
        let base_has = |name| parameters(&self.query).any(|own| parameter_name(own) == name);
        let kept = parameters(clients).filter(|parameter| {
            let name = parameter_name(parameter);
            name != CLIENT_KEY && !base_has(name)
        });
        let mut separator = '?';
        for parameter in kept.chain(parameters(&self.query)) {
            path.push(separator);
            path.push_str(parameter);
            separator = '&';
        }
        path
    }
}

fn version_for(path: &str, dialect: Dialect) -> Version {
    // Azure's older addresses name the deployment and take their version as a query.
    let takes_none = path.split('/').any(|segment| is_version(segment) || segment == "deployments");
    match dialect {
        _ if takes_none => Version::InPath,
        Dialect::OpenAi | Dialect::Anthropic => Version::Appended("v1"),
        Dialect::Gemini => Version::Clients("v1beta"),
    }
}

/// Whether a path segment is a version: `v1`, `v1beta`, `v4`, `v1alpha1`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

fn ends_with_version(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(is_version)
}

/// The version at the head of a client's path, and what follows it.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let Some(tail) = path.strip_prefix('/') else { return (None, path) };
    let (first, rest) = tail.find('/').map_or((tail, ""), |slash| tail.split_at(slash));
    if is_version(first) { (Some(first), rest) } else { (None, path) }
}

/// Whether a client's path can't lead out of where it is put: it begins with one slash, and has no dot
/// segment and no backslash, plain, percent-encoded or with parameters. For routes whose path is partly
/// the client's own.
pub fn is_confined(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let hidden = ["\\", "\0", "%2f", "%5c", "%00"];
    let is_dots = |segment: &str| {
        let plain = segment.replace("%2e", ".");
        matches!(plain.split(';').next(), Some("." | ".."))
    };
    path.starts_with('/')
        && !path.starts_with("//")
        && !hidden.iter().any(|hidden| lower.contains(hidden))
        && !lower.split('/').any(is_dots)
}

fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|parameter| !parameter.is_empty())
}

fn parameter_name(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Scalar;
    use Dialect::{Anthropic, Gemini, OpenAi};
    use proptest::prelude::*;

    fn base(url: &str, dialect: Dialect) -> Base {
        Base::new(&Url::parse(url).expect(url), dialect)
    }

    #[test]
    fn a_clients_path_joins_the_base() {
        let cases = [
            (OpenAi, "https://api.openai.com", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "https://api.openai.com/v1/", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "https://openrouter.ai/api/v1", "/v1/chat/completions", "/api/v1/chat/completions"),
            (OpenAi, "https://openrouter.ai/api", "/v1/models", "/api/v1/models"),
            (OpenAi, "https://api.groq.com/openai/v1", "/v1/embeddings", "/openai/v1/embeddings"),
            (OpenAi, "https://api.z.ai/api/paas/v4", "/v1/chat/completions", "/api/paas/v4/chat/completions"),
            (OpenAi, "https://g.co/v1beta/openai", "/v1/chat/completions", "/v1beta/openai/chat/completions"),
            (OpenAi, "http://localhost:11434", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "http://localhost/vllm", "/v1/completions?a=1", "/vllm/v1/completions?a=1"),
            (
                OpenAi,
                "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
                "/v1/chat/completions",
                "/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
            (
                OpenAi,
                "https://x.openai.azure.com/openai/v1?api-version=preview",
                "/v1/responses?stream=true&api-version=mine",
                "/openai/v1/responses?stream=true&api-version=preview",
            ),
            (Anthropic, "https://api.anthropic.com", "/v1/messages?beta=true", "/v1/messages?beta=true"),
            (Anthropic, "https://api.anthropic.com/v1", "/v1/messages", "/v1/messages"),
            (Anthropic, "https://p.example/anthropic", "/v1/messages", "/anthropic/v1/messages"),
            (Gemini, "https://g.co", "/v1beta/models/x:generateContent", "/v1beta/models/x:generateContent"),
            (Gemini, "https://g.co", "/v1/models/x:generateContent", "/v1/models/x:generateContent"),
            (Gemini, "https://g.co", "/models/x:countTokens", "/v1beta/models/x:countTokens"),
            (Gemini, "https://g.co/v1beta", "/v1/models/x:countTokens", "/v1beta/models/x:countTokens"),
            (
                Gemini,
                "https://g.co/v1beta",
                "/v1beta/models/x:streamGenerateContent?alt=sse&key=secret",
                "/v1beta/models/x:streamGenerateContent?alt=sse",
            ),
            (Gemini, "https://g.co", "/v1beta/models?key=secret", "/v1beta/models"),
        ];
        for (dialect, url, client, upstream) in cases {
            assert_eq!(base(url, dialect).upstream_path(client), upstream, "{url} and {client}");
        }
    }

    #[test]
    fn a_pass_through_path_stays_below_the_base() {
        let cases = [
            ("https://api.openai.com", "/v1/files?limit=2", Some("/v1/files?limit=2")),
            ("https://api.openai.com/v1", "/v1/files", Some("/v1/files")),
            ("https://api.openai.com/v1", "/files", Some("/v1/files")),
            ("https://openrouter.ai/api/v1", "/v1/credits", Some("/api/v1/credits")),
            ("https://g.co", "/upload/v1beta/files", Some("/upload/v1beta/files")),
            ("https://api.openai.com", "/", Some("/")),
            ("https://api.openai.com", "/v1/x?key=secret", Some("/v1/x")),
            ("https://openrouter.ai/api/v1", "/../admin", None),
            ("https://openrouter.ai/api/v1", "/a/%2E%2e/%2e./admin", None),
            ("https://openrouter.ai/api/v1", "/..%2fadmin", None),
            ("https://openrouter.ai/api/v1", "/a\\..\\admin", None),
            ("https://openrouter.ai/api/v1", "/..;/admin", None),
            ("https://openrouter.ai/api/v1", "admin", None),
            ("https://api.openai.com", "//elsewhere.example/v1", None),
        ];
        for (url, client, upstream) in cases {
            assert_eq!(base(url, OpenAi).passthrough_path(client).as_deref(), upstream, "{url} and {client}");
        }
    }

    #[test]
    fn host_port_and_authority_are_read() {
        let cases = [
            ("https://API.openai.com/v1", true, "api.openai.com", 443, "api.openai.com"),
            ("http://localhost:11434", false, "localhost", 11_434, "localhost:11434"),
            ("https://h.example:443", true, "h.example", 443, "h.example"),
            ("http://[::1]:8000/v1", false, "::1", 8_000, "[::1]:8000"),
            ("https://127.0.0.1", true, "127.0.0.1", 443, "127.0.0.1"),
        ];
        for (url, tls, host, port, authority) in cases {
            let read = base(url, OpenAi);
            assert_eq!((read.tls, read.host.as_str(), read.port), (tls, host, port), "{url}");
            assert_eq!(
                (&*read.authority, read.host_header.as_bytes()),
                (authority, authority.as_bytes()),
                "{url}"
            );
        }
    }

    #[test]
    fn a_version_set_apart_is_added_once() {
        let base = base("https://x.openai.azure.com/openai/v1", OpenAi);
        let preview = base.with_query("api-version", "preview").with_query("api-version", "2024-10-21");
        assert_eq!(preview.upstream_path("/v1/models"), "/openai/v1/models?api-version=preview");
    }

    proptest! {
        #[test]
        fn whatever_the_client_asks_for_stays_below_the_base(
            client in "(/([a-z0-9.;]|%2[eEfF]|%5c|\\\\){0,4}){1,6}(\\?key=secret&a=%2e%2e)?",
        ) {
            let base = base("https://p.example/api/v1", OpenAi);
            if let Some(upstream) = base.passthrough_path(&client) {
                let (path, query) = upstream.split_once('?').unwrap_or((&upstream, ""));
                prop_assert!(path.starts_with("/api/v1") && is_confined(path), "{upstream}");
                prop_assert!(!query.contains("secret"));
            }
        }

        #[test]
        fn any_path_and_any_base_can_be_joined(client in ".{0,40}", base_path in "(/[a-z0-9]{0,4}){0,4}") {
            for dialect in Dialect::ALL {
                let base = base(&format!("https://p.example{base_path}"), dialect);
                base.upstream_path(&client);
                base.passthrough_path(&client);
            }
        }
    }
}
