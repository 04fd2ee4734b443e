//! The network use cases: create and remove networks, make sandboxes, attach and detach them.
//!
//! Composes the network side of the shell: IPAM and ports are reserved, a driver plans, the plan is
//! checked, the executor claims and applies it. Knows nothing of containers; a face hands it
//! sandboxes. Start at [`Engine`].

mod config;
mod error;
mod event;
mod request;
mod view;

pub use config::{AddressPool, DefaultBridge, EngineConfig};
pub use error::EngineError;
pub use event::{EventSink, NetworkAction, NetworkEvent};
pub use request::{
    CreateNetwork, CreatedNetwork, HostTarget, PlannedOperation, RequestedSubnet, SandboxSpec,
};
pub use view::{NetworkView, SubnetUsage};

use sealane_core::model::{
    Endpoint, EndpointSpec, Network, NetworkId, Sandbox, SandboxId,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The engine: every network, sandbox and endpoint of one daemon. All calls block; all may be made
/// at once from many threads.
pub struct Engine {}

impl Engine {
    /// Loads what was saved. Changes nothing in the kernel yet: see [`Engine::recover`].
    pub fn open(_config: EngineConfig, _events: EventSink) -> Result<Arc<Self>, EngineError> {
        todo!()
    }

    /// Takes the kernel to what was saved: keeps the sandboxes that are `alive`, sweeps the rest,
    /// makes the default networks, starts to watch for foreign changes.
    pub fn recover(self: &Arc<Self>, _alive: &BTreeSet<SandboxId>) -> Result<(), EngineError> {
        todo!()
    }

    /// Makes a network.
    pub fn create_network(&self, _request: CreateNetwork) -> Result<CreatedNetwork, EngineError> {
        todo!()
    }

    /// Removes a network named by id, name or unique id prefix.
    pub fn remove_network(&self, _reference: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// Removes every user-made network without endpoints that `chosen` picks; returns their names.
    pub fn prune_networks(
        &self,
        _chosen: &dyn Fn(&Network) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        todo!()
    }

    /// One network by id, name or unique id prefix.
    pub fn network(&self, _reference: &str) -> Result<NetworkView, EngineError> {
        todo!()
    }

    /// All networks, without their endpoints, by creation.
    pub fn networks(&self) -> Vec<Arc<Network>> {
        todo!()
    }

    /// Whether any sandbox has an endpoint on the network.
    pub fn in_use(&self, _network: &NetworkId) -> bool {
        todo!()
    }

    /// Checks an endpoint against its network, as Docker does when a container is created. Each
    /// fault is one line; an unknown network is no fault yet.
    pub fn check_endpoint(&self, _network: &str, _spec: &EndpointSpec) -> Vec<String> {
        todo!()
    }

    /// Makes a sandbox with all its endpoints and ports, in one operation: its namespace, links,
    /// addresses, routes, published ports, resolver, and the files hosts, hostname and resolv.conf.
    pub fn create_sandbox(&self, _spec: SandboxSpec) -> Result<Arc<Sandbox>, EngineError> {
        todo!()
    }

    /// Removes a sandbox and releases all that was reserved for it. One that does not exist is
    /// no error.
    pub fn remove_sandbox(&self, _id: &SandboxId) -> Result<(), EngineError> {
        todo!()
    }

    /// A sandbox that exists.
    pub fn sandbox(&self, _id: &SandboxId) -> Option<Arc<Sandbox>> {
        todo!()
    }

    /// Where the namespace of a sandbox is mounted; `None` for the host's.
    pub fn namespace_path(&self, _id: &SandboxId) -> Option<PathBuf> {
        todo!()
    }

    /// Attaches a running sandbox to a further network.
    pub fn attach(
        &self,
        _sandbox: &SandboxId,
        _network: &str,
        _spec: EndpointSpec,
    ) -> Result<Endpoint, EngineError> {
        todo!()
    }

    /// Detaches a running sandbox from a network.
    pub fn detach(&self, _sandbox: &SandboxId, _network: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// Gives a sandbox another name: in DNS, at once.
    pub fn rename_sandbox(&self, _id: &SandboxId, _name: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// What an operation would change, as text, one object a line; nothing is reserved or changed.
    pub fn plan(&self, _operation: &PlannedOperation) -> Result<String, EngineError> {
        todo!()
    }

    /// Our firewall as `nft` would list it, from the live kernel, or the way iptables would say it.
    pub fn firewall(&self, _as_iptables: bool) -> Result<String, EngineError> {
        todo!()
    }

    /// Removes every object of ours from the host: networks, sandboxes, tables. For `purge`.
    pub fn purge(&self) -> Result<(), EngineError> {
        todo!()
    }
}
