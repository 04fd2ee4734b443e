//! What a node without swarm, volumes, builds and managed plugins answers.
//!
//! Docker has an answer for that state: an empty list, a 404, a 503 that says what is missing. It is
//! given here in Docker's words. A request that Docker would carry out and this engine cannot is a
//! 501 with what to use instead; every such sentence says "not supported": by these words the CLI
//! knows to try the next kind of object. `docs/api.md` lists all of them; a test walks it.

mod builder;
mod containers;
mod plugins;
mod registries;
mod swarm;
mod volumes;

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Response;
use builder::BuilderRoute;
use containers::ContainerRoute;
use plugins::PluginRoute;
use registries::RegistryRoute;
use sealane_core::model::ErrorClass;
use swarm::SwarmRoute;
use volumes::VolumeRoute;

/// A request of what this node has none of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Of volumes.
    Volume(VolumeRoute),
    /// Of a swarm, its nodes, services, tasks, secrets and configs.
    Swarm(SwarmRoute),
    /// Of managed plugins.
    Plugin(PluginRoute),
    /// Of builds.
    Builder(BuilderRoute),
    /// Of registries.
    Registry(RegistryRoute),
    /// Of containers, where this engine does less than Docker.
    Container(ContainerRoute),
}

/// Finds a request of what is absent; `None` where Docker has no such path or method either.
pub(crate) fn find(method: &str, path: &[&str]) -> Option<Absent> {
    volumes::find(method, path)
        .map(Absent::Volume)
        .or_else(|| swarm::find(method, path).map(Absent::Swarm))
        .or_else(|| plugins::find(method, path).map(Absent::Plugin))
        .or_else(|| builder::find(method, path).map(Absent::Builder))
        .or_else(|| registries::find(method, path).map(Absent::Registry))
        .or_else(|| containers::find(method, path).map(Absent::Container))
}

/// Answers such a request.
pub(crate) async fn answer(absent: Absent, call: Call) -> Result<Response, ApiError> {
    match absent {
        Absent::Volume(route) => volumes::answer(route, call).await,
        Absent::Swarm(route) => swarm::answer(route, call).await,
        Absent::Plugin(route) => plugins::answer(route, &call),
        Absent::Builder(route) => builder::answer(route, &call),
        Absent::Registry(route) => registries::answer(route, &call),
        Absent::Container(route) => containers::answer(route, call).await,
    }
}

/// What is there only where it is prepared first, as a swarm is.
fn unavailable(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorClass::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_docker_does_not_have_are_not_found() {
        for request in [
            "GET swarm/init",
            "POST volumes",
            "POST volumes/x",
            "PUT plugins/x",
            "GET services/x/y",
            "DELETE tasks/x",
            "POST secrets/x",
            "GET build",
            "POST containers/x/copy",
            "GET containers/x/pause",
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let path: Vec<&str> = path.split('/').collect();
            assert_eq!(find(method, &path), None, "{request}");
        }
    }
}
