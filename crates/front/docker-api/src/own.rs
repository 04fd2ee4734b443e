//! Sealane's own requests: what its command line asks the daemon.

use crate::call::Call;
use crate::containers::{Translate, request, settings_of};
use crate::error::ApiError;
use crate::networks::{CreateBody, UpdateBody};
use crate::respond::{self, Response};
use bollard_stubs::models::{EndpointSettings, PortMap};
use sealane_containers::{PlanRequest, PortChange};
use sealane_core::model::Network;
use sealane_engine::PlannedOperation;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An operation that a client wants planned.
#[derive(Debug, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub(crate) enum PlanBody {
    /// Start a container that exists.
    Start { container: String },
    /// Stop one.
    Stop { container: String },
    /// Remove one.
    Remove { container: String },
    /// Make and start one; `body` is that of `POST /containers/create`.
    Run {
        name: Option<String>,
        body: Map<String, Value>,
    },
    /// Join one to a network.
    Connect {
        network: String,
        container: String,
        endpoint: Option<Box<EndpointSettings>>,
    },
    /// Part one from a network.
    Disconnect { network: String, container: String },
    /// Make a network; `body` is that of `POST /networks/create`.
    NetworkCreate { body: Box<CreateBody> },
    /// Remove one.
    NetworkRemove { network: String },
    /// Change one in place; `body` is that of `POST /networks/NAME/update`.
    NetworkUpdate {
        network: String,
        body: Box<UpdateBody>,
    },
    /// Publish further ports of a running container, or some no longer.
    Publish {
        container: String,
        publish: Option<PortMap>,
        unpublish: Option<Vec<String>>,
    },
}

/// Whether repair is to be paused.
#[derive(Clone, Copy, Deserialize)]
struct RepairBody {
    paused: bool,
}

/// Who plans what.
enum Planned {
    Container(PlanRequest),
    Network(Box<PlannedOperation>),
}

/// `GET /sealane/status`
pub(crate) async fn status(call: Call) -> Result<Response, ApiError> {
    let facts = call.api.facts();
    let (networks, counts) = call
        .blocking(|api| Ok::<_, ApiError>((api.engine.networks().len(), api.containers.counts())))
        .await?;
    Ok(respond::ok(&json!({
        "id": facts.id,
        "version": facts.version,
        "dataRoot": facts.data_root,
        "networks": networks,
        "containers": counts.total,
        "running": counts.running,
        "repair": if call.api.engine.repair_paused() { "paused" } else { "on" },
    })))
}

/// `GET /sealane/health`: what the doctor has to know of the daemon.
pub(crate) async fn health(call: Call) -> Result<Response, ApiError> {
    let (networks, drift, changed) = call
        .blocking(|api| {
            let networks: Vec<Value> = api.engine.networks().iter().map(|n| network(n)).collect();
            let changed = api.engine.changed_inside()?;
            Ok::<_, ApiError>((networks, api.engine.drift()?, changed))
        })
        .await?;
    let engine = &call.api.engine;
    Ok(respond::ok(&json!({
        "pid": std::process::id(),
        "repairPaused": engine.repair_paused(),
        "firewallIntegration": engine.meets_firewalls(),
        "drift": drift,
        "changedInside": changed,
        "unready": call.api.facts().unready,
        "networks": networks,
    })))
}

fn network(network: &Network) -> Value {
    let pools = network.spec.ipam.subnets.iter();
    let subnets: Vec<String> = pools.map(|pool| pool.subnet.to_string()).collect();
    json!({
        "id": network.id,
        "name": network.spec.name,
        "driver": network.spec.driver,
        "subnets": subnets,
    })
}

/// `GET /sealane/repair`
pub(crate) async fn repair(call: Call) -> Result<Response, ApiError> {
    let paused = call
        .blocking(|api| Ok::<_, ApiError>(api.engine.repair_paused()))
        .await?;
    Ok(respond::ok(&json!({ "paused": paused })))
}

/// `POST /sealane/repair`
pub(crate) async fn set_repair(mut call: Call) -> Result<Response, ApiError> {
    let body: RepairBody = call.json().await?;
    let repaired = call
        .blocking(move |api| {
            if body.paused {
                api.engine.pause_repair();
                return Ok(Vec::new());
            }
            api.engine.resume_repair()
        })
        .await?;
    Ok(respond::ok(
        &json!({ "paused": body.paused, "repaired": repaired }),
    ))
}

/// `POST /sealane/plan`
pub(crate) async fn plan(mut call: Call) -> Result<Response, ApiError> {
    let body: PlanBody = call.json().await?;
    let planned = body.into_planned(&call)?;
    let text = call
        .blocking(move |api| match planned {
            Planned::Container(request) => api.containers.plan(&request).map_err(ApiError::from),
            Planned::Network(request) => api.engine.plan(&request).map_err(ApiError::from),
        })
        .await?;
    Ok(respond::ok(&json!({ "plan": text })))
}

/// `GET /sealane/firewall?as=nft|iptables`
pub(crate) async fn firewall(call: Call) -> Result<Response, ApiError> {
    let as_iptables = match call.query.text("as") {
        None | Some("nft") => false,
        Some("iptables") => true,
        Some(_) => {
            return Err(ApiError::invalid(
                "the firewall is shown as nft or as iptables",
            ));
        }
    };
    let text = call
        .blocking(move |api| api.engine.firewall(as_iptables))
        .await?;
    Ok(respond::ok(&json!({ "firewall": text })))
}

impl PlanBody {
    fn into_planned(self, call: &Call) -> Result<Planned, ApiError> {
        Ok(Planned::Container(match self {
            Self::Start { container } => PlanRequest::Start(container),
            Self::Stop { container } => PlanRequest::Stop(container),
            Self::Remove { container } => PlanRequest::Remove(container),
            Self::Run { name, body } => {
                PlanRequest::Run(Box::new(request(name, body, call.version)?))
            }
            Self::Connect {
                network,
                container,
                endpoint,
            } => {
                let settings = Box::new(settings_of(
                    endpoint.map(|settings| *settings),
                    call.version,
                ));
                PlanRequest::Connect {
                    network,
                    container,
                    settings,
                }
            }
            Self::Disconnect { network, container } => {
                PlanRequest::Disconnect { network, container }
            }
            Self::NetworkCreate { body } => {
                let request = body.into_request(call.version);
                let operation = PlannedOperation::CreateNetwork(request);
                return Ok(Planned::Network(Box::new(operation)));
            }
            Self::Publish {
                container,
                publish,
                unpublish,
            } => {
                let ports = PortChange {
                    bindings: None,
                    publish: publish.unwrap_or_default().translate(),
                    unpublish: unpublish.unwrap_or_default(),
                };
                PlanRequest::Publish { container, ports }
            }
            Self::NetworkUpdate { network, body } => {
                let operation = PlannedOperation::UpdateNetwork(network, body.into_change());
                return Ok(Planned::Network(Box::new(operation)));
            }
            Self::NetworkRemove { network } => {
                let operation = PlannedOperation::RemoveNetwork(network);
                return Ok(Planned::Network(Box::new(operation)));
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_apart_by_name() {
        for json in [
            r#"{"operation":"start","container":"web"}"#,
            r#"{"operation":"run","body":{"Image":"busybox"}}"#,
            r#"{"operation":"connect","network":"n","container":"c"}"#,
            r#"{"operation":"network-create","body":{"Name":"n"}}"#,
        ] {
            serde_json::from_str::<PlanBody>(json).expect(json);
        }
        assert!(serde_json::from_str::<PlanBody>(r#"{"operation":"destroy"}"#).is_err());
    }
}
