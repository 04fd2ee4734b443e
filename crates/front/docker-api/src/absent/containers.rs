//! What Docker does with containers and this engine leaves to others. A container that does not
//! exist, or is in no state for the request, is answered first, as Docker answers it.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Response;
use sealane_core::model::ErrorClass;

/// Such a request, with the container's id or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContainerRoute {
    /// Suspend it.
    Pause(String),
    /// Let it go on.
    Unpause(String),
    /// Checkpoints: an experimental feature of Docker, off unless asked for.
    Checkpoints,
    /// What a sentence tells.
    Other(String, &'static str),
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<ContainerRoute> {
    use ContainerRoute as R;
    let ["containers", rest @ ..] = path else {
        return None;
    };
    let other = |name: &[&str], sentence| Some(R::Other(named(name)?, sentence));
    match (method, rest) {
        ("POST", [name @ .., "pause"]) => Some(R::Pause(named(name)?)),
        ("POST", [name @ .., "unpause"]) => Some(R::Unpause(named(name)?)),
        ("GET" | "POST", [_, .., "checkpoints"]) | ("DELETE", [_, "checkpoints", _]) => {
            Some(R::Checkpoints)
        }
        ("GET" | "HEAD" | "PUT", [name @ .., "archive"]) => other(
            name,
            "copying files to and from containers is not supported; use docker exec with tar",
        ),
        ("GET", [name @ .., "export"]) => {
            other(name, "exporting a container's files is not supported")
        }
        ("GET", [name @ .., "changes"]) => {
            other(name, "listing a container's changed files is not supported")
        }
        ("GET", [name @ .., "attach", "ws"]) => other(
            name,
            "attaching by WebSocket is not supported; use Upgrade: tcp",
        ),
        _ => None,
    }
}

fn named(name: &[&str]) -> Option<String> {
    Some(name.join("/")).filter(|name| !name.is_empty())
}

pub(super) async fn answer(route: ContainerRoute, call: Call) -> Result<Response, ApiError> {
    call.blocking(move |api| {
        let containers = &api.containers;
        Err::<Response, _>(match route {
            ContainerRoute::Pause(name) if containers.is_running(&name)? => {
                ApiError::not_implemented("pausing containers is not supported")
            }
            ContainerRoute::Pause(name) => {
                let id = containers.resolve(&name)?;
                let text = format!("container {id} is not running");
                ApiError::new(ErrorClass::Conflict, text)
            }
            ContainerRoute::Unpause(name) => {
                let id = containers.resolve(&name)?;
                ApiError::internal(format!("Container {id} is not paused"))
            }
            ContainerRoute::Checkpoints => ApiError::not_implemented(
                "This experimental feature is disabled by default. Start the Docker daemon in \
                 experimental mode in order to enable it.",
            ),
            ContainerRoute::Other(name, sentence) => {
                containers.resolve(&name)?;
                ApiError::not_implemented(sentence)
            }
        })
    })
    .await
}
