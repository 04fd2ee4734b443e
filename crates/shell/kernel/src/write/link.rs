//! Messages that make, change and remove links.

use crate::channel::Channel;
use crate::mark::Marks;
use crate::message::Message;
use crate::read::link::Found;
use crate::upper::{ipvlan_flag, ipvlan_mode, macvlan_mode};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, InfoData, InfoIpVlan, InfoKind,
    InfoMacVlan, InfoPortData, InfoPortKind, InfoVeth, InfoVlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use sealane_core::model::{InterfaceName, Mac};
use sealane_core::plan::{BridgePort, Link, LinkGroup, LinkKind, MacvlanMode, Netns, Upper};
use std::os::fd::{AsFd, AsRawFd};

/// A link with a smaller MTU has no IPv6 at all (RFC 8200), and refuses settings of it.
const IPV6_MTU: u32 = 1280;

/// What making a link needs besides its settings.
pub(super) struct Surroundings<'a> {
    /// The index of the bridge it joins.
    pub(super) master: Option<u32>,
    /// The index of the link it sits on.
    pub(super) parent: Option<u32>,
    /// Where the other end of a veth is born, or where the link itself is, if elsewhere.
    pub(super) elsewhere: Option<&'a Channel>,
}

/// Makes a link. A veth pair is one message; what the kernel does not take at birth follows in
/// [`finish`], before the other end goes up and there is traffic.
pub(super) fn create(
    marks: &Marks,
    name: &InterfaceName,
    link: &Link,
    around: &Surroundings,
) -> Message {
    let mut born = named(name);
    born.attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    born.attributes
        .push(LinkAttribute::Group(marks.group_of(link.group)));
    born.attributes.extend(link.mac.map(address));
    born.attributes
        .extend(around.master.map(LinkAttribute::Controller));
    born.attributes
        .push(LinkAttribute::LinkInfo(kind(marks, link, around)));
    born.attributes
        .extend(around.parent.map(LinkAttribute::Link));
    match &link.kind {
        LinkKind::Veth { .. } => up(&mut born, true),
        // Asked of the host's namespace, it is born where it belongs and never moved.
        LinkKind::Upper { .. } | LinkKind::Vxlan(_) | LinkKind::WireGuard => {
            born.attributes.extend(around.elsewhere.map(namespace));
        }
        LinkKind::Bridge | LinkKind::Dummy => {}
    }
    let born = RouteNetlinkMessage::NewLink(born);
    Message::route(born, NLM_F_CREATE | NLM_F_EXCL)
}

/// Gives a link of ours that exists the wanted settings, the other end excepted. What is as wanted
/// is not set again: a hardware address, even the same, costs a link all its neighbors.
pub(super) fn alter(
    marks: &Marks,
    name: &InterfaceName,
    link: &Link,
    master: Option<u32>,
    found: &Found,
) -> Vec<Message> {
    let mut altered = named(name);
    altered
        .attributes
        .push(LinkAttribute::Group(marks.group_of(link.group)));
    let mtu = link.mtu.filter(|_| link.mtu != found.mtu);
    altered.attributes.extend(mtu.map(LinkAttribute::Mtu));
    let mac = link.mac.filter(|mac| Some(*mac) != found.mac);
    altered.attributes.extend(mac.map(address));
    let present = found.master.filter(|_| found.port.is_some());
    if master != present {
        altered
            .attributes
            .push(LinkAttribute::Controller(master.unwrap_or(0)));
    }
    if matches!(link.kind, LinkKind::Veth { .. }) {
        up(&mut altered, true);
    }
    vec![change(altered), finish(marks, name, link)]
}

/// Gives the other end of a veth pair the wanted settings. As with [`alter`], what is as wanted is
/// not set again.
pub(super) fn alter_peer(
    name: &InterfaceName,
    mac: Mac,
    mtu: Option<u32>,
    found: &Found,
) -> Message {
    let mut altered = named(name);
    let mtu = mtu.filter(|_| mtu != found.mtu);
    altered.attributes.extend(mtu.map(LinkAttribute::Mtu));
    if found.mac != Some(mac) {
        altered.attributes.push(address(mac));
    }
    change(altered)
}

/// Makes a link that was born without its bridge a port of it.
pub(super) fn join(name: &InterfaceName, master: u32) -> Message {
    let mut joined = named(name);
    joined.attributes.push(LinkAttribute::Controller(master));
    change(joined)
}

/// Sets a link up or down.
pub(super) fn set_up(name: &InterfaceName, to: bool) -> Message {
    let mut altered = named(name);
    up(&mut altered, to);
    change(altered)
}

/// Removes a link.
pub(super) fn delete(name: &InterfaceName) -> Message {
    Message::route(RouteNetlinkMessage::DelLink(named(name)), 0)
}

/// Removes links together: for each the kernel would wait tens of milliseconds, for a group once.
pub(super) fn delete_together(marks: &Marks, names: &[&InterfaceName]) -> Vec<Message> {
    let mut doomed = LinkMessage::default();
    doomed
        .attributes
        .push(LinkAttribute::Group(marks.doomed_group()));
    let marked = names.iter().map(|name| {
        let mut marked = named(name);
        marked
            .attributes
            .push(LinkAttribute::Group(marks.doomed_group()));
        change(marked)
    });
    marked
        .chain([Message::route(RouteNetlinkMessage::DelLink(doomed), 0)])
        .collect()
}

fn named(name: &InterfaceName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_string()));
    message
}

/// RTM_NEWLINK without NLM_F_CREATE: of the messages that change a link it alone takes both a
/// name and the settings of a bridge port.
fn change(message: LinkMessage) -> Message {
    Message::route(RouteNetlinkMessage::NewLink(message), 0)
}

fn address(mac: Mac) -> LinkAttribute {
    LinkAttribute::Address(mac.0.to_vec())
}

fn up(message: &mut LinkMessage, to: bool) {
    message.header.change_mask |= LinkFlags::Up;
    message.header.flags.set(LinkFlags::Up, to);
}

fn kind(marks: &Marks, link: &Link, around: &Surroundings) -> Vec<LinkInfo> {
    match &link.kind {
        LinkKind::Bridge => vec![LinkInfo::Kind(InfoKind::Bridge)],
        LinkKind::Dummy => vec![LinkInfo::Kind(InfoKind::Dummy)],
        LinkKind::WireGuard => vec![LinkInfo::Kind(InfoKind::Wireguard)],
        LinkKind::Upper { kind, .. } => upper(*kind),
        LinkKind::Vxlan(vxlan) => {
            let data = InfoData::Vxlan(crate::vxlan::words(vxlan));
            vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(data)]
        }
        LinkKind::Veth {
            peer: (netns, name),
            peer_mac,
        } => {
            let mut peer = named(name);
            if *netns == Netns::Host {
                // Another object of the plan has the rest of its settings.
                peer.attributes
                    .push(LinkAttribute::Group(marks.group_of(LinkGroup::Ours)));
            }
            peer.attributes.push(address(*peer_mac));
            peer.attributes.extend(link.mtu.map(LinkAttribute::Mtu));
            peer.attributes.extend(around.elsewhere.map(namespace));
            let data = InfoData::Veth(InfoVeth::Peer(peer));
            vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]
        }
    }
}

fn upper(kind: Upper) -> Vec<LinkInfo> {
    let (kind, data) = match kind {
        Upper::Macvlan(mode) => {
            let data = vec![InfoMacVlan::Mode(macvlan_mode(mode))];
            (InfoKind::MacVlan, InfoData::MacVlan(data))
        }
        Upper::Ipvlan(mode, flag) => {
            let mode = InfoIpVlan::Mode(ipvlan_mode(mode));
            let flag = InfoIpVlan::Flags(ipvlan_flag(flag));
            (InfoKind::IpVlan, InfoData::IpVlan(vec![mode, flag]))
        }
        Upper::Vlan(id) => (InfoKind::Vlan, InfoData::Vlan(vec![InfoVlan::Id(id)])),
    };
    vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]
}

fn namespace(channel: &Channel) -> LinkAttribute {
    LinkAttribute::NetNsFd(channel.handle().as_fd().as_raw_fd())
}

/// The settings that are ignored at birth: the alias, no link-local address on what a bridge or a
/// sandbox is joined by, the flags of a bridge port, the hardware address of a link that takes its
/// parent's.
pub(super) fn finish(marks: &Marks, name: &InterfaceName, link: &Link) -> Message {
    let mut finished = named(name);
    let attributes = &mut finished.attributes;
    attributes.push(LinkAttribute::IfAlias(marks.alias(link.kind.peer())));
    if let LinkKind::Upper {
        kind: Upper::Macvlan(MacvlanMode::Passthru),
        ..
    } = link.kind
    {
        attributes.extend(link.mac.map(address));
    }
    let joined = link.kind.peer().is_some() || link.port.is_some();
    if joined && link.mtu.is_none_or(|mtu| mtu >= IPV6_MTU) {
        let silent = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        let silent = vec![AfSpecUnspec::Inet6(vec![silent])];
        attributes.push(LinkAttribute::AfSpecUnspec(silent));
    }
    attributes.extend(link.port.as_ref().map(port));
    change(finished)
}

fn port(port: &BridgePort) -> LinkAttribute {
    let flags = vec![
        InfoBridgePort::HairpinMode(port.hairpin),
        InfoBridgePort::Isolated(port.isolated),
        InfoBridgePort::Learning(port.learning),
        InfoBridgePort::NeighSupress(port.neigh_suppress),
    ];
    LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(flags)),
    ])
}
