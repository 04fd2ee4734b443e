//! Links, as the kernel reports them.

use crate::ack::errno;
use crate::channel::Channel;
use crate::kernel::Kernel;
use crate::mark::{Marks, owner_of_alias, peer_of_alias};
use crate::message::Message;
use crate::nft::decode;
use crate::read::parse;
use crate::socket::{Answer, Reply};
use crate::{upper, vxlan};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, LinkAttribute, LinkExtentMask, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use sealane_core::model::{InterfaceName, Mac};
use sealane_core::plan::{BridgePort, Link, LinkKind, Netns, Upper, Vxlan};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) mtu: Option<u32>,
    pub(crate) mac: Option<Mac>,
    pub(crate) kind: Kind,
    pub(crate) master: Option<u32>,
    /// What kind of port it is, if its master is a bridge.
    pub(crate) port: Option<PortFlags>,
    group: u32,
    alias: String,
    /// The index of a veth's other end, or of the link it sits on, in its own namespace.
    peer: Option<u32>,
    /// The kernel's number for that namespace, if it is another.
    peer_netns: Option<i32>,
}

/// What kind of link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Bridge,
    Veth,
    Dummy,
    Upper(Upper),
    Vxlan(Vxlan),
    WireGuard,
    #[default]
    Other,
}

/// The settings of the port of a bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortFlags {
    hairpin: bool,
    isolated: bool,
    learning: bool,
    neigh_suppress: bool,
}

impl Found {
    /// The owner that its alias names.
    pub(crate) fn owner(&self) -> Option<&str> {
        owner_of_alias(&self.alias)
    }

    /// Whether it bears these marks.
    pub(crate) fn bears(&self, marks: &Marks) -> bool {
        marks.bears(self.group, &self.alias)
    }
}

/// Asks for a link.
pub(crate) fn request(name: &str) -> Message {
    let mut message = question();
    message.attributes.push(LinkAttribute::IfName(name.into()));
    Message::route(RouteNetlinkMessage::GetLink(message), 0)
}

/// Asks, as a dump, for all links.
pub(crate) fn request_all() -> Message {
    Message::route(RouteNetlinkMessage::GetLink(question()), 0)
}

fn question() -> LinkMessage {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

/// Looks at links; `None` for each that is not there.
pub(crate) fn look_at(channel: &Channel, names: &[&str]) -> io::Result<Vec<Option<Found>>> {
    let requests: Vec<Message> = names.iter().map(|name| request(name)).collect();
    channel
        .route()
        .exchange(&requests)?
        .iter()
        .map(from_answer)
        .collect()
}

/// Looks at one link.
pub(crate) fn look(channel: &Channel, name: &InterfaceName) -> io::Result<Option<Found>> {
    Ok(look_at(channel, &[name.as_str()])?.pop().flatten())
}

/// Whether there is such a link, which the kernel says once it has finished what it put off for it.
pub(crate) fn is_there(channel: &Channel, name: &InterfaceName) -> io::Result<bool> {
    let answers = channel.route().exchange(&[request(name.as_str())])?;
    match answers.into_iter().find_map(|answer| answer.refusal) {
        None => Ok(true),
        Some(refusal) if errno(&refusal) == Some(libc::ENODEV) => Ok(false),
        Some(refusal) => Err(refusal),
    }
}

fn from_answer(answer: &Answer) -> io::Result<Option<Found>> {
    match &answer.refusal {
        Some(refusal) if errno(refusal) == Some(libc::ENODEV) => Ok(None),
        Some(refusal) => Err(io::Error::new(refusal.kind(), refusal.to_string())),
        None => answer.objects.first().map(from_reply).transpose(),
    }
}

/// Reads a link from a message. One that the library cannot read is of a kind that we do not make,
/// of which the name suffices.
pub(crate) fn from_reply(reply: &Reply) -> io::Result<Found> {
    let Ok(RouteNetlinkMessage::NewLink(message)) = parse(reply) else {
        let (index, name) = identity(&reply.payload).ok_or(io::ErrorKind::InvalidData)?;
        return Ok(Found {
            index,
            name,
            ..Found::default()
        });
    };
    let up = message.header.flags.contains(LinkFlags::Up);
    let mut found = Found {
        index: message.header.index,
        up,
        ..Found::default()
    };
    for attribute in message.attributes {
        found.take(attribute);
    }
    Ok(found)
}

/// The index and name of a link that a message is about.
pub(crate) fn identity(payload: &[u8]) -> Option<(u32, String)> {
    const NAME: u16 = 3;
    let (header, attributes) = payload.split_first_chunk::<16>()?;
    let index = u32::from_ne_bytes(*header.last_chunk::<12>()?.first_chunk()?);
    Some((index, decode::text(decode::find(attributes, NAME)?)))
}

/// What kind of link a message is about, in the kernel's word; hardware has none.
pub(crate) fn kind_of(payload: &[u8]) -> Option<String> {
    const INFO: u16 = 18; // IFLA_LINKINFO (linux/if_link.h)
    const KIND: u16 = 1; // IFLA_INFO_KIND
    let (_, attributes) = payload.split_first_chunk::<16>()?;
    let info = decode::find(attributes, INFO)?;
    Some(decode::text(decode::find(info, KIND)?))
}

impl Found {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kernel tells more than we ask"
    )]
    fn take(&mut self, attribute: LinkAttribute) {
        match attribute {
            LinkAttribute::IfName(name) => self.name = name,
            LinkAttribute::Mtu(mtu) => self.mtu = Some(mtu),
            LinkAttribute::Group(group) => self.group = group,
            LinkAttribute::Controller(master) => self.master = Some(master),
            LinkAttribute::IfAlias(alias) => self.alias = alias,
            LinkAttribute::Link(peer) => self.peer = Some(peer),
            LinkAttribute::LinkNetNsId(number) => self.peer_netns = Some(number),
            LinkAttribute::Address(bytes) => self.mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::LinkInfo(infos) => infos.into_iter().for_each(|info| self.learn(info)),
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kernel tells more than we ask"
    )]
    fn learn(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(InfoKind::Bridge) => self.kind = Kind::Bridge,
            LinkInfo::Kind(InfoKind::Veth) => self.kind = Kind::Veth,
            LinkInfo::Kind(InfoKind::Dummy) => self.kind = Kind::Dummy,
            LinkInfo::Kind(InfoKind::Wireguard) => self.kind = Kind::WireGuard,
            LinkInfo::Data(InfoData::Vxlan(infos)) => {
                self.kind = vxlan::read(&infos).map_or(Kind::Other, Kind::Vxlan);
            }
            LinkInfo::Data(data) => {
                if let Some(upper) = upper::read(&data) {
                    self.kind = Kind::Upper(upper);
                }
            }
            LinkInfo::PortData(InfoPortData::BridgePort(flags)) => {
                self.port = Some(PortFlags {
                    hairpin: flags.contains(&InfoBridgePort::HairpinMode(true)),
                    isolated: flags.contains(&InfoBridgePort::Isolated(true)),
                    learning: flags.contains(&InfoBridgePort::Learning(true)),
                    neigh_suppress: flags.contains(&InfoBridgePort::NeighSupress(true)),
                });
            }
            _ => {}
        }
    }
}

/// Returns the other end of a veth pair if it is in that namespace under that name.
pub(crate) fn peer_at(
    kernel: &Kernel,
    netns: Netns,
    link: &Found,
    (peer_netns, peer): &(Netns, InterfaceName),
) -> io::Result<Option<Found>> {
    let there = match kernel.channel(*peer_netns) {
        Ok(channel) => channel,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let number = if netns == *peer_netns {
        None
    } else {
        netns_number(&*kernel.channel(netns)?, &there)?
    };
    if number != link.peer_netns {
        return Ok(None);
    }
    Ok(look(&there, peer)?.filter(|found| Some(found.index) == link.peer))
}

/// The number by which one namespace knows another, if links lead there.
fn netns_number(from: &Channel, to: &Channel) -> io::Result<Option<i32>> {
    let mut message = NsidMessage::default();
    message
        .attributes
        .push(NsidAttribute::Fd(to.handle().as_fd().as_raw_fd() as u32));
    let request = Message::route(RouteNetlinkMessage::GetNsId(message), 0);
    let Some(reply) = from.route().get(request)? else {
        return Ok(None);
    };
    let RouteNetlinkMessage::NewNsId(message) = parse(&reply)? else {
        return Ok(None);
    };
    Ok(message.attributes.iter().find_map(|attribute| {
        let NsidAttribute::Id(number) = attribute else {
            return None;
        };
        Some(*number).filter(|number| *number >= 0) // below: none assigned
    }))
}

/// A link in the shape of a plan; `None` if it is of a kind that we do not make. A veth whose
/// other end is not where its alias says is reported as its own other end.
pub(crate) fn describe(
    kernel: &Kernel,
    netns: Netns,
    name: &InterfaceName,
    found: &Found,
) -> io::Result<Option<Link>> {
    let kind = match found.kind {
        Kind::Bridge => LinkKind::Bridge,
        Kind::Veth => describe_veth(kernel, netns, name, found)?,
        Kind::Dummy => LinkKind::Dummy,
        Kind::Upper(kind) => match parent_of(kernel, netns, found)? {
            Some(parent) => LinkKind::Upper { parent, kind },
            None => return Ok(None),
        },
        Kind::Vxlan(vxlan) => LinkKind::Vxlan(vxlan),
        Kind::WireGuard => LinkKind::WireGuard,
        Kind::Other => return Ok(None),
    };
    Ok(Some(Link {
        mtu: found.mtu,
        mac: found.mac,
        port: describe_port(kernel, netns, found)?,
        down: found.kind == Kind::Veth && !found.up,
        group: kernel.marks().group_from(found.group),
        kind,
    }))
}

fn describe_port(kernel: &Kernel, netns: Netns, found: &Found) -> io::Result<Option<BridgePort>> {
    let (Some(index), Some(flags)) = (found.master, found.port) else {
        return Ok(None);
    };
    if found.kind == Kind::Veth && !found.up {
        return Ok(None); // made up, and down it carries nothing: as if it were none
    }
    let bridge = name_of(&*kernel.channel(netns)?, index)?;
    Ok(bridge.map(|bridge| BridgePort {
        bridge,
        hairpin: flags.hairpin,
        isolated: flags.isolated,
        learning: flags.learning,
        neigh_suppress: flags.neigh_suppress,
    }))
}

/// The link of the host that a link sits on; `None` if it sits elsewhere.
pub(crate) fn parent_of(
    kernel: &Kernel,
    netns: Netns,
    found: &Found,
) -> io::Result<Option<InterfaceName>> {
    let host = kernel.channel(Netns::Host)?;
    let number = match netns {
        Netns::Host => None,
        Netns::Sandbox(_) | Netns::Network(_) => netns_number(&*kernel.channel(netns)?, &host)?,
    };
    match found.peer.filter(|_| number == found.peer_netns) {
        Some(index) => name_of(&host, index),
        None => Ok(None),
    }
}

fn describe_veth(
    kernel: &Kernel,
    netns: Netns,
    name: &InterfaceName,
    found: &Found,
) -> io::Result<LinkKind> {
    let claimed = peer_of_alias(&found.alias);
    let peer = match &claimed {
        Some(claimed) => peer_at(kernel, netns, found, claimed)?,
        None => None,
    };
    let (at, peer_mac) = match (claimed, peer) {
        (Some(claimed), Some(peer)) => (claimed, peer.mac),
        (_, _) => ((netns, name.clone()), None),
    };
    Ok(LinkKind::Veth {
        peer: at,
        peer_mac: peer_mac.unwrap_or(Mac([0; 6])),
    })
}

/// The name of a link; `None` if it is gone.
pub(crate) fn name_of(channel: &Channel, index: u32) -> io::Result<Option<InterfaceName>> {
    let socket = channel.route();
    match rustix::net::netdevice::index_to_name_inlined(&*socket, index) {
        Ok(name) => Ok(InterfaceName::try_from(name.as_str()).ok()),
        Err(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
