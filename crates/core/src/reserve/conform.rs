//! A network changed in place, and what follows for the endpoints on it.

use super::addresses::{gateway, only_v4, only_v6, reserve_address};
use super::{NetworkState, Refusal, Snapshot};
use crate::drivers::Driven;
use crate::ipam::Pool;
use crate::model::{Endpoint, IpFamily, Network, NetworkId, Sandbox};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A sandbox before and after a change of one of its networks.
pub type Conformed = (Arc<Sandbox>, Arc<Sandbox>);

impl Snapshot {
    /// Has another version in the place of a network: its pools are made anew, with the addresses
    /// that its members have.
    pub fn replace_network(&mut self, network: &Arc<Driven>) -> Result<(), Refusal> {
        let pools = self.pools_with_members(network)?;
        self.alter(&network.id, |found| {
            found.network = network.clone();
            found.pools = pools;
            found.hold_all();
        });
        Ok(())
    }

    /// The sandboxes on some networks whose endpoints are not as the networks say, with what they
    /// should be. New addresses are reserved; of a sandbox that cannot have them, `refused` decides
    /// whether the others go on.
    pub fn conform(
        &mut self,
        networks: &BTreeSet<NetworkId>,
        now: Duration,
        refused: impl Fn(&Sandbox, Refusal) -> Result<(), Refusal>,
    ) -> Result<Vec<Conformed>, Refusal> {
        let mut sandboxes: Vec<Arc<Sandbox>> = self.sandboxes().cloned().collect();
        // In an order that people expect, and that is the same after a crash.
        sandboxes.sort_by_key(|sandbox| {
            let mut endpoints = sandbox.endpoints.values();
            endpoints
                .find(|endpoint| networks.contains(&endpoint.network))
                .map(|end| end.ipv4)
        });
        let mut followed = Vec::new();
        for old in sandboxes {
            let mut new = Sandbox::clone(&old);
            let mut endpoints = new.endpoints.iter_mut();
            let conformed = endpoints.try_for_each(|(id, endpoint)| {
                let found = self.contents(id).filter(|_| networks.contains(id));
                found.map_or(Ok(()), |found| conform(found, &old, endpoint, now))
            });
            match conformed {
                Ok(()) if new != *old => followed.push((old, Arc::new(new))),
                Ok(()) => {}
                Err(error) => refused(&old, error)?,
            }
        }
        Ok(followed)
    }

    /// The pools of a network, with the addresses that its members have.
    pub fn pools_with_members(&self, network: &Network) -> Result<Vec<(IpNet, Pool)>, Refusal> {
        let mut pools = open_pools(network)?;
        for sandbox in self.members_of(&network.id) {
            let endpoint = sandbox.endpoints.get(&network.id).into_iter();
            for address in endpoint.flat_map(Endpoint::addresses) {
                let mut fitting = pools
                    .iter_mut()
                    .filter(|(subnet, _)| subnet.contains(&address));
                let Some((_, pool)) = fitting.next() else {
                    continue;
                };
                pool.reserve(address).map_err(|source| Refusal::OfSandbox {
                    address,
                    sandbox: sandbox.name.clone(),
                    source,
                })?;
            }
        }
        Ok(pools)
    }
}

/// A pool for each subnet, its gateway and auxiliary addresses reserved.
pub fn open_pools(network: &Network) -> Result<Vec<(IpNet, Pool)>, Refusal> {
    if network.spec.config_only {
        return Ok(vec![]);
    }
    let subnets = network.subnets_in_use();
    subnets
        .map(|spec| Ok((spec.subnet, Pool::open(spec).map_err(Refusal::Open)?)))
        .collect()
}

/// Brings an endpoint in line with its network: prefix lengths and gateways, and an address of a
/// family that the network has by now.
fn conform(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    endpoint: &mut Endpoint,
    now: Duration,
) -> Result<(), Refusal> {
    if let Some(net) = &mut endpoint.ipv4
        && let Some(length) = length_of(found, net.addr().into())
    {
        *net = Ipv4Net::new(net.addr(), length).unwrap_or(*net);
    }
    match &mut endpoint.ipv6 {
        Some(net) => {
            if let Some(length) = length_of(found, net.addr().into()) {
                *net = Ipv6Net::new(net.addr(), length).unwrap_or(*net);
            }
        }
        None if !sandbox.ipv6_disabled && !endpoint.spec.disables_ipv6() => {
            let asked = endpoint.spec.ipv6.map(IpAddr::V6);
            let reserved = reserve_address(found, sandbox, asked, IpFamily::V6, now)?;
            endpoint.ipv6 = reserved.and_then(only_v6);
        }
        None => {}
    }
    let routes = |address| gateway(&found.network, address).map(IpNet::from);
    let gateway4 = routes(endpoint.ipv4.map(IpNet::V4)).and_then(only_v4);
    let gateway6 = routes(endpoint.ipv6.map(IpNet::V6)).and_then(only_v6);
    endpoint.gateway4 = gateway4.map(|net| net.addr());
    endpoint.gateway6 = gateway6.map(|net| net.addr());
    Ok(())
}

/// The prefix length of the subnet that an address is in.
fn length_of(found: &NetworkState, address: IpAddr) -> Option<u8> {
    let mut pools = found.pools.iter();
    let (subnet, _) = pools.find(|(subnet, _)| subnet.contains(&address))?;
    Some(subnet.prefix_len())
}
