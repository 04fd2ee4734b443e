//! The floor: the same kernel work as attaching an endpoint, and nothing else.
//!
//! In a ready namespace, one veth message (the peer born inside; the host end named, numbered,
//! enslaved and up), one batch (up, address, route, two neighbors, one of them on the host), one
//! sync of the link. No rules, no record, no decision.

use crate::error::{BenchError, Result};
use crate::namespace::Namespace;
use crate::netlink::{Request, Route};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

/// The index of the interface inside; the loopback has 1.
pub(crate) const INSIDE: u32 = 2;
const PREFIX: u8 = 16;

/// A bridge of the host, as netlink names it.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    index: u32,
    mac: Vec<u8>,
    gateway: Ipv4Addr,
}

/// A namespace that is ready to become an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    namespace: Namespace,
    inside: Route,
    bridge: Bridge,
    /// The index of its host end, which also is its name.
    number: u32,
    address: Ipv4Addr,
}

impl Bridge {
    /// Looks a bridge up by its name.
    pub(crate) fn find(host: &mut Route, name: &str, gateway: Ipv4Addr) -> Result<Self> {
        let mut query = LinkMessage::default();
        query.attributes.push(LinkAttribute::IfName(name.into()));
        let found = host.exchange(vec![(RouteNetlinkMessage::GetLink(query), 0)])?;
        let Some(RouteNetlinkMessage::NewLink(link)) = found.into_iter().next() else {
            return Err(BenchError::Unexpected(format!("there is no link {name}")));
        };
        let mac = link.attributes.iter().find_map(|attribute| {
            if let LinkAttribute::Address(mac) = attribute {
                Some(mac.clone())
            } else {
                None
            }
        });
        Ok(Self {
            index: link.header.index,
            mac: mac.unwrap_or_default(),
            gateway,
        })
    }
}

impl Endpoint {
    /// Makes the namespace. `number` tells endpoints apart; links of the host have lower indices.
    pub(crate) fn new(bridge: &Bridge, number: u16) -> Result<Self> {
        let namespace = Namespace::new()?;
        let [a, b, ..] = bridge.gateway.octets();
        let [high, low] = number.to_be_bytes();
        let mut endpoint = Self {
            inside: namespace.route()?,
            namespace,
            bridge: bridge.clone(),
            number: 1_000_000 + u32::from(number),
            // The upper half of the subnet: the product begins at the lower end.
            address: Ipv4Addr::new(a, b, 0x80 | high, low),
        };
        endpoint.inside.exchange(vec![up(1)])?;
        Ok(endpoint)
    }

    /// Joins the namespace to the bridge.
    pub(crate) fn attach(&mut self, host: &mut Route) -> Result<()> {
        host.exchange(vec![self.pair()])?;
        let gateway = self.bridge.gateway;
        let batch = vec![
            up(INSIDE),
            self.own_address(),
            default_route(gateway),
            neighbor(INSIDE, gateway, &self.bridge.mac),
        ];
        self.inside.exchange(batch)?;
        let at_host = neighbor(self.bridge.index, self.address, &self.mac());
        host.exchange(vec![at_host, self.sync()]).map(drop)
    }

    /// Removes both ends, and the neighbor of the host.
    pub(crate) fn detach(&mut self, host: &mut Route) -> Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = self.number;
        let (mut gone, _) = neighbor_message(self.bridge.index, self.address);
        gone.header.state = NeighbourState::None;
        let batch = vec![
            (RouteNetlinkMessage::DelLink(link), 0),
            (RouteNetlinkMessage::DelNeighbour(gone), 0),
        ];
        host.exchange(batch).map(drop)
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The namespace alone; the link stays as it is.
    pub(crate) fn into_namespace(self) -> Namespace {
        self.namespace
    }

    /// The address inside.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn mac(&self) -> Vec<u8> {
        let [a, b, c, d] = self.address.octets();
        vec![0x02, 0x42, a, b, c, d]
    }

    fn pair(&self) -> Request {
        let mut peer = LinkMessage::default();
        peer.header.index = INSIDE;
        let handle = self.namespace.handle().as_fd().as_raw_fd();
        peer.attributes = vec![
            LinkAttribute::IfName("eth0".into()),
            LinkAttribute::Address(self.mac()),
            LinkAttribute::NetNsFd(handle),
        ];
        let mut pair = LinkMessage::default();
        pair.header.index = self.number;
        set_up(&mut pair);
        pair.attributes = vec![
            LinkAttribute::IfName(format!("bare{}", self.number)),
            LinkAttribute::Controller(self.bridge.index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        (
            RouteNetlinkMessage::NewLink(pair),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    fn own_address(&self) -> Request {
        own_address(INSIDE, self.address)
    }

    /// The kernel does what it has put off for a link before it tells of it. Without this the
    /// first packet may be lost.
    fn sync(&self) -> Request {
        let mut query = LinkMessage::default();
        query.header.index = self.number;
        (RouteNetlinkMessage::GetLink(query), 0)
    }
}

/// Gives a link an address.
pub(crate) fn own_address(index: u32, address: Ipv4Addr) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = PREFIX;
    message.header.index = index;
    let address = IpAddr::V4(address);
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
    ];
    (
        RouteNetlinkMessage::NewAddress(message),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

/// Adds to a message that its link shall be up.
pub(crate) fn set_up(link: &mut LinkMessage) {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
}

/// Sets a link up.
pub(crate) fn up(index: u32) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    set_up(&mut link);
    (RouteNetlinkMessage::SetLink(link), 0)
}

fn default_route(gateway: Ipv4Addr) -> Request {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet,
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    (
        RouteNetlinkMessage::NewRoute(message),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

fn neighbor(link: u32, address: Ipv4Addr, mac: &[u8]) -> Request {
    let (mut message, flags) = neighbor_message(link, address);
    let mac = NeighbourAttribute::LinkLayerAddress(mac.to_vec());
    message.attributes.push(mac);
    (RouteNetlinkMessage::NewNeighbour(message), flags)
}

fn neighbor_message(link: u32, address: Ipv4Addr) -> (NeighbourMessage, u16) {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = link;
    message.header.state = NeighbourState::Permanent;
    let address = NeighbourAddress::Inet(address);
    message.attributes = vec![NeighbourAttribute::Destination(address)];
    (message, NLM_F_CREATE | NLM_F_REPLACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Pinger;
    use sealane_kernel::netns::isolated;
    use std::process::Command;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

    fn ip(arguments: &str) -> String {
        let output = Command::new("ip").args(arguments.split(' ')).output();
        let output = output.expect("iproute2 is installed");
        assert!(output.status.success(), "ip {arguments}");
        String::from_utf8(output.stdout).expect("ip prints text")
    }

    /// A host with a bridge that has an address.
    fn on_a_host(test: impl FnOnce(&mut Route, &Bridge) + Send) {
        let isolated = isolated(|| {
            // Without a MAC of its own it would take that of its first port.
            ip("link add br0 address 02:42:00:00:00:01 type bridge");
            ip("address add 10.200.0.1/16 dev br0");
            ip("link set br0 up");
            let mut host = Route::open().unwrap();
            let bridge = Bridge::find(&mut host, "br0", GATEWAY).unwrap();
            // The bridge itself wakes up with its first port, and a request waits for that.
            let mut first = Endpoint::new(&bridge, 1).unwrap();
            first.attach(&mut host).unwrap();
            ip("link show br0");
            test(&mut host, &bridge);
        });
        isolated.expect("tests run as root");
    }

    #[test]
    fn an_attached_endpoint_reaches_its_gateway_and_a_detached_one_is_gone() {
        on_a_host(|host, bridge| {
            let mut endpoint = Endpoint::new(bridge, 7).unwrap();
            for _ in 0..2 {
                endpoint.attach(host).unwrap();
                let mut pinger = Pinger::open(endpoint.namespace()).unwrap();
                pinger.ping(GATEWAY).unwrap();
                let seen = || (ip("link show master br0"), ip("neighbor show"));
                let (links, neighbors) = seen();
                assert!(links.contains("bare1000007") && neighbors.contains("10.200.128.7 "));
                endpoint.detach(host).unwrap();
                let (links, neighbors) = seen();
                assert!(!links.contains("bare1000007") && !neighbors.contains("10.200.128.7 "));
            }
        });
    }

    #[test]
    fn a_refusal_names_the_request() {
        on_a_host(|host, bridge| {
            let mut endpoint = Endpoint::new(bridge, 7).unwrap();
            endpoint.attach(host).unwrap();
            let twice = endpoint.attach(host).unwrap_err();
            assert!(
                matches!(twice, BenchError::Refused { place: 1, .. }),
                "{twice}"
            );
        });
    }
}
