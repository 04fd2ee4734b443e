//! The handle: what the engine tells the name server.

use crate::{NameserverError, OpenSocket, SandboxSockets, UpstreamConfig};
use sealane_core::dns::{ExternalServer, View, Zone};
use sealane_core::model::{NetworkId, SandboxId};
use std::sync::Arc;

/// The resolvers of all sandboxes. Its methods never wait for a query, nor a query for them.
pub struct Nameserver {}

impl Nameserver {
    /// Starts the one thread. It must be called in the host's network namespace: upstreams that
    /// are asked from the host are asked from where the thread was born.
    pub fn start(_open: OpenSocket) -> Result<Self, NameserverError> {
        Ok(Self {})
    }

    /// Answers a sandbox's queries from now on. A sandbox added again takes its new sockets.
    pub fn add_sandbox(
        &self,
        _id: SandboxId,
        _sockets: SandboxSockets,
        _view: Arc<View>,
        _upstreams: UpstreamConfig,
    ) -> Result<(), NameserverError> {
        Ok(())
    }

    /// Changes what a sandbox sees, from the next query on. An unknown sandbox is left unknown.
    pub fn update_view(&self, _id: &SandboxId, _view: Arc<View>) {}

    /// Changes whom a sandbox's queries are relayed to.
    pub fn update_upstreams(&self, _id: &SandboxId, _upstreams: UpstreamConfig) {}

    /// Closes a sandbox's sockets and forgets it.
    pub fn remove_sandbox(&self, _id: &SandboxId) {}

    /// Replaces the zone of a network by what `change` makes of it, for all sandboxes at once. An
    /// empty zone is forgotten.
    pub fn update_zone(&self, _network: NetworkId, _change: impl FnOnce(&Zone) -> Zone) {}

    /// The zone of a network.
    pub fn zone(&self, _network: &NetworkId) -> Option<Zone> {
        None
    }

    /// Tells the servers of the host, for all sandboxes that have [`UpstreamConfig::Host`].
    pub fn set_host_servers(&self, _servers: &[ExternalServer]) {}
}
