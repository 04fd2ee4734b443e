//! A packet's way through sandboxes, bridges and the host, one direction at a time.
//!
//! What Linux does is written here; what we want of it is in the plan. Start at [`Walk::send`].

mod hooks;
mod wire;

use super::packet::Packet;
use super::report::{Hop, HopKind, Verdict};
use super::ruleset::{Passing, Ruleset};
use super::scene::{Port, Scene, UpperLink};
use super::stack::Stack;
use super::why;
use crate::model::{IpFamily, SandboxId};
use crate::nft::HookPoint;
use crate::plan::{Key, Netns};
use crate::scopes::RESOLVER_TABLE;
use std::net::IpAddr;

/// Where a packet is: where it starts, or where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a sandbox.
    Sandbox(SandboxId),
    /// On the host itself.
    Host,
    /// Beyond a link of the host.
    Outside(String),
}

/// A packet that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
}

/// A connection as the host tracks it.
#[derive(Clone, Copy, Debug)]
struct Connection {
    /// Its first packet, before any translation.
    first: Packet,
    /// Its first packet after all translations so far.
    changed: Packet,
}

/// A packet under way, and what has happened to it so far.
pub(super) struct Walk<'s, 'a> {
    scene: &'s Scene<'a>,
    pub(super) packet: Packet,
    pub(super) hops: Vec<Hop>,
    /// The foreign chain that has the last word, if there is one.
    pub(super) depends: Option<String>,
    connection: Option<Connection>,
    /// Whether it is the answer, which tells nothing on its way.
    answering: bool,
    /// Whether it stays within a bridge.
    bridged: bool,
    /// Whether the host has recognized it as the answer of the tracked connection.
    recognized: bool,
}

type Arrived = Result<Place, Lost>;

impl<'s, 'a> Walk<'s, 'a> {
    pub(super) fn new(scene: &'s Scene<'a>, packet: Packet) -> Self {
        Self {
            scene,
            packet,
            hops: Vec::new(),
            depends: None,
            connection: None,
            answering: false,
            bridged: false,
            recognized: false,
        }
    }

    /// Turns to the answer of what has arrived.
    pub(super) fn turn(&mut self) {
        self.packet = self.packet.answer();
        self.answering = true;
    }

    /// Takes the packet from a place to where it ends.
    pub(super) fn send(&mut self, from: &Place) -> Arrived {
        self.bridged = false;
        match from {
            Place::Sandbox(id) => self.out_of_sandbox(*id),
            Place::Host => self.out_of_host(),
            Place::Outside(link) => match self.onto_wire(link) {
                Some(arrived) => arrived,
                None => self.enter_host(link, None),
            },
        }
    }

    fn out_of_sandbox(&mut self, id: SandboxId) -> Arrived {
        let scene = self.scene;
        self.own_table(id);
        let to = self.packet.destination.ip();
        let stack = scene.stack(id);
        if to.is_loopback() || stack.is_some_and(|stack| stack.is_local(to)) {
            return Ok(Place::Sandbox(id));
        }
        let Some(route) = stack.and_then(|stack| stack.route(to)) else {
            return lost(Verdict::NoRoute, why::no_route_in(scene, id, to));
        };
        let (link, next_hop) = (route.link.as_str(), route.via.unwrap_or(to));
        let inside = Netns::Sandbox(id);
        let upper = |upper: &&UpperLink<'_>| upper.netns == inside && upper.link == link;
        if let Some(upper) = scene.uppers.iter().find(upper).copied() {
            let text = why::route(scene, route, to, upper.parent);
            self.tell(HopKind::Route, Some(id), text);
            return self.by_wire(upper, next_hop);
        }
        let Some(port) = scene.port(id, link) else {
            let text = format!(
                "{link} of {} leads to no bridge of ours",
                scene.place(Some(id))
            );
            return lost(Verdict::Depends, text);
        };
        let text = why::route(scene, route, to, port.bridge);
        self.tell(HopKind::Route, Some(id), text);
        if let Some(neighbor) = scene.port_with(port.bridge, next_hop) {
            return self.across(port, neighbor, next_hop);
        }
        let host_answers = match next_hop {
            IpAddr::V4(_) => scene.host().is_local(next_hop),
            IpAddr::V6(_) => scene.host().has(port.bridge, next_hop),
        };
        if !host_answers {
            let text = why::nobody(scene, port.bridge, next_hop);
            return lost(Verdict::NobodyThere, text);
        }
        self.enter_host(port.bridge, Some(port))
    }

    /// What the table in the sandbox does: it leads queries to the resolver.
    fn own_table(&mut self, id: SandboxId) {
        let key = Key::Table(Netns::Sandbox(id), RESOLVER_TABLE.into());
        let Some(rules) = Ruleset::of(self.scene.world.plan, &key) else {
            return;
        };
        let before = self.packet;
        rules.pass(HookPoint::Output, .., &mut self.packet, Passing::default());
        if self.packet != before {
            let text = format!("the resolver is at {}", self.packet.target());
            self.tell(HopKind::Translation, Some(id), text);
        }
    }

    /// From one port of a bridge to another.
    fn across(&mut self, from: Port<'_>, to: Port<'_>, next_hop: IpAddr) -> Arrived {
        let scene = self.scene;
        if from.isolated && to.isolated {
            return lost(
                Verdict::Dropped,
                why::isolated(scene, &self.packet, from.bridge),
            );
        }
        let text = format!(
            "{} carries it to {}",
            scene.device(from.bridge),
            scene.place(Some(to.sandbox))
        );
        self.tell(HopKind::Bridge, None, text);
        if self.bridge_filter() {
            self.bridged = true;
            self.hook(HookPoint::Prerouting, from.bridge, "")?;
            self.filter_forward(from.bridge, from.bridge)?;
            // The kernel tells this hook no incoming link where it is a bridge that forwards.
            self.leaving("", from.bridge, next_hop)?;
        }
        self.enter_sandbox(to.sandbox)
    }

    /// A packet that came by a link of the host; through `port` if that is a bridge of ours.
    fn enter_host(&mut self, input: &str, port: Option<Port<'_>>) -> Arrived {
        let scene = self.scene;
        let before = self.packet.destination.ip();
        self.hook(HookPoint::Prerouting, input, "")?;
        let to = self.packet.destination.ip();
        refuse_own(&self.packet, scene.host(), "the host")?;
        if scene.host().is_local(to) {
            return self.onto_host(input);
        }
        let Some(route) = scene.host().route(to) else {
            let text = format!("the host has no route to {to}");
            return lost(Verdict::NoRoute, text);
        };
        if let Some(port) = port
            && self.bridge_filter()
            && before != to
            && route.link == input
            && route.via.is_none()
        {
            return self.translated_across(port, to);
        }
        let family = IpFamily::of(to);
        if !scene.world.facts.forwards[family] {
            return lost(
                Verdict::Dropped,
                format!("the host does not forward {family}"),
            );
        }
        let output = route.link.clone();
        let next_hop = route.via.unwrap_or(to);
        let text = format!("{to} is reached by {}", scene.device(&output));
        self.tell(HopKind::Route, None, text);
        self.filter_forward(input, &output)?;
        self.out(input, &output, next_hop)
    }

    /// With the bridge's packets filtered, one whose destination was translated to another port of
    /// the same bridge is carried there at once, without the host's routes.
    fn translated_across(&mut self, from: Port<'_>, to: IpAddr) -> Arrived {
        let Some(port) = self.scene.port_with(from.bridge, to) else {
            let text = why::nobody(self.scene, from.bridge, to);
            return lost(Verdict::NobodyThere, text);
        };
        if from.isolated && port.isolated {
            return lost(
                Verdict::Dropped,
                why::isolated(self.scene, &self.packet, from.bridge),
            );
        }
        if from.segment == port.segment && from.segment != from.bridge {
            let text = format!(
                "{} and {} are on {}, one of the further bridges of a crowd: with br_netfilter a \
                 published port does not lead back there",
                self.scene.place(Some(from.sandbox)),
                self.scene.place(Some(port.sandbox)),
                from.segment
            );
            return lost(Verdict::Dropped, text);
        }
        self.filter_forward(from.bridge, from.bridge)?;
        self.leaving("", from.bridge, to)?;
        self.enter_sandbox(port.sandbox)
    }

    fn onto_host(&mut self, input: &str) -> Arrived {
        let to = self.packet.destination.ip();
        let setting = format!("ipv4/conf/{input}/route_localnet");
        let strange = to.is_ipv4() && to.is_loopback() && input != "lo" && !input.is_empty();
        if strange && self.scene.setting(setting) != Some("1") {
            let text = format!("{to} is not for {input}: addresses of loopback stay on the host");
            return lost(Verdict::Dropped, text);
        }
        self.hook(HookPoint::Input, input, "")?;
        self.foreign(HookPoint::Input, &[]);
        self.restore_source();
        Ok(Place::Host)
    }

    fn out_of_host(&mut self) -> Arrived {
        let scene = self.scene;
        let link = scene.host().route(self.packet.destination.ip());
        let link = link.map(|route| route.link.clone()).unwrap_or_default();
        self.hook(HookPoint::Output, "", &link)?;
        let to = self.packet.destination.ip();
        if scene.host().is_local(to) {
            return self.onto_host("lo");
        }
        let Some(route) = scene.host().route(to) else {
            return lost(Verdict::NoRoute, format!("the host has no route to {to}"));
        };
        let (output, next_hop) = (route.link.clone(), route.via.unwrap_or(to));
        let text = format!("{to} is reached by {}", scene.device(&output));
        self.tell(HopKind::Route, None, text);
        self.out("", &output, next_hop)
    }

    /// Out of the host by a link.
    fn out(&mut self, input: &str, output: &str, next_hop: IpAddr) -> Arrived {
        self.leaving(input, output, next_hop)?;
        if !self.scene.is_bridge(output) {
            return self.out_by_wire(output, next_hop);
        }
        match self.scene.port_with(output, next_hop) {
            Some(port) => self.enter_sandbox(port.sandbox),
            None => lost(
                Verdict::NobodyThere,
                why::nobody(self.scene, output, next_hop),
            ),
        }
    }

    /// Into a sandbox, which may not be whom the packet is for.
    fn enter_sandbox(&self, id: SandboxId) -> Arrived {
        let name = self.scene.place(Some(id));
        let to = self.packet.destination.ip();
        match self.scene.stack(id) {
            Some(stack) if stack.is_local(to) => {
                refuse_own(&self.packet, stack, &name)?;
                Ok(Place::Sandbox(id))
            }
            Some(_) | None => lost(
                Verdict::Depends,
                format!("{name} is the next hop to {to}: what it does with it is its own affair"),
            ),
        }
    }
}

/// Linux takes no IPv4 packet from a link that bears one of its own addresses as its source.
fn refuse_own(packet: &Packet, stack: &Stack, name: &str) -> Result<(), Lost> {
    let source = packet.source.ip();
    if source.is_ipv4() && stack.is_local(source) {
        let text = format!("{name} takes no packet from a link whose source {source} is its own");
        return lost(Verdict::Dropped, text);
    }
    Ok(())
}

fn lost<T>(verdict: Verdict, reason: String) -> Result<T, Lost> {
    Err(Lost { verdict, reason })
}
