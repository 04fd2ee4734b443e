//! What the engine asks of the host it runs on.

use crate::locks::LockIgnoringPoison;
use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::model::{Endpoint, Facts, Network};
use sealane_core::nft::Table;
use sealane_core::plan::{LinkKind, Object, Plan, Upper, check};
use sealane_core::reserve::Snapshot;
use sealane_core::scopes::host_table;
use sealane_executor::ApplyError;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{NetworkAction, NetworkEvent};

/// The table that every element has to fit.
static HOST_TABLE: LazyLock<Table> = LazyLock::new(host_table);

/// What an error is about, in Docker's words where it is a link over another.
fn what_failed(wanted: &Plan, error: &ApplyError) -> String {
    let refused = match error {
        ApplyError::Refused { key, .. } => wanted.objects().get(key),
        ApplyError::Journal(_) | ApplyError::Remaining(_) | ApplyError::Observe(_) => None,
    };
    if let Some(Object::Link(link)) = refused
        && let LinkKind::Upper { kind, .. } = &link.kind
    {
        return match kind {
            Upper::Macvlan(_) => "failed to create the macvlan port".into(),
            Upper::Ipvlan(..) => "failed to create the ipvlan port".into(),
            Upper::Vlan(id) => format!("failed to create the vlan link with id {id}"),
        };
    }
    "the network could not be set up".into()
}

impl Engine {
    /// What is known now.
    pub(crate) fn state(&self) -> Arc<Snapshot> {
        self.known.now()
    }

    /// The plan of the host as it was last applied. Held while it is applied, so that two networks
    /// do not both switch forwarding on.
    pub(crate) fn lock_host_plan(&self) -> MutexGuard<'_, Plan> {
        self.host_plan.lock_ignoring_poison()
    }

    /// The facts as last read.
    pub(crate) fn facts(&self) -> Facts {
        self.facts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The time as the API prints it: RFC 3339 with nanoseconds.
    pub(crate) fn timestamp(&self) -> String {
        self.clock.now().to_string()
    }

    /// The time since the engine was opened.
    pub(crate) fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// Random bytes for a new id.
    pub(crate) fn random_bytes(&self) -> Result<[u8; 32], EngineError> {
        let bytes = self.clock.random();
        bytes.map_err(|error| EngineError::failed("cannot read random bytes for an id", error))
    }

    /// The addresses that `host-gateway` stands for.
    pub(crate) fn host_gateway(&self) -> Vec<IpAddr> {
        if !self.config.host_gateway.is_empty() {
            return self.config.host_gateway.clone();
        }
        let state = self.state();
        let Some(default) = state.named("bridge") else {
            return vec![];
        };
        let network = &default.network;
        let subnets = network.subnets_in_use();
        subnets.filter_map(|subnet| subnet.gateway).collect()
    }

    /// Checks a plan, then applies it.
    pub(crate) fn apply(&self, old: &Plan, new: &Plan) -> Result<(), EngineError> {
        if let Some(fault) = check(new, &HOST_TABLE).into_iter().next() {
            return Err(EngineError::Failed {
                message: fault.to_string(),
                source: None,
            });
        }
        match self.executor.apply(old, new) {
            Ok(_) => Ok(()),
            Err(error) => Err(EngineError::failed(what_failed(new, &error), error)),
        }
    }

    /// Takes back what was made of a plan, after a later step failed.
    pub(crate) fn take_back(&self, plan: &Plan) {
        if let Err(error) = self.executor.remove(plan) {
            tracing::warn!(%error, "cannot take back a failed operation; the next sweep will");
        }
    }

    /// The path of the host's resolver configuration, for the comments in resolv.conf.
    pub(crate) fn resolv_conf_path(&self) -> String {
        self.config.resolv_conf.display().to_string()
    }

    /// Tells what happened to a network.
    pub(crate) fn tell(&self, action: NetworkAction, network: &Network) {
        (self.events)(NetworkEvent {
            action,
            network: Some(network.id),
            name: network.spec.name.clone(),
            driver: network.spec.driver.clone(),
        });
    }

    /// Tells what happened to an endpoint's network.
    pub(crate) fn tell_of(&self, endpoint: &Endpoint, action: NetworkAction) {
        let network = self
            .state()
            .network(&endpoint.network)
            .map(|found| found.network.clone());
        if let Some(network) = network {
            self.tell(action, &network);
        }
    }

    /// The links by which the host routes to endpoints.
    pub(crate) fn bridges(&self) -> Vec<String> {
        let state = self.state();
        let networks = state.networks();
        networks
            .flat_map(|found| bridges_of(&found.network))
            .collect()
    }
}

/// The links by which the host routes to endpoints of a network.
pub(crate) fn bridges_of(network: &Driven) -> Vec<String> {
    let devices = network.settings().devices(network).into_iter();
    devices.map(|device| device.to_string()).collect()
}
