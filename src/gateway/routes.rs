//! What a client may call: one table from method and path to an endpoint.
//!
//! Decides the dialect of a request and so the shape of every error it can get. Knows no key, no body,
//! no provider.

use crate::domain::Dialect;
use crate::translate::embeddings::Form;
use http::{HeaderMap, Method};
use std::borrow::Cow;

/// Where the model's name stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelIn {
    /// In the JSON body, or in a form field of a multipart body.
    Body,
    /// In the path, as Gemini has it.
    Path,
}

/// How an endpoint answers when it streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// Never.
    No,
    /// When the body says `stream: true`, as server-sent events.
    OnRequest,
    /// Always: as events with `?alt=sse`, else as one JSON array.
    Always,
}

/// What a request is about, where that can be put into another dialect's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A conversation, and what the model says next.
    Conversation,
    /// How many tokens a conversation has.
    Count,
    /// Vectors of texts.
    Embeddings(Form),
}

/// An inference endpoint. All of them are POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The path below the version, or Gemini's verb behind the model.
    pub path: &'static str,
    /// The protocol that its callers speak.
    pub dialect: Dialect,
    /// Where the model's name is.
    pub model_in: ModelIn,
    /// Whether and how it streams.
    pub streams: Streams,
    /// Whether its answers consist of generated tokens, so that usage is estimated where none is reported.
    pub generates: bool,
    /// Whether `stream_options.include_usage` is one of its parameters.
    pub asks_usage: bool,
    /// The model that the vendor takes where a request names none; `None` where one has to be named. Source: OpenAI's API
    /// reference, `model` of each.
    pub default_model: Option<&'static str>,
    /// What its requests are about; `None` where only providers of its own dialect can be asked.
    pub subject: Option<Subject>,
}

impl Endpoint {
    /// Whether this is OpenAI's Responses API, which not every OpenAI-compatible provider has.
    pub fn is_responses(&self) -> bool {
        self.path.trim_start_matches('/').starts_with("responses")
    }
}

const fn in_body(path: &'static str, dialect: Dialect, streams: Streams) -> Endpoint {
    Endpoint {
        path,
        dialect,
        model_in: ModelIn::Body,
        streams,
        generates: false,
        asks_usage: false,
        default_model: None,
        subject: None,
    }
}

const fn in_path(path: &'static str, streams: Streams) -> Endpoint {
    Endpoint { model_in: ModelIn::Path, ..in_body(path, Dialect::Gemini, streams) }
}

const fn generating(endpoint: Endpoint) -> Endpoint {
    Endpoint { generates: true, ..endpoint }
}

const fn asking_usage(endpoint: Endpoint) -> Endpoint {
    Endpoint { asks_usage: true, ..endpoint }
}

const fn defaulting(model: &'static str, endpoint: Endpoint) -> Endpoint {
    Endpoint { default_model: Some(model), ..endpoint }
}

const fn about(subject: Subject, endpoint: Endpoint) -> Endpoint {
    Endpoint { subject: Some(subject), ..endpoint }
}

const fn conversing(endpoint: Endpoint) -> Endpoint {
    about(Subject::Conversation, generating(endpoint))
}

const fn embedding(form: Form, endpoint: Endpoint) -> Endpoint {
    about(Subject::Embeddings(form), endpoint)
}

/// Endpoints under `/v1/`, by exact path.
static BODY_ENDPOINTS: [Endpoint; 18] = [
    conversing(asking_usage(in_body("chat/completions", Dialect::OpenAi, Streams::OnRequest))),
    generating(asking_usage(in_body("completions", Dialect::OpenAi, Streams::OnRequest))),
    conversing(in_body("responses", Dialect::OpenAi, Streams::OnRequest)),
    about(Subject::Count, in_body("responses/input_tokens", Dialect::OpenAi, Streams::No)),
    embedding(Form::OpenAi, in_body("embeddings", Dialect::OpenAi, Streams::No)),
    defaulting("omni-moderation-latest", in_body("moderations", Dialect::OpenAi, Streams::No)),
    in_body("rerank", Dialect::OpenAi, Streams::No),
    defaulting("dall-e-2", in_body("images/generations", Dialect::OpenAi, Streams::No)),
    defaulting("dall-e-2", in_body("images/edits", Dialect::OpenAi, Streams::No)),
    defaulting("dall-e-2", in_body("images/variations", Dialect::OpenAi, Streams::No)),
    in_body("audio/speech", Dialect::OpenAi, Streams::No),
    in_body("audio/transcriptions", Dialect::OpenAi, Streams::No),
    in_body("audio/translations", Dialect::OpenAi, Streams::No),
    conversing(in_body("messages", Dialect::Anthropic, Streams::OnRequest)),
    about(Subject::Count, in_body("messages/count_tokens", Dialect::Anthropic, Streams::No)),
    // Some OpenAI clients are given a base URL without the version.
    conversing(asking_usage(in_body("/chat/completions", Dialect::OpenAi, Streams::OnRequest))),
    embedding(Form::OpenAi, in_body("/embeddings", Dialect::OpenAi, Streams::No)),
    conversing(in_body("/responses", Dialect::OpenAi, Streams::OnRequest)),
];

/// Gemini's verbs, called as `/{v1beta,v1}/models/{model}:{verb}`.
static VERBS: [Endpoint; 5] = [
    conversing(in_path("generateContent", Streams::No)),
    conversing(in_path("streamGenerateContent", Streams::Always)),
    about(Subject::Count, in_path("countTokens", Streams::No)),
    embedding(Form::One, in_path("embedContent", Streams::No)),
    embedding(Form::Batch, in_path("batchEmbedContents", Streams::No)),
];

/// Where a request is to go.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'p> {
    /// To a provider that serves the model.
    Inference {
        /// Which endpoint.
        endpoint: &'static Endpoint,
        /// The model, where the path has it.
        model: Option<Cow<'p, str>>,
    },
    /// The list of models, or one of them.
    Models {
        /// Whose shape the answer takes.
        dialect: Dialect,
        /// The one asked for.
        id: Option<Cow<'p, str>>,
    },
    /// To a provider by name, whatever it is.
    Passthrough {
        /// The provider.
        provider: &'p str,
    },
    /// The operations API.
    Operations,
    /// The path is known, the method isn't allowed.
    WrongMethod {
        /// Whose shape the error takes.
        dialect: Dialect,
        /// What `Allow` says.
        allow: &'static str,
    },
    /// Nothing here.
    Unknown {
        /// Whose shape the error takes.
        dialect: Dialect,
    },
}

impl Route<'_> {
    /// The dialect that a client of this route understands.
    pub fn dialect(&self) -> Dialect {
        match self {
            Route::Inference { endpoint, .. } => endpoint.dialect,
            Route::Models { dialect, .. }
            | Route::WrongMethod { dialect, .. }
            | Route::Unknown { dialect } => *dialect,
            Route::Passthrough { .. } | Route::Operations => Dialect::OpenAi,
        }
    }
}

/// Finds the route of a request.
pub fn find<'p>(method: &Method, path: &'p str, headers: &HeaderMap) -> Route<'p> {
    if let Some(rest) = path.strip_prefix("/providers/") {
        return Route::Passthrough { provider: rest.split('/').next().unwrap_or_default() };
    }
    if let Some(model_path) = path.strip_prefix("/v1beta/models").or_else(|| path.strip_prefix("/v1/models"))
        && (model_path.is_empty() || model_path.starts_with('/'))
    {
        return models(method, path, model_path.trim_start_matches('/'), headers);
    }
    let below_version = path.strip_prefix("/v1/").unwrap_or(path);
    if let Some(endpoint) = BODY_ENDPOINTS.iter().find(|endpoint| endpoint.path == below_version) {
        return match *method {
            Method::POST => Route::Inference { endpoint, model: None },
            _ => Route::WrongMethod { dialect: endpoint.dialect, allow: "POST" },
        };
    }
    if is_operations(path) { Route::Operations } else { Route::Unknown { dialect: guess(path, headers) } }
}

/// Whether the operations API answers this path on the gateway's port.
fn is_operations(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/metrics" | "/dashboard") || path.starts_with("/v0/operations")
}

fn models<'p>(method: &Method, path: &str, rest: &'p str, headers: &HeaderMap) -> Route<'p> {
    let verb = rest.rsplit_once(':').and_then(|(model, verb)| {
        VERBS.iter().find(|endpoint| endpoint.path == verb).map(|endpoint| (model, endpoint))
    });
    if let Some((model, endpoint)) = verb {
        return match *method {
            Method::POST => Route::Inference { endpoint, model: Some(percent_decoded(model)) },
            _ => Route::WrongMethod { dialect: Dialect::Gemini, allow: "POST" },
        };
    }
    let dialect = guess(path, headers);
    match *method {
        Method::GET | Method::HEAD => {
            let id = (!rest.is_empty()).then(|| percent_decoded(rest));
            Route::Models { dialect, id }
        }
        Method::POST if rest.contains(':') => Route::Unknown { dialect: Dialect::Gemini },
        _ => Route::WrongMethod { dialect, allow: "GET, HEAD" },
    }
}

/// The dialect of a request whose path alone doesn't tell.
fn guess(path: &str, headers: &HeaderMap) -> Dialect {
    if path.starts_with("/v1beta") || headers.contains_key("x-goog-api-key") {
        Dialect::Gemini
    } else if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

/// The text with `%XX` decoded, where it is valid UTF-8; otherwise as it came.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded = (byte == b'%')
            .then(|| after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn found<'p>(method: &str, path: &'p str, header: Option<&'static str>) -> Route<'p> {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        find(&Method::from_bytes(method.as_bytes()).expect("a method"), path, &headers)
    }

    #[test]
    fn each_dialect_has_its_endpoints() {
        for (path, dialect) in [
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/embeddings", Dialect::OpenAi),
            ("/v1/audio/transcriptions", Dialect::OpenAi),
            ("/v1/responses/input_tokens", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/v1/messages/count_tokens", Dialect::Anthropic),
            ("/v1beta/models/gemini-x:generateContent", Dialect::Gemini),
            ("/v1/models/gemini-x:streamGenerateContent", Dialect::Gemini),
        ] {
            let route = found("POST", path, None);
            assert!(matches!(route, Route::Inference { .. }), "{path}: {route:?}");
            assert_eq!(route.dialect(), dialect, "{path}");
            assert!(matches!(found("GET", path, None), Route::WrongMethod { allow: "POST", .. }), "{path}");
        }
    }

    #[test]
    fn a_model_in_the_path_is_decoded_and_may_have_slashes() {
        let Route::Inference { model, .. } = found("POST", "/v1beta/models/p%2Fa/b%20c:countTokens", None)
        else {
            panic!("not found")
        };
        assert_eq!(model.as_deref(), Some("p/a/b c"));
    }

    #[test]
    fn the_model_list_takes_the_callers_shape() {
        assert_eq!(found("GET", "/v1/models", None), Route::Models { dialect: Dialect::OpenAi, id: None });
        assert_eq!(found("GET", "/v1/models", Some("anthropic-version")).dialect(), Dialect::Anthropic);
        assert_eq!(found("GET", "/v1/models/m", Some("x-goog-api-key")).dialect(), Dialect::Gemini);
        assert_eq!(found("GET", "/v1beta/models", None).dialect(), Dialect::Gemini);
    }

    #[test]
    fn everything_else_is_told_apart() {
        assert_eq!(
            found("PUT", "/providers/claude/v1/files", None),
            Route::Passthrough { provider: "claude" }
        );
        assert_eq!(found("GET", "/v0/operations/providers/status", None), Route::Operations);
        assert_eq!(found("GET", "/health", None), Route::Operations);
        assert_eq!(found("POST", "/v1/nope", None), Route::Unknown { dialect: Dialect::OpenAi });
        assert_eq!(found("POST", "/v1/modelsx", None), Route::Unknown { dialect: Dialect::OpenAi });
        assert_eq!(found("POST", "/v1beta/models/m:nope", None), Route::Unknown { dialect: Dialect::Gemini });
        assert_eq!(found("DELETE", "/v1/models/m", None).dialect(), Dialect::OpenAi);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(percent_decoded("a%zz%4"), "a%zz%4");
        assert_eq!(percent_decoded("%ff"), "%ff");
    }
}
