//! The data plane: what clients call, carried by Pingora.
//!
//! [`Gateway`] is the `ProxyHttp` of the house. Its phases stay thin and name the next room, in the order
//! in which a request passes them: [`admit`], [`body`], [`call`], [`exchange`] (with [`choose`],
//! [`attempt`], [`relay`] and [`verdict`]), [`settle`]. Pass-through requests leave for Pingora's stock
//! loop after `admit` ([`passthrough`]). Cooldown, translation and the operations API are other rooms'.

pub mod admit;
pub mod attempt;
pub mod body;
pub mod call;
pub mod choose;
pub mod clients;
pub mod config;
pub mod context;
pub mod cors;
pub mod exchange;
pub mod headers;
pub mod life;
pub mod limits;
pub mod mask;
pub mod passthrough;
pub mod relay;
pub mod reply;
pub mod routes;
pub mod settle;
pub mod state;
pub mod upstream;
pub mod verdict;

use crate::domain::{ErrorCode, Failure};
use crate::observe::Metrics;
use crate::operations::{self, Operations, Port};
use crate::translate::model_list::{self, Listed};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use call::Call;
use context::Context;
use http::{Method, StatusCode};
use life::Life;
use limits::Room;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{FailToProxy, ProxyHttp, Session};
use routes::{Endpoint, Route};
use state::Snapshot;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The data plane.
pub struct Gateway {
    /// What it serves with.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The life of the process.
    pub life: Arc<Life>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// The operations API, which this port answers too.
    pub operations: Arc<Operations>,
    /// Room for concurrent requests.
    pub places: Arc<Room>,
    /// Room for request bodies.
    pub bodies: Arc<Room>,
}

/// Where a request goes after the first phase.
enum Next {
    /// Nowhere: the client has its answer.
    Answered,
    /// To Pingora's stock loop.
    Passthrough,
}

impl Gateway {
    async fn serve(&self, session: &mut Session, context: &mut Context) -> Result<Next, Failure> {
        let header = session.req_header();
        let cors = &context.snapshot.settings.cors;
        if cors::is_preflight(&header.method, &header.headers) {
            let answer = cors.preflight(&header.headers);
            return self.preflight(session, context, answer).await;
        }
        context.cors = cors.answer_headers(&header.headers);
        let (method, uri) = (header.method.clone(), header.uri.clone());
        let route = routes::find(&method, uri.path(), &header.headers);
        context.dialect = route.dialect();
        match route {
            Route::Operations => {
                // The client is gone if this fails, and there is nobody left to tell.
                let _ =
                    operations::answer(&self.operations, session.as_downstream_mut(), Port::Gateway).await;
                Ok(Next::Answered)
            }
            Route::Inference { endpoint, model } => {
                self.infer(session, context, endpoint, model.as_deref()).await?;
                Ok(Next::Answered)
            }
            Route::Models { id, .. } => {
                admit::admit(self, session, context)?;
                self.models(session, context, id.as_deref()).await?;
                Ok(Next::Answered)
            }
            Route::Passthrough { provider } => {
                let client = admit::admit(self, session, context)?;
                passthrough::prepare(context, &client, provider, session.req_header())?;
                Ok(Next::Passthrough)
            }
            Route::WrongMethod { allow, .. } => {
                context.allow = Some(allow);
                let message = format!("{method} is not allowed here; use {allow}");
                Err(Failure::new(ErrorCode::MethodNotAllowed, message))
            }
            Route::Unknown { .. } => {
                let message =
                    format!("there is nothing at {method} {}; see the guide for the routes", uri.path());
                Err(Failure::new(ErrorCode::NotFound, message))
            }
        }
    }

    /// An inference request, from the door to the last byte of its answer.
    async fn infer(
        &self,
        session: &mut Session,
        context: &mut Context,
        endpoint: &'static Endpoint,
        path_model: Option<&str>,
    ) -> Result<(), Failure> {
        let client = admit::admit(self, session, context)?;
        context.endpoint = Some(endpoint);
        if admit::expects_continue(session) {
            // A client that is gone is noticed when its body is read.
            let _ = session.as_downstream_mut().write_continue_response().await;
        }
        let limit = context.snapshot.settings.limits.max_body_size.as_usize();
        let Some(held) = &mut context.held else { return Ok(()) };
        let body = body::read(session.as_downstream_mut(), limit, &mut held.body).await?;
        let call = Call::read(endpoint, path_model, session.req_header(), body)?;
        context.model = Arc::clone(&call.model);
        context.settlement.model = Arc::clone(&call.model);
        if !client.may_use(&call.model) {
            let message = format!("this client may not use the model `{}`", call.model);
            return Err(Failure::new(ErrorCode::ModelForbidden, message));
        }
        self.route(context, &call)?;
        exchange::run(self, session, context, &call).await
    }

    /// Finds out who may serve the call.
    fn route(&self, context: &mut Context, call: &Call) -> Result<(), Failure> {
        let registry = &context.snapshot.registry;
        let route = registry.resolve(&call.model).map_err(|unknown| {
            let near = match unknown.near.as_slice() {
                [] => String::new(),
                near => format!("; did you mean {}?", near.join(", ")),
            };
            Failure::new(
                ErrorCode::ModelNotFound,
                format!("no provider serves the model `{}`{near}", call.model),
            )
        })?;
        let can_express = |target: &crate::providers::routes::Target| {
            let provider = registry.provider(target.provider);
            provider.is_some_and(|provider| choose::can_express(&provider.definition, call.endpoint))
        };
        if !route.targets.iter().any(can_express) {
            let message = format!(
                "the providers of model `{}` do not speak the {} dialect of this endpoint, and translation between \
                 dialects is not there yet; call them in their own dialect",
                call.model,
                call.dialect()
            );
            return Err(Failure::new(ErrorCode::UnsupportedFeature, message));
        }
        context.route = Some(route);
        Ok(())
    }

    async fn models(
        &self,
        session: &mut Session,
        context: &mut Context,
        id: Option<&str>,
    ) -> Result<(), Failure> {
        let snapshot = Arc::clone(&context.snapshot);
        let client = context.settlement.client.clone();
        let is_allowed = |name: &str| client.as_ref().is_some_and(|client| client.may_use(name));
        let models: Vec<Listed<'_>> = snapshot
            .registry
            .models()
            .iter()
            .filter(|model| is_allowed(&model.name))
            .map(|model| Listed {
                name: &model.name,
                owner: snapshot.registry.provider(model.provider).map_or("", |provider| &**provider.name()),
            })
            .collect();
        let body = match id {
            None => model_list::list(context.dialect, &models),
            Some(id) => {
                let found = models.iter().find(|model| model.name == id);
                let missing = || Failure::new(ErrorCode::ModelNotFound, format!("there is no model `{id}`"));
                model_list::one(context.dialect, *found.ok_or_else(missing)?)
            }
        };
        context.settlement.answered(StatusCode::OK.as_u16(), None);
        let sent =
            async { reply::json(session.as_downstream_mut(), context, reply::header(200, 4)?, body).await };
        if sent.await.is_err() {
            context.settlement.cancelled();
        }
        Ok(())
    }

    async fn preflight(
        &self,
        session: &mut Session,
        context: &mut Context,
        answer: Option<cors::Headers>,
    ) -> Result<Next, Failure> {
        let Some(headers) = answer else {
            let message = "this origin may not call the gateway; its operator can allow it in `server.cors.allowed_origins`";
            return Err(Failure::new(ErrorCode::ModelForbidden, message));
        };
        context.cors = headers;
        let sent = async {
            let mut header = reply::header(StatusCode::NO_CONTENT.as_u16(), 8)?;
            reply::common(context, &mut header)?;
            session.as_downstream_mut().write_response_header(header).await
        };
        // The client is gone if this fails, and there is nobody left to tell.
        let _ = sent.await;
        Ok(Next::Answered)
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.snapshot.load_full(), Arc::clone(&self.metrics), Instant::now())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> pingora::Result<bool> {
        let from_client = session.req_header().headers.get(reply::REQUEST_ID);
        context.identify(context::request_id(from_client));
        prepare_downstream(session.as_downstream_mut(), self.life.is_draining());
        match self.serve(session, context).await {
            Ok(Next::Answered) => Ok(true),
            Ok(Next::Passthrough) => Ok(false),
            Err(failure) => {
                // A client that is gone gets no answer; the settlement has the failure all the same.
                let _ = reply::refuse(session.as_downstream_mut(), context, &failure).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Context) -> pingora::Result<Box<HttpPeer>> {
        choose::next(context)
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        passthrough::rewrite(context, request)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        passthrough::answered(context, session.req_header(), response)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        is_last: bool,
        context: &mut Context,
    ) -> pingora::Result<Option<Duration>> {
        if let Some(masking) = &mut context.masking {
            *body = masking.pass(body.as_ref(), is_last);
        }
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &pingora::Error,
        context: &mut Context,
    ) -> FailToProxy {
        passthrough::failed(session.as_downstream_mut(), context, error).await
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, _: &pingora::Error) -> bool {
        // Every request ends in one event of ours, with its cause.
        true
    }

    async fn logging(&self, _: &mut Session, _: Option<&pingora::Error>, context: &mut Context) {
        context.attempt = None;
        context.settlement.settle();
    }
}

/// What is set on every session before anything else.
fn prepare_downstream(session: &mut ServerSession, is_draining: bool) {
    // Off by default in Pingora, where a second request that is already there would get no answer.
    session.set_pipelining_enabled(session.as_http1().is_some());
    if is_draining || session.req_header().method == Method::CONNECT {
        session.set_keepalive(None);
    }
}
