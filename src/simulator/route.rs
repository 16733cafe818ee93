//! Which dialect and which endpoint a request is for.
//!
//! The endpoints themselves are rows of the dialects' `ROUTES`.

use super::reply::{Refusal, Reply};
use super::wire::Request;
use super::{anthropic, gemini, openai};
use crate::domain::Dialect;
use serde_json::Value;

/// One endpoint.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path, with `{}` for a name such as a model's.
    pub(super) path: &'static str,
    pub(super) body: Body,
    /// What it answers, once the client is let in.
    pub(super) answer: fn(&Call<'_>) -> Result<Reply, Refusal>,
}

/// What an endpoint takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Nothing,
    Json,
    /// `multipart/form-data`.
    Form,
}

/// A request with all that an endpoint needs to answer it.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    /// The body, where the endpoint takes JSON.
    pub(super) json: Value,
    /// What stands in the path for `{}`.
    pub(super) parameter: &'a str,
    /// The simulator's name and the request's number, for ids.
    pub(super) id: &'a str,
    /// The models that lists show.
    pub(super) models: &'a [String],
    /// Seconds since 1970, for `created`.
    pub(super) created: u64,
}

impl Call<'_> {
    /// The text under a name, which must be there.
    pub(super) fn required_text(&self, name: &'static str) -> Result<&str, Refusal> {
        match self.json[name].as_str() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(missing(name)),
        }
    }

    /// The list under a name, which must be there and have something in it.
    pub(super) fn required_list(&self, name: &'static str) -> Result<&[Value], Refusal> {
        match self.json[name].as_array() {
            Some(items) if !items.is_empty() => Ok(items),
            _ => Err(missing(name)),
        }
    }

    pub(super) fn wants_stream(&self) -> bool {
        self.json["stream"].as_bool().unwrap_or(false)
    }
}

/// How many words an answer may have under a limit that the client may have set.
pub(super) fn word_limit(limit: &Value) -> Result<usize, Refusal> {
    match (limit, limit.as_u64()) {
        (Value::Null, _) => Ok(usize::MAX),
        (_, Some(words)) if words > 0 => Ok(usize::try_from(words).unwrap_or(usize::MAX)),
        _ => Err(Refusal::invalid("the limit on output tokens must be a whole number above 0")),
    }
}

/// The refusal of a request without that field.
pub(super) fn missing(name: &str) -> Refusal {
    Refusal::invalid(format!("{name}: Field required"))
}

/// Where a request leads.
pub(super) enum Target<'a> {
    /// To an endpoint, with what stands in the path for `{}`.
    Endpoint(Dialect, &'static Route, &'a str),
    /// The path is known, the method isn't.
    OtherMethod(Dialect),
    /// The path is not known.
    Unknown(Dialect),
}

/// Finds the endpoint. Paths that two vendors share go to the one whose headers the client sends.
pub(super) fn find(request: &Request) -> Target<'_> {
    let hint = dialect_of(request);
    let mut other_method = None;
    // The hinted dialect's table is read first, so that its row wins.
    for dialect in std::iter::once(hint).chain(Dialect::ALL.into_iter().filter(|other| *other != hint)) {
        for route in routes(dialect) {
            let Some(parameter) = matched(route.path, &request.path) else { continue };
            let is_head = request.method == "HEAD" && route.method == "GET";
            if route.method == request.method || is_head {
                return Target::Endpoint(dialect, route, parameter);
            }
            other_method = other_method.or(Some(dialect));
        }
    }
    other_method.map_or(Target::Unknown(hint), Target::OtherMethod)
}

fn routes(dialect: Dialect) -> &'static [Route] {
    match dialect {
        Dialect::OpenAi => &openai::ROUTES,
        Dialect::Anthropic => &anthropic::ROUTES,
        Dialect::Gemini => &gemini::ROUTES,
    }
}

/// An error as the dialect's vendor writes it.
pub(super) fn error(dialect: Dialect, refusal: &Refusal, request_id: &str) -> Value {
    match dialect {
        Dialect::OpenAi => openai::error(refusal),
        Dialect::Anthropic => anthropic::error(refusal, request_id),
        Dialect::Gemini => gemini::error(refusal),
    }
}

/// The dialect that a request seems to be in, where its path doesn't say.
fn dialect_of(request: &Request) -> Dialect {
    let is_gemini = request.path.starts_with("/v1beta")
        || request.header("x-goog-api-key").is_some()
        || request.parameter("key").is_some();
    if request.header("anthropic-version").is_some() {
        Dialect::Anthropic
    } else if is_gemini {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

/// What stands for `{}` (nothing where the pattern has none), if the path fits the pattern.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let parameter = path.strip_prefix(before)?.strip_suffix(after)?;
    // Only a row that names a verb may match a path with one.
    let fits = !parameter.is_empty() && !parameter.contains(':');
    fits.then_some(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Request::default()
        };
        match find(&request) {
            Target::Endpoint(dialect, route, parameter) => format!("{dialect} {} {parameter}", route.path),
            Target::OtherMethod(dialect) => format!("{dialect} other method"),
            Target::Unknown(dialect) => format!("{dialect} unknown"),
        }
    }

    #[test]
    fn paths_that_vendors_share_are_told_apart_by_headers() {
        let (anthropic, gemini) = (("anthropic-version", "2023-06-01"), ("x-goog-api-key", "k"));
        assert_eq!(found("GET", "/v1/models", &[]), "openai /v1/models ");
        assert_eq!(found("GET", "/v1/models", &[anthropic]), "anthropic /v1/models ");
        assert_eq!(found("GET", "/v1/models", &[gemini]), "gemini /v1/models ");
        assert_eq!(found("GET", "/v1beta/models", &[]), "gemini /v1beta/models ");
    }

    #[test]
    fn a_path_of_one_vendor_needs_no_header() {
        assert_eq!(found("POST", "/v1/messages", &[]), "anthropic /v1/messages ");
        assert_eq!(
            found("POST", "/v1beta/models/m-1:generateContent", &[]),
            "gemini /v1beta/models/{}:generateContent m-1"
        );
        assert_eq!(
            found("POST", "/v1/models/m-1:generateContent", &[]),
            "gemini /v1/models/{}:generateContent m-1"
        );
        assert_eq!(found("GET", "/v1/models/meta/llama", &[]), "openai /v1/models/{} meta/llama");
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        assert_eq!(found("GET", "/v1/messages", &[]), "anthropic other method");
        assert_eq!(found("POST", "/v2/chat", &[]), "openai unknown");
        assert_eq!(found("POST", "/v1beta/models/m:dance", &[]), "gemini unknown");
        assert_eq!(found("HEAD", "/v1/models", &[]), "openai /v1/models ");
    }
}
