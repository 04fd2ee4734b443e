//! What the engine shows of its networks.

use crate::Conflict;
use ipnet::IpNet;
use sealane_core::drivers::Driven;
use sealane_core::model::{Endpoint, SandboxId};
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
