//! Swarm: this node is not part of one, and has none of what a manager keeps.

use super::unavailable;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::Response;
use serde_json::{Map, Value};

/// Requests of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SwarmRoute {
    /// Begin or join one.
    Join,
    /// Leave it.
    Leave,
    /// Anything that a manager answers.
    Manager(ManagerRequest),
}

/// A request that a manager answers, and what of it is looked at before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManagerRequest {
    /// The first API version that has it, and how Docker spells the route.
    since: Option<(u32, String)>,
    reads: Reads,
}

/// What is read of a request before it turns out that there is no manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// Nothing.
    Nothing,
    /// The filters of a list.
    Filters,
    /// A JSON body.
    Body,
    /// A JSON body, and the version of the object that it changes.
    Change(Kind),
    /// Which streams of a log are wanted.
    Streams,
}

/// Kinds of objects that have a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Swarm,
    Service,
    Node,
    Secret,
    Config,
}

pub(super) fn find(method: &str, path: &[&str]) -> Option<SwarmRoute> {
    Some(match (method, path) {
        ("POST", ["swarm", "init" | "join"]) => SwarmRoute::Join,
        ("POST", ["swarm", "leave"]) => SwarmRoute::Leave,
        (_, ["swarm", rest @ ..]) => manager(of_swarm(method, rest)?, None),
        (_, [family @ ("services" | "nodes" | "tasks"), rest @ ..]) => {
            manager(of_objects(method, family, rest)?, None)
        }
        (_, [family @ ("secrets" | "configs"), rest @ ..]) => {
            let minor = if *family == "secrets" { 25 } else { 30 };
            let reads = of_objects(method, family, rest)?;
            manager(reads, Some((minor, spelled(method, family, rest))))
        }
        _ => return None,
    })
}

fn manager(reads: Reads, since: Option<(u32, String)>) -> SwarmRoute {
    SwarmRoute::Manager(ManagerRequest { since, reads })
}

fn of_swarm(method: &str, rest: &[&str]) -> Option<Reads> {
    Some(match (method, rest) {
        ("GET", [] | ["unlockkey"]) => Reads::Nothing,
        ("POST", ["update"]) => Reads::Change(Kind::Swarm),
        ("POST", ["unlock"]) => Reads::Body,
        _ => return None,
    })
}

fn of_objects(method: &str, family: &str, rest: &[&str]) -> Option<Reads> {
    Some(match (method, family, rest) {
        ("GET", _, []) => Reads::Filters,
        ("GET", _, [_]) => Reads::Nothing,
        ("GET", "services" | "tasks", [_, "logs"]) => Reads::Streams,
        ("POST", "services" | "secrets" | "configs", ["create"]) => Reads::Body,
        ("POST", "services", [_, "update"]) => Reads::Change(Kind::Service),
        ("POST", "nodes", [_, "update"]) => Reads::Change(Kind::Node),
        ("POST", "secrets", [_, "update"]) => Reads::Change(Kind::Secret),
        ("POST", "configs", [_, "update"]) => Reads::Change(Kind::Config),
        ("DELETE", "services" | "nodes" | "secrets" | "configs", [_]) => Reads::Nothing,
        _ => return None,
    })
}

/// A route as Docker names it where a client is too old for it.
fn spelled(method: &str, family: &str, rest: &[&str]) -> String {
    match rest {
        [] => format!("{method} /{family}"),
        ["create"] => format!("{method} /{family}/create"),
        [_] => format!("{method} /{family}/{{id}}"),
        [_, action, ..] => format!("{method} /{family}/{{id}}/{action}"),
    }
}

pub(super) async fn answer(route: SwarmRoute, call: Call) -> Result<Response, ApiError> {
    Err(match route {
        SwarmRoute::Join => ApiError::not_implemented(
            "Swarm is not supported; networks and containers are those of this host",
        ),
        SwarmRoute::Leave => unavailable("This node is not part of a swarm"),
        SwarmRoute::Manager(request) => {
            check(request, call).await?;
            not_a_manager()
        }
    })
}

/// The refusal of everything that a manager does.
pub(super) fn not_a_manager() -> ApiError {
    unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
         connect this node to swarm and try again.",
    )
}

/// What is wrong with a request is said before what is missing here.
async fn check(request: ManagerRequest, mut call: Call) -> Result<(), ApiError> {
    if let Some((minor, spelled)) = &request.since {
        call.requires(*minor, spelled)?;
    }
    match request.reads {
        Reads::Nothing => Ok(()),
        Reads::Filters => Filters::unchecked(&call.query).map(drop),
        Reads::Body => call.json::<Map<String, Value>>().await.map(drop),
        Reads::Change(kind) => {
            call.json::<Map<String, Value>>().await?;
            object_version(kind, call.query.text("version").unwrap_or_default())
        }
        Reads::Streams if !call.query.flag("stdout") && !call.query.flag("stderr") => Err(
            ApiError::invalid("must specify at least one of 'stdout' or 'stderr'"),
        ),
        Reads::Streams => Ok(()),
    }
}

/// Refuses a version that is no number, in the words of Docker and of Go.
fn object_version(kind: Kind, text: &str) -> Result<(), ApiError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.parse::<u64>().is_ok() {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    let why = match digits {
        true => "value out of range",
        false => "invalid syntax",
    };
    let with_cause = |name: &str| {
        format!("invalid {name} version '{shown}': strconv.ParseUint: parsing {shown:?}: {why}")
    };
    Err(ApiError::invalid(match kind {
        Kind::Swarm => with_cause("swarm"),
        Kind::Service => with_cause("service"),
        Kind::Node => with_cause("node"),
        Kind::Secret => "invalid secret version".into(),
        Kind::Config => "invalid config version".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number() {
        let refusal = |kind, text| object_version(kind, text).unwrap_err().to_string();
        assert!(object_version(Kind::Node, "12").is_ok());
        assert_eq!(
            refusal(Kind::Service, ""),
            "invalid service version '': strconv.ParseUint: parsing \"\": invalid syntax"
        );
        assert_eq!(
            refusal(Kind::Node, "99999999999999999999"),
            "invalid node version '99999999999999999999': strconv.ParseUint: parsing \
             \"99999999999999999999\": value out of range"
        );
        assert_eq!(refusal(Kind::Secret, "x"), "invalid secret version");
    }

    #[test]
    fn a_route_is_spelled_as_docker_spells_it() {
        assert_eq!(spelled("GET", "configs", &[]), "GET /configs");
        assert_eq!(spelled("GET", "configs", &["x"]), "GET /configs/{id}");
        assert_eq!(
            spelled("POST", "secrets", &["x", "update"]),
            "POST /secrets/{id}/update"
        );
        assert_eq!(
            spelled("POST", "secrets", &["create"]),
            "POST /secrets/create"
        );
    }
}
