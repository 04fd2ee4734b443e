//! Forgetting tracked connections that would go on to where they no longer should.

use crate::ack::errno;
use crate::fault;
use crate::kernel::Kernel;
use crate::message::{Attributes, CTNETLINK, Message};
use crate::nft::decode::{find, number as read_number};
use crate::nft::number;
use crate::socket::Socket;
use sealane_core::model::{PortMapping, Protocol};
use sealane_core::nft::Family;
use sealane_core::plan::Netns;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

/// `IPCTNL_MSG_CT_*`
const GET: u8 = 1;
const DELETE: u8 = 2;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP4_SOURCE: u16 = 1;
const IP4_DESTINATION: u16 = 2;
const IP6_SOURCE: u16 = 3;
const IP6_DESTINATION: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;

/// Which fields of a tuple a filter looks at (the kernel's `CTA_FILTER_FLAG_*`).
const BY_SOURCE: u32 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// `IPS_DST_NAT`
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// With more published ports than this, all connections are listed once.
const ONE_BY_ONE: usize = 8;

/// Protocol number and port, with the addresses it is published on; `None` is all.
type Published = BTreeMap<(u8, u16), Vec<Option<IpAddr>>>;

/// Forgets connections to or from an address of an endpoint. To one that was translated it shows
/// as the source of replies, from one as the source of the original direction.
pub(super) fn forget_address(kernel: &Kernel, address: IpAddr) -> io::Result<()> {
    let channel = kernel.channel(Netns::Host)?;
    let mut socket = channel.netfilter();
    for tuple in [TUPLE_ORIGINAL, TUPLE_REPLY] {
        let filter = |attributes: &mut Attributes| by_source(attributes, tuple, address);
        let flush = message(DELETE, family_of(address), filter);
        fault::point("conntrack flush");
        match socket.get(flush) {
            // Before Linux 6.9 a filter selects what is listed, but not what is deleted.
            Err(error) if errno(&error) == Some(libc::EOPNOTSUPP) => {
                let list = message(GET, family_of(address), filter);
                forget_listed(&mut socket, &list, |found| found.has_source(tuple, address))?;
            }
            Err(error) if errno(&error) == Some(libc::ENOENT) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// Forgets connections to a port of this host, where they end or whence they were translated; not
/// those that others have to the same port of other hosts.
pub(super) fn forget_port(kernel: &Kernel, protocol: Protocol, port: u16) -> io::Result<()> {
    let ours = kernel
        .addresses()?
        .into_iter()
        .map(|found| found.address.addr());
    let ours: BTreeSet<IpAddr> = ours.collect();
    let channel = kernel.channel(Netns::Host)?;
    let mut socket = channel.netfilter();
    for family in [Family::Ip, Family::Ip6] {
        let list = message(GET, number(family), |attributes| {
            by_port(attributes, protocol, port)
        });
        forget_listed(&mut socket, &list, |found| {
            found.is_to(protocol, port) && found.ends_here(&ours)
        })?;
    }
    Ok(())
}

/// Forgets connections to published ports: on the address that a port names, else on those of this
/// host. Many ports cost one look at all connections, few a look at those of each.
pub(super) fn forget_published(kernel: &Kernel, ports: &[PortMapping]) -> io::Result<()> {
    let ours: BTreeSet<IpAddr> = kernel
        .addresses()?
        .into_iter()
        .map(|found| found.address.addr())
        .collect();
    let mut published = Published::new();
    for port in ports {
        let addresses = published
            .entry((port.protocol.number(), port.host_port))
            .or_default();
        addresses.push(port.host_ip.filter(|ip| !ip.is_unspecified()));
    }
    let channel = kernel.channel(Netns::Host)?;
    let mut socket = channel.netfilter();
    for family in [Family::Ip, Family::Ip6] {
        let matches = |found: &Found| found.is_to_one_of(&published, &ours);
        if ports.len() > ONE_BY_ONE {
            forget_listed(&mut socket, &message(GET, number(family), |_| ()), matches)?;
            continue;
        }
        for port in ports {
            let list = message(GET, number(family), |attributes| {
                by_port(attributes, port.protocol, port.host_port);
            });
            forget_listed(&mut socket, &list, matches)?;
        }
    }
    Ok(())
}

/// What a report says of a connection: its ends, by the reader of each, and the message that would
/// remove it.
pub(crate) fn meaning(payload: &[u8]) -> Option<String> {
    let found = Found::read(payload)?;
    let ends = [TUPLE_ORIGINAL, TUPLE_REPLY].map(|tuple| {
        let source = found.address(tuple, IP4_SOURCE, IP6_SOURCE);
        (
            source,
            found.address(tuple, IP4_DESTINATION, IP6_DESTINATION),
        )
    });
    let (to, here) = (
        found.is_to(Protocol::Tcp, 80),
        found.ends_here(&BTreeSet::new()),
    );
    let published = Published::from([((6, 80), vec![None, ends[0].1])]);
    let is_published = found.is_to_one_of(&published, &BTreeSet::new());
    let removal = found.removal().bytes().len();
    Some(format!("{ends:?} {to} {here} {is_published} {removal}"))
}

fn forget_listed(
    socket: &mut Socket,
    list: &Message,
    matches: impl Fn(&Found) -> bool,
) -> io::Result<()> {
    let replies = socket.dump(list)?;
    let found = replies
        .iter()
        .filter_map(|reply| Found::read(&reply.payload));
    let doomed: Vec<Message> = found.filter(matches).map(|found| found.removal()).collect();
    if doomed.is_empty() {
        return Ok(());
    }
    fault::point("conntrack delete");
    for answer in socket.exchange(&doomed)? {
        match answer.refusal {
            // It ended by itself.
            Some(refusal) if errno(&refusal) == Some(libc::ENOENT) => {}
            Some(refusal) => return Err(refusal),
            None => {}
        }
    }
    Ok(())
}

/// A tracked connection, as reported.
struct Found<'a> {
    family: u8,
    attributes: &'a [u8],
}

impl<'a> Found<'a> {
    fn read(payload: &'a [u8]) -> Option<Self> {
        let (head, attributes) = payload.split_first_chunk::<4>()?;
        Some(Self {
            family: head[0],
            attributes,
        })
    }

    fn has_source(&self, tuple: u16, address: IpAddr) -> bool {
        self.address(tuple, IP4_SOURCE, IP6_SOURCE) == Some(address)
    }

    fn is_to(&self, protocol: Protocol, port: u16) -> bool {
        let tuple = find(self.attributes, TUPLE_ORIGINAL);
        let Some(transport) = tuple.and_then(|tuple| find(tuple, TUPLE_PROTOCOL)) else {
            return false;
        };
        find(transport, PROTOCOL_NUMBER) == Some(&[protocol.number()])
            && find(transport, DESTINATION_PORT) == Some(&port.to_be_bytes())
    }

    fn is_to_one_of(&self, published: &Published, ours: &BTreeSet<IpAddr>) -> bool {
        let tuple = find(self.attributes, TUPLE_ORIGINAL);
        let Some(transport) = tuple.and_then(|tuple| find(tuple, TUPLE_PROTOCOL)) else {
            return false;
        };
        let (Some(&[protocol]), Some(&[high, low])) = (
            find(transport, PROTOCOL_NUMBER),
            find(transport, DESTINATION_PORT),
        ) else {
            return false;
        };
        let port = u16::from_be_bytes([high, low]);
        let addresses = published.get(&(protocol, port)).into_iter().flatten();
        let to = self.address(TUPLE_ORIGINAL, IP4_DESTINATION, IP6_DESTINATION);
        let mut addresses = addresses.copied();
        addresses.any(|address| match address {
            None => self.ends_here(ours),
            Some(_) => address == to,
        })
    }

    fn ends_here(&self, ours: &BTreeSet<IpAddr>) -> bool {
        let status = find(self.attributes, STATUS)
            .and_then(read_number)
            .unwrap_or(0);
        let to = self.address(TUPLE_ORIGINAL, IP4_DESTINATION, IP6_DESTINATION);
        let here = to.is_some_and(|to| to.is_loopback() || ours.contains(&to));
        here || status & DESTINATION_TRANSLATED != 0
    }

    fn address(&self, tuple: u16, ip4: u16, ip6: u16) -> Option<IpAddr> {
        let addresses = find(find(self.attributes, tuple)?, TUPLE_IP)?;
        match (find(addresses, ip4), find(addresses, ip6)) {
            (Some(bytes), _) => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            (None, Some(bytes)) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
            (None, None) => None,
        }
    }

    /// Names exactly this connection: its tuple, and its id, in case another takes its place.
    fn removal(&self) -> Message {
        message(DELETE, self.family, |attributes| {
            if let Some(tuple) = find(self.attributes, TUPLE_ORIGINAL) {
                attributes.nested_bytes(TUPLE_ORIGINAL, tuple);
            }
            for kind in [ID, ZONE] {
                if let Some(value) = find(self.attributes, kind) {
                    attributes.bytes(kind, value);
                }
            }
        })
    }
}

fn family_of(address: IpAddr) -> u8 {
    number(if address.is_ipv4() {
        Family::Ip
    } else {
        Family::Ip6
    })
}

/// With version 1 the kernel heeds the family also where a message may concern many connections.
fn message(kind: u8, family: u8, fill: impl FnOnce(&mut Attributes)) -> Message {
    Message::framed(
        u16::from_be_bytes([CTNETLINK, kind]),
        0,
        [family, 1, 0, 0],
        fill,
    )
}

fn by_source(attributes: &mut Attributes, tuple: u16, address: IpAddr) {
    attributes.nested(tuple, |tuple| {
        tuple.nested(TUPLE_IP, |ip| {
            match address {
                IpAddr::V4(address) => ip.bytes(IP4_SOURCE, &address.octets()),
                IpAddr::V6(address) => ip.bytes(IP6_SOURCE, &address.octets()),
            };
        });
    });
    let (original, reply) = if tuple == TUPLE_ORIGINAL {
        (BY_SOURCE, 0)
    } else {
        (0, BY_SOURCE)
    };
    filter(attributes, original, reply);
}

fn by_port(attributes: &mut Attributes, protocol: Protocol, port: u16) {
    attributes.nested(TUPLE_ORIGINAL, |tuple| {
        tuple.nested(TUPLE_PROTOCOL, |transport| {
            transport.bytes(PROTOCOL_NUMBER, &[protocol.number()]);
            transport.bytes(DESTINATION_PORT, &port.to_be_bytes());
        });
    });
    filter(attributes, BY_PROTOCOL | BY_DESTINATION_PORT, 0);
}

/// The flags are the one thing of ctnetlink in the machine's byte order.
fn filter(attributes: &mut Attributes, original: u32, reply: u32) {
    attributes.nested(FILTER, |filter| {
        filter.bytes(FILTER_ORIGINAL, &original.to_ne_bytes());
        filter.bytes(FILTER_REPLY, &reply.to_ne_bytes());
    });
}
