//! Sentences: why a packet goes where it goes, in the words of networks and containers.

use super::host::HostRoute;
use super::packet::Packet;
use super::ruleset::Step;
use super::scene::Scene;
use crate::drivers::Driven;
use crate::model::{IpFamily, PortMapping, SandboxId};
use crate::scopes::set;
use std::net::{IpAddr, SocketAddr};

/// Why the firewall ended a packet between two links of the host.
pub(super) fn dropped(
    scene: &Scene<'_>,
    packet: &Packet,
    input: &str,
    output: &str,
    steps: &[Step],
) -> String {
    let (from, to) = (scene.network(input), scene.network(output));
    let reason = between(packet, from, to, steps);
    reason + &published_as(scene, packet)
}

fn between(packet: &Packet, from: Option<&Driven>, to: Option<&Driven>, steps: &[Step]) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from.id == to.id => within(from),
        (Some(from), _) if from.spec.internal => {
            format!("network {} is internal, nothing leaves it", from.spec.name)
        }
        (_, Some(to)) if to.spec.internal => {
            format!("network {} is internal, nothing enters it", to.spec.name)
        }
        (Some(from), Some(to)) => format!(
            "networks {} and {} are isolated from each other, but for published ports",
            from.spec.name, to.spec.name
        ),
        (None, Some(to)) => format!(
            "only published ports lead into network {} from outside",
            to.spec.name
        ),
        (Some(_), None) | (None, None) => by_rule(packet, steps),
    }
}

fn within(network: &Driven) -> String {
    format!(
        "network {} {}",
        network.spec.name,
        network.settings().why_apart()
    )
}

fn by_rule(packet: &Packet, steps: &[Step]) -> String {
    let last = steps.last();
    let set = last
        .and_then(|step| step.element.as_ref())
        .map(|found| found.set.as_str());
    if set == Some(set::FOREIGN) {
        return "the host did not forward before there were containers, and does so for their \
                networks only"
            .into();
    }
    match last {
        Some(step) => format!("chain {} has the rule \"{}\"", step.chain, step.rule),
        None => format!("a filter ends packets to {}", packet.target()),
    }
}

/// How the port of a container could be reached by the host, as the end of a sentence.
fn published_as(scene: &Scene<'_>, packet: &Packet) -> String {
    let owner = scene.world.sandboxes.values().find(|sandbox| {
        let mut endpoints = sandbox.endpoints.values();
        endpoints.any(|end| end.addresses().any(|own| own == packet.destination.ip()))
    });
    let Some((owner, protocol)) = owner.zip(packet.transport.protocol()) else {
        return String::new();
    };
    let same = |mapping: &&PortMapping| {
        mapping.protocol == protocol
            && mapping.is_translated()
            && mapping.container_port == packet.destination.port()
    };
    let port = packet.destination.port();
    match owner.ports.iter().find(same) {
        Some(mapping) => format!(
            "; port {port} of {} is published as {} of the host",
            owner.name,
            binding(mapping)
        ),
        None => String::new(),
    }
}

/// Who publishes a port that was asked for at an address it is not published at.
pub(super) fn published_elsewhere(scene: &Scene<'_>, packet: &Packet) -> String {
    let same = |mapping: &&PortMapping| {
        Some(mapping.protocol) == packet.transport.protocol()
            && mapping.host_port == packet.destination.port()
    };
    let mut sandboxes = scene.world.sandboxes.values();
    let found = sandboxes.find_map(|sandbox| Some((sandbox, sandbox.ports.iter().find(same)?)));
    match found {
        Some((sandbox, mapping)) => {
            format!(
                "; {} publishes it as {} only",
                sandbox.name,
                binding(mapping)
            )
        }
        None => String::new(),
    }
}

/// The host's side of a published port: `127.0.0.1:8080`, or `port 8080` for every address.
fn binding(mapping: &PortMapping) -> String {
    match mapping.host_ip.filter(|ip| !ip.is_unspecified()) {
        Some(ip) => SocketAddr::new(ip, mapping.host_port).to_string(),
        None => format!("port {}", mapping.host_port),
    }
}

/// That two ports of a bridge do not see each other.
pub(super) fn isolated(scene: &Scene<'_>, packet: &Packet, bridge: &str) -> String {
    let what = scene.network(bridge).map(within);
    let what = what.unwrap_or_else(|| "they are isolated from each other".into());
    let hint = published_as(scene, packet);
    format!("{what} (both are isolated ports of {bridge}){hint}")
}

/// That a parent does not see what sits on it.
pub(super) fn apart(parent: &str) -> String {
    format!(
        "the kernel keeps {parent} and the links that sit on it apart (-o host_access=true gives \
         the host one of its own)"
    )
}

/// That no endpoint has an address on a bridge.
pub(super) fn nobody(scene: &Scene<'_>, bridge: &str, address: IpAddr) -> String {
    format!("nobody has {address} on {}", scene.device(bridge))
}

/// That a sandbox has no way to an address.
pub(super) fn no_route_in(scene: &Scene<'_>, id: SandboxId, to: IpAddr) -> String {
    let name = scene.place(Some(id));
    let family = IpFamily::of(to);
    let networks = networks_of(scene, id);
    let has_family = scene.stack(id).is_some_and(|stack| stack.speaks(family));
    match networks.as_slice() {
        [] => format!("{name} is on no network"),
        _ if !has_family => format!("{name} has no {family} address"),
        [one] if one.spec.internal => {
            format!(
                "network {}, its only one, is internal: {name} has no route to {to}",
                one.spec.name
            )
        }
        all if all.iter().all(|network| network.spec.internal) => {
            format!("all networks of {name} are internal: it has no route to {to}")
        }
        [..] => format!("{name} has no {family} route to {to}"),
    }
}

fn networks_of<'a>(scene: &Scene<'a>, id: SandboxId) -> Vec<&'a Driven> {
    let sandbox = scene.world.sandboxes.get(&id);
    let joined = sandbox
        .into_iter()
        .flat_map(|sandbox| sandbox.endpoints.keys());
    joined
        .filter_map(|network| scene.world.networks.get(network).map(AsRef::as_ref))
        .collect()
}

/// The route that a sandbox's packet takes.
pub(super) fn route(scene: &Scene<'_>, route: &HostRoute, to: IpAddr, bridge: &str) -> String {
    let link = &route.link;
    let network = scene.device(bridge);
    match route.via {
        Some(via) if route.to.prefix_len() == 0 => {
            format!("{to} is reached by the default route: via {via} on {link}, {network}")
        }
        Some(via) => format!("{to} is reached via {via} on {link}, {network}"),
        None => format!("{to} is on {link}, {network}"),
    }
}
