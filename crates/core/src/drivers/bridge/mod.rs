//! Bridge driver: what a bridge network and its endpoints look like in the kernel.
//!
//! Reads the model and [`Facts`]; writes nothing; returns a [`Plan`].
//! Invariant: equal arguments give equal plans.
//! Start at `plan_network`, then `plan_endpoint`. What others may ask of it is in `descriptor`,
//! published ports are in `publish`, and the rules that its sets are for in `firewall`.

mod descriptor;
mod firewall;
pub mod options;
mod publish;
mod segments;
pub mod table;

pub use descriptor::Bridge;
pub use publish::{PUBLISH_SETS, forget_changed};

pub(crate) use publish::{address, udp_ports};

use options::{BridgeOptions, GatewayMode};
use segments::{PORTS, segment_bridge};
use table::{ALIASED, APART, PUBLISHED_DIRECT, PUBLISHED_ONLY, ROUTED, set};

use crate::model::{
    Endpoint, Facts, InterfaceName, IpFamily, Mac, Network, SandboxId, UsersDevice,
};
use crate::nft::{Data, Datum, Verdict};
use crate::plan::{BridgePort, Effect, Key, Link, LinkGroup, LinkKind, Netns, Object, Plan, Route};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// Returns the kernel objects of a bridge network: its device, its address, who may pass.
fn plan_network(network: &Network, options: &BridgeOptions, facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    let bridge = &options.device;
    match &network.users_device {
        None => plan_device(network, options, &mut plan),
        Some(device) => plan_users_device(network, options, device, &mut plan),
    }
    if !network.spec.internal && translates(network, options, facts, IpFamily::V4) {
        // A connection from 127.0.0.1 to a published port leaves by the bridge.
        let path = format!("ipv4/conf/{bridge}/route_localnet");
        plan.add(Key::Setting(Netns::Host, path), Object::Setting("1".into()));
    }
    if options.default_bridge && isolates(options, facts) {
        // A link leads to a container whose port of the bridge is isolated: by way of the host.
        let path = format!("ipv4/conf/{bridge}/proxy_arp_pvlan");
        plan.add(Key::Setting(Netns::Host, path), Object::Setting("1".into()));
    }
    plan_filter(network, options, facts, &mut plan);
    plan_passage(network, bridge, facts, &mut plan);
    segments::plan_segments(network, options, facts, &mut plan);
    plan
}

/// The bridge itself.
fn plan_device(network: &Network, options: &BridgeOptions, plan: &mut Plan) {
    let bridge = &options.device;
    plan.add(
        Key::Link(Netns::Host, bridge.clone()),
        Object::Link(Link {
            mtu: Some(options.mtu),
            mac: Some(Mac::from_id(&network.id)), // else it changes with every port
            group: LinkGroup::Bridges,
            ..Link::of(LinkKind::Bridge)
        }),
    );
    if silent(network, options) {
        // Else it gives itself a link-local address.
        let path = format!("ipv6/conf/{bridge}/disable_ipv6");
        plan.add(Key::Setting(Netns::Host, path), Object::Setting("1".into()));
    }
    for address in gateway_addresses(network, options) {
        plan.add(
            Key::Address(Netns::Host, bridge.clone(), address),
            Object::Present,
        );
    }
    plan.add(Key::Up(Netns::Host, bridge.clone()), Object::Present);
    let routed = gateway_addresses(network, options);
    for address in routed.filter(|net| net.prefix_len() < net.max_prefix_len()) {
        // The kernel adds it with the address; it is planned so that a lost one comes back.
        let route = Route::by(bridge.clone(), None);
        plan.add(
            Key::Route(Netns::Host, address.trunc().into()),
            Object::Route(route),
        );
    }
}

/// What a bridge of the user's lacks.
fn plan_users_device(
    network: &Network,
    options: &BridgeOptions,
    device: &UsersDevice,
    plan: &mut Plan,
) {
    let bridge = &options.device;
    let missing = gateway_addresses(network, options);
    for address in missing.filter(|address| !device.addresses.contains(address)) {
        plan.add(
            Key::Address(Netns::Host, bridge.clone(), address),
            Object::Present,
        );
    }
    if !device.up {
        plan.add(Key::Up(Netns::Host, bridge.clone()), Object::Present);
    }
}

/// Who may talk to whom: one element for each question the table asks.
fn plan_filter(network: &Network, options: &BridgeOptions, facts: &Facts, plan: &mut Plan) {
    let bridge = Datum::Interface(options.device.clone());
    let pair = vec![bridge.clone(), bridge.clone()];
    let mut element = |set: &str, key: Vec<Datum>, data: Data| {
        plan.add(Key::Element(set.into(), key), Object::Element(data));
    };
    element(set::BRIDGES, vec![bridge.clone()], Data::None);
    element(set::SIBLINGS, pair.clone(), Data::None);
    element(set::WITHIN, pair, Data::Verdict(within(options)));
    for family in IpFamily::BOTH {
        let key = vec![Datum::NfProto(family), bridge.clone()];
        let verdict = entering(network, options, facts, family);
        if verdict == Verdict::Goto(PUBLISHED_ONLY.into()) {
            element(set::PUBLISHED, key, Data::None);
        } else {
            element(set::ENTERING, key, Data::Verdict(verdict));
        }
    }
    if options.overlapping {
        element(set::OVERLAPPING, vec![bridge.clone()], Data::None);
    }
    if options.overlapping {
        let aliased = Data::Verdict(Verdict::Jump(ALIASED.into()));
        element(set::ARRIVING, vec![bridge.clone()], aliased);
    }
    if looks_at_sources(network, options) {
        let looked_at = match options.overlapping {
            true => set::SOURCED_ALIASES,
            false => set::SOURCED,
        };
        element(looked_at, vec![bridge.clone()], Data::None);
    }
    if network.users_device.is_none() {
        let own = Datum::Mac(Mac::from_id(&network.id));
        element(set::HANDED, vec![own], Data::None);
    }
    if network.spec.internal {
        element(set::LEAVING, vec![bridge], Data::Verdict(Verdict::Drop));
        return;
    }
    for link in &options.trusted {
        let key = vec![Datum::Interface(link.clone()), bridge.clone()];
        element(set::TRUSTED, key, Data::None);
    }
    for (family, masquerade, snat) in [
        (IpFamily::V4, set::MASQUERADE4, set::SNAT4),
        (IpFamily::V6, set::MASQUERADE6, set::SNAT6),
    ] {
        if !options.masquerade || !translates(network, options, facts, family) {
            continue;
        }
        let translated = vec![Datum::NfProto(family), bridge.clone()];
        element(set::TRANSLATED, translated, Data::None);
        match options.host_address(family) {
            Some(address) => element(snat, vec![bridge.clone()], Data::Address(address)),
            None => element(masquerade, vec![bridge.clone()], Data::None),
        }
    }
}

/// Whether what the network hands to the host has to come from where an answer would go.
fn looks_at_sources(network: &Network, options: &BridgeOptions) -> bool {
    let any = options.any_source;
    !any.unwrap_or(network.users_device.is_some())
}

/// What becomes of packets from one endpoint to another.
fn within(options: &BridgeOptions) -> Verdict {
    if options.icc {
        Verdict::Accept
    } else {
        Verdict::Goto(APART.into())
    }
}

/// What becomes of packets of a family that enter the network.
fn entering(
    network: &Network,
    options: &BridgeOptions,
    facts: &Facts,
    family: IpFamily,
) -> Verdict {
    if network.spec.internal {
        return Verdict::Drop;
    }
    match options.mode(family) {
        GatewayMode::Nat if facts.policy.direct_routing => Verdict::Goto(PUBLISHED_DIRECT.into()),
        GatewayMode::Nat => Verdict::Goto(PUBLISHED_ONLY.into()),
        GatewayMode::NatUnprotected => Verdict::Accept,
        GatewayMode::Routed => Verdict::Goto(ROUTED.into()),
        GatewayMode::Isolated => Verdict::Drop,
    }
}

/// Whether addresses of a family are translated on their way in and out.
fn translates(network: &Network, options: &BridgeOptions, facts: &Facts, family: IpFamily) -> bool {
    network.enables(family) && !facts.unmanaged(family) && options.mode(family).translates()
}

/// Whether published ports of a family are open at the endpoints' own addresses, to some link at
/// least.
fn opens_directly(options: &BridgeOptions, facts: &Facts, family: IpFamily) -> bool {
    match options.mode(family) {
        GatewayMode::Nat => facts.policy.direct_routing || !options.trusted.is_empty(),
        GatewayMode::Routed => true,
        GatewayMode::NatUnprotected | GatewayMode::Isolated => false,
    }
}

/// Whether the bridge itself keeps containers apart. With br_netfilter the filter sees bridged
/// packets; isolation would also cut published ports between siblings then.
fn isolates(options: &BridgeOptions, facts: &Facts) -> bool {
    !options.icc && !facts.bridge_netfilter
}

/// Whether the bridge shall have no address at all, not even one of its own making.
fn silent(network: &Network, options: &BridgeOptions) -> bool {
    use IpFamily::{V4, V6};
    let speaks = |family| network.enables(family) && options.mode(family) != GatewayMode::Isolated;
    let isolated = [options.mode4, options.mode6].contains(&GatewayMode::Isolated);
    isolated && !speaks(V6) && (network.enables(V6) || !speaks(V4))
}

/// A way past a foreign FORWARD chain that drops: an accept of ours does not override its policy.
fn plan_passage(network: &Network, bridge: &InterfaceName, facts: &Facts, plan: &mut Plan) {
    let wanted = |family: &IpFamily| {
        facts.forward_drops(*family) && network.enables(*family) && !facts.unmanaged(*family)
    };
    for family in IpFamily::BOTH.into_iter().filter(wanted) {
        plan.add(Key::Passage(bridge.clone(), family), Object::Present);
    }
}

/// The addresses of the bridge: the gateway of each subnet, with the subnet's prefix length.
fn gateway_addresses(network: &Network, options: &BridgeOptions) -> impl Iterator<Item = IpNet> {
    let of_family = move |family| {
        let subnets = network.subnets(family);
        subnets.filter(move |_| options.has_address(family))
    };
    let both = IpFamily::BOTH.into_iter().flat_map(of_family);
    both.filter_map(|subnet| {
        // One address brings no route to the subnet, which another network may have, too.
        let alone = options.overlapping && subnet.subnet.addr().is_ipv4();
        let length = if alone {
            32
        } else {
            subnet.subnet.prefix_len()
        };
        IpNet::new(subnet.gateway?, length).ok()
    })
}

/// Returns the kernel objects that join one endpoint to a bridge network.
fn plan_endpoint(
    network: &Network,
    options: &BridgeOptions,
    sandbox: &SandboxId,
    endpoint: &Endpoint,
    facts: &Facts,
) -> Plan {
    let mut plan = Plan::default();
    let inside = Netns::Sandbox(*sandbox);
    let interface = &endpoint.interface;
    plan.add(
        Key::Link(Netns::Host, endpoint.host_interface.clone()),
        Object::Link(Link {
            mtu: Some(options.mtu),
            mac: Some(Mac::of_port(&endpoint.id)),
            port: Some(BridgePort {
                hairpin: true, // so that a container reaches its own published port
                isolated: isolates(options, facts) || !options.icc && endpoint.segment > 0,
                ..BridgePort::of(segment_bridge(network, options, endpoint.segment))
            }),
            ..Link::of(LinkKind::Veth {
                peer: (inside, interface.clone()),
                peer_mac: endpoint.mac,
            })
        }),
    );
    let v4 = endpoint.ipv4.map(IpNet::V4);
    for address in v4.into_iter().chain(endpoint.ipv6.map(IpNet::V6)) {
        plan.add(
            Key::Address(inside, interface.clone(), address),
            Object::Present,
        );
    }
    for address in &endpoint.spec.link_local {
        let host = IpNet::from(*address);
        plan.add(
            Key::Address(inside, interface.clone(), host),
            Object::Present,
        );
    }
    plan.add(Key::Up(inside, interface.clone()), Object::Present);
    plan_neighbors(network, options, inside, endpoint, &mut plan);
    plan_alias(options, endpoint, &mut plan);
    plan.effect(Effect::SyncLink(
        Netns::Host,
        endpoint.host_interface.clone(),
    ));
    plan.effect(Effect::SyncLink(Netns::Host, options.device.clone()));
    if endpoint.ipv6.is_some() || endpoint.spec.link_local.iter().any(IpAddr::is_ipv6) {
        // It came up after the other end, awake; but IPv6 waits until the kernel has said so.
        plan.effect(Effect::SyncLink(inside, interface.clone()));
    }
    for address in endpoint.addresses() {
        plan.effect(Effect::Announce(
            inside,
            interface.clone(),
            address,
            Some(endpoint.mac),
            options.announce,
        ));
    }
    plan
}

/// The way to an endpoint by what the host calls it, and its translation without state.
fn plan_alias(options: &BridgeOptions, endpoint: &Endpoint, plan: &mut Plan) {
    let (Some(alias), Some(own)) = (endpoint.alias, endpoint.ipv4) else {
        return;
    };
    let bridge = Datum::Interface(options.device.clone());
    let mut element = |set: &str, address: Ipv4Addr, data: Data| {
        let key = vec![bridge.clone(), Datum::Ipv4(address)];
        plan.add(Key::Element(set.into(), key), Object::Element(data));
    };
    element(set::OVERLAPPING4, own.addr(), Data::None);
    element(set::ALIAS4, own.addr(), Data::Address(alias.into()));
    element(set::REAL4, alias, Data::Address(own.addr().into()));
    let route = Route::by(options.device.clone(), None);
    plan.add(
        Key::Route(Netns::Host, IpNet::from(IpAddr::V4(alias)).into()),
        Object::Route(route),
    );
}

/// Both ends know each other from the start: ARP would flood every port of the bridge.
fn plan_neighbors(
    network: &Network,
    options: &BridgeOptions,
    inside: Netns,
    endpoint: &Endpoint,
    plan: &mut Plan,
) {
    let addresses = gateway_addresses(network, options);
    let bridge_addresses: Vec<IpAddr> = addresses.map(|net| net.addr()).collect();
    let own = [
        endpoint.ipv4.map(|net| IpAddr::V4(net.addr())),
        endpoint.ipv6.map(|net| IpAddr::V6(net.addr())),
    ];
    for address in own.into_iter().flatten() {
        let family = IpFamily::of(address);
        if options.has_address(family) {
            let called = endpoint.alias.map(IpAddr::V4);
            let called = called.filter(|_| address.is_ipv4());
            let called = called.unwrap_or(address);
            let host = Key::Neighbor(Netns::Host, options.device.clone(), called);
            plan.add(host, Object::Neighbor(endpoint.mac));
        }
        // The hardware address of an adopted bridge is not ours to know.
        let known = |gateway: &&IpAddr| family.has(**gateway) && network.users_device.is_none();
        for gateway in bridge_addresses.iter().filter(known) {
            let key = Key::Neighbor(inside, endpoint.interface.clone(), *gateway);
            plan.add(key, Object::Neighbor(Mac::from_id(&network.id)));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
