//! Further bridges of a network with more endpoints than one bridge has ports.
//!
//! The kernel's bridges have 1,023 ports. Each further bridge is joined to the first one by a veth
//! pair, so that all of them are one Ethernet; the first has the gateway.

use super::options::BridgeOptions;
use super::plan_passage;
use super::table::{UNTRACKED, set};
use crate::model::{Facts, InterfaceName, Mac, Network, derive_id};
use crate::nft::{Data, Datum, Verdict};
use crate::plan::{BridgePort, Key, Link, LinkKind, Netns, Object, Plan};

/// How many endpoints the first bridge takes: the rest of its ports is for the others.
pub(super) const PORTS: u16 = 960;
/// How many further bridges there can be.
pub(super) const SEGMENTS: u16 = 63;

/// What the names of a further bridge and of the two ends of its pair begin with. A bridge's sorts
/// before those of its ports.
const BRIDGE: &str = "bx";
const UP: &str = "vu";
const DOWN: &str = "vd";

/// The bridge that the endpoints of a segment are ports of; the first one is segment 0.
pub(super) fn segment_bridge(
    network: &Network,
    options: &BridgeOptions,
    segment: u16,
) -> InterfaceName {
    match segment {
        0 => options.device.clone(),
        further => name(network, BRIDGE, further),
    }
}

/// The links that a network has on the host: its bridges, and what joins them.
pub(super) fn links(network: &Network, options: &BridgeOptions) -> Vec<InterfaceName> {
    let further = (1..=network.segments)
        .flat_map(|segment| [BRIDGE, UP, DOWN].map(|kind| name(network, kind, segment)));
    [options.device.clone()]
        .into_iter()
        .chain(further)
        .collect()
}

fn name(network: &Network, kind: &str, segment: u16) -> InterfaceName {
    InterfaceName::from_id(&format!("{kind}{segment}-"), &network.id, 9)
}

/// Adds the further bridges and what joins them.
pub(super) fn plan_segments(
    network: &Network,
    options: &BridgeOptions,
    facts: &Facts,
    plan: &mut Plan,
) {
    for segment in 1..=network.segments {
        let bridge = segment_bridge(network, options, segment);
        let link = Link {
            mtu: Some(options.mtu),
            mac: Some(mac(network, BRIDGE, segment)),
            ..Link::of(LinkKind::Bridge)
        };
        plan.add(Key::Link(Netns::Host, bridge.clone()), Object::Link(link));
        plan.add(Key::Up(Netns::Host, bridge.clone()), Object::Present);
        let isolated = !options.icc && !facts.bridge_netfilter;
        let (up, down) = (name(network, UP, segment), name(network, DOWN, segment));
        let mut end = |own: &InterfaceName, other: (&str, &InterfaceName), master, isolated| {
            let kind = LinkKind::Veth {
                peer: (Netns::Host, other.1.clone()),
                peer_mac: mac(network, other.0, segment),
            };
            let link = Link {
                mtu: Some(options.mtu),
                port: Some(BridgePort {
                    isolated,
                    ..BridgePort::of(master)
                }),
                ..Link::of(kind)
            };
            plan.add(Key::Link(Netns::Host, own.clone()), Object::Link(link));
        };
        // Endpoints that are kept apart on one bridge are kept apart from those of others.
        end(&up, (DOWN, &down), options.device.clone(), isolated);
        end(&down, (UP, &up), bridge.clone(), false);
        plan_filter(&bridge, plan);
        plan_passage(network, &bridge, facts, plan);
    }
}

/// Where bridged packets pass the host's filters, they are seen on these bridges, too: on their way to
/// the first one, which decides. Tracked here already, a connection would not be translated there.
fn plan_filter(bridge: &InterfaceName, plan: &mut Plan) {
    let bridge = Datum::Interface(bridge.clone());
    let pair = vec![bridge.clone(), bridge.clone()];
    let mut element = |set: &str, key: Vec<Datum>, data: Data| {
        plan.add(Key::Element(set.into(), key), Object::Element(data));
    };
    let untracked = Data::Verdict(Verdict::Jump(UNTRACKED.into()));
    element(set::ARRIVING, vec![bridge], untracked);
    element(set::WITHIN, pair, Data::Verdict(Verdict::Accept));
}

fn mac(network: &Network, kind: &str, segment: u16) -> Mac {
    Mac::of_port(&derive_id(&[
        kind.as_bytes(),
        &segment.to_be_bytes(),
        network.id.as_bytes(),
    ]))
}
