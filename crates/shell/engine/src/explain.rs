//! Explaining: the plan of everything, the facts of the host, and what is asked.

use crate::{Engine, EngineError};
use sealane_core::dns::{View, Zones};
use sealane_core::explain::{HostFacts, Names, Report, Sender, Target, World, explain};
use sealane_core::model::{NetworkId, Protocol, Sandbox, SandboxId};
use sealane_core::plan::Netns;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

impl Engine {
    /// Says whether a packet passes. `container` is whom the target's name means to people.
    pub(crate) fn explain_packet(
        &self,
        from: Sender,
        to: &Target,
        container: Option<SandboxId>,
    ) -> Result<Report, EngineError> {
        let (plan, facts) = (self.everything()?, self.host_facts()?);
        let (sandboxes, networks) = {
            let state = self.state();
            (state.sandboxes.clone(), state.made_networks())
        };
        let sender = match from {
            Sender::Sandbox(id) => Some(self.existing(&id)?),
            Sender::Host | Sender::Outside(_) | Sender::Lan => None,
        };
        let from = if sender.as_ref().is_some_and(|sandbox| sandbox.host) {
            Sender::Host
        } else {
            from
        };
        let zones = self.zones(sender.as_deref());
        let view = self.sender_view(sender.as_ref());
        let hosts = sender.as_ref().map(|sandbox| sandbox.files.join("hosts"));
        let hosts = hosts.and_then(|path| fs::read_to_string(path).ok());
        let listening = |id: Option<SandboxId>, protocol: Protocol, to: SocketAddr| {
            let netns = id.map_or(Netns::Host, Netns::Sandbox);
            self.executor
                .kernel()
                .listens(netns, protocol, to)
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "the sockets of a sandbox cannot be read");
                    false
                })
        };
        let names = Names {
            hosts: hosts.as_deref().unwrap_or_default(),
            view: view.as_deref().map(|view| (view, &zones)),
            upstream: None,
            container,
        };
        let world = World {
            plan: &plan,
            facts: &facts,
            sandboxes: &sandboxes,
            networks: &networks,
            relays: self.config.userland_proxy,
            listening: &listening,
        };
        Ok(explain(world, from, to, &names))
    }

    fn host_facts(&self) -> Result<HostFacts, EngineError> {
        let read = self.executor.kernel().host_facts();
        read.map_err(|error| EngineError::failed("the facts of the host cannot be read", error))
    }

    /// The names on the networks of a sandbox.
    fn zones(&self, sender: Option<&Sandbox>) -> Zones {
        let joined = sender
            .into_iter()
            .flat_map(|sandbox| sandbox.endpoints.keys());
        let known = joined.filter_map(|id| Some((*id, self.nameserver.zone(id)?)));
        let zones: BTreeMap<NetworkId, _> = known.collect();
        let with = |zones: Zones, (id, zone)| zones.with_zone(id, zone);
        zones.into_iter().fold(Zones::default(), with)
    }

    /// What the resolver of a sandbox sees; `None` where there is none.
    fn sender_view(&self, sender: Option<&Arc<Sandbox>>) -> Option<Arc<View>> {
        let sandbox = sender.filter(|sandbox| sandbox.resolver_ports.is_some())?;
        Some(self.view_of(sandbox).0)
    }
}
