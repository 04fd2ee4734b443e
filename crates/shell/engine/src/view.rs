//! What the engine shows of its networks and sandboxes.

use crate::{Conflict, Engine, EngineError};
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::model::{Endpoint, NetworkId, Sandbox, SandboxId};
use sealane_core::plan::Netns;
use sealane_core::scopes::Gateways;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// How full a subnet is (Docker API 1.52, `Status.IPAM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetUsage {
    /// The subnet.
    pub subnet: IpNet,
    /// Addresses in use, the network's, the gateway's and the broadcast's among them.
    pub in_use: u64,
    /// Addresses that could still be given; 2^64-1 stands for more.
    pub available: u64,
}

/// A network with those who joined it.
#[derive(Clone, Debug)]
pub struct NetworkView {
    /// The network.
    pub network: Arc<Driven>,
    /// Each sandbox on it: its id, the container's name, its endpoint.
    pub endpoints: Vec<(SandboxId, String, Endpoint)>,
    /// How full its subnets are.
    pub usage: Vec<SubnetUsage>,
    /// Routes of the host that overlap it.
    pub conflicts: Vec<Conflict>,
}

impl Engine {
    /// One network by id, name or unique id prefix.
    pub fn network(&self, reference: &str) -> Result<NetworkView, EngineError> {
        let state = self.state();
        let found = state.find(reference)?;
        let endpoint = |id: &SandboxId| {
            let sandbox = state.sandbox(id)?;
            let endpoint = sandbox.endpoints.get(&found.network.id)?;
            Some((*id, sandbox.name.clone(), endpoint.clone()))
        };
        let usage = found.pools.iter().map(|(subnet, pool)| {
            let usage = pool.usage();
            SubnetUsage {
                subnet: *subnet,
                in_use: usage.in_use,
                available: usage.available,
            }
        });
        Ok(NetworkView {
            network: found.network.clone(),
            endpoints: found.members.keys().filter_map(endpoint).collect(),
            usage: usage.collect(),
            conflicts: self.conflicts_of(&found.network.id),
        })
    }

    /// One network by id, name or unique id prefix, without its endpoints.
    pub fn find_network(&self, reference: &str) -> Result<Arc<Driven>, EngineError> {
        Ok(self.state().find(reference)?.network.clone())
    }

    /// All networks, without their endpoints, by creation.
    pub fn networks(&self) -> Vec<Arc<Driven>> {
        let state = self.state();
        let found = state.networks().filter(|found| found.phase.is_found());
        let mut networks: Vec<Arc<Driven>> = found.map(|found| found.network.clone()).collect();
        networks.sort_by(|a, b| a.created.cmp(&b.created));
        networks
    }

    /// Whether any sandbox has an endpoint on the network.
    pub fn in_use(&self, network: &NetworkId) -> bool {
        self.state()
            .network(network)
            .is_some_and(|found| !found.members.is_empty())
    }

    /// A sandbox that exists.
    pub fn sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        self.state().sandbox(id).cloned()
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.state().sandboxes().cloned().collect()
    }

    /// The endpoints of a sandbox that its default routes lead through: IPv4, IPv6.
    pub fn gateways(&self, sandbox: &Sandbox) -> (Option<NetworkId>, Option<NetworkId>) {
        let networks = self.state().joined(sandbox);
        let gateways = Gateways::choose(sandbox, &networks);
        (
            gateways.v4.map(|endpoint| endpoint.network),
            gateways.v6.map(|endpoint| endpoint.network),
        )
    }

    /// Where the namespace of a sandbox is mounted; `None` for the host's.
    pub fn namespace_path(&self, id: &SandboxId) -> Option<PathBuf> {
        let sandbox = self.sandbox(id).filter(|sandbox| !sandbox.host)?;
        Some(self.executor.kernel().namespace_path(&sandbox.id))
    }

    /// The namespace of a sandbox, for what has to be done inside.
    pub fn in_namespace<T: Send>(
        &self,
        id: &SandboxId,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        self.executor
            .kernel()
            .in_namespace(Netns::Sandbox(*id), work)
    }
}
