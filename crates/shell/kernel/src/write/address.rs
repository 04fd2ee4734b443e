//! Messages for addresses, neighbors, routes and forwarding entries.

use crate::message::Message;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use sealane_core::model::{IpFamily, Mac};
use sealane_core::plan::{Forwarding, Route, RouteId};
use std::net::IpAddr;

/// Adds an address to a link.
pub(super) fn add(link: u32, address: IpNet) -> Message {
    let mut message = addressed(link, address);
    let extra = match address {
        // A network of one or two addresses has none to broadcast to.
        IpNet::V4(net) if net.prefix_len() < 31 => AddressAttribute::Broadcast(net.broadcast()),
        IpNet::V4(_) => AddressAttribute::Flags(AddressFlags::empty()),
        // The address is reserved, so that no other link has it; detection would take a second.
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

/// Makes known where frames to a hardware address go, for good.
pub(super) fn add_forwarding(link: u32, mac: Mac, to: &Forwarding) -> Message {
    let mut message = forwarding(link, mac, to);
    message.header.state = match to {
        Forwarding::Tunnel(_) => NeighbourState::Permanent,
        // Permanent is what a bridge calls its own addresses.
        Forwarding::Port => NeighbourState::Noarp,
    };
    if let Forwarding::Tunnel(to) = to {
        let to = NeighbourAttribute::Destination(of_neighbor(*to));
        message.attributes.push(to);
    }
    Message::route(
        RouteNetlinkMessage::NewNeighbour(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Forgets where frames to a hardware address go.
pub(super) fn remove_forwarding(link: u32, mac: Mac, to: &Forwarding) -> Message {
    let message = forwarding(link, mac, to);
    Message::route(RouteNetlinkMessage::DelNeighbour(message), 0)
}

/// Has frames to a hardware address go to one more tunnel end.
pub(super) fn add_flooding(link: u32, mac: Mac, to: IpAddr) -> Message {
    let mut message = flooding(link, mac, to);
    message.header.state = NeighbourState::Permanent;
    Message::route(
        RouteNetlinkMessage::NewNeighbour(message),
        NLM_F_CREATE | NLM_F_APPEND,
    )
}

/// Has them go there no more.
pub(super) fn remove_flooding(link: u32, mac: Mac, to: IpAddr) -> Message {
    Message::route(
        RouteNetlinkMessage::DelNeighbour(flooding(link, mac, to)),
        0,
    )
}

fn flooding(link: u32, mac: Mac, to: IpAddr) -> NeighbourMessage {
    let mut message = forwarding(link, mac, &Forwarding::Tunnel(to));
    let to = NeighbourAttribute::Destination(of_neighbor(to));
    message.attributes.push(to);
    message
}

fn forwarding(link: u32, mac: Mac, to: &Forwarding) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = link;
    message.header.flags = match to {
        Forwarding::Tunnel(_) => NeighbourFlags::Own,
        Forwarding::Port => NeighbourFlags::Controller,
    };
    let address = NeighbourAttribute::LinkLayerAddress(mac.0.to_vec());
    message.attributes.push(address);
    message
}

/// Makes a route by a link if it leads anywhere, in place of another with the same identity.
pub(super) fn add_route(link: Option<u32>, id: &RouteId, to: &Route) -> Message {
    let mut message = route(link, id, to);
    let onwards = matches!(to, Route::Unicast { via: None, .. });
    if onwards && id.family() == IpFamily::V4 {
        message.header.scope = RouteScope::Link;
    }
    Message::route(
        RouteNetlinkMessage::NewRoute(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Removes a route of ours.
pub(super) fn remove_route(link: Option<u32>, id: &RouteId, to: &Route) -> Message {
    let mut message = route(link, id, to);
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
        .push(NeighbourAttribute::Destination(of_neighbor(address)));
    message
}

fn of_neighbor(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }
}

fn route(link: Option<u32>, id: &RouteId, to: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(id.to.addr());
    message.header.destination_prefix_length = id.to.prefix_len();
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = match to {
        Route::Unicast { .. } => RouteType::Unicast,
        Route::Blackhole => RouteType::BlackHole,
        Route::Unreachable => RouteType::Unreachable,
        Route::Prohibit => RouteType::Prohibit,
    };
    let attributes = &mut message.attributes;
    // Numbers above 255 do not fit the header.
    attributes.push(RouteAttribute::Table(id.table));
    if id.to.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(of_route(id.to.network())));
    }
    if id.metric > 0 {
        attributes.push(RouteAttribute::Priority(id.metric));
    }
    attributes.extend(link.map(RouteAttribute::Oif));
    if let Route::Unicast { via, source, .. } = to {
        attributes.extend(via.map(|via| RouteAttribute::Gateway(of_route(via))));
        attributes.extend(source.map(|source| RouteAttribute::PrefSource(of_route(source))));
    }
    message
}

fn of_route(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}
