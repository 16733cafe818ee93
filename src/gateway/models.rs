//! `GET /v1/models` and `GET /v1/models/{id}`: what a client may ask for.

use super::clients::Client;
use super::context::Context;
use super::reply;
use crate::domain::{ErrorCode, Failure};
use crate::translate::model_list::{self, Listed};
use http::StatusCode;
use pingora::protocols::http::ServerSession;
use std::sync::Arc;

/// Answers with the models that the configuration has and the client may use, or with one of them.
///
/// # Errors
/// `model_not_found` if the one asked for isn't among them.
pub(super) async fn answer(
    session: &mut ServerSession,
    context: &mut Context,
    client: &Client,
    id: Option<&str>,
) -> Result<(), Failure> {
    let snapshot = Arc::clone(&context.snapshot);
    let registry = &snapshot.registry;
    let owner = |index| registry.provider(index).map_or("", |provider| &**provider.name());
    let allowed = registry.models().iter().filter(|model| client.may_use(&model.name));
    let mut listed = allowed.map(|model| Listed { name: &model.name, owner: owner(model.provider) });
    let body = match id {
        None => model_list::list(context.dialect, &listed.collect::<Vec<_>>()),
        Some(id) => {
            // What is served though nobody lists it is there as well.
            let served = || {
                let route = registry.resolve(id).ok().filter(|_| client.may_use(id))?;
                route.targets.first().map(|target| Listed { name: id, owner: owner(target.provider) })
            };
            let found = listed.find(|model| model.name == id).or_else(served);
            let missing = || Failure::new(ErrorCode::ModelNotFound, format!("there is no model `{id}`"));
            model_list::one(context.dialect, found.ok_or_else(missing)?)
        }
    };
    let status = StatusCode::OK.as_u16();
    context.settlement.answered(status, None);
    if reply::json(session, context, reply::header(status, 4), body).await.is_err() {
        context.settlement.cancelled();
    }
    Ok(())
}
