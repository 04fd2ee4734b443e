//! Registries: nothing is asked of them. Images come by `docker load` and `docker import`.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Response;

/// Requests of registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryRoute {
    /// Ask one: log in, search.
    Ask,
    /// What one says of an image.
    Distribution,
    /// Bring an image there.
    Push,
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<RegistryRoute> {
    Some(match (method, path) {
        ("POST", ["auth"]) | ("GET", ["images", "search"]) => RegistryRoute::Ask,
        ("GET", ["distribution", _, .., "json"]) => RegistryRoute::Distribution,
        ("POST", ["images", _, .., "push"]) => RegistryRoute::Push,
        _ => return None,
    })
}

pub(super) fn answer(route: RegistryRoute, call: &Call) -> Result<Response, ApiError> {
    if route == RegistryRoute::Distribution {
        call.requires(30, "GET /distribution/{name:.*}/json")?;
    }
    Err(ApiError::not_implemented(match route {
        RegistryRoute::Ask | RegistryRoute::Distribution => {
            "registries are not supported; use docker import or docker load"
        }
        RegistryRoute::Push => "pushing to a registry is not supported; use docker save",
    }))
}
