//! The route table, and the way to a row of it.

use std::fmt::Write;

use http::{HeaderValue, Method, StatusCode, header};

use super::access::Access;
use super::message::{Request, Response};
use super::{Operations, answers};
use crate::domain::ErrorCode;

/// Where metrics are in the table; the configured path stands for it.
const METRICS_PATH: &str = "/metrics";

/// Every path below it is ours, known or not.
const ROOT: &str = "/v0/operations";

/// What a segment of a pattern is that matches any one.
pub(super) const PROVIDER: &str = "{provider}";

/// One endpoint.
pub struct Route {
    /// The method; a GET route answers HEAD too.
    pub method: Method,
    /// The path; `{provider}` stands for one segment.
    pub path: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Who may call it.
    pub access: Access,
    answer: fn(&Operations, &Call<'_>) -> Response,
}

/// A request, and what stood for `{provider}` in its path.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) provider: &'a str,
}

/// Every endpoint. Error texts, `Allow` and documentation read it.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/health",
        purpose: "Whether the process serves: 200, or 503 while it shuts down",
        access: Access::Anyone,
        answer: answers::health,
    },
    Route {
        method: Method::GET,
        path: "/ready",
        purpose: "Whether to send requests here; ?providers=1 also asks for an available provider",
        access: Access::Anyone,
        answer: answers::ready,
    },
    Route {
        method: Method::GET,
        path: METRICS_PATH,
        purpose: "Metrics in the Prometheus text format",
        access: Access::Scraper,
        answer: answers::metrics,
    },
    Route {
        method: Method::GET,
        path: "/v0/operations/providers/status",
        purpose: "Health and recent figures of every provider",
        access: Access::Operator,
        answer: answers::providers_status,
    },
    Route {
        method: Method::GET,
        path: "/v0/operations/providers/{provider}/status",
        purpose: "Health and recent figures of one provider",
        access: Access::Operator,
        answer: answers::provider_status,
    },
];

impl Route {
    /// Whether the path is this route's; if so, what stands for `{provider}`.
    fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut provider = "";
        let (mut wanted, mut given) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (Some(PROVIDER), Some(name)) if !name.is_empty() => provider = name,
                (Some(wanted), Some(given)) if wanted == given => {}
                (None, None) => return Some(provider),
                _ => return None,
            }
        }
    }

    fn takes(&self, method: &Method) -> bool {
        self.method == *method || (self.method == Method::GET && *method == Method::HEAD)
    }
}

/// The path in the table's terms, if there is one.
fn canonical<'p>(operations: &Operations, path: &'p str) -> Option<&'p str> {
    match operations.metrics_path.as_deref() {
        Some(own) if own == path => Some(METRICS_PATH),
        _ if path == METRICS_PATH => None,
        _ => Some(path),
    }
}

fn is_below_root(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn routes_at<'p>(operations: &Operations, path: &'p str) -> impl Iterator<Item = (&'static Route, &'p str)> {
    let path = canonical(operations, path);
    ROUTES.iter().filter_map(move |route| path.and_then(|path| route.matches(path)).map(|it| (route, it)))
}

pub(super) fn owns(operations: &Operations, path: &str) -> bool {
    is_below_root(path) || routes_at(operations, path).next().is_some()
}

pub(super) fn dispatch(operations: &Operations, request: &Request<'_>) -> Response {
    let at_path = || routes_at(operations, request.path);
    let found = at_path().find(|(route, _)| route.takes(request.method));
    // Those who may not call don't learn what there is.
    let access = match found.or_else(|| at_path().next()) {
        Some((route, _)) => route.access,
        None if is_below_root(request.path) => Access::Operator,
        None => Access::Anyone,
    };
    if let Err(refusal) = operations.access.check(access, request) {
        return refusal.response();
    }
    match found {
        Some((route, provider)) => (route.answer)(operations, &Call { request, provider }),
        None if at_path().next().is_some() => method_not_allowed(at_path().map(|(route, _)| route)),
        None => not_found(request.path),
    }
}

fn method_not_allowed(routes: impl Iterator<Item = &'static Route>) -> Response {
    let mut allowed = String::new();
    for route in routes {
        let separator = if allowed.is_empty() { "" } else { ", " };
        let head = if route.method == Method::GET { ", HEAD" } else { "" };
        let _ = write!(allowed, "{separator}{}{head}", route.method);
    }
    let message = format!("This path answers {allowed} only.");
    let code = ErrorCode::MethodNotAllowed;
    let response = Response::error(StatusCode::METHOD_NOT_ALLOWED, code.name(), &message);
    match HeaderValue::try_from(allowed) {
        Ok(allowed) => response.with(header::ALLOW, allowed),
        Err(_) => response,
    }
}

fn not_found(path: &str) -> Response {
    let mut message = String::from("There is no such path here.");
    if is_below_root(path) {
        message.push_str(" The operations API has:");
        for (index, route) in ROUTES.iter().filter(|route| is_below_root(route.path)).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let _ = write!(message, "{separator} {} {}", route.method, route.path);
        }
        message.push('.');
    }
    Response::error(StatusCode::NOT_FOUND, ErrorCode::NotFound.name(), &message)
}
