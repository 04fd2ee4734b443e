//! Why a packet passes, or does not: what decides it, in the order it happens.
//!
//! There is no second model of networks here. The [plan](crate::plan) of all scopes is what the
//! executor has written, so it is what is interpreted: addresses, routes, the ports of bridges, the
//! rules of our table with the elements of its sets. The rest are facts of the host, which are
//! arguments. What Linux does with all that is in `walk`; what the rules do in `ruleset`.
//!
//! Touches nothing, sends nothing. Start at [`explain`].

mod host;
mod inside;
mod journey;
mod names;
mod packet;
mod question;
mod report;
mod ruleset;
mod scene;
mod stack;
mod walk;
mod why;

pub use host::{ForeignFilter, HostFacts, HostRoute, Listening};
pub use inside::{differences, inside};
pub use names::Names;
pub use packet::{Packet, Transport};
pub use question::{InvalidTarget, Sender, Target};
pub use report::{Arrival, Hop, HopKind, Path, Report, Verdict};
pub use ruleset::{Element, Step};
pub use scene::World;

use crate::model::IpFamily;
use names::Resolved;
use scene::Scene;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use walk::Place;

/// A source port like those that the kernel chooses.
const SOURCE_PORT: u16 = 40_000;

/// Says whether a packet passes from a sender to a target, and what decides it.
pub fn explain(world: World<'_>, from: Sender, to: &Target, names: &Names<'_>) -> Report {
    let scene = Scene::new(world);
    let resolved = names::resolve(&scene, from, &to.name, names);
    let mut addresses = resolved.addresses.clone();
    addresses.sort_by_key(|address| {
        let usable = origin(&scene, from, *address).is_ok();
        (!usable, Reverse(precedence(*address)))
    });
    let paths = addresses
        .iter()
        .map(|address| path(&scene, from, *address, to));
    let mut paths: Vec<Path> = paths.collect();
    if let Some(first) = paths.first_mut() {
        first.first = true;
    }
    let (verdict, reason) = conclusion(&resolved, &to.name, &paths);
    Report {
        from: match from {
            Sender::Sandbox(id) => scene.place(Some(id)),
            Sender::Host => "host".into(),
            Sender::Outside(address) => address.to_string(),
            Sender::Lan => "lan".into(),
        },
        to: match to.port {
            0 => to.name.clone(),
            port if to.name.contains(':') => format!("[{}]:{port}", to.name),
            port => format!("{}:{port}", to.name),
        },
        protocol: to.transport,
        verdict,
        reason,
        names: resolved.hop.into_iter().collect(),
        paths,
        changed: vec![],
    }
}

/// How soon an address is tried among several that can be reached (RFC 6724, 2.1).
fn precedence(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 35,
        IpAddr::V6(address) if address.is_loopback() => 50,
        IpAddr::V6(address) if address.is_unique_local() => 3,
        IpAddr::V6(_) => 40,
    }
}

/// The verdict on the address tried first. A name that the sender does not know leads nowhere,
/// even if its address would.
fn conclusion(resolved: &Resolved, name: &str, paths: &[Path]) -> (Verdict, String) {
    let Some(first) = paths.first() else {
        return (
            Verdict::NoSuchName,
            format!("the name \"{name}\" stands for no address"),
        );
    };
    match &resolved.unknown {
        Some(unknown) if first.verdict == Verdict::Passes => {
            let text = format!("{unknown}; its address {} would do", first.destination);
            (Verdict::NoSuchName, text)
        }
        Some(_) | None => (first.verdict, first.reason.clone()),
    }
}

fn path(scene: &Scene<'_>, from: Sender, address: IpAddr, to: &Target) -> Path {
    let destination = SocketAddr::new(address, to.port);
    let written = packet::written(address, to.port);
    let (place, source) = match origin(scene, from, address) {
        Ok(origin) => origin,
        Err(reason) => {
            return Path {
                first: false,
                source: None,
                destination: written,
                verdict: Verdict::NoRoute,
                reason,
                arrives: None,
                hops: vec![],
            };
        }
    };
    let port = if to.port == 0 { 0 } else { SOURCE_PORT };
    let packet = Packet {
        transport: to.transport,
        source: SocketAddr::new(source, port),
        destination,
    };
    let journey = journey::travel(scene, &place, packet);
    Path {
        first: false,
        source: Some(source),
        destination: written,
        verdict: journey.verdict,
        reason: journey.reason,
        arrives: journey.arrives,
        hops: journey.hops,
    }
}

/// Where a packet to an address starts, and with which source; or why it cannot.
fn origin(scene: &Scene<'_>, from: Sender, to: IpAddr) -> Result<(Place, IpAddr), String> {
    let (place, stack) = match from {
        Sender::Sandbox(id) => (Place::Sandbox(id), scene.stack(id)),
        Sender::Host => (Place::Host, Some(scene.host())),
        Sender::Outside(address) => return from_outside(scene, address, to),
        Sender::Lan => {
            let router = scene.host().router(IpFamily::of(to));
            let router = router.ok_or("the host has no default route, so nobody is beyond it")?;
            return from_outside(scene, router, to);
        }
    };
    let missing = || match from {
        Sender::Sandbox(id) => why::no_route_in(scene, id, to),
        Sender::Host | Sender::Outside(_) | Sender::Lan => format!("the host has no route to {to}"),
    };
    if to.is_ipv4() && to.is_loopback() {
        return Ok((place, Ipv4Addr::LOCALHOST.into()));
    }
    if to.is_loopback() {
        return Ok((place, to));
    }
    if let Some(own) = stack.filter(|stack| stack.is_local(to)) {
        return Ok((place, own.own_source(to)));
    }
    let route = stack.and_then(|stack| stack.route(to));
    let source = stack
        .zip(route)
        .and_then(|(stack, route)| stack.source(route, to));
    Ok((place, source.ok_or_else(missing)?))
}

fn from_outside(scene: &Scene<'_>, address: IpAddr, to: IpAddr) -> Result<(Place, IpAddr), String> {
    if address.is_ipv6() != to.is_ipv6() {
        return Err(format!("{address} and {to} are of different families"));
    }
    if let Some(parent) = scene.wire_of(to) {
        return Ok((Place::Outside(parent.to_owned()), address));
    }
    let Some(route) = scene.host().route(address) else {
        return Err(format!(
            "the host has no route to {address}, so nothing comes from there"
        ));
    };
    if scene.is_bridge(&route.link) || scene.host().is_local(address) {
        return Err(format!(
            "{address} is not outside: name the container or the host"
        ));
    }
    Ok((Place::Outside(route.link.clone()), address))
}

#[cfg(test)]
mod tests;
