//! Builds: no image is built here, so that there is no cache and nothing to cancel.

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use hyper::StatusCode;
use hyper::header::UPGRADE;
use serde_json::json;

/// Requests of builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuilderRoute {
    /// Build an image.
    Build,
    /// Remove the build cache, of which there is none. `docker system prune` asks for it.
    Prune,
    /// End a build.
    Cancel,
    /// A builder's session with its client.
    Session,
    /// A builder's own protocol.
    Grpc,
    /// Make an image of a container.
    Commit,
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<BuilderRoute> {
    Some(match (method, path) {
        ("POST", ["build"]) => BuilderRoute::Build,
        ("POST", ["build", "prune"]) => BuilderRoute::Prune,
        ("POST", ["build", "cancel"]) => BuilderRoute::Cancel,
        ("POST", ["session"]) => BuilderRoute::Session,
        ("POST", ["grpc"]) => BuilderRoute::Grpc,
        ("POST", ["commit"]) => BuilderRoute::Commit,
        _ => return None,
    })
}

pub(super) fn answer(route: BuilderRoute, call: &Call) -> Result<Response, ApiError> {
    match route {
        BuilderRoute::Build => Err(ApiError::not_implemented(
            "building images is not supported; build elsewhere, then use docker load",
        )),
        BuilderRoute::Prune => {
            call.requires(31, "POST /build/prune")?;
            Filters::unchecked(&call.query)?;
            Ok(respond::ok(
                &json!({"CachesDeleted": null, "SpaceReclaimed": 0}),
            ))
        }
        BuilderRoute::Cancel => match call.query.text("id") {
            None => Err(ApiError::invalid("build ID not provided")),
            // Docker takes the id of a build that has ended, or never was, likewise.
            Some(_) => Ok(respond::empty(StatusCode::OK)),
        },
        BuilderRoute::Session => Err(session(call, ApiError::invalid)),
        BuilderRoute::Grpc => Err(session(call, ApiError::internal)),
        BuilderRoute::Commit => commit(call),
    }
}

/// Why there is no session: the request is none, or there is no builder to have it with.
fn session(call: &Call, wrong: fn(String) -> ApiError) -> ApiError {
    let protocol = call.headers.get(UPGRADE).map(|value| value.as_bytes());
    match protocol {
        None | Some(b"") => wrong("no upgrade proto in request".into()),
        Some(b"h2c") => ApiError::not_implemented("sessions of a builder are not supported"),
        Some(other) => {
            let shown: String = String::from_utf8_lossy(other).chars().take(80).collect();
            wrong(format!("protocol {shown} not supported"))
        }
    }
}

fn commit(call: &Call) -> Result<Response, ApiError> {
    call.api
        .containers
        .resolve(call.query.text("container").unwrap_or_default())?;
    Err(ApiError::not_implemented(
        "committing containers is not supported; use docker import or docker load",
    ))
}
