//! The first phase: what was called, and the room that answers it.

use super::call::Call;
use super::clients::Client;
use super::context::Context;
use super::exchange::Delivery;
use super::routes::{self, Endpoint, Route};
use super::{Gateway, admit, body, choose, cors, count, exchange, homes, models, passthrough, reply};
use crate::domain::{ErrorCode, Failure, Quoted};
use crate::operations::{self, Port};
use crate::translate::features::Feature;
use crate::translate::peek::BadBody;
use http::StatusCode;
use pingora_proxy::Session;
use std::sync::Arc;

/// Where a request goes after this phase.
pub(super) enum Next {
    /// Nowhere: the client has its answer.
    Answered,
    /// Nowhere: the client has left, or its answer broke off. Its connection is dropped as it is.
    CutOff,
    /// To Pingora's stock loop.
    Passthrough,
}

/// Serves a request whose header has been read.
///
/// # Errors
/// With what the client is to be told.
pub(super) async fn serve(
    gateway: &Gateway,
    session: &mut Session,
    context: &mut Context,
) -> Result<Next, Failure> {
    let header = session.req_header();
    let cors = &context.snapshot.settings.cors;
    if cors::is_preflight(&header.method, &header.headers) {
        let answer = cors.preflight(&header.headers);
        return preflight(session, context, answer).await;
    }
    context.cors = cors.answer_headers(&header.headers);
    let (method, uri) = (header.method.clone(), header.uri.clone());
    let route = routes::find(&method, uri.path(), &header.headers);
    context.dialect = route.dialect();
    match route {
        Route::Operations => {
            let operations = &gateway.operations;
            // The client is gone if this fails, and there is nobody left to tell.
            let _ = operations::answer(operations, session.as_downstream_mut(), Port::Gateway).await;
        }
        Route::Inference { endpoint, model } => {
            return infer(gateway, session, context, endpoint, model.as_deref()).await;
        }
        Route::Models { id, .. } => {
            let client = admit::admit(gateway, session, context)?;
            models::answer(session.as_downstream_mut(), context, &client, id.as_deref()).await?;
        }
        Route::Passthrough { provider } => {
            let client = admit::admit(gateway, session, context)?;
            passthrough::prepare(context, &client, provider, session.req_header())?;
            passthrough::be_patient(session.as_downstream_mut());
            return Ok(Next::Passthrough);
        }
        Route::WrongMethod { allow, .. } => {
            context.allow = Some(allow);
            let message = format!("{method} is not allowed here; use {allow}");
            return Err(Failure::new(ErrorCode::MethodNotAllowed, message));
        }
        Route::Unknown { .. } => {
            let hint = if uri.path().starts_with("/v1/v1") {
                "leave /v1 out of the base URL that the SDK is given"
            } else {
                "the routes are those of the OpenAI, Anthropic and Gemini APIs"
            };
            let message = format!("there is nothing at {method} {}; {hint}", Quoted(uri.path()));
            return Err(Failure::new(ErrorCode::NotFound, message));
        }
    }
    Ok(Next::Answered)
}

/// An inference request, from the door to the last byte of its answer.
async fn infer(
    gateway: &Gateway,
    session: &mut Session,
    context: &mut Context,
    endpoint: &'static Endpoint,
    path_model: Option<&str>,
) -> Result<Next, Failure> {
    let client = admit::admit(gateway, session, context)?;
    context.endpoint = Some(endpoint);
    let limit = context.snapshot.settings.limits.max_body_size.as_usize();
    let Some(held) = &mut context.held else { return Ok(Next::CutOff) };
    let body = match body::read(session.as_downstream_mut(), limit, &mut held.body).await {
        Ok(body) => body,
        Err(unread) => {
            if unread.is_gone {
                context.settlement.client_left();
            }
            return Err(unread.failure);
        }
    };
    let mut call = Call::read(endpoint, path_model, session.req_header(), body)?;
    context.model = Arc::clone(&call.model);
    context.settlement.model = Arc::clone(&call.model);
    if !client.may_use(&call.model) {
        let message = format!("this client may not use the model {}", Quoted(&call.model));
        return Err(Failure::new(ErrorCode::ModelForbidden, message));
    }
    route(context, &client, &call)?;
    if context.route.is_none() {
        return Ok(match count::estimate(session.as_downstream_mut(), context, &call).await {
            Ok(()) => Next::Answered,
            Err(_) => Next::CutOff,
        });
    }
    Ok(match exchange::run(session, context, &mut call).await? {
        Delivery::Whole => Next::Answered,
        Delivery::CutOff => Next::CutOff,
    })
}

/// Who may serve the call, and whether in other words; nobody, where what is asked for can be estimated here.
fn route(context: &mut Context, client: &Client, call: &Call) -> Result<(), Failure> {
    let registry = &context.snapshot.registry;
    let route = registry.resolve(&call.model).map_err(|unknown| {
        let near: Vec<String> = unknown.near.into_iter().filter(|name| client.may_use(name)).collect();
        let hint =
            if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        let message = format!("no provider serves the model {}{hint}", Quoted(&call.model));
        Failure::new(ErrorCode::ModelNotFound, message)
    })?;
    let definitions = || {
        route.targets.iter().filter_map(|target| registry.provider(target.provider)).map(|it| &it.definition)
    };
    let speakers = definitions().filter(|provider| choose::speaks(provider, call.endpoint)).count();
    let features = if speakers < route.targets.len() { call.features() } else { None };
    context.features = match features {
        None => None,
        // Whoever is asked in the client's own words may understand it.
        Some(Err(_)) if speakers > 0 => None,
        Some(Err(BadBody(why))) => return Err(Failure::new(ErrorCode::InvalidRequest, why)),
        Some(Ok(features)) => Some(features),
    };
    context.home = homes::of(context, &route, client, call)?;
    let can_express = definitions().any(|provider| choose::can_express(context, provider));
    let lacking = context.features.and_then(|features| {
        definitions().find_map(|provider| features.refused_by(choose::api_of(provider, call.endpoint)))
    });
    if can_express {
        context.route = Some(route);
    } else if !count::is_count(call.endpoint) {
        return Err(unsupported(call, lacking));
    }
    Ok(())
}

/// No provider of the model can be asked for this: for something in it, or for all that the endpoint is about.
fn unsupported(call: &Call, lacking: Option<&str>) -> Failure {
    let model = Quoted(&call.model);
    let message = match lacking.filter(|name| *name != Feature::Embedding.name()) {
        Some(feature) => format!(
            "no provider of model {model} supports {feature} in a request like this; leave it out, or use a model whose \
             provider does"
        ),
        None => format!(
            "no provider of model {model} has the endpoint `{}`, or another that does the same; use a model whose \
             provider has it",
            call.endpoint.path.trim_start_matches('/')
        ),
    };
    Failure::new(ErrorCode::UnsupportedFeature, message)
}

async fn preflight(
    session: &mut Session,
    context: &mut Context,
    answer: Option<cors::Headers>,
) -> Result<Next, Failure> {
    let Some(headers) = answer else {
        let message = "this origin may not call the gateway; its operator can allow it in `server.cors.allowed_origins`";
        return Err(Failure::new(ErrorCode::Forbidden, message));
    };
    context.cors = headers;
    let mut header = reply::header(StatusCode::NO_CONTENT.as_u16(), context.cors.len() + 1);
    reply::common(context, &mut header.headers);
    // The client is gone if this fails, and there is nobody left to tell.
    let _ = session.as_downstream_mut().write_response_header(Box::new(header.into())).await;
    Ok(Next::Answered)
}
