//! Where frames go: entries of tunnels and bridges, as the kernel reports them.

use super::parse;
use crate::ack::errno;
use crate::channel::Channel;
use crate::message::Message;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use sealane_core::model::Mac;
use sealane_core::plan::Forwarding;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

/// Looks for what a tunnel knows of a hardware address, else for what the bridge knows that the link
/// is a port of. What either has learned by itself does not count.
pub(super) fn look(channel: &Channel, link: u32, mac: Mac) -> io::Result<Option<Forwarding>> {
    for (flag, state) in [
        (NeighbourFlags::Own, NeighbourState::Permanent),
        (NeighbourFlags::Controller, NeighbourState::Noarp),
    ] {
        let Some(found) = ask(channel, link, mac, flag)? else {
            continue;
        };
        if found.header.ifindex != link || found.header.state != state {
            continue;
        }
        if flag == NeighbourFlags::Controller {
            return Ok(Some(Forwarding::Port));
        }
        if let Some(to) = found.attributes.iter().find_map(destination) {
            return Ok(Some(Forwarding::Tunnel(to)));
        }
    }
    Ok(None)
}

/// The ends to which a tunnel has frames go, for good, each with the hardware address that they are
/// to.
pub(super) fn ends(channel: &Channel, link: u32) -> io::Result<BTreeSet<(Mac, IpAddr)>> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.attributes.push(NeighbourAttribute::IfIndex(link));
    let request = Message::route(RouteNetlinkMessage::GetNeighbour(message), 0);
    let mut ends = BTreeSet::new();
    for reply in channel.route().dump(&request)? {
        // One that the library cannot read is of a kind that we do not make.
        let Ok(RouteNetlinkMessage::NewNeighbour(found)) = parse(&reply) else {
            continue;
        };
        let header = &found.header;
        let lasting = header.state == NeighbourState::Permanent;
        if header.ifindex != link || header.flags != NeighbourFlags::Own || !lasting {
            continue;
        }
        let to = found.attributes.iter().find_map(destination);
        ends.extend(found.attributes.iter().find_map(hardware).zip(to));
    }
    Ok(ends)
}

fn hardware(attribute: &NeighbourAttribute) -> Option<Mac> {
    let NeighbourAttribute::LinkLayerAddress(bytes) = attribute else {
        return None;
    };
    <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac)
}

fn ask(
    channel: &Channel,
    link: u32,
    mac: Mac,
    flag: NeighbourFlags,
) -> io::Result<Option<NeighbourMessage>> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = link;
    message.header.flags = flag;
    let address = NeighbourAttribute::LinkLayerAddress(mac.0.to_vec());
    message.attributes.push(address);
    let request = Message::route(RouteNetlinkMessage::GetNeighbour(message), 0);
    let reply = match channel.route().get(request) {
        // There is no such entry; the link keeps none, or is no port.
        Err(error)
            if matches!(
                errno(&error),
                Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP | libc::EINVAL)
            ) =>
        {
            None
        }
        other => other?,
    };
    match reply.as_ref().map(parse).transpose()? {
        Some(RouteNetlinkMessage::NewNeighbour(message)) => Ok(Some(message)),
        Some(_) | None => Ok(None),
    }
}

/// The tunnel end that an entry leads to. Its family is not the message's, so that the library knows
/// only its bytes.
fn destination(attribute: &NeighbourAttribute) -> Option<IpAddr> {
    let NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) = attribute else {
        return None;
    };
    if let Ok(address) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(address.into());
    }
    let address = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(address.into())
}
