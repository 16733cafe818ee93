//! What each route answers.

use http::StatusCode;

use super::message::Response;
use super::routes::Call;
use super::view::{HealthBody, ProvidersBody, ReadyBody};
use super::{Operations, VERSION};
use crate::domain::ErrorCode;
use crate::observe::Metrics;

pub(super) fn health(operations: &Operations, _: &Call<'_>) -> Response {
    let health = operations.view.health();
    let status = if health.draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Response::json(status, &HealthBody::new(&health, VERSION))
}

pub(super) fn ready(operations: &Operations, call: &Call<'_>) -> Response {
    let health = operations.view.health();
    let status = if health.draining {
        "draining"
    } else if call.request.asks("providers") && health.providers_available == 0 {
        "no_provider_available"
    } else {
        return Response::json(StatusCode::OK, &ReadyBody { status: "ready" });
    };
    Response::json(StatusCode::SERVICE_UNAVAILABLE, &ReadyBody { status })
}

pub(super) fn metrics(operations: &Operations, _: &Call<'_>) -> Response {
    match operations.metrics.render() {
        Ok(text) => Response::text(Metrics::CONTENT_TYPE, text),
        Err(cause) => {
            log::error!("metrics could not be written: {cause}");
            let code = ErrorCode::Internal;
            Response::error(StatusCode::INTERNAL_SERVER_ERROR, code.name(), "Metrics could not be written.")
        }
    }
}

pub(super) fn providers_status(operations: &Operations, _: &Call<'_>) -> Response {
    Response::json(StatusCode::OK, &ProvidersBody { providers: &operations.view.providers() })
}

pub(super) fn provider_status(operations: &Operations, call: &Call<'_>) -> Response {
    let providers = operations.view.providers();
    if let Some(provider) = providers.iter().find(|provider| provider.name == call.provider) {
        return Response::json(StatusCode::OK, provider);
    }
    let names: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let message = format!("There is no such provider. Configured: {}.", names.join(", "));
    Response::error(StatusCode::NOT_FOUND, ErrorCode::NotFound.name(), &message)
}
