//! Addresses, neighbors and routes, as the kernel reports them.

use crate::ack::errno;
use crate::channel::Channel;
use crate::message::Message;
use crate::read::parse;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use sealane_core::model::{IpFamily, Mac};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of a link, of one family. The kernel finds them by the link's index, without a
/// walk over others.
pub(crate) fn of_link(channel: &Channel, link: u32, family: IpFamily) -> io::Result<Vec<IpNet>> {
    let all = addresses(channel, link, family)?;
    Ok(all.into_iter().map(|(_, address)| address).collect())
}

/// Addresses of one family with the index of their link; of all links if `link` is 0.
pub(crate) fn addresses(
    channel: &Channel,
    link: u32,
    family: IpFamily,
) -> io::Result<Vec<(u32, IpNet)>> {
    let mut message = AddressMessage::default();
    message.header.family = number(family);
    message.header.index = link;
    let request = Message::route(RouteNetlinkMessage::GetAddress(message), 0);
    let replies = match channel.route().dump(&request) {
        // A link without IPv6 has no addresses of it to list.
        Err(error) if errno(&error) == Some(libc::ENODEV) => Vec::new(),
        other => other?,
    };
    let mut found = Vec::new();
    for reply in &replies {
        // One that the library cannot read is of a kind that we do not make.
        if let Ok(RouteNetlinkMessage::NewAddress(message)) = parse(reply) {
            found.extend(address(&message).map(|net| (message.header.index, net)));
        }
    }
    Ok(found)
}

/// `AF_INET`, `AF_INET6`
pub(super) fn number(family: IpFamily) -> AddressFamily {
    family.pick(AddressFamily::Inet, AddressFamily::Inet6)
}

/// The address that a message is about.
pub(crate) fn address(message: &AddressMessage) -> Option<IpNet> {
    // IPv4 has both, and on a point-to-point link the second is the other side's.
    let mut address = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(local) = attribute {
            address = Some(*local);
        } else if let AddressAttribute::Address(other) = attribute {
            address.get_or_insert(*other);
        }
    }
    IpNet::new(address?, message.header.prefix_len).ok()
}

/// The hardware address of a neighbor, if it is known for good.
pub(crate) fn neighbor(channel: &Channel, link: u32, address: IpAddr) -> io::Result<Option<Mac>> {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = link;
    let (family, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
    };
    message.header.family = family;
    message
        .attributes
        .push(NeighbourAttribute::Destination(destination));
    let request = Message::route(RouteNetlinkMessage::GetNeighbour(message), 0);
    let reply = match channel.route().get(request) {
        Err(error) if matches!(errno(&error), Some(libc::ENOENT | libc::ENODEV)) => None,
        other => other?,
    };
    let Some(reply) = reply else {
        return Ok(None);
    };
    let RouteNetlinkMessage::NewNeighbour(message) = parse(&reply)? else {
        return Ok(None);
    };
    let permanent =
        message.header.state == netlink_packet_route::neighbour::NeighbourState::Permanent;
    let mac = message.attributes.into_iter().find_map(|attribute| {
        let NeighbourAttribute::LinkLayerAddress(bytes) = attribute else {
            return None;
        };
        bytes.try_into().ok().map(Mac)
    });
    Ok(mac.filter(|_| permanent))
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) to: IpNet,
    pub(crate) link: u32,
    pub(crate) via: Option<IpAddr>,
    /// Whether destinations are on the link.
    pub(crate) on_link: bool,
    /// Whether a router advertised it.
    pub(crate) advertised: bool,
    /// The source of the host's own packets, if the route names one.
    pub(crate) source: Option<IpAddr>,
    /// The lower, the better.
    pub(crate) metric: u32,
}

/// The unicast routes of the main table, of one family.
pub(crate) fn routes(channel: &Channel, family: IpFamily) -> io::Result<Vec<Found>> {
    list_routes(channel, family, None)
}

/// Those of them that lead over one link: a host has thousands of others.
pub(crate) fn routes_over(
    channel: &Channel,
    link: u32,
    family: IpFamily,
) -> io::Result<Vec<Found>> {
    let mut found = list_routes(channel, family, Some(link))?;
    // Kernels that do not know the question answer with all.
    found.retain(|route| route.link == link);
    Ok(found)
}

fn list_routes(channel: &Channel, family: IpFamily, link: Option<u32>) -> io::Result<Vec<Found>> {
    let mut message = RouteMessage::default();
    message.header.address_family = number(family);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.attributes.extend(link.map(RouteAttribute::Oif));
    let request = Message::route(RouteNetlinkMessage::GetRoute(message), 0);
    let mut found = Vec::new();
    let replies = match channel.route().dump(&request) {
        // A namespace without any route has no table for them yet; a link may be gone.
        Err(error) if matches!(errno(&error), Some(libc::ENOENT | libc::ENODEV)) => {
            return Ok(found);
        }
        other => other?,
    };
    for reply in replies {
        // One that the library cannot read is of a kind that we do not make.
        if let Ok(RouteNetlinkMessage::NewRoute(message)) = parse(&reply) {
            found.extend(route(&message, family));
        }
    }
    Ok(found)
}

/// The route that packets to an address match, if it is one of the main table (`RTM_F_FIB_MATCH`,
/// linux/rtnetlink.h). It costs the same among thousands of others.
pub(crate) fn matching_route(channel: &Channel, to: IpAddr) -> io::Result<Option<Found>> {
    let mut message = RouteMessage::default();
    // Of IPv6 the reply has the table unasked, and to ask is refused.
    let (destination, length, flags) = match to {
        IpAddr::V4(to) => (RouteAddress::Inet(to), 32, RouteFlags::LookupTable),
        IpAddr::V6(to) => (RouteAddress::Inet6(to), 128, RouteFlags::empty()),
    };
    message.header.address_family = number(IpFamily::of(to));
    message.header.destination_prefix_length = length;
    message.header.flags = RouteFlags::FibMatch | flags;
    message
        .attributes
        .push(RouteAttribute::Destination(destination));
    let request = Message::route(RouteNetlinkMessage::GetRoute(message), 0);
    let reply = match channel.route().get(request) {
        Err(error) if matches!(errno(&error), Some(libc::ENETUNREACH | libc::EHOSTUNREACH)) => None,
        other => other?,
    };
    // One that the library cannot read is of a kind that we do not make.
    Ok(match reply.as_ref().map(parse) {
        Some(Ok(RouteNetlinkMessage::NewRoute(message))) => route(&message, IpFamily::of(to)),
        _ => None,
    })
}

/// The destination of a route that a message is about.
pub(crate) fn destination(message: &RouteMessage) -> Option<IpNet> {
    let mut to: IpAddr = if message.header.address_family == AddressFamily::Inet6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            to = of_route(address)?;
        }
    }
    IpNet::new(to, message.header.destination_prefix_length).ok()
}

/// The number of the link that a route leaves by.
pub(crate) fn leaves_by(message: &RouteMessage) -> Option<u32> {
    message.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Oif(index) = attribute {
            return Some(*index);
        }
        None
    })
}

/// The next hop of a route, and the source that it names.
pub(crate) fn next_hop(message: &RouteMessage) -> (Option<IpAddr>, Option<IpAddr>) {
    let (mut via, mut source) = (None, None);
    for attribute in &message.attributes {
        if let RouteAttribute::Gateway(address) = attribute {
            via = of_route(address);
        } else if let RouteAttribute::PrefSource(address) = attribute {
            source = of_route(address);
        }
    }
    (via, source)
}

/// The route that a message is about, if it is one of the main table and leads somewhere.
pub(crate) fn route(message: &RouteMessage, family: IpFamily) -> Option<Found> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let (via, source) = next_hop(message);
    let mut metric = 0;
    for attribute in &message.attributes {
        if let RouteAttribute::Priority(priority) = attribute {
            metric = *priority;
        }
    }
    let on_link = via.is_none() && (family == IpFamily::V6 || header.scope == RouteScope::Link);
    Some(Found {
        to: destination(message)?,
        link: leaves_by(message)?,
        via,
        on_link,
        advertised: header.protocol == RouteProtocol::Ra,
        source,
        metric,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other kinds of network are not ours"
)]
fn of_route(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
