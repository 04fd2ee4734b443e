//! A journey: to the target, through the daemon's relay if need be, and the answer's way back.

use super::packet::{Packet, Transport};
use super::report::{Arrival, Hop, HopKind, Verdict};
use super::scene::Scene;
use super::walk::{Lost, Place, Walk};
use super::why;
use crate::model::{IpFamily, PortMapping, Protocol, Sandbox, SandboxId};
use crate::scopes::Gateways;
use std::net::{IpAddr, SocketAddr};

/// What became of a packet and its answer.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) arrives: Option<Arrival>,
    pub(super) hops: Vec<Hop>,
}

/// Sends a packet from a place, and its answer back.
pub(super) fn travel(scene: &Scene<'_>, from: &Place, packet: Packet) -> Journey {
    let mut journey = Journey {
        verdict: Verdict::Passes,
        reason: String::new(),
        arrives: None,
        hops: Vec::new(),
    };
    match go(scene, from, packet, &mut journey) {
        Ok(reason) => journey.reason = reason,
        Err(lost) => {
            journey.verdict = lost.verdict;
            journey.reason = lost.reason;
        }
    }
    journey
}

fn go(
    scene: &Scene<'_>,
    from: &Place,
    packet: Packet,
    journey: &mut Journey,
) -> Result<String, Lost> {
    let mut walk = Walk::new(scene, packet);
    let end = walk.send(from);
    journey.hops.append(&mut walk.hops);
    let end = end?;
    let received = walk.packet;
    let relayed = match end {
        Place::Host => relayed(scene, &received),
        Place::Sandbox(_) | Place::Outside(_) => None,
    };
    let mut refusal = None;
    if relayed.is_none() {
        journey.arrives = Some(arrival(scene, &end, &received));
        refusal = deliver(scene, &end, &received, journey).err();
    }
    if let Err(lost) = come_back(scene, &mut walk, from, end.clone(), packet) {
        journey.hops.push(answer(scene, &end, &lost.reason));
        return Err(match refusal {
            Some(refusal) => Lost {
                reason: format!(
                    "{}, and the refusal does not arrive: {}",
                    refusal.reason, lost.reason
                ),
                ..lost
            },
            None => lost,
        });
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if let Some(chain) = walk.depends {
        return Err(Lost {
            verdict: Verdict::Depends,
            reason: format!("chain {chain} is not ours: its rules have the last word"),
        });
    }
    match relayed {
        Some((owner, to)) => relay(scene, owner, &received, to, journey),
        None => Ok(summary(scene, &end, &received)),
    }
}

/// The answer's way: it has to look as if it came from where the packet was sent.
fn come_back(
    scene: &Scene<'_>,
    walk: &mut Walk<'_, '_>,
    from: &Place,
    end: Place,
    sent: Packet,
) -> Result<(), Lost> {
    walk.turn();
    let back = walk.send(&end);
    let none = |reason: String| Lost {
        verdict: Verdict::NoAnswer,
        reason,
    };
    let place = back.map_err(|lost| none(format!("the answer is lost: {}", lost.reason)))?;
    let seen = walk.packet.source;
    if place != *from || walk.packet.destination.ip() != sent.source.ip() {
        return Err(none(format!(
            "the answer goes astray, to {}",
            walk.packet.destination.ip()
        )));
    }
    if seen != sent.destination {
        let end = name_of(scene, &end);
        return Err(none(format!(
            "{end} answers by another way, as {seen}, and not as {}",
            sent.destination
        )));
    }
    Ok(())
}

/// The daemon takes the packet and sends its own to the container.
fn relay(
    scene: &Scene<'_>,
    owner: SandboxId,
    received: &Packet,
    to: SocketAddr,
    journey: &mut Journey,
) -> Result<String, Lost> {
    let name = scene.place(Some(owner));
    journey.hops.push(Hop {
        kind: HopKind::Relay,
        place: "host".into(),
        text: format!("the daemon itself takes it, and relays it to {name} at {to}"),
        rules: vec![],
    });
    let route = scene.host().route(to.ip());
    let source = route.and_then(|route| scene.host().source(route, to.ip()));
    let Some(source) = source else {
        return Err(Lost {
            verdict: Verdict::NoRoute,
            reason: format!("the host has no route to {to}"),
        });
    };
    let own = Packet {
        source: SocketAddr::new(source, received.source.port()),
        destination: to,
        ..*received
    };
    go(scene, &Place::Host, own, journey)
}

/// Whose published port the daemon's relay serves at an address of the host, and where it leads.
fn relayed(scene: &Scene<'_>, packet: &Packet) -> Option<(SandboxId, SocketAddr)> {
    if !scene.world.relays || matches!(packet.transport, Transport::Sctp | Transport::Icmp) {
        return None;
    }
    let protocol = packet.transport.protocol()?;
    let serves = |mapping: &&PortMapping| {
        mapping.protocol == protocol
            && mapping.is_translated()
            && mapping.host_port == packet.destination.port()
            && covers(mapping.host_ip, packet.destination.ip())
    };
    let sandboxes = scene.world.sandboxes.values();
    let mut found = sandboxes.filter_map(|sandbox| {
        let mapping = sandbox.ports.iter().find(serves)?;
        let target = leads_to(scene, sandbox, packet.family())?;
        Some((sandbox.id, SocketAddr::new(target, mapping.container_port)))
    });
    found.next()
}

/// Whether a socket bound to an address, or to all, receives what is sent to `to`.
fn covers(bound: Option<IpAddr>, to: IpAddr) -> bool {
    match bound {
        None => true,
        Some(ip) if ip.is_unspecified() => ip.is_ipv6() == to.is_ipv6(),
        Some(ip) => ip == to,
    }
}

/// The container's address that a relayed port leads to: of the family it came by if there is one.
fn leads_to(scene: &Scene<'_>, sandbox: &Sandbox, family: IpFamily) -> Option<IpAddr> {
    let gateways = Gateways::choose(sandbox, scene.world.networks);
    let v4 = gateways
        .v4
        .and_then(|end| end.ipv4)
        .map(|net| IpAddr::V4(net.addr()));
    let v6 = gateways
        .v6
        .and_then(|end| end.ipv6)
        .map(|net| IpAddr::V6(net.addr()));
    family.pick(v4.or(v6), v6.or(v4))
}

/// Hands the packet over where it arrived, if something receives it there.
fn deliver(
    scene: &Scene<'_>,
    end: &Place,
    packet: &Packet,
    journey: &mut Journey,
) -> Result<(), Lost> {
    let target = packet.target();
    let sandbox = match end {
        Place::Sandbox(id) => Some(*id),
        Place::Host | Place::Outside(_) => None,
    };
    let (text, refusal) = match (end, packet.transport.protocol()) {
        (Place::Outside(link), _) => {
            let source = packet.source.ip();
            (
                format!("it leaves the host by {link}, as from {source}"),
                None,
            )
        }
        (Place::Sandbox(_) | Place::Host, None) => {
            (format!("it reaches {target}, which answers"), None)
        }
        (Place::Sandbox(_) | Place::Host, Some(protocol)) => {
            match received(scene, sandbox, protocol, packet) {
                Ok(()) => (format!("something listens on {target}/{protocol}"), None),
                Err(lost) => (lost.reason.clone(), Some(lost)),
            }
        }
    };
    journey.hops.push(Hop {
        kind: HopKind::Delivery,
        place: name_of(scene, end),
        text,
        rules: vec![],
    });
    refusal.map_or(Ok(()), Err)
}

fn received(
    scene: &Scene<'_>,
    sandbox: Option<SandboxId>,
    protocol: Protocol,
    packet: &Packet,
) -> Result<(), Lost> {
    if (scene.world.listening)(sandbox, protocol, packet.destination) {
        return Ok(());
    }
    let (place, hint) = match sandbox {
        Some(id) => (format!("in {}", scene.place(Some(id))), String::new()),
        None => (
            "on the host".into(),
            why::published_elsewhere(scene, packet),
        ),
    };
    Err(Lost {
        verdict: Verdict::NothingListens,
        reason: format!(
            "nothing listens {place} on {}/{protocol}{hint}",
            packet.target()
        ),
    })
}

fn answer(scene: &Scene<'_>, end: &Place, reason: &str) -> Hop {
    Hop {
        kind: HopKind::Answer,
        place: name_of(scene, end),
        text: reason.into(),
        rules: vec![],
    }
}

fn arrival(scene: &Scene<'_>, end: &Place, packet: &Packet) -> Arrival {
    Arrival {
        place: name_of(scene, end),
        source: packet.source.ip(),
        destination: packet.destination,
    }
}

fn summary(scene: &Scene<'_>, end: &Place, packet: &Packet) -> String {
    let (target, source) = (packet.target(), packet.source.ip());
    match end {
        Place::Sandbox(_) | Place::Host => {
            format!(
                "{} receives it at {target}, as from {source}",
                name_of(scene, end)
            )
        }
        Place::Outside(link) => {
            format!(
                "it leaves the host by {link}, as from {source}; what is beyond is not known here"
            )
        }
    }
}

fn name_of(scene: &Scene<'_>, place: &Place) -> String {
    match place {
        Place::Sandbox(id) => scene.place(Some(*id)),
        Place::Host => "host".into(),
        Place::Outside(_) => "outside".into(),
    }
}
