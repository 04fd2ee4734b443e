//! What the engine knows, as one value.

use super::index::Index;
use super::{NetworkState, Phase, Refusal};
use crate::drivers::{Driven, Networks};
use crate::model::{Endpoint, EndpointId, InterfaceName, NetworkId, PerFamily, Sandbox, SandboxId};
use imbl::OrdMap;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::Bound;
use std::sync::Arc;

/// Every network, every sandbox, and who has what. Cheap to clone: clones share all that is equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    networks: OrdMap<NetworkId, Arc<NetworkState>>,
    pub(super) sandboxes: OrdMap<SandboxId, Arc<Sandbox>>,
    /// What the host calls endpoints whose address may be another's, too.
    pub(super) aliases: OrdMap<Ipv4Addr, EndpointId>,
    index: Index,
}

impl Snapshot {
    /// Decides on a clone: the clone if `decide` does not refuse. `self` stays as it is.
    pub fn decided<T, E>(
        &self,
        decide: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let mut draft = self.clone();
        let decision = decide(&mut draft)?;
        Ok((draft, decision))
    }

    /// All networks, by id, those that are being made or removed too.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkState> {
        self.networks.values().map(|found| &**found)
    }

    /// Those after one of them, or all.
    pub fn networks_after(&self, last: Option<NetworkId>) -> impl Iterator<Item = &NetworkState> {
        let first = last.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.networks.range((first, Bound::Unbounded));
        range.map(|(_, found)| &**found)
    }

    /// How many there are.
    pub fn network_count(&self) -> usize {
        self.networks.len()
    }

    /// A network, however far it is.
    pub fn network(&self, id: &NetworkId) -> Option<&NetworkState> {
        self.networks.get(id).map(|found| &**found)
    }

    /// All sandboxes, by id.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Arc<Sandbox>> {
        self.sandboxes.values()
    }

    /// A sandbox.
    pub fn sandbox(&self, id: &SandboxId) -> Option<&Arc<Sandbox>> {
        self.sandboxes.get(id)
    }

    /// Knows a sandbox from now on, or its new version.
    pub fn put_sandbox(&mut self, sandbox: Arc<Sandbox>) {
        self.sandboxes.insert(sandbox.id, sandbox);
    }

    /// Does not know a sandbox any more. What it has stays reserved until it is released.
    pub fn drop_sandbox(&mut self, id: &SandboxId) {
        self.sandboxes.remove(id);
    }

    /// Finds a network: by full id, then by name, then by unique prefix of an id. One that is
    /// leaving is not found.
    pub fn find(&self, reference: &str) -> Result<&NetworkState, Refusal> {
        let by_id = NetworkId::try_from(reference)
            .ok()
            .and_then(|id| self.network(&id))
            .filter(|found| found.phase.is_found());
        if let Some(found) = by_id.or_else(|| self.named(reference)) {
            return Ok(found);
        }
        let mut matches = self.with_prefix(reference);
        match (matches.next(), matches.count()) {
            (Some(found), 0) => Ok(found),
            (Some(_), others) => Err(Refusal::Ambiguous {
                reference: reference.into(),
                matches: others + 1,
            }),
            (None, _) => Err(Refusal::NoNetwork(reference.into())),
        }
    }

    /// As [`Snapshot::find`], a network that is there and is not being changed.
    pub fn find_settled(&self, reference: &str) -> Result<&NetworkState, Refusal> {
        let found = self.find(reference)?;
        match found.phase {
            Phase::Settled => Ok(found),
            Phase::Making | Phase::Arriving | Phase::Changing | Phase::Leaving | Phase::Gone => {
                Err(Refusal::Unsettled(found.network.spec.name.clone()))
            }
        }
    }

    /// The networks whose id begins with these digits.
    fn with_prefix<'a>(&'a self, digits: &str) -> impl Iterator<Item = &'a NetworkState> + use<'a> {
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = digits.to_ascii_lowercase();
        // Ids are in the order of their digits.
        let end = |fill: &str| {
            let missing = 64usize.saturating_sub(digits.len());
            NetworkId::try_from(&*format!("{digits}{}", fill.repeat(missing))).ok()
        };
        let ends = end("0").zip(end("f")).filter(|_| is_hex);
        ends.into_iter()
            .flat_map(|(first, last)| self.networks.range(first..=last))
            .map(|(_, found)| &**found)
            .filter(|found| found.phase.is_found())
    }

    /// The network of this name; one that is leaving has none any more.
    pub fn named(&self, name: &str) -> Option<&NetworkState> {
        self.holder_of(name).filter(|found| found.phase.is_found())
    }

    /// The network that has a name, one that is leaving too.
    pub fn holder_of(&self, name: &str) -> Option<&NetworkState> {
        self.index.named(name).and_then(|id| self.network(id))
    }

    /// The networks that a sandbox has joined, as plans want them.
    pub fn joined(&self, sandbox: &Sandbox) -> Networks {
        let network = |id: &NetworkId| Some((*id, self.network(id)?.network.clone()));
        sandbox.endpoints.keys().filter_map(network).collect()
    }

    /// All networks that are there, as plans want them.
    pub fn made_networks(&self) -> Networks {
        let there = self.networks().filter(|found| found.phase.is_there());
        there
            .map(|found| (found.network.id, found.network.clone()))
            .collect()
    }

    /// The sandboxes with an endpoint on a network.
    pub fn members_of(&self, network: &NetworkId) -> impl Iterator<Item = &Arc<Sandbox>> {
        let found = self.network(network).into_iter();
        let sandboxes = found.flat_map(|found| found.members.keys());
        sandboxes
            .filter_map(|id| self.sandboxes.get(id))
            .filter(|sandbox| sandbox.endpoints.contains_key(network))
    }

    /// Knows a network from now on.
    pub fn put_network(&mut self, state: NetworkState) {
        self.drop_network(&state.network.id.clone());
        self.index.add(&state);
        self.networks.insert(state.network.id, Arc::new(state));
    }

    /// Does not know a network any more; returns what was known.
    pub fn drop_network(&mut self, id: &NetworkId) -> Option<Arc<NetworkState>> {
        let state = self.networks.remove(id)?;
        self.index.remove(&state);
        Some(state)
    }

    /// Says how far a network is.
    pub fn set_phase(&mut self, id: &NetworkId, phase: Phase) {
        self.alter(id, |found| found.phase = phase);
    }

    /// Has another version in the place of a network, its addresses being the same.
    pub fn set_network(&mut self, network: Arc<Driven>) {
        self.alter(&network.id.clone(), |found| found.network = network);
    }

    /// Changes what may be in the index.
    pub(super) fn alter(&mut self, id: &NetworkId, change: impl FnOnce(&mut NetworkState)) {
        if let Some(state) = self.networks.get_mut(id) {
            self.index.remove(state);
            change(Arc::make_mut(state));
            self.index.add(state);
        }
    }

    /// A network, to change what is in no index: neither what it is, nor its phase or subnets.
    pub(super) fn contents(&mut self, id: &NetworkId) -> Option<&mut NetworkState> {
        self.networks.get_mut(id).map(Arc::make_mut)
    }

    /// The subnets of networks that have an address in common with this one.
    pub fn overlapped(&self, subnet: &IpNet) -> impl Iterator<Item = IpNet> + use<'_> {
        self.index.overlapped(subnet).map(|(own, _)| own)
    }

    /// Refuses for a while what a network on its way out still has: a name, links, a subnet.
    pub fn check_free_soon<'a>(
        &'a self,
        mut having: impl Iterator<Item = &'a NetworkState>,
    ) -> Result<(), Refusal> {
        match having.find(|found| !found.phase.is_found()) {
            Some(found) => Err(Refusal::Unsettled(found.network.spec.name.clone())),
            None => Ok(()),
        }
    }

    /// Refuses to remove a network that is in use, or the source of another's settings.
    pub fn check_unused(&self, network: &Driven) -> Result<(), Refusal> {
        let name = &network.spec.name;
        let depends = |other: &NetworkState| other.network.spec.config_from.as_ref() == Some(name);
        if network.spec.config_only && self.networks().any(depends) {
            return Err(Refusal::ConfigInUse(name.clone()));
        }
        // One that is being made has no name here yet; the id of its container is as good.
        let shown = |id: &SandboxId| {
            let known = self.sandbox(id).map(|sandbox| sandbox.name.clone());
            let name = known.unwrap_or_else(|| id.short(12));
            let endpoint = Endpoint::id_of(id, &network.id).short(12);
            format!("name:\"{name}\" id:\"{endpoint}\"")
        };
        let found = self.network(&network.id).into_iter();
        let members = found.flat_map(|found| found.members.keys());
        let endpoints: BTreeSet<String> = members.map(shown).collect();
        if endpoints.is_empty() {
            return Ok(());
        }
        Err(Refusal::Active {
            network: name.clone(),
            endpoints: Vec::from_iter(endpoints).join(", "),
        })
    }

    /// The networks that have a subnet in common with this one.
    pub fn overlapping(&self, subnet: &IpNet) -> impl Iterator<Item = &NetworkState> + use<'_> {
        let overlapped = self.index.overlapped(subnet);
        overlapped.filter_map(|(_, id)| self.network(&id))
    }

    /// The subnets of all networks, in their order.
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> {
        self.index.subnets()
    }

    /// The networks that have a link of this name on the host.
    pub fn with_link(&self, name: &InterfaceName) -> impl Iterator<Item = &NetworkState> {
        let ids = self.index.with_link(name);
        ids.filter_map(|id| self.network(&id))
    }

    /// The networks that are there and sit on a link of the host, or have adopted one.
    pub fn on_the_hosts_links(&self) -> impl Iterator<Item = &NetworkState> {
        let ids = self.index.on_the_hosts_links();
        ids.filter_map(|id| self.network(id))
    }

    /// How many networks are there for which the host forwards a family.
    pub fn forwarding(&self) -> PerFamily<usize> {
        self.index.forwarding()
    }
}
