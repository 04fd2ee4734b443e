//! Whether an engine shows what the model says, and the kernel, the disk and the resolvers have just
//! that: counted and compared without a plan of the product's.

use crate::disk;
use crate::model::{Model, Sandbox as Wanted};
use crate::operation::SHAPES;
use crate::world::{World, bridge, id, net};

use ipnet::IpNet;
use sealane_core::dns::Zone;
use sealane_core::model::{Endpoint, NetworkId, Sandbox};
use sealane_core::nft::{Data, Datum};
use sealane_core::plan::{Key, LinkKind, Netns, Object};
use sealane_engine::Resolver;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;

const DEFAULT_BRIDGE: &str = "docker0";

/// What the kernel has.
type Objects = BTreeMap<Key, Object>;

/// Nothing, or what is not as it should be.
pub(crate) type Agreement = Result<(), String>;

/// What the engine shows, and what is beneath it.
pub(crate) fn agrees(world: &World, model: &Model) -> Agreement {
    agrees_but_for_files(world, model)?;
    disk::hosts(world, model)
}

/// The same, whatever is in the files that containers read.
pub(crate) fn agrees_but_for_files(world: &World, model: &Model) -> Agreement {
    shows(world, model)?;
    let objects = world.kernel.objects();
    links(&objects, model)?;
    addresses(world, &objects, model)?;
    ports(world, &objects, model)?;
    names(world, model)?;
    disk::records(world, model)?;
    let drift = world.engine.drift().expect("the kernel can be read");
    equal("what differs from the plans", &drift, &vec![])
}

/// What the engine shows.
pub(crate) fn shows(world: &World, model: &Model) -> Agreement {
    let engine = &world.engine;
    let named = engine.networks().into_iter();
    let named: BTreeSet<String> = named.map(|found| found.spec.name.clone()).collect();
    let defaults = ["bridge", "host", "none"].map(str::to_owned);
    let wanted = model.networks.keys().map(|n| net(*n)).chain(defaults);
    equal("networks", &named, &wanted.collect())?;
    for (n, wanted) in &model.networks {
        let found = engine.find_network(&net(*n)).expect("it is named");
        let mtu = found.settings().mtu().unwrap_or(0);
        equal(
            "MTU, IPv6",
            &(mtu, found.spec.enable_ipv6),
            &(wanted.mtu, wanted.ipv6),
        )?;
        let (reserved, _) = engine.expected(&net(*n)).expect("it is named");
        let reserved = reserved.into_iter().map(|one| (one.address, one.holder));
        let reserved: BTreeMap<_, _> = reserved.collect();
        equal("reservations", &reserved, &wanted.reserved)?;
    }
    let known: BTreeSet<_> = engine.sandboxes().iter().map(|found| found.id).collect();
    let wanted = model.sandboxes.keys().map(|s| id(*s)).collect();
    equal("sandboxes", &known, &wanted)?;
    for (s, wanted) in &model.sandboxes {
        let found = engine.sandbox(&id(*s)).expect("it is known");
        equal("name", &found.name, &wanted.name)?;
        let ports: BTreeSet<u16> = found.ports.iter().map(|port| port.host_port).collect();
        equal("ports", &ports, &wanted.ports)?;
        let joined: BTreeSet<NetworkId> = found.endpoints.keys().copied().collect();
        equal(
            "joined",
            &joined,
            &networks_of(world, wanted).into_keys().collect(),
        )?;
        for (network, n) in networks_of(world, wanted) {
            check_addresses(model, n, wanted, &found.endpoints[&network])?;
        }
    }
    Ok(())
}

/// The networks that a sandbox is on, by id.
fn networks_of(world: &World, wanted: &Wanted) -> BTreeMap<NetworkId, u64> {
    let by_name = |n: &u64| Some((world.engine.find_network(&net(*n)).ok()?.id, *n));
    wanted.joined.keys().filter_map(by_name).collect()
}

/// An endpoint has what is known of it, and what it was given is its network's to give.
fn check_addresses(model: &Model, n: u64, wanted: &Wanted, shown: &Endpoint) -> Agreement {
    let (shape, network) = (SHAPES[n as usize], &model.networks[&n]);
    let has: BTreeSet<IpAddr> = shown.addresses().collect();
    let families = (shown.ipv4.is_some(), shown.ipv6.is_some());
    equal("families", &families, &(true, network.ipv6))?;
    let known = &wanted.joined[&n];
    if !known.is_subset(&has) {
        return Err(format!(
            "{} has {has:?} and not {known:?} on n{n}",
            wanted.name
        ));
    }
    let (subnet, gateway) = (shape.subnet(), shape.gateway());
    let v4 = shown.ipv4.map(|net| IpAddr::V4(net.addr()));
    let outside = |ip: &IpAddr| !subnet.hosts().any(|host| host == *ip) || *ip == gateway;
    if let Some(ip) = v4.filter(outside) {
        return Err(format!("{ip} is none of n{n}'s to give"));
    }
    // One that was there before the reservation keeps it.
    let fresh = has.difference(known);
    let mut kept = fresh.filter_map(|ip| Some((ip, network.reserved.get(ip)?)));
    match kept.find(|(_, holder)| holder.as_ref() != Some(&wanted.name)) {
        Some((ip, _)) => Err(format!(
            "{ip} of n{n} is reserved, and {} got it",
            wanted.name
        )),
        None => Ok(()),
    }
}

/// The model with the addresses that the engine chose.
pub(crate) fn learnt(world: &World, model: &Model) -> Model {
    let mut model = model.clone();
    for (s, own) in &mut model.sandboxes {
        let found = world.engine.sandbox(&id(*s)).expect("it is known");
        for (network, n) in networks_of(world, own) {
            own.joined
                .insert(n, found.endpoints[&network].addresses().collect());
        }
    }
    model
}

/// A bridge for each network and a pair for each endpoint, on its bridge.
fn links(objects: &Objects, model: &Model) -> Agreement {
    let (mut bridges, mut pairs) = (BTreeSet::new(), vec![]);
    for (key, object) in objects {
        if let (Key::Link(netns, name), Object::Link(link)) = (key, object) {
            equal("where links are made", netns, &Netns::Host)?;
            if let LinkKind::Veth { peer, .. } = &link.kind {
                let on = link.port.as_ref().map(|port| port.bridge.to_string());
                pairs.push((on.unwrap_or_default(), peer.0));
            } else {
                bridges.insert((name.to_string(), link.mtu.unwrap_or(0)));
            }
        }
    }
    let own = model.networks.iter().map(|(n, net)| (bridge(*n), net.mtu));
    let default = [(DEFAULT_BRIDGE.to_owned(), 1_500)];
    equal("bridges", &bridges, &own.chain(default).collect())?;
    let ends = model.sandboxes.iter().flat_map(|(s, own)| {
        let joined = own.joined.keys();
        joined.map(|n| (bridge(*n), Netns::Sandbox(id(*s))))
    });
    let mut ends: Vec<_> = ends.collect();
    ends.sort();
    pairs.sort();
    equal("pairs", &pairs, &ends)?;
    let namespaces = objects.keys().filter_map(Key::as_namespace).collect();
    let wanted: BTreeSet<Netns> = model
        .sandboxes
        .keys()
        .map(|s| Netns::Sandbox(id(*s)))
        .collect();
    equal("namespaces", &namespaces, &wanted)
}

/// The gateways on the host, and in each sandbox just what it is shown with, and a way out for each
/// family that has one.
fn addresses(world: &World, objects: &Objects, model: &Model) -> Agreement {
    let (mut has, mut routes) = (BTreeMap::<Netns, BTreeSet<_>>::new(), BTreeSet::new());
    for key in objects.keys() {
        if let Key::Address(netns, link, address) = key {
            has.entry(*netns)
                .or_default()
                .insert((link.to_string(), address.addr()));
        }
        if let Key::Route(netns, route) = key
            && route.to.prefix_len() == 0
        {
            routes.insert((*netns, matches!(route.to, IpNet::V6(_))));
        }
    }
    let host = has.remove(&Netns::Host).unwrap_or_default();
    for n in model.networks.keys() {
        let gateway = (bridge(*n), SHAPES[*n as usize].gateway());
        if !host.contains(&gateway) {
            return Err(format!("the host has no {gateway:?}"));
        }
    }
    let of_both = model
        .networks
        .values()
        .filter(|network| network.ipv6)
        .count();
    // Those of IPv6 have a link-local gateway besides.
    let plain = host
        .iter()
        .filter(|(_, ip)| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    equal(
        "gateways",
        &plain.count(),
        &(1 + model.networks.len() + of_both),
    )?;
    let mut ways = BTreeSet::new();
    for (s, own) in &model.sandboxes {
        let netns = Netns::Sandbox(id(*s));
        let found = world.engine.sandbox(&id(*s)).expect("it is known");
        let shown = found.endpoints.values().flat_map(|end| {
            let link = end.interface.to_string();
            end.addresses().map(move |ip| (link.clone(), ip))
        });
        equal(
            "addresses",
            &has.remove(&netns).unwrap_or_default(),
            &shown.collect(),
        )?;
        let out = |n: &&u64| !SHAPES[**n as usize].internal;
        ways.extend(own.joined.keys().filter(out).map(|_| (netns, false)));
        let both = own
            .joined
            .keys()
            .filter(out)
            .filter(|n| model.networks[n].ipv6);
        ways.extend(both.map(|_| (netns, true)));
    }
    equal("addresses of nobody", &has, &BTreeMap::new())?;
    equal("default routes", &routes, &ways)
}

/// Each published port leads to its sandbox, and no other port leads anywhere.
fn ports(world: &World, objects: &Objects, model: &Model) -> Agreement {
    let mut leads = BTreeMap::<u16, BTreeSet<IpAddr>>::new();
    for (key, object) in objects {
        if let (Key::Element(_, parts), Object::Element(Data::Socket(to, 80))) = (key, object) {
            let port = parts.iter().find_map(|part| {
                let Datum::Port(port) = part else {
                    return None;
                };
                Some(*port)
            });
            leads.entry(port.unwrap_or(0)).or_default().insert(*to);
        }
    }
    let wanted = model.sandboxes.values().flat_map(|own| own.ports.iter());
    equal(
        "published",
        &leads.keys().collect(),
        &wanted.collect::<BTreeSet<_>>(),
    )?;
    for (s, own) in &model.sandboxes {
        let found = world.engine.sandbox(&id(*s)).expect("it is known");
        let has: BTreeSet<IpAddr> = addresses_of(&found).collect();
        for port in &own.ports {
            if !leads[port].is_subset(&has) {
                return Err(format!(
                    "port {port} of {} leads to {:?}",
                    own.name, leads[port]
                ));
            }
        }
    }
    Ok(())
}

pub(crate) fn addresses_of(sandbox: &Sandbox) -> impl Iterator<Item = IpAddr> + '_ {
    sandbox.endpoints.values().flat_map(Endpoint::addresses)
}

/// Who has a network of the user's has a resolver, and is known to its networks by name.
fn names(world: &World, model: &Model) -> Agreement {
    let joined = model
        .sandboxes
        .iter()
        .filter(|(_, own)| !own.joined.is_empty());
    // A resolver that was started once serves on.
    let served = world.told.served();
    let wanted: BTreeSet<_> = joined.map(|(s, _)| id(*s)).collect();
    if !wanted.is_subset(&served) {
        return Err(format!("{wanted:?} should be served, and {served:?} are"));
    }
    for n in model.networks.keys() {
        let network = world.engine.find_network(&net(*n)).expect("it is named");
        let zone: Zone = world.told.zone(&network.id).unwrap_or_default();
        for (s, own) in &model.sandboxes {
            let is_member = own.joined.contains_key(n);
            let known = zone.endpoint(&Endpoint::id_of(&id(*s), &network.id));
            let called = known.is_some_and(|known| known.names.contains(&own.name));
            equal("has a name", &(*s, *n, called), &(*s, *n, is_member))?;
            let named = zone.named(&own.name).len();
            equal("is found by name", &named, &usize::from(is_member))?;
        }
    }
    Ok(())
}

pub(crate) fn equal<T: PartialEq + Debug>(what: &str, found: &T, wanted: &T) -> Agreement {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} instead of {wanted:?}")),
    }
}
