//! Requests that change a container: start, stop, restart, kill, rename, update, remove.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use bollard_stubs::models::{ContainerUpdateBody, PortMap};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use sealane_containers::{PortChange, RemoveOptions, StopOptions};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Updated {
    warnings: Option<Vec<String>>,
}

/// `POST /containers/NAME/start`
pub(crate) async fn start(call: Call, name: String) -> Result<Response, ApiError> {
    if has_body(&call) {
        return Err(ApiError::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and \
             removed in v1.24",
        ));
    }
    if call.query.text("checkpoint").is_some() {
        return Err(ApiError::not_implemented("checkpoints are not supported"));
    }
    call.blocking(move |api| api.containers.start(&name))
        .await?;
    Ok(respond::no_content())
}

/// `POST /containers/NAME/stop`
pub(crate) async fn stop(call: Call, name: String) -> Result<Response, ApiError> {
    let options = stop_options(&call)?;
    call.blocking(move |api| api.containers.stop(&name, &options))
        .await?;
    Ok(respond::no_content())
}

/// `POST /containers/NAME/restart`
pub(crate) async fn restart(call: Call, name: String) -> Result<Response, ApiError> {
    let options = stop_options(&call)?;
    call.blocking(move |api| api.containers.restart(&name, &options))
        .await?;
    Ok(respond::no_content())
}

/// `POST /containers/NAME/kill`
pub(crate) async fn kill(call: Call, name: String) -> Result<Response, ApiError> {
    let signal = call.query.text("signal").map(str::to_owned);
    call.blocking(move |api| api.containers.kill(&name, signal.as_deref()))
        .await?;
    Ok(respond::no_content())
}

/// `POST /containers/NAME/rename`
pub(crate) async fn rename(call: Call, name: String) -> Result<Response, ApiError> {
    let new = call.query.text("name").unwrap_or_default().to_owned();
    call.blocking(move |api| api.containers.rename(&name, &new))
        .await?;
    Ok(respond::no_content())
}

/// Docker's fields, and ours for the ports of a running container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateBody {
    /// All bindings from now on, as in `HostConfig`.
    port_bindings: Option<PortMap>,
    /// Further bindings.
    publish: Option<PortMap>,
    /// Host ports to publish no longer: `8080/tcp`.
    unpublish: Option<Vec<String>>,
    #[serde(flatten)]
    settings: ContainerUpdateBody,
}

/// `POST /containers/NAME/update`
pub(crate) async fn update(mut call: Call, name: String) -> Result<Response, ApiError> {
    let body: UpdateBody = call.json().await?;
    let ports = PortChange {
        bindings: body.port_bindings,
        publish: body.publish.unwrap_or_default(),
        unpublish: body.unpublish.unwrap_or_default(),
    };
    let warnings = call
        .blocking(move |api| api.containers.update(&name, &body.settings, &ports))
        .await?;
    let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
    Ok(respond::ok(&Updated { warnings }))
}

/// `DELETE /containers/NAME`
pub(crate) async fn remove(call: Call, name: String) -> Result<Response, ApiError> {
    let options = RemoveOptions {
        force: call.query.flag("force"),
        volumes: call.query.flag("v"),
        link: call.query.flag("link"),
    };
    call.blocking(move |api| api.containers.remove(&name, options))
        .await?;
    Ok(respond::no_content())
}

fn stop_options(call: &Call) -> Result<StopOptions, ApiError> {
    let signal = call
        .query
        .text("signal")
        .filter(|_| call.version.at_least(42));
    Ok(StopOptions {
        signal: signal.map(str::to_owned),
        timeout: call.query.integer("t")?,
    })
}

/// Whether a start comes with settings, as clients sent them long ago. `{}` and the like pass.
fn has_body(call: &Call) -> bool {
    let length = call
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let longest_empty = 7;
    length
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|bytes| bytes > longest_empty)
        || call.headers.contains_key(TRANSFER_ENCODING)
}
