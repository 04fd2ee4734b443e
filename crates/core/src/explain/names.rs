//! Names: which addresses the target's name stands for, as the sender resolves it.

use super::question::Sender;
use super::report::{Hop, HopKind};
use super::scene::Scene;
use crate::dns::{View, Zones};
use crate::model::{Endpoint, EndpointId, IpFamily, Sandbox, SandboxId};
use crate::scopes::Gateways;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the sender's names are made of.
#[derive(Clone, Copy, Default)]
pub struct Names<'a> {
    /// The text of its hosts file.
    pub hosts: &'a str,
    /// What its resolver sees; `None` if it has no resolver of ours.
    pub view: Option<(&'a View, &'a Zones)>,
    /// What servers outside have answered; `None` if they were not asked.
    pub upstream: Option<&'a [IpAddr]>,
    /// The container that the target's name means to people: its name or id.
    pub container: Option<SandboxId>,
}

/// What a name stands for.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) hop: Option<Hop>,
    /// Why the sender does not know the name, although we know whom it means.
    pub(super) unknown: Option<String>,
}

impl Names<'_> {
    /// Whether the sender's own names and ours leave this one to servers outside.
    pub fn leave_open(&self, name: &str) -> bool {
        let by_resolver = self
            .view
            .is_some_and(|(view, zones)| view.find(zones, &name.to_ascii_lowercase()).is_some());
        let own = !in_hosts(self.hosts, name).is_empty();
        name.parse::<IpAddr>().is_err()
            && !matches!(name, "host" | "outside")
            && !(by_resolver || own || self.container.is_some())
    }
}

/// The addresses of a name, and who says so.
pub(super) fn resolve(scene: &Scene<'_>, from: Sender, name: &str, names: &Names<'_>) -> Resolved {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Resolved {
            addresses: vec![address.to_canonical()],
            ..Resolved::default()
        };
    }
    let place = match from {
        Sender::Sandbox(id) => scene.place(Some(id)),
        Sender::Host => "host".into(),
        Sender::Outside(_) | Sender::Lan => "outside".into(),
    };
    let said = |addresses: Vec<IpAddr>, who: String| {
        let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let text = match list.as_slice() {
            [] => format!("\"{name}\" has no address: {who}"),
            [..] => format!("\"{name}\" is {}: {who}", list.join(" and ")),
        };
        Resolved {
            addresses,
            hop: Some(hop(place.clone(), text)),
            unknown: None,
        }
    };
    match name {
        "host" => return said(of_host(scene, from), "the host, as seen from there".into()),
        "outside" => {
            return said(
                documentation(),
                "an address that stands for anywhere".into(),
            );
        }
        _any => {}
    }
    let in_file = in_hosts(names.hosts, name);
    if !in_file.is_empty() {
        return said(in_file, "a line of /etc/hosts".into());
    }
    if let Some((view, zones)) = names.view
        && let Some(found) = view.find(zones, &name.to_ascii_lowercase())
    {
        let v4 = found.iter().filter_map(|names| names.ipv4.map(IpAddr::V4));
        let v6 = found.iter().filter_map(|names| names.ipv6.map(IpAddr::V6));
        let owners: Vec<String> = found.iter().map(|names| owner(scene, names.id)).collect();
        return said(v4.chain(v6).collect(), owners.join(", "));
    }
    if let Some(id) = names.container {
        return by_reference(scene, from, name, id, said);
    }
    match names.upstream {
        Some(addresses) if !addresses.is_empty() => {
            said(addresses.to_vec(), "servers outside say so".into())
        }
        Some(_) => said(vec![], "nobody knows the name".into()),
        None => said(vec![], "what it means there is not known here".into()),
    }
}

/// A container that people mean by its name, whether or not the sender knows it.
fn by_reference(
    scene: &Scene<'_>,
    from: Sender,
    name: &str,
    id: SandboxId,
    said: impl Fn(Vec<IpAddr>, String) -> Resolved,
) -> Resolved {
    let Some(target) = scene.world.sandboxes.get(&id) else {
        return Resolved::default();
    };
    let addresses = addresses_for(scene, from, target);
    let Sender::Sandbox(sender) = from else {
        return said(addresses, format!("container {}", target.name));
    };
    let sender_name = scene.place(Some(sender));
    let common = common(scene, sender, target);
    let why = if sender == id {
        return said(addresses, "the container itself".into());
    } else if common.is_empty() {
        format!(
            "{sender_name} and {} have no network in common",
            target.name
        )
    } else {
        format!(
            "{sender_name} knows no container by that name on network {}",
            common[0]
        )
    };
    let text = format!("{sender_name} does not know the name \"{name}\": {why}");
    let known = said(addresses, format!("container {}", target.name));
    Resolved {
        hop: known
            .hop
            .map(|known| hop(known.place, format!("{text}; {}", known.text))),
        unknown: Some(text),
        ..known
    }
}

/// The names of the networks that two sandboxes share.
fn common(scene: &Scene<'_>, sender: SandboxId, target: &Sandbox) -> Vec<String> {
    let sender = scene.world.sandboxes.get(&sender);
    let joined = |id| sender.is_some_and(|sender| sender.endpoints.contains_key(id));
    let shared = target.endpoints.keys().filter(|id| joined(*id));
    shared
        .filter_map(|id| scene.world.networks.get(id))
        .map(|network| network.spec.name.clone())
        .collect()
}

/// The addresses of a container that are nearest to the sender: on networks they share, else on
/// the one with its gateway, else any.
fn addresses_for(scene: &Scene<'_>, from: Sender, target: &Sandbox) -> Vec<IpAddr> {
    if target.host {
        return of_host(scene, from);
    }
    let shared = |endpoint: &&Endpoint| match from {
        Sender::Sandbox(id) => {
            let sender = scene.world.sandboxes.get(&id);
            sender.is_some_and(|sender| sender.endpoints.contains_key(&endpoint.network))
        }
        Sender::Host | Sender::Outside(_) | Sender::Lan => false,
    };
    let all = || target.endpoints.values();
    let near: Vec<IpAddr> = all().filter(shared).flat_map(Endpoint::addresses).collect();
    if !near.is_empty() {
        return near;
    }
    let gateways = Gateways::choose(target, scene.world.networks);
    let v4 = gateways
        .v4
        .and_then(|end| end.ipv4)
        .map(|net| IpAddr::V4(net.addr()));
    let v6 = gateways
        .v6
        .and_then(|end| end.ipv6)
        .map(|net| IpAddr::V6(net.addr()));
    let by_gateway: Vec<IpAddr> = v4.into_iter().chain(v6).collect();
    if by_gateway.is_empty() {
        all().flat_map(Endpoint::addresses).collect()
    } else {
        by_gateway
    }
}

/// The host's addresses that are next to the sender.
fn of_host(scene: &Scene<'_>, from: Sender) -> Vec<IpAddr> {
    let id = match from {
        Sender::Host => return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Sender::Outside(address) => return by_route(scene, address),
        Sender::Lan => {
            let routers = documentation().into_iter();
            return routers.flat_map(|any| by_route(scene, any)).collect();
        }
        Sender::Sandbox(id) => id,
    };
    let Some(stack) = scene.stack(id) else {
        return vec![];
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for anywhere in documentation() {
        let link = stack
            .route(anywhere)
            .or_else(|| stack.first_route(IpFamily::of(anywhere)));
        let bridge = link
            .and_then(|route| scene.port(id, &route.link))
            .map(|port| port.bridge);
        let addresses = bridge.map_or_else(Vec::new, |bridge| on_link(scene, bridge));
        let mut same = addresses.into_iter();
        found.extend(same.find(|address| address.is_ipv6() == anywhere.is_ipv6()));
    }
    found
}

/// The host's address, of the family of `to`, on the link that leads there.
fn by_route(scene: &Scene<'_>, to: IpAddr) -> Vec<IpAddr> {
    let route = scene.host().route(to);
    let address = route.and_then(|route| scene.host().first_on(&route.link, IpFamily::of(to)));
    address.into_iter().collect()
}

fn on_link(scene: &Scene<'_>, link: &str) -> Vec<IpAddr> {
    documentation()
        .into_iter()
        .filter_map(|near| scene.host().first_on(link, IpFamily::of(near)))
        .collect()
}

/// Addresses for documentation (RFC 5737, RFC 3849).
fn documentation() -> Vec<IpAddr> {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    vec![Ipv4Addr::new(192, 0, 2, 1).into(), v6.into()]
}

/// The addresses that the lines of a hosts file give a name.
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        if let Some(address) = address
            && words.any(|word| word.eq_ignore_ascii_case(name))
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Whose endpoint it is: `db on network blue`.
fn owner(scene: &Scene<'_>, id: EndpointId) -> String {
    for sandbox in scene.world.sandboxes.values() {
        let endpoint = sandbox.endpoints.values().find(|end| end.id == id);
        let network = endpoint.and_then(|end| scene.world.networks.get(&end.network));
        if let Some(network) = network {
            return format!("{} on network {}", sandbox.name, network.spec.name);
        }
    }
    "an endpoint of another host".into()
}

fn hop(place: String, text: String) -> Hop {
    Hop {
        kind: HopKind::Name,
        place,
        text,
        rules: vec![],
    }
}
