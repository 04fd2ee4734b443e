//! The wire of a parent: links that sit on one (macvlan, ipvlan), and how they reach each other.

use super::{Arrived, Place, Walk, lost};
use crate::explain::report::{HopKind, Verdict};
use crate::explain::scene::{Scene, UpperLink};
use crate::explain::why;
use crate::plan::{IpvlanFlag, IpvlanMode, Key, LinkKind, MacvlanMode, Netns, Object, Upper};
use std::net::IpAddr;

/// Whether frames of a link reach its neighbors on the same parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Directly.
    Together,
    /// Not at all.
    Apart,
    /// If a switch outside sends them back.
    BySwitch,
}

impl Walk<'_, '_> {
    /// From a link on a parent to its next hop.
    pub(super) fn by_wire(&mut self, from: UpperLink<'_>, next_hop: IpAddr) -> Arrived {
        let scene = self.scene;
        if let Some(to) = neighbor(scene, from.parent, next_hop, from) {
            return self.reach_neighbor(from, to, next_hop);
        }
        if scene.host().is_local(next_hop) {
            return lost(Verdict::Dropped, why::apart(from.parent));
        }
        if leads_nowhere(scene, from.parent) {
            return lost(
                Verdict::NobodyThere,
                why::nobody(scene, from.parent, next_hop),
            );
        }
        Ok(Place::Outside(from.parent.to_owned()))
    }

    fn reach_neighbor(
        &mut self,
        from: UpperLink<'_>,
        to: UpperLink<'_>,
        next_hop: IpAddr,
    ) -> Arrived {
        let what = format!("{next_hop} is beside it on {}", from.parent);
        match (manner(from.kind), manner(to.kind)) {
            (Manner::Together, Manner::Together) => {}
            (Manner::Apart, _) | (_, Manner::Apart) => {
                let text = format!("{what}, and {} keeps its links apart", from.kind);
                return lost(Verdict::Dropped, text);
            }
            (Manner::BySwitch, _) | (_, Manner::BySwitch) => {
                let text = format!("{what}: only a switch outside could lead back there");
                return lost(Verdict::Depends, text);
            }
        }
        match to.netns {
            Netns::Host => self.enter_host(to.link, None),
            Netns::Network(_) => {
                let text = format!("{what}, in a namespace whose further ways are not known here");
                lost(Verdict::Depends, text)
            }
            Netns::Sandbox(id) => {
                let text = format!(
                    "the wire of {} leads to {}",
                    from.parent,
                    self.scene.place(Some(id))
                );
                self.tell(HopKind::Bridge, None, text);
                self.enter_sandbox(id)
            }
        }
    }

    /// From outside to the endpoint on a parent that has the address. Other addresses of a sandbox
    /// are behind the host, as seen from the wire.
    pub(super) fn onto_wire(&mut self, parent: &str) -> Option<Arrived> {
        let to = self.packet.destination.ip();
        let scene = self.scene;
        let mut uppers = scene.uppers.iter().filter(|upper| upper.parent == parent);
        let found = uppers.find_map(|upper| match upper.netns {
            Netns::Sandbox(id) => {
                let stack = scene.stack(id);
                stack
                    .is_some_and(|own| own.has(upper.link, to))
                    .then_some(id)
            }
            Netns::Host | Netns::Network(_) => None,
        });
        found.map(|id| self.enter_sandbox(id))
    }

    /// Out of the host by a link that others sit on, or that sits beside them.
    pub(super) fn out_by_wire(&mut self, output: &str, next_hop: IpAddr) -> Arrived {
        let scene = self.scene;
        let own = |upper: &&UpperLink<'_>| upper.netns == Netns::Host && upper.link == output;
        if let Some(shim) = scene.uppers.iter().find(own) {
            return self.by_wire(*shim, next_hop);
        }
        let mut above = scene.uppers.iter().filter(|upper| upper.parent == output);
        if above.any(|upper| upper.netns != Netns::Host && has(scene, upper, next_hop)) {
            return lost(Verdict::Dropped, why::apart(output));
        }
        Ok(Place::Outside(output.to_owned()))
    }
}

/// Who else on a parent has an address.
fn neighbor<'a>(
    scene: &Scene<'a>,
    parent: &str,
    address: IpAddr,
    from: UpperLink<'_>,
) -> Option<UpperLink<'a>> {
    let others = scene.uppers.iter().filter(|upper| upper.parent == parent);
    let mut others = others.filter(|upper| (upper.netns, upper.link) != (from.netns, from.link));
    others
        .find(|upper| has(scene, upper, address) || is_sent_to(scene, from, upper, address))
        .copied()
}

/// Whether frames for an IPv6 address of the host go to its link beside the sender's: where the
/// sender has an entry for it, as the link would not answer, or where no hardware address is asked for.
fn is_sent_to(
    scene: &Scene<'_>,
    from: UpperLink<'_>,
    upper: &UpperLink<'_>,
    address: IpAddr,
) -> bool {
    let routed = matches!(
        upper.kind,
        Upper::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s, _)
    );
    let of_host = upper.netns == Netns::Host && scene.host().is_local(address);
    of_host && (routed || scene.knows_neighbor(from, address))
}

/// Whether a link answers for an address: IPv4 for all of its namespace, IPv6 for its own.
fn has(scene: &Scene<'_>, upper: &UpperLink<'_>, address: IpAddr) -> bool {
    match (upper.netns, address) {
        (Netns::Host, IpAddr::V4(_)) => scene.host().is_local(address),
        (Netns::Host, IpAddr::V6(_)) => scene.host().has(upper.link, address),
        (Netns::Sandbox(id), IpAddr::V4(_)) => {
            scene.stack(id).is_some_and(|stack| stack.is_local(address))
        }
        (Netns::Sandbox(id), IpAddr::V6(_)) => scene
            .stack(id)
            .is_some_and(|stack| stack.has(upper.link, address)),
        (Netns::Network(_), _) => false,
    }
}

fn manner(kind: Upper) -> Manner {
    match kind {
        Upper::Macvlan(MacvlanMode::Bridge) | Upper::Ipvlan(_, IpvlanFlag::Bridge) => {
            Manner::Together
        }
        Upper::Macvlan(MacvlanMode::Private | MacvlanMode::Passthru)
        | Upper::Ipvlan(_, IpvlanFlag::Private) => Manner::Apart,
        Upper::Macvlan(MacvlanMode::Vepa) | Upper::Ipvlan(_, IpvlanFlag::Vepa) => Manner::BySwitch,
        Upper::Vlan(_) => Manner::Apart,
    }
}

/// Whether a parent is a link to nowhere that was made for its network.
fn leads_nowhere(scene: &Scene<'_>, parent: &str) -> bool {
    let mut links = scene.world.plan.objects().iter();
    links.any(|(key, object)| match (key, object) {
        (Key::Link(Netns::Host, name), Object::Link(link)) => {
            name.as_str() == parent && link.kind == LinkKind::Dummy
        }
        _other => false,
    })
}
