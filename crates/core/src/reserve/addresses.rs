//! An endpoint's addresses: which one of a network's pools it gets.

use super::{NetworkState, Refusal};
use crate::drivers::{Driven, WayOut};
use crate::ipam::ReserveError;
use crate::model::{EndpointSpec, IpFamily, Sandbox};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;
use std::time::Duration;

/// The addresses of both families. After a refusal the network is good for nothing any more.
pub(super) fn reserve_addresses(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    spec: &EndpointSpec,
    now: Duration,
) -> Result<(Option<IpNet>, Option<IpNet>), Refusal> {
    let v4 = reserve_address(found, sandbox, spec.ipv4.map(IpAddr::V4), IpFamily::V4, now)?;
    if sandbox.ipv6_disabled || spec.disables_ipv6() {
        return Ok((v4, None));
    }
    let v6 = reserve_address(found, sandbox, spec.ipv6.map(IpAddr::V6), IpFamily::V6, now)?;
    Ok((v4, v6))
}

/// One address of a family the network has: the one asked for, or the one of the sandbox's name, or
/// the one the sandbox had, or the lowest. A network with several subnets gives from the first that
/// has one.
pub(super) fn reserve_address(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    asked: Option<IpAddr>,
    family: IpFamily,
    now: Duration,
) -> Result<Option<IpNet>, Refusal> {
    if let Some(address) = asked
        && let Some(other) = found.reserved_for_other(&sandbox.name, address)
    {
        return Err(Refusal::ReservedFor {
            address,
            network: found.network.spec.name.clone(),
            holder: other.into(),
        });
    }
    let own = found.own_address(&sandbox.name, family);
    let previous = found.remembered(&sandbox.id, family);
    let previous = previous.filter(|had| found.reserved_for_other(&sandbox.name, *had).is_none());
    let mut refused = None;
    for (subnet, pool) in found.pools_of(family) {
        let here = |address: &IpAddr| subnet.contains(address);
        let previous = previous.filter(|had| here(had) && !pool.is_held(*had));
        let reserved = match (asked, own.filter(here).or(previous)) {
            (Some(address), _) if !subnet.contains(&address) => continue,
            (Some(address), _) => pool.reserve(address).map(|()| address),
            (None, Some(had)) => pool.allocate_again(had, now),
            (None, None) => pool.allocate(now),
        };
        match reserved {
            Ok(address) => return Ok(IpNet::new(address, subnet.prefix_len()).ok()),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        None => Ok(None),
        Some(ReserveError::Exhausted) => Err(Refusal::Exhausted {
            family,
            network: found.network.spec.name.clone(),
            id: found.network.id,
        }),
        Some(error) => Err(Refusal::Address(error)),
    }
}

/// The gateway of a family, unless the network leads nowhere: where the subnet that the address is in
/// has one of its own, that.
pub(super) fn gateway(network: &Driven, address: Option<IpNet>) -> Option<IpAddr> {
    let by_gateway = network.settings().way_out(network) == WayOut::Gateway;
    let address = address.filter(|_| by_gateway)?.addr();
    let family = IpFamily::of(address);
    let mut subnets = network.subnets(family);
    let several = network.subnets(family).nth(1).is_some();
    let own = subnets.find(|subnet| several && subnet.subnet.contains(&address));
    match own {
        Some(subnet) => subnet.gateway,
        None => network.gateway(family),
    }
}

pub(super) fn only_v4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

pub(super) fn only_v6(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net),
    }
}
