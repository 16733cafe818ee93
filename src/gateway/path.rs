//! Where a request goes: a client's path, and a provider's, with or without the model in it. Knows no provider but by its dialect.

use super::hosted;
use super::routes::{Endpoint, ModelIn};
use crate::domain::Dialect;
use crate::providers::base::is_confined;
use crate::providers::platform::Platform;
use http::uri::PathAndQuery;
use std::borrow::Cow;

/// A client's path, with or without the model in it.
#[derive(Clone)]
pub(super) enum Path {
    /// As the client sent it.
    Fixed(PathAndQuery),
    /// Gemini's `/{version}/models/{model}:{verb}{query}`, without the model.
    WithModel { version: &'static str, query: String },
}

impl Path {
    /// Of a client's request.
    pub(super) fn read(endpoint: &Endpoint, uri: &http::Uri) -> Path {
        if endpoint.model_in == ModelIn::Body {
            let root = || PathAndQuery::from_static("/");
            return Path::Fixed(uri.path_and_query().cloned().unwrap_or_else(root));
        }
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        Path::WithModel { version: if uri.path().starts_with("/v1/") { "v1" } else { "v1beta" }, query }
    }

    /// Whether it can't lead elsewhere at a provider. One that the client can't write anything into can't.
    pub(super) fn is_confined(&self, endpoint: &Endpoint, model: &str) -> bool {
        match self {
            Path::Fixed(_) => true,
            Path::WithModel { .. } => {
                is_confined(self.with_model(endpoint, model).split('?').next().unwrap_or_default())
            }
        }
    }

    /// The path for a model. Its name is escaped anew: the client's escapes could lead anywhere.
    pub(super) fn with_model(&self, endpoint: &Endpoint, model: &str) -> Cow<'_, str> {
        match self {
            Path::Fixed(path) => path.as_str().into(),
            Path::WithModel { version, query } => {
                format!("/{version}/models/{}:{}{query}", escaped(model), endpoint.path).into()
            }
        }
    }
}

/// Where an endpoint of a provider's is, or one of Gemini's verbs.
pub(super) fn of(dialect: Dialect, endpoint: &str, model: &str) -> Cow<'static, str> {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic => format!("/v1/{endpoint}").into(),
        Dialect::Gemini => format!("/v1beta/models/{}:{endpoint}", escaped(model)).into(),
    }
}

/// A model's name as a part of a path.
fn escaped(model: &str) -> String {
    hosted::escaped(Platform::Own, model)
}
