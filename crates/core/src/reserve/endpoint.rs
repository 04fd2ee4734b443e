//! An endpoint with everything that it has: chosen before anything is planned.

use super::addresses::{gateway, only_v4, only_v6, reserve_addresses};
use super::{Phase, Refusal, Snapshot};
use crate::drivers::Driven;
use crate::ipam::ReserveError;
use crate::model::{
    Endpoint, EndpointSpec, INTERFACE_PREFIX, InterfaceName, Mac, Network, NetworkId, Sandbox,
    SandboxId,
};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// `com.docker.network.endpoint.ifname`: what the link is called in the sandbox.
const IFNAME: &str = "com.docker.network.endpoint.ifname";

/// What an endpoint is asked for with.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The sandbox, with the endpoints that it has already.
    pub sandbox: &'a Sandbox,
    /// The network, by id, name or unique id prefix.
    pub network: &'a str,
    /// What was asked for.
    pub spec: &'a EndpointSpec,
    /// The host's own IPv6 addresses on the wire that the network is on, where endpoints reach it.
    pub host6: &'a [Ipv6Addr],
}

impl Snapshot {
    /// Reserves an endpoint: its addresses, hardware address, names, bridge and alias.
    pub fn reserve_endpoint(
        &mut self,
        joining: &Joining<'_>,
        now: Duration,
    ) -> Result<(Arc<Driven>, Endpoint), Refusal> {
        let Joining { sandbox, spec, .. } = *joining;
        let network = self.find_settled(joining.network)?.network.clone();
        check_joining(sandbox, &network, spec)?;
        let settings = network.settings();
        settings.check_endpoint(spec)?;
        let mut spec = spec.clone();
        if spec.disables_ipv6() {
            spec.link_local.retain(IpAddr::is_ipv4);
        }
        let interface = interface(sandbox, &network, &spec)?;
        let id = Endpoint::id_of(&sandbox.id, &network.id);
        let Some(found) = self.contents(&network.id) else {
            return Err(Refusal::NoNetwork(joining.network.into()));
        };
        let (v4, v6) = reserve_addresses(found, sandbox, &spec, now)?;
        let capacity = settings.capacity();
        let segment = capacity.map_or(0, |capacity| found.segment(capacity.endpoints).0);
        let own_mac = found.own_mac(&sandbox.name);
        let own_mac = own_mac.filter(|mac| !found.has_mac(*mac));
        let mac = match network.driver().has_macs() {
            true => spec.mac.or(own_mac).unwrap_or_else(|| Mac::from_id(&id)),
            false => Mac::NONE,
        };
        found.enter(sandbox.id, mac, segment);
        let alias = match settings.aliases() && v4.is_some() {
            true => self.take_alias(id),
            false => None,
        };
        let routes = |address| gateway(&network, address).map(IpNet::from);
        let endpoint = Endpoint {
            id,
            network: network.id,
            interface,
            host_interface: Endpoint::host_interface_of(&id),
            segment,
            mac,
            ipv4: v4.and_then(only_v4),
            ipv6: v6.and_then(only_v6),
            gateway4: routes(v4).and_then(only_v4).map(|net| net.addr()),
            gateway6: routes(v6).and_then(only_v6).map(|net| net.addr()),
            host6: match v6 {
                Some(_) => joining.host6.to_vec(),
                None => vec![],
            },
            alias,
            spec,
        };
        Ok((network, endpoint))
    }

    /// Gives back what an endpoint had. `used` says whether its link ever existed: then the
    /// addresses rest for a while, and are remembered.
    pub fn release_endpoint(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &Endpoint,
        used: bool,
        now: Duration,
    ) {
        if let Some(alias) = endpoint.alias {
            self.drop_alias(alias, endpoint.id);
        }
        let Some(found) = self.contents(&endpoint.network) else {
            return;
        };
        found.exit(sandbox, endpoint.segment);
        if used {
            found.remember(*sandbox, endpoint.addresses().collect());
        }
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

    /// Reserves again what a sandbox of an earlier run has; returns the addresses that are taken.
    pub fn adopt_sandbox(&mut self, sandbox: &Arc<Sandbox>) -> Vec<(IpAddr, ReserveError)> {
        self.put_sandbox(sandbox.clone());
        let mut taken = Vec::new();
        for endpoint in sandbox.endpoints.values() {
            if let Some(alias) = endpoint.alias {
                self.keep_alias(alias, endpoint.id);
            }
            let Some(found) = self.contents(&endpoint.network) else {
                continue;
            };
            found.enter(sandbox.id, endpoint.mac, endpoint.segment);
            for address in endpoint.addresses() {
                let pools = found.pools.iter_mut();
                for (_, pool) in pools.filter(|(subnet, _)| subnet.contains(&address)) {
                    let reserved = pool.reserve(address);
                    taken.extend(reserved.err().map(|error| (address, error)));
                }
            }
        }
        taken
    }

    /// What is wrong with an endpoint on a network that may not exist yet, a line each.
    pub fn endpoint_faults(&self, reference: &str, spec: &EndpointSpec) -> Vec<String> {
        let found = self.find(reference);
        found.map_or_else(|_| vec![], |found| endpoint_faults(&found.network, spec))
    }

    /// Whether a network's devices have no room for one more endpoint, and it could have another
    /// device.
    pub fn lacks_room(&self, network: &NetworkId) -> bool {
        let Some(found) = self.network(network) else {
            return false;
        };
        let network = &found.network;
        let can_grow = !network.spec.config_only && found.phase == Phase::Settled;
        let own = network.users_device.is_none();
        let capacity = network.settings().capacity().filter(|_| can_grow && own);
        capacity.is_some_and(|capacity| {
            network.segments < capacity.segments && !found.segment(capacity.endpoints).1
        })
    }
}

/// Refuses an endpoint that the network or the sandbox cannot have.
fn check_joining(sandbox: &Sandbox, network: &Network, spec: &EndpointSpec) -> Result<(), Refusal> {
    if sandbox.endpoints.contains_key(&network.id) {
        return Err(Refusal::Joined {
            sandbox: sandbox.name.clone(),
            network: network.spec.name.clone(),
        });
    }
    if network.spec.config_only {
        return Err(Refusal::ConfigOnly(network.spec.name.clone()));
    }
    match endpoint_faults(network, spec).into_iter().next() {
        Some(fault) => Err(Refusal::Endpoint(fault)),
        None => Ok(()),
    }
}

/// What is wrong with an endpoint on a network, a line each, in Docker's words.
pub fn endpoint_faults(network: &Network, spec: &EndpointSpec) -> Vec<String> {
    let mut faults = Vec::new();
    let v4 = spec.ipv4.map(IpAddr::V4);
    let asked: Vec<IpAddr> = v4.into_iter().chain(spec.ipv6.map(IpAddr::V6)).collect();
    if !asked.is_empty() && network.is_predefined() {
        faults.push("user-specified IP address is supported on user-defined networks only".into());
    } else {
        for address in asked {
            let mut subnets = network.subnets_in_use();
            if !subnets.any(|subnet| subnet.subnet.contains(&address)) {
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

/// The name asked for, or the first that is free with the network's prefix.
fn interface(
    sandbox: &Sandbox,
    network: &Network,
    spec: &EndpointSpec,
) -> Result<InterfaceName, Refusal> {
    let taken: BTreeSet<&str> = sandbox
        .endpoints
        .values()
        .map(|endpoint| endpoint.interface.as_str())
        .collect();
    if let Some(name) = spec.driver_opts.get(IFNAME) {
        if taken.contains(name.as_str()) {
            return Err(Refusal::InterfaceTaken(name.clone()));
        }
        return InterfaceName::try_from(name.as_str()).map_err(Refusal::Interface);
    }
    let prefix = network
        .option(INTERFACE_PREFIX)
        .filter(|prefix| !prefix.is_empty());
    let prefix = prefix.unwrap_or("eth");
    let free = (0..=taken.len())
        .map(|n| format!("{prefix}{n}"))
        .find(|name| !taken.contains(&**name));
    InterfaceName::try_from(&*free.unwrap_or_default()).map_err(Refusal::Interface)
}
