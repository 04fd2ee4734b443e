//! One network of a snapshot: its addresses, and who has what of it.

use super::Expected;
use crate::drivers::Driven;
use crate::ipam::Pool;
use crate::model::{IpFamily, Mac, SandboxId};
use imbl::OrdMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses remembered for sandboxes that are gone, so that a restarted one gets its own back.
const REMEMBERED: usize = 4096;

/// How far a network is. All phases but one are an operation under way, which is the only one that
/// the network has: others wait for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its name and subnets are taken, and nothing of it is in the kernel.
    Making,
    /// It is in the kernel, or about to be, and not stored yet.
    Arriving,
    /// It is there.
    Settled,
    /// It is there, and being changed.
    Changing,
    /// It is about to go, and to be found by none any more.
    Leaving,
    /// It is gone from the store and about to go from the kernel. Its name, device and subnets are
    /// taken until it has.
    Gone,
}

impl Phase {
    /// Whether it is to be in the kernel.
    pub fn is_there(self) -> bool {
        match self {
            Self::Arriving | Self::Settled | Self::Changing | Self::Leaving => true,
            Self::Making | Self::Gone => false,
        }
    }

    /// Whether it is found by its name.
    pub fn is_found(self) -> bool {
        match self {
            Self::Making | Self::Arriving | Self::Settled | Self::Changing => true,
            Self::Leaving | Self::Gone => false,
        }
    }
}

/// A network, its addresses, and the sandboxes on it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkState {
    /// What it is.
    pub network: Arc<Driven>,
    /// How far it is.
    pub phase: Phase,
    /// One pool for each subnet in use, IPv4 and IPv6.
    pub pools: Vec<(IpNet, Pool)>,
    /// The sandboxes with an endpoint on it, half-made ones too, and their hardware addresses.
    pub members: OrdMap<SandboxId, Mac>,
    /// Who is expected back, and what is reserved.
    pub expected: Expected,
    /// How many endpoints each of its bridges has.
    load: OrdMap<u16, u16>,
    /// What sandboxes had when they left.
    previous: Previous,
}

impl NetworkState {
    /// A network without members.
    pub fn new(network: Arc<Driven>, pools: Vec<(IpNet, Pool)>, phase: Phase) -> Self {
        Self {
            network,
            phase,
            pools,
            members: OrdMap::new(),
            expected: Expected::default(),
            load: OrdMap::new(),
            previous: Previous::default(),
        }
    }

    /// The bridge for one more endpoint: the first with room, or the emptiest. The flag says whether
    /// it has room.
    pub fn segment(&self, ports: u16) -> (u16, bool) {
        let load = |segment: &u16| self.load.get(segment).copied().unwrap_or(0);
        let segments = 0..=self.network.segments;
        let free = segments.clone().find(|segment| load(segment) < ports);
        match free {
            Some(segment) => (segment, true),
            None => (segments.min_by_key(load).unwrap_or_default(), false),
        }
    }

    /// A sandbox comes, with an endpoint on one of the bridges.
    pub(super) fn enter(&mut self, sandbox: SandboxId, mac: Mac, segment: u16) {
        if self.members.insert(sandbox, mac).is_none() {
            *self.load.entry(segment).or_default() += 1;
        }
    }

    /// A sandbox goes.
    pub(super) fn exit(&mut self, sandbox: &SandboxId, segment: u16) {
        if self.members.remove(sandbox).is_none() {
            return;
        }
        let left = self.load.get(&segment).map_or(0, |load| load - 1);
        match left {
            0 => self.load.remove(&segment),
            left => self.load.insert(segment, left),
        };
    }

    /// The pools of one family.
    pub(super) fn pools_of(
        &mut self,
        family: IpFamily,
    ) -> impl Iterator<Item = &mut (IpNet, Pool)> {
        self.pools
            .iter_mut()
            .filter(move |(subnet, _)| family.has(subnet.addr()))
    }

    /// Whether an endpoint has this hardware address.
    pub(super) fn has_mac(&self, mac: Mac) -> bool {
        self.members.values().any(|own| *own == mac)
    }

    /// Remembers what a sandbox had.
    pub(super) fn remember(&mut self, sandbox: SandboxId, addresses: Vec<IpAddr>) {
        self.previous.insert(sandbox, addresses);
    }

    /// What a sandbox had of one family when it left.
    pub(super) fn remembered(&self, sandbox: &SandboxId, family: IpFamily) -> Option<IpAddr> {
        let (_, addresses) = self.previous.of.get(sandbox)?;
        addresses
            .iter()
            .copied()
            .find(|address| family.has(*address))
    }
}

/// What sandboxes had when they left; when there are too many, those that left first are forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
struct Previous {
    /// The place in the order of leaving, and the addresses.
    of: OrdMap<SandboxId, (u64, Vec<IpAddr>)>,
    order: OrdMap<u64, SandboxId>,
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
            && let Some((place, oldest)) = self.order.get_min().copied()
        {
            self.order.remove(&place);
            self.of.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive_id;

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
