//! Reservations: an endpoint's addresses, MAC and names, chosen before anything is planned.

use crate::state::{NetworkState, State};
use crate::{Engine, EngineError};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sealane_core::drivers::{Driven, WayOut};
use sealane_core::ipam::ReserveError;
use sealane_core::model::{
    Endpoint, EndpointSpec, INTERFACE_PREFIX, InterfaceName, Mac, Network, Sandbox, SandboxId,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// `com.docker.network.endpoint.ifname`: what the link is called in the sandbox.
const IFNAME: &str = "com.docker.network.endpoint.ifname";

impl Engine {
    /// Reserves an endpoint of `sandbox` on the network that `reference` names.
    pub(crate) fn reserve_endpoint(
        &self,
        sandbox: &Sandbox,
        reference: &str,
        spec: EndpointSpec,
    ) -> Result<(Arc<Driven>, Endpoint), EngineError> {
        let now = self.uptime();
        let network = self.state_with(reference)?.1;
        network.settings().check_endpoint(&spec)?;
        self.check_parent_is_there(&network)?;
        self.check_endpoint_mtu(sandbox, &network, &spec)?;
        let host6 = self.host_addresses(&network)?;
        let (mut state, network) = self.state_with(reference)?;
        if sandbox.endpoints.contains_key(&network.id) {
            return Err(EngineError::Forbidden(format!(
                "endpoint with name {} already exists in network {}",
                sandbox.name, network.spec.name
            )));
        }
        if network.spec.config_only {
            return Err(EngineError::Forbidden(format!(
                "cannot create endpoint on configuration-only network {}",
                network.spec.name
            )));
        }
        if let Some(fault) = faults(&network, &spec).into_iter().next() {
            return Err(EngineError::Invalid(fault));
        }
        let mut spec = spec;
        if spec.disables_ipv6() {
            spec.link_local.retain(IpAddr::is_ipv4);
        }
        let interface = interface(sandbox, &network, &spec)?;
        let Some(found) = state.networks.get_mut(&network.id) else {
            return Err(EngineError::NotFound(format!(
                "network {reference} not found"
            )));
        };
        let (v4, v6) = reserve_addresses(found, sandbox, &spec, now)?;
        found.members.insert(sandbox.id);
        let settings = network.settings();
        let capacity = settings.capacity();
        let segment = capacity.map_or(0, |capacity| found.segment(capacity.endpoints).0);
        found.count(segment, true);
        let id = Endpoint::id_of(&sandbox.id, &network.id);
        let own_mac = found.own_mac(&sandbox.name);
        let own_mac = own_mac.filter(|mac| !state.has_mac(&network.id, *mac));
        let alias = settings.aliases().then(|| state.take_alias(id)).flatten();
        let endpoint = Endpoint {
            id,
            network: network.id,
            interface,
            host_interface: Endpoint::host_interface_of(&id),
            segment,
            mac: if network.driver().has_macs() {
                spec.mac.or(own_mac).unwrap_or_else(|| Mac::from_id(&id))
            } else {
                Mac::NONE
            },
            ipv4: v4.and_then(only_v4),
            ipv6: v6.and_then(only_v6),
            gateway4: gateway(&network, v4)
                .and_then(only_v4)
                .map(|net| net.addr()),
            gateway6: gateway(&network, v6)
                .and_then(only_v6)
                .map(|net| net.addr()),
            host6: host6.into_iter().filter(|_| v6.is_some()).collect(),
            alias: alias.filter(|_| v4.is_some()),
            spec,
        };
        Ok((network, endpoint))
    }

    /// Gives back what an endpoint had. `used` says whether its link ever existed: then the
    /// addresses rest for a while.
    pub(crate) fn release_endpoint(&self, sandbox: &SandboxId, endpoint: &Endpoint, used: bool) {
        let now = self.uptime();
        release(&mut self.state(), sandbox, endpoint, used, now);
    }

    /// Reserves again what a sandbox of an earlier run has.
    pub(crate) fn adopt_endpoints(&self, sandbox: &Arc<Sandbox>) {
        let mut state = self.state();
        state.sandboxes.insert(sandbox.id, sandbox.clone());
        for endpoint in sandbox.endpoints.values() {
            if let Some(alias) = endpoint.alias {
                state.keep_alias(alias, endpoint.id);
            }
            let Some(found) = state.networks.get_mut(&endpoint.network) else {
                continue;
            };
            found.members.insert(sandbox.id);
            found.count(endpoint.segment, true);
            for address in endpoint.addresses() {
                let pools = found
                    .pools
                    .iter_mut()
                    .filter(|(subnet, _)| subnet.contains(&address));
                for (_, pool) in pools {
                    if let Err(error) = pool.reserve(address) {
                        tracing::warn!(%address, %error, "an address of a running sandbox is taken");
                    }
                }
            }
        }
    }
}

/// Gives back what an endpoint had.
pub(crate) fn release(
    state: &mut State,
    sandbox: &SandboxId,
    endpoint: &Endpoint,
    used: bool,
    now: Duration,
) {
    if let Some(alias) = endpoint.alias {
        state.drop_alias(alias, endpoint.id);
    }
    let Some(found) = state.networks.get_mut(&endpoint.network) else {
        return;
    };
    if found.members.remove(sandbox) {
        found.count(endpoint.segment, false);
    }
    found.remember(*sandbox, endpoint.addresses().collect());
    for address in endpoint.addresses() {
        for (subnet, pool) in &mut found.pools {
            if subnet.contains(&address) && used {
                pool.release(address, now);
            } else if subnet.contains(&address) {
                pool.cancel(address);
            }
        }
    }
}

/// Brings an endpoint in line with its network: prefix lengths and gateways, and an address of a
/// family that the network has by now.
pub(crate) fn conform(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    endpoint: &mut Endpoint,
    now: Duration,
) -> Result<(), EngineError> {
    let length_of = |found: &NetworkState, address: IpAddr| {
        let mut pools = found.pools.iter();
        pools
            .find(|(subnet, _)| subnet.contains(&address))
            .map(|(subnet, _)| subnet.prefix_len())
    };
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
            let reserved = reserve_address(found, sandbox, asked, true, now)?;
            endpoint.ipv6 = reserved.and_then(only_v6);
        }
        None => {}
    }
    let gateway = |address| gateway(&found.network, address);
    let gateway4 = gateway(endpoint.ipv4.map(IpNet::V4)).and_then(only_v4);
    let gateway6 = gateway(endpoint.ipv6.map(IpNet::V6)).and_then(only_v6);
    endpoint.gateway4 = gateway4.map(|net| net.addr());
    endpoint.gateway6 = gateway6.map(|net| net.addr());
    Ok(())
}

/// What is wrong with an endpoint on a network, a line each, in Docker's words.
pub(crate) fn faults(network: &Network, spec: &EndpointSpec) -> Vec<String> {
    let mut faults = Vec::new();
    let v4 = spec.ipv4.map(IpAddr::V4);
    let asked: Vec<IpAddr> = v4.into_iter().chain(spec.ipv6.map(IpAddr::V6)).collect();
    if !asked.is_empty() && network.is_predefined() {
        faults.push("user-specified IP address is supported on user-defined networks only".into());
    } else {
        for address in asked {
            let subnets = network.subnets(false).chain(network.subnets(true));
            if !subnets
                .into_iter()
                .any(|subnet| subnet.subnet.contains(&address))
            {
                faults.push(format!(
                    "no configured subnet contains IP address {address}"
                ));
            }
        }
    }
    if !spec.aliases.is_empty() && network.is_predefined() {
        faults.push("network-scoped aliases are only supported for user-defined networks".into());
    }
    faults
}

/// The addresses of both families; if the second cannot be had, the first is given back.
fn reserve_addresses(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    spec: &EndpointSpec,
    now: Duration,
) -> Result<(Option<IpNet>, Option<IpNet>), EngineError> {
    let v4 = reserve_address(found, sandbox, spec.ipv4.map(IpAddr::V4), false, now)?;
    if sandbox.ipv6_disabled || spec.disables_ipv6() {
        return Ok((v4, None));
    }
    match reserve_address(found, sandbox, spec.ipv6.map(IpAddr::V6), true, now) {
        Ok(v6) => Ok((v4, v6)),
        Err(error) => {
            for (subnet, pool) in found.pools_of(false) {
                if let Some(net) = v4.filter(|net| subnet.contains(net)) {
                    pool.cancel(net.addr());
                }
            }
            Err(error)
        }
    }
}

/// One address of a family the network has: the one asked for, or the one of the sandbox's name, or
/// the one the sandbox had, or the lowest. A network with several subnets gives from the first that
/// has one.
fn reserve_address(
    found: &mut NetworkState,
    sandbox: &Sandbox,
    asked: Option<IpAddr>,
    ipv6: bool,
    now: Duration,
) -> Result<Option<IpNet>, EngineError> {
    if let Some(address) = asked
        && let Some(other) = found.reserved_for_other(&sandbox.name, address)
    {
        let network = &found.network.spec.name;
        return Err(EngineError::Forbidden(format!(
            "address {address} of network {network} is reserved for container {other}"
        )));
    }
    let own = found.own_address(&sandbox.name, ipv6);
    let previous = found.remembered(&sandbox.id, ipv6);
    let previous = previous.filter(|had| found.reserved_for_other(&sandbox.name, *had).is_none());
    let mut refused = None;
    for (subnet, pool) in found.pools_of(ipv6) {
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
        Some(ReserveError::Exhausted) => Err(exhausted(&found.network, ipv6)),
        Some(error) => Err(EngineError::Forbidden(error.to_string())),
    }
}

fn exhausted(network: &Network, ipv6: bool) -> EngineError {
    let (version, name, id) = (if ipv6 { 6 } else { 4 }, &network.spec.name, network.id);
    EngineError::Failed {
        message: format!(
            "no available IPv{version} addresses on this network's address pools: {name} ({id})"
        ),
        source: None,
    }
}

/// The name asked for, or the first that is free with the network's prefix.
fn interface(
    sandbox: &Sandbox,
    network: &Network,
    spec: &EndpointSpec,
) -> Result<InterfaceName, EngineError> {
    let taken: BTreeSet<&str> = sandbox
        .endpoints
        .values()
        .map(|endpoint| endpoint.interface.as_str())
        .collect();
    let invalid =
        |error: sealane_core::model::InvalidInterfaceName| EngineError::Invalid(error.to_string());
    if let Some(name) = spec.driver_opts.get(IFNAME) {
        if taken.contains(name.as_str()) {
            return Err(EngineError::Invalid(format!(
                "interface name \"{name}\" is already used in the container; choose another"
            )));
        }
        return InterfaceName::try_from(name.as_str()).map_err(invalid);
    }
    let prefix = network
        .option(INTERFACE_PREFIX)
        .filter(|prefix| !prefix.is_empty());
    let prefix = prefix.unwrap_or("eth");
    let free = (0..=taken.len())
        .map(|n| format!("{prefix}{n}"))
        .find(|name| !taken.contains(&**name));
    InterfaceName::try_from(free.unwrap_or_default()).map_err(invalid)
}

/// The gateway of a family, unless the network leads nowhere: where the subnet that the address is in
/// has one of its own, that.
fn gateway(network: &Driven, address: Option<IpNet>) -> Option<IpNet> {
    let by_gateway = network.settings().way_out(network) == WayOut::Gateway;
    let address = address.filter(|_| by_gateway)?.addr();
    let mut subnets = network.subnets(address.is_ipv6());
    let several = network.subnets(address.is_ipv6()).nth(1).is_some();
    let own = subnets.find(|subnet| several && subnet.subnet.contains(&address));
    let gateway = match own {
        Some(subnet) => subnet.gateway,
        None => network.gateway(address.is_ipv6()),
    };
    gateway.map(IpNet::from)
}

fn only_v4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

fn only_v6(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net),
    }
}

/// The checks of [`faults`], for a network that may not exist yet.
pub(crate) fn check(state: &State, reference: &str, spec: &EndpointSpec) -> Vec<String> {
    state
        .find(reference)
        .map_or_else(|_| vec![], |found| faults(&found.network, spec))
}
