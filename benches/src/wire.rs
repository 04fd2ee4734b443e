//! Bare wires between two namespaces, of raw netlink: what the product's networks are held against.

use crate::error::Result;
use crate::floor::{Bridge, Endpoint, INSIDE, own_address, set_up, up};
use crate::namespace::Namespace;
use crate::netlink::Request;
use crate::stream::Path;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage,
};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::Arc;

const BRIDGE: &str = "bare0";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);
const FILTER: &str = "table inet bare { chain forward { \
    type filter hook forward priority filter; ct state established,related accept; }; }";
const BRIDGE_MAC: [u8; 6] = [0x02, 0x42, 0, 0, 0, 1];

/// The loopback of one namespace.
pub(crate) fn loopback() -> Result<Path> {
    let namespace = Namespace::new()?;
    namespace.route()?.exchange(vec![up(1)])?;
    let both = Arc::new(namespace);
    Ok(Path::new(
        "host (loopback)",
        both.clone(),
        both,
        Ipv4Addr::LOCALHOST,
    ))
}

/// A veth pair, one end in each namespace.
pub(crate) fn veth() -> Result<Path> {
    let (client, server) = (Namespace::new()?, Namespace::new()?);
    let to = Ipv4Addr::new(10, 250, 0, 3);
    let mut near = client.route()?;
    near.exchange(vec![pair(&server)])?;
    near.exchange(vec![own_address(INSIDE, GATEWAY), up(INSIDE)])?;
    server
        .route()?
        .exchange(vec![own_address(INSIDE, to), up(INSIDE)])?;
    Ok(Path::new(
        "bare veth",
        Arc::new(client),
        Arc::new(server),
        to,
    ))
}

/// Two endpoints of a bridge. `filtered` says whether its packets pass a filter of IP, the least
/// that a host has which filters anything.
pub(crate) fn bridge(name: &'static str, filtered: bool) -> Result<Path> {
    let middle = Namespace::new()?;
    middle.visit(|| filter(filtered))?;
    let mut host = middle.route()?;
    host.exchange(vec![bare_bridge()])?;
    let bridge = Bridge::find(&mut host, BRIDGE, GATEWAY)?;
    let mut ends = [Endpoint::new(&bridge, 1)?, Endpoint::new(&bridge, 2)?];
    for end in &mut ends {
        end.attach(&mut host)?;
    }
    let [client, server] = ends;
    let to = server.address();
    let [client, server] = [client, server].map(|end| Arc::new(end.into_namespace()));
    Ok(Path::new(name, client, server, to).through(middle))
}

/// Sends what the calling thread's namespace bridges through one rule, or through none.
fn filter(filtered: bool) -> io::Result<()> {
    let path = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if !filtered {
        return fs::write(path, "0");
    }
    fs::write(path, "1")?;
    let status = Command::new("nft").arg(FILTER).status()?;
    let refused = || io::Error::other("nft refused the filter of a bare bridge");
    status.success().then_some(()).ok_or_else(refused)
}

fn pair(server: &Namespace) -> Request {
    let mut peer = LinkMessage::default();
    peer.header.index = INSIDE;
    let handle = server.handle().as_fd().as_raw_fd();
    peer.attributes = vec![
        LinkAttribute::IfName("eth0".into()),
        LinkAttribute::NetNsFd(handle),
    ];
    let mut pair = LinkMessage::default();
    pair.header.index = INSIDE;
    pair.attributes = vec![
        LinkAttribute::IfName("eth0".into()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    new(pair)
}

fn bare_bridge() -> Request {
    let mut bridge = LinkMessage::default();
    set_up(&mut bridge);
    bridge.attributes = vec![
        LinkAttribute::IfName(BRIDGE.into()),
        LinkAttribute::Address(BRIDGE_MAC.to_vec()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    new(bridge)
}

fn new(link: LinkMessage) -> Request {
    (
        RouteNetlinkMessage::NewLink(link),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_bare_wire_carries_streams_and_datagrams() {
        let bare = bridge("bare bridge", true).unwrap();
        for path in [loopback().unwrap(), veth().unwrap(), bare] {
            let passed = path.stream(Duration::from_millis(20)).unwrap();
            assert!(passed.bytes > 0, "{}", path.name());
            assert_eq!(path.round_trips(5).unwrap().len(), 5, "{}", path.name());
        }
    }
}
