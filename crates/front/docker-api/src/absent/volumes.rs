//! Volumes: there are none, and none can be made.

use super::unavailable;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::networks::OnePrune;
use crate::respond::{self, Response};
use sealane_containers::EventKind;
use sealane_core::model::ErrorClass;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What Go's `strconv.ParseBool` takes.
const GO_BOOLEANS: [&str; 12] = [
    "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False",
];

/// Requests of volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VolumeRoute {
    /// All of them.
    List,
    /// All about one.
    Inspect(String),
    /// Make one.
    Create,
    /// Remove the unused ones.
    Prune,
    /// Change one of a swarm.
    Update,
    /// Remove one.
    Remove(String),
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<VolumeRoute> {
    use VolumeRoute as R;
    let ["volumes", rest @ ..] = path else {
        return None;
    };
    Some(match (method, rest) {
        ("GET", []) => R::List,
        ("GET", name) => R::Inspect(name.join("/")),
        ("POST", ["create"]) => R::Create,
        ("POST", ["prune"]) => R::Prune,
        ("PUT", [_, ..]) => R::Update,
        ("DELETE", [_, ..]) => R::Remove(rest.join("/")),
        _ => return None,
    })
}

pub(super) async fn answer(route: VolumeRoute, call: Call) -> Result<Response, ApiError> {
    match route {
        VolumeRoute::List => list(&call),
        VolumeRoute::Inspect(name) => Err(no_such_volume(&name)),
        VolumeRoute::Create => create(call).await,
        VolumeRoute::Prune => prune(&call),
        VolumeRoute::Update => {
            call.requires(42, "PUT /volumes/{name:.*}")?;
            Err(unavailable(
                "volume update only valid for cluster volumes, but swarm is unavailable",
            ))
        }
        VolumeRoute::Remove(_) if call.query.flag("force") => Ok(respond::no_content()),
        VolumeRoute::Remove(name) => Err(no_such_volume(&name)),
    }
}

fn list(call: &Call) -> Result<Response, ApiError> {
    Filters::unchecked(&call.query)
        .map_err(|error| ApiError::invalid(format!("error reading volume filters: {error}")))?;
    let filters = Filters::of(&call.query, &["dangling", "driver", "label", "name"])?;
    filters.boolean("dangling")?;
    Ok(respond::ok(&json!({"Volumes": [], "Warnings": null})))
}

/// One of a swarm is refused as Docker refuses it on a node without one.
async fn create(mut call: Call) -> Result<Response, ApiError> {
    let of_swarm = call.version.at_least(42);
    let body: BTreeMap<String, Value> = call.json().await?;
    let spec = body.get("ClusterVolumeSpec");
    if of_swarm && spec.is_some_and(|spec| !spec.is_null()) {
        return Err(super::swarm::not_a_manager());
    }
    Err(ApiError::not_implemented(
        "volumes are not supported; use bind mounts (-v /path:/path)",
    ))
}

fn prune(call: &Call) -> Result<Response, ApiError> {
    call.requires(25, "POST /volumes/prune")?;
    let filters = Filters::of(&call.query, &["all", "label", "label!"])?;
    check_all(filters.values("all"))?;
    let _alone = OnePrune::begin(&call.api.pruning_volumes)?;
    let attributes = BTreeMap::from([("reclaimed".into(), "0".into())]);
    call.api
        .events
        .publish(EventKind::Volume, "prune", "", attributes);
    Ok(respond::ok(
        &json!({"VolumesDeleted": [], "SpaceReclaimed": 0}),
    ))
}

/// Whether volumes with a name are meant too. There are none either way.
fn check_all(values: &[String]) -> Result<(), ApiError> {
    let shown = |text: &str| -> String { text.chars().take(80).collect() };
    match values {
        [] => Ok(()),
        [value] if GO_BOOLEANS.contains(&value.as_str()) => Ok(()),
        [value] => Err(ApiError::invalid(format!(
            "invalid filter 'all': strconv.ParseBool: parsing {:?}: invalid syntax",
            shown(value)
        ))),
        _ => Err(ApiError::invalid(format!(
            "invalid filter 'all=[{}]': only one value is expected",
            shown(&values.join(" "))
        ))),
    }
}

fn no_such_volume(name: &str) -> ApiError {
    ApiError::new(ErrorClass::NotFound, format!("get {name}: no such volume"))
}
