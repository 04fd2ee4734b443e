//! Requests of networks.

mod connect;
mod create;
mod inspect;
mod list;
mod prune;
mod reservations;
mod update;
mod wire;

pub(crate) use connect::{ConnectBody, connect, disconnect};
pub(crate) use create::{Body as CreateBody, create};
pub(crate) use inspect::inspect;
pub(crate) use list::list;
pub(crate) use prune::{OnePrune, prune};
pub(crate) use reservations::{release, reservations, reserve};
pub(crate) use update::{Body as UpdateBody, update};

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};

/// `DELETE /networks/NAME`
pub(crate) async fn remove(call: Call, name: String) -> Result<Response, ApiError> {
    call.blocking(move |api| api.engine.remove_network(&name))
        .await?;
    Ok(respond::no_content())
}
