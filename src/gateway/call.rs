//! What a client asks for, and the request that each provider gets of it.

use super::attempt::{Attempt, Outgoing};
use super::headers;
use super::routes::{Endpoint, ModelIn, Streams};
use crate::domain::{Dialect, ErrorCode, Failure};
use crate::providers::credential;
use crate::translate::edit::{self, Edit};
use crate::translate::frames::Framing;
use crate::translate::multipart;
use crate::translate::peek::{BadBody, Peek};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Version};
use pingora::http::RequestHeader;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cliproxy/", env!("CARGO_PKG_VERSION")));
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// An inference request, read and understood as far as the gateway needs to.
pub struct Call {
    /// What was called.
    pub endpoint: &'static Endpoint,
    /// The model that the client named.
    pub model: Arc<str>,
    /// Path and query as the client sent them.
    path_and_query: String,
    /// The client's headers.
    headers: HeaderMap,
    body: Bytes,
    naming: Naming,
}

/// Where the body names the model, so that it can be renamed.
enum Naming {
    Json(Peek),
    Form(std::ops::Range<usize>),
    Path,
}

impl Call {
    /// Understands a request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that is missing or wrong.
    pub fn read(
        endpoint: &'static Endpoint,
        path_model: Option<&str>,
        request: &RequestHeader,
        body: Bytes,
    ) -> Result<Call, Failure> {
        let bad = |BadBody(why)| Failure::new(ErrorCode::InvalidRequest, why);
        let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = content_type.filter(|value| value.starts_with("multipart/form-data"));
        let (naming, in_body) = match (endpoint.model_in, form) {
            (ModelIn::Body, Some(content_type)) => {
                let (model, at) = multipart::model(content_type, &body).map_err(bad)?;
                (Naming::Form(at), Some(model))
            }
            (ModelIn::Body, None) => {
                let peek = Peek::read(&body).map_err(bad)?;
                let model = peek.model.clone();
                (Naming::Json(peek), model)
            }
            (ModelIn::Path, _) => {
                Peek::read(&body).map_err(bad)?;
                (Naming::Path, None)
            }
        };
        let model = path_model.map(str::to_owned).or(in_body).filter(|model| !model.is_empty());
        let Some(model) = model else {
            return Err(bad(BadBody("`model` is missing; say which model is to answer".to_owned())));
        };
        Ok(Call {
            endpoint,
            model: model.into(),
            path_and_query: request.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: request.headers.clone(),
            body,
            naming,
        })
    }

    /// The dialect of client and, for now, provider.
    pub fn dialect(&self) -> Dialect {
        self.endpoint.dialect
    }

    /// Bytes of the request's body.
    pub fn body_length(&self) -> usize {
        self.body.len()
    }

    /// Whether the client asked for a stream.
    pub fn wants_stream(&self) -> bool {
        match (self.endpoint.streams, &self.naming) {
            (Streams::Always, _) => true,
            (Streams::OnRequest, Naming::Json(peek)) => peek.stream,
            _ => false,
        }
    }

    /// How the frames of a streamed answer are told apart, by what the answer says it is.
    pub fn framing(&self, answer: &HeaderMap) -> Option<Framing> {
        let content_type = answer.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if content_type.starts_with("text/event-stream") {
            return Some(Framing::Events);
        }
        (self.endpoint.streams == Streams::Always).then_some(Framing::Elements)
    }

    /// Whether the usage chunk of a stream is there only because we asked for it.
    pub fn hides_usage(&self) -> bool {
        self.usage_edit().is_some()
    }

    fn usage_edit(&self) -> Option<Edit> {
        match &self.naming {
            Naming::Json(peek) if self.endpoint.asks_usage => peek.ask_for_usage(),
            _ => None,
        }
    }

    /// The request for the provider of an attempt.
    ///
    /// # Errors
    /// When the configuration leads to a path or header that can't be sent.
    pub fn outgoing(&self, attempt: &Attempt) -> pingora::Result<Outgoing> {
        let provider = &attempt.upstream.provider.definition;
        let body = self.body_for(&attempt.model);
        let path = provider.base.upstream_path(&self.path_for(&attempt.model));
        let mut header = RequestHeader::build_no_case(Method::POST, path.as_bytes(), Some(16))?;
        header.set_version(Version::HTTP_11);
        header.insert_header(HOST, provider.base.authority.as_str())?;
        header.insert_header(USER_AGENT, AGENT)?;
        header.insert_header(ACCEPT_ENCODING, IDENTITY)?;
        headers::copy_upstream(provider.dialect, &self.headers, &mut header);
        header.insert_header(CONTENT_LENGTH, body.len())?;
        sign(&mut header, attempt, &body)?;
        Ok(Outgoing { header, body })
    }

    fn body_for(&self, model: &str) -> Bytes {
        let rename = (model != &*self.model).then(|| match &self.naming {
            Naming::Json(peek) => peek.rename_model(model),
            Naming::Form(at) => Some(Edit { at: at.clone(), with: model.to_owned() }),
            Naming::Path => None,
        });
        edit::apply(&self.body, rename.flatten().into_iter().chain(self.usage_edit()).collect())
    }

    fn path_for(&self, model: &str) -> std::borrow::Cow<'_, str> {
        if self.endpoint.model_in == ModelIn::Body || model == &*self.model {
            return self.path_and_query.as_str().into();
        }
        let version = if self.path_and_query.starts_with("/v1/") { "v1" } else { "v1beta" };
        let query =
            self.path_and_query.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        format!("/{version}/models/{model}:{}{query}", self.endpoint.path).into()
    }
}

/// Puts the provider's own headers and the credential on a request.
///
/// # Errors
/// None in practice: the values were checked when the configuration was read.
pub fn sign(header: &mut RequestHeader, attempt: &Attempt, body: &[u8]) -> pingora::Result<()> {
    let provider = &attempt.upstream.provider.definition;
    for (name, value) in &provider.headers {
        header.insert_header(name.clone(), value.clone())?;
    }
    let mut signed = Vec::with_capacity(1);
    let request = credential::Outgoing {
        method: &header.method,
        authority: &provider.base.authority,
        path_and_query: header.uri.path_and_query().map_or("/", |path| path.as_str()),
        headers: &header.headers,
        body_sha256: &|| Sha256::digest(body).into(),
    };
    attempt.credential.apply(&request, &mut |name, value| signed.push((name.clone(), value.clone())));
    for (name, value) in signed {
        header.insert_header(name, value)?;
    }
    Ok(())
}
