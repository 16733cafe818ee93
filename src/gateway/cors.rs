//! Cross-origin requests: off unless origins are allowed, preflights always answered.
//!
//! Source: the Fetch standard, section 3.3 (CORS protocol).

use super::config::Cors;
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

/// What a page may read of our answers beside the body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, x-cliproxy-provider, x-cliproxy-model, x-cliproxy-attempts, x-cliproxy-cache, \
     x-cliproxy-error, retry-after",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");
const ANY: &str = "*";

/// The headers of an answer.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// Whether a request only asks whether another one would be allowed.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Cors {
    /// The origin of the request, if it is one of the allowed ones.
    pub fn allowed<'r>(&self, headers: &'r HeaderMap) -> Option<&'r HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let is_allowed = |allowed: &String| allowed == ANY || allowed.as_bytes() == origin.as_bytes();
        self.allowed_origins.iter().any(is_allowed).then_some(origin)
    }

    /// What an answer to an allowed origin carries; nothing for others.
    pub fn answer_headers(&self, headers: &HeaderMap) -> Headers {
        let Some(origin) = self.allowed(headers) else { return Vec::new() };
        vec![
            (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
            (VARY, HeaderValue::from_static("origin")),
        ]
    }

    /// The answer to a preflight: what the page may send, or `None` if it may not.
    pub fn preflight(&self, headers: &HeaderMap) -> Option<Headers> {
        let origin = self.allowed(headers)?;
        let mut answer = vec![
            (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS),
            (VARY, HeaderValue::from_static("origin, access-control-request-headers")),
        ];
        if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.push((ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(origin)),
            (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST")),
            (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization")),
        ])
    }

    #[test]
    fn only_allowed_origins_get_an_answer() {
        let cors = Cors { allowed_origins: vec!["https://chat.example".to_owned()] };
        let headers = asking("https://chat.example");
        assert!(is_preflight(&Method::OPTIONS, &headers) && !is_preflight(&Method::POST, &headers));
        let answer = cors.preflight(&headers).expect("allowed");
        assert!(
            answer
                .iter()
                .any(|(name, value)| name == ACCESS_CONTROL_ALLOW_HEADERS && value == "authorization")
        );
        assert_eq!(cors.preflight(&asking("https://evil.example")), None);
        assert_eq!(cors.answer_headers(&asking("https://evil.example")), Vec::new());
        assert_eq!(Cors::default().preflight(&headers), None);
    }
}
