//! What the engine knows, in memory: networks with their pools, sandboxes, and who has what.
//!
//! Behind one short lock: nothing here waits for a kernel, a disk or a socket.

use crate::EngineError;
use crate::leases::Expected;
use ipnet::IpNet;
use sealane_core::drivers::{Driven, Networks};
use sealane_core::ipam::Pool;
use sealane_core::model::{EndpointId, Mac, NetworkId, Sandbox, SandboxId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Addresses remembered for sandboxes that are gone, so that a restarted one gets its own back.
const REMEMBERED: usize = 4096;

/// A network, its addresses, and who joined.
pub(crate) struct NetworkState {
    pub(crate) network: Arc<Driven>,
    /// One pool for each subnet in use, IPv4 and IPv6.
    pub(crate) pools: Vec<(IpNet, Pool)>,
    /// The sandboxes with an endpoint on it, half-made ones too.
    pub(crate) members: BTreeSet<SandboxId>,
    /// Whether it is not in the kernel and the store yet. Its name and subnets are taken; who
    /// wants to join or remove it waits.
    pub(crate) in_making: bool,
    /// How many endpoints each of its bridges has.
    pub(crate) load: BTreeMap<u16, u16>,
    /// Who is expected back, and what is reserved.
    pub(crate) expected: Expected,
    /// The addresses that sandboxes had when they left.
    previous: Previous,
}

impl NetworkState {
    /// A network without members, made already.
    pub(crate) fn new(network: Arc<Driven>, pools: Vec<(IpNet, Pool)>) -> Self {
        Self {
            network,
            pools,
            members: BTreeSet::new(),
            in_making: false,
            load: BTreeMap::new(),
            expected: Expected::default(),
            previous: Previous::default(),
        }
    }

    /// The bridge for one more endpoint: the first with room, or the emptiest. The flag says whether
    /// it has room.
    pub(crate) fn segment(&self, ports: u16) -> (u16, bool) {
        let load = |segment: &u16| self.load.get(segment).copied().unwrap_or(0);
        let segments = 0..=self.network.segments;
        let free = segments.clone().find(|segment| load(segment) < ports);
        match free {
            Some(segment) => (segment, true),
            None => (segments.min_by_key(load).unwrap_or_default(), false),
        }
    }

    /// Counts an endpoint that came or went.
    pub(crate) fn count(&mut self, segment: u16, came: bool) {
        let load = self.load.entry(segment).or_default();
        *load = if came {
            *load + 1
        } else {
            load.saturating_sub(1)
        };
    }

    /// The pools of one family.
    pub(crate) fn pools_of(&mut self, ipv6: bool) -> impl Iterator<Item = &mut (IpNet, Pool)> {
        self.pools
            .iter_mut()
            .filter(move |(subnet, _)| subnet.addr().is_ipv6() == ipv6)
    }

    /// Remembers what a sandbox had.
    pub(crate) fn remember(&mut self, sandbox: SandboxId, addresses: Vec<IpAddr>) {
        self.previous.insert(sandbox, addresses);
    }

    /// What a sandbox had of one family when it left.
    pub(crate) fn remembered(&self, sandbox: &SandboxId, ipv6: bool) -> Option<IpAddr> {
        let (_, addresses) = self.previous.of.get(sandbox)?;
        addresses
            .iter()
            .copied()
            .find(|address| address.is_ipv6() == ipv6)
    }
}

/// What sandboxes had when they left; when there are too many, those that left first are forgotten.
#[derive(Default)]
struct Previous {
    /// The place in the order of leaving, and the addresses.
    of: BTreeMap<SandboxId, (u64, Vec<IpAddr>)>,
    order: BTreeMap<u64, SandboxId>,
    next: u64,
}

impl Previous {
    fn insert(&mut self, sandbox: SandboxId, addresses: Vec<IpAddr>) {
        if let Some((place, _)) = self.of.insert(sandbox, (self.next, addresses)) {
            self.order.remove(&place);
        }
        self.order.insert(self.next, sandbox);
        self.next += 1;
        if self.of.len() > REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.of.remove(&oldest);
        }
    }
}

/// Everything there is.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) networks: BTreeMap<NetworkId, NetworkState>,
    pub(crate) sandboxes: BTreeMap<SandboxId, Arc<Sandbox>>,
    /// What the host calls endpoints whose address may be another's, too.
    pub(crate) aliases: BTreeMap<Ipv4Addr, EndpointId>,
}

impl State {
    /// Finds a network: by full id, then by name, then by unique prefix of an id.
    pub(crate) fn find(&self, reference: &str) -> Result<&NetworkState, EngineError> {
        let by_id = NetworkId::try_from(reference)
            .ok()
            .and_then(|id| self.networks.get(&id));
        if let Some(found) = by_id.or_else(|| self.named(reference)) {
            return Ok(found);
        }
        let digits = !reference.is_empty() && reference.bytes().all(|b| b.is_ascii_hexdigit());
        let starts = |state: &&NetworkState| {
            digits
                && state
                    .network
                    .id
                    .to_string()
                    .starts_with(&reference.to_ascii_lowercase())
        };
        let mut matches = self.networks.values().filter(starts);
        match (matches.next(), matches.count()) {
            (Some(found), 0) => Ok(found),
            (Some(_), others) => Err(EngineError::Invalid(format!(
                "network {reference} is ambiguous ({} matches found on ID prefix)",
                others + 1
            ))),
            (None, _) => Err(EngineError::NotFound(format!(
                "network {reference} not found"
            ))),
        }
    }

    /// The network of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&NetworkState> {
        self.networks
            .values()
            .find(|state| state.network.spec.name == name)
    }

    /// The networks that a sandbox has joined, as plans want them.
    pub(crate) fn joined(&self, sandbox: &Sandbox) -> Networks {
        let network = |id: &NetworkId| Some((*id, self.networks.get(id)?.network.clone()));
        sandbox.endpoints.keys().filter_map(network).collect()
    }

    /// Whether an endpoint on a network has this MAC address.
    pub(crate) fn has_mac(&self, network: &NetworkId, mac: Mac) -> bool {
        let mut endpoints = self
            .sandboxes
            .values()
            .filter_map(|sandbox| sandbox.endpoints.get(network));
        endpoints.any(|endpoint| endpoint.mac == mac)
    }

    /// All networks that are there, as plans want them.
    pub(crate) fn made_networks(&self) -> Networks {
        self.networks
            .iter()
            .filter(|(_, state)| !state.in_making)
            .map(|(id, state)| (*id, state.network.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::derive_id;

    #[test]
    fn the_sandbox_that_left_first_is_forgotten_first() {
        let id = |number: usize| -> SandboxId { derive_id(&[&number.to_be_bytes()]) };
        let mut previous = Previous::default();
        for number in 0..REMEMBERED {
            previous.insert(id(number), vec![]);
        }
        previous.insert(id(0), vec![]);
        previous.insert(id(REMEMBERED), vec![]);
        assert_eq!(previous.of.len(), REMEMBERED);
        assert!(previous.of.contains_key(&id(0)), "it left again");
        assert!(!previous.of.contains_key(&id(1)), "it left longest ago");
    }
}
