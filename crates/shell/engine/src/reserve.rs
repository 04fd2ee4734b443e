//! Reservations: what the host has to say about them is gathered here, then the core decides.

use crate::{Engine, EngineError};
use sealane_core::drivers::Driven;
use sealane_core::model::{Endpoint, EndpointSpec, Sandbox, SandboxId};
use sealane_core::reserve::{Joining, Snapshot};
use std::net::Ipv6Addr;
use std::sync::Arc;

impl Engine {
    /// Checks an endpoint against its network, as Docker does when a container is created. Each
    /// fault is one line; an unknown network is no fault yet.
    pub fn check_endpoint(&self, network: &str, spec: &EndpointSpec) -> Vec<String> {
        self.state().endpoint_faults(network, spec)
    }

    /// Reserves an endpoint of `sandbox` on the network that `reference` names.
    pub(crate) fn reserve_endpoint(
        &self,
        sandbox: &Sandbox,
        reference: &str,
        spec: &EndpointSpec,
    ) -> Result<(Arc<Driven>, Endpoint), EngineError> {
        let host6 = self.look_beside(&self.state(), sandbox, reference, spec)?;
        let joining = Joining {
            sandbox,
            network: reference,
            spec,
            host6: &host6,
        };
        let now = self.uptime();
        let reserved = self
            .known
            .decide(|draft| draft.reserve_endpoint(&joining, now))?;
        Ok(reserved)
    }

    /// What a network's wire has of the host, if an endpoint may join it at all.
    pub(crate) fn look_beside(
        &self,
        state: &Snapshot,
        sandbox: &Sandbox,
        reference: &str,
        spec: &EndpointSpec,
    ) -> Result<Vec<Ipv6Addr>, EngineError> {
        let network = state.find_settled(reference)?.network.clone();
        network.settings().check_endpoint(spec)?;
        self.check_parent_is_there(&network)?;
        self.check_endpoint_mtu(sandbox, &network, spec)?;
        self.host_addresses(&network)
    }

    /// Gives back what an endpoint had. `used` says whether its link ever existed: then the
    /// addresses rest for a while.
    pub(crate) fn release_endpoint(&self, sandbox: &SandboxId, endpoint: &Endpoint, used: bool) {
        let now = self.uptime();
        self.known
            .change(|draft| draft.release_endpoint(sandbox, endpoint, used, now));
    }

    /// Reserves again what a sandbox of an earlier run has.
    pub(crate) fn adopt_endpoints(&self, sandbox: &Arc<Sandbox>) {
        let taken = self.known.change(|draft| draft.adopt_sandbox(sandbox));
        for (address, error) in taken {
            tracing::warn!(%address, %error, "an address of a running sandbox is taken");
        }
    }
}
