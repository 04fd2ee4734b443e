//! Requests that change a container: start, stop, restart, kill, rename, update, remove.

use super::Translate;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use bollard_stubs::models::{ContainerUpdateBody, PortMap};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use sealane_containers::{PortChange, RemoveOptions, StopOptions, UpdateRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl UpdateBody {
    fn into_request(self) -> Result<UpdateRequest, ApiError> {
        check_only_policy(&self.settings)?;
        Ok(UpdateRequest {
            restart_policy: self.settings.restart_policy.translate(),
            ports: PortChange {
                bindings: self.port_bindings.translate(),
                publish: self.publish.unwrap_or_default().translate(),
                unpublish: self.unpublish.unwrap_or_default(),
            },
        })
    }
}

/// `POST /containers/NAME/update`
pub(crate) async fn update(mut call: Call, name: String) -> Result<Response, ApiError> {
    let body: UpdateBody = call.json().await?;
    let request = body.into_request()?;
    let warnings = call
        .blocking(move |api| api.containers.update(&name, &request))
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

/// Clients send every field; those that say nothing are zero or empty.
fn check_only_policy(settings: &ContainerUpdateBody) -> Result<(), ApiError> {
    let value = serde_json::to_value(settings)
        .map_err(|error| ApiError::internal(format!("the update cannot be understood: {error}")))?;
    let fields = value.as_object().into_iter().flatten();
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    };
    let mut others = fields.filter(|(key, value)| *key != "RestartPolicy" && !says_nothing(value));
    match others.next() {
        Some((key, _)) => Err(ApiError::not_implemented(format!(
            "{key} of a container cannot be changed; only its restart policy and ports can"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    #[test]
    fn only_the_restart_policy_can_be_changed() {
        let sent = r#"{"CpuShares":0,"Memory":0,"CgroupParent":"","Devices":[],"OomKillDisable":null,
            "NanoCpus":0,"RestartPolicy":{"Name":"always","MaximumRetryCount":0}}"#;
        check_only_policy(&serde_json::from_str(sent).unwrap()).unwrap();
        let refused = check_only_policy(&serde_json::from_str(r#"{"Memory":1}"#).unwrap());
        assert_eq!(refused.unwrap_err().status(), StatusCode::NOT_IMPLEMENTED);
    }
}
