//! Published ports: three maps for each family, looked up in this order.
//!
//! 1. a hash by protocol, host address and port, for a port on one address;
//! 2. a hash by protocol and port, for a port on every address of the host;
//! 3. intervals by protocol and port, whose data is the address alone, so that the port is kept:
//!    only for runs of ports that are the same inside and outside.
//!
//! One interval map for all would cost ten times as much to fill, and overlaps would fail or depend
//! on the order.

use super::opens_directly;
use super::options::BridgeOptions;
use super::table::set;
use crate::model::{Facts, InterfaceName, IpFamily, LegacyLink, PerFamily, PortMapping, Protocol};
use crate::nft::{Chain, Data, DataType, Datum, Field, Match, Rule, Set, Statement, Verdict};
use crate::plan::{Effect, Key, Object, Plan};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The names of the maps of each family: by address, by port, by range.
pub const PUBLISH_SETS: PerFamily<[&str; 3]> = PerFamily {
    v4: ["publish-address4", "publish-port4", "publish-range4"],
    v6: ["publish-address6", "publish-port6", "publish-range6"],
};

/// Runs of at least so many ports become one interval.
const RANGE: usize = 16;

/// The maps.
pub(super) fn publish_sets() -> Vec<Set> {
    use DataType::{Ipv4, Ipv6, Port, Protocol};
    let mut sets = Vec::new();
    for family in IpFamily::BOTH {
        let [by_address, by_port, by_range] = PUBLISH_SETS[family];
        let address = family.pick(Ipv4, Ipv6);
        let map = |name: &str, key: &[DataType], data: &[DataType], interval| Set {
            name: name.into(),
            key: key.to_vec(),
            data: data.to_vec(),
            interval,
        };
        sets.push(map(
            by_address,
            &[Protocol, address, Port],
            &[address, Port],
            false,
        ));
        sets.push(map(by_port, &[Protocol, Port], &[address, Port], false));
        sets.push(map(by_range, &[Protocol, Port], &[address], true));
    }
    sets
}

/// The chain that translates what was sent to a published port of the host.
pub(super) fn publish_chain() -> Chain {
    use Field::{DestinationPort, Ip4Destination, Ip6Destination, L4Proto};
    let mut rules = Vec::new();
    for family in IpFamily::BOTH {
        let destination = family.pick(Ip4Destination, Ip6Destination);
        if family == IpFamily::V6 {
            rules.extend([
                relayed(ipnet::Ipv6Net::from(Ipv6Addr::LOCALHOST)),
                relayed(link_local()),
            ]);
        }
        let [by_address, by_port, by_range] = PUBLISH_SETS[family];
        let translate = |comment: &str, fields: &[Field], map: &str, port| Rule {
            matches: vec![],
            statements: vec![Statement::DnatMap {
                family,
                fields: fields.to_vec(),
                map: map.into(),
                port,
            }],
            comment: comment.into(),
        };
        let one = [L4Proto, destination, DestinationPort];
        let every = [L4Proto, DestinationPort];
        rules.push(translate(
            "published on one address",
            &one,
            by_address,
            true,
        ));
        rules.push(translate(
            "published on every address",
            &every,
            by_port,
            true,
        ));
        rules.push(translate("published as a range", &every, by_range, false));
    }
    Chain {
        name: "publish".into(),
        hook: None,
        rules,
        user: false,
    }
}

/// The kernel cannot route from these addresses to another link: a relay answers on them.
fn relayed(to: ipnet::Ipv6Net) -> Rule {
    Rule {
        matches: vec![Match::Within(Field::Ip6Destination, to.into())],
        statements: vec![Statement::Verdict(Verdict::Return)],
        comment: "relayed by the daemon".into(),
    }
}

fn link_local() -> ipnet::Ipv6Net {
    ipnet::Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)
}

/// What leads published ports to an address, as the network's gateway modes have it.
pub(super) fn plan_ports(
    options: &BridgeOptions,
    ports: &[PortMapping],
    target: IpAddr,
    facts: &Facts,
) -> Plan {
    let mut plan = Plan::default();
    let family = IpFamily::of(target);
    if options.mode(family).translates() {
        plan_publish(ports, target, &mut plan);
        let set = family.pick(set::SELF4, set::SELF6);
        let key = Key::Element(set.into(), vec![address(target), address(target)]);
        plan.add(key, Object::Element(Data::None));
    }
    if opens_directly(options, facts, family) {
        plan_open(ports, &options.device, target, &mut plan);
    }
    plan.effect(Effect::ForgetAddress(target));
    plan
}

/// What lets a container send by the bridge from addresses that it has elsewhere.
pub(super) fn plan_elsewhere(device: &InterfaceName, addresses: &[IpAddr]) -> Plan {
    let mut plan = Plan::default();
    for ip in addresses {
        let set = if ip.is_ipv4() {
            set::ELSEWHERE4
        } else {
            set::ELSEWHERE6
        };
        let key = vec![Datum::Interface(device.clone()), address(*ip)];
        plan.add(Key::Element(set.into(), key), Object::Element(Data::None));
    }
    plan
}

/// What opens the ports of a link to an endpoint. IPv4 only, as Docker has it.
pub(super) fn plan_link(own: Ipv4Addr, link: &LegacyLink) -> Plan {
    let mut plan = Plan::default();
    for theirs in link.addresses.iter().filter(|ip| ip.is_ipv4()) {
        for (protocol, port) in &link.ports {
            let key = vec![
                Datum::Ipv4(own),
                address(*theirs),
                Datum::Protocol(*protocol),
                Datum::Port(*port),
            ];
            let key = Key::Element(set::LINKS4.into(), key);
            plan.add(key, Object::Element(Data::None));
        }
    }
    plan
}

/// Adds the elements that lead `mappings` to `target`, the address of the endpoint that has the
/// gateway of one family.
fn plan_publish(mappings: &[PortMapping], target: IpAddr, plan: &mut Plan) {
    let [by_address, by_port, by_range] = PUBLISH_SETS[IpFamily::of(target)];
    let (mut everywhere, elsewhere): (Vec<&PortMapping>, Vec<&PortMapping>) = mappings
        .iter()
        .filter(|mapping| mapping.is_translated() && mapping.is_for(target))
        .partition(|mapping| mapping.host_ip.is_none_or(|ip| ip.is_unspecified()));
    let mut element = |set: &str, key: Vec<Datum>, data: Data| {
        plan.add(Key::Element(set.into(), key), Object::Element(data));
    };
    for mapping in elsewhere {
        let Some(host_ip) = mapping.host_ip else {
            continue;
        };
        let key = vec![
            Datum::Protocol(mapping.protocol),
            address(host_ip),
            Datum::Port(mapping.host_port),
        ];
        element(
            by_address,
            key,
            Data::Socket(target, mapping.container_port),
        );
    }
    everywhere.sort_by_key(|mapping| (mapping.protocol, mapping.host_port));
    for run in everywhere.chunk_by(|a, b| continues(a, b)) {
        let (protocol, first, last) = (
            run[0].protocol,
            run[0].host_port,
            run[run.len() - 1].host_port,
        );
        if run.len() >= RANGE {
            element(
                by_range,
                vec![Datum::Protocol(protocol), Datum::Ports(first, last)],
                Data::Address(target),
            );
            continue;
        }
        for mapping in run {
            let key = vec![Datum::Protocol(protocol), Datum::Port(mapping.host_port)];
            element(by_port, key, Data::Socket(target, mapping.container_port));
        }
    }
}

/// Adds the elements that open the ports of an endpoint to direct routing.
pub(super) fn plan_open(
    mappings: &[PortMapping],
    bridge: &InterfaceName,
    target: IpAddr,
    plan: &mut Plan,
) {
    let open = IpFamily::of(target).pick(set::OPEN4, set::OPEN6);
    for mapping in mappings.iter().filter(|mapping| mapping.is_for(target)) {
        let key = vec![
            Datum::Interface(bridge.clone()),
            address(target),
            Datum::Protocol(mapping.protocol),
            Datum::Port(mapping.container_port),
        ];
        plan.add(Key::Element(open.into(), key), Object::Element(Data::None));
    }
}

/// Whether two mappings belong to one run of ports that are the same inside and outside.
fn continues(a: &PortMapping, b: &PortMapping) -> bool {
    let identity = |mapping: &PortMapping| mapping.host_port == mapping.container_port;
    identity(a)
        && identity(b)
        && a.protocol == b.protocol
        && a.host_port.checked_add(1) == Some(b.host_port)
}

/// What is to be forgotten when the ports of a running sandbox change: connections to those that go,
/// at the host and at `targets`, the addresses they lead to, and what was sent to those UDP ports
/// that come. Everything else goes on.
pub fn forget_changed(
    old: &[PortMapping],
    new: &[PortMapping],
    targets: &[IpAddr],
) -> Option<Effect> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let gone = before.difference(&after).copied();
    let come = after.difference(&before).copied();
    let come = come.filter(|mapping| mapping.protocol == Protocol::Udp);
    let at_host = gone.chain(come).filter(|mapping| mapping.is_translated());
    let mut ports: Vec<PortMapping> = at_host.cloned().collect();
    for target in targets {
        let (before, after) = (inside(old, *target), inside(new, *target));
        ports.extend(before.difference(&after).cloned());
    }
    (!ports.is_empty()).then_some(Effect::ForgetPublished(ports))
}

/// The ports that lead to an address, as who goes there directly sees them.
fn inside(mappings: &[PortMapping], target: IpAddr) -> BTreeSet<PortMapping> {
    let mappings = mappings.iter().filter(|mapping| mapping.is_for(target));
    let direct = mappings.map(|mapping| PortMapping {
        host_ip: Some(target),
        host_port: mapping.container_port,
        ..mapping.clone()
    });
    direct.collect()
}

/// The UDP ports among the mappings: a sender keeps its tracked connection alive for ever.
pub(crate) fn udp_ports(mappings: &[PortMapping]) -> impl Iterator<Item = u16> {
    let udp = mappings
        .iter()
        .filter(|mapping| mapping.protocol == Protocol::Udp && mapping.is_translated());
    udp.map(|mapping| mapping.host_port)
}

/// An address as a field of an element.
pub(crate) fn address(ip: IpAddr) -> Datum {
    match ip {
        IpAddr::V4(ip) => Datum::Ipv4(ip),
        IpAddr::V6(ip) => Datum::Ipv6(ip),
    }
}
