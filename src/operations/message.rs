//! A request and a response of the operations API, whatever carried them.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;

/// Where gateway errors repeat their code, whatever the body.
const ERROR_HEADER: HeaderName = HeaderName::from_static("x-cliproxy-error");

const JSON: &str = "application/json";

/// Which of our ports a request came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The operations service's own (`metrics.port`).
    Operations,
    /// The gateway's (`server.port`).
    Gateway,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it was sent.
    pub path: &'a str,
    /// What follows the `?`.
    pub query: Option<&'a str>,
    /// The authority of the request's target (HTTP/2, or an absolute form), if it has one.
    pub authority: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The address of the caller's end of the connection.
    pub from: Option<IpAddr>,
    /// The port that it came in on.
    pub on: Port,
    /// The whole body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Whether the query has `name` set to something that means yes.
    pub(super) fn asks(&self, name: &str) -> bool {
        let pairs = self.query.unwrap_or("").split('&');
        pairs.filter_map(|pair| pair.split_once('=')).any(|(key, value)| {
            key == name && ["1", "true", "yes"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
        })
    }
}

/// What is answered. For HEAD it has the body that GET would have; the carrier leaves it out.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The body of an error.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    message: &'a str,
}

impl Response {
    /// A text.
    pub(super) fn text(content_type: &'static str, body: String) -> Response {
        Response::new(StatusCode::OK, content_type, body.into())
    }

    /// A JSON body.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
        match serde_json::to_vec(body) {
            Ok(bytes) => Response::new(status, JSON, bytes.into()),
            Err(cause) => {
                log::error!("an operations answer could not be written: {cause}");
                let body = Bytes::from_static(
                    br#"{"error":{"code":"internal_error","message":"The answer could not be written."}}"#,
                );
                Response::new(StatusCode::INTERNAL_SERVER_ERROR, JSON, body)
            }
        }
    }

    /// An error: `{error: {code, message}}`, the code in a header too.
    pub(super) fn error(status: StatusCode, code: &'static str, message: &str) -> Response {
        Response::json(status, &ErrorBody { error: ErrorText { code, message } })
            .with(ERROR_HEADER, HeaderValue::from_static(code))
    }

    /// The same, with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Response {
        self.headers.insert(name, value);
        self
    }

    fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
        let headers = HeaderMap::from_iter([
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ]);
        Response { status, content_type, headers, body }
    }
}
