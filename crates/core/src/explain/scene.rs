//! The scene: the plan and the host's facts, arranged the way a packet meets them.

use super::host::{HostFacts, Listening};
use super::ruleset::Ruleset;
use super::stack::Stack;
use crate::drivers::{Driven, Networks};
use crate::model::{InterfaceName, IpFamily, Sandbox, SandboxId};
use crate::plan::{Key, LinkKind, Netns, Object, Plan, Upper};
use crate::scopes::{TABLE, USER_TABLE};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Everything an explanation is made from.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The plan of all scopes together: what the kernel looks like.
    pub plan: &'a Plan,
    /// What else is on the host.
    pub facts: &'a HostFacts,
    /// The sandboxes that exist.
    pub sandboxes: &'a BTreeMap<SandboxId, Arc<Sandbox>>,
    /// The networks that exist.
    pub networks: &'a Networks,
    /// Whether the daemon relays what the kernel cannot translate.
    pub relays: bool,
    /// Whether something receives at an address.
    pub listening: &'a Listening<'a>,
}

/// A world with its indices.
pub(super) struct Scene<'a> {
    pub(super) world: World<'a>,
    pub(super) rules: Option<Ruleset<'a>>,
    /// The table in which the user's own rules are.
    pub(super) user_rules: Option<Ruleset<'a>>,
    stacks: BTreeMap<Netns, Stack>,
    /// The host's end of each link in a sandbox.
    ports: BTreeMap<(SandboxId, &'a str), Port<'a>>,
    /// The links that sit on others.
    pub(super) uppers: Vec<UpperLink<'a>>,
    /// What the networks' devices are called by people.
    devices: BTreeMap<String, &'a Driven>,
}

/// The port of a bridge that a sandbox's link is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port<'a> {
    pub(super) sandbox: SandboxId,
    pub(super) link: &'a str,
    /// The network's first bridge, which decides.
    pub(super) bridge: &'a str,
    /// The bridge it is plugged into, of a crowd perhaps a further one.
    pub(super) segment: &'a str,
    pub(super) isolated: bool,
}

/// A link on the wire of another one: a sandbox's, or the host's own beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpperLink<'a> {
    pub(super) netns: Netns,
    pub(super) link: &'a str,
    pub(super) parent: &'a str,
    pub(super) kind: Upper,
}

impl<'a> Scene<'a> {
    pub(super) fn new(world: World<'a>) -> Self {
        let table = Key::Table(Netns::Host, TABLE.into());
        let user_table = Key::Table(Netns::Host, USER_TABLE.into());
        Self {
            rules: Ruleset::of(world.plan, &table),
            user_rules: Ruleset::of(world.plan, &user_table),
            stacks: Stack::all(world.plan, world.facts),
            ports: ports(world.plan, &first_bridges(world)),
            uppers: uppers(world.plan),
            devices: devices(world.networks),
            world,
        }
    }

    /// The host's stack.
    pub(super) fn host(&self) -> &Stack {
        &self.stacks[&Netns::Host]
    }

    /// A sandbox's stack; `None` if it has no addresses.
    pub(super) fn stack(&self, id: SandboxId) -> Option<&Stack> {
        self.stacks.get(&Netns::Sandbox(id))
    }

    /// The port that a link of a sandbox is plugged into.
    pub(super) fn port(&self, id: SandboxId, link: &str) -> Option<Port<'a>> {
        let mut own = self.ports.values().filter(|port| port.sandbox == id);
        own.find(|port| port.link == link).copied()
    }

    /// The port behind which an endpoint answers for an address on a bridge. IPv4 answers for every
    /// address of its namespace, IPv6 for those of the link.
    pub(super) fn port_with(&self, bridge: &str, address: IpAddr) -> Option<Port<'a>> {
        let has = |port: &&Port<'a>| {
            let stack = self.stack(port.sandbox);
            stack.is_some_and(|stack| match address {
                IpAddr::V4(_) => stack.is_local(address),
                IpAddr::V6(_) => stack.has(port.link, address),
            })
        };
        let mut on_bridge = self.ports.values().filter(|port| port.bridge == bridge);
        on_bridge.find(has).copied()
    }

    /// The parent on whose wire a sandbox has an address: who is outside reaches it there.
    pub(super) fn wire_of(&self, address: IpAddr) -> Option<&'a str> {
        let has = |upper: &&UpperLink<'a>| match upper.netns {
            Netns::Host | Netns::Network(_) => false,
            Netns::Sandbox(id) => {
                let stack = self.stack(id);
                stack.is_some_and(|stack| stack.has(upper.link, address))
            }
        };
        self.uppers.iter().find(has).map(|upper| upper.parent)
    }

    /// Whether a link has a permanent entry for a neighbor.
    pub(super) fn knows_neighbor(&self, link: UpperLink<'_>, address: IpAddr) -> bool {
        InterfaceName::try_from(link.link).is_ok_and(|name| {
            let key = Key::Neighbor(link.netns, name, address);
            self.world.plan.objects().contains_key(&key)
        })
    }

    /// Whether a link of the host is a bridge of ours.
    pub(super) fn is_bridge(&self, link: &str) -> bool {
        self.devices.contains_key(link)
    }

    /// The network of a device, or of a link in a sandbox.
    pub(super) fn network(&self, device: &str) -> Option<&'a Driven> {
        self.devices.get(device).copied()
    }

    /// A device as people know it: `br-1 (network blue)`.
    pub(super) fn device(&self, link: &str) -> String {
        match self.network(link) {
            Some(network) => format!("{link} (network {})", network.spec.name),
            None => link.to_owned(),
        }
    }

    /// What a place is called.
    pub(super) fn place(&self, sandbox: Option<SandboxId>) -> String {
        let Some(id) = sandbox else {
            return "host".into();
        };
        let sandbox = self.world.sandboxes.get(&id);
        sandbox.map_or_else(|| id.short(12), |sandbox| sandbox.name.clone())
    }

    /// A setting of the host as planned.
    pub(super) fn setting(&self, path: String) -> Option<&'a str> {
        match self
            .world
            .plan
            .objects()
            .get(&Key::Setting(Netns::Host, path))
        {
            Some(Object::Setting(value)) => Some(value),
            Some(_) | None => None,
        }
    }

    /// Whether a chain that drops by policy has a rule that lets a bridge of ours pass.
    pub(super) fn has_passage(&self, link: &str, family: IpFamily) -> bool {
        InterfaceName::try_from(link).is_ok_and(|name| {
            let key = Key::Passage(name, family);
            self.world.plan.objects().contains_key(&key)
        })
    }
}

/// The first bridge of each network with several, by the names of the further ones.
fn first_bridges<'a>(world: World<'a>) -> BTreeMap<InterfaceName, &'a str> {
    let mut firsts = BTreeMap::new();
    for network in world.networks.values() {
        let devices = network.settings().devices(network);
        let Some((first, further)) = devices.split_first() else {
            continue;
        };
        let first = Key::Link(Netns::Host, first.clone());
        let Some((Key::Link(_, first), _)) = world.plan.objects().get_key_value(&first) else {
            continue;
        };
        firsts.extend(
            further
                .iter()
                .map(|bridge| (bridge.clone(), first.as_str())),
        );
    }
    firsts
}

fn ports<'a>(
    plan: &'a Plan,
    first_bridges: &BTreeMap<InterfaceName, &'a str>,
) -> BTreeMap<(SandboxId, &'a str), Port<'a>> {
    let mut ports = BTreeMap::new();
    for object in plan.objects().values() {
        if let Object::Link(link) = object
            && let Some((Netns::Sandbox(sandbox), name)) = link.kind.peer()
            && let Some(own) = &link.port
        {
            let port = Port {
                sandbox: *sandbox,
                link: name.as_str(),
                bridge: first_bridges
                    .get(&own.bridge)
                    .copied()
                    .unwrap_or(own.bridge.as_str()),
                segment: own.bridge.as_str(),
                isolated: own.isolated,
            };
            ports.insert((*sandbox, name.as_str()), port);
        }
    }
    ports
}

fn uppers(plan: &Plan) -> Vec<UpperLink<'_>> {
    let mut uppers = Vec::new();
    for (key, object) in plan.objects() {
        if let (Key::Link(netns, name), Object::Link(link)) = (key, object)
            && let LinkKind::Upper { parent, kind } = &link.kind
        {
            uppers.push(UpperLink {
                netns: *netns,
                link: name.as_str(),
                parent: parent.as_str(),
                kind: *kind,
            });
        }
    }
    uppers
}

fn devices(networks: &Networks) -> BTreeMap<String, &Driven> {
    let networks = networks.values().map(AsRef::as_ref);
    let device = |network: &'_ Driven| Some(network.settings().device()?.to_string());
    networks
        .filter_map(|network| Some((device(network)?, network)))
        .collect()
}
