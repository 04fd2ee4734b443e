//! What would otherwise be looked for among all networks.
//!
//! Follows from the networks: [`Index::add`] and [`Index::remove`] take the same network in and out.

use super::NetworkState;
use crate::drivers::Driven;
use crate::model::{InterfaceName, IpFamily, NetworkId, PerFamily};
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;

const LOWEST: [u8; 32] = [0; 32];
const HIGHEST: [u8; 32] = [0xff; 32];

/// Networks by what is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    names: OrdMap<String, NetworkId>,
    subnets: OrdSet<(IpNet, NetworkId)>,
    /// The links that networks have on the host.
    links: OrdSet<(InterfaceName, NetworkId)>,
    /// Networks that are there and sit on a link of the host, or have adopted one.
    on_the_hosts: OrdSet<NetworkId>,
    /// How many networks are there for which the host forwards a family.
    forwarding: PerFamily<usize>,
}

impl Index {
    pub(super) fn add(&mut self, state: &NetworkState) {
        let network = &state.network;
        self.names.insert(network.spec.name.clone(), network.id);
        for (subnet, _) in &state.pools {
            self.subnets.insert((*subnet, network.id));
        }
        for link in network.settings().links(network) {
            self.links.insert((link, network.id));
        }
        if !state.phase.is_there() {
            return;
        }
        if uses_the_hosts_links(network) {
            self.on_the_hosts.insert(network.id);
        }
        for family in IpFamily::BOTH {
            self.forwarding[family] += forwards(network, family);
        }
    }

    pub(super) fn remove(&mut self, state: &NetworkState) {
        let network = &state.network;
        if self.names.get(&network.spec.name) == Some(&network.id) {
            self.names.remove(&network.spec.name);
        }
        for (subnet, _) in &state.pools {
            self.subnets.remove(&(*subnet, network.id));
        }
        for link in network.settings().links(network) {
            self.links.remove(&(link, network.id));
        }
        if !state.phase.is_there() {
            return;
        }
        self.on_the_hosts.remove(&network.id);
        for family in IpFamily::BOTH {
            self.forwarding[family] -= forwards(network, family);
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<&NetworkId> {
        self.names.get(name)
    }

    /// The subnets that have an address in common with one, and whose they are: those that lie in
    /// it, then those that it lies in.
    pub(super) fn overlapped(
        &self,
        wanted: &IpNet,
    ) -> impl Iterator<Item = (IpNet, NetworkId)> + use<'_> {
        let wanted = wanted.trunc();
        let (lowest, highest) = ends();
        let last = IpNet::new(wanted.broadcast(), wanted.max_prefix_len()).unwrap_or(wanted);
        let within = self.subnets.range((wanted, lowest)..=(last, highest));
        let around = (0..wanted.prefix_len()).filter_map(move |length| {
            let around = IpNet::new(wanted.addr(), length).ok()?.trunc();
            Some(self.subnets.range((around, lowest)..=(around, highest)))
        });
        // A larger one of the same first address comes before it, and is among those around.
        within.chain(around.flatten()).copied()
    }

    pub(super) fn subnets(&self) -> impl Iterator<Item = IpNet> {
        self.subnets.iter().map(|(subnet, _)| *subnet)
    }

    pub(super) fn with_link(
        &self,
        name: &InterfaceName,
    ) -> impl Iterator<Item = NetworkId> + use<'_> {
        let (lowest, highest) = ends();
        let links = self
            .links
            .range((name.clone(), lowest)..=(name.clone(), highest));
        links.map(|(_, id)| *id)
    }

    pub(super) fn on_the_hosts_links(&self) -> impl Iterator<Item = &NetworkId> {
        self.on_the_hosts.iter()
    }

    pub(super) fn forwarding(&self) -> PerFamily<usize> {
        self.forwarding
    }
}

/// Whether a network sits on a link of the host, or has adopted one.
fn uses_the_hosts_links(network: &Driven) -> bool {
    network.users_device.is_some() || network.settings().parent().is_some()
}

/// One if the host forwards a family for a network, none if not.
fn forwards(network: &Driven, family: IpFamily) -> usize {
    network.settings().forwards(network, family).into()
}

fn ends() -> (NetworkId, NetworkId) {
    (
        NetworkId::from_bytes(LOWEST),
        NetworkId::from_bytes(HIGHEST),
    )
}
