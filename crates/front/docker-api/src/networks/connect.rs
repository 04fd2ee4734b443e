//! `POST /networks/NAME/connect` and `/disconnect`

use crate::call::Call;
use crate::containers::{containers_version, settings_of};
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::shape::nullable;
use bollard_stubs::models::EndpointSettings;
use hyper::StatusCode;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ConnectBody {
    #[serde(deserialize_with = "nullable")]
    container: String,
    pub(crate) endpoint_config: Option<EndpointSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DisconnectBody {
    #[serde(deserialize_with = "nullable")]
    container: String,
    #[serde(deserialize_with = "nullable")]
    force: bool,
}

/// Connects a container to a network.
pub(crate) async fn connect(mut call: Call, network: String) -> Result<Response, ApiError> {
    let body: ConnectBody = call.json().await?;
    let version = call.version;
    let settings = settings_of(body.endpoint_config, version);
    let container = body.container;
    call.blocking(move |api| {
        api.containers
            .connect(&network, &container, settings, containers_version(version))
    })
    .await?;
    Ok(respond::empty(StatusCode::OK))
}

/// Disconnects a container from a network.
pub(crate) async fn disconnect(mut call: Call, network: String) -> Result<Response, ApiError> {
    let body: DisconnectBody = call.json().await?;
    call.blocking(move |api| {
        api.containers
            .disconnect(&network, &body.container, body.force)
    })
    .await?;
    Ok(respond::empty(StatusCode::OK))
}
