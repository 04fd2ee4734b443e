//! Messages for addresses, neighbors and routes.

use crate::message::Message;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use sealane_core::model::Mac;
use std::net::IpAddr;

/// Adds an address to a link.
pub(super) fn add(link: u32, address: IpNet) -> Message {
    let mut message = addressed(link, address);
    let extra = match address {
        // A network of one or two addresses has none to broadcast to.
        IpNet::V4(net) if net.prefix_len() < 31 => AddressAttribute::Broadcast(net.broadcast()),
        IpNet::V4(_) => AddressAttribute::Flags(AddressFlags::empty()),
        // We know that the address is nobody else's, and waiting a second to find out shows.
        IpNet::V6(_) => AddressAttribute::Flags(AddressFlags::Nodad),
    };
    message.attributes.push(extra);
    Message::route(
        RouteNetlinkMessage::NewAddress(message),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

/// Takes an address from a link.
pub(super) fn remove(link: u32, address: IpNet) -> Message {
    Message::route(RouteNetlinkMessage::DelAddress(addressed(link, address)), 0)
}

/// Makes known who has an address, for good.
pub(super) fn add_neighbor(link: u32, address: IpAddr, mac: Mac) -> Message {
    let mut message = neighbor(link, address);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    Message::route(
        RouteNetlinkMessage::NewNeighbour(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Forgets who has an address.
pub(super) fn remove_neighbor(link: u32, address: IpAddr) -> Message {
    Message::route(
        RouteNetlinkMessage::DelNeighbour(neighbor(link, address)),
        0,
    )
}

/// Makes a route, in place of another to the same prefix.
pub(super) fn add_route(link: u32, to: IpNet, via: Option<IpAddr>) -> Message {
    let mut message = route(link, to, via);
    message.header.kind = RouteType::Unicast;
    if via.is_none() && matches!(to, IpNet::V4(_)) {
        message.header.scope = RouteScope::Link;
    }
    Message::route(
        RouteNetlinkMessage::NewRoute(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Removes a route of ours.
pub(super) fn remove_route(link: u32, to: IpNet, via: Option<IpAddr>) -> Message {
    let mut message = route(link, to, via);
    message.header.scope = RouteScope::NoWhere; // any
    Message::route(RouteNetlinkMessage::DelRoute(message), 0)
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn addressed(link: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.addr());
    message.header.prefix_len = address.prefix_len();
    message.header.index = link;
    message
        .attributes
        .push(AddressAttribute::Local(address.addr()));
    message
        .attributes
        .push(AddressAttribute::Address(address.addr()));
    message
}

fn neighbor(link: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = link;
    message
        .attributes
        .push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        }));
    message
}

fn route(link: u32, to: IpNet, via: Option<IpAddr>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(to.addr());
    message.header.destination_prefix_length = to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    if to.prefix_len() > 0 {
        message
            .attributes
            .push(RouteAttribute::Destination(of_route(to.network())));
    }
    message.attributes.push(RouteAttribute::Oif(link));
    message
        .attributes
        .extend(via.map(|via| RouteAttribute::Gateway(of_route(via))));
    message
}

fn of_route(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
