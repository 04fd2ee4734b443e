//! A sandbox's scope: its endpoints, and what depends on all of them together.

use super::{RESOLVER_TABLE, resolver_table, set};
use crate::drivers::bridge::{address, udp_ports};
use crate::drivers::{Driven, Networks, WayOut};
use crate::model::{Endpoint, Facts, IpFamily, Protocol, Sandbox};
use crate::nft::{Data, Datum};
use crate::plan::{Effect, Key, Netns, Object, Plan, Route};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The endpoints that have the gateway, one for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateways<'a> {
    /// For IPv4.
    pub v4: Option<&'a Endpoint>,
    /// For IPv6.
    pub v6: Option<&'a Endpoint>,
}

impl<'a> Gateways<'a> {
    /// Chooses: the highest priority; then one with a gateway for both families; then by the
    /// network's name. Networks without a way out have no gateway to choose.
    pub fn choose(sandbox: &'a Sandbox, networks: &Networks) -> Self {
        let mut endpoints: Vec<(&Endpoint, &Driven)> = sandbox
            .endpoints
            .values()
            .filter_map(|endpoint| Some((endpoint, networks.get(&endpoint.network)?.as_ref())))
            .filter(|(_, network)| !network.spec.internal)
            .collect();
        endpoints.sort_by_key(|(endpoint, network)| {
            let both = endpoint.gateway4.is_some() && endpoint.gateway6.is_some();
            (
                Reverse(endpoint.spec.gw_priority),
                !both,
                network.spec.name.clone(),
            )
        });
        let first = |family| {
            let leads = |(endpoint, network): &&(&'a Endpoint, &Driven)| {
                way_out(endpoint, network, family).is_some()
            };
            endpoints.iter().find(leads).map(|(endpoint, _)| *endpoint)
        };
        Self {
            v4: first(IpFamily::V4),
            v6: first(IpFamily::V6),
        }
    }

    /// The endpoints and their addresses that published ports lead to, one for each family.
    pub fn targets(&self) -> impl Iterator<Item = (&'a Endpoint, IpAddr)> {
        let v4 = self
            .v4
            .and_then(|end| Some((end, IpAddr::V4(end.host_ipv4()?))));
        let v6 = self
            .v6
            .and_then(|end| Some((end, IpAddr::V6(end.ipv6?.addr()))));
        v4.into_iter().chain(v6)
    }

    /// The endpoints among them that published ports lead to: a macvlan or ipvlan endpoint is open
    /// on the LAN with all its ports, and the host is not on its way.
    #[must_use]
    pub fn publishing(self, networks: &Networks) -> Self {
        let publishes = |endpoint: &&Endpoint| {
            let network = networks.get(&endpoint.network);
            network.is_some_and(|network| network.driver().publishes())
        };
        Self {
            v4: self.v4.filter(publishes),
            v6: self.v6.filter(publishes),
        }
    }
}

/// Where the default route of one family leads if it leads to this endpoint: a gateway, or `None`
/// for the link itself.
fn way_out(endpoint: &Endpoint, network: &Driven, family: IpFamily) -> Option<Option<IpAddr>> {
    let (gateway, addressed) = match family {
        IpFamily::V4 => (endpoint.gateway4.map(IpAddr::V4), endpoint.ipv4.is_some()),
        IpFamily::V6 => (endpoint.gateway6.map(IpAddr::V6), endpoint.ipv6.is_some()),
    };
    if gateway.is_some() {
        return gateway.map(Some);
    }
    (addressed && network.settings().way_out(network) == WayOut::Link).then_some(None)
}

/// Returns the kernel objects of a sandbox. `networks` holds at least those it has joined.
pub fn plan_sandbox(sandbox: &Sandbox, networks: &Networks, facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    if sandbox.host {
        return plan;
    }
    if sandbox.given.is_none() {
        plan.add(Key::Namespace(sandbox.id), Object::Present);
    }
    for endpoint in sandbox.endpoints.values() {
        let Some(network) = networks.get(&endpoint.network) else {
            continue;
        };
        let settings = network.settings();
        plan.merge(settings.plan_endpoint(network, &sandbox.id, endpoint, facts));
    }
    if let Some((udp, tcp)) = sandbox.resolver_ports {
        let key = Key::Table(Netns::Sandbox(sandbox.id), RESOLVER_TABLE.into());
        plan.add(key, Object::Table(resolver_table(udp, tcp)));
    }
    plan_sysctls(sandbox, &mut plan);
    if sandbox.given.is_some() && facts.ipv6 {
        plan_ipv6(sandbox, &mut plan);
    }
    plan_links(sandbox, networks, &mut plan);
    let gateways = Gateways::choose(sandbox, networks);
    plan_default_routes(sandbox, gateways, networks, &mut plan);
    let publishing = gateways.publishing(networks);
    plan_ports(sandbox, networks, publishing, facts, &mut plan);
    plan_closed(sandbox, &mut plan);
    plan_elsewhere(sandbox, networks, &mut plan);
    plan
}

/// Sysctls of links that the user asked for.
fn plan_sysctls(sandbox: &Sandbox, plan: &mut Plan) {
    let inside = Netns::Sandbox(sandbox.id);
    for endpoint in sandbox.endpoints.values() {
        for (path, value) in endpoint.spec.sysctls(&endpoint.interface) {
            plan.add(Key::Setting(inside, path), Object::Setting(value));
        }
    }
}

/// In a namespace of ours IPv6 is silent on links that have no address of it, and routers are
/// not believed. In one of others that is said of each link.
fn plan_ipv6(sandbox: &Sandbox, plan: &mut Plan) {
    let inside = Netns::Sandbox(sandbox.id);
    for endpoint in sandbox.endpoints.values() {
        let mut link_local = endpoint.spec.link_local.iter();
        let has_ipv6 = endpoint.ipv6.is_some() || link_local.any(IpAddr::is_ipv6);
        let (name, value) = if has_ipv6 {
            ("accept_ra", "0")
        } else {
            ("disable_ipv6", "1")
        };
        let path = format!("ipv6/conf/{}/{name}", endpoint.interface);
        plan.add(Key::Setting(inside, path), Object::Setting(value.into()));
    }
}

/// Ports of links, where containers are kept apart otherwise.
fn plan_links(sandbox: &Sandbox, networks: &Networks, plan: &mut Plan) {
    for link in &sandbox.links {
        let own = sandbox.endpoints.get(&link.network);
        let own = own.and_then(|own| own.ipv4);
        if let Some((own, network)) = own.zip(networks.get(&link.network)) {
            plan.merge(network.settings().plan_link(own.addr(), link));
        }
    }
}

fn plan_default_routes(
    sandbox: &Sandbox,
    gateways: Gateways<'_>,
    networks: &Networks,
    plan: &mut Plan,
) {
    let inside = Netns::Sandbox(sandbox.id);
    let everywhere4 = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
    let everywhere6 = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0));
    let v4 = gateways.v4.map(|endpoint| (endpoint, everywhere4));
    let v6 = gateways.v6.map(|endpoint| (endpoint, everywhere6));
    for (endpoint, to) in v4.into_iter().chain(v6) {
        let network = networks.get(&endpoint.network);
        let way = network.and_then(|network| way_out(endpoint, network, IpFamily::of(to.addr())));
        let Some(via) = way else { continue };
        let route = Route::by(endpoint.interface.clone(), via);
        plan.add(Key::Route(inside, to.into()), Object::Route(route));
    }
}

/// Published ports lead to the endpoints that have the gateway, as their networks let them.
fn plan_ports(
    sandbox: &Sandbox,
    networks: &Networks,
    gateways: Gateways<'_>,
    facts: &Facts,
    plan: &mut Plan,
) {
    if sandbox.ports.is_empty() {
        return;
    }
    for (endpoint, target) in gateways.targets() {
        if let Some(network) = networks.get(&endpoint.network) {
            let settings = network.settings();
            plan.merge(settings.plan_ports(&sandbox.ports, target, facts));
        }
    }
    for (network, target) in routed_beside(sandbox, networks) {
        plan.merge(network.settings().plan_open(&sandbox.ports, target));
    }
    for port in udp_ports(&sandbox.ports) {
        plan.effect(Effect::ForgetPort(Protocol::Udp, port));
    }
}

/// What a container says by one network may come from its address on another: its default route
/// knows only one way.
fn plan_elsewhere(sandbox: &Sandbox, networks: &Networks, plan: &mut Plan) {
    for endpoint in sandbox.endpoints.values() {
        let Some(network) = networks.get(&endpoint.network) else {
            continue;
        };
        let others = sandbox.endpoints.values();
        let others = others.filter(|other| other.network != endpoint.network);
        let own = endpoint.spec.link_local.iter().copied();
        let elsewhere: Vec<IpAddr> = others.flat_map(Endpoint::addresses).chain(own).collect();
        plan.merge(network.settings().plan_elsewhere(&elsewhere));
    }
}

/// The addresses at which published ports are open although the gateway is another network's: on
/// routed networks every endpoint can be reached as it is.
pub fn routed_beside<'a>(
    sandbox: &'a Sandbox,
    networks: &'a Networks,
) -> Vec<(&'a Driven, IpAddr)> {
    let gateways = Gateways::choose(sandbox, networks);
    let taken: Vec<IpAddr> = gateways.targets().map(|(_, target)| target).collect();
    let mut beside = Vec::new();
    for endpoint in sandbox.endpoints.values() {
        let Some(network) = networks.get(&endpoint.network) else {
            continue;
        };
        let open = |ip: &IpAddr| {
            !taken.contains(ip) && network.settings().opens_every_endpoint(IpFamily::of(*ip))
        };
        let open = endpoint.addresses().filter(open);
        beside.extend(open.map(|ip| (&**network, ip)));
    }
    beside
}

/// Ports that were taken back: a connection to them ends, whichever end speaks first.
fn plan_closed(sandbox: &Sandbox, plan: &mut Plan) {
    for endpoint in sandbox.endpoints.values() {
        let own = [
            endpoint.host_ipv4().map(IpAddr::V4),
            endpoint.ipv6.map(|net| IpAddr::V6(net.addr())),
        ];
        for (own, port) in own.into_iter().flatten().flat_map(|own| {
            let ports = sandbox.closed.iter();
            ports.map(move |port| (own, *port))
        }) {
            let set = if own.is_ipv4() {
                set::CLOSED4
            } else {
                set::CLOSED6
            };
            let key = vec![
                address(own),
                Datum::Protocol(Protocol::Tcp),
                Datum::Port(port),
            ];
            plan.add(Key::Element(set.into(), key), Object::Element(Data::None));
        }
    }
}

#[cfg(test)]
mod tests;
